package history

import (
	"errors"
	"path"
	"slices"
	"sort"

	"github.com/klauspost/compress/zstd"

	"hindcast.dev/event"
	"hindcast.dev/vfs"
)

// A diskRun reads one run.
type diskRun struct {
	*runFile
	closer vfs.File
	dir    *directory
	node   int     // in Meta
	vars   []VarID // the run's → the History's
}

// openRun opens the run that the manifest names and reads its directory.
func openRun(fsys vfs.FS, dir string, m manifestRun, dec *zstd.Decoder) (*diskRun, error) {
	file, closer, err := openRunFile(fsys, path.Join(dir, m.File), dec)
	if err != nil {
		return nil, err
	}
	r := &diskRun{runFile: file, closer: closer}
	if err := r.open(m); err != nil {
		return nil, errors.Join(err, closer.Close())
	}
	return r, nil
}

func (r *diskRun) open(m manifestRun) error {
	if err := r.header(); err != nil {
		return err
	}
	switch {
	case r.size < m.Bytes:
		return r.fail(r.size, ErrTruncated, "want %d bytes", m.Bytes)
	case r.size > m.Bytes:
		return r.fail(m.Bytes, ErrCorrupt, "the file has %d bytes, want %d", r.size, m.Bytes)
	}
	off, err := r.trailer()
	if err != nil {
		return err
	}
	s, err := r.section(off, sectionDirectory)
	if err != nil {
		return err
	}
	if r.dir, err = decodeDirectory(s.raw, off); err != nil {
		return r.fail(off, ErrCorrupt, "the directory can't be read: %v", err)
	}
	if r.dir.node.Name != m.Node || s.crc != m.Directory {
		return r.fail(off, ErrCorrupt, "this is a run of node %q, not the one of node %q that the manifest names", r.dir.node.Name, m.Node)
	}
	return nil
}

// entries decodes block number i.
func (r *diskRun) entries(i int) ([]Event, error) {
	ref := &r.dir.blocks[i]
	s, err := r.section(ref.offset, sectionBlock)
	if err != nil {
		return nil, err
	}
	if s.size != ref.size || s.count != ref.entries {
		return nil, r.fail(ref.offset, ErrCorrupt, "a block of %d bytes and %d entries, the directory says %d and %d", s.size, s.count, ref.size, ref.entries)
	}
	b := blockDecoder{node: r.node, words: r.dir.words, vars: r.vars}
	out, err := b.decode(s.raw, s.count)
	if err != nil {
		return nil, r.fail(ref.offset, ErrCorrupt, "a block can't be read: %v", err)
	}
	first, last := out[0].Position, out[len(out)-1].Position
	if first.Time != ref.first.Time || first.Seq != ref.first.Seq || last.Time != ref.last.Time || last.Seq != ref.last.Seq {
		return nil, r.fail(ref.offset, ErrCorrupt, "a block's entries are not those that the directory names")
	}
	return out, nil
}

// base reads base number i into a new State; -1 is that of a run's beginning,
// where nothing is set.
func (r *diskRun) base(i int) (*State, error) {
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
			if d.err == nil {
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

// page reads a page of references.
func (r *diskRun) page(p refPage) ([]ref, error) {
	s, err := r.section(p.offset, sectionRefs)
	if err != nil {
		return nil, err
	}
	refs, err := decodeRefs(s.raw, s.count)
	if err != nil || s.size != p.size || len(refs) == 0 || refs[0].hash != p.first {
		return nil, r.fail(p.offset, ErrCorrupt, "a page of references can't be read (%v)", err)
	}
	return refs, nil
}

// find calls yield with the numbers of the entries that have to do with a hash.
func (r *diskRun) find(hash uint64, yield func(entry uint64) error) error {
	for _, seq := range r.dir.refs {
		i := max(0, sort.Search(len(seq), func(i int) bool { return seq[i].first >= hash })-1)
		for ; i < len(seq) && seq[i].first <= hash; i++ {
			refs, err := r.page(seq[i])
			if err != nil {
				return err
			}
			at, _ := slices.BinarySearchFunc(refs, ref{hash: hash}, compareRefs)
			for ; at < len(refs) && refs[at].hash == hash; at++ {
				if err := yield(refs[at].entry); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// blockOf returns the block that holds an entry, by its number in the run, and
// its place there.
func (r *diskRun) blockOf(entry uint64) (block, at int, ok bool) {
	blocks := r.dir.blocks
	i := sort.Search(len(blocks), func(i int) bool { return blocks[i].number > entry }) - 1
	if i < 0 || entry-blocks[i].number >= uint64(blocks[i].entries) {
		return 0, 0, false
	}
	return i, int(entry - blocks[i].number), true
}
