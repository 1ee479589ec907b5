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
// one that they build on, another whole one is taken.
type Roller struct {
	fs    vfs.FS
	dir   string
	addrs []string
	keep  int
	o     SnapshotOptions

	last  *Recording // nil if the next is to be whole
	whole int64      // bytes of the whole one that last builds on
	since int64      // bytes of the differences since
}

// NewRoller goes on in dir, which is made if need be. It keeps the last keep
// snapshots; o.Base and o.At are its own.
func NewRoller(fsys vfs.FS, dir string, addrs []string, keep int, o SnapshotOptions) (*Roller, error) {
	if keep < 1 {
		return nil, fmt.Errorf("keep %d snapshots: want 1 at least", keep)
	}
	if err := vfs.MkdirSync(fsys, dir); err != nil {
		return nil, fmt.Errorf("snapshots: %w", err)
	}
	r := &Roller{fs: fsys, dir: dir, addrs: addrs, keep: keep, o: o}
	names, err := r.Names()
	if err != nil || len(names) == 0 {
		return r, err
	}
	if last, err := Open(fsys, path.Join(dir, names[len(names)-1])); err == nil {
		// One that can't be gone on with is followed by a whole one.
		_ = r.goOn(last)
	}
	return r, nil
}

// goOn makes the next snapshot a difference to last.
func (r *Roller) goOn(last *Recording) error {
	chain, err := last.Chain()
	if err != nil {
		return err
	}
	r.last, r.whole, r.since = last, 0, 0
	for i, c := range chain {
		n, err := sizeOf(r.fs, path.Join(c.dir, nodesName))
		if err != nil {
			r.last = nil
			return err
		}
		if i == 0 {
			r.whole = n
		} else {
			r.since += n
		}
	}
	if r.since > max(r.whole, wholeBytesMin) || len(chain) >= ChainMax/10 {
		r.last = nil
	}
	return nil
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

// Take takes the next snapshot, and removes what there are too many.
func (r *Roller) Take(ctx context.Context) (*Recording, error) {
	o := r.o
	o.At, o.Base = hlc.FromTime(time.Now()), r.last
	name := o.At.Time().UTC().Format(snapshotTime)
	rec, err := TakeSnapshot(ctx, r.fs, path.Join(r.dir, name), r.addrs, o)
	if err != nil {
		return nil, err
	}
	if err := r.goOn(rec); err != nil {
		return rec, fmt.Errorf("snapshot %s: %w", name, err)
	}
	return rec, r.prune()
}

// prune removes the oldest beyond those that are kept. One that a kept one builds
// on is hidden instead, until none does. At every moment what is kept is whole.
func (r *Roller) prune() error {
	names, err := r.Names()
	if err != nil {
		return err
	}
	kept := names[max(0, len(names)-r.keep):]
	needed := map[string]bool{}
	for _, n := range slices.Backward(kept) {
		if needed[n] {
			continue // by a later one, and so is all that it needs
		}
		rec, err := Open(r.fs, path.Join(r.dir, n))
		if err != nil {
			return err
		}
		chain, err := rec.Chain()
		if err != nil {
			return err
		}
		for _, c := range chain {
			needed[strings.TrimPrefix(path.Base(c.dir), hiddenPrefix)] = true
		}
	}
	for _, n := range names[:len(names)-len(kept)] {
		if err := r.fs.Rename(path.Join(r.dir, n), path.Join(r.dir, hiddenPrefix+n)); err != nil {
			return fmt.Errorf("snapshots: %w", err)
		}
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
	}
	return r.fs.SyncDir(r.dir)
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
