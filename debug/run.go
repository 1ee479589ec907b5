package debug

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
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
	states, err := s.states(ctx, after(s.at))
	if err != nil {
		return err
	}
	up, hasUp := s.meta.VarID("node.up")
	for i, n := range s.meta.Nodes {
		state := "not begun"
		if st := states[i]; st != nil {
			state = ""
			if v := st.Get(up); hasUp && !v.IsAbsent() {
				state = map[bool]string{true: "up", false: "down"}[v.AsBool()]
			}
		}
		line := fmt.Sprintf("%s %-9s %6d events  %s … %s", pad(Printable(n.Name), 12), state, n.Events, n.First.Time, n.Last.Time)
		for _, u := range n.Unknown {
			line += fmt.Sprintf("  unknown %s … %s", u.From, until(u.To))
		}
		if n.Reason != "" {
			line += " (" + Printable(n.Reason) + ")"
		}
		fmt.Fprintln(s.out, strings.TrimRight(line, " "))
	}
	return nil
}

func until(t hlc.Timestamp) string {
	if t == hlc.Max {
		return "the end"
	}
	return t.String()
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
	if s.at == history.Begin {
		fmt.Fprintln(s.out, "START: before the first event")
		return nil
	}
	e, err := s.event(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, s.headline(e))
	return nil
}

// headline is one line about an event.
func (s *Session) headline(e *history.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s", s.name(e.Position), e.Time, Printable(e.Kind))
	if e.Name != "" {
		fmt.Fprintf(&b, " %s", Printable(e.Name))
	}
	switch {
	case e.Peer == "":
	case e.Kind == event.Note.String(): // of what went to it, or came from it, or of the link
		fmt.Fprintf(&b, " peer %s", Printable(e.Peer))
	default:
		fmt.Fprintf(&b, " from %s", Printable(e.Peer))
	}
	if e.ID != "" {
		fmt.Fprintf(&b, "  [%s]", Printable(e.ID))
	}
	return b.String()
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
	n, err := count("step", args, 1, stepMax)
	if err != nil {
		return err
	}
	moved, err := s.forward(ctx, n, nil)
	if err != nil {
		return err
	}
	if moved < n {
		fmt.Fprintln(s.out, "the History ends here")
	}
	return s.showPlace(ctx)
}

func runBack(ctx context.Context, s *Session, args string) error {
	n, err := count("back", args, 1, stepMax)
	if err != nil {
		return err
	}
	if err := s.backward(ctx, n); err != nil {
		return err
	}
	return s.showPlace(ctx)
}

func (s *Session) nodeArg(command, args string) (int, error) {
	if n, ok := s.nodeIndex(args); ok {
		return n, nil
	}
	if args == "" {
		return 0, commandErrorf(command, "want a node: %s", strings.Join(s.nodeNames(), ", "))
	}
	return 0, commandErrorf(command, "no node %q; nodes: %s", args, strings.Join(s.nodeNames(), ", "))
}

func runNext(ctx context.Context, s *Session, args string) error {
	n, err := s.nodeArg("next", args)
	if err != nil {
		return err
	}
	moved, err := s.forward(ctx, 1, []int{n})
	if err != nil {
		return err
	}
	if moved == 0 {
		fmt.Fprintf(s.out, "%s has no later event\n", Printable(args))
	}
	return s.showPlace(ctx)
}

func runPrev(ctx context.Context, s *Session, args string) error {
	n, err := s.nodeArg("prev", args)
	if err != nil {
		return err
	}
	es, err := s.src.Before(ctx, s.at, 1, []int{n})
	if err != nil {
		return err
	}
	if len(es) == 0 {
		fmt.Fprintf(s.out, "%s has no earlier event\n", Printable(args))
	} else {
		s.at = es[0].Position
	}
	return s.showPlace(ctx)
}

