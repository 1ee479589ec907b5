package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// Names in a journal's directory.
const (
	lockName   = "lock"
	metaName   = "meta"
	spareName  = "spare.seg"
	panicName  = "panic.json"
	skipName   = "skip.json"
	segmentExt = ".seg"
	indexExt   = ".idx"
	archiveExt = ".seg.zst"
	tempExt    = ".tmp"
	asideName  = "aside-"
)

func segmentName(number uint64) string { return fmt.Sprintf("%08x%s", number, segmentExt) }
func indexName(number uint64) string   { return fmt.Sprintf("%08x%s", number, indexExt) }
func archiveName(number uint64) string { return fmt.Sprintf("%08x%s", number, archiveExt) }

// parseNumber reads the number of a segment from a file's name; false if the name
// is not one that this package gives.
func parseNumber(name, ext string) (uint64, bool) {
	base, ok := strings.CutSuffix(name, ext)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(base, 16, 64)
	return n, err == nil && n > 0 && fmt.Sprintf("%08x", n) == base
}

// A listing is what a journal's directory, or an archive's, holds.
type listing struct {
	segments []segmentFile // ascending by number
	indexes  map[uint64]bool
	temps    []string // leftovers
	meta     bool
	spare    bool
	foreign  []string // .seg files with a name that isn't a number
}

// A segmentFile is a segment by its name alone.
type segmentFile struct {
	number   uint64
	name     string // in the directory
	archived bool   // compressed
}

func list(fsys vfs.FS, dir string) (*listing, error) {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("journal directory: %w", err)
	}
	l := &listing{indexes: map[uint64]bool{}}
	for _, name := range names { // sorted, and so are numbers of up to 8 digits
		if n, ok := parseNumber(name, segmentExt); ok {
			l.addSegment(segmentFile{number: n, name: name})
		} else if n, ok := parseNumber(name, archiveExt); ok {
			l.addSegment(segmentFile{number: n, name: name, archived: true})
		} else if n, ok := parseNumber(name, indexExt); ok {
			l.indexes[n] = true
		} else {
			l.addOther(name)
		}
	}
	return l, nil
}

// addSegment keeps the list sorted; a longer number may come before a shorter.
func (l *listing) addSegment(f segmentFile) {
	i := len(l.segments)
	for i > 0 && l.segments[i-1].number > f.number {
		i--
	}
	l.segments = append(l.segments, f)
	copy(l.segments[i+1:], l.segments[i:])
	l.segments[i] = f
}

func (l *listing) has(number uint64) bool {
	return slices.ContainsFunc(l.segments, func(f segmentFile) bool { return f.number == number })
}

func (l *listing) addOther(name string) {
	switch {
	case name == metaName:
		l.meta = true
	case name == spareName:
		l.spare = true
	case strings.HasSuffix(name, tempExt):
		l.temps = append(l.temps, name)
	case strings.HasSuffix(name, segmentExt):
		l.foreign = append(l.foreign, name)
	}
}

// A head is what stands before a segment's frames.
type head struct {
	segment.Header
	opening segment.Opening
	opened  bool   // whether the opening is valid
	file    string // full name
	there   int64  // bytes that the file has; Size if it is whole
}

// short reports whether the file lacks bytes of the segment.
func (h *head) short() bool { return h.there < int64(h.Size) }

// misfit says that the file hasn't the size that its header says, nil if it has.
// What the segment holds is sound up to off.
func (h *head) misfit(off int64) *FileError {
	switch {
	case h.short():
		return &FileError{Problem: ErrUnexpectedEnd, File: h.file, Offset: min(off, h.there), Remedy: remedyRepair,
			Detail: fmt.Sprintf("it has %d bytes of %d", h.there, h.Size)}
	case h.there > int64(h.Size):
		return &FileError{Problem: ErrCorrupt, File: h.file, Offset: int64(h.Size), Remedy: remedyRepair,
			Detail: fmt.Sprintf("it has %d bytes, its header says %d", h.there, h.Size)}
	}
	return nil
}

