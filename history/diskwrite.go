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

	"hindcast.dev/event"
	"hindcast.dev/hlc"
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
	first    Position // of the block
	blockAt  uint64   // number of the block's first entry in the run
	vars     []runVar // what is counted of the ledger's variables
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
	r.state.ApplyAll(e.Changes)
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
	offset, err := r.section(sectionBlock, n, r.block.finish())
	if err != nil {
		return err
	}
	r.dir.blocks = append(r.dir.blocks, blockRef{offset: offset, size: int(r.offset - offset), entries: n,
		first: r.first, last: last, base: len(r.dir.bases) - 1})
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
		return fmt.Errorf("History in %s is not finished: %w", w.dir, err)
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
