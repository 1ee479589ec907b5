package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"reflect"

	"hindcast.dev/hlc"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// each calls f for every event from fromSeq on until it returns false.
func each(fsys vfs.FS, dir string, fromSeq uint64, f func(Entry) bool) error {
	r, err := OpenReader(fsys, dir, fromSeq)
	if err != nil {
		return err
	}
	for {
		e, err := r.Next()
		if err == io.EOF {
			return r.Close()
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
		if !f(e) {
			return r.Close()
		}
	}
}

// A VerifyReport says what a journal holds and what is wrong with it.
type VerifyReport struct {
	Segments  int    `json:"segments"`
	Bytes     int64  `json:"bytes"`
	Events    uint64 `json:"events"`
	FirstSeq  uint64 `json:"firstSeq"`
	LastSeq   uint64 `json:"lastSeq"`
	Unstamped uint64 `json:"unstamped"` // published frames that the next Open hands out
	// Torn is what the next Open will truncate: normal after a crash.
	Torn *FileError `json:"torn,omitempty"`
	// Problems are what is wrong, in the order of the journal.
	Problems []*FileError `json:"problems,omitempty"`
}

// Verify reads every byte of a journal or archive that means something, and
// changes nothing. The error is that of the file system; what is wrong with the
// files is in the report. progress, if not nil, is told how many bytes are done.
func Verify(fsys vfs.FS, dir string, progress func(done, total int64)) (VerifyReport, error) {
	v := verifier{fsys: fsys, dir: dir, progress: progress}
	l, err := list(fsys, dir)
	if err != nil {
		return v.rep, err
	}
	if err := v.readMeta(l); err != nil {
		return v.rep, err
	}
	for i := range l.segments {
		v.total += v.sizeOf(l.segments[i])
	}
	for i, f := range l.segments {
		if err := v.segment(l, i, f); err != nil {
			return v.rep, err
		}
	}
	if v.end < v.meta.Durable && len(v.rep.Problems) == 0 {
		v.problem(&FileError{Problem: ErrUnexpectedEnd, File: dir, Detail: fmt.Sprintf("history ends at event %d, but is durable up to event %d", v.rep.LastSeq, v.meta.DurableSeq), Remedy: remedyRepair})
	}
	return v.rep, nil
}

type verifier struct {
	fsys     vfs.FS
	dir      string
	progress func(done, total int64)
	rep      VerifyReport

	meta        segment.Meta
	done, total int64
	number      uint64        // of the segment before, 0 if there is none
	last        uint64        // sequence number before the next; 0 if unknown
	lastTime    hlc.Timestamp // of last
	ended       bool          // history has ended, frames may still come
	end         uint64        // position of the end of handled history
	off         int64         // where the frames of the present segment end
}

func (v *verifier) problem(e *FileError) { v.rep.Problems = append(v.rep.Problems, e) }

// file records the error if it is about a file's content, else returns it.
func (v *verifier) file(err error) error {
	var e *FileError
	if errors.As(err, &e) {
		v.problem(e)
		return nil
	}
	return err
}

func (v *verifier) readMeta(l *listing) error {
	name := path.Join(v.dir, metaName)
	m, _, warning, err := readMeta(v.fsys, v.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if !isArchive(l) {
			v.problem(&FileError{Problem: ErrUnexpectedEnd, File: name, Detail: "it is missing", Remedy: remedyRepair})
		}
		return nil
	case err != nil:
		return v.file(err)
	case warning != "":
		v.problem(&FileError{Problem: ErrCorrupt, File: name, Detail: warning, Remedy: "the next start writes it anew"})
	}
	v.meta = m
	return nil
}

func (v *verifier) sizeOf(f segmentFile) int64 {
	info, err := v.fsys.Stat(path.Join(v.dir, f.name))
	if err != nil {
		return 0
	}
	return info.Size()
}

func (v *verifier) segment(l *listing, i int, f segmentFile) error {
	v.rep.Segments++
	if v.number != 0 && f.number != v.number+1 {
		v.problem(missing(v.dir, v.number+1))
		v.last = 0
	}
	v.number = f.number
	src, h, err := openHead(v.fsys, v.dir, f)
	if err != nil {
		v.last = 0
		if errors.Is(err, fs.ErrNotExist) {
			return nil // retention was faster
		}
		return v.file(err)
	}
	if e := h.orphan(); i == 0 && e != nil {
		v.problem(e)
	}
	if h.opened && v.last != 0 && h.opening.Seq != v.last+1 && !v.ended {
		v.problem(&FileError{Problem: ErrCorrupt, File: h.file, Offset: segment.OpeningOffset, Remedy: remedyRepair,
			Detail: fmt.Sprintf("it begins with event %d, after event %d", h.opening.Seq, v.last)})
	}
	if v.last == 0 && (h.opened || h.Number == 1) {
		v.last, v.lastTime = h.opening.Seq-1, h.opening.Time
	}
	v.rep.Bytes += int64(h.Size)
	if !v.ended && h.opened {
		v.end = h.Base + segment.DataOffset
	}
	events, problems := v.rep.Events, len(v.rep.Problems)
	full, err := v.frames(newScanner(src, h), v.goesOn(l, i))
	if err == nil && full && !f.archived {
		err = v.index(src, h, l)
	}
	if v.rep.Events > events && !h.opened {
		v.problem(&FileError{Problem: ErrCorrupt, File: h.file, Offset: segment.OpeningOffset, Detail: "its opening is not valid", Remedy: remedyRepair})
	}
	if e := h.misfit(v.off); e != nil && (len(v.rep.Problems) == problems || !h.short()) {
		v.problem(e)
	}
	v.done += v.sizeOf(f)
	if v.progress != nil {
		v.progress(v.done, v.total)
	}
	return errors.Join(err, src.Close())
}

// goesOn reports whether the consumer has entered a later segment.
func (v *verifier) goesOn(l *listing, i int) bool {
	for _, f := range l.segments[i+1:] {
		src, h, err := openHead(v.fsys, v.dir, f)
		if err != nil {
			continue
		}
		src.Close()
		if h.opened {
			return true
		}
	}
	return false
}

// frames checks one segment's frames and reports whether all are stamped to its
// end.
func (v *verifier) frames(sc *scanner, goesOn bool) (full bool, err error) {
	v.off = sc.off
	for {
		it, err := sc.peek(math.MaxUint64)
		var gap *gapError
		switch {
		case err == errSegmentEnd:
			return !v.ended, nil
		case errors.As(err, &gap):
			v.gap(sc, gap, goesOn)
			return false, nil
		case err != nil:
			v.last = 0
			return false, v.file(err)
		}
		if !it.padding && !v.item(sc, it, goesOn) {
			return false, nil
		}
		sc.off += int64(it.n)
		v.off = sc.off
		if !v.ended {
			v.end = sc.position()
		}
	}
}

// item checks one frame's stamp; false if the rest of the segment can't be told.
func (v *verifier) item(sc *scanner, it item, goesOn bool) bool {
	switch {
	case !it.stamped && (goesOn || sc.position() < v.meta.Durable):
		v.problem(sc.damaged(it.off, "its stamp is not valid"))
		v.last = 0
		return false
	case !it.stamped:
		v.ended = true
		v.rep.Unstamped++
		return true
	case v.ended: // the stamps after a lost one count for nothing
		v.rep.Unstamped++
		return true
	case v.last != 0 && it.stamp.Seq != v.last+1:
		v.problem(sc.damaged(it.off, fmt.Sprintf("it is event %d, after event %d", it.stamp.Seq, v.last)))
	case it.stamp.Time <= v.lastTime:
		v.problem(sc.damaged(it.off, fmt.Sprintf("event %d is at %v, the one before at %v", it.stamp.Seq, it.stamp.Time, v.lastTime)))
	}
	v.last, v.lastTime = it.stamp.Seq, it.stamp.Time
	if v.rep.Events == 0 {
		v.rep.FirstSeq = it.stamp.Seq
	}
	v.rep.Events++
	v.rep.LastSeq = it.stamp.Seq
	return true
}

// gap judges a place where no published frame is.
func (v *verifier) gap(sc *scanner, gap *gapError, goesOn bool) {
	switch {
	case goesOn || sc.position() < v.meta.Durable:
		v.problem(sc.damaged(gap.off, gap.detail))
		v.last = 0
	case gap.torn && v.rep.Torn == nil:
		v.rep.Torn = &FileError{Problem: ErrTorn, File: sc.file, Offset: gap.off, Detail: gap.detail, Remedy: "the next start truncates it"}
		v.ended = true
	default:
		v.ended = true
	}
}

// index compares the index of a sealed segment, if it has one, with its frames.
func (v *verifier) index(src readerAt, h head, l *listing) error {
	if !l.indexes[h.Number] {
		return nil
	}
	x, err := loadIndex(v.fsys, v.dir, &h.Header)
	if err == nil {
		want, err := newScanner(src, h).index()
		if err != nil {
			return v.file(err)
		}
		if reflect.DeepEqual(x, want) {
			return nil
		}
		v.problem(v.badIndex(h, "it doesn't agree with its segment"))
		return nil
	}
	v.problem(v.badIndex(h, err.Error()))
	return nil
}

func (v *verifier) badIndex(h head, detail string) *FileError {
	return &FileError{Problem: ErrCorrupt, File: path.Join(v.dir, indexName(h.Number)), Detail: detail,
		Remedy: "remove it: the next start makes it anew"}
}
