package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"

	"hindcast.dev/journal/record"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// A RepairReport says what Repair did.
type RepairReport struct {
	Damage  *FileError `json:"damage,omitempty"` // nil if history was sound
	Aside   string     `json:"aside,omitempty"`  // directory of what was taken out
	Files   []string   `json:"files,omitempty"`  // in it
	LastSeq uint64     `json:"lastSeq"`          // of what is left
	// Events from LostFrom on are lost, up to LostTo at least. 0: none.
	LostFrom uint64   `json:"lostFrom,omitempty"`
	LostTo   uint64   `json:"lostTo,omitempty"`
	Meta     bool     `json:"meta,omitempty"`    // meta was made anew
	Indexes  []uint64 `json:"indexes,omitempty"` // segments whose index was made anew
	Notes    []string `json:"notes,omitempty"`
}

// Repair makes a damaged journal one that opens: history is cut at the first
// damaged place, and everything from there on is kept in a directory aside-N. A
// sound journal it leaves alone but for missing or bad indexes. It returns an
// error that wraps ErrInUse if the journal is open, and a *FileError for what it
// can't repair: another format version, another node's file.
func Repair(fsys vfs.FS, dir string) (RepairReport, error) {
	lock, err := takeLock(fsys, dir)
	if err != nil {
		return RepairReport{}, err
	}
	r := repairer{fsys: fsys, dir: dir}
	err = r.run()
	return r.rep, errors.Join(err, lock.Close())
}

// boots skipped when the last boot number is lost: more than there can have been
// since the last segment was made.
const bootsSkipped = 1 << 16

type repairer struct {
	fsys vfs.FS
	dir  string
	rep  RepairReport

	l        *listing
	meta     segment.Meta
	slot     int
	metaLost bool
	heads    []head // of the sound beginning
	last     record.Stamp
	end      uint64 // position where sound history ends
	cutHere  bool   // what follows end in its segment is damaged
	evidence uint64 // the highest sequence number that was stamped for sure
}

func (r *repairer) run() error {
	var err error
	if r.l, err = list(r.fsys, r.dir); err != nil {
		return err
	}
	if err := r.readMeta(); err != nil {
		return err
	}
	if err := r.readHeads(); err != nil {
		return err
	}
	if err := r.walk(); err != nil {
		return err
	}
	r.rep.LastSeq = r.last.Seq
	if r.rep.Damage != nil {
		if err := r.cut(); err != nil {
			return err
		}
	}
	if r.rep.Damage != nil || r.metaLost {
		if err := r.writeMeta(); err != nil {
			return err
		}
	}
	return r.indexes()
}

func (r *repairer) readMeta() error {
	m, slot, _, err := readMeta(r.fsys, r.dir)
	var e *FileError
	switch {
	case err == nil:
		r.meta, r.slot = m, slot
		r.evidence = max(m.DurableSeq, m.StampedSeq)
	case errors.Is(err, ErrVersion):
		return err
	case errors.Is(err, fs.ErrNotExist) && len(r.l.segments) == 0:
		return fmt.Errorf("%s holds no journal: %w", r.dir, err)
	case errors.Is(err, fs.ErrNotExist), errors.As(err, &e):
		r.metaLost = true
	default:
		return err
	}
	return nil
}

// damage remembers the first damage.
func (r *repairer) damage(e *FileError) {
	if r.rep.Damage == nil {
		r.rep.Damage = e
	}
}

// readHeads reads heads up to the first that is damaged.
func (r *repairer) readHeads() error {
	for _, f := range r.l.segments {
		src, h, err := openHead(r.fsys, r.dir, f)
		var e *FileError
		if errors.As(err, &e) && !errors.Is(err, ErrVersion) {
			r.damage(e)
			continue // for the evidence
		}
		if err != nil {
			return err
		}
		if err := src.Close(); err != nil {
			return err
		}
		if h.opened {
			r.evidence = max(r.evidence, h.opening.Seq-1)
		}
		if r.metaLost && r.meta.Node == "" {
			r.meta.Node = h.Node
		}
		if h.Node != r.meta.Node {
			return &FileError{Problem: ErrForeign, File: h.file, Detail: fmt.Sprintf("it is of node %q, not %q", h.Node, r.meta.Node), Remedy: remedyForeign}
		}
		r.addHead(h)
	}
	return nil
}

func (r *repairer) addHead(h head) {
	n := len(r.heads)
	if n > 0 && (h.Number != r.heads[n-1].Number+1 || h.Base != r.heads[n-1].End()) {
		r.damage(&FileError{Problem: ErrUnexpectedEnd, File: path.Join(r.dir, segmentName(r.heads[n-1].Number+1)), Detail: "it is missing"})
	}
	if r.rep.Damage == nil {
		r.heads = append(r.heads, h)
	}
}

// walk finds where sound history ends.
func (r *repairer) walk() error {
	if len(r.heads) == 0 {
		return nil
	}
	first := r.heads[0]
	if !first.opened && first.Number > 1 {
		r.rep.Damage = &FileError{Problem: ErrCorrupt, File: first.file, Offset: segment.OpeningOffset, Detail: "its opening is not valid"}
		r.heads = nil
		return nil
	}
	r.last = first.opening.Before()
	for i, h := range r.heads {
		full, err := r.segment(h)
		if err != nil {
			return err
		}
		if !full {
			r.judge(i, h)
			return nil
		}
	}
	if r.end < r.meta.Durable {
		r.judge(len(r.heads)-1, r.heads[len(r.heads)-1])
	}
	return nil
}

