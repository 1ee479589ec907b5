package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// windowBytes is how much of a segment is read at once.
const windowBytes = 256 << 10

// usedBytes returns how far a segment's stamped frames reach. It looks at stamps
// alone, which bind their frame's checksum, and at no frame's content.
func usedBytes(fsys vfs.FS, dir, name string) (int64, error) {
	f, err := fsys.Open(path.Join(dir, name))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	w := window{f: f}
	b, err := w.at(0, segment.HeaderSize)
	if err != nil {
		return 0, err
	}
	h, err := segment.DecodeHeader(b)
	if err != nil {
		return 0, nil // damaged: all of it matters
	}
	off := int64(segment.DataOffset)
	for {
		n, err := w.stamped(off, &h)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", f.Name(), err)
		}
		if n == 0 {
			return off, nil
		}
		off += int64(n)
	}
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

// stamped returns the length of the frame at off if it is stamped, or padding; 0
// if it is neither.
func (w *window) stamped(off int64, h *segment.Header) (int, error) {
	b, err := w.at(off, record.PaddingMin)
	if err != nil || len(b) < record.PaddingMin {
		return 0, err
	}
	n := record.WordLength(binary.LittleEndian.Uint64(b), h.Nonce)
	if n == 0 || off+int64(n) > int64(h.Size) {
		return 0, nil
	}
	if f, _, err := record.Decode(b, h.Base+uint64(off), h.Nonce); err == nil && f.Kind == event.Padding {
		return n, nil
	}
	if n > record.MaxFrame {
		return 0, nil
	}
	if b, err = w.at(off, n); err != nil || len(b) < n {
		return 0, err
	}
	if _, ok := record.ReadStamp(b, h.Base+uint64(off), h.Nonce); !ok {
		return 0, nil
	}
	return n, nil
}