// orphan says that h, the first segment, isn't where a journal can begin; nil if
// it is. Retention removes a segment only when the next one was entered.
func (h *head) orphan() *FileError {
	if h.opened || h.Number == 1 {
		return nil
	}
	return &FileError{Problem: ErrUnexpectedEnd, File: path.Join(path.Dir(h.file), segmentName(h.Number-1)), Remedy: remedyRepair,
		Detail: fmt.Sprintf("it is missing, or the opening of segment %d after it is damaged", h.Number)}
}

// missing is the error for a segment that isn't there.
func missing(dir string, number uint64) *FileError {
	return &FileError{Problem: ErrUnexpectedEnd, File: path.Join(dir, segmentName(number)), Detail: "it is missing", Remedy: remedyRepair}
}

// readHead reads and checks the head of an open segment file of which size bytes
// are there: what is sound of a short or long one can be read, see misfit. number
// is what its name says, 0 if that doesn't matter.
func readHead(src readerAt, file string, number uint64, size int64) (head, error) {
	b := make([]byte, segment.DataOffset)
	n, err := readFull(src, b, 0)
	if err != nil {
		return head{}, fmt.Errorf("read %s: %w", file, err)
	}
	h, err := segment.DecodeHeader(b[:n])
	if err != nil {
		return head{}, headError(file, n, err)
	}
	if number != 0 && h.Number != number {
		return head{}, &FileError{Problem: ErrForeign, File: file, Offset: 16, Remedy: remedyForeign,
			Detail: fmt.Sprintf("it is segment %d under the name of segment %d", h.Number, number)}
	}
	o, ok := segment.DecodeOpening(b[segment.OpeningOffset:], &h)
	if !ok && h.Number == 1 {
		o = segment.Opening{Seq: 1} // the first segment's can't be another
	}
	return head{Header: h, opening: o, opened: ok, file: file, there: size}, nil
}

// headError gives the error of a decoder its place and type.
func headError(file string, size int, err error) error {
	e := &FileError{File: file, Detail: err.Error(), Remedy: remedyRepair}
	switch {
	case errors.Is(err, segment.ErrVersion):
		e.Problem, e.Offset, e.Remedy = ErrVersion, 8, remedyVersion
	case errors.Is(err, segment.ErrForeign):
		e.Problem, e.Remedy = ErrForeign, remedyForeign+", or, if its beginning was overwritten, "+remedyRepair
	case errors.Is(err, segment.ErrShort):
		e.Problem, e.Offset = ErrUnexpectedEnd, int64(size)
	default:
		e.Problem = ErrCorrupt
	}
	return e
}

// openHead opens a segment file for reading; the caller closes it. If retention
// was faster, and perhaps used the file again, the error is fs.ErrNotExist.
func openHead(fsys vfs.FS, dir string, f segmentFile) (readerAt, head, error) {
	name := path.Join(dir, f.name)
	if f.archived {
		return openArchived(fsys, name, f.number)
	}
	file, err := fsys.Open(name)
	if err != nil {
		return nil, head{}, err
	}
	size, err := file.Size()
	if err == nil {
		var h head
		if h, err = readHead(file, name, f.number, size); err == nil {
			return file, h, nil
		}
	}
	if _, gone := fsys.Stat(name); gone != nil { // its name went before its content changed
		err = gone
	}
	return nil, head{}, errors.Join(err, file.Close())
}

// openWhole is openHead for a segment of which every byte must be there.
func openWhole(fsys vfs.FS, dir string, f segmentFile) (readerAt, head, error) {
	src, h, err := openHead(fsys, dir, f)
	if err != nil {
		return nil, head{}, err
	}
	if e := h.misfit(h.there); e != nil {
		return nil, head{}, errors.Join(e, src.Close())
	}
	return src, h, nil
}

// readHeads reads the heads of all segments, which must be whole.
func readHeads(fsys vfs.FS, dir string, files []segmentFile) ([]head, error) {
	heads := make([]head, 0, len(files))
	for _, f := range files {
		src, h, err := openWhole(fsys, dir, f)
		if err != nil {
			return nil, err
		}
		if err := src.Close(); err != nil {
			return nil, err
		}
		heads = append(heads, h)
	}
	return heads, nil
}

// removeIfThere removes a file that may be missing.
func removeIfThere(fsys vfs.FS, name string) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
