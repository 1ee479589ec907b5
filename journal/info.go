package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"hindcast.dev/hlc"
	"hindcast.dev/vfs"
)

// An InfoReport is what a journal says of itself.
type InfoReport struct {
	Dir   string `json:"dir"`
	Node  string `json:"node"`
	Boot  uint64 `json:"boot"`  // the last, 0 in an archive
	Clean bool   `json:"clean"` // it ended in order
	// Repaired: Repair changed the journal after that boot. EndingUnknown: it made
	// meta anew, so nobody knows how that boot ended.
	Repaired      bool          `json:"repaired,omitempty"`
	EndingUnknown bool          `json:"endingUnknown,omitempty"`
	Durability    string        `json:"durability,omitempty"`
	Ceiling       hlc.Timestamp `json:"ceiling"`
	FirstSeq      uint64        `json:"firstSeq"`
	FirstTime     hlc.Timestamp `json:"firstTime"`
	LastSeq       uint64        `json:"lastSeq"` // stamped; below FirstSeq if there is no event
	LastTime      hlc.Timestamp `json:"lastTime"`
	DurableSeq    uint64        `json:"durableSeq"` // on record as durable, at least
	Bytes         int64         `json:"bytes"`      // of all segments
	Segments      []SegmentInfo `json:"segments"`
	Panic         *PanicMark    `json:"panic,omitempty"`
	Amendments    []Amendment   `json:"amendments,omitempty"`
	// Problems are what Info came across; Verify reads all and may find more.
	Problems []*FileError `json:"problems,omitempty"`
}

// A SegmentInfo is what a segment's head says.
type SegmentInfo struct {
	Number   uint64 `json:"number"`
	File     string `json:"file"`
	Base     uint64 `json:"base"` // position of its first byte
	Size     uint64 `json:"size"` // bytes
	Boot     uint64 `json:"boot"` // that made it
	FirstSeq uint64 `json:"firstSeq,omitempty"`
	Indexed  bool   `json:"indexed,omitempty"`
	Archived bool   `json:"archived,omitempty"`
	Damaged  bool   `json:"damaged,omitempty"` // its head can't be read: what isn't said by its name is 0
}

// Info reads the heads of a journal, also one that is being written, or of an
// archive, and the end of its history. It says what is sound, and what is wrong in
// Problems; the error is that of the file system.
func Info(fsys vfs.FS, dir string) (InfoReport, error) {
	x := informer{fsys: fsys, rep: InfoReport{Dir: dir}}
	l, err := list(fsys, dir)
	if err != nil {
		return x.rep, err
	}
	if !l.meta && len(l.segments) == 0 {
		return x.rep, fmt.Errorf("%s holds no journal: %w: want a directory with meta and NUMBER.seg files", dir, fs.ErrNotExist)
	}
	for _, step := range []func(*listing) error{x.meta, x.segments, x.marks, x.ends} {
		if err := step(l); err != nil {
			return x.rep, err
		}
	}
	return x.rep, nil
}

func isArchive(l *listing) bool { return len(l.segments) > 0 && l.segments[0].archived }

// An informer is the state of Info.
type informer struct {
	fsys  vfs.FS
	rep   InfoReport
	heads []head // the sound ones
}

// file records the error if it is about a file's content, once, else returns it.
func (x *informer) file(err error) error {
	var e *FileError
	if !errors.As(err, &e) {
		return err
	}
	for _, p := range x.rep.Problems {
		if p.File == e.File {
			return nil
		}
	}
	x.rep.Problems = append(x.rep.Problems, e)
	return nil
}

func (x *informer) meta(l *listing) error {
	m, _, warning, err := readMeta(x.fsys, x.rep.Dir)
	name := path.Join(x.rep.Dir, metaName)
	switch {
	case errors.Is(err, fs.ErrNotExist) && isArchive(l):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		err = &FileError{Problem: ErrUnexpectedEnd, File: name, Detail: "it is missing", Remedy: remedyRepair}
	case err == nil && warning != "":
		err = &FileError{Problem: ErrCorrupt, File: name, Detail: warning, Remedy: "the next start writes it anew"}
	}
	rep := &x.rep
	rep.Node, rep.Boot, rep.Clean, rep.Ceiling, rep.DurableSeq = m.Node, m.Boot, m.Clean, m.Ceiling, m.DurableSeq
	rep.Repaired, rep.EndingUnknown = m.Repaired || m.Anew, m.Anew
	if m.Boot > 0 {
		rep.Durability = Durability(m.Durability).String()
	}
	return x.file(err)
}

// segments reads the heads.
func (x *informer) segments(l *listing) error {
	for i, f := range l.segments {
		if i > 0 && f.number != l.segments[i-1].number+1 {
			_ = x.file(missing(x.rep.Dir, l.segments[i-1].number+1))
		}
		src, h, err := openHead(x.fsys, x.rep.Dir, f)
		if errors.Is(err, fs.ErrNotExist) {
			continue // retention was faster
		}
		s := SegmentInfo{Number: f.number, File: f.name, Indexed: l.indexes[f.number], Archived: f.archived, Damaged: err != nil}
		if err == nil {
			s.Base, s.Size, s.Boot = h.Base, h.Size, h.Boot
			if h.opened {
				s.FirstSeq = h.opening.Seq
			}
			x.rep.Bytes += min(h.there, int64(h.Size))
			x.rep.Node = h.Node
			x.heads = append(x.heads, h)
			err = src.Close()
		}
		x.rep.Segments = append(x.rep.Segments, s)
		if err := x.file(err); err != nil {
			return err
		}
	}
	return nil
}

func (x *informer) marks(*listing) error {
	err := x.file(readMarks(x.fsys, path.Join(x.rep.Dir, panicName), &x.rep.Panic))
	if err == nil {
		x.rep.Amendments, err = Amendments(x.fsys, x.rep.Dir)
	}
	return x.file(err)
}

// ends finds the first and the last event, as far as there are sound segments.
func (x *informer) ends(l *listing) error {
	rep := &x.rep
	var first, last *head // that were entered
	for i := range x.heads {
		h := &x.heads[i]
		if i == 0 && h.Number == l.segments[0].number && h.orphan() != nil {
			_ = x.file(h.orphan())
		}
		if h.opened || h.Number == 1 {
			if first == nil {
				first = h
			}
			last = h
		}
	}
	if last != nil {
		rep.FirstSeq, rep.LastSeq, rep.LastTime = first.opening.Seq, last.opening.Seq-1, last.opening.Time
		if err := x.file(each(x.fsys, rep.Dir, rep.FirstSeq, func(e Entry) bool {
			rep.FirstTime = e.Stamp.Time
			return false
		})); err != nil {
			return err
		}
		if err := x.file(each(x.fsys, rep.Dir, last.opening.Seq, func(e Entry) bool {
			rep.LastSeq, rep.LastTime = e.Stamp.Seq, e.Stamp.Time
			return true
		})); err != nil {
			return err
		}
	}
	for i := range x.heads {
		if e := x.heads[i].misfit(x.heads[i].there); e != nil {
			_ = x.file(e)
		}
	}
	if rep.LastSeq < rep.DurableSeq && len(rep.Problems) == 0 {
		rep.Problems = append(rep.Problems, &FileError{Problem: ErrUnexpectedEnd, File: rep.Dir, Remedy: remedyRepair,
			Detail: fmt.Sprintf("history ends at event %d, but is durable up to event %d: segments are missing", rep.LastSeq, rep.DurableSeq)})
	}
	return nil
}
