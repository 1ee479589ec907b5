package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/vfs"
)

// A runWriter is the NodeWriter of a DiskWriter.
type runWriter struct {
	w      *DiskWriter
	name   string // the file's, in the directory
	file   vfs.File
	offset int64
	buf    []byte // a section on its way
	ledger *ledger
	state  *State // after the last entry

	block    blockEncoder
	stats    blockStats // of the block
	first    Position   // of the block
	blockAt  uint64     // number of the block's first entry in the run
	vars     []runVar   // what is counted of the ledger's variables
	dir      directory
	refs     []ref
	baseSize int64 // of the last base, stored raw
	since    int64 // bytes of changes since

	err    error
	closed bool
	crc    uint32 // of the directory, once closed
}

// begin writes the header and, where the node goes on, the state it had.
func (r *runWriter) begin() error {
	r.buf = appendHeader(r.buf[:0])
	if err := r.write(); err != nil {
		return err
	}
	if r.w.old == nil {
		return nil
	}
	last, state, err := r.w.old.end(r.ledger.node.Name)
	if err != nil || state == nil {
		return err
	}
	meta := r.w.old.Meta()
	for _, id := range state.Vars() {
		r.state.Set(r.ledger.varID(meta.Vars[id].Name), state.Get(id))
	}
	r.ledger.any, r.ledger.last = true, last
	return r.writeBase()
}

// write writes buf at the end of the file.
func (r *runWriter) write() error {
	if _, err := r.file.WriteAt(r.buf, r.offset); err != nil {
		return fmt.Errorf("%s: %w", r.file.Name(), err)
	}
	r.offset += int64(len(r.buf))
	return nil
}

// section writes one section and returns its offset.
func (r *runWriter) section(kind byte, count int, raw []byte) (offset int64, err error) {
	offset = r.offset
	if r.buf, err = r.w.codec.appendSection(r.buf[:0], kind, count, raw); err != nil {
		return 0, fmt.Errorf("node %s: %w", r.ledger.node.Name, err)
	}
	return offset, r.write()
}

// Var implements NodeWriter.
func (r *runWriter) Var(name string) VarID { return r.ledger.varID(name) }

// Base implements NodeWriter.
func (r *runWriter) Base(seq uint64, at hlc.Timestamp, vars []Change) error {
	if r.err != nil {
		return r.err
	}
	e := Event{Position: Position{Time: at, Seq: seq}, Base: true, Kind: KindBase}
	if r.err = r.ledger.base(e.Position, vars); r.err != nil {
		return r.err
	}
	e.Changes = baseChanges(r.state, vars)
	r.err = r.add(&e)
	return r.err
}

// Append implements NodeWriter.
func (r *runWriter) Append(e *Event) error {
	if r.err != nil {
		return r.err
	}
	if r.err = r.ledger.event(e); r.err != nil {
		return r.err
	}
	kept := *e
	kept.Base, kept.Kind = false, cmp.Or(e.Kind, kindSet)
	r.err = r.add(&kept)
	return r.err
}

// add adds an entry to the block, before which it may write the last one.
func (r *runWriter) add(e *Event) error {
	switch {
	case r.since >= max(r.baseSize, int64(r.w.opts.BaseBytes)):
		if err := r.flush(); err != nil {
			return err
		}
		if err := r.writeBase(); err != nil {
			return err
		}
	case r.block.size() >= r.w.opts.BlockBytes || r.block.count == blockEntriesMax:
		if err := r.flush(); err != nil {
			return err
		}
	}
	if r.block.count == 0 {
		r.first = e.Position
	}
	number := r.blockAt + uint64(r.block.count)
	r.since += int64(r.block.add(e))
	if e.Base {
		r.stats.bases++
	}
	for i := range e.Changes {
		c := &e.Changes[i]
		old := r.state.Get(c.Var)
		r.state.Apply(c)
		r.stats.note(c.Var, old, r.state.Get(c.Var))
	}
	r.countVars(e)
	r.refs = appendRefs(r.refs, e, number)
	if len(r.refs) >= r.w.opts.Refs {
		return r.writeRefs()
	}
	return nil
}

func (r *runWriter) countVars(e *Event) {
	for len(r.vars) < len(r.ledger.vars) {
		r.vars = append(r.vars, runVar{name: r.ledger.vars[len(r.vars)]})
	}
	for i := range e.Changes {
		v := &r.vars[e.Changes[i].Var]
		v.types |= typeBit(r.state.Get(e.Changes[i].Var).Type())
		if !e.Base {
			v.changes++
		}
	}
}