// segment passes handled history in one segment.
func (r *repairer) segment(h head) (full bool, err error) {
	src, err := r.fsys.Open(h.file)
	if err != nil {
		return false, err
	}
	sc := newScanner(src, h)
	r.end = sc.position()
	for {
		it, err := sc.next(math.MaxUint64)
		var gap *gapError
		switch {
		case err == errSegmentEnd:
			return true, src.Close()
		case errors.As(err, &gap), err == nil && !it.padding && (!it.stamped || it.stamp.Seq != r.last.Seq+1):
			return false, src.Close()
		case err != nil:
			return false, errors.Join(err, src.Close())
		}
		if !it.padding {
			r.last = it.stamp
		}
		r.end = sc.position()
	}
}

// judge decides whether history may end where it does, in the i-th segment.
func (r *repairer) judge(i int, h head) {
	if r.end >= r.meta.Durable && r.evidence <= r.last.Seq {
		return // a torn tail at most, which Open truncates
	}
	r.rep.Damage = &FileError{Problem: ErrCorrupt, File: h.file, Offset: int64(r.end - h.Base),
		Detail: fmt.Sprintf("history ends at event %d, event %d was stamped", r.last.Seq, r.evidence)}
	r.heads, r.cutHere = r.heads[:i+1], true
}

// cut moves everything from r.end on aside.
func (r *repairer) cut() error {
	for n := 1; ; n++ {
		r.rep.Aside = path.Join(r.dir, fmt.Sprintf("%s%d", asideName, n))
		if _, err := r.fsys.Stat(r.rep.Aside); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
	}
	if err := vfs.MkdirSync(r.fsys, r.rep.Aside); err != nil {
		return err
	}
	if n := len(r.heads); n > 0 && r.cutHere && r.end < r.heads[n-1].End() {
		if err := r.cutSegment(r.heads[n-1]); err != nil {
			return err
		}
	}
	if err := r.moveRest(); err != nil {
		return err
	}
	r.rep.LostFrom, r.rep.LostTo = r.last.Seq+1, max(r.evidence, r.last.Seq)
	if r.rep.LostTo == r.last.Seq {
		r.rep.LostTo = 0
	}
	if len(r.heads) == 0 {
		r.rep.Notes = append(r.rep.Notes, "nothing is left: the journal begins anew at event 1; take the node's checkpoints away too")
	}
	return nil
}

// cutSegment copies the segment aside and zeroes it from r.end on.
func (r *repairer) cutSegment(h head) error {
	b, err := vfs.ReadFile(r.fsys, h.file, SegmentBytesMax)
	if err != nil {
		return err
	}
	if err := vfs.WriteFile(r.fsys, r.aside(h.file), b); err != nil {
		return err
	}
	f, err := r.fsys.OpenWrite(h.file)
	if err != nil {
		return err
	}
	off := int64(r.end - h.Base)
	_, err = f.WriteAt(make([]byte, int64(h.Size)-off), off)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return removeIfThere(r.fsys, path.Join(r.dir, indexName(h.Number)))
}

// aside is the name that a file gets, which is put on record.
func (r *repairer) aside(file string) string {
	name := path.Base(file)
	r.rep.Files = append(r.rep.Files, name)
	return path.Join(r.rep.Aside, name)
}

// moveRest moves the segments after the last sound one.
func (r *repairer) moveRest() error {
	keep := uint64(0)
	if n := len(r.heads); n > 0 {
		keep = r.heads[n-1].Number
	}
	for i := len(r.l.segments) - 1; i >= 0 && r.l.segments[i].number > keep; i-- {
		f := r.l.segments[i]
		name := path.Join(r.dir, f.name)
		if err := r.fsys.Rename(name, r.aside(name)); err != nil {
			return err
		}
		if err := r.fsys.SyncDir(r.rep.Aside); err != nil {
			return err
		}
		if err := r.fsys.SyncDir(r.dir); err != nil {
			return err
		}
		if err := removeIfThere(r.fsys, path.Join(r.dir, indexName(f.number))); err != nil {
			return err
		}
	}
	return nil
}

// writeMeta makes meta say what is left.
func (r *repairer) writeMeta() error {
	m := r.meta
	m.Clean = false
	m.Durable, m.DurableSeq, m.StampedSeq = 0, r.last.Seq, r.last.Seq
	if n := len(r.heads); n > 0 {
		m.Durable = r.end
		if r.end == r.heads[n-1].Base+segment.DataOffset { // nothing of it is left but its head
			m.Durable = r.heads[n-1].Base
		}
	}
	if r.metaLost {
		r.rep.Meta = true
		for _, h := range r.heads {
			m.Boot = max(m.Boot, h.Boot)
		}
		m.Boot += bootsSkipped
		m.Ceiling = r.last.Time
		r.rep.Notes = append(r.rep.Notes, fmt.Sprintf("the boot number was lost: it goes on from %d", m.Boot),
			"the clock ceiling was lost: make sure that the clock is not behind where it was")
		return createMeta(r.fsys, r.dir, m)
	}
	f, err := openMeta(r.fsys, r.dir, m, r.slot)
	if err != nil {
		return err
	}
	return errors.Join(f.writeBoth(), f.f.Close())
}

// indexes makes missing and bad indexes of full segments anew.
func (r *repairer) indexes() error {
	for _, h := range r.heads {
		if h.End() > r.end || !h.opened {
			continue
		}
		if _, err := loadIndex(r.fsys, r.dir, &h.Header); err == nil {
			continue
		}
		if err := rebuildIndex(r.fsys, r.dir, h.Number); err != nil {
			return err
		}
		r.rep.Indexes = append(r.rep.Indexes, h.Number)
	}
	return nil
}
