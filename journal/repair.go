package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"

	"hindcast.dev/journal/record"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// A RepairReport says what Repair did.
type RepairReport struct {
	Damage  *FileError `json:"damage,omitempty"` // nil if history was sound
	Aside   string     `json:"aside,omitempty"`  // directory of what was taken out, and of what was mended as it was
	Files   []string   `json:"files,omitempty"`  // in it
	Mended  []string   `json:"mended,omitempty"` // what was made good, and from what
	LastSeq uint64     `json:"lastSeq"`          // of what is left
	// Events from LostFrom on are lost, up to LostTo at least; LostTo is 0 if no
	// event is known to have been there. LostFrom 0: none is lost.
	LostFrom uint64   `json:"lostFrom,omitempty"`
	LostTo   uint64   `json:"lostTo,omitempty"`
	Meta     bool     `json:"meta,omitempty"`    // meta was made anew
	Indexes  []uint64 `json:"indexes,omitempty"` // segments whose index was made anew
	Notes    []string `json:"notes,omitempty"`
}

// Repair makes a damaged journal one that opens. What the rest confirms is made
// good: a segment's header or opening, its size. Else history is cut at the first
// damaged place. A directory aside-N keeps everything from there on, and each file
// that was mended as it was. A sound journal is left alone but for missing or bad
// indexes, and a cut or mended one says so to the next start. It returns an
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
	mends    []mend
	last     record.Stamp
	end      uint64 // position where sound history ends
	damaged  uint64 // the segment of rep.Damage
	cutting  bool   // what follows the sound beginning goes aside
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
	if r.evidence > r.last.Seq {
		r.rep.LostFrom, r.rep.LostTo = r.last.Seq+1, r.evidence
	}
	if r.rep.Damage != nil {
		if err := r.makeAside(); err != nil {
			return err
		}
	}
	if err := r.mendAll(); err != nil {
		return err
	}
	if r.cutting {
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
	m, slot, warning, err := readMeta(r.fsys, r.dir)
	var e *FileError
	switch {
	case err == nil:
		r.meta, r.slot = m, slot
		r.evidence = max(m.DurableSeq, m.StampedSeq)
		if warning != "" {
			r.rep.Notes = append(r.rep.Notes, warning+"; it may not know of the last events, and the next start writes it anew")
		}
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

// damage remembers the damage of the first segment that has one.
func (r *repairer) damage(number uint64, e *FileError) {
	if r.rep.Damage == nil || number < r.damaged {
		damage := *e
		damage.Remedy = "" // it is being repaired
		r.rep.Damage, r.damaged = &damage, number
	}
}

// readHeads reads heads up to the first that is damaged and can't be made anew.
func (r *repairer) readHeads() error {
	read := make([]foundHead, len(r.l.segments))
	for i, f := range r.l.segments {
		var err error
		if read[i], err = r.readHead(f); err != nil {
			return err
		}
		h := &read[i].head
		r.entered(h)
		if r.meta.Node == "" { // meta is lost
			r.meta.Node = h.Node
		}
		if read[i].damage == nil && h.Node != r.meta.Node {
			return &FileError{Problem: ErrForeign, File: h.file, Detail: fmt.Sprintf("it is of node %q, not %q", h.Node, r.meta.Node), Remedy: remedyForeign}
		}
	}
	for i := range read {
		if read[i].damage != nil {
			if err := r.remake(read, i); err != nil {
				return err
			}
		}
		if read[i].damage == nil {
			r.addHead(read[i].head)
		}
	}
	return nil
}

// entered takes what a segment says of the one before it.
func (r *repairer) entered(h *head) {
	if h.opened {
		r.evidence = max(r.evidence, h.opening.Seq-1)
	}
}

// A foundHead is a segment's head or what is wrong with it.
type foundHead struct {
	head
	damage *FileError
}

func (r *repairer) readHead(f segmentFile) (foundHead, error) {
	src, h, err := openHead(r.fsys, r.dir, f)
	var e *FileError
	if errors.As(err, &e) && !errors.Is(err, ErrVersion) {
		return foundHead{damage: e}, nil
	}
	if err != nil {
		return foundHead{}, err
	}
	return foundHead{head: h}, src.Close()
}

func (r *repairer) addHead(h head) {
	n := len(r.heads)
	if n > 0 && !r.cutting && (h.Number != r.heads[n-1].Number+1 || h.Base != r.heads[n-1].End()) {
		r.damage(r.heads[n-1].Number+1, missing(r.dir, r.heads[n-1].Number+1))
		r.cutting = true
	}
	if e := h.orphan(); n == 0 && !r.cutting && e != nil {
		r.damage(h.Number-1, e)
		r.cutting = true
	}
	if !r.cutting {
		r.heads = append(r.heads, h)
	}
}

// walk finds where sound history ends.
func (r *repairer) walk() error {
	if len(r.heads) == 0 {
		return nil
	}
	r.last = r.heads[0].opening.Before()
	for i := range r.heads {
		h, before := &r.heads[i], r.last
		if h.opened && h.opening.Seq != r.last.Seq+1 {
			r.damage(h.Number, &FileError{Problem: ErrCorrupt, File: h.file, Offset: segment.OpeningOffset,
				Detail: fmt.Sprintf("it begins with event %d, after event %d", h.opening.Seq, r.last.Seq)})
			r.heads, r.cutting = r.heads[:i], true
			return nil
		}
		full, err := r.segment(*h)
		if err != nil {
			return err
		}
		if !h.opened && (r.last.Seq > before.Seq || r.meta.Durable > h.Base+segment.DataOffset) {
			r.mendOpening(h, before)
		}
		if !full {
			return r.judge(i)
		}
		r.mendSize(h)
	}
	if r.end < r.meta.Durable && !r.cutting {
		return r.judge(len(r.heads) - 1)
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
		case errors.As(err, &gap), errors.Is(err, ErrUnexpectedEnd), err == nil && !it.padding && (!it.stamped || it.stamp.Seq != r.last.Seq+1):
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
func (r *repairer) judge(i int) error {
	h := r.heads[i]
	off := int64(r.end - h.Base)
	switch early := r.end < r.meta.Durable || r.evidence > r.last.Seq; {
	case h.short():
		r.endsAt(i, h.misfit(off))
	case early:
		r.endsAt(i, &FileError{Problem: ErrCorrupt, File: h.file, Offset: off,
			Detail: fmt.Sprintf("history ends at event %d, event %d was stamped", r.last.Seq, r.evidence)})
	default: // a torn tail at most, which Open truncates; but it wants all files whole
		r.mendSize(&h)
		for k := i + 1; k < len(r.heads); k++ {
			if e := r.heads[k].misfit(0); e != nil {
				r.damage(r.heads[k].Number, e)
				r.heads, r.cutting = r.heads[:k], true
			}
		}
		return r.mendStamps(i)
	}
	return nil
}

// endsAt has history cut at r.end, in the i-th segment.
func (r *repairer) endsAt(i int, e *FileError) {
	r.damage(r.heads[i].Number, e)
	r.heads, r.cutting, r.cutHere = r.heads[:i+1], true, true
}

// makeAside makes the directory for what is taken out.
func (r *repairer) makeAside() error {
	for n := 1; ; n++ {
		r.rep.Aside = path.Join(r.dir, fmt.Sprintf("%s%d", asideName, n))
		if _, err := r.fsys.Stat(r.rep.Aside); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
	}
	return vfs.MkdirSync(r.fsys, r.rep.Aside)
}

// cut moves everything from r.end on aside.
func (r *repairer) cut() error {
	if n := len(r.heads); n > 0 && r.cutHere && r.end < r.heads[n-1].End() {
		if err := r.cutSegment(r.heads[n-1]); err != nil {
			return err
		}
	}
	if err := r.moveRest(); err != nil {
		return err
	}
	if r.rep.LostTo == 0 && (r.metaLost || !r.meta.Clean) {
		r.rep.LostFrom = r.last.Seq + 1
	}
	if len(r.heads) == 0 {
		r.rep.Notes = append(r.rep.Notes, "nothing is left: the journal begins anew at event 1; the next start sets the node's checkpoints aside")
	}
	return nil
}

// cutSegment copies the segment aside and zeroes it from r.end on.
func (r *repairer) cutSegment(h head) error {
	b, err := r.copyAside(h.file)
	if err != nil {
		return err
	}
	if err := r.rewrite(h, b[:min(r.end-h.Base, uint64(len(b)))]); err != nil {
		return err
	}
	return removeIfThere(r.fsys, path.Join(r.dir, indexName(h.Number)))
}

// aside is the name that a file gets, which is put on record.
func (r *repairer) aside(file string) string {
	name := path.Base(file)
	if !slices.Contains(r.rep.Files, name) {
		r.rep.Files = append(r.rep.Files, name)
	}
	return path.Join(r.rep.Aside, name)
}

// copyAside returns what is in a file, after it was copied aside unless it was
// already, before it was mended.
func (r *repairer) copyAside(file string) ([]byte, error) {
	b, err := vfs.ReadFile(r.fsys, file, 2*SegmentBytesMax)
	if err == nil && !slices.Contains(r.rep.Files, path.Base(file)) {
		err = vfs.WriteFile(r.fsys, r.aside(file), b)
	}
	return b, err
}

// rewrite makes a segment hold b and then zero, at once and durably, with every
// block reserved.
func (r *repairer) rewrite(h head, b []byte) error {
	temp := h.file + tempExt
	f, err := r.fsys.Create(temp)
	if err != nil {
		return err
	}
	err = f.Preallocate(int64(h.Size))
	if err == nil {
		_, err = f.WriteAt(b, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, removeIfThere(r.fsys, temp))
	}
	if err := r.fsys.Rename(temp, h.file); err != nil {
		return err
	}
	return r.fsys.SyncDir(r.dir)
}

// keep is the number of the last segment that stays.
func (r *repairer) keep() uint64 {
	if n := len(r.heads); n > 0 {
		return r.heads[n-1].Number
	}
	return 0
}

// moveRest moves the segments after the last sound one.
func (r *repairer) moveRest() error {
	for i := len(r.l.segments) - 1; i >= 0 && r.l.segments[i].number > r.keep(); i-- {
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
	m.Repaired = true
	if !r.cutting && !r.metaLost {
		return r.replaceMeta(m)
	}
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
		m.Anew = true
		r.rep.Notes = append(r.rep.Notes, fmt.Sprintf("the boot number was lost: it goes on from %d", m.Boot),
			"the clock ceiling was lost: make sure that the clock is not behind where it was",
			fmt.Sprintf("how the last boot ended is not known: if the machine went down, events after %d may be lost", r.last.Seq))
		return createMeta(r.fsys, r.dir, m)
	}
	return r.replaceMeta(m)
}

func (r *repairer) replaceMeta(m segment.Meta) error {
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
		if err := rebuildIndex(r.fsys, r.dir, h.Number, nil); err != nil {
			return err
		}
		r.rep.Indexes = append(r.rep.Indexes, h.Number)
	}
	return nil
}
