package vfs

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
)

// The damages of a Mem's medium.
//
// The device of a content is what everybody believes to be durable, and what the
// medium holds else is a lie, beside it. So a cache is simulated:
//
//	write ──▶ cur ── sync ──▶ device            a sector whose cur and device are
//	           ▲                 │ lie?         alike is clean: it isn't written
//	           └──── settle ─────┴── medium     again, and may be read again
//
// What the medium holds is seen where the cache isn't there: of a file that isn't
// mapped at once, of one that is when its last Map is closed, at Restart and at
// Crash; and only in sectors that are clean, for the others the cache still has to
// write. A sector that is written is sound again.

// harm is what is wrong with one file's sectors.
type harm struct {
	lies  []lie  // ascending by sector
	spots []spot // ascending by sector
}

// A lie is what the medium holds of a sector, where that isn't what the device says.
type lie struct {
	sector int
	holds  []byte // SectorSize bytes that nobody changes; nil if it is unreadable
}

// A spot is a sector whose content isn't what was written, known or not.
type spot struct {
	sector int
	damage int // index in Mem.struck
}

// An arm is a damage that waits for a write.
type arm struct {
	damage Damage
	node   *memNode // nil is any file
	to     *memNode // where it lands if it is misdirected; nil is nowhere
}

// Damage harms the medium. BitRot and ReadError do it at once; LostWrite and
// MisdirectedWrite wait for the next write of the sector, which is the next sync
// that covers it while it differs from what is durable.
//
// What is damaged shows when the sector is read from the medium: of a file that
// isn't mapped at once, of a mapped one after its last Map is closed, after Restart
// and after Crash; live mappings keep what they have. A sector whose content was
// not synced yet will be written, and is sound then. A lost write leaves the sector
// as it was. A read error shows as an error of ReadAt and of Map that wraps
// ErrMedium.
func (m *Mem) Damage(d Damage) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.damageable(d.File, d.Sector, d.Kind == LostWrite || d.Kind == MisdirectedWrite)
	if err != nil {
		return err
	}
	switch d.Kind {
	case BitRot:
		if d.Bits < 1 || d.Bit < 0 || d.Bit+d.Bits > SectorBits {
			return fmt.Errorf("damage: %v: the bits of a sector are 0 to %d", d, SectorBits-1)
		}
		n.content.rot(int(d.Sector), d.Bit, d.Bits)
		m.strike(n, int(d.Sector), d)
	case ReadError:
		n.content.lying(int(d.Sector), nil)
		m.strike(n, int(d.Sector), d)
	case LostWrite:
		m.arms = append(m.arms, arm{damage: d, node: n})
	case MisdirectedWrite:
		to, err := m.damageable(d.ToFile, d.ToSector, false)
		if err != nil {
			return err
		}
		m.arms = append(m.arms, arm{damage: d, node: n, to: to})
	default:
		return fmt.Errorf("damage: %v is none", d.Kind)
	}
	if n != nil && n.content.maps == 0 {
		n.content.settle()
	}
	return nil
}

// damageable finds the file; nil is any.
func (m *Mem) damageable(file string, sector int64, later bool) (*memNode, error) {
	if later && file == "" && sector == AnySector {
		return nil, nil
	}
	_, n, err := m.find(file)
	switch {
	case err != nil || n == nil || n.dir:
		return nil, pathError("damage", file, cmpErr(err, errors.New("there is no such file")))
	case later && sector == AnySector:
	case sector < 0 || !later && sector*SectorSize >= int64(n.content.deviceSize):
		return nil, pathError("damage", file, fmt.Errorf("sector %d is not of its %d durable bytes", sector, n.content.deviceSize))
	}
	return n, nil
}

// Damages returns those that happened, oldest first: a LostWrite or
// MisdirectedWrite with the sector that it struck.
func (m *Mem) Damages() []Damage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.struck)
}

// Armed returns the damages that wait for a write, oldest first.
func (m *Mem) Armed() []Damage {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Damage
	for _, a := range m.arms {
		out = append(out, a.damage)
	}
	return out
}

