package debug

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

// Bounds on the search for where a value came from.
const (
	originMax = 100     // links of the chain
	membersOf = 200_000 // values looked at in one state or payload
	weakInt   = 16      // an int up to this, either way, is anywhere: only its name tells
)

// A Link is one of the chain that leads from a value back to where it came from:
// at Event it was written to Path, or passed on without being kept.
type Link struct {
	Event *Event      `json:"event"`
	Node  string      `json:"node"`
	Path  string      `json:"path,omitempty"` // "": it wasn't kept here
	Value event.Value `json:"value"`
	// From says how it came to be there.
	From OriginKind `json:"from"`
	// Field is, if it came with a message or request, where in the payload it was.
	Field string `json:"field,omitempty"`
}

// An OriginKind is how a value came to be where it is.
type OriginKind string

// The kinds of origin. Only after OriginMessage the chain goes on.
const (
	OriginMessage OriginKind = "message" // in the payload of a message of another event
	OriginOutside OriginKind = "outside" // in the payload of what no recorded event sent
	OriginMade    OriginKind = "made"    // not in what the event was given: its code made it
)

func (*Link) kind() string { return "origin" }

func (l *Link) writeText(t *textForm) {
	t.line("%s", l.Event.headline())
	what := "passes on " + inLine(l.Value)
	if l.Path != "" {
		what = termtext.Printable(l.Path) + " = " + inLine(l.Value)
	}
	switch l.From {
	case OriginMessage:
		t.line("  %s, from the message: %s", what, termtext.Printable(l.Field))
	case OriginOutside:
		t.line("  %s, from outside: %s", what, termtext.Printable(l.Field))
	default:
		t.line("  %s, made here: it isn't in what the event was given", what)
	}
}

// runOrigin follows a value back through the messages that it came with, to the
// event that made it or took it from outside.
func (s *Session) runOrigin(ctx context.Context, args string) error {
	node, path, err := s.originArgs(ctx, args)
	if err != nil {
		return err
	}
	at, v := s.at, event.Absent
	for range originMax {
		e, now, err := s.lastWrite(ctx, node, path, at)
		if err != nil {
			return commandErrorf("cause", "%v", err)
		}
		if e == nil {
			s.remark("%s  %s is as it was where the recording of the node begins", termtext.Name(s.meta.Nodes[node].Name), termtext.Printable(path))
			return s.showPlace(ctx)
		}
		if v.IsAbsent() {
			v = now
		}
		next, err := s.passedOn(ctx, e, path, v)
		if err != nil {
			return err
		}
		s.at = e.Position
		if next == nil {
			return s.showWatched(ctx)
		}
		node, path, at = next.node, next.path, next.at
		s.at = next.event
		if path == "" {
			return s.showWatched(ctx)
		}
	}
	s.remark("… and further back: the chain is cut after %d links", originMax)
	return s.showPlace(ctx)
}

// originArgs reads [NODE] PATH; without a node there must be one only that has it
// here, or it is that of the event here.
func (s *Session) originArgs(ctx context.Context, args string) (node int, path string, err error) {
	if node, path, _ = s.cutNode(args); path == "" {
		node, path = -1, args
	}
	if _, _, err := event.ParsePath(path); err != nil {
		return 0, "", commandErrorf("cause", "%s: %v", path, err)
	}
	if _, ok := s.variable(path); !ok {
		return 0, "", commandErrorf("cause", "%q is no variable%s", path, s.hint(path))
	}
	if s.at == history.Begin {
		return 0, "", commandErrorf("cause", "before the first event nothing is set: step, or goto a time, comes first")
	}
	if err := s.fillPath(ctx, "cause", path, node, s.at.Time); err != nil {
		return 0, "", err
	}
	states, err := s.states(ctx, s.at.After(), only(node))
	if err != nil {
		return 0, "", err
	}
	var have []int
	for n, st := range states {
		if st == nil || node >= 0 && n != node {
			continue
		}
		v, err := s.lookupPath(st, path)
		if err != nil {
			return 0, "", commandErrorf("cause", "%v", err)
		}
		if !v.IsAbsent() {
			have = append(have, n)
		}
	}
	switch {
	case len(have) == 0:
		return 0, "", commandErrorf("cause", "%s is set nowhere at this cut", path)
	case len(have) == 1:
		return have[0], path, nil
	case slices.Contains(have, s.at.Node):
		return s.at.Node, path, nil
	}
	return 0, "", commandErrorf("cause", "several nodes have %s: say which, like: cause %s %s", path, termtext.Name(s.meta.Nodes[have[0]].Name), path)
}

