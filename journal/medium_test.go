package journal

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"testing"

	"hindcast.dev/vfs"
)

// A medium is a journal on a disk that betrays it once.
type medium struct {
	seed    uint64
	r       *rand.Rand
	disk    *vfs.Mem
	stamped int
	durable uint64
	boot    uint64
	how     string // how it ended
	live    error  // that the running node saw
	struck  []vfs.Damage
}

// newMedium works, has the disk damaged somewhere in between, and ends.
func newMedium(t *testing.T, seed uint64, kind vfs.DamageKind) *medium {
	m := &medium{seed: seed, r: rand.New(rand.NewPCG(seed, uint64(kind))), disk: vfs.NewMem()}
	o := options(m.disk)
	o.SegmentBytes, o.Durability, o.HostBoot = 8<<10, Group, "host-1"
	o.RetainBytes = int64(m.r.IntN(2)) * 40 << 10
	j := mustOpen(t, o)
	m.boot = j.Boot()
	events := 20 + m.r.IntN(300)
	when := m.r.IntN(events)
	for i := range events {
		if i == when {
			m.damage(t, kind)
		}
		if m.live = m.work(t, j); m.live != nil {
			m.reported(t, "the running node", m.live)
			break
		}
	}
	switch end := m.r.IntN(3); {
	case end == 0 && m.live == nil:
		m.how = "stopped"
		mustClose(t, j)
		m.durable = uint64(m.stamped)
		m.disk = m.disk.Restart()
	case end <= 1:
		m.how = "killed"
		m.disk = m.disk.Restart()
	default:
		m.how = "power loss"
		m.disk = m.disk.Crash(picker(seed))
	}
	m.struck = m.disk.Damages()
	return m
}

// work takes one event. A Maintain that failed is tried again, as a node does.
func (m *medium) work(t *testing.T, j *Journal) error {
	err := j.Append(message(m.stamped + 1))
	var failed error
	for tries := 0; errors.Is(err, ErrFull); tries++ {
		if failed = j.Maintain(); failed != nil && tries > 3 {
			return failed
		}
		err = j.Append(message(m.stamped + 1))
	}
	if err != nil {
		return err
	}
	mustStamp(t, j)
	m.stamped++
	switch m.r.IntN(12) {
	case 0, 1:
		m.durable = mustSync(t, j)
	case 2:
		j.SetRetainFrom(uint64(max(1, m.stamped-20)))
		_ = j.Maintain() // what it can't do shows when the segments are full
	case 3:
		return j.RaiseCeiling(j.LastStamp().Time + 1<<20)
	}
	return nil
}

// damage picks a sector that there is, or a write that is to come.
func (m *medium) damage(t *testing.T, kind vfs.DamageKind) {
	files := m.disk.Files()
	pick := func() vfs.Extent {
		for {
			if e := files[m.r.IntN(len(files))]; e.Sectors > 0 {
				return e
			}
		}
	}
	e, to := pick(), pick()
	d := vfs.Damage{Kind: kind, File: e.Name, Sector: m.r.Int64N(e.Sectors)}
	switch kind {
	case vfs.BitRot:
		d.Bits = 1 + m.r.IntN(8)
		d.Bit = m.r.IntN(vfs.SectorBits - d.Bits)
	case vfs.MisdirectedWrite:
		d.ToFile, d.ToSector = to.Name, m.r.Int64N(to.Sectors)
		fallthrough
	case vfs.LostWrite:
		if d.Sector = vfs.AnySector; m.r.IntN(2) == 0 {
			d.File = ""
		}
	}
	if err := m.disk.Damage(d); err != nil {
		t.Fatal(err)
	}
}

func (m *medium) String() string {
	return fmt.Sprintf("seed %d, %s, %d stamped, %d durable, %v", m.seed, m.how, m.stamped, m.durable, m.struck)
}

// outcome says what became of the damage. It fails if anybody was told what isn't
// true.
func (m *medium) outcome(t *testing.T) string {
	t.Helper()
	read, readErr := m.read(t, m.disk)
	o := options(m.disk)
	o.SegmentBytes, o.Durability, o.HostBoot = 8<<10, Group, "host-1"
	if m.how == "power loss" {
		o.HostBoot = "host-2"
	}
	j, err := Open(o)
	if err != nil {
		m.reported(t, "open", err)
		m.repair(t, o)
		return "reported by the start"
	}
	defer mustClose(t, j)
	rec := j.Recovery()
	last := rec.Last.Seq
	if last > uint64(m.stamped) || j.Boot() <= m.boot {
		t.Fatalf("%v: it goes on after event %d, in boot %d after %d", m, last, j.Boot(), m.boot)
	}
	if readErr != nil {
		return "reported by the reader"
	}
	if read != last {
		t.Fatalf("%v: a reader ended at event %d and said nothing, the journal at %d", m, read, last)
	}
	switch {
	case last >= m.durable && (m.how != "killed" || last == uint64(m.stamped)):
		return "harmless"
	case rec.Lost != nil:
		return "reported as loss"
	case rec.Torn != nil:
		return "reported as torn tail"
	}
	return "not seen"
}

