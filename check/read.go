package check

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"hindcast.dev/event"
)

// A Format is a form of operation log.
type Format uint8

// The formats.
const (
	FormatUnknown Format = iota
	FormatJepsen         // lines of Jepsen's log, tab-separated: INFO  jepsen.util - 0  :invoke  :write  3
	FormatEDN            // maps in Clojure's notation, one for each invocation or completion
	FormatJSONL          // JSON objects, one a line: docs/check.md
)

// String is the format's name: "jepsen", "edn", "jsonl", "unknown".
func (f Format) String() string {
	return [...]string{"unknown", "jepsen", "edn", "jsonl"}[min(f, 3)]
}

// Formats are the formats by their names, as ReadLog knows them.
func Formats() []Format { return []Format{FormatJepsen, FormatEDN, FormatJSONL} }

// DetectFormat tells from the beginning of a text (some hundred bytes) which
// format it has; FormatUnknown if it is none of them.
func DetectFormat(begin []byte) Format {
	s := strings.TrimLeft(string(bytes.TrimPrefix(begin, []byte("\xef\xbb\xbf"))), " \t\r\n")
	inner := strings.TrimLeft(strings.TrimPrefix(s, "["), " \t\r\n")
	line, _, _ := strings.Cut(s, "\n")
	switch {
	case strings.HasPrefix(inner, "{:") || strings.HasPrefix(inner, "#jepsen"):
		return FormatEDN
	case strings.Contains(line, "jepsen") && strings.Contains(line, "\t:"):
		return FormatJepsen
	case strings.HasPrefix(s, "{") && (strings.Contains(line, `"process"`) || strings.Contains(line, `"f"`)) && !strings.Contains(line, `"kind"`):
		return FormatJSONL // its events have a kind where a History's line is of one
	}
	return FormatUnknown
}

// LineMax bounds a line of a log, in bytes.
const LineMax = 16 << 20

// A LineError says where a log is bad.
type LineError struct {
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns what is wrong.
func (e *LineError) Unwrap() error { return e.Err }

// ReadLog reads an operation log, and returns its operations in order of their
// calls. What is wrong in it is a *LineError.
func ReadLog(r io.Reader, f Format) ([]Operation, error) {
	switch f {
	case FormatJepsen:
		return ReadJepsen(r)
	case FormatEDN:
		return ReadEDN(r)
	case FormatJSONL:
		return ReadJSONL(r)
	}
	return nil, errors.New("the format of the log isn't known: want lines of Jepsen's log, maps in Clojure's notation, or JSON Lines with process, type, f and value")
}

// eachLine calls f with every line that isn't empty, and its number, from 1.
func eachLine(r io.Reader, f func(n int, line string) error) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 64<<10), LineMax)
	n := 0
	for in.Scan() {
		n++
		line := strings.TrimSpace(strings.TrimPrefix(in.Text(), "\ufeff"))
		if line == "" {
			continue
		}
		if err := f(n, line); err != nil {
			return &LineError{n, err}
		}
	}
	if errors.Is(in.Err(), bufio.ErrTooLong) {
		return &LineError{n + 1, fmt.Errorf("longer than %d bytes", LineMax)}
	}
	return in.Err()
}

// A logLine is an invocation or a completion.
type logLine struct {
	process int
	kind    string // "invoke", "ok", "fail", "info"
	f, key  string
	value   event.Value
	time    int64
	ref     string
	extra   event.Value
}

// A pairer makes operations of invocations and completions.
type pairer struct {
	ops  []Operation
	open map[int]int // process → its operation that has not completed
}

// take takes a line in.
func (p *pairer) take(l logLine) error {
	at, pending := p.open[l.process]
	switch l.kind {
	case "invoke", "ok", "fail", "info":
	default:
		return fmt.Errorf("type %q: want invoke, ok, fail or info", l.kind)
	}
	if l.kind == "invoke" {
		if pending {
			return fmt.Errorf("process %d invokes %s while its %s (%s) has no completion: a process does one operation at a time; end that with type info if its answer never came",
				l.process, l.f, p.ops[at].F, p.ops[at].Ref)
		}
		p.open[l.process] = len(p.ops)
		p.ops = append(p.ops, Operation{Process: l.process, F: l.f, Key: l.key, Input: inputOf(l.f, l.value), Call: l.time, Return: Open, Ref: l.ref, Extra: l.extra})
		return nil
	}
	if !pending {
		return fmt.Errorf("%s of process %d completes nothing: there is no invoke before it", l.kind, l.process)
	}
	op := &p.ops[at]
	if op.F != l.f && l.f != "" {
		return fmt.Errorf("%s of process %d is of f %s, but what it invoked (%s) is %s", l.kind, l.process, l.f, op.Ref, op.F)
	}
	if l.time < op.Call {
		return fmt.Errorf("%s of process %d is at time %d, before its invoke at %d", l.kind, l.process, l.time, op.Call)
	}
	delete(p.open, l.process)
	return complete(op, l)
}

