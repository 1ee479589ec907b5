package history

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"hindcast.dev/hlc"
)

// Fields are parts of an Event besides its Position, Base and Changes.
type Fields uint8

// The Fields of an Event.
const (
	FieldPhysical Fields = 1 << iota
	FieldKind            // Kind, Name and Machine
	FieldMessage         // ID and Peer
	FieldData
	FieldEffects

	AllFields = FieldPhysical | FieldKind | FieldMessage | FieldData | FieldEffects
)

// A Lens says what of a History a walk is to show. Events have the Fields and
// the Changes of the variables that it names, States the values of those
// variables; whatever else is in an event may be there or not. Every event and
// base of the walk comes, whatever it changes. The zero Lens shows when what
// happened and no more.
type Lens struct {
	All    bool // all variables
	Vars   []VarID
	Fields Fields
}

// whole reports whether the lens leaves nothing out.
func (l *Lens) whole() bool { return l.All && l.Fields == AllFields }

// A Narrow is a Source that saves work where a walk needn't show all. A Source
// that wraps another one passes it on with WalkThrough.
type Narrow interface {
	Source
	// WalkThrough is Walk, but shows at least what the lens asks for. An Event, its
	// Changes and Effects are valid until the next call of Next only; Values stay.
	WalkThrough(ctx context.Context, from, to Position, nodes []int, lens Lens) (Cursor, error)
}

// WalkThrough walks through a lens, whether or not src is Narrow. An Event is
// valid until the next call of Next only.
func WalkThrough(ctx context.Context, src Source, from, to Position, nodes []int, lens Lens) (Cursor, error) {
	if n, ok := src.(Narrow); ok {
		return n.WalkThrough(ctx, from, to, nodes, lens)
	}
	return src.Walk(ctx, from, to, nodes)
}

// A Wrapper is a Source around another one that has the same Meta and events.
type Wrapper interface {
	Unwrap() Source
}

// Unwrap returns the Source at the bottom of wrappers.
func Unwrap(src Source) Source {
	for {
		w, ok := src.(Wrapper)
		if !ok {
			return src
		}
		src = w.Unwrap()
	}
}

// WalkThrough implements Narrow: memory has all there is.
func (m *Mem) WalkThrough(ctx context.Context, from, to Position, nodes []int, _ Lens) (Cursor, error) {
	return m.Walk(ctx, from, to, nodes)
}

// WalkThrough implements Narrow. It reads the columns that the lens needs, entry
// by entry, and keeps one block of each node.
func (d *Disk) WalkThrough(ctx context.Context, from, to Position, nodes []int, lens Lens) (Cursor, error) {
	if lens.whole() {
		return d.Walk(ctx, from, to, nodes)
	}
	chosen, err := d.meta.chosen(nodes)
	if err != nil {
		return nil, err
	}
	var want []bool
	if !lens.All {
		want = make([]bool, len(d.meta.Vars))
		for _, v := range lens.Vars {
			if int(v) < len(want) {
				want[v] = true
			}
		}
	}
	c := &narrowCursor{ctx: ctx, states: make([]*State, len(d.nodes)), to: to}
	streams := make([]*narrowStream, len(chosen))
	for i, n := range chosen {
		streams[i] = &narrowStream{disk: d, node: n, look: look{want: want, fields: lens.Fields}}
	}
	if err := c.start(streams, from); err != nil {
		return nil, err
	}
	return c, c.begin(streams)
}

// start finds the states just before from, by several goroutines if there are many
// nodes: each takes a block, and maybe a base, to be read.
func (c *narrowCursor) start(streams []*narrowStream, from Position) error {
	workers := max(1, min(runtime.GOMAXPROCS(0), len(streams)/startNodes))
	errs := make([]error, workers)
	var next atomic.Int64
	work := func(worker int) {
		var scratch []byte
		var spare *blockReader
		for {
			i := int(next.Add(1)) - 1
			if i >= len(streams) || errs[worker] != nil {
				return
			}
			s := streams[i]
			s.scratch, s.reader = &scratch, spare
			c.states[s.node], errs[worker] = s.start(c.ctx, from)
			if s.scratch, spare = &c.scratch, nil; from.Compare(c.to) >= 0 { // nothing follows
				if s.reader != nil {
					s.reader.left = 0
				}
				s.reader, spare = nil, s.reader
			}
		}
	}
	var wait sync.WaitGroup
	for worker := 1; worker < workers; worker++ {
		wait.Go(func() { work(worker) })
	}
	work(0)
	wait.Wait()
	return errors.Join(errs...)
}

// startNodes is for how many nodes a goroutine is worth while.
const startNodes = 8

// A look is what of a run's blocks is read.
type look struct {
	want   []bool // by the History's VarID; nil: all
	fields Fields
}

func (l *look) wants(v VarID) bool { return l.want == nil || l.want[v] }

// touches reports whether a block may change a variable that is wanted.
func (l *look) touches(r *diskRun, block int) bool {
	ref := &r.dir.blocks[block]
	return ref.more || slices.ContainsFunc(ref.stats, func(s blockStat) bool { return l.wants(r.vars[s.id]) })
}

// A narrowStream gives a node's entries through a lens.
type narrowStream struct {
	disk    *Disk
	node    int
	part    int // the next to be read
	look    look
	reader  *blockReader // nil: none was read yet
	event   Event        // handed out, until the next is read
	changes []Change
	effects []Effect
	scratch *[]byte
}

// start finds the state just before from, nil if no entry is, and what follows it.
func (s *narrowStream) start(ctx context.Context, from Position) (*State, error) {
	parts := s.disk.nodes[s.node]
	i := s.disk.before(s.node, from)
	if i < 0 {
		return nil, nil
	}
	run, begin := parts[i].run, 0
	base := parts[i].ref().base
	if base >= 0 {
		begin = run.dir.bases[base].block
	}
	state, err := run.base(base, &s.look)
	if err != nil {
		return nil, err
	}
	s.part = i - (parts[i].block - begin)
	for ; s.part <= i; s.part++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if s.part < i && !s.look.touches(run, parts[s.part].block) {
			continue
		}
		if err := s.open(); err != nil {
			return nil, err
		}
		for s.reader.left > 0 {
			if s.reader.peek().Compare(from) >= 0 {
				s.part++
				return state, nil
			}
			e, err := s.take()
			if err != nil {
				return nil, err
			}
			state.ApplyAll(e.Changes)
		}
	}
	return state, nil
}

// open opens the block of the next part.
func (s *narrowStream) open() (err error) {
	p := s.disk.nodes[s.node][s.part]
	s.reader, err = p.run.reader(p.block, &s.look, s.reader, s.scratch)
	return err
}

// peek returns the time of the next entry, ok is false after the last that begins
// before to.
func (s *narrowStream) peek(to Position) (t hlc.Timestamp, ok bool, err error) {
	for s.reader == nil || s.reader.left == 0 {
		parts := s.disk.nodes[s.node]
		if s.part >= len(parts) || comparePlace(parts[s.part].ref().first, to, s.node) >= 0 {
			return 0, false, nil
		}
		if err := s.open(); err != nil {
			return 0, false, err
		}
		s.part++
	}
	p := s.reader.peek()
	return p.Time, p.Time < to.Time || p.Compare(to) < 0, nil
}

// take reads the next entry, of which there must be one. It is valid until the next
// is read.
func (s *narrowStream) take() (*Event, error) {
	return &s.event, s.reader.next(&s.event, &s.effects, &s.changes)
}
