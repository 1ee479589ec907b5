package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"sync"

	"hindcast.dev/event"
	"hindcast.dev/vfs"
)

// Disk is a History on disk, as FORMAT.md describes it. It keeps the runs'
// directories and a few blocks in memory.
type Disk struct {
	meta     Meta
	manifest manifest
	runs     []*diskRun
	nodes    [][]diskPart // like meta.Nodes
	cache    blockCache
	closing  sync.Once
	closeErr error
}

// A diskPart is a block of a node, with the run it lies in.
type diskPart struct {
	run   *diskRun
	block int
}

func (p diskPart) ref() *blockRef { return &p.run.dir.blocks[p.block] }

// OpenDisk opens the History in dir for reading. What is wrong with its files is
// a *FileError, here or where what is wrong is first needed.
func OpenDisk(fsys vfs.FS, dir string) (*Disk, error) {
	m, err := readManifest(fsys, dir)
	if err != nil {
		return nil, err
	}
	return openRuns(fsys, dir, m)
}

// openRuns opens what a manifest names, which may not be written yet.
func openRuns(fsys vfs.FS, dir string, m manifest) (*Disk, error) {
	dec, err := newDecompressor()
	if err != nil {
		return nil, err
	}
	d := &Disk{manifest: m}
	for _, named := range m.Runs {
		r, err := openRun(fsys, dir, named, dec)
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		d.runs = append(d.runs, r)
	}
	if err := d.assemble(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// assemble makes one Meta of all runs.
func (d *Disk) assemble() error {
	byName := map[string][]*diskRun{}
	for _, r := range d.runs {
		byName[r.dir.node.Name] = append(byName[r.dir.node.Name], r)
	}
	d.assembleVars()
	for i, name := range slices.Sorted(maps.Keys(byName)) {
		var parts []diskPart
		node := Node{Name: name}
		var last *diskRun
		for _, r := range byName[name] {
			r.node = i
			if err := follow(&node, last, r, i); err != nil {
				return err
			}
			if len(r.dir.blocks) > 0 {
				last = r
			}
			for b := range r.dir.blocks {
				parts = append(parts, diskPart{r, b})
			}
			d.noteVars(r)
		}
		node.Unknown = mergeSpans(node.Unknown)
		d.nodes = append(d.nodes, parts)
		d.meta.Nodes = append(d.meta.Nodes, node)
	}
	d.meta.sum()
	var w warnings
	w.nodes(d.meta.Nodes)
	d.meta.Violations = d.manifest.Violations
	d.meta.Warnings = append(w.list(), d.manifest.Warnings...)
	return nil
}

// follow adds what a run says to what earlier runs, of which last is the last
// that has entries, say of its node.
func follow(n *Node, last, r *diskRun, index int) error {
	from := &r.dir.node
	n.Unknown = append(n.Unknown, from.Unknown...)
	if n.Build == "" {
		n.Build = from.Build
	}
	if n.Reason == "" {
		n.Reason = from.Reason
	}
	n.First.Node, n.Last.Node = index, index
	if len(r.dir.blocks) == 0 {
		return nil
	}
	first := r.dir.blocks[0].first
	if last == nil {
		n.First = from.First
	} else if before := last.dir.blocks[len(last.dir.blocks)-1].last; first.Compare(before) <= 0 || first.Seq < before.Seq {
		return r.fail(0, ErrCorrupt, "the run begins with event %d of node %s, an earlier one ends with event %d", first.Seq, n.Name, before.Seq)
	}
	n.Events += from.Events
	if from.Events > 0 {
		n.Last = from.Last
	}
	n.First.Node, n.Last.Node = index, index
	return nil
}

// assembleVars makes one dictionary of all runs', sorted by name.
func (d *Disk) assembleVars() {
	ids := map[string]VarID{}
	for _, r := range d.runs {
		for _, v := range r.dir.vars {
			ids[v.name] = 0
		}
	}
	d.meta.Vars = make([]Var, len(ids))
	for i, name := range slices.Sorted(maps.Keys(ids)) {
		ids[name] = VarID(i)
		d.meta.Vars[i].Name = name
	}
	for _, r := range d.runs {
		r.vars = make([]VarID, len(r.dir.vars))
		for i, v := range r.dir.vars {
			r.vars[i] = ids[v.name]
		}
	}
}

// noteVars adds a run's statistics of variables.
func (d *Disk) noteVars(r *diskRun) {
	for i, v := range r.dir.vars {
		into := &d.meta.Vars[r.vars[i]]
		into.Changes += v.changes
		for t := event.TypeNull; t <= event.TypeMap; t++ {
			if v.types&(1<<t) != 0 {
				note(into, r.node, t)
			}
		}
	}
	for _, b := range r.dir.bulky {
		d.meta.Vars[r.vars[b.v]].bulky(r.node, b.from)
	}
}

// Meta implements Source.
func (d *Disk) Meta() *Meta { return &d.meta }

// Close implements Source.
func (d *Disk) Close() error {
	d.closing.Do(func() {
		for _, r := range d.runs {
			d.closeErr = errors.Join(d.closeErr, r.closer.Close())
		}
	})
	return d.closeErr
}

// cacheBlocks is how many decoded blocks are kept.
const cacheBlocks = 16

// A blockCache keeps the blocks used last. It is safe for concurrent use.
type blockCache struct {
	mu     sync.Mutex
	blocks []cachedBlock // the one used last at the end
}

type cachedBlock struct {
	part    diskPart
	entries []Event
}

// take returns a block and makes it the one used last.
func (c *blockCache) take(p diskPart) []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, b := range c.blocks {
		if b.part == p {
			c.blocks = append(slices.Delete(c.blocks, i, i+1), b)
			return b.entries
		}
	}
	return nil
}

func (c *blockCache) put(p diskPart, entries []Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.blocks) == cacheBlocks {
		c.blocks = slices.Delete(c.blocks, 0, 1)
	}
	c.blocks = append(c.blocks, cachedBlock{p, entries})
}

