package history

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"hindcast.dev/event"
)

// A blockReader reads the entries of one block, one after the other.
type blockReader struct {
	run   *diskRun
	block int
	table *blockTable
	dec   blockDecoder
	left  int      // entries
	bufs  [][]byte // by column: raw bytes, kept for the next block
}

// reader opens a block for reading through a lens. It takes over what an earlier
// reader, if there is one, has in memory; scratch is for the stored bytes, which
// no reader keeps.
func (r *diskRun) reader(i int, l *look, old *blockReader, scratch *[]byte) (*blockReader, error) {
	b := old
	if b == nil {
		b = &blockReader{}
	}
	b.run, b.block = r, i
	var err error
	if b.table, err = r.table(i, scratch); err != nil {
		return nil, err
	}
	b.left = b.table.count
	b.dec.begin(r, b.table, l)
	b.dec.reuse = true
	if err := b.load(); err != nil {
		return nil, err
	}
	return b, nil
}

// table reads a block's stored bytes and its table.
func (r *diskRun) table(i int, scratch *[]byte) (*blockTable, error) {
	ref := &r.dir.blocks[i]
	head, stored, err := r.head(ref.offset)
	if err != nil {
		return nil, err
	}
	if cap(*scratch) < stored {
		*scratch = make([]byte, stored+stored/4)
	}
	body := (*scratch)[:stored]
	if err := r.readInto(body, ref.offset+headSize); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	n, count := int64(le.Uint32(head[8:])), int(le.Uint32(head[12:]))
	if n > int64(stored) || crc32.Update(crc32.Checksum(head[:16], castagnoli), castagnoli, body[:n]) != sectionCRC(head) {
		return nil, r.fail(ref.offset, ErrCorrupt, "the checksum of a block's table differs")
	}
	if head[0] != sectionBlock || head[1] != codecColumns || head[2] != 0 || head[3] != 0 {
		return nil, r.fail(ref.offset, ErrCorrupt, "want a block by columns, found kind %d, codec %d", head[0], head[1])
	}
	if size := headSize + stored; size != ref.size || count != ref.entries {
		return nil, r.fail(ref.offset, ErrCorrupt, "a block of %d bytes and %d entries, the directory says %d and %d", size, count, ref.size, ref.entries)
	}
	t, err := decodeTable(body[:n], body[n:], count, len(r.vars))
	if err != nil {
		return nil, r.fail(ref.offset, ErrCorrupt, "a block's table can't be read: %v", err)
	}
	if t.first.Time != ref.first.Time || t.first.Seq != ref.first.Seq {
		return nil, r.fail(ref.offset, ErrCorrupt, "a block's entries are not those that the directory names")
	}
	return t, nil
}

// begin makes the decoder ready for a block's columns.
func (b *blockDecoder) begin(r *diskRun, t *blockTable, l *look) {
	b.words, b.fields, b.changes = r.dir.words, l.fields, false
	b.vars, b.forms = b.vars[:0], b.forms[:0]
	for _, v := range t.vars {
		id := r.vars[v.id]
		if !l.wants(id) {
			id = noVar
		}
		b.changes = b.changes || id != noVar
		b.vars, b.forms = append(b.vars, id), append(b.forms, v.form)
	}
	b.changes = b.changes || l.want == nil
	b.ints = slices.Grow(b.ints[:0], len(t.vars))[:len(t.vars)]
	clear(b.ints)
	b.line.begin(Position{Time: t.first.Time, Node: r.node, Seq: t.first.Seq}, t.count)
	b.cols = slices.Grow(b.cols[:0], len(t.cols))[:len(t.cols)]
	clear(b.cols)
}

// needs reports whether a column is to be loaded.
func (b *blockDecoder) needs(col int) bool {
	switch col {
	case colFlags, colTime, colLogical, colSeq:
		return true
	case colChanges, colTargets:
		return b.changes
	case colPhysical:
		return b.fields&FieldPhysical != 0
	case colKind, colName, colMachine:
		return b.fields&FieldKind != 0
	case colPeer, colID:
		return b.fields&FieldMessage != 0
	case colData:
		return b.fields&FieldData != 0
	case colEffects, colEffectWords, colEffectID, colEffectData:
		return b.fields&FieldEffects != 0
	}
	return b.vars[(col-columns)/2] != noVar
}

// load brings the columns that are needed into memory.
func (b *blockReader) load() error {
	for len(b.bufs) < len(b.table.cols) {
		b.bufs = append(b.bufs, nil)
	}
	for i := range b.table.cols {
		if !b.dec.needs(i) {
			continue
		}
		raw, err := b.column(i)
		if err != nil {
			return err
		}
		b.bufs[i] = raw
		b.dec.cols[i] = decoder{b: raw}
	}
	if len(b.dec.cols[colFlags].b) != b.table.count {
		return b.fail(errNumber)
	}
	return nil
}

