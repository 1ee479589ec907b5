package live

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// A node's answer to GET /v1/history is a stream of frames:
//
//	4  length of what follows, little-endian, at most FrameMax
//	1  kind
//	…  payload
//
// The first is a hello. After it come bases and blocks, and at the end, where
// there is time for it, an end. A frame of an unknown kind is an error: a new kind
// is a new Version.

// Version is that of the frames' form. A node answers in the version that it is
// asked for, or refuses.
const Version = 1

// ContentType is that of the answer.
const ContentType = "application/vnd.hindcast.history; version=1"

// FrameMax bounds a frame, in bytes. A node that would have to send a larger one
// ends the stream.
const FrameMax = 64 << 20

const frameHead = 5

// Kinds of frames.
const (
	kindHello byte = 1 + iota
	kindBase
	kindBlock
	kindEnd
)

// A Hello is the first frame: who answers.
type Hello struct {
	Version int
	Node    string
	Service string
	Build   string
	Boot    uint64
	// Resumed says that the stream goes on after the event asked for; else a base
	// comes first.
	Resumed bool
}

// A Names part of a frame adds names to the stream's variables: the first has the
// number From, the next the one after it. From 0 they are begun anew.
type Names struct {
	From  int
	Names []string
}

// A Base is a part of a node's variables at a moment: the changes of all parts,
// applied to nothing, are those after the event Seq at Time.
type Base struct {
	Names   Names
	Bulky   []Bulky
	Seq     uint64
	Time    hlc.Timestamp
	Changes []history.Change
	Last    bool // no part follows
}

// A Bulky says that from a moment on changes leave out what is in a variable.
type Bulky struct {
	Var  history.VarID
	From hlc.Timestamp
}

// A Block is some events, with the promise that none comes any more that is
// stamped at or below Promise; without events it says that the node is alive.
type Block struct {
	Names   Names
	Bulky   []Bulky
	Events  []history.Event
	Promise hlc.Timestamp
}

// An End says why there is no more.
type End struct {
	Code   EndCode
	Reason string
}

// An EndCode says what is to be done.
type EndCode byte

// The codes of End.
const (
	EndStopping EndCode = 1 + iota // the node stops: ask again when it is back
	EndSlow                        // the asker was too slow: it may go on after what it has
	EndFailed                      // the shadow replica failed: asking again is of no use
)

func begin(b []byte, kind byte) ([]byte, int) {
	at := len(b)
	return append(b, 0, 0, 0, 0, kind), at
}

func finish(b []byte, at int) []byte {
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func (n *Names) append(b []byte) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(n.From)), uint64(len(n.Names)))
	for _, s := range n.Names {
		b = appendText(b, s)
	}
	return b
}

func appendBulky(b []byte, list []Bulky) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, v := range list {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(v.Var)), uint64(v.From))
	}
	return b
}

// Append appends the frame.
func (h *Hello) Append(b []byte) []byte {
	b, at := begin(b, kindHello)
	b = binary.AppendUvarint(b, uint64(h.Version))
	b = appendText(appendText(appendText(b, h.Node), h.Service), h.Build)
	b = appendBool(binary.AppendUvarint(b, h.Boot), h.Resumed)
	return finish(b, at)
}

// Append appends the frame.
func (f *Base) Append(b []byte) []byte {
	b, at := begin(b, kindBase)
	b = appendBulky(f.Names.append(b), f.Bulky)
	b = appendBool(binary.AppendUvarint(binary.AppendUvarint(b, f.Seq), uint64(f.Time)), f.Last)
	return finish(history.AppendChanges(b, f.Changes), at)
}

// Append appends the frame.
func (f *Block) Append(b []byte) []byte {
	var raw []byte
	for i := range f.Events {
		raw = history.AppendEntry(raw, &f.Events[i])
	}
	return AppendBlock(b, &f.Names, f.Bulky, f.Promise, raw)
}

// AppendBlock appends the frame of a block whose events are in wire form already.
func AppendBlock(b []byte, names *Names, bulky []Bulky, promise hlc.Timestamp, events []byte) []byte {
	b, at := begin(b, kindBlock)
	b = appendBulky(names.append(b), bulky)
	b = binary.AppendUvarint(b, uint64(promise))
	return finish(append(b, events...), at)
}

// Append appends the frame.
func (f *End) Append(b []byte) []byte {
	b, at := begin(b, kindEnd)
	return finish(appendText(append(b, byte(f.Code)), f.Reason), at)
}

// varsMax bounds a stream's variables.
const varsMax = 1 << 20

