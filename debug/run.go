package debug

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"hindcast.dev/debug/timeline"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/termtext"
)

// Bounds on what one command shows.
const (
	diagramDefault = 20
	diagramMax     = 500
	stepMax        = 1 << 30
	logDefault     = 10
	logMax         = 10_000
	valueColumns   = 100 // of a value in a list; event and state PATH show it whole
)

func runNodes(ctx context.Context, s *Session, _ string) error {
	states, err := s.states(ctx, s.at.After(), nil)
	if err != nil {
		return err
	}
	up, hasUp := s.meta.VarID("node.up")
	for i, n := range s.meta.Nodes {
		info := &NodeInfo{Name: n.Name, State: NodeNotBegun, Events: n.Events, First: n.First.Time, Last: n.Last.Time, Reason: n.Reason}
		for _, u := range n.Unknown {
			info.Unknown = append(info.Unknown, [2]hlc.Timestamp{u.From, u.To})
		}
		if n.Events == 0 {
			info.State = ""
		}
		if st := states[i]; st != nil {
			info.State = ""
			if v := st.Get(up); hasUp && !v.IsAbsent() {
				info.State = map[bool]NodeState{true: NodeUp, false: NodeDown}[v.AsBool()]
			}
		}
		s.say(info)
	}
	return nil
}

func runGoto(ctx context.Context, s *Session, args string) error {
	if args == "" {
		return commandErrorf("goto", "want a time or NODE:SEQ; help goto shows examples")
	}
	p, err := s.parsePlace(ctx, args)
	if err != nil {
		return commandErrorf("goto", "%v", err)
	}
	s.at = p
	return s.showPlace(ctx)
}

// showPlace prints one line about the event here.
func (s *Session) showPlace(ctx context.Context) error {
	if err := s.stay(ctx); err != nil {
		return err
	}
	if s.at == history.Begin {
		s.remark("START: before the first event")
		return nil
	}
	e, err := s.event(ctx)
	if err != nil {
		return err
	}
	s.say(s.headline(e))
	return s.showWatched(ctx)
}

// headline is what one line says of an event.
func (s *Session) headline(e *history.Event) *Event {
	return &Event{Place: s.place(e.Position), Kind: e.Kind, Name: e.Name, Peer: e.Peer, ID: e.ID}
}

func count(command, args string, def, max int) (int, error) {
	if args == "" {
		return def, nil
	}
	n, err := strconv.Atoi(args)
	if err != nil || n < 1 || n > max {
		return 0, commandErrorf(command, "%q: want a number from 1 to %d", args, max)
	}
	return n, nil
}

func runStep(ctx context.Context, s *Session, args string) error {
	node, n, err := s.stepArgs("step", args)
	if err != nil {
		return err
	}
	moved, err := s.forward(ctx, n, node)
	if err != nil {
		return err
	}
	switch {
	case moved == n:
	case node >= 0:
		s.remark("%s has no later event", termtext.Name(s.meta.Nodes[node].Name))
	default:
		s.remark("the History ends here")
	}
	return s.showPlace(ctx)
}

func runBack(ctx context.Context, s *Session, args string) error {
	node, n, err := s.stepArgs("back", args)
	if err != nil {
		return err
	}
	if node < 0 {
		err = s.backward(ctx, n)
	} else {
		err = s.backwardOn(ctx, n, node)
	}
	if err != nil {
		return err
	}
	return s.showPlace(ctx)
}

// stepArgs reads [NODE] [N]; node is -1 if none is given.
func (s *Session) stepArgs(command, args string) (node, n int, err error) {
	if i, ok := s.nodeIndex(args); ok {
		return i, 1, nil
	}
	node = -1
	if i := strings.LastIndexByte(args, ' '); i >= 0 {
		if node, err = s.nodeArg(command, strings.TrimSpace(args[:i])); err != nil {
			return -1, 0, err
		}
		args = args[i+1:]
	}
	n, err = count(command, args, 1, stepMax)
	if err != nil && node < 0 {
		err = commandErrorf(command, "%q: want a number of events, or a node (%s) and a number if wanted", args, s.nodeList())
	}
	return node, n, err
}

// backwardOn moves back to the n-th event before here of a node, or to the first
// there is.
func (s *Session) backwardOn(ctx context.Context, n, node int) error {
	at := s.at
	if x := s.index(); x != nil {
		moved := 0
		at, moved = x.Beside(at, node, n)
		n -= moved
	} else {
		for n > 0 {
			k := min(n, chunkMax)
			es, err := s.src.Before(ctx, at, k, []int{node})
			if err != nil {
				return err
			}
			if len(es) > 0 {
				at = es[0].Position
			}
			n -= len(es)
			if len(es) < k {
				break
			}
		}
	}
	if n > 0 {
		s.remark("%s has no earlier event", termtext.Name(s.meta.Nodes[node].Name))
	}
	s.at = at
	return nil
}

func (s *Session) nodeArg(command, args string) (int, error) {
	if n, ok := s.nodeIndex(args); ok {
		return n, nil
	}
	if args == "" {
		return 0, commandErrorf(command, "want a node: %s", s.nodeList())
	}
	return 0, commandErrorf(command, "no node %q; nodes: %s", args, s.nodeList())
}

func runNext(ctx context.Context, s *Session, args string) error {
	if args == "" {
		return s.nextHit(ctx, "next", true)
	}
	if _, err := s.nodeArg("next", args); err != nil {
		return err
	}
	return runStep(ctx, s, args)
}

