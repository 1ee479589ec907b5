package journal

import (
	"bytes"
	"errors"
	"fmt"
	"path"

	"hindcast.dev/faultpoint"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// Sync makes durable all that is stamped when it is called, and returns the last
// sequence number that is. An error wraps ErrSyncFailed and is final. For the
// disk's goroutine; it blocks.
func (j *Journal) Sync() (durable uint64, err error) {
	j.disk.mu.Lock()
	defer j.disk.mu.Unlock()
	if err := j.usable(); err != nil {
		return j.disk.meta.m.DurableSeq, err
	}
	return j.sync()
}

func (j *Journal) sync() (uint64, error) {
	d := &j.disk
	seq := j.stamped.Load() // before the position: so all up to seq is below it
	pos := j.consumed.Load()
	if pos == d.durable {
		// A sync that came between the two steps of a Stamp knew the position but not
		// yet its sequence number: it is told now, for somebody may wait for it.
		if seq > d.meta.m.DurableSeq {
			return seq, j.setDurable(pos, seq)
		}
		return d.meta.m.DurableSeq, nil
	}
	for s := d.oldest; s != nil && s.Base < pos; s = s.next.Load() {
		if s.End() <= d.durable {
			continue
		}
		from := 0 // from the opening on, if no frame was synced yet
		if d.durable > s.frames() {
			from = int(d.durable - s.Base)
		}
		if err := j.o.Faults.Hit(faultpoint.JournalSyncSegment); err != nil {
			return d.meta.m.DurableSeq, j.fail("sync of "+s.file, err)
		}
		if err := s.m.Sync(from, int(min(pos, s.End())-s.Base)); err != nil {
			return d.meta.m.DurableSeq, j.fail("sync of "+s.file, err)
		}
	}
	if err := j.o.Faults.Hit(faultpoint.JournalSyncDone); err != nil {
		return d.meta.m.DurableSeq, j.fail("after a sync", err)
	}
	return seq, j.setDurable(pos, seq)
}

// setDurable records that all below pos is durable. The record itself isn't
// synced: if it is lost, recovery will know less than is true.
func (j *Journal) setDurable(pos, seq uint64) error {
	d := &j.disk
	d.durable = pos
	d.meta.m.Durable, d.meta.m.DurableSeq, d.meta.m.StampedSeq = pos, seq, j.stamped.Load()
	if j.o.Faults.Buggify(faultpoint.JournalMetaBehind) {
		j.durableSeq.Store(seq)
		return nil
	}
	if err := d.meta.write(false); err != nil {
		return j.fail("write of "+d.meta.f.Name(), err)
	}
	j.durableSeq.Store(seq)
	return nil
}

// RaiseCeiling makes ts the clock ceiling, durably; a lower one than the present
// changes nothing. An error is final. For the disk's goroutine; it blocks.
func (j *Journal) RaiseCeiling(ts hlc.Timestamp) error {
	j.disk.mu.Lock()
	defer j.disk.mu.Unlock()
	if err := j.usable(); err != nil {
		return err
	}
	m := &j.disk.meta.m
	if ts <= m.Ceiling {
		return nil
	}
	m.Ceiling, m.StampedSeq = ts, j.stamped.Load()
	if err := j.disk.meta.write(true); err != nil {
		return j.fail("write of "+j.disk.meta.f.Name(), err)
	}
	if err := j.hit(faultpoint.JournalCeilingRaised); err != nil {
		return j.fail("after a new clock ceiling", err)
	}
	j.ceiling.Store(uint64(ts))
	return nil
}

// Maintain seals segments that are stamped to their end, removes what retention
// doesn't keep, and prepares segments ahead of the tail. It is called when
// Options.WantMaintain says so, and now and then. An error that wraps ErrSyncFailed
// is final; after another one (vfs.ErrNoSpace above all) the rest was done, and
// the next Maintain tries again. For the disk's goroutine; it blocks.
func (j *Journal) Maintain() error {
	j.disk.mu.Lock()
	defer j.disk.mu.Unlock()
	if err := j.usable(); err != nil {
		return err
	}
	var errs []error
	for _, do := range [...]func() error{j.seal, j.rebuildIndexes, j.retain, j.prepare} {
		err := do()
		if errors.Is(err, ErrSyncFailed) {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// prepare makes segments until a whole backlog fits behind the active one.
func (j *Journal) prepare() error {
	last := j.active.Load()
	ahead := 0
	for next := last.next.Load(); next != nil; next = last.next.Load() {
		last = next
		ahead += int(next.Size)
	}
	want := j.o.Backlog
	if j.o.Faults.Buggify(faultpoint.JournalShortAhead) {
		want = 0
	}
	for ahead == 0 || ahead < want {
		s, err := j.newSegment(last.Number+1, last.End())
		if err != nil {
			return err
		}
		last.next.Store(s)
		last = s
		ahead += int(s.Size)
	}
	return nil
}

// ahead is how many segments are prepared behind the active one.
func (j *Journal) ahead() int {
	return max(1, (j.o.Backlog+j.o.SegmentBytes-1)/j.o.SegmentBytes)
}

// mebibytes writes a size for a person; it is a multiple of 4096.
func mebibytes(n uint64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%.4g MiB", float64(n)/(1<<20))
}

// newSegment makes, or recycles, a segment. It has its name, durably, only once
// its header is durable.
func (j *Journal) newSegment(number, base uint64) (*mapped, error) {
	h := segment.Header{Nonce: j.o.nonce(), Number: number, Base: base,
		Size: uint64(j.o.SegmentBytes), Boot: j.boot, Node: j.o.Node}
	name := path.Join(j.o.Dir, segmentName(number))
	temp := name + tempExt
	if j.disk.spare {
		temp = path.Join(j.o.Dir, spareName)
	}
	s, err := j.makeSegment(temp, name, &h)
	if err != nil && !errors.Is(err, ErrSyncFailed) {
		err = errors.Join(err, removeIfThere(j.o.FS, temp))
		j.disk.spare = false
	}
	if errors.Is(err, vfs.ErrNoSpace) {
		err = fmt.Errorf("%w: a segment takes %s and a node needs %d of them at least; --segment-bytes makes smaller ones",
			err, mebibytes(h.Size), 1+j.ahead())
	}
	if err != nil {
		return nil, fmt.Errorf("prepare journal segment %d: %w", number, err)
	}
	j.disk.spare = false
	return s, nil
}

func (j *Journal) makeSegment(temp, name string, h *segment.Header) (*mapped, error) {
	f, err := j.openTemp(temp, int64(h.Size))
	if err != nil {
		return nil, err
	}
	if err := j.hit(faultpoint.JournalSegmentMade); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	page := make([]byte, segment.DataOffset)
	copy(page, h.Encode())
	if _, err := f.WriteAt(page, 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return nil, errors.Join(j.fail("sync of "+temp, err), f.Close())
	}
	m, err := f.Map(int(h.Size))
	if err2 := f.Close(); err != nil || err2 != nil {
		return nil, errors.Join(err, err2)
	}
	if !bytes.Equal(m.Bytes()[:segment.DataOffset], page) { // else all that goes there would be lost
		err := &FileError{Problem: ErrCorrupt, File: temp, Remedy: "suspect the disk", Detail: "what was written and synced isn't there"}
		return nil, errors.Join(err, m.Close())
	}
	if err := j.nameSegment(temp, name); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return &mapped{Header: *h, m: m, b: m.Bytes(), file: name}, nil
}

// nameSegment gives a segment its name, durably.
func (j *Journal) nameSegment(temp, name string) error {
	if err := j.hit(faultpoint.JournalSegmentHeader); err != nil {
		return err
	}
	if err := j.o.FS.Rename(temp, name); err != nil {
		return err
	}
	err := j.o.Faults.Hit(faultpoint.JournalSegmentNamed)
	if err == nil {
		err = j.o.FS.SyncDir(j.o.Dir)
	}
	if err != nil {
		return j.fail("sync of directory "+j.o.Dir, err)
	}
	return j.hit(faultpoint.JournalSegmentReady)
}

// openTemp opens the spare, or a new file of that size.
func (j *Journal) openTemp(temp string, size int64) (vfs.File, error) {
	if j.disk.spare {
		return j.o.FS.OpenWrite(temp)
	}
	f, err := j.o.FS.Create(temp)
	if err != nil {
		return nil, err
	}
	if err := f.Preallocate(size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// A sealed segment is stamped to its end, durable and not mapped.
type sealed struct {
	number, base, size uint64
	lastSeq            uint64 // the last at or before its end
	lastTime           hlc.Timestamp
}

// seal unmaps the segments that nobody touches any more.
func (j *Journal) seal() error {
	d := &j.disk
	if j.o.Faults.Buggify(faultpoint.JournalLateSeal) {
		return nil
	}
	for {
		s := d.oldest
		next := s.next.Load()
		if next == nil || j.released.Load() < s.End() {
			return nil
		}
		if d.durable < s.End() {
			if _, err := j.sync(); err != nil {
				return err
			}
		}
		if err := j.hit(faultpoint.JournalSealSynced); err != nil {
			return err
		}
		info, err := j.writeIndex(s)
		if err != nil {
			return err
		}
		if err := j.hit(faultpoint.JournalSealed); err != nil {
			return err
		}
		d.sealed = append(d.sealed, info)
		d.oldest = next
		if err := s.m.Close(); err != nil {
			return fmt.Errorf("unmap %s: %w", s.file, err)
		}
	}
}

// writeIndex writes the index of a released segment whose mapping is still there:
// the consumer's, or a new one of a segment that the boot before began.
func (j *Journal) writeIndex(s *mapped) (_ sealed, err error) {
	x := s.index
	if x == nil {
		src := mapReader(s.b)
		h, err := readHead(src, s.file, s.Number, int64(s.Size))
		if err != nil {
			return sealed{}, err
		}
		if x, err = newScanner(src, h).index(); err != nil {
			return sealed{}, fmt.Errorf("index of %s: %w", s.file, err)
		}
	}
	if j.o.Faults.Buggify(faultpoint.JournalNoIndex) {
		err = vfs.ErrNoSpace
	} else {
		err = storeIndex(j.o.FS, j.o.Dir, x, j.o.Faults)
	}
	switch {
	case errors.Is(err, vfs.ErrNoSpace): // seeks do without it, and the next start makes it
		j.o.Log.Warn("journal index not written", "segment", s.Number, "err", err)
	case err != nil: // perhaps a sync
		return sealed{}, j.fail("index of "+s.file, err)
	}
	return sealed{number: s.Number, base: s.Base, size: s.Size, lastSeq: x.LastSeq, lastTime: x.LastTime}, nil
}

func storeIndex(fsys vfs.FS, dir string, x *segment.Index, faults *faultpoint.Set) error {
	return vfs.WriteFileSteps(fsys, path.Join(dir, indexName(x.Number)), x.Encode(), func(next vfs.OpKind) error {
		if next == vfs.OpRename {
			return faults.Hit(faultpoint.JournalIndexWritten)
		}
		return faults.Hit(faultpoint.JournalIndexNamed)
	})
}

// loadIndex returns the index of the segment h, false if there is no sound one.
func loadIndex(fsys vfs.FS, dir string, h *segment.Header) (*segment.Index, error) {
	b, err := vfs.ReadFile(fsys, path.Join(dir, indexName(h.Number)), segment.IndexSizeMax)
	if err != nil {
		return nil, err
	}
	x, err := segment.DecodeIndex(b)
	if err != nil {
		return nil, err
	}
	if x.Nonce != h.Nonce || x.Number != h.Number {
		return nil, fmt.Errorf("index: %w: it is that of another segment", segment.ErrCorrupt)
	}
	for _, e := range x.Entries {
		if e.Offset >= h.Size {
			return nil, fmt.Errorf("index: %w: an entry points behind the segment", segment.ErrCorrupt)
		}
	}
	return &x, nil
}

// rebuildIndexes makes one missing index a call.
func (j *Journal) rebuildIndexes() error {
	d := &j.disk
	if len(d.reindex) == 0 {
		return nil
	}
	number := d.reindex[0].number
	d.reindex = d.reindex[1:]
	if len(d.sealed) == 0 || number < d.sealed[0].number {
		return nil // gone meanwhile
	}
	return rebuildIndex(j.o.FS, j.o.Dir, number, j.o.Faults)
}

func rebuildIndex(fsys vfs.FS, dir string, number uint64, faults *faultpoint.Set) error {
	src, h, err := openHead(fsys, dir, segmentFile{number: number, name: segmentName(number)})
	if err != nil {
		return err
	}
	x, err := newScanner(src, h).index()
	if err == nil {
		err = storeIndex(fsys, dir, x, faults)
	}
	return errors.Join(err, src.Close())
}

// Close makes all that is stamped durable and ends the journal in order. The
// consumer and the disk's goroutine have stopped using it. Producers needn't:
// they get ErrClosed, and a segment in which a claim is still out stays mapped.
func (j *Journal) Close() error {
	d := &j.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if j.closed.Load() {
		return ErrClosed
	}
	err := j.Err()
	if err == nil {
		_, err = j.sync()
	}
	if err == nil {
		err = j.hit(faultpoint.JournalCloseSynced)
	}
	if err == nil {
		d.meta.m.Clean = true
		if werr := d.meta.write(true); werr != nil {
			err = j.fail("write of "+d.meta.f.Name(), werr)
		}
	}
	j.closed.Store(true)
	tail := j.tail.Or(tailStopped) &^ tailStopped
	j.waiting.wake()
	return errors.Join(err, j.unmap(tail), d.meta.f.Close(), j.lock.Close())
}

// unmap closes the mappings in which every claim is published.
func (j *Journal) unmap(tail uint64) error {
	var errs []error
	for s := j.disk.oldest; s != nil; s = s.next.Load() {
		if s.claimsOut(max(j.pending.pos, s.frames()), min(tail, s.End())) {
			continue
		}
		errs = append(errs, s.m.Close())
	}
	return errors.Join(errs...)
}
