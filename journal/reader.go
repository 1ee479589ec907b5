package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"sort"

	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// An Entry is a stamped event and its place. Its slices are valid until the next
// call on the Reader.
type Entry struct {
	record.Frame
	Stamp   record.Stamp
	Segment uint64 // number of the segment
	Offset  int64  // in the segment's file, bytes
	Length  int    // of the frame, bytes
}

// A Reader reads stamped events in order, by pread, and changes nothing. It never
// goes past the stamped end. It is not safe for concurrent use; any number of
// Readers may be.
type Reader struct {
	fsys vfs.FS
	dir  string
	j    *Journal // whose stamps bound the Reader; nil for another process'

	src  readerAt // of sc
	sc   *scanner
	last uint64                  // sequence number before the next event; 0 if unknown
	skip func(record.Stamp) bool // events before the place sought; nil for none
	err  error                   // final
}

// OpenReader opens a journal, also one that another process is writing, or an
// archive. fromSeq is as in SeekSeq.
func OpenReader(fsys vfs.FS, dir string, fromSeq uint64) (*Reader, error) {
	r := &Reader{fsys: fsys, dir: dir}
	if err := r.SeekSeq(fromSeq); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// NewReader reads this journal while it is written. It sees an event as soon as
// it is stamped: see Wait. fromSeq is as in SeekSeq. Any goroutine.
func (j *Journal) NewReader(fromSeq uint64) (*Reader, error) {
	r := &Reader{fsys: j.o.FS, dir: j.o.Dir, j: j}
	if err := r.SeekSeq(fromSeq); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// SeekSeq moves before the first event with a sequence number of at least seq,
// which may be still to come; 0 is the first that is kept. It returns a
// *RetainedError if the event seq was removed.
func (r *Reader) SeekSeq(seq uint64) error {
	return r.seek(seq,
		func(o segment.Opening) bool { return o.Seq <= max(seq, 1) },
		func(x *segment.Index) (segment.IndexEntry, bool) { return x.SeekSeq(seq) },
		func(s record.Stamp) bool { return s.Seq < seq })
}

// SeekTime moves before the first event at or after ts, which may be still to
// come, or before the first that is kept.
func (r *Reader) SeekTime(ts hlc.Timestamp) error {
	return r.seek(0,
		func(o segment.Opening) bool { return o.Time < ts },
		func(x *segment.Index) (segment.IndexEntry, bool) { return x.SeekTime(ts) },
		func(s record.Stamp) bool { return s.Time < ts })
}

// seekTries bounds how often a seek starts again because retention was faster.
const seekTries = 100

// seek finds the last segment whose opening is before the place, goes there by
// its index, and skips the rest. want is the sequence number that must not be
// gone, 0 if that doesn't matter.
func (r *Reader) seek(want uint64, before func(segment.Opening) bool,
	entry func(*segment.Index) (segment.IndexEntry, bool), skip func(record.Stamp) bool) error {
	var err error
	for range seekTries {
		if err = r.trySeek(want, before); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return err
	}
	r.skip, r.err = skip, nil
	if r.sc.short() { // the index would lead behind its end
		return nil
	}
	if x := r.index(); x != nil {
		if e, ok := entry(x); ok {
			r.sc.off, r.last = int64(e.Offset), 0
		}
	}
	return nil
}

// index is that of the present segment, nil if there is none: of the one that is
// being stamped what the consumer has so far.
func (r *Reader) index() *segment.Index {
	if r.j != nil {
		if s := r.j.entered.Load(); s.Number == r.sc.Number {
			if places := s.places.Load(); places != nil {
				return &segment.Index{Entries: *places}
			}
		}
	}
	x, err := loadIndex(r.fsys, r.dir, &r.sc.Header)
	if err != nil {
		return nil
	}
	return x
}

func (r *Reader) trySeek(want uint64, before func(segment.Opening) bool) error {
	l, err := list(r.fsys, r.dir)
	if err != nil {
		return err
	}
	if len(l.segments) == 0 {
		return &FileError{Problem: ErrUnexpectedEnd, File: r.dir, Detail: "there is no segment", Remedy: "check that this is a journal's directory"}
	}
	n, err := r.search(l, before)
	if err != nil {
		return err
	}
	if err := r.open(l.segments[max(n-1, 0)]); err != nil {
		return err
	}
	if e := r.sc.orphan(); e != nil {
		return e
	}
	if first := r.sc.opening.Seq; n == 0 && want != 0 && want < first {
		return &RetainedError{Want: want, First: first}
	}
	r.last = 0
	if o := r.sc.opening; o.Seq > 0 {
		r.last = o.Seq - 1
	}
	return nil
}

// search returns how many segments there are up to the last whose opening is
// before the place, 0 if there is none.
func (r *Reader) search(l *listing, before func(segment.Opening) bool) (int, error) {
	var failed error
	n := sort.Search(len(l.segments), func(i int) bool {
		h, err := r.look(l.segments[i])
		if errors.Is(err, fs.ErrNotExist) {
			return false // removed since it was listed
		}
		failed = errors.Join(failed, err)
		return err != nil || !h.opened && h.Number > 1 || !before(h.opening)
	})
	var damage *FileError
	if errors.As(failed, &damage) {
		return r.searchSound(l, before)
	}
	return n, failed
}

// searchSound is search where some segments' heads are damaged: among those that
// aren't. What is wrong with the others is told to who reads on to them. The error
// is that of the first segment, if the place may be in it.
func (r *Reader) searchSound(l *listing, before func(segment.Opening) bool) (int, error) {
	n := 0
	var first error // damage before any sound segment
	for i, f := range l.segments {
		h, err := r.look(f)
		var damage *FileError
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return 0, err // seek tries again
		case errors.As(err, &damage):
			if n == 0 {
				first = cmp.Or(first, err)
			}
		case err != nil:
			return 0, err
		case !h.opened && h.Number > 1:
		case !before(h.opening):
			return n, first
		default:
			n, first = i+1, nil
		}
	}
	return n, first
}

// look reads a segment's head.
func (r *Reader) look(f segmentFile) (head, error) {
	src, h, err := openHead(r.fsys, r.dir, f)
	if err != nil {
		return head{}, err
	}
	return h, src.Close()
}

// open makes a segment the present one.
func (r *Reader) open(f segmentFile) error {
	if r.j != nil {
		r.j.pins.add(f.number, 1) // first: so that it isn't recycled meanwhile
	}
	src, h, err := openHead(r.fsys, r.dir, f)
	if err != nil {
		r.unpin(f.number)
		return err
	}
	if err := r.release(); err != nil {
		r.unpin(f.number)
		return errors.Join(err, src.Close())
	}
	r.src, r.sc = src, newScanner(src, h)
	return nil
}

func (r *Reader) unpin(number uint64) {
	if r.j != nil {
		r.j.pins.add(number, -1)
	}
}

// release closes the present segment.
func (r *Reader) release() error {
	if r.src == nil {
		return nil
	}
	r.unpin(r.sc.Number)
	err := r.src.Close()
	r.src = nil
	return err
}

// Close releases the Reader's file. Next fails after it.
func (r *Reader) Close() error {
	r.err = ErrClosed
	return r.release()
}

// Next returns the next stamped event; io.EOF at the stamped end, after which it
// may be called again: see Journal.Wait. A reader that retention has overtaken
// gets a *RetainedError, one that meets damage a *FileError; these are final
// until the next seek.
func (r *Reader) Next() (Entry, error) {
	if r.err != nil {
		return Entry{}, r.err
	}
	for {
		e, err := r.next()
		switch {
		case err == io.EOF:
			r.sc.forget()
			return Entry{}, io.EOF
		case err != nil:
			r.err = err
			return Entry{}, err
		case r.skip == nil || !r.skip(e.Stamp):
			r.skip = nil
			return e, nil
		}
	}
}

// limit is the position at and above which nothing is read.
func (r *Reader) limit() uint64 {
	if r.j == nil {
		return math.MaxUint64
	}
	return r.j.consumed.Load()
}

func (r *Reader) next() (Entry, error) {
	for {
		limit := r.limit()
		if r.sc.position() >= limit {
			return Entry{}, io.EOF
		}
		it, err := r.sc.peek(limit)
		if err == errSegmentEnd {
			if err := r.turn(); err != nil {
				return Entry{}, err
			}
			continue
		}
		if detail := r.unsound(it, err); detail != "" {
			if err := r.explain(detail); err != nil {
				return Entry{}, err
			}
			continue // it has become sound
		}
		if err != nil {
			return Entry{}, err
		}
		r.sc.off += int64(it.n)
		if it.padding {
			continue
		}
		r.last = it.stamp.Seq
		return Entry{Frame: it.frame, Stamp: it.stamp, Segment: r.sc.Number, Offset: it.off, Length: it.n}, nil
	}
}

// unsound says why an item is not the next event, "" if it is, or if err is of
// another kind.
func (r *Reader) unsound(it item, err error) string {
	var gap *gapError
	switch {
	case errors.As(err, &gap):
		return gap.detail
	case err != nil || it.padding:
		return ""
	case !it.stamped:
		return "its stamp is not valid"
	case r.last != 0 && it.stamp.Seq != r.last+1:
		return fmt.Sprintf("it is event %d, after event %d", it.stamp.Seq, r.last)
	}
	return ""
}

// explain tells the end from damage where no event is: io.EOF if history may end
// here, nil if there is one now, else the error.
func (r *Reader) explain(detail string) error {
	if err := r.overtaken(); err != nil {
		return err
	}
	if r.sc.short() {
		return r.sc.misfit(r.sc.off)
	}
	goesOn, err := r.goesOn()
	if err != nil {
		return err
	}
	if !goesOn {
		return io.EOF
	}
	r.sc.forget() // it may have been written since it was read
	it, err := r.sc.peek(r.limit())
	if again := r.unsound(it, err); again != "" {
		if err := r.overtaken(); err != nil {
			return err
		}
		return r.sc.damaged(r.sc.off, detail)
	}
	return nil
}

// goesOn reports whether history is known to go on at or behind the present place.
func (r *Reader) goesOn() (bool, error) {
	if r.j != nil {
		return true, nil // it is below the limit
	}
	m, _, _, err := readMeta(r.fsys, r.dir)
	if err == nil && r.sc.position() < m.Durable {
		return true, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // an archive has none
		return false, err
	}
	l, err := list(r.fsys, r.dir)
	if err != nil {
		return false, err
	}
	for _, f := range l.segments {
		if f.number <= r.sc.Number {
			continue
		}
		h, err := r.look(f)
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil // removed already: we are far behind
		}
		return h.opened || f.number > r.sc.Number+1, err
	}
	return false, nil
}

