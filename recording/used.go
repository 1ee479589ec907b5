package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"path"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// windowBytes is how much of a segment is read at once.
const windowBytes = 256 << 10

// reach returns how far a segment's stamped frames reach, and the last stamp, zero
// if there is none. It looks at stamps alone, which bind their frame's checksum,
// and at no frame's content.
func reach(fsys vfs.FS, dir, name string) (used int64, last record.Stamp, err error) {
	f, err := fsys.Open(path.Join(dir, name))
	if err != nil {
		return 0, last, err
	}
	defer f.Close()
	w := window{f: f}
	b, err := w.at(0, segment.HeaderSize)
	if err != nil {
		return 0, last, err
	}
	h, err := segment.DecodeHeader(b)
	if err != nil {
		return 0, last, nil // damaged: all of it matters
	}
	off := int64(segment.DataOffset)
	for {
		n, s, err := w.stamped(off, &h)
		if err != nil {
			return 0, last, fmt.Errorf("%s: %w", f.Name(), err)
		}
		if n == 0 {
			return off, last, nil
		}
		if s.Seq != 0 {
			last = s
		}
		off += int64(n)
	}
}

// An Extent is how much of a node's journal there is.
type Extent struct {
	First uint64       // sequence number of the first event
	Last  record.Stamp // of the last one; zero if there is none
	// Segments is a hash over which segments there are: it differs when one goes, or
	// comes back, in the middle too.
	Segments uint64
}

// JournalExtent finds out how far a journal reaches, reading its last segment,
// and of the others the head only. Damage elsewhere isn't noticed.
func JournalExtent(fsys vfs.FS, dir string) (Extent, error) {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return Extent{}, fmt.Errorf("journal: %w", err)
	}
	var segs []segmentInfo
	for _, name := range names {
		if !segmentName.MatchString(name) {
			continue
		}
		s, ok, err := readSegment(fsys, dir, name)
		if err != nil {
			return Extent{}, err
		}
		if ok {
			segs = append(segs, s)
		}
	}
	segs = entered(segs)
	if len(segs) == 0 {
		return Extent{}, fmt.Errorf("%s: there is no segment: check that this is a journal's directory", dir)
	}
	e := Extent{First: max(segs[0].first, 1), Segments: hashSegments(segs)}
	// The last segment may hold nothing that is stamped yet.
	for i := len(segs) - 1; i >= 0 && e.Last.Seq == 0; i-- {
		if _, e.Last, err = reach(fsys, dir, segs[i].Name); err != nil {
			return Extent{}, err
		}
	}
	return e, nil
}

// hashSegments is an FNV-1a hash of what tells segments from others.
func hashSegments(segs []segmentInfo) uint64 {
	h := fnv.New64a()
	for _, s := range segs {
		fmt.Fprintln(h, s.Name, s.Size, s.ID, s.first)
	}
	return h.Sum64()
}

// A window is the part of a file that was read last.
type window struct {
	f   vfs.File
	off int64
	b   []byte
}

// at returns n bytes at off, fewer at the end of the file; valid until it is
// called again.
func (w *window) at(off int64, n int) ([]byte, error) {
	if off < w.off || off+int64(n) > w.off+int64(len(w.b)) {
		w.off = off
		w.b = append(w.b[:0], make([]byte, max(n, windowBytes))...)
		got, err := w.f.ReadAt(w.b, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		w.b = w.b[:got]
	}
	b := w.b[off-w.off:]
	return b[:min(n, len(b))], nil
}

// stamped returns the length of the frame at off and its stamp if it is stamped;
// of padding the length alone; 0 if it is neither.
func (w *window) stamped(off int64, h *segment.Header) (int, record.Stamp, error) {
	b, err := w.at(off, record.PaddingMin)
	if err != nil || len(b) < record.PaddingMin {
		return 0, record.Stamp{}, err
	}
	n := record.WordLength(binary.LittleEndian.Uint64(b), h.Nonce)
	if n == 0 || off+int64(n) > int64(h.Size) {
		return 0, record.Stamp{}, nil
	}
	if f, _, err := record.Decode(b, h.Base+uint64(off), h.Nonce); err == nil && f.Kind == event.Padding {
		return n, record.Stamp{}, nil
	}
	if n > record.MaxFrame {
		return 0, record.Stamp{}, nil
	}
	if b, err = w.at(off, n); err != nil || len(b) < n {
		return 0, record.Stamp{}, err
	}
	s, ok := record.ReadStamp(b, h.Base+uint64(off), h.Nonce)
	if !ok {
		return 0, record.Stamp{}, nil
	}
	return n, s, nil
}
