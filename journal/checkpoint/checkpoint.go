// Package checkpoint stores a node's checkpoints: files that are whole or not
// there. What is in one is the caller's business.
//
//	 0  8  magic "HCASTCKP"
//	 8  4  format version, 1
//	12  4  length of the header h, in bytes
//	16  8  length of the body b, in bytes
//	24  h  header: boot, sequence number, Timestamp, physical time and digest chain
//	       (8 bytes each), then node, then the number of versions (4 bytes), then
//	       machine and version (4 bytes) of each, machines ascending; a name is its
//	       length (1 byte) and its bytes
//	 …  4  CRC-32C of all before
//	 …  b  body
//	 …  4  CRC-32C of the body
//
// All numbers are little-endian. The name of the file is its sequence number in
// 16 hex digits and .ckpt.
package checkpoint

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"hindcast.dev/faultpoint"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/vfs"
)

const (
	magic         = "HCASTCKP"
	version       = 1
	prefixSize    = 24
	fixedSize     = 5 * 8 // of the header, before its names
	headerSizeMax = 1 << 20
	ext           = ".ckpt"
	tempExt       = ".tmp"
	asideExt      = ".aside"

	// SizeMax is the largest file that is read, in bytes.
	SizeMax = 4 << 30
)

// What can be wrong with a checkpoint; a *FileError wraps one of them, or
// vfs.ErrMedium.
var (
	ErrCorrupt       = errors.New("corruption")
	ErrVersion       = errors.New("unknown format version")
	ErrUnexpectedEnd = errors.New("unexpected end of file")
	ErrForeign       = errors.New("not a checkpoint")
)

// ErrNone is returned by Latest if there is no checkpoint, or no sound one.
var ErrNone = errors.New("no checkpoint")

// A FileError says what is wrong with a file, and where.
type FileError struct {
	Problem error // ErrCorrupt, ErrVersion, ErrUnexpectedEnd, ErrForeign or vfs.ErrMedium
	File    string
	Offset  int64
	Detail  string
}

func (e *FileError) Error() string {
	s := fmt.Sprintf("%s: %v at byte %d: %s", e.File, e.Problem, e.Offset, e.Detail)
	if e.Problem == ErrVersion {
		return s + "; open it with the build that wrote it, or a newer one"
	}
	return s + "; an older checkpoint, or replay from the start, takes its place: remove it when you have looked at it"
}

// Unwrap returns the Problem.
func (e *FileError) Unwrap() error { return e.Problem }

// A Header says what a checkpoint is of.
type Header struct {
	Node     string
	Boot     uint64
	Seq      uint64            // the state is that after this event
	Time     hlc.Timestamp     // of that event
	Physical hlc.Timestamp     // of that event
	Chain    uint64            // digest chain up to and including that event
	Versions map[string]uint32 // machine → version whose state this is
}

// Name is the name of the file of a checkpoint after the event seq.
func Name(seq uint64) string { return fmt.Sprintf("%016x%s", seq, ext) }

func parseName(name string) (uint64, bool) {
	base, ok := strings.CutSuffix(name, ext)
	seq, err := strconv.ParseUint(base, 16, 64)
	return seq, ok && err == nil && Name(seq) == name
}

// Write stores a checkpoint durably and atomically, and makes dir if need be. One
// of the same Seq is replaced.
func Write(fsys vfs.FS, dir string, h Header, body []byte) error {
	return WriteWith(fsys, dir, h, body, nil)
}

