package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"

	"hindcast.dev/vfs"
)

// What may be wrong with a file of a History on disk; every error about one
// wraps exactly one of these.
var (
	// ErrForeign: the file is not of this format.
	ErrForeign = errors.New("not a file of a History")
	// ErrVersion: the file is of a version of the format that isn't known here.
	ErrVersion = errors.New("unknown version")
	// ErrTruncated: the file ends before its content does.
	ErrTruncated = errors.New("truncated")
	// ErrCorrupt: bytes of the file are not what was written.
	ErrCorrupt = errors.New("corrupt")
)

// A FileError says which file of a History is bad, where, and how.
type FileError struct {
	File   string
	Offset int64  // in bytes, of what is bad
	Detail string // what was expected
	Err    error  // ErrForeign, ErrVersion, ErrTruncated or ErrCorrupt
}

func (e *FileError) Error() string {
	remedy := "make the History anew from its journals, or fetch it again"
	if e.Err == ErrVersion {
		remedy = "read it with the hindcast that wrote it, or make it anew from its journals"
	}
	return fmt.Sprintf("%s: at byte %d: %v: %s; %s", e.File, e.Offset, e.Err, e.Detail, remedy)
}

func (e *FileError) Unwrap() error { return e.Err }

// Constants of the format, which FORMAT.md explains.
const (
	runMagic   = "hindhist"
	endMagic   = "tsihdnih"
	runVersion = 2

	headerSize  = 16
	trailerSize = 32
	headSize    = 20 // of a section

	sectionBase      = 1
	sectionBlock     = 2
	sectionRefs      = 3
	sectionDirectory = 4

	codecRaw     = 0
	codecZstd    = 1
	codecRepeat  = 2 // of a column: one byte
	codecColumns = 2 // of a block

	sectionMax = 64 << 20 // raw bytes
	ratioMax   = 1024     // raw bytes for each stored byte
	repeatMax  = 1 << 20  // raw bytes of a column that repeats one byte
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A compressor makes and reads the stored form of sections. It is safe for
// concurrent use.
type compressor struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCompressor() (*compressor, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(2), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, err
	}
	dec, err := newDecompressor()
	return &compressor{enc: enc, dec: dec}, err
}

// newDecompressor returns a decoder that never makes more than the capacity it
// is given.
func newDecompressor() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(sectionMax), zstd.WithDecodeAllCapLimit(true))
}

// appendSection appends a whole section to b.
func (c *compressor) appendSection(b []byte, kind byte, count int, raw []byte) ([]byte, error) {
	if len(raw) > sectionMax {
		return nil, fmt.Errorf("%d bytes in one piece, at most %d can be stored: a single event or variable is too large", len(raw), sectionMax)
	}
	start := len(b)
	b = append(b, make([]byte, headSize)...)
	b = c.enc.EncodeAll(raw, b)
	codec := byte(codecZstd)
	if stored := len(b) - start - headSize; stored >= len(raw) || len(raw) > stored*ratioMax {
		codec = codecRaw
		b = append(b[:start+headSize], raw...)
	}
	head := b[start:]
	head[0], head[1] = kind, codec
	le := binary.LittleEndian
	le.PutUint32(head[4:], uint32(len(b)-start-headSize))
	le.PutUint32(head[8:], uint32(len(raw)))
	le.PutUint32(head[12:], uint32(count))
	le.PutUint32(head[16:], crc32.Update(crc32.Checksum(head[:16], castagnoli), castagnoli, head[headSize:]))
	return b, nil
}

// A section is one as read.
type section struct {
	count int
	raw   []byte
	size  int // in the file, head included
	crc   uint32
}

// A runFile reads one file.
type runFile struct {
	name string
	f    io.ReaderAt
	size int64
	dec  *zstd.Decoder
}

func (r *runFile) fail(at int64, err error, format string, args ...any) error {
	return &FileError{File: r.name, Offset: at, Err: err, Detail: fmt.Sprintf(format, args...)}
}

// readAt returns n bytes at off.
func (r *runFile) readAt(off int64, n int) ([]byte, error) {
	if off < 0 || off > r.size || int64(n) > r.size-off {
		return nil, r.fail(r.size, ErrTruncated, "want %d bytes at byte %d, the file has %d", n, off, r.size)
	}
	b := make([]byte, n)
	return b, r.readInto(b, off)
}

// readInto fills b from off, where the file must have so much.
func (r *runFile) readInto(b []byte, off int64) error {
	if got, err := r.f.ReadAt(b, off); got < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			return r.fail(off+int64(got), ErrTruncated, "want %d bytes at byte %d, the file became shorter", len(b), off)
		}
		return fmt.Errorf("%s: at byte %d: %w", r.name, off, err)
	}
	return nil
}