// variablePath is the variable that a path leads into, and the way from there.
func (s *Session) variablePath(path string) (history.VarID, []event.Value) {
	id, _ := s.variable(path)
	name, steps, err := event.ParsePath(path)
	if err != nil {
		return id, nil
	}
	if rest := strings.TrimPrefix(name, s.meta.Vars[id].Name); rest != "" {
		var front []event.Value
		for part := range strings.SplitSeq(rest[1:], ".") {
			front = append(front, event.String(part))
		}
		steps = append(front, steps...)
	}
	return id, steps
}

// touches reports whether one way is the beginning of the other.
func touches(a, b []event.Value) bool {
	n := min(len(a), len(b))
	return slices.EqualFunc(a[:n], b[:n], event.Equal)
}

// lastWrite is the last event of a node up to a position that changed what a path
// leads to, and what it became; nil if there is none.
func (s *Session) lastWrite(ctx context.Context, node int, path string, upTo history.Position) (*history.Event, event.Value, error) {
	id, steps := s.variablePath(path)
	for end, n := upTo.After(), chunkFirst; end != history.Begin; n = min(2*n, chunkMax) {
		es, err := s.src.Before(ctx, end, n, []int{node})
		if err != nil {
			return nil, event.Absent, err
		}
		for i := len(es) - 1; i >= 0; i-- {
			e := &es[i]
			if !slices.ContainsFunc(e.Changes, func(c history.Change) bool { return c.Var == id && touches(c.Path, steps) }) {
				continue
			}
			was, now, err := s.around(ctx, e, path)
			if err != nil {
				return nil, event.Absent, err
			}
			if !event.Equal(was, now) {
				return e, now, nil
			}
		}
		if end = history.Begin; len(es) == n {
			end = es[0].Position
		}
	}
	return nil, event.Absent, nil
}

// around is what a path leads to just before and just after an event, on its node.
func (s *Session) around(ctx context.Context, e *history.Event, path string) (was, now event.Value, err error) {
	c, err := s.src.Walk(ctx, e.Position, e.Position.After(), []int{e.Node})
	if err != nil {
		return event.Absent, event.Absent, err
	}
	defer c.Close()
	st := c.States()[e.Node].Clone()
	if was, err = s.lookupPath(st, path); err != nil {
		return was, event.Absent, err
	}
	st.ApplyAll(e.Changes)
	now, err = s.lookupPath(st, path)
	return was, now, err
}

// A passing is where a value is to be looked for next.
type passing struct {
	event history.Position // the one that sent it
	node  int
	path  string           // "": it is in no variable there
	at    history.Position // up to where
}

// passedOn tells how a value came to the event that wrote it, over as many events
// as only pass it on, and returns where it was before; nil if it began here.
func (s *Session) passedOn(ctx context.Context, e *history.Event, path string, v event.Value) (*passing, error) {
	kept := path
	for range originMax {
		field, ok := fieldOf(e.Data, lastName(path), v)
		link := &Link{Event: s.headline(e), Node: s.meta.Nodes[e.Node].Name, Path: kept, Value: v, From: OriginMade}
		var sender *history.Event
		if ok {
			var err error
			if sender, err = s.sender(ctx, e); err != nil {
				return nil, err
			}
			link.From, link.Field = OriginOutside, e.Name+field
		}
		if sender != nil {
			link.From = OriginMessage
		}
		s.say(link)
		if sender == nil {
			return nil, nil
		}
		from := &passing{event: sender.Position, node: sender.Node, at: sender.Position}
		if p, ok, err := s.holder(ctx, sender, path, v); err != nil || ok {
			from.path = p
			return from, err
		}
		e, kept = sender, ""
		if _, ok := fieldOf(e.Data, lastName(path), v); !ok {
			s.say(&Link{Event: s.headline(e), Node: s.meta.Nodes[e.Node].Name, Value: v, From: OriginMade})
			return from, nil
		}
	}
	return nil, nil
}

