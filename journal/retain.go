package journal

import (
	"errors"
	"fmt"
	"path"
	"sync"

	"hindcast.dev/faultpoint"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// SetRetainFrom keeps everything from the sequence number seq on: that of the
// oldest checkpoint that is to be kept. Until it was called, nothing is removed.
// Any goroutine.
func (j *Journal) SetRetainFrom(seq uint64) { j.retainFrom.Store(seq) }

// retain removes the oldest sealed segments while an option asks for it.
func (j *Journal) retain() error {
	d := &j.disk
	if j.o.Faults.Buggify(faultpoint.JournalLateRetain) {
		return nil
	}
	total := int64(0)
	for _, s := range d.sealed {
		total += int64(s.size)
	}
	for s := d.oldest; s != nil; s = s.next.Load() {
		total += int64(s.Size)
	}
	now := j.lastStampTime()
	for len(d.sealed) > 0 {
		s := d.sealed[0]
		tooMany := j.o.RetainBytes > 0 && total > j.o.RetainBytes
		tooOld := j.o.RetainAge > 0 && now.Sub(s.lastTime) > j.o.RetainAge
		if !tooMany && !tooOld || s.lastSeq >= j.retainFrom.Load() {
			return nil
		}
		// The segment after it knows where the sequence goes on: durably?
		if d.durable <= s.base+s.size+segment.DataOffset {
			return nil
		}
		if err := j.remove(s); err != nil {
			return err
		}
		d.sealed = d.sealed[1:] // before the index, whose removal may fail
		total -= int64(s.size)
		if err := j.removeIndex(s.number); err != nil {
			return err
		}
	}
	return nil
}

// removeIndex removes the index of a segment that is gone.
func (j *Journal) removeIndex(number uint64) error {
	if err := j.hit(faultpoint.JournalRetainIndex); err != nil {
		return err
	}
	return removeIfThere(j.o.FS, path.Join(j.o.Dir, indexName(number)))
}

// remove archives a segment and takes it out of the journal. Its file is kept for
// reuse, unless a reader of this process has it open: it would see it change.
func (j *Journal) remove(s sealed) error {
	if j.o.Archive != "" {
		if err := j.archive(s); err != nil {
			return fmt.Errorf("archive journal segment %d: %w", s.number, err)
		}
		if err := j.hit(faultpoint.JournalRetainArchived); err != nil {
			return err
		}
	}
	name := path.Join(j.o.Dir, segmentName(s.number))
	err := j.pins.unlessPinned(s.number, func(pinned bool) error {
		if pinned || j.disk.spare || j.o.Faults.Buggify(faultpoint.JournalNoSpare) || s.size != uint64(j.o.SegmentBytes) {
			return j.o.FS.Remove(name)
		}
		if err := j.o.FS.Rename(name, path.Join(j.o.Dir, spareName)); err != nil {
			return err
		}
		j.disk.spare = true
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove journal segment %d: %w", s.number, err)
	}
	if err = j.o.Faults.Hit(faultpoint.JournalRetainRemoved); err == nil {
		err = j.o.FS.SyncDir(j.o.Dir)
	}
	if err != nil {
		return j.fail("sync of directory "+j.o.Dir, err)
	}
	return nil
}

// archive writes the compressed segment, durably.
func (j *Journal) archive(s sealed) (err error) {
	if err := vfs.MkdirSync(j.o.FS, j.o.Archive); err != nil {
		return err
	}
	src, h, err := openWhole(j.o.FS, j.o.Dir, segmentFile{number: s.number, name: segmentName(s.number)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	return packSegment(j.o.FS, path.Join(j.o.Archive, archiveName(s.number)), src, int64(h.Size))
}

// pins counts the readers of this process that have a segment open.
type pins struct {
	mu      sync.Mutex
	readers map[uint64]int
}

func (p *pins) add(number uint64, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readers == nil {
		p.readers = map[uint64]int{}
	}
	if p.readers[number] += n; p.readers[number] == 0 {
		delete(p.readers, number)
	}
}

// unlessPinned calls do while no reader comes or goes.
func (p *pins) unlessPinned(number uint64, do func(pinned bool) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return do(p.readers[number] > 0)
}
