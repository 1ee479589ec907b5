package history

import (
	"errors"
	"path"
	"slices"
	"sort"

	"github.com/klauspost/compress/zstd"

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