// column returns the raw bytes of a column.
func (b *blockReader) column(i int) ([]byte, error) {
	c, t := &b.table.cols[i], b.table
	stored := t.body[c.at : c.at+c.stored]
	if c.stored > 0 && t.sum(c) != c.crc {
		return nil, b.bad(c, "the checksum of a column of %d bytes differs", c.stored)
	}
	raw := b.bufs[i][:0]
	if cap(raw) < c.raw {
		raw = make([]byte, 0, c.raw)
	}
	switch {
	case c.stored == 0:
		return raw, nil
	case c.codec == codecRaw:
		return append(raw, stored...), nil
	case c.codec == codecRepeat:
		raw = raw[:c.raw]
		for i := range raw {
			raw[i] = stored[0]
		}
		return raw, nil
	}
	raw, err := b.run.dec.DecodeAll(stored, raw[:0:c.raw])
	if err != nil || len(raw) != c.raw {
		return nil, b.bad(c, "a column doesn't decompress to %d bytes (%v)", c.raw, err)
	}
	return raw, nil
}

// bad is the error about a column's stored bytes.
func (b *blockReader) bad(c *column, format string, args ...any) error {
	ref := &b.run.dir.blocks[b.block]
	at := ref.offset + int64(ref.size-len(b.table.body)+c.at)
	return b.run.fail(at, ErrCorrupt, format, args...)
}

// fail is the error about what the columns say.
func (b *blockReader) fail(err error) error {
	return b.run.fail(b.run.dir.blocks[b.block].offset, ErrCorrupt, "a block can't be read: %v", err)
}

// peek returns the position of the next entry, of which there must be one. What is
// wrong with it is told by next.
func (b *blockReader) peek() Position { return b.dec.line.peek(b.dec.cols) }

// next reads the next entry, of which there must be one, into e, and what it has
// of effects and changes into theirs: there it stays until the next one.
func (b *blockReader) next(e *Event, effects *[]Effect, changes *[]Change) error {
	b.dec.entry(e, effects, changes)
	if b.left--; b.left > 0 {
		return nil
	}
	if err := b.dec.end(); err != nil {
		return b.fail(err)
	}
	if last := b.run.dir.blocks[b.block].last; e.Time != last.Time || e.Seq != last.Seq {
		return b.run.fail(b.run.dir.blocks[b.block].offset, ErrCorrupt, "a block's entries are not those that the directory names")
	}
	return nil
}

// entries decodes a whole block.
func (r *diskRun) entries(i int) ([]Event, error) {
	var scratch []byte
	b, err := r.reader(i, &look{fields: AllFields}, nil, &scratch)
	if err != nil {
		return nil, err
	}
	out := make([]Event, b.table.count)
	var effects []Effect
	var changes []Change
	b.dec.reuse = false
	for i := range out {
		b.dec.entry(&out[i], &effects, &changes)
	}
	if err := b.dec.end(); err != nil {
		return nil, b.fail(err)
	}
	last := r.dir.blocks[i].last
	if e := &out[len(out)-1]; e.Time != last.Time || e.Seq != last.Seq {
		return nil, r.fail(r.dir.blocks[i].offset, ErrCorrupt, "a block's entries are not those that the directory names")
	}
	return out, nil
}

// base reads base number i into a new State, as far as it is wanted; -1 is that
// of a run's beginning, where nothing is set.
func (r *diskRun) base(i int, l *look) (*State, error) {
	s := NewState()
	if i < 0 {
		return s, nil
	}
	ref := &r.dir.bases[i]
	off := ref.offset
	g := gatherer{s: s}
	for range ref.sections {
		part, err := r.section(off, sectionBase)
		if err != nil {
			return nil, err
		}
		d := &decoder{b: part.raw}
		for range part.count {
			if d.err != nil {
				break
			}
			c := d.target(r.vars)
			c.Value = d.value(0)
			if d.err == nil && l.wants(c.Var) {
				g.apply(&c)
			}
		}
		if err := d.end(); err != nil {
			return nil, r.fail(off, ErrCorrupt, "a base can't be read: %v", err)
		}
		off += int64(part.size)
	}
	g.end()
	if off != ref.offset+ref.size {
		return nil, r.fail(ref.offset, ErrCorrupt, "a base of %d bytes, the directory says %d", off-ref.offset, ref.size)
	}
	return s, nil
}

// A gatherer applies the changes of a base: the entries of a large map, which
// come one after the other, at once.
type gatherer struct {
	s       *State
	v       VarID // whose entries are gathered, if open
	open    bool
	entries []event.Entry
}

func (g *gatherer) apply(c *Change) {
	if g.open && c.Var == g.v && len(c.Path) == 1 {
		g.entries = append(g.entries, event.Entry{Key: c.Path[0], Value: c.Value})
		return
	}
	g.end()
	g.s.Apply(c)
	g.v, g.open = c.Var, len(c.Path) == 0 && c.Value.Type() == event.TypeMap && c.Value.Len() == 0
}

func (g *gatherer) end() {
	if len(g.entries) > 0 {
		g.s.Set(g.v, event.MapOf(event.NewMap(g.entries...)))
	}
	g.open, g.entries = false, g.entries[:0]
}
