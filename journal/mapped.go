package journal

import (
	"io"

	"hindcast.dev/journal/record"
	"hindcast.dev/vfs"
)

// mapReader reads a mapping as if it were its file.
type mapReader []byte

// ReadAt implements io.ReaderAt.
func (b mapReader) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Close implements io.Closer; who mapped it unmaps it.
func (mapReader) Close() error { return nil }

// claimsOut reports whether a claim in [from, to) isn't published: whether a
// producer may still write there.
func (s *mapped) claimsOut(from, to uint64) bool {
	for from < to {
		n := record.WordLength(vfs.LoadUint64(s.b, int(from-s.Base)), s.Nonce)
		if n == 0 {
			return true
		}
		from += uint64(n)
	}
	return false
}