// complete tells an operation how it ended.
func complete(op *Operation, l logLine) error {
	if !l.extra.IsAbsent() {
		op.Extra = merge(op.Extra, l.extra)
	}
	switch l.kind {
	case "ok":
		op.Outcome, op.Return = Ok, l.time
		op.Output = outputOf(op.F, l.value)
	case "fail":
		op.Outcome, op.Return = Fail, l.time
	}
	return nil
}

func merge(a, b event.Value) event.Value {
	m := a.AsMap()
	for k, v := range b.AsMap().All() {
		m = m.With(k, v)
	}
	return event.MapOf(m)
}

// inputOf is what an invocation asks: what a read will give isn't asked.
func inputOf(f string, v event.Value) event.Value {
	switch verb(f) {
	case "read", "dequeue":
		return event.Absent
	case "delete", "acquire", "release":
		if v.Type() == event.TypeNull {
			return event.Absent
		}
	}
	return v
}

// outputOf is what a completion gives: most repeat what was asked.
func outputOf(f string, v event.Value) event.Value {
	switch verb(f) {
	case "write", "append", "enqueue", "delete":
		return event.Absent
	case "cas", "acquire", "release":
		if v.Type() != event.TypeBool {
			return event.Absent
		}
	}
	return v
}

// ReadJepsen reads lines of Jepsen's log: process, type, f and value, separated by
// tabs, after "INFO  jepsen.util - ". Other lines are passed over. A line number is
// the time. A cas that ended as :fail is one whose comparison failed; a read that
// did gave nothing.
func ReadJepsen(r io.Reader) ([]Operation, error) {
	p, any := pairer{open: map[int]int{}}, false
	err := eachLine(r, func(n int, line string) error {
		head, rest, ok := strings.Cut(line, " - ")
		if !ok || !strings.Contains(head, "jepsen") {
			return nil
		}
		parts := strings.Split(rest, "\t")
		var process int
		if _, err := fmt.Sscanf(parts[0], "%d", &process); err != nil || len(parts) < 3 {
			return nil // the nemesis, or a message
		}
		any = true
		l := logLine{process: process, kind: strings.TrimPrefix(parts[1], ":"), f: strings.TrimPrefix(parts[2], ":"), time: int64(n), ref: fmt.Sprintf("line %d", n)}
		if len(parts) > 3 {
			e := ednReader{s: parts[3]}
			v, err := e.value(0)
			if err != nil {
				return fmt.Errorf("the value %q: %w", parts[3], err)
			}
			l.value = v
		}
		if l.kind == "fail" && l.f == "cas" && l.value.Type() == event.TypeList {
			l.kind, l.value = "ok", event.Bool(false)
		}
		return p.take(l)
	})
	if err == nil && !any {
		err = errors.New("there is no operation in this log: want lines such as INFO  jepsen.util - 0\t:invoke\t:write\t3")
	}
	return p.ops, err
}

// ReadEDN reads maps in Clojure's notation with :process, :type, :f, :value and,
// if there are several objects, :key; :time orders them if all have it. They stand
// one after the other or in one vector. What a process that isn't a number did
// (the nemesis) is passed over. In a log whose operations are get, put and append
// keys hold "" in the beginning.
func ReadEDN(r io.Reader) ([]Operation, error) {
	b, err := io.ReadAll(io.LimitReader(r, ednMax+1))
	if err != nil {
		return nil, err
	}
	if len(b) > ednMax {
		return nil, fmt.Errorf("the log is longer than %d bytes: split it, or write it as JSON Lines", ednMax)
	}
	e := &ednReader{s: string(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))}
	p := newMapPairer()
	e.space()
	vector := e.pos < len(e.s) && e.s[e.pos] == '['
	if vector {
		e.pos++
	}
	line := lineCounter{s: e.s}
	for !e.done() {
		begin := e.pos
		if vector && e.s[e.pos] == ']' {
			e.pos++
			vector = false
			continue
		}
		v, err := e.value(0)
		if err == nil {
			err = p.take(v, fmt.Sprintf("line %d", line.at(begin)))
		}
		if err != nil {
			return nil, &LineError{line.at(begin), err}
		}
	}
	if vector {
		return nil, &LineError{line.at(len(e.s)), errors.New("the vector is not closed: the log is cut short")}
	}
	return p.end()
}

