package history

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"hindcast.dev/event"
)

// LineMax is the default bound on the length of a line of the text form.
const LineMax = 16 << 20

// TextOptions say how ReadText reads. The zero value works.
type TextOptions struct {
	// SkipBad leaves out malformed lines, counted in Meta.Skipped, instead of
	// failing at the first.
	SkipBad bool
	// LineMax bounds the length of a line in bytes; 0 is the default.
	LineMax int
}

// A TextError says what is wrong in a line of a text History.
type TextError struct {
	File    string
	Line    int // from 1
	Col     int // in characters, from 1
	Message string
}

func (e *TextError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Message)
}

// ReadText reads the text form of a History, which FORMAT.md describes. name is
// the file's, for errors. What is wrong in the text is a *TextError.
func ReadText(r io.Reader, name string, opts TextOptions) (*Mem, error) {
	t := &textReader{
		in: bufio.NewReaderSize(r, 64<<10), name: name, skipBad: opts.SkipBad, lineMax: cmp.Or(opts.LineMax, LineMax),
		build: NewBuilder(), nodes: map[string]*textNode{}, strings: map[string]string{},
	}
	if err := t.readLines(); err != nil {
		return nil, err
	}
	for _, n := range t.order {
		if err := t.finish(n); err != nil {
			return nil, err
		}
	}
	m, err := t.build.Build()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m.meta.Skipped = t.skipped
	if t.skipped > 0 {
		m.meta.Warnings = append(m.meta.Warnings, fmt.Sprintf("%d malformed lines were left out, the first: %v", t.skipped, t.firstBad))
	}
	return m, nil
}

type textReader struct {
	in      *bufio.Reader
	name    string
	lineMax int
	buf     []byte // a line that is longer than in's buffer
	line    int    // number of the line last read

	skipBad  bool
	skipped  uint64
	firstBad error

	build   *Builder
	nodes   map[string]*textNode
	order   []*textNode       // as first met
	strings map[string]string // one copy of what is often the same
}

// A textNode holds a node's lines until all are there to be sorted.
type textNode struct {
	writer *memWriter
	events []textEvent
}

type textEvent struct {
	Event
	line   int
	hasSeq bool
}

func (t *textReader) readLines() error {
	for {
		line, err := t.next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = t.take(line)
		}
		if err = t.bad(err); err != nil {
			return err
		}
	}
}

// bad decides what becomes of an error: nil if the line is to be left out.
func (t *textReader) bad(err error) error {
	var text *TextError
	if !t.skipBad || !errors.As(err, &text) {
		return err
	}
	if t.skipped++; t.firstBad == nil {
		t.firstBad = err
	}
	return nil
}

func (t *textReader) errorAt(line, col int, format string, args ...any) error {
	return &TextError{File: t.name, Line: line, Col: col, Message: fmt.Sprintf(format, args...)}
}

// next returns the next line without its end, valid until it is called again;
// io.EOF after the last. A line that is too long is passed over.
func (t *textReader) next() ([]byte, error) {
	part, err := t.in.ReadSlice('\n')
	if len(part) == 0 && err != nil {
		return nil, t.readError(err)
	}
	t.line++
	if err == nil {
		return t.trim(part)
	}
	t.buf = append(t.buf[:0], part...)
	tooLong := false
	for errors.Is(err, bufio.ErrBufferFull) {
		part, err = t.in.ReadSlice('\n')
		if len(t.buf)+len(part) > t.lineMax+1 {
			tooLong = true
			continue
		}
		t.buf = append(t.buf, part...)
	}
	if err != nil && err != io.EOF {
		return nil, t.readError(err)
	}
	if tooLong {
		return nil, t.errorAt(t.line, 1, "this line is longer than %d bytes: is the file JSON Lines, one event a line?", t.lineMax)
	}
	return t.trim(t.buf)
}

func (t *textReader) readError(err error) error {
	if err == io.EOF {
		return err
	}
	return fmt.Errorf("%s: after line %d: %w", t.name, t.line, err)
}

func (t *textReader) trim(line []byte) ([]byte, error) {
	if t.line == 1 {
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	line = bytes.TrimRight(line, "\r\n")
	if len(line) > t.lineMax {
		return nil, t.errorAt(t.line, 1, "this line is longer than %d bytes: is the file JSON Lines, one event a line?", t.lineMax)
	}
	return line, nil
}

// take reads one line and keeps what it says.
func (t *textReader) take(line []byte) error {
	p := event.NewParser(line)
	if p.Peek() == 0 && p.Offset() == len(line) {
		return nil // blank
	}
	l := lineReader{Parser: p, text: t}
	if err := l.read(); err != nil {
		var syntax *event.SyntaxError
		if errors.As(err, &syntax) {
			at := min(syntax.Offset, len(line))
			return t.errorAt(t.line, utf8.RuneCount(line[:at])+1, "%s", syntax.Message)
		}
		return err
	}
	n, err := t.node(l.node)
	if err != nil {
		return t.errorAt(t.line, 1, "%v", err)
	}
	return l.keep(n)
}

// node returns what is read of a node so far.
func (t *textReader) node(name string) (*textNode, error) {
	if n := t.nodes[name]; n != nil {
		return n, nil
	}
	if _, err := t.build.Node(name, ""); err != nil {
		return nil, err
	}
	n := &textNode{writer: t.build.nodes[name]}
	t.nodes[name] = n
	t.order = append(t.order, n)
	return n, nil
}

// finish sorts a node's lines, numbers the events and hands them to the Builder.
func (t *textReader) finish(n *textNode) error {
	slices.SortStableFunc(n.events, func(a, b textEvent) int {
		c := cmp.Compare(a.Time, b.Time)
		if c == 0 && a.hasSeq && b.hasSeq {
			return cmp.Compare(a.Seq, b.Seq)
		}
		return c
	})
	numbered := slices.ContainsFunc(n.events, func(e textEvent) bool { return e.hasSeq && !e.Base })
	for i := range n.events {
		e := &n.events[i]
		if err := t.bad(t.append(n.writer, e, numbered)); err != nil {
			return err
		}
	}
	n.events = nil
	return nil
}

func (t *textReader) append(w *memWriter, e *textEvent, numbered bool) error {
	last := w.ledger.last.Seq
	switch {
	case e.hasSeq:
	case e.Base:
		e.Seq = last
	case numbered:
		return t.errorAt(e.line, 1, `want "seq": other lines of node %s have it, so this one needs it too`, w.ledger.node.Name)
	default:
		e.Seq = last + 1
	}
	var err error
	if e.Base {
		err = w.Base(e.Seq, e.Time, e.Changes)
	} else {
		err = w.Append(&e.Event)
	}
	if err != nil {
		w.err = nil // the line is refused, not the node
		return t.errorAt(e.line, 1, "%v", err)
	}
	return nil
}

// intern returns one copy of equal short strings.
func (t *textReader) intern(s string) string {
	if kept, ok := t.strings[s]; ok {
		return kept
	}
	if len(s) <= 64 && len(t.strings) < 10_000 {
		t.strings[s] = s
	}
	return s
}