func runEvent(ctx context.Context, s *Session, _ string) error {
	e, err := s.event(ctx)
	if err != nil {
		return commandErrorf("event", "%v", err)
	}
	fmt.Fprintln(s.out, s.headline(e))
	if e.Machine != "" {
		fmt.Fprintf(s.out, "  machine  %s\n", Printable(e.Machine))
	}
	if e.Physical != 0 {
		fmt.Fprintf(s.out, "  clock    %s\n", e.Physical)
	}
	if !e.Data.IsAbsent() {
		fmt.Fprintf(s.out, "  data     %s\n", Printable(FormatValue(e.Data)))
	}
	for i := range e.Effects {
		fmt.Fprintf(s.out, "  %s\n", s.effectLine(&e.Effects[i], ""))
	}
	for i := range e.Changes {
		c := &e.Changes[i]
		if c.Value.IsAbsent() && s.meta.Vars[c.Var].BulkyAt(e.Node, e.Time) {
			continue // it isn't gone
		}
		fmt.Fprintf(s.out, "  %s = %s\n", Printable(event.PathString(s.meta.Vars[c.Var].Name, c.Path)), Printable(FormatValue(c.Value)))
	}
	s.leftOut(e.Node, e.Time, "", func(name string) {
		fmt.Fprintf(s.out, "  %s: too large to be compared after every event; diff %s does\n", name, name)
	})
	return nil
}

// effectLine is one line about an effect and what became of it, "" if that isn't
// to be said.
func (s *Session) effectLine(f *history.Effect, fate string) string {
	line := f.Kind
	if f.Name != "" {
		line += " " + f.Name
	}
	if f.Peer != "" {
		line += " to " + f.Peer
	}
	if f.ID != "" {
		line += "  [" + f.ID + "]"
	}
	if fate != "" {
		line += "  " + fate
	}
	if !f.Data.IsAbsent() {
		line += "  " + Clip(FormatValue(f.Data), valueColumns)
	}
	return Printable(line)
}

// runLog looks back from here, a stretch of events at a time.
func runLog(ctx context.Context, s *Session, args string) error {
	n, err := count("log", args, logDefault, logMax)
	if err != nil {
		return err
	}
	var lines []string // the last first
	for end := after(s.at); end != history.Begin && len(lines) < n; {
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
		fmt.Fprintln(s.out, l)
	}
	if len(lines) == 0 {
		fmt.Fprintln(s.out, "no log line or note up to here")
	}
	return nil
}

// logLines are what an event has to say for the log: notes and log effects.
func (s *Session) logLines(e *history.Event) []string {
	var lines []string
	if e.Kind == event.Note.String() {
		lines = append(lines, s.headline(e)+"  "+Printable(FormatValue(e.Data)))
	}
	for i := range e.Effects {
		if f := &e.Effects[i]; f.Kind == event.EffectLog.String() {
			lines = append(lines, fmt.Sprintf("%s  %s  %s %s", s.name(e.Position), e.Time, Printable(f.Name), Printable(f.Data.AsString())))
		}
	}
	return lines
}

func runDiagram(ctx context.Context, s *Session, args string) error {
	n, err := count("diagram", args, diagramDefault, diagramMax)
	if err != nil {
		return err
	}
	ahead, err := s.ahead(ctx, n/2)
	if err != nil {
		return err
	}
	rows, err := s.src.Before(ctx, after(s.at), n-len(ahead), nil)
	if err != nil {
		return err
	}
	lost, err := s.drops(ctx)
	if err != nil {
		return err
	}
	why := map[string]string{}
	for id, drops := range lost {
		why[id] = Why(drops)
	}
	d := Diagram{Meta: s.meta, Events: append(rows, ahead...), Lost: why, Mark: s.at, Width: s.Width, Plain: s.Plain}
	_, err = d.WriteTo(s.out)
	return err
}

// ahead returns the next n events, or as many as there are.
func (s *Session) ahead(ctx context.Context, n int) ([]history.Event, error) {
	c, err := s.src.Walk(ctx, after(s.at), history.End, nil)
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