// Disarm forgets the damages that wait for a write.
func (m *Mem) Disarm() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.arms = nil
}

// Spots returns the sectors that are damaged now, by file and sector: what was
// written since is sound, and what was removed is gone. A misdirected write makes
// two.
func (m *Mem) Spots() []Spot {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Spot
	for _, f := range m.files() {
		if f.node.content.harm == nil {
			continue
		}
		for _, s := range f.node.content.harm.spots {
			out = append(out, Spot{File: f.name, Sector: int64(s.sector), Damage: m.struck[s.damage]})
		}
	}
	return out
}

// Files lists all files, by name.
func (m *Mem) Files() []Extent {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Extent
	for _, f := range m.files() {
		c := &f.node.content
		out = append(out, Extent{Name: f.name, Size: int64(len(c.cur)), Mapped: c.maps > 0,
			Sectors: int64(min(len(c.device), c.deviceSize)+SectorSize-1) / SectorSize})
	}
	return out
}

// A namedNode is a file by its present name.
type namedNode struct {
	name string
	node *memNode
}

// files returns the files of the current tree, by name.
func (m *Mem) files() []namedNode {
	var out []namedNode
	var walk func(dir *memNode, at string)
	walk = func(dir *memNode, at string) {
		for _, name := range slices.Sorted(maps.Keys(dir.entries)) {
			if n, full := dir.entries[name], path.Join(at, name); n.dir {
				walk(n, full)
			} else {
				out = append(out, namedNode{full, n})
			}
		}
	}
	walk(m.root, "")
	return out
}

// strike records that d struck the sector.
func (m *Mem) strike(n *memNode, sector int, d Damage) {
	m.struck = append(m.struck, d)
	n.content.spot(sector, len(m.struck)-1)
}

// sync makes all of a file durable.
func (m *Mem) sync(n *memNode) {
	c := &n.content
	c.cutDevice()
	if c.maps > 0 {
		m.syncRange(n, 0, len(c.cur))
	} else if c.low < c.high {
		m.syncRange(n, c.low, min(c.high, len(c.cur)))
	}
	c.synced()
	if c.maps == 0 {
		c.settle()
	}
}

// syncRange makes the sectors that hold [from, to) durable, as far as the medium
// is sound.
func (m *Mem) syncRange(n *memNode, from, to int) {
	c := &n.content
	if len(m.arms) == 0 && c.harm == nil {
		c.syncRange(from, to)
		return
	}
	var misled []func()
	first, last, _ := c.sectors(from, to)
	for at := first; at < last; at += SectorSize {
		end, sector := min(at+SectorSize, last), at/SectorSize
		now, old := sized(c.cur[at:end], SectorSize), c.sectorOnDevice(sector)
		if string(now) == string(old) {
			continue // the cache has nothing to write
		}
		if a, ok := m.armed(n, sector); ok {
			a.damage.File, a.damage.Sector = m.nameOf(n), int64(sector)
			if !c.harm.has(sector) {
				c.lying(sector, old)
			}
			m.strike(n, sector, a.damage)
			if damage := len(m.struck) - 1; a.to != nil {
				misled = append(misled, func() { m.land(a, now, damage) })
			}
		} else {
			c.harm.written(sector)
		}
		c.syncRange(at, end)
	}
	for _, land := range misled {
		land()
	}
}

// land puts what was misdirected where it went.
func (m *Mem) land(a arm, b []byte, damage int) {
	c, sector := &a.to.content, int(a.damage.ToSector)
	if sector*SectorSize >= c.deviceSize {
		return // the file isn't that long any more: space that is nobody's
	}
	c.lying(sector, b)
	c.spot(sector, damage)
	if c.maps == 0 {
		c.settle()
	}
}

// armed takes the first damage that waits for a write of this sector.
func (m *Mem) armed(n *memNode, sector int) (arm, bool) {
	i := slices.IndexFunc(m.arms, func(a arm) bool {
		return (a.node == nil || a.node == n) && (a.damage.Sector == AnySector || a.damage.Sector == int64(sector))
	})
	if i < 0 {
		return arm{}, false
	}
	a := m.arms[i]
	m.arms = slices.Delete(m.arms, i, i+1)
	return a, true
}

