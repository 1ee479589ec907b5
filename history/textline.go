package history

import (
	"cmp"
	"fmt"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// lineKeys are the keys of a line, in the order in which they are written.
var lineKeys = []string{"node", "ts", "pt", "seq", "base", "kind", "machine", "from", "to", "id", "name", "data",
	"effects", "set", "del", "unknown", "reason", "build", "bulky"}

// A lineReader reads one line of the text form.
type lineReader struct {
	*event.Parser
	text *textReader
	have map[string]int // key → its offset

	node    string
	ev      textEvent
	to, id  string
	assigns []assign
	unknown Span
	reason  string
	build   string
	bulky   []bulkyLine
}

// A bulkyLine is a member of "bulky".
type bulkyLine struct {
	name string
	from hlc.Timestamp
}

// An assign is a member of "set" or "del".
type assign struct {
	name  string
	path  []event.Value
	value event.Value // Absent in "del"
	at    int         // offset of its key
}

func syntaxError(at int, format string, args ...any) error {
	return &event.SyntaxError{Offset: at, Message: fmt.Sprintf(format, args...)}
}

func (l *lineReader) read() error {
	l.have = make(map[string]int, len(lineKeys))
	l.ev.line = l.text.line
	err := l.Object(func(key string, at int) error {
		if _, twice := l.have[key]; twice {
			return syntaxError(at, "%q stands in this line twice", key)
		}
		l.have[key] = at
		return l.member(key, at)
	})
	if err != nil {
		return err
	}
	if err := l.End(); err != nil {
		return err
	}
	if err := l.check(); err != nil {
		return err
	}
	return l.link()
}

func (l *lineReader) has(key string) bool { _, ok := l.have[key]; return ok }

// member reads the value under one key.
func (l *lineReader) member(key string, at int) (err error) {
	e := &l.ev
	switch key {
	case "node":
		l.node, err = l.word()
	case "ts":
		e.Time, err = l.time()
	case "pt":
		e.Physical, err = l.time()
	case "seq":
		e.hasSeq = true
		e.Seq, err = l.number()
	case "base":
		e.Base, err = l.boolean()
	case "kind":
		e.Kind, err = l.word()
	case "machine":
		e.Machine, err = l.word()
	case "from":
		e.Peer, err = l.word()
	case "to":
		l.to, err = l.word()
	case "id":
		l.id, err = l.Text()
	case "name":
		e.Name, err = l.word()
	case "data":
		e.Data, err = l.Value()
	case "effects":
		err = l.Array(func(int) error { return l.effect() })
	case "set":
		err = l.set()
	case "del":
		err = l.del()
	case "unknown":
		l.unknown, err = l.span()
	case "reason":
		l.reason, err = l.Text()
	case "build":
		l.build, err = l.word()
	case "bulky":
		err = l.readBulky()
	default:
		err = syntaxError(at, "unknown key %q: a line has the keys %v", key, lineKeys)
	}
	return err
}

// word reads a string of which others are likely to be the same.
func (l *lineReader) word() (string, error) {
	s, err := l.Text()
	return l.text.intern(s), err
}

func (l *lineReader) time() (hlc.Timestamp, error) {
	l.Peek()
	at := l.Offset()
	v, err := l.Value()
	if err != nil {
		return 0, err
	}
	if n, ok := v.AsUint(); ok {
		return hlc.Timestamp(n), nil
	}
	if v.Type() == event.TypeTime {
		return v.AsTime(), nil
	}
	if v.Type() != event.TypeString {
		return 0, syntaxError(at, "want a time as text: RFC 3339 like 2026-11-21T19:46:53.123456Z/0, or a decimal uint64")
	}
	t, err := hlc.Parse(v.AsString())
	if err != nil {
		return 0, syntaxError(at, "%v", err)
	}
	return t, nil
}

func (l *lineReader) number() (uint64, error) {
	l.Peek()
	at := l.Offset()
	v, err := l.Value()
	if err != nil {
		return 0, err
	}
	n, ok := v.AsUint()
	if !ok {
		return 0, syntaxError(at, "want a sequence number, an int from 0")
	}
	return n, nil
}

func (l *lineReader) boolean() (bool, error) {
	l.Peek()
	at := l.Offset()
	v, err := l.Value()
	if err == nil && v.Type() != event.TypeBool {
		err = syntaxError(at, "want true or false")
	}
	return v.AsBool(), err
}

// span reads [from, to].
func (l *lineReader) span() (s Span, err error) {
	l.Peek()
	at, n := l.Offset(), 0
	err = l.Array(func(int) error {
		t, err := l.time()
		if n++; n == 1 {
			s.From = t
		} else {
			s.To = t
		}
		return err
	})
	if err == nil && (n != 2 || s.From >= s.To) {
		err = syntaxError(at, "want [from, to], two times of which the second is later")
	}
	return s, err
}

func (l *lineReader) effect() error {
	var f Effect
	l.Peek()
	at := l.Offset()
	have := map[string]bool{}
	err := l.Object(func(key string, at int) (err error) {
		if have[key] {
			return syntaxError(at, "%q stands in this effect twice", key)
		}
		have[key] = true
		switch key {
		case "kind":
			f.Kind, err = l.word()
		case "id":
			f.ID, err = l.Text()
		case "to":
			f.Peer, err = l.word()
		case "name":
			f.Name, err = l.word()
		case "data":
			f.Data, err = l.Value()
		default:
			err = syntaxError(at, "unknown key %q: an effect has the keys kind, id, to, name and data", key)
		}
		return err
	})
	if err == nil && f.Kind == "" {
		err = syntaxError(at, `an effect needs "kind"`)
	}
	l.ev.Effects = append(l.ev.Effects, f)
	return err
}

func (l *lineReader) set() error {
	return l.Object(func(key string, at int) error {
		a, err := parseAssign(key, at)
		if err != nil {
			return err
		}
		a.value, err = l.Value()
		l.assigns = append(l.assigns, a)
		return err
	})
}

func (l *lineReader) del() error {
	return l.Array(func(at int) error {
		key, err := l.Text()
		if err != nil {
			return err
		}
		a, err := parseAssign(key, at)
		l.assigns = append(l.assigns, a)
		return err
	})
}

// readBulky reads variables and from when on each is bulky.
func (l *lineReader) readBulky() error {
	return l.Object(func(key string, at int) error {
		a, err := parseAssign(key, at)
		if err != nil {
			return err
		}
		if len(a.path) > 0 {
			return syntaxError(at, `"bulky" names whole variables`)
		}
		from, err := l.time()
		l.bulky = append(l.bulky, bulkyLine{a.name, from})
		return err
	})
}

func parseAssign(key string, at int) (assign, error) {
	name, path, err := event.ParsePath(key)
	if err == nil && name == "" {
		err = syntaxError(at, "a variable's name is not empty")
	}
	if err != nil {
		return assign{}, syntaxError(at, "variable %q: %v", key, err)
	}
	return assign{name: name, path: path, at: at}, nil
}

// check finds what is missing in a line, or doesn't go together.
func (l *lineReader) check() error {
	about := l.has("unknown") || l.has("build") || l.has("bulky")
	switch {
	case !l.has("node") || l.node == "":
		return syntaxError(0, `want "node", the name of the node`)
	case !l.has("ts") && !about:
		return syntaxError(0, `want "ts", the event's Timestamp`)
	case about:
		for _, key := range lineKeys[1:15] {
			if l.has(key) {
				return syntaxError(l.have[key], `%q doesn't go with "unknown", "build" or "bulky", which tell of the node as a whole`, key)
			}
		}
		return nil
	case l.has("reason"):
		return syntaxError(l.have["reason"], `"reason" goes with "unknown"`)
	}
	if l.ev.Base {
		for _, key := range []string{"kind", "machine", "from", "to", "id", "name", "data", "effects", "del"} {
			if l.has(key) {
				return syntaxError(l.have[key], `%q doesn't go with "base", which only sets variables`, key)
			}
		}
		for _, a := range l.assigns {
			if len(a.path) > 0 {
				return syntaxError(a.at, "a base sets whole variables")
			}
		}
	}
	return l.distinct()
}

// distinct makes sure that no variable or entry is set or deleted twice.
func (l *lineReader) distinct() error {
	if len(l.assigns) < 2 {
		return nil
	}
	sorted := slices.Clone(l.assigns)
	slices.SortFunc(sorted, func(a, b assign) int {
		return cmp.Or(cmp.Compare(a.name, b.name), event.Compare(event.List(a.path...), event.List(b.path...)), cmp.Compare(a.at, b.at))
	})
	for i := 1; i < len(sorted); i++ {
		a, b := sorted[i-1], sorted[i]
		if a.name == b.name && event.Equal(event.List(a.path...), event.List(b.path...)) {
			return syntaxError(b.at, "%s is set or deleted twice in this line", event.PathString(b.name, b.path))
		}
	}
	return nil
}

// link gives "id" and "to" their place: a send line's are those of its effect.
func (l *lineReader) link() error {
	e := &l.ev
	if e.Kind == "" {
		e.Kind = kindSet
	}
	if e.Kind == kindSend && !l.has("effects") {
		e.Effects = []Effect{{Kind: kindSend, ID: l.id, Peer: l.to, Name: e.Name, Data: e.Data}}
		return nil
	}
	if l.has("to") {
		return syntaxError(l.have["to"], `"to" goes with the kind "send"; what another event sends stands in "effects"`)
	}
	e.ID = l.id
	return nil
}

// keep hands what was read to its node.
func (l *lineReader) keep(n *textNode) error {
	if l.has("build") {
		n.writer.ledger.node.Build = l.build
	}
	for _, b := range l.bulky {
		if err := n.writer.Bulky(n.writer.Var(b.name), b.from); err != nil {
			return err
		}
	}
	if l.has("unknown") {
		return n.writer.Unknown(l.unknown, l.reason)
	}
	if !l.has("ts") {
		return nil
	}
	// Whole variables first, then entries, so that the order within the line
	// doesn't matter.
	slices.SortStableFunc(l.assigns, func(a, b assign) int { return cmp.Compare(len(a.path), len(b.path)) })
	if len(l.assigns) > 0 {
		l.ev.Changes = make([]Change, len(l.assigns))
	}
	for i, a := range l.assigns {
		l.ev.Changes[i] = Change{Var: n.writer.Var(a.name), Path: a.path, Value: a.value}
	}
	n.events = append(n.events, l.ev)
	return nil
}