// head reads what the section at off says of itself, and checks that it is whole.
func (r *runFile) head(off int64) (head []byte, stored int, err error) {
	if head, err = r.readAt(off, headSize); err != nil {
		return nil, 0, err
	}
	n := binary.LittleEndian.Uint32(head[4:])
	if int64(n) > r.size-off-headSize {
		return nil, 0, r.fail(off, ErrTruncated, "a section of %d bytes, the file has %d left", n, r.size-off-headSize)
	}
	return head, int(n), nil
}

// section reads the section of a kind at off.
func (r *runFile) section(off int64, kind byte) (section, error) {
	head, stored, err := r.head(off)
	if err != nil {
		return section{}, err
	}
	body, err := r.readAt(off+headSize, stored)
	if err != nil {
		return section{}, err
	}
	le := binary.LittleEndian
	rawLen := le.Uint32(head[8:])
	s := section{count: int(le.Uint32(head[12:])), raw: body, size: headSize + stored, crc: sectionCRC(head)}
	if crc32.Update(crc32.Checksum(head[:16], castagnoli), castagnoli, body) != s.crc {
		return section{}, r.fail(off, ErrCorrupt, "the checksum of a section of %d bytes differs", s.size)
	}
	if head[0] != kind || head[1] > codecZstd || head[2] != 0 || head[3] != 0 {
		return section{}, r.fail(off, ErrCorrupt, "want a section of kind %d, found kind %d, codec %d", kind, head[0], head[1])
	}
	if rawLen > sectionMax || uint64(rawLen) > uint64(stored)*ratioMax || head[1] == codecRaw && rawLen != uint32(stored) {
		return section{}, r.fail(off, ErrCorrupt, "a section of %d bytes says that it holds %d", stored, rawLen)
	}
	if head[1] == codecZstd {
		s.raw, err = r.dec.DecodeAll(body, make([]byte, 0, rawLen))
		if err != nil || len(s.raw) != int(rawLen) {
			return section{}, r.fail(off, ErrCorrupt, "a section doesn't decompress to %d bytes (%v)", rawLen, err)
		}
	}
	return s, nil
}

// header checks the first bytes: is it ours, is it a version that we know, is
// it whole.
func (r *runFile) header() error {
	b, err := r.readAt(0, min(headerSize, int(r.size)))
	if err != nil {
		return err
	}
	if n := min(len(b), len(runMagic)); string(b[:n]) != runMagic[:n] {
		return r.fail(0, ErrForeign, "want the magic %q, found %q", runMagic, b[:n])
	}
	if len(b) < headerSize {
		return r.fail(r.size, ErrTruncated, "want a header of %d bytes", headerSize)
	}
	le := binary.LittleEndian
	if v := le.Uint32(b[8:]); v != runVersion {
		return r.fail(8, ErrVersion, "version %d, known is %d", v, runVersion)
	}
	if crc32.Checksum(b[:12], castagnoli) != le.Uint32(b[12:]) {
		return r.fail(12, ErrCorrupt, "the header's checksum differs")
	}
	return nil
}

// sectionCRC is the checksum in the head of a section.
func sectionCRC(b []byte) uint32 { return binary.LittleEndian.Uint32(b[16:]) }

func appendHeader(b []byte) []byte {
	b = append(b, runMagic...)
	b = binary.LittleEndian.AppendUint32(b, runVersion)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[len(b)-12:], castagnoli))
}

// trailer returns where the directory lies.
func (r *runFile) trailer() (int64, error) {
	if r.size < headerSize+trailerSize {
		return 0, r.fail(r.size, ErrTruncated, "want at least %d bytes", headerSize+trailerSize)
	}
	at := r.size - trailerSize
	b, err := r.readAt(at, trailerSize)
	if err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	off, length := le.Uint64(b), le.Uint32(b[8:])
	if string(b[16:24]) != endMagic {
		return 0, r.fail(at, ErrTruncated, "want the trailer here, with the magic %q", endMagic)
	}
	if crc32.Checksum(b[:28], castagnoli) != le.Uint32(b[28:]) || off > uint64(at) || off+uint64(length) != uint64(at) {
		return 0, r.fail(at, ErrCorrupt, "the trailer's checksum differs, or it points outside")
	}
	return int64(off), nil
}

func appendTrailer(b []byte, off int64, length int) []byte {
	start := len(b)
	le := binary.LittleEndian
	b = le.AppendUint64(b, uint64(off))
	b = le.AppendUint32(b, uint32(length))
	b = le.AppendUint32(b, 0)
	b = append(b, endMagic...)
	b = le.AppendUint32(b, 0)
	return le.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// openRunFile opens a file for reading.
func openRunFile(fsys vfs.FS, name string, dec *zstd.Decoder) (*runFile, vfs.File, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return &runFile{name: name, f: f, size: size, dec: dec}, f, nil
}
