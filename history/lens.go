package history

import (
	"context"
	"slices"
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
	for _, n := range chosen {
		s := &narrowStream{disk: d, node: n, look: look{want: want, fields: lens.Fields}, scratch: &c.scratch}
		if c.states[n], err = s.start(ctx, from); err != nil {
			return nil, err
		}
		if err := c.push(s); err != nil {
			return nil, err
		}
	}
	for i := len(c.heap)/2 - 1; i >= 0; i-- {
		c.sink(i)
	}
	return c, nil
}

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
	events  [2]Event     // by turns: one is handed out while the next is read
	changes [2][]Change
	effects [2][]Effect
	turn    int
	first   *Event // read already
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
			e, err := s.read()
			if err != nil {
				return nil, err
			}
			if e.Position.Compare(from) >= 0 {
				s.first = e
				s.part++
				return state, nil
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

// read reads the reader's next entry.
func (s *narrowStream) read() (*Event, error) {
	s.turn ^= 1
	e := &s.events[s.turn]
	return e, s.reader.next(e, &s.effects[s.turn], &s.changes[s.turn])
}

// next returns the next entry, valid until the next but one is asked for; nil
// after the last that begins before to.
func (s *narrowStream) next(to Position) (*Event, error) {
	e, err := s.first, error(nil)
	s.first = nil
	for e == nil {
		if s.reader != nil && s.reader.left > 0 {
			if e, err = s.read(); err != nil {
				return nil, err
			}
			break
		}
		parts := s.disk.nodes[s.node]
		if s.part >= len(parts) || comparePlace(parts[s.part].ref().first, to, s.node) >= 0 {
			return nil, nil
		}
		if err := s.open(); err != nil {
			return nil, err
		}
		s.part++
	}
	if e.Position.Compare(to) >= 0 {
		return nil, nil
	}
	return e, nil
}