// nameOf is the present name of a file, "" if it has none.
func (m *Mem) nameOf(n *memNode) string {
	for _, f := range m.files() {
		if f.node == n {
			return f.name
		}
	}
	return ""
}

// rot flips bits of what the medium holds.
func (c *content) rot(sector, bit, n int) {
	holds := c.sectorOnDevice(sector)
	if i, ok := c.harm.find(sector); ok {
		if c.harm.lies[i].holds == nil {
			return // nobody can tell
		}
		holds = slices.Clone(c.harm.lies[i].holds)
	}
	for i := bit; i < bit+n; i++ {
		holds[i/8] ^= 1 << (i % 8)
	}
	c.lying(sector, holds)
}

// lying makes the medium hold something else than the device says.
func (c *content) lying(sector int, holds []byte) {
	if c.harm == nil {
		c.harm = &harm{}
	}
	i, ok := c.harm.find(sector)
	if !ok {
		c.harm.lies = slices.Insert(c.harm.lies, i, lie{sector: sector})
	}
	c.harm.lies[i].holds = holds
}

// spot marks a sector.
func (c *content) spot(sector, damage int) {
	if c.harm == nil {
		c.harm = &harm{}
	}
	c.harm.spots = append(c.harm.spots, spot{sector, damage})
	slices.SortStableFunc(c.harm.spots, func(a, b spot) int { return cmp.Compare(a.sector, b.sector) })
}

// settle lets the lies of clean sectors be seen, where there is no cache.
func (c *content) settle() {
	if c.harm == nil || c.maps > 0 {
		return
	}
	c.harm.drop(func(sector int) bool { return sector*SectorSize >= max(c.deviceSize, len(c.cur)) })
	var left []lie
	for _, l := range c.harm.lies {
		at := l.sector * SectorSize
		if l.holds == nil || !c.clean(l.sector) {
			left = append(left, l)
			continue
		}
		if c.curShared {
			c.moveCur(len(c.cur))
		}
		end := min(at+SectorSize, len(c.cur))
		copy(c.cur[at:end], l.holds)
		c.ownDevice(end)
		copy(c.device[at:end], l.holds)
	}
	c.harm.lies = left
}

// clean reports whether the cache has nothing to write of the sector.
func (c *content) clean(sector int) bool {
	at := sector * SectorSize
	end := min(at+SectorSize, len(c.cur))
	return at < end && string(c.cur[at:end]) == string(c.sectorOnDevice(sector)[:end-at])
}

// unreadable returns the first unreadable sector that holds a byte of [from, to)
// and isn't in a cache, -1 if there is none.
func (c *content) unreadable(from, to int) int {
	if c.harm == nil || c.maps > 0 {
		return -1
	}
	for _, l := range c.harm.lies {
		if at := l.sector * SectorSize; l.holds == nil && at < to && at+SectorSize > from && c.clean(l.sector) {
			return l.sector
		}
	}
	return -1
}

// find returns where the sector's lie is, or would be.
func (h *harm) find(sector int) (int, bool) {
	if h == nil {
		return 0, false
	}
	return slices.BinarySearchFunc(h.lies, sector, func(l lie, s int) int { return cmp.Compare(l.sector, s) })
}

// has reports whether the medium lies about the sector.
func (h *harm) has(sector int) bool {
	_, ok := h.find(sector)
	return ok
}

// written makes a sector sound.
func (h *harm) written(sector int) { h.drop(func(s int) bool { return s == sector }) }

// drop forgets what is known of sectors.
func (h *harm) drop(gone func(sector int) bool) {
	if h == nil {
		return
	}
	h.lies = slices.DeleteFunc(h.lies, func(l lie) bool { return gone(l.sector) })
	h.spots = slices.DeleteFunc(h.spots, func(s spot) bool { return gone(s.sector) })
}

func (h *harm) clone() *harm {
	if h == nil || len(h.lies)+len(h.spots) == 0 {
		return nil
	}
	return &harm{lies: slices.Clone(h.lies), spots: slices.Clone(h.spots)}
}