// sender is the event that sent the message, or set the timer, that e came of, nil
// if none is recorded.
func (s *Session) sender(ctx context.Context, e *history.Event) (*history.Event, error) {
	for id := range e.Received() {
		m, err := s.src.Message(ctx, id)
		if err != nil {
			return nil, err
		}
		if m.Sent && m.Send != e.Position {
			return s.src.Event(ctx, m.Send.Node, m.Send.Seq)
		}
	}
	return nil, nil
}

// holder finds the variable of a node in which a value was when an event of it had
// passed: that of the same path; else, if the value says enough by itself, one of
// the same name at its end, else any.
func (s *Session) holder(ctx context.Context, e *history.Event, path string, v event.Value) (string, bool, error) {
	c, err := s.src.Walk(ctx, e.Position, e.Position.After(), []int{e.Node})
	if err != nil {
		return "", false, err
	}
	defer c.Close()
	st := c.States()[e.Node].Clone()
	st.ApplyAll(e.Changes)
	if same, err := s.lookupPath(st, path); err != nil || event.Equal(same, v) {
		return path, err == nil, err
	}
	if weak(v) { // an empty text under the same name of another entry is another one
		return "", false, nil
	}
	named, other, left := "", "", membersOf
	for _, id := range st.Vars() {
		name := s.meta.Vars[id].Name
		members(st.Get(id), nil, &left, func(steps []event.Value, m event.Value) bool {
			if !event.Equal(m, v) {
				return true
			}
			p := event.PathString(name, steps)
			switch {
			case lastName(p) == lastName(path) && named == "":
				named = p
			case other == "":
				other = p
			}
			return named == ""
		})
	}
	if named == "" {
		named = other
	}
	return named, named != "", nil
}

// fieldOf finds a value in a payload: under the same name, or if it says enough by
// itself anywhere.
func fieldOf(data event.Value, name string, v event.Value) (field string, ok bool) {
	left := membersOf
	found := ""
	members(data, nil, &left, func(steps []event.Value, m event.Value) bool {
		if !event.Equal(m, v) {
			return true
		}
		if len(steps) > 0 && fmt.Sprint(steps[len(steps)-1]) == name {
			found, ok = payloadPath(steps), true
			return false
		}
		if !ok && !weak(v) {
			found, ok = payloadPath(steps), true
		}
		return true
	})
	return found, ok
}

// payloadPath is a way into a payload as text: .entries[0].value.
func payloadPath(steps []event.Value) string {
	// The first step stands in brackets after a variable's name, not so here.
	return strings.TrimPrefix(event.PathString("p", append([]event.Value{event.Int(0)}, steps...)), "p[0]")
}

// weak reports whether a value is one that is found anywhere by chance.
func weak(v event.Value) bool {
	if n, ok := v.AsInt(); ok && v.IsInt() {
		return n >= -weakInt && n <= weakInt
	}
	switch v.Type() {
	case event.TypeBool, event.TypeNull:
		return true
	case event.TypeString, event.TypeMap, event.TypeList, event.TypeSet:
		return v.Len() == 0
	}
	return false
}

// lastName is the last step of a path, as text.
func lastName(path string) string {
	name, steps, err := event.ParsePath(path)
	if err != nil {
		return ""
	}
	if n := len(steps); n > 0 {
		return fmt.Sprint(steps[n-1])
	}
	return name[strings.LastIndexByte(name, '.')+1:]
}

// members calls f with a value and all that is in its maps and lists, until it
// returns false; it reports whether it never did. It looks at left values at most.
func members(v event.Value, steps []event.Value, left *int, f func([]event.Value, event.Value) bool) bool {
	if *left--; *left < 0 || !f(steps, v) {
		return false
	}
	switch v.Type() {
	case event.TypeMap:
		for k, m := range v.AsMap().All() {
			if !members(m, append(steps[:len(steps):len(steps)], k), left, f) {
				return false
			}
		}
	case event.TypeList:
		for i, m := range v.Members() {
			if !members(m, append(steps[:len(steps):len(steps)], event.Int(int64(i))), left, f) {
				return false
			}
		}
	}
	return true
}