// A Reader reads a stream of frames. It keeps what numbers mean from one frame to
// the next.
type Reader struct {
	r     io.Reader
	buf   []byte
	wire  history.WireReader
	names []string
}

// NewReader reads from r, which should be buffered.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// A FrameError says what is wrong with what a node sent.
type FrameError struct{ Err error }

func (e *FrameError) Error() string {
	return "what the node sent isn't a stream of its history: " + e.Err.Error()
}

// Unwrap returns what it was.
func (e *FrameError) Unwrap() error { return e.Err }

// Names are the variables' names so far, by their numbers.
func (r *Reader) Names() []string { return r.names }

// Next returns the next frame: a *Hello, *Base, *Block or *End. At the end of the
// stream the error is io.EOF or that of reading; one that wraps *FrameError says
// that what came is wrong.
func (r *Reader) Next() (any, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n < 1 || n > FrameMax {
		return nil, &FrameError{fmt.Errorf("a frame has %d bytes: want 1 to %d", n, FrameMax)}
	}
	if err := r.fill(int(n) - 1); err != nil {
		return nil, err
	}
	f, err := r.decode(head[4], r.buf)
	if err != nil {
		return nil, &FrameError{fmt.Errorf("a frame of kind %d: %w", head[4], err)}
	}
	return f, nil
}

// fill reads n bytes into buf, taking memory as they come.
func (r *Reader) fill(n int) error {
	const step = 1 << 20
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		from := len(r.buf)
		to := min(n, from+step)
		if cap(r.buf) < to {
			r.buf = append(r.buf[:from:from], make([]byte, to-from)...)
		}
		r.buf = r.buf[:to]
		if _, err := io.ReadFull(r.r, r.buf[from:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

func (r *Reader) decode(kind byte, b []byte) (any, error) {
	w := &r.wire
	w.Reset(b)
	var f any
	switch kind {
	case kindHello:
		h := &Hello{Version: int(w.Uint()), Node: w.Text(), Service: w.Text(), Build: w.Text(), Boot: w.Uint()}
		h.Resumed = w.Byte() != 0
		if h.Version != Version || h.Node == "" {
			w.Fail(fmt.Errorf("version %d of node %q: this build reads version %d", h.Version, h.Node, Version))
		}
		f = h
	case kindBase:
		f = r.base(w)
	case kindBlock:
		f = r.block(w)
	case kindEnd:
		f = &End{Code: EndCode(w.Byte()), Reason: w.Text()}
	default:
		return nil, errors.New("this build doesn't know that kind")
	}
	return f, w.Err()
}

func (r *Reader) base(w *history.WireReader) *Base {
	f := &Base{Names: r.addNames(w), Bulky: r.bulky(w), Seq: w.Uint(), Time: hlc.Timestamp(w.Uint())}
	f.Last = w.Byte() != 0
	f.Changes = w.Changes(len(r.names))
	if f.Time == hlc.Max {
		w.Fail(errTime)
	}
	return f
}

var errTime = errors.New("its Timestamps don't ascend")

func (r *Reader) block(w *history.WireReader) *Block {
	f := &Block{Names: r.addNames(w), Bulky: r.bulky(w), Promise: hlc.Timestamp(w.Uint())}
	var last history.Position
	for w.More() {
		e := w.Entry(len(r.names))
		if e.Base || e.Time <= last.Time || e.Seq <= last.Seq || e.Time > f.Promise || e.Time == hlc.Max {
			w.Fail(errTime)
		}
		last = e.Position
		f.Events = append(f.Events, e)
	}
	return f
}

func (r *Reader) addNames(w *history.WireReader) Names {
	n := Names{From: int(min(w.Uint(), varsMax+1))}
	count := w.Count(1)
	if n.From != 0 && n.From != len(r.names) || n.From+count > varsMax {
		w.Fail(fmt.Errorf("names of variables begin with number %d: there are %d, of at most %d", n.From, len(r.names), varsMax))
		return n
	}
	for range count {
		n.Names = append(n.Names, w.Text())
	}
	if n.From == 0 && count > 0 {
		r.names = nil
	}
	for _, name := range n.Names {
		if name == "" || !utf8.ValidString(name) {
			w.Fail(fmt.Errorf("a variable has the name %q", name))
		}
	}
	r.names = append(r.names, n.Names...)
	return n
}

func (r *Reader) bulky(w *history.WireReader) (out []Bulky) {
	for range w.Count(2) {
		id := w.Uint()
		if id >= uint64(len(r.names)) {
			w.Fail(errors.New("a bulky variable has no name"))
			return nil
		}
		out = append(out, Bulky{history.VarID(id), hlc.Timestamp(w.Uint())})
	}
	return out
}