// ednMax bounds a log in Clojure's notation, which is read as a whole.
const ednMax = 1 << 30

// A lineCounter tells on which line an offset is, if asked in ascending order.
type lineCounter struct {
	s         string
	pos, line int
}

func (c *lineCounter) at(offset int) int {
	if offset > c.pos {
		c.line += strings.Count(c.s[c.pos:offset], "\n")
		c.pos = offset
	}
	return c.line + 1
}

// ReadJSONL reads JSON objects, one a line, with process (an integer), type
// (invoke, ok, fail, info), f, value and, if there are several objects, key; time
// (an integer) orders them if all have it. What else is there becomes the
// operation's Extra.
func ReadJSONL(r io.Reader) ([]Operation, error) {
	p := newMapPairer()
	err := eachLine(r, func(n int, line string) error {
		v, err := event.ParseValue([]byte(line))
		if err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		return p.take(v, fmt.Sprintf("line %d", n))
	})
	if err != nil {
		return nil, err
	}
	return p.end()
}

// A mapPairer makes operations of maps.
type mapPairer struct {
	pairer
	n       int  // maps so far; the time where they have none
	timed   bool // maps have a time
	emptyKV bool // all are get, put or append
}

func newMapPairer() *mapPairer {
	return &mapPairer{pairer: pairer{open: map[int]int{}}, emptyKV: true}
}

// take takes a map in.
func (p *mapPairer) take(v event.Value, ref string) error {
	if v.Type() != event.TypeMap {
		return fmt.Errorf("%s is not a map; want process, type, f and value", valueText(v))
	}
	process, ok := v.Field("process").AsInt()
	if !ok && v.Field("process").Type() == event.TypeString {
		return nil // the nemesis
	}
	if !ok {
		return errors.New("there is no process; want an integer: who did this")
	}
	if err := p.order(v); err != nil {
		return err
	}
	l := logLine{process: int(process), kind: v.Field("type").AsString(), f: v.Field("f").AsString(), value: v.Field("value"), ref: ref, time: int64(p.n)}
	if p.timed {
		l.time, _ = v.Field("time").AsInt()
	}
	switch {
	case l.kind == "":
		return errors.New("there is no type; want invoke, ok, fail or info")
	case l.f == "":
		return errors.New(`there is no f; want what was done, such as "read"`)
	}
	if k := v.Field("key"); k.Type() == event.TypeString {
		l.key = k.AsString()
	} else if !k.IsAbsent() && k.Type() != event.TypeNull {
		l.key = k.String()
	}
	p.emptyKV = p.emptyKV && (l.f == "get" || l.f == "put" || l.f == "append")
	l.extra = extraOf(v)
	return p.pairer.take(l)
}

// order notes when it was.
func (p *mapPairer) order(v event.Value) error {
	p.n++
	_, timed := v.Field("time").AsInt()
	if p.n == 1 {
		p.timed = timed
	}
	if timed != p.timed {
		return errors.New("some have a time (an integer) and some don't: give it to all, or to none and let their order decide")
	}
	return nil
}

// extraOf is what a map has besides the fields of a log; Absent if that is nothing.
func extraOf(v event.Value) event.Value {
	m := v.AsMap()
	for _, name := range []string{"process", "type", "f", "key", "value", "time", "index"} {
		m = m.Without(event.String(name))
	}
	if m.Len() == 0 {
		return event.Absent
	}
	return event.MapOf(m)
}

// end returns the operations.
func (p *mapPairer) end() ([]Operation, error) {
	if len(p.ops) == 0 {
		return nil, errors.New("there is no operation in this log")
	}
	if p.emptyKV {
		for i := range p.ops {
			p.ops[i].Input, p.ops[i].Output = emptyIsNull(p.ops[i].Input), emptyIsNull(p.ops[i].Output)
		}
	}
	sortByCall(p.ops)
	return p.ops, nil
}

func emptyIsNull(v event.Value) event.Value {
	if v.Type() == event.TypeString && v.AsString() == "" {
		return event.Null()
	}
	return v
}