// repair repairs, and reads again.
func (m *medium) repair(t *testing.T, o Options) {
	t.Helper()
	if _, err := Repair(m.disk, testDir); err != nil {
		m.reported(t, "repair", err) // what is unreadable stays so
		return
	}
	j, err := Open(o)
	if err != nil {
		if !errors.Is(err, vfs.ErrMedium) {
			t.Fatalf("%v: open after the repair: %v", m, err)
		}
		return
	}
	mustClose(t, j)
	if _, err := m.read(t, m.disk); err != nil && !errors.Is(err, vfs.ErrMedium) {
		t.Fatalf("%v: read after the repair: %v", m, err)
	}
}

// reported checks that an error says where.
func (m *medium) reported(t *testing.T, by string, err error) {
	t.Helper()
	var e *FileError
	if errors.Is(err, vfs.ErrMedium) {
		return
	}
	if !errors.As(err, &e) || e.File == "" || e.Remedy == "" || e.Detail == "" {
		t.Fatalf("%v: %s: %v", m, by, err)
	}
}

// read reads all there is and checks every payload.
func (m *medium) read(t *testing.T, fsys vfs.FS) (last uint64, err error) {
	t.Helper()
	r, err := OpenReader(fsys, testDir, 0)
	if err != nil {
		m.reported(t, "reader", err)
		return 0, err
	}
	defer r.Close()
	for {
		e, err := r.Next()
		if err == io.EOF {
			return last, nil
		}
		if err != nil {
			m.reported(t, "reader", err)
			return last, err
		}
		if want := fmt.Sprintf("payload %d", e.Stamp.Seq); string(e.Payload) != want || last != 0 && e.Stamp.Seq != last+1 {
			t.Fatalf("%v: event %d after %d is %q", m, e.Stamp.Seq, last, e.Payload)
		}
		last = e.Stamp.Seq
	}
}

// TestWhatTheMediumDoesIsHarmlessOrReported damages one sector of a journal at
// work, and holds what is left against what was written. What nobody can see is
// the loss of the very last writes: a log that ends earlier is as good as new.
func TestWhatTheMediumDoesIsHarmlessOrReported(t *testing.T) {
	seeds := uint64(250)
	if testing.Short() {
		seeds = 60
	}
	for _, kind := range []vfs.DamageKind{vfs.BitRot, vfs.LostWrite, vfs.MisdirectedWrite, vfs.ReadError} {
		t.Run(kind.String(), func(t *testing.T) {
			counts := map[string]int{}
			for seed := range seeds {
				m := newMedium(t, seed, kind)
				what := m.outcome(t)
				counts[what]++
				if what == "not seen" && !m.mayBeUnseen() {
					t.Errorf("%v: nobody says that events are gone", m)
				}
			}
			t.Logf("%v", counts)
			if counts["harmless"] == int(seeds) {
				t.Errorf("nothing was ever damaged")
			}
		})
	}
}

// mayBeUnseen reports whether the damage took the end of history away, and with it
// the knowledge that it was there.
func (m *medium) mayBeUnseen() bool {
	if len(m.struck) != 1 || m.how != "power loss" {
		return false
	}
	d := m.struck[0]
	return (d.Kind == vfs.LostWrite || d.Kind == vfs.MisdirectedWrite) && path.Ext(d.File) == segmentExt
}

// TestAFrameAtAnotherPlaceIsNone moves whole valid frames to where others were, of
// the same segment and of another: the position is in the CRC, and the nonce in
// the commit word.
func TestAFrameAtAnotherPlaceIsNone(t *testing.T) {
	const events = 3 * perSegment
	sector := func(b []byte, n int) []byte { return b[n*vfs.SectorSize:][:vfs.SectorSize] }
	for _, from := range []string{"00000001.seg", "00000002.seg"} {
		fsys := build(t, events)
		to := content(t, fsys, "00000002.seg")
		copy(sector(to, 10), sector(content(t, fsys, from), 9))
		overwrite(t, fsys, "00000002.seg", to)
		n, err := readUntil(t, fsys, 0)
		var e *FileError
		if !errors.As(err, &e) || e.Problem != ErrCorrupt || e.Offset != 10*vfs.SectorSize || n != perSegment+8 {
			t.Errorf("frames of %s: %d events are read, %v", from, n, err)
		}
	}
}

func TestOneUnreadableMetaSlotIsAWarning(t *testing.T) {
	for _, sectors := range [][]int64{{0}, {4096 / vfs.SectorSize}, {0, 4096 / vfs.SectorSize}} {
		fsys := build(t, 30)
		for _, s := range sectors {
			if err := fsys.Damage(vfs.Damage{Kind: vfs.ReadError, File: path.Join(testDir, "meta"), Sector: s}); err != nil {
				t.Fatal(err)
			}
		}
		o := options(fsys)
		o.SegmentBytes = 8 << 10
		j, err := Open(o)
		if len(sectors) == 2 {
			if !errors.Is(err, vfs.ErrMedium) {
				t.Errorf("both: %v", err)
			}
			continue
		}
		if err != nil || len(j.Recovery().Warnings) != 1 || j.Boot() != 2 || j.Recovery().Last.Seq != 30 {
			t.Fatalf("%v: %v", sectors, err)
		}
		mustClose(t, j)
		if spots := fsys.Spots(); len(spots) > 0 { // both were written
			t.Errorf("still damaged: %v", spots)
		}
	}
}