// block returns a block's entries, which nobody changes.
func (d *Disk) block(p diskPart) ([]Event, error) {
	if e := d.cache.take(p); e != nil {
		return e, nil
	}
	e, err := p.run.entries(p.block)
	if err == nil {
		d.cache.put(p, e)
	}
	return e, err
}

// at returns the first part of a node whose last entry is at p or after it.
func (d *Disk) at(node int, p Position) int {
	parts := d.nodes[node]
	return sort.Search(len(parts), func(i int) bool { return comparePlace(parts[i].ref().last, p, node) >= 0 })
}

// before returns the last part of a node that begins before p, -1 if none does.
func (d *Disk) before(node int, p Position) int {
	parts := d.nodes[node]
	return sort.Search(len(parts), func(i int) bool { return comparePlace(parts[i].ref().first, p, node) >= 0 }) - 1
}

// comparePlace compares a position that a directory gives, without the node's
// index, with one of the walk.
func comparePlace(stored, p Position, node int) int {
	stored.Node = node
	return stored.Compare(p)
}

// split returns how many of the entries, all of one node, lie before p.
func split(entries []Event, p Position) int {
	return sort.Search(len(entries), func(i int) bool { return entries[i].Position.Compare(p) >= 0 })
}

// state returns a node's state before p, nil if no entry is.
func (d *Disk) state(ctx context.Context, node int, p Position) (*State, error) {
	parts := d.nodes[node]
	i := d.before(node, p)
	if i < 0 {
		return nil, nil
	}
	run, from := parts[i].run, 0
	base := parts[i].ref().base
	if base >= 0 {
		from = run.dir.bases[base].block
	}
	s, err := run.base(base, &look{})
	if err != nil {
		return nil, err
	}
	for b := from; b <= parts[i].block; b++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		entries, err := d.block(diskPart{run, b})
		if err != nil {
			return nil, err
		}
		for j := range entries[:split(entries, p)] {
			s.ApplyAll(entries[j].Changes)
		}
	}
	return s, nil
}

// end returns a node's last position and state, nil if it has no entry.
func (d *Disk) end(name string) (Position, *State, error) {
	node, ok := d.meta.NodeIndex(name)
	if !ok || len(d.nodes[node]) == 0 {
		return Position{}, nil, nil
	}
	parts := d.nodes[node]
	s, err := d.state(context.Background(), node, End)
	last := parts[len(parts)-1].ref().last
	last.Node = 0
	return last, s, err
}