// overtaken returns a *RetainedError if the present segment was recycled.
func (r *Reader) overtaken() error {
	b := make([]byte, segment.HeaderSize)
	n, err := readFull(r.src, b, 0)
	if err != nil {
		return fmt.Errorf("read %s: %w", r.sc.file, err)
	}
	h, err := segment.DecodeHeader(b[:n])
	if err == nil && h.Nonce == r.sc.Nonce && h.Number == r.sc.Number {
		return nil
	}
	if _, gone := r.fsys.Stat(r.sc.file); err != nil && gone == nil {
		return headError(r.sc.file, n, err)
	}
	first, err := r.first()
	if err != nil {
		return err
	}
	return &RetainedError{Want: r.last + 1, First: first}
}

// first is the first sequence number that is kept.
func (r *Reader) first() (seq uint64, err error) {
	for range seekTries {
		var l *listing
		if l, err = list(r.fsys, r.dir); err != nil || len(l.segments) == 0 {
			return 0, err
		}
		src, h, err2 := openHead(r.fsys, r.dir, l.segments[0])
		if err2 == nil {
			return h.opening.Seq, src.Close()
		}
		if err = err2; !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return 0, err
}

// turn goes on to the next segment; io.EOF if there is none yet.
func (r *Reader) turn() error {
	number := r.sc.Number + 1
	f := segmentFile{number: number, name: segmentName(number)}
	if _, archived := parseNumber(path.Base(r.sc.file), archiveExt); archived {
		f = segmentFile{number: number, name: archiveName(number), archived: true}
	}
	err := r.open(f)
	if err == nil {
		return r.follows()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m, _, _, err := readMeta(r.fsys, r.dir) // before the list: what is durable by now is listed
	if err != nil {
		m.Durable = 0
	}
	l, err := list(r.fsys, r.dir)
	if err != nil {
		return err
	}
	if n := len(l.segments); n == 0 || l.segments[n-1].number < number {
		if r.sc.position() < m.Durable {
			return missing(r.dir, number)
		}
		return io.EOF
	}
	if l.has(r.sc.Number) && !l.has(number) { // retention takes the oldest
		return missing(r.dir, number)
	}
	first, err := r.first()
	if err != nil {
		return err
	}
	if first <= r.last+1 { // it came meanwhile
		if err := r.open(f); !errors.Is(err, fs.ErrNotExist) {
			return cmp.Or(err, r.follows())
		}
	}
	return &RetainedError{Want: r.last + 1, First: max(first, r.last+2)}
}

// follows checks that the segment just opened goes on where the one before ended.
func (r *Reader) follows() error {
	if o := r.sc.opening; r.sc.opened && r.last != 0 && o.Seq != r.last+1 {
		return r.sc.damaged(segment.OpeningOffset, fmt.Sprintf("it begins with event %d, after event %d", o.Seq, r.last))
	}
	return nil
}