// WriteWith is Write with the points of a simulated run.
func WriteWith(fsys vfs.FS, dir string, h Header, body []byte, faults *faultpoint.Set) error {
	b, err := encode(&h, body)
	if err != nil {
		return err
	}
	if err := vfs.MkdirSync(fsys, dir); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := vfs.WriteFileSteps(fsys, path.Join(dir, Name(h.Seq)), b, func(next vfs.OpKind) error {
		if next == vfs.OpRename {
			return faults.Hit(faultpoint.CheckpointWritten)
		}
		return faults.Hit(faultpoint.CheckpointNamed)
	}); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

func encode(h *Header, body []byte) ([]byte, error) {
	le := binary.LittleEndian
	b := make([]byte, prefixSize, prefixSize+fixedSize+64+len(body)+8)
	for _, v := range [...]uint64{h.Boot, h.Seq, uint64(h.Time), uint64(h.Physical), h.Chain} {
		b = le.AppendUint64(b, v)
	}
	var err error
	if b, err = appendName(b, h.Node); err != nil {
		return nil, err
	}
	b = le.AppendUint32(b, uint32(len(h.Versions)))
	for _, m := range slices.Sorted(maps.Keys(h.Versions)) {
		if b, err = appendName(b, m); err != nil {
			return nil, err
		}
		b = le.AppendUint32(b, h.Versions[m])
	}
	if len(b) > headerSizeMax {
		return nil, fmt.Errorf("checkpoint: header of %d bytes, the most is %d", len(b), headerSizeMax)
	}
	copy(b, magic)
	le.PutUint32(b[8:], version)
	le.PutUint32(b[12:], uint32(len(b)-prefixSize))
	le.PutUint64(b[16:], uint64(len(body)))
	b = le.AppendUint32(b, record.CRC(0, b))
	b = append(b, body...)
	return le.AppendUint32(b, record.CRC(0, body)), nil
}

func appendName(b []byte, name string) ([]byte, error) {
	if len(name) > record.NameMax {
		return nil, fmt.Errorf("checkpoint: name %.20q… has %d bytes, the most is %d", name, len(name), record.NameMax)
	}
	return append(append(b, byte(len(name))), name...), nil
}

// Read reads the checkpoint in a file and checks all of it.
func Read(fsys vfs.FS, name string) (Header, []byte, error) {
	b, err := vfs.ReadFile(fsys, name, SizeMax)
	if errors.Is(err, vfs.ErrMedium) {
		return Header{}, nil, &FileError{Problem: vfs.ErrMedium, File: name, Detail: err.Error()}
	}
	if err != nil {
		return Header{}, nil, fmt.Errorf("checkpoint: %w", err)
	}
	h, body, err := Decode(b)
	if e := (*FileError)(nil); errors.As(err, &e) {
		e.File = name
	}
	if err != nil {
		return Header{}, nil, err
	}
	return h, body, nil
}

func bad(problem error, offset int, format string, args ...any) error {
	return &FileError{Problem: problem, Offset: int64(offset), Detail: fmt.Sprintf(format, args...)}
}

// Decode reads the bytes of a checkpoint's file; body aliases them. The error is
// a *FileError without a file.
func Decode(b []byte) (h Header, body []byte, err error) {
	le := binary.LittleEndian
	head, err := checkHead(b)
	if err != nil {
		return Header{}, nil, err
	}
	n := le.Uint64(b[16:])
	rest := b[len(head)+4:]
	if len(rest) < 4 || n > uint64(len(rest))-4 {
		return Header{}, nil, bad(ErrUnexpectedEnd, len(b), "its body should have %d bytes", n)
	}
	if n < uint64(len(rest))-4 {
		return Header{}, nil, bad(ErrCorrupt, len(head)+8+int(n), "there are %d bytes after its end", uint64(len(rest))-4-n)
	}
	body = rest[:n:n]
	if want, got := record.CRC(0, body), le.Uint32(rest[n:]); want != got {
		return Header{}, nil, bad(ErrCorrupt, len(head)+4, "CRC of the body is %#08x and should be %#08x", got, want)
	}
	h, err = decodeHeader(head[prefixSize:])
	return h, body, err
}

// Copy copies a checkpoint's file from r to w piece by piece, and checks all of it as
// Decode does.
func Copy(w io.Writer, r io.Reader) (h Header, err error) {
	le := binary.LittleEndian
	b, err := readMore(r, nil, prefixSize)
	if err != nil {
		return h, err
	}
	if len(b) == prefixSize && le.Uint32(b[12:]) <= headerSizeMax { // checkHead refuses others
		if b, err = readMore(r, b, int(le.Uint32(b[12:]))+4); err != nil {
			return h, err
		}
	}
	head, err := checkHead(b)
	if err != nil {
		return h, err
	}
	if h, err = decodeHeader(head[prefixSize:]); err != nil {
		return h, err
	}
	if _, err := w.Write(b); err != nil {
		return h, err
	}
	n := le.Uint64(b[16:])
	sum := &summing{w: w}
	got, err := io.Copy(sum, io.LimitReader(r, int64(min(n, SizeMax))))
	if err != nil {
		return h, err
	}
	if uint64(got) != n {
		return h, bad(ErrUnexpectedEnd, len(b)+int(got), "its body should have %d bytes", n)
	}
	tail, err := readMore(r, nil, 5) // a byte more than there should be
	switch {
	case err != nil:
		return h, err
	case len(tail) < 4:
		return h, bad(ErrUnexpectedEnd, len(b)+int(got)+len(tail), "the CRC of its body is missing")
	case len(tail) > 4:
		return h, bad(ErrCorrupt, len(b)+int(got)+4, "there are bytes after its end")
	case le.Uint32(tail) != sum.crc:
		return h, bad(ErrCorrupt, len(b), "CRC of the body is %#08x and should be %#08x", sum.crc, le.Uint32(tail))
	}
	_, err = w.Write(tail)
	return h, err
}

// readMore appends up to n bytes of r to b: fewer where r ends.
func readMore(r io.Reader, b []byte, n int) ([]byte, error) {
	at := len(b)
	b = append(b, make([]byte, n)...)
	got, err := io.ReadFull(r, b[at:])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return b[:at+got], err
}

// A summing sums up what goes through it.
type summing struct {
	w   io.Writer
	crc uint32
}

// Write implements io.Writer.
func (s *summing) Write(b []byte) (int, error) {
	s.crc = record.CRC(s.crc, b)
	return s.w.Write(b)
}

// checkHead returns all before the header's CRC.
func checkHead(b []byte) ([]byte, error) {
	le := binary.LittleEndian
	switch {
	case len(b) < prefixSize:
		return nil, bad(ErrUnexpectedEnd, len(b), "it has only %d bytes", len(b))
	case string(b[:8]) != magic:
		return nil, bad(ErrForeign, 0, "it begins with %q instead of %q", b[:8], magic)
	case le.Uint32(b[8:]) != version:
		return nil, bad(ErrVersion, 8, "version %d, this build knows %d", le.Uint32(b[8:]), version)
	}
	n := uint64(le.Uint32(b[12:]))
	if n > headerSizeMax {
		return nil, bad(ErrCorrupt, 12, "its header should have %d bytes", n)
	}
	if uint64(len(b)) < prefixSize+n+4 {
		return nil, bad(ErrUnexpectedEnd, len(b), "its header should have %d bytes", n)
	}
	head := b[:prefixSize+n]
	if want, got := record.CRC(0, head), le.Uint32(b[len(head):]); want != got {
		return nil, bad(ErrCorrupt, len(head), "CRC of the header is %#08x and should be %#08x", got, want)
	}
	return head, nil
}

func decodeHeader(b []byte) (Header, error) {
	whole := len(b)
	le := binary.LittleEndian
	short := func() (Header, error) {
		return Header{}, bad(ErrCorrupt, prefixSize+whole-len(b), "the header's fields don't fill it")
	}
	if len(b) < fixedSize {
		return short()
	}
	h := Header{Boot: le.Uint64(b), Seq: le.Uint64(b[8:]), Time: hlc.Timestamp(le.Uint64(b[16:])),
		Physical: hlc.Timestamp(le.Uint64(b[24:])), Chain: le.Uint64(b[32:])}
	b = b[fixedSize:]
	var ok bool
	if h.Node, b, ok = cutName(b); !ok || len(b) < 4 {
		return short()
	}
	n := le.Uint32(b)
	b = b[4:]
	last := ""
	for i := range n {
		var name string
		if name, b, ok = cutName(b); !ok || len(b) < 4 || i > 0 && name <= last {
			return short()
		}
		if h.Versions == nil {
			h.Versions = map[string]uint32{}
		}
		h.Versions[name], last = le.Uint32(b), name
		b = b[4:]
	}
	if len(b) > 0 {
		return short()
	}
	return h, nil
}

func cutName(b []byte) (name string, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return "", b, false
	}
	n := 1 + int(b[0])
	return string(b[1:n]), b[n:], true
}