// Walk implements Source.
func (d *Disk) Walk(ctx context.Context, from, to Position, nodes []int) (Cursor, error) {
	chosen, err := d.meta.chosen(nodes)
	if err != nil {
		return nil, err
	}
	c := &diskCursor{walker: walker{ctx: ctx}, states: make([]*State, len(d.nodes))}
	var streams []stream
	for _, n := range chosen {
		if c.states[n], err = d.state(ctx, n, from); err != nil {
			return nil, err
		}
		streams = append(streams, &diskStream{disk: d, node: n, part: d.at(n, from), from: from, to: to})
	}
	c.merge, err = newMerger(streams, false)
	return c, err
}

type diskCursor struct {
	walker
	states []*State
}

// States implements Cursor.
func (c *diskCursor) States() []*State {
	out := c.states
	c.states = nil
	return out
}

// Before implements Source.
func (d *Disk) Before(ctx context.Context, p Position, n int, nodes []int) ([]Event, error) {
	chosen, err := d.meta.chosen(nodes)
	if err != nil {
		return nil, err
	}
	var streams []stream
	for _, i := range chosen {
		streams = append(streams, &diskStream{disk: d, node: i, part: d.before(i, p), to: p, backwards: true})
	}
	return before(ctx, streams, n)
}

// Event implements Source.
func (d *Disk) Event(_ context.Context, node int, seq uint64) (*Event, error) {
	if node < 0 || node >= len(d.nodes) {
		return nil, fmt.Errorf("node %d: %w", node, ErrNoEvent)
	}
	parts := d.nodes[node]
	i := sort.Search(len(parts), func(i int) bool { return parts[i].ref().last.Seq >= seq })
	for ; i < len(parts) && parts[i].ref().first.Seq <= seq; i++ {
		entries, err := d.block(parts[i])
		if err != nil {
			return nil, err
		}
		j := sort.Search(len(entries), func(j int) bool { return entries[j].Seq >= seq })
		for ; j < len(entries) && entries[j].Seq == seq; j++ {
			if !entries[j].Base {
				return &entries[j], nil
			}
		}
	}
	return nil, fmt.Errorf("%s:%d: %w", d.meta.Nodes[node].Name, seq, ErrNoEvent)
}

// entry returns an entry by its number in its run.
func (d *Disk) entry(r *diskRun, number uint64) (*Event, error) {
	block, at, ok := r.blockOf(number)
	if !ok {
		return nil, r.fail(0, ErrCorrupt, "a reference to entry %d, which the run doesn't have", number)
	}
	entries, err := d.block(diskPart{r, block})
	if err != nil {
		return nil, err
	}
	return &entries[at], nil
}

// Message implements Source.
func (d *Disk) Message(_ context.Context, id string) (Message, error) {
	out := Message{ID: id}
	if id == "" {
		return out, nil
	}
	for _, r := range d.runs {
		err := r.find(hashID(id), func(number uint64) error {
			e, err := d.entry(r, number)
			if err == nil {
				out.take(e)
			}
			return err
		})
		if err != nil {
			return Message{}, err
		}
	}
	out.sort()
	return out, nil
}

// A diskStream gives a node's entries block by block: those in [from, to)
// forwards, or those before to backwards.
type diskStream struct {
	disk      *Disk
	node      int
	part      int // the next to be read
	rest      []Event
	from, to  Position
	backwards bool
}

func (s *diskStream) next() (*Event, error) {
	for len(s.rest) == 0 {
		if err := s.load(); err != nil {
			return nil, err
		}
	}
	if s.backwards {
		last := len(s.rest) - 1
		e := &s.rest[last]
		s.rest = s.rest[:last]
		return e, nil
	}
	e := &s.rest[0]
	s.rest = s.rest[1:]
	return e, nil
}

// load reads the next block, of which nothing may be wanted; io.EOF if there is
// none.
func (s *diskStream) load() error {
	parts := s.disk.nodes[s.node]
	if s.part < 0 || s.part >= len(parts) || comparePlace(parts[s.part].ref().first, s.to, s.node) >= 0 {
		return io.EOF
	}
	entries, err := s.disk.block(parts[s.part])
	if err != nil {
		return err
	}
	end := split(entries, s.to)
	if s.backwards {
		s.part--
		s.rest = entries[:end]
		return nil
	}
	s.part++
	s.rest = entries[min(split(entries, s.from), end):end]
	return nil
}
