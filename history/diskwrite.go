package history

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"hindcast.dev/vfs"
)

// DiskOptions say how a History is written to disk. The zero value works.
type DiskOptions struct {
	BlockBytes int // raw bytes of a block, about; 0 is 128 KiB
	BaseBytes  int // changes between two bases at least, in bytes; 0 is 64 KiB
	Refs       int // message ids sorted at once; 0 is 2¹⁸
}

func (o *DiskOptions) defaults() {
	o.BlockBytes = cmp.Or(o.BlockBytes, 128<<10)
	o.BaseBytes = cmp.Or(o.BaseBytes, 64<<10)
	o.Refs = cmp.Or(o.Refs, refsMax)
}

// A DiskWriter writes a History to disk, or adds to one: FORMAT.md. It is a
// Writer; nothing of what it wrote is there for readers before Finish returned
// nil. It ends with Finish or Discard.
type DiskWriter struct {
	fsys  vfs.FS
	dir   string
	opts  DiskOptions
	codec *compressor
	lock  io.Closer
	old   *Disk // what is added to, nil if it is a new History

	mu     sync.Mutex // guards what follows
	number int        // of the last file
	runs   []*runWriter
	nodes  map[string]bool // begun by this writer
	done   bool
}

const (
	manifestName = "manifest.json"
	runPrefix    = "run-"
	lockName     = "lock"
)

// CreateDisk begins a History in dir, which is made if need be. A History that
// is there already is an error that wraps fs.ErrExist, another writer one that
// wraps vfs.ErrLocked; the leavings of one that didn't finish are removed.
func CreateDisk(fsys vfs.FS, dir string, opts DiskOptions) (*DiskWriter, error) {
	if err := makeDir(fsys, dir); err != nil {
		return nil, err
	}
	w, err := newDiskWriter(fsys, dir, opts)
	if err != nil {
		return nil, err
	}
	if err := w.clear(); err != nil {
		return nil, errors.Join(err, w.lock.Close())
	}
	return w, nil
}

// clear makes sure that there is no History yet, nor parts of one.
func (w *DiskWriter) clear() error {
	if _, err := w.fsys.Stat(path.Join(w.dir, manifestName)); err == nil {
		return fmt.Errorf("%s holds a History already: remove the directory, or choose another: %w", w.dir, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	names, err := w.fsys.ReadDir(w.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, runPrefix) {
			if err := w.fsys.Remove(path.Join(w.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// ExtendDisk adds runs to the History in dir: nodes that came late, and what
// happened later on nodes that it has.
func ExtendDisk(fsys vfs.FS, dir string, opts DiskOptions) (*DiskWriter, error) {
	w, err := newDiskWriter(fsys, dir, opts)
	if err != nil {
		return nil, err
	}
	if w.old, err = OpenDisk(fsys, dir); err != nil {
		return nil, errors.Join(err, w.lock.Close())
	}
	for _, r := range w.old.manifest.Runs {
		var n int
		if _, err := fmt.Sscanf(r.File, runPrefix+"%d", &n); err == nil {
			w.number = max(w.number, n)
		}
	}
	return w, nil
}

// newDiskWriter takes the directory's lock, until Finish or Discard.
func newDiskWriter(fsys vfs.FS, dir string, opts DiskOptions) (*DiskWriter, error) {
	opts.defaults()
	codec, err := newCompressor()
	if err != nil {
		return nil, err
	}
	lock, err := fsys.Lock(path.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	return &DiskWriter{fsys: fsys, dir: dir, opts: opts, codec: codec, lock: lock, nodes: map[string]bool{}}, nil
}

// makeDir makes a directory whose name, and those of its parents, are durable.
func makeDir(fsys vfs.FS, dir string) error {
	if _, err := fsys.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := path.Dir(dir)
	if parent != dir {
		if err := makeDir(fsys, parent); err != nil {
			return err
		}
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	return fsys.SyncDir(parent)
}

// Node implements Writer. In a History that is added to it may name a node that
// is there: what follows goes on where that ended.
func (w *DiskWriter) Node(name, build string) (NodeWriter, error) {
	l, err := newLedger(name, build)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done || w.nodes[name] {
		return nil, fmt.Errorf("node %s is begun twice, or after Finish: each node is written once", name)
	}
	w.number++
	file := fmt.Sprintf("%s%06d", runPrefix, w.number)
	f, err := w.fsys.Create(path.Join(w.dir, file))
	if err != nil {
		return nil, err
	}
	r := &runWriter{w: w, name: file, file: f, ledger: l, state: NewState()}
	r.block.dict = &dictionary{ids: map[string]int{}}
	if err := r.begin(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	w.nodes[name] = true
	w.runs = append(w.runs, r)
	return r, nil
}

// Finish closes what is still open and makes the History appear, durably and at
// once: before it there is none, or the one that was added to. The DiskWriter
// can't be used any more, also after an error.
func (w *DiskWriter) Finish() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return errors.New("history: Finish is called twice")
	}
	w.done = true
	if err := errors.Join(w.finish(), w.release()); err != nil {
		return fmt.Errorf("finishing the History in %s: %w", w.dir, err)
	}
	return nil
}

func (w *DiskWriter) finish() error {
	m := manifest{Format: manifestFormat, Version: runVersion, Warnings: []string{}}
	if w.old != nil {
		m.Runs = slices.Clone(w.old.manifest.Runs)
	}
	for _, r := range w.runs {
		if err := r.Close(); err != nil && !errors.Is(err, errClosed) {
			return err
		}
		m.Runs = append(m.Runs, manifestRun{File: r.name, Node: r.ledger.node.Name, Bytes: r.offset, Directory: r.crc})
	}
	if err := w.fsys.SyncDir(w.dir); err != nil {
		return err
	}
	all, err := openRuns(w.fsys, w.dir, m)
	if err != nil {
		return err
	}
	err = all.findViolations(&m)
	if err = errors.Join(err, all.Close()); err != nil {
		return err
	}
	return vfs.WriteFile(w.fsys, path.Join(w.dir, manifestName), m.encode())
}

// Discard closes all files and removes what was written. After Finish it does
// nothing.
func (w *DiskWriter) Discard() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return nil
	}
	w.done = true
	var errs []error
	for _, r := range w.runs {
		if !r.closed {
			r.closed = true
			r.err = errClosed
			errs = append(errs, r.file.Close())
		}
		errs = append(errs, w.fsys.Remove(path.Join(w.dir, r.name)))
	}
	return errors.Join(append(errs, w.release())...)
}

// release gives back what the writer holds besides its files.
func (w *DiskWriter) release() error {
	err := w.lock.Close()
	if w.old != nil {
		err = errors.Join(err, w.old.Close())
	}
	return err
}