// List returns the sequence numbers of all checkpoints in dir, ascending; none if
// dir is missing. It reads names only.
func List(fsys vfs.FS, dir string) ([]uint64, error) {
	names, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	var seqs []uint64
	for _, name := range names {
		if seq, ok := parseName(name); ok {
			seqs = append(seqs, seq)
		}
	}
	slices.Sort(seqs)
	return seqs, nil
}

// Latest returns the newest sound one: the checkpoint of the highest sequence
// number up to seqMax that can be read. skipped says what is wrong with those
// that were passed over. The error is ErrNone if none is left, or that of the
// file system.
func Latest(fsys vfs.FS, dir string, seqMax uint64) (h Header, body []byte, skipped []*FileError, err error) {
	seqs, err := List(fsys, dir)
	if err != nil {
		return Header{}, nil, nil, err
	}
	for _, seq := range slices.Backward(seqs) {
		if seq > seqMax {
			continue
		}
		name := path.Join(dir, Name(seq))
		h, body, err = Read(fsys, name)
		if err == nil && h.Seq != seq {
			err = &FileError{Problem: ErrForeign, File: name, Offset: prefixSize + 8,
				Detail: fmt.Sprintf("it is of event %d under the name of event %d", h.Seq, seq)}
		}
		if err == nil {
			return h, body, skipped, nil
		}
		var e *FileError
		if !errors.As(err, &e) {
			return Header{}, nil, skipped, err
		}
		skipped = append(skipped, e)
	}
	return Header{}, nil, skipped, ErrNone
}

