package journal

import (
	"errors"
	"fmt"
	"path"

	"hindcast.dev/faultpoint"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// Open opens the journal in Options.Dir, or creates it: takes its lock, recovers
// it, and raises its boot number durably. It returns an error that wraps ErrInUse
// if another process has it open, one that wraps ErrNotNew, a *FileError if a file is not as it should be,
// and an error that wraps vfs.ErrNoSpace if there is no room for the first
// segment. What it had to truncate is no error: see Recovery.
func Open(o Options) (*Journal, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if err := vfs.MkdirSync(o.FS, o.Dir); err != nil {
		return nil, fmt.Errorf("journal directory: %w", err)
	}
	lock, err := takeLock(o.FS, o.Dir)
	if err != nil {
		return nil, err
	}
	j := &Journal{o: o, lock: lock}
	if err := j.open(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return j, nil
}

func takeLock(fsys vfs.FS, dir string) (closer, error) {
	lock, err := fsys.Lock(path.Join(dir, lockName))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("%w: %w", ErrInUse, err)
	}
	if err != nil {
		return nil, fmt.Errorf("journal lock: %w", err)
	}
	return lock, nil
}

type closer interface{ Close() error }

func (j *Journal) open() error {
	l, err := list(j.o.FS, j.o.Dir)
	if err != nil {
		return err
	}
	for _, name := range l.temps {
		if err := removeIfThere(j.o.FS, path.Join(j.o.Dir, name)); err != nil {
			return err
		}
	}
	rc := &recovering{o: &j.o}
	slot, err := rc.load(l)
	if err != nil {
		return err
	}
	if j.o.FirstBoot != 0 && !rc.isNew() {
		return fmt.Errorf("%w: %s has had %d boots; a first boot number is for a node that has lost its disk, start this one without", ErrNotNew, j.o.Dir, rc.meta.Boot)
	}
	if err := j.loadMarks(rc); err != nil {
		return err
	}
	if len(rc.heads) > 0 {
		if err := rc.run(); err != nil {
			return err
		}
	}
	if err := j.start(rc, slot, l); err != nil {
		return errors.Join(err, j.abandon(rc))
	}
	return nil
}

// load reads meta and the segments' heads, and creates meta in a new journal.
func (rc *recovering) load(l *listing) (slot int, err error) {
	fsys, dir := rc.o.FS, rc.o.Dir
	if len(l.foreign) > 0 {
		return 0, &FileError{Problem: ErrForeign, File: path.Join(dir, l.foreign[0]), Remedy: remedyForeign,
			Detail: "its name is not a segment's"}
	}
	if !l.meta {
		if len(l.segments) > 0 {
			return 0, &FileError{Problem: ErrUnexpectedEnd, File: path.Join(dir, metaName), Remedy: remedyRepair,
				Detail: "it is missing, though there are segments"}
		}
		// A boot before the first that ended in order: so a FirstBoot isn't forgotten if
		// this start ends here.
		if err := createMeta(fsys, dir, segment.Meta{Node: rc.o.Node, Boot: max(1, rc.o.FirstBoot) - 1, Clean: rc.o.FirstBoot > 1}); err != nil {
			return 0, fmt.Errorf("create journal: %w", err)
		}
		if err := rc.o.Faults.Hit(faultpoint.JournalMetaCreated); err != nil {
			return 0, fmt.Errorf("create journal: %w", err)
		}
	}
	meta, slot, warning, err := readMeta(fsys, dir)
	if err != nil {
		return 0, err
	}
	rc.meta = meta
	if warning != "" {
		rc.r.Warnings = append(rc.r.Warnings, warning)
	}
	if meta.Node == "" && meta.Anew { // nothing told the repair whose it is
		meta.Node, rc.meta.Node = rc.o.Node, rc.o.Node
	}
	if meta.Node != rc.o.Node {
		return 0, rc.otherNode(path.Join(dir, metaName), meta.Node)
	}
	for _, f := range l.segments {
		if f.archived {
			return 0, &FileError{Problem: ErrForeign, File: path.Join(dir, f.name), Remedy: remedyForeign,
				Detail: "archived segments don't belong in a journal's directory"}
		}
	}
	if rc.heads, err = readHeads(fsys, dir, l.segments); err != nil {
		return 0, err
	}
	return slot, rc.checkHeads()
}

func (rc *recovering) otherNode(file, node string) error {
	return &FileError{Problem: ErrOtherNode, File: file, Remedy: remedyOther,
		Detail: fmt.Sprintf("it is of node %q, this is node %q", node, rc.o.Node)}
}

// checkHeads looks at what the heads say of the whole.
func (rc *recovering) checkHeads() error {
	for i, h := range rc.heads {
		if h.Node != rc.o.Node {
			return rc.otherNode(h.file, h.Node)
		}
		if i == 0 {
			if e := h.orphan(); e != nil && rc.meta.Durable <= h.Base {
				return e
			}
			continue
		}
		if before := rc.heads[i-1]; h.Number != before.Number+1 || h.Base != before.End() {
			return &FileError{Problem: ErrUnexpectedEnd, File: path.Join(rc.o.Dir, segmentName(before.Number+1)), Remedy: remedyRepair,
				Detail: fmt.Sprintf("it is missing: segment %d at position %d follows segment %d", h.Number, h.Base, before.Number)}
		}
	}
	end := uint64(0)
	if n := len(rc.heads); n > 0 {
		end = rc.heads[n-1].End()
	}
	if rc.meta.Durable > end {
		return &FileError{Problem: ErrUnexpectedEnd, File: path.Join(rc.o.Dir, metaName), Remedy: remedyRepair,
			Detail: fmt.Sprintf("the journal is durable up to position %d, its last segment ends at %d: segments are missing", rc.meta.Durable, end)}
	}
	return nil
}

// start raises the boot number and makes j what the walk found.
func (j *Journal) start(rc *recovering, slot int, l *listing) error {
	meta, err := openMeta(j.o.FS, j.o.Dir, rc.meta, slot)
	if err != nil {
		return err
	}
	j.disk.meta, meta.faults = meta, j.o.Faults
	boot := rc.meta.Boot
	for _, h := range rc.heads {
		boot = max(boot, h.Boot)
	}
	j.boot = max(boot+1, j.o.FirstBoot)
	m := &meta.m
	m.Repaired, m.Anew = false, false
	m.Boot, m.Clean, m.HostBoot, m.Durability = j.boot, false, j.o.HostBoot, uint8(j.o.Durability)
	m.Durable, m.DurableSeq, m.StampedSeq = rc.durable(), rc.r.Last.Seq, rc.r.Last.Seq
	if err := meta.writeBoth(); err != nil {
		return fmt.Errorf("raise boot number: %w", err)
	}
	if err := j.hit(faultpoint.JournalBootRaised); err != nil {
		return err
	}
	if err := j.spareFile(l); err != nil {
		return err
	}
	if len(rc.segs) == 0 {
		s, err := j.newSegment(1, 0)
		if err != nil {
			return err
		}
		rc.segs = append(rc.segs, s)
		rc.stampSeg, rc.stampEnd, rc.end = s, s.frames(), s.frames()
	}
	j.take(rc, l)
	if err := j.prepare(); errors.Is(err, ErrSyncFailed) {
		return err
	} else if err != nil {
		rc.r.Warnings = append(rc.r.Warnings, err.Error())
	}
	j.recovery = rc.r
	return nil
}

// take sets positions and lists from what the walk found.
func (j *Journal) take(rc *recovering, l *listing) {
	p := &j.pending
	p.last = rc.r.Last
	j.stamped.Store(p.last.Seq)
	j.lastTime.Store(uint64(p.last.Time))
	j.durableSeq.Store(p.last.Seq)
	j.ceiling.Store(uint64(rc.meta.Ceiling))
	j.active.Store(rc.segs[len(rc.segs)-1])
	j.tail.Store(rc.end)
	j.disk.oldest = rc.segs[0]
	j.disk.durable = rc.durable()
	p.seg, p.pos = rc.stampSeg, rc.stampEnd
	j.entered.Store(p.seg)
	if p.pos == p.seg.frames() {
		j.enter(p.seg)
	}
	j.consumed.Store(p.pos)
	j.released.Store(p.pos)
	for i, h := range rc.heads[:min(rc.first, len(rc.heads))] {
		next := rc.heads[i+1].opening
		s := sealed{number: h.Number, base: h.Base, size: h.Size, lastSeq: next.Seq - 1, lastTime: next.Time}
		j.disk.sealed = append(j.disk.sealed, s)
		if !l.indexes[h.Number] {
			j.disk.reindex = append(j.disk.reindex, s)
		}
	}
}

// spareFile keeps a spare of the right size and removes any other.
func (j *Journal) spareFile(l *listing) error {
	if !l.spare {
		return nil
	}
	name := path.Join(j.o.Dir, spareName)
	info, err := j.o.FS.Stat(name)
	if err != nil {
		return err
	}
	if info.Size() == int64(j.o.SegmentBytes) {
		j.disk.spare = true
		return nil
	}
	return j.o.FS.Remove(name)
}

// abandon closes what a failed Open had opened.
func (j *Journal) abandon(rc *recovering) error {
	var errs []error
	last := (*mapped)(nil)
	for _, s := range rc.segs {
		errs = append(errs, s.m.Close())
		last = s
	}
	for last != nil { // and what prepare added
		if last = last.next.Load(); last != nil {
			errs = append(errs, last.m.Close())
		}
	}
	if j.disk.meta != nil {
		errs = append(errs, j.disk.meta.f.Close())
	}
	return errors.Join(errs...)
}