func runPrev(ctx context.Context, s *Session, args string) error {
	if args == "" {
		return s.nextHit(ctx, "prev", false)
	}
	if _, err := s.nodeArg("prev", args); err != nil {
		return err
	}
	return runBack(ctx, s, args)
}

func runEvent(ctx context.Context, s *Session, _ string) error {
	e, err := s.event(ctx)
	if err != nil {
		return commandErrorf("event", "%v", err)
	}
	v := s.whole(e)
	if v.Code, err = s.codeOf(ctx, e); err != nil {
		return err
	}
	s.say(v)
	return nil
}

// whole is all that is known of an event.
func (s *Session) whole(e *history.Event) *Event {
	v := s.headline(e)
	v.Whole, v.Machine, v.Physical, v.Data = true, e.Machine, e.Physical, e.Data
	for i := range e.Effects {
		v.Effects = append(v.Effects, EffectOf(&e.Effects[i]))
	}
	for i := range e.Changes {
		c := &e.Changes[i]
		if c.Value.IsAbsent() && s.meta.Vars[c.Var].BulkyAt(e.Node, e.Time) {
			continue // it isn't gone
		}
		v.Changes = append(v.Changes, Assignment{event.PathString(s.meta.Vars[c.Var].Name, c.Path), c.Value})
	}
	v.Log = logged(e)
	s.leftOut(e.Node, e.Time, "", func(name string) { v.LeftOut = append(v.LeftOut, name) })
	return v
}

// runLog looks back from here, a stretch of events at a time.
func runLog(ctx context.Context, s *Session, args string) error {
	n, err := count("log", args, logDefault, logMax)
	if err != nil {
		return err
	}
	var lines []*LogLine // the last first
	for end := s.at.After(); end != history.Begin && len(lines) < n; {
		es, err := s.src.Before(ctx, end, chunkFirst, nil)
		if err != nil {
			return err
		}
		for i := len(es) - 1; i >= 0; i-- {
			ls := s.logLines(&es[i])
			slices.Reverse(ls)
			lines = append(lines, ls...)
		}
		end = history.Begin
		if len(es) == chunkFirst {
			end = es[0].Position
		}
	}
	lines = lines[:min(n, len(lines))]
	for _, l := range slices.Backward(lines) {
		s.say(l)
	}
	if len(lines) == 0 {
		s.remark("no log line or note up to here")
	}
	return nil
}

// logLines are what an event has to say for the log: notes and log effects.
func (s *Session) logLines(e *history.Event) []*LogLine {
	var lines []*LogLine
	for _, l := range logged(e) {
		lines = append(lines, &LogLine{Event: s.headline(e), Level: l.Level, Data: l.Data})
	}
	return lines
}

func runDiagram(ctx context.Context, s *Session, args string) error {
	n, err := count("diagram", args, diagramDefault, diagramMax)
	if err != nil {
		return err
	}
	rows, err := s.nearby(ctx, n)
	if err != nil {
		return err
	}
	drops, err := s.losses(ctx, rows)
	if err != nil {
		return err
	}
	why, err := Lost(ctx, s.src, rows, drops)
	if err != nil {
		return err
	}
	s.say(&Drawing{Diagram{Meta: s.meta, Events: rows, Lost: why, Mark: s.at}})
	return nil
}

// nearby returns the n events around here, or as many as there are.
func (s *Session) nearby(ctx context.Context, n int) ([]history.Event, error) {
	if x := s.index(); x != nil {
		if here, ok := s.order(x); ok {
			to := min(here+uint64(n/2), uint64(x.Len()))
			return s.ordered(ctx, x, to-min(to, uint64(n)), to)
		}
	}
	ahead, err := s.ahead(ctx, n/2)
	if err != nil {
		return nil, err
	}
	rows, err := s.src.Before(ctx, s.at.After(), n-len(ahead), nil)
	return append(rows, ahead...), err
}

// Nearby returns the last events before the cut and the first ones behind it, in the
// order of the walk: so many, or as many as there are.
func (s *Session) Nearby(ctx context.Context, before, behind int) ([]history.Event, error) {
	if x := s.index(); x != nil {
		if here, ok := s.order(x); ok {
			return s.ordered(ctx, x, here-min(here, uint64(before)), min(here+uint64(behind), uint64(x.Len())))
		}
	}
	rows, err := s.src.Before(ctx, s.at.After(), before, nil)
	if err != nil {
		return nil, err
	}
	ahead, err := s.ahead(ctx, behind)
	return append(slices.Clip(rows), ahead...), err
}

// ordered returns the events in [from, to) of the order of the walk.
func (s *Session) ordered(ctx context.Context, x *timeline.Index, from, to uint64) ([]history.Event, error) {
	var rows []history.Event
	for o := from; o < to; o++ {
		p, _ := x.At(o)
		e, err := s.src.Event(ctx, p.Node, p.Seq)
		if err != nil {
			return nil, err
		}
		rows = append(rows, *e)
	}
	return rows, nil
}

// ahead returns the next n events, or as many as there are.
func (s *Session) ahead(ctx context.Context, n int) ([]history.Event, error) {
	c, err := s.src.Walk(ctx, s.at.After(), history.End, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var es []history.Event
	for len(es) < n {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if !e.Base {
			es = append(es, *e)
		}
	}
	return es, nil
}

// since and until are the ends of a stretch, for people.
func since(t hlc.Timestamp) string {
	if t == 0 {
		return "the beginning"
	}
	return t.String()
}

func until(t hlc.Timestamp) string {
	if t == hlc.Max {
		return "the end"
	}
	return t.String()
}
