package recording

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"hindcast.dev/hlc"
	"hindcast.dev/vfs"
)

// snapshotTime is how rolling snapshots are named; the names sort like the times.
const snapshotTime = "20060102T150405.000000Z"

var snapshotName = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}\.[0-9]{6}Z$`)

// wholeBytesMin is how much the differences since a whole snapshot have at least,
// in bytes, before another whole one is taken.
const wholeBytesMin = 1 << 20

// A Roller takes one snapshot after the other into a directory, each but the first
// as what came since the one before. When these have become as large as the whole
// one that they build on, what a node has a later checkpoint of is taken whole.
type Roller struct {
	fs    vfs.FS
	dir   string
	addrs []string
	keep  int
	o     SnapshotOptions

	last  *Recording // nil if the next is to be whole
	depth int        // how many last builds on
	whole int64      // bytes of the whole one that last builds on
	since int64      // bytes of the differences since

	from map[string]uint64 // by node: the checkpoint that last begins with

	bases map[string]string // of the snapshots looked at: the name of the base, "" for none
}

// depthMax is after how many differences another whole one is taken at the latest.
const depthMax = ChainMax / 10

// NewRoller goes on in dir, which is made if need be, with a whole snapshot. It keeps
// the last keep snapshots; o.Base and o.At are its own.
func NewRoller(fsys vfs.FS, dir string, addrs []string, keep int, o SnapshotOptions) (*Roller, error) {
	if keep < 1 {
		return nil, fmt.Errorf("keep %d snapshots: want 1 at least", keep)
	}
	if err := vfs.MkdirSync(fsys, dir); err != nil {
		return nil, fmt.Errorf("snapshots: %w", err)
	}
	r := &Roller{fs: fsys, dir: dir, addrs: addrs, keep: keep, o: o, bases: map[string]string{}, from: map[string]uint64{}}
	_, err := r.Names()
	return r, err
}

// goOn makes the next snapshot a difference to rec, unless too many build on each other.
func (r *Roller) goOn(rec *Recording) (bytes int64, err error) {
	bytes, err = sizeOf(r.fs, path.Join(rec.dir, nodesName))
	if err != nil {
		r.last = nil
		return bytes, err
	}
	if rec.manifest.Snapshot.Base == "" {
		r.depth, r.whole, r.since = 0, bytes, 0
	} else {
		r.depth, r.since = r.depth+1, r.since+bytes
	}
	for _, n := range rec.manifest.Nodes {
		if n.Cut != nil && n.Cut.After == 0 {
			r.from[n.Name] = n.Cut.From
		}
	}
	if r.last = rec; r.depth >= depthMax {
		r.last = nil
	}
	return bytes, nil
}

// Names returns the snapshots there are, the oldest first. A directory that isn't
// there has none.
func (r *Roller) Names() ([]string, error) { return snapshotNames(r.fs, r.dir, "") }

func snapshotNames(fsys vfs.FS, dir, prefix string) ([]string, error) {
	names, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("snapshots: %w", err)
	}
	var out []string
	for _, n := range names {
		if base, ok := strings.CutPrefix(n, prefix); ok && snapshotName.MatchString(base) && Is(fsys, path.Join(dir, n)) {
			out = append(out, base)
		}
	}
	return out, nil
}

// A Rolled is a snapshot that a Roller took.
type Rolled struct {
	*Recording
	Bytes int64 // that it takes on disk, without what it builds on
	// Trouble is what kept the Roller from removing those that are too many; nil if
	// nothing did. Nothing that a kept one may need is removed then.
	Trouble error
}

// Take takes the next snapshot, and removes what there are too many.
func (r *Roller) Take(ctx context.Context) (*Rolled, error) {
	if r.last != nil && !Is(r.fs, r.last.dir) {
		r.last = nil // somebody removed it
	}
	o := r.o
	o.At, o.Base, o.Renew = hlc.FromTime(time.Now()), r.last, nil
	if r.since > max(r.whole, wholeBytesMin) {
		o.Renew = r.from
	}
	name := o.At.Time().UTC().Format(snapshotTime)
	rec, err := TakeSnapshot(ctx, r.fs, path.Join(r.dir, name), r.addrs, o)
	if err != nil {
		return nil, err
	}
	r.bases[name] = rec.manifest.Snapshot.Base
	out := &Rolled{Recording: rec}
	out.Bytes, err = r.goOn(rec)
	out.Trouble = errors.Join(err, r.prune())
	return out, nil
}

// prune removes the oldest beyond those that are kept. One that a kept one builds
// on is hidden instead, until none does. At every moment what is kept is whole. Of a
// kept one that can't be read nobody knows on what it builds: until it is gone too,
// nothing hidden is removed.
func (r *Roller) prune() error {
	names, err := r.Names()
	if err != nil {
		return err
	}
	kept := names[max(0, len(names)-r.keep):]
	needed := map[string]bool{}
	var trouble error
	for _, n := range slices.Backward(kept) {
		trouble = errors.Join(trouble, r.need(n, needed))
	}
	for _, n := range names[:len(names)-len(kept)] {
		if err := r.fs.Rename(path.Join(r.dir, n), path.Join(r.dir, hiddenPrefix+n)); err != nil {
			return fmt.Errorf("snapshots: %w", err)
		}
	}
	if trouble != nil {
		r.last = nil // the next doesn't build on what may be damaged
		return fmt.Errorf("old snapshots stay until this one is gone: %w; remove it, or wait until --keep later ones are there", trouble)
	}
	hidden, err := snapshotNames(r.fs, r.dir, hiddenPrefix)
	if err != nil {
		return err
	}
	for _, n := range slices.Backward(hidden) { // a later one builds on an earlier one
		if needed[n] {
			continue
		}
		gone := path.Join(r.dir, hiddenPrefix+n+partSuffix) // if this is cut short, the next one goes on
		if err := errors.Join(r.fs.Rename(path.Join(r.dir, hiddenPrefix+n), gone), vfs.RemoveAll(r.fs, gone)); err != nil {
			return fmt.Errorf("snapshots: %w", err)
		}
		delete(r.bases, n)
	}
	return r.fs.SyncDir(r.dir)
}

// need marks a snapshot and all that it builds on. What was looked at once isn't
// read again.
func (r *Roller) need(name string, needed map[string]bool) error {
	for name != "" && !needed[name] {
		needed[name] = true
		base, known := r.bases[name]
		if !known {
			rec, err := openBase(r.fs, r.dir, name)
			if err != nil {
				return err
			}
			if s := rec.manifest.Snapshot; s != nil {
				base = s.Base
			}
			r.bases[name] = base
		}
		name = base
	}
	return nil
}

// sizeOf is how many bytes the files in a directory have.
func sizeOf(fsys vfs.FS, dir string) (n int64, err error) {
	info, err := fsys.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil || !info.IsDir() {
		if err == nil {
			n = info.Size()
		}
		return n, err
	}
	names, err := fsys.ReadDir(dir)
	for _, name := range names {
		size, err := sizeOf(fsys, path.Join(dir, name))
		if err != nil {
			return 0, err
		}
		n += size
	}
	return n, err
}