// SetAside renames the checkpoints of events above seqMax, so that nobody takes
// them for those of the events that will have these numbers, and returns their new
// names.
func SetAside(fsys vfs.FS, dir string, seqMax uint64) (names []string, err error) {
	seqs, err := List(fsys, dir)
	if err != nil {
		return nil, err
	}
	for _, seq := range seqs {
		if seq <= seqMax {
			continue
		}
		name := path.Join(dir, Name(seq))
		if err := fsys.Rename(name, name+asideExt); err != nil {
			return names, fmt.Errorf("checkpoint: set aside: %w", err)
		}
		names = append(names, name+asideExt)
	}
	if len(names) > 0 {
		if err := fsys.SyncDir(dir); err != nil {
			return names, fmt.Errorf("checkpoint: set aside: %w", err)
		}
	}
	return names, nil
}

// Prune removes all but the newest keep checkpoints and those of also, and what
// crashes left half written, and returns the lowest sequence number that is left: what
// journal.SetRetainFrom wants, less one. It is 0 if none is left.
func Prune(fsys vfs.FS, dir string, keep int, also ...uint64) (oldest uint64, err error) {
	seqs, err := List(fsys, dir)
	if err != nil || len(seqs) == 0 {
		return 0, err
	}
	if err := removeTemps(fsys, dir); err != nil {
		return 0, err
	}
	removed := false
	for i, seq := range seqs {
		if i >= len(seqs)-keep || slices.Contains(also, seq) {
			oldest = cmp.Or(oldest, seq)
			continue
		}
		if err := fsys.Remove(path.Join(dir, Name(seq))); err != nil {
			return 0, fmt.Errorf("checkpoint: %w", err)
		}
		removed = true
	}
	if removed {
		if err := fsys.SyncDir(dir); err != nil {
			return 0, fmt.Errorf("checkpoint: %w", err)
		}
	}
	return oldest, nil
}

func removeTemps(fsys vfs.FS, dir string) error {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("checkpoints: %w", err)
	}
	for _, name := range names {
		if base, ok := strings.CutSuffix(name, tempExt); ok && strings.HasSuffix(base, ext) {
			if err := fsys.Remove(path.Join(dir, name)); err != nil {
				return fmt.Errorf("checkpoint: %w", err)
			}
		}
	}
	return nil
}