// flush writes the block.
func (r *runWriter) flush() error {
	n := r.block.count
	if n == 0 {
		return nil
	}
	last := r.block.last
	offset := r.offset
	var err error
	if r.buf, err = r.block.appendTo(r.buf[:0], r.w.codec); err != nil {
		return fmt.Errorf("node %s: %w", r.ledger.node.Name, err)
	}
	if err := r.write(); err != nil {
		return err
	}
	ref := blockRef{offset: offset, size: int(r.offset - offset), entries: n, first: r.first, last: last, base: len(r.dir.bases) - 1}
	r.stats.finish(&ref)
	r.dir.blocks = append(r.dir.blocks, ref)
	r.blockAt += uint64(n)
	return nil
}

// writeBase writes all variables, in sections of about a block's size.
func (r *runWriter) writeBase() error {
	base := baseRef{offset: r.offset, block: len(r.dir.blocks)}
	var raw []byte
	count, total := 0, int64(0)
	write := func() error {
		_, err := r.section(sectionBase, count, raw)
		base.sections++
		total += int64(len(raw))
		raw, count = raw[:0], 0
		return err
	}
	for _, id := range r.state.Vars() {
		err := r.baseParts(id, func(c Change) error {
			raw = appendValue(appendTarget(raw, &c), c.Value)
			if count++; len(raw) >= r.w.opts.BlockBytes {
				return write()
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if count > 0 || base.sections == 0 {
		if err := write(); err != nil {
			return err
		}
	}
	base.size = r.offset - base.offset
	r.dir.bases = append(r.dir.bases, base)
	r.baseSize, r.since = total, 0
	return nil
}

// baseMapMax is the number of entries up to which a base holds a map in one
// piece.
const baseMapMax = 256

// baseParts gives the changes that set a variable to what it is: a large map
// entry by entry.
func (r *runWriter) baseParts(id VarID, emit func(Change) error) error {
	v := r.state.Get(id)
	if v.Type() != event.TypeMap || v.Len() <= baseMapMax {
		return emit(Change{Var: id, Value: v})
	}
	if err := emit(Change{Var: id, Value: event.MapOf(nil)}); err != nil {
		return err
	}
	for k, x := range v.AsMap().All() {
		if err := emit(Change{Var: id, Path: []event.Value{k}, Value: x}); err != nil {
			return err
		}
	}
	return nil
}

// writeRefs writes one sequence of references.
func (r *runWriter) writeRefs() error {
	refs := sortRefs(r.refs)
	var seq refSequence
	for page := range slices.Chunk(refs, refPageMax) {
		offset, err := r.section(sectionRefs, len(page), encodeRefs(page))
		if err != nil {
			return err
		}
		seq = append(seq, refPage{offset, int(r.offset - offset), page[0].hash})
	}
	if len(seq) > 0 {
		r.dir.refs = append(r.dir.refs, seq)
	}
	r.refs = r.refs[:0]
	return nil
}

// Unknown implements NodeWriter.
func (r *runWriter) Unknown(s Span, reason string) error {
	if r.err == nil {
		r.err = checkSpan(r.ledger.node.Name, s)
	}
	if r.err == nil {
		r.ledger.unknown(s, reason)
	}
	return r.err
}

// Bulky implements NodeWriter.
func (r *runWriter) Bulky(v VarID, from hlc.Timestamp) error {
	if r.err == nil {
		r.err = r.ledger.bulky(v, from)
	}
	return r.err
}

// Close implements NodeWriter: the run is complete and durable, but for its name.
func (r *runWriter) Close() error {
	if r.closed {
		return r.err
	}
	r.closed = true
	if r.err == nil {
		r.err = r.end()
	}
	if err := r.file.Close(); r.err == nil {
		r.err = err
	}
	err := r.err
	r.err = cmp.Or(r.err, errClosed)
	r.state, r.refs, r.buf = nil, nil, nil
	return err
}

// end writes what comes after the last block.
func (r *runWriter) end() error {
	if err := r.flush(); err != nil {
		return err
	}
	if err := r.writeRefs(); err != nil {
		return err
	}
	r.countVars(&Event{})
	r.dir.node, r.dir.words, r.dir.vars = r.ledger.finish(), r.block.dict.words, r.vars
	for _, v := range slices.Sorted(maps.Keys(r.ledger.large)) {
		r.dir.bulky = append(r.dir.bulky, runBulky{v, r.ledger.large[v]})
	}
	offset, err := r.section(sectionDirectory, 0, r.dir.encode())
	if err != nil {
		return err
	}
	r.crc = sectionCRC(r.buf)
	r.buf = appendTrailer(r.buf[:0], offset, int(r.offset-offset))
	if err := r.write(); err != nil {
		return err
	}
	return r.file.Sync()
}
