package journal

import (
	"errors"
	"fmt"
	"math"

	"hindcast.dev/faultpoint"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// An Ending is how the boot before this one ended.
type Ending uint8

// The endings.
const (
	NoBoot   Ending = iota // there was none
	Stopped                // Close, in order
	Panicked               // MarkPanic
	Killed                 // otherwise: SIGKILL, out of memory, the machine went down
	Repaired               // nobody knows: Repair made meta anew
)

var endingNames = [...]string{NoBoot: "none", Stopped: "stopped", Panicked: "panicked", Killed: "killed", Repaired: "repaired"}

func (e Ending) String() string {
	if int(e) < len(endingNames) {
		return endingNames[e]
	}
	return fmt.Sprintf("ending(%d)", uint8(e))
}

// A Recovery says what Open found.
type Recovery struct {
	Boot       uint64     // the boot before; 0 if there was none
	Ending     Ending     // how it ended
	Durability Durability // its policy
	Panic      *PanicMark // the last panic marked, by whichever boot; nil if none
	Last       record.Stamp
	DurableSeq uint64 // the last sequence number on record as durable
	Unstamped  int    // published frames that Next will hand out again
	Repaired   bool   // Repair changed the journal after that boot
	// MachineDown: the machine went down after that boot, or may have, if
	// Options.HostBoot isn't known.
	MachineDown bool
	Torn        *FileError // what was truncated; nil if nothing, or nothing begun
	Lost        *Loss      // nil if nothing stamped can be lost
	Warnings    []string
}

// A Loss says which stamped events are, or may be, gone.
type Loss struct {
	After   uint64        // events with higher sequence numbers
	AtLeast uint64        // up to this one for certain, if it is above After
	Until   hlc.Timestamp // none had a Timestamp above this
}

func (l *Loss) String() string {
	if l.AtLeast > l.After {
		return fmt.Sprintf("events %d to %d and any after it, none later than %v, are lost", l.After+1, l.AtLeast, l.Until)
	}
	return fmt.Sprintf("events after %d, none later than %v, may be lost", l.After, l.Until)
}

// recovering is the state of Open while it walks.
type recovering struct {
	o     *Options
	meta  segment.Meta
	heads []head
	r     Recovery

	segs      []*mapped // mapped so far, in order
	stampEnd  uint64    // position of the end of handled history
	stampSeg  *mapped   // in which it is
	end       uint64    // position of the end of what is published
	evidence  uint64    // the highest sequence number that was stamped for sure
	first     int       // index in heads of the first segment walked
	unstamped [][]byte  // stamp areas of published frames behind stampEnd
	// openings are those that a power loss took from segments of handled history.
	openings map[*mapped]segment.Opening
	canary   canaryRecovery
}

// run is FORMAT.md, "Reading and recovery", steps 3 to 6.
func (rc *recovering) run() error {
	rc.first = rc.firstSegment()
	rc.openings = map[*mapped]segment.Opening{}
	rc.evidence = max(rc.meta.StampedSeq, rc.meta.DurableSeq)
	if err := rc.walk(); err != nil {
		return errors.Join(err, rc.unmap())
	}
	rc.dropLast()
	if err := rc.judge(); err != nil {
		return errors.Join(err, rc.unmap())
	}
	if err := rc.truncate(); err != nil {
		return errors.Join(err, rc.unmap())
	}
	return nil
}

// isNew reports whether this journal has never booted: there is no segment, and
// nothing says that a boot didn't end in order.
func (rc *recovering) isNew() bool { return len(rc.heads) == 0 && (rc.meta.Boot == 0 || rc.meta.Clean) }

// firstSegment is the index of the one that holds the last durable byte.
func (rc *recovering) firstSegment() int {
	first := 0
	for i, h := range rc.heads {
		if h.Base < rc.meta.Durable {
			first = i
		}
	}
	return first
}

// walk goes through handled history, and then through what was published after it.
func (rc *recovering) walk() error {
	h := rc.heads[rc.first]
	if !h.opened && !(h.Number == 1 && rc.meta.Durable <= h.Base+segment.DataOffset) {
		return &FileError{Problem: ErrCorrupt, File: h.file, Offset: segment.OpeningOffset, Remedy: remedyRepair,
			Detail: "its opening is not valid", Lost: "the events in this segment"}
	}
	rc.r.Last = h.opening.Before()
	handled := true
	for i := rc.first; i < len(rc.heads); i++ {
		h := rc.heads[i]
		s, err := rc.openMapped(h)
		if err != nil {
			return err
		}
		done, err := rc.walkSegment(s, h, &handled)
		if done || err != nil {
			return err
		}
	}
	return nil
}

// walkSegment returns whether the journal ends in this segment.
func (rc *recovering) walkSegment(s *mapped, h head, handled *bool) (bool, error) {
	sc := newScanner(mapReader(s.b), h)
	rc.end = sc.position()
	if *handled {
		rc.stampEnd, rc.stampSeg = rc.end, s
		if !h.opened {
			rc.openings[s] = segment.OpeningAfter(rc.r.Last)
		}
		if h.opened && h.opening.Seq != rc.r.Last.Seq+1 {
			return false, &FileError{Problem: ErrCorrupt, File: h.file, Offset: segment.OpeningOffset, Remedy: remedyRepair,
				Detail: fmt.Sprintf("it begins with event %d after event %d", h.opening.Seq, rc.r.Last.Seq)}
		}
	}
	for {
		it, err := sc.next(math.MaxUint64)
		var gap *gapError
		switch {
		case err == errSegmentEnd:
			return false, nil
		case errors.As(err, &gap):
			rc.torn(s, gap)
			return true, nil
		case err != nil:
			return false, err
		case *handled && !it.padding && !(it.stamped && it.stamp.Seq == rc.r.Last.Seq+1):
			*handled = false
		}
		rc.end = sc.position()
		rc.pass(s, it, *handled)
	}
}

// pass counts one published frame.
func (rc *recovering) pass(s *mapped, it item, handled bool) {
	if handled {
		rc.beforeLast(s, it)
		rc.stampEnd, rc.stampSeg = rc.end, s
		if !it.padding {
			rc.r.Last = it.stamp
		}
		return
	}
	if it.padding {
		return
	}
	rc.r.Unstamped++
	if it.stamped { // behind one that lost its stamp: the machine went down
		rc.evidence = max(rc.evidence, it.stamp.Seq)
	}
	end := it.off + int64(it.n)
	rc.unstamped = append(rc.unstamped, s.b[end-record.StampSize:end])
}

func (rc *recovering) torn(s *mapped, gap *gapError) {
	if gap.torn {
		rc.r.Torn = &FileError{Problem: ErrTorn, File: s.file, Offset: gap.off, Detail: gap.detail}
	}
}

// judge tells a torn tail from corruption and says what is lost.
func (rc *recovering) judge() error {
	m, r := &rc.meta, &rc.r
	for _, h := range rc.heads {
		if h.opened && h.Base > rc.stampSeg.Base {
			rc.evidence = max(rc.evidence, h.opening.Seq-1)
		}
	}
	r.MachineDown = m.Boot > 0 && !m.Clean && !m.Anew && (rc.o.HostBoot == "" || m.HostBoot == "" || rc.o.HostBoot != m.HostBoot)
	short := rc.stampEnd < m.Durable
	if short || rc.evidence > r.Last.Seq && m.Boot > 0 && !r.MachineDown {
		return rc.corruption()
	}
	if rc.evidence > r.Last.Seq || r.MachineDown && Durability(m.Durability) == Process {
		r.Lost = &Loss{After: r.Last.Seq, AtLeast: rc.evidence, Until: m.Ceiling}
	}
	return nil
}

// corruption is the error for a history that is shorter than it must be.
func (rc *recovering) corruption() error {
	s := rc.stampSeg
	e := &FileError{Problem: ErrCorrupt, File: s.file, Offset: int64(rc.stampEnd - s.Base), Remedy: remedyRepair,
		Detail: fmt.Sprintf("history ends at event %d, but is durable up to event %d", rc.r.Last.Seq, rc.meta.DurableSeq),
		Lost:   fmt.Sprintf("events from %d on", rc.r.Last.Seq+1)}
	if rc.evidence > rc.meta.DurableSeq {
		e.Detail = fmt.Sprintf("history ends at event %d, but event %d was stamped and the machine stayed up", rc.r.Last.Seq, rc.evidence)
	}
	if t := rc.r.Torn; t != nil {
		e.Offset, e.File = t.Offset, t.File
		e.Detail += ": " + t.Detail
	}
	return e
}

// truncate makes what lies behind the end unreadable for good, before anything
// is appended, and removes the segments after it.
func (rc *recovering) truncate() error {
	for _, b := range rc.unstamped {
		clear(b)
	}
	for s, o := range rc.openings {
		copy(s.b[segment.OpeningOffset:], o.Encode(&s.Header))
	}
	for _, s := range rc.segs {
		if s.Base > rc.stampSeg.Base { // it will be entered anew
			clear(s.b[segment.OpeningOffset:][:segment.OpeningSize])
		}
	}
	last := rc.segs[len(rc.segs)-1]
	tail := last.b[rc.end-last.Base:]
	for len(tail) > 0 { // writing only where there is something saves a disk's worth
		n := min(len(tail), 4096)
		if !zero(tail[:n]) {
			clear(tail[:n])
		}
		tail = tail[n:]
	}
	if err := rc.o.Faults.Hit(faultpoint.JournalRecoveryCleared); err != nil {
		return err
	}
	for _, s := range rc.segs {
		if err := s.m.Sync(0, len(s.b)); err != nil {
			return fmt.Errorf("sync of %s: %w", s.file, err)
		}
		if err := rc.o.Faults.Hit(faultpoint.JournalRecoverySynced); err != nil {
			return err
		}
	}
	return rc.removeBehind(last)
}

// removeBehind removes the segments behind the last one that is left.
func (rc *recovering) removeBehind(last *mapped) error {
	// The last first, each durably, so that a crash leaves no hole.
	for i := len(rc.heads) - 1; i >= 0 && rc.heads[i].Number > last.Number; i-- {
		if err := rc.o.FS.Remove(rc.heads[i].file); err != nil {
			return err
		}
		if err := rc.o.Faults.Hit(faultpoint.JournalRecoveryRemoved); err != nil {
			return err
		}
		if err := rc.o.FS.SyncDir(rc.o.Dir); err != nil {
			return err
		}
	}
	return nil
}

// durable is the position up to which truncate made all durable, the opening of
// the segment that the consumer is in included.
func (rc *recovering) durable() uint64 {
	switch s := rc.stampSeg; {
	case s == nil:
		return 0
	case rc.stampEnd == s.frames():
		return s.Base
	}
	return rc.stampEnd
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// openMapped maps a segment and chains it to the one before.
func (rc *recovering) openMapped(h head) (*mapped, error) {
	s, err := mapSegment(rc.o.FS, h)
	if err != nil {
		return nil, err
	}
	if n := len(rc.segs); n > 0 {
		rc.segs[n-1].next.Store(s)
	}
	rc.segs = append(rc.segs, s)
	return s, nil
}

func mapSegment(fsys vfs.FS, h head) (*mapped, error) {
	f, err := fsys.OpenWrite(h.file)
	if err != nil {
		return nil, err
	}
	m, err := f.Map(int(h.Size))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return &mapped{Header: h.Header, m: m, b: m.Bytes(), file: h.file}, nil
}

func (rc *recovering) unmap() error {
	var errs []error
	for _, s := range rc.segs {
		errs = append(errs, s.m.Close())
	}
	return errors.Join(errs...)
}
