// Package debug moves through a History: one session type and one table of
// commands, read by scripts, the prompt, the page and the terminal program.
package debug

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"hindcast.dev/debug/timeline"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/termtext"
)

// ErrQuit is returned by Session.Do for the command that ends a session.
var ErrQuit = errors.New("quit")

// A CommandError says what is wrong with a command, and what to do.
type CommandError struct {
	Command string
	Reason  string
}

func (e *CommandError) Error() string { return e.Command + ": " + e.Reason }

func commandErrorf(command, format string, args ...any) error {
	return &CommandError{command, fmt.Sprintf(format, args...)}
}

// A Session is a place in a History and the means to move it. The place is the
// cut just after the event at Position; before the first event it is
// history.Begin. Not safe for concurrent use.
type Session struct {
	src  history.Source
	meta *history.Meta
	out  io.Writer
	say  func(Part) // what a command says goes there
	view
	past past
	// Width and Plain are how diagrams are drawn.
	Width int
	Plain bool
	// Walk returns the same History with these bulky variables walked, so that their
	// contents are in it; the session goes on with that one. nil if it can't be had.
	Walk func(ctx context.Context, variables []string) (history.Source, error)
	// Index returns where the events are, nil as long as that isn't known. With it
	// going from place to place reads one event. nil: it never is.
	Index func() *timeline.Index
	// Live, if not nil, is what the History is a moment of: every command begins with
	// what there is then.
	Live Live
	// Waits has continue and where wait at the end of a History that grows, while the
	// session follows it.
	Waits bool
	// Open opens another History, which the session closes. nil if it can't.
	Open func(ctx context.Context, what string) (history.Source, error)
	// Replay replays what the History was made of with another build. nil if it can't.
	Replay func(ctx context.Context, binary string) (history.Source, error)
	// Code tells where the code of a machine stands, of a version (0: not known which),
	// for a node that ran a build. nil if nobody knows.
	Code func(build, machine string, version uint32) (Code, bool)
	// Create makes a file that is exported to. nil if none may be made.
	Create func(name string) (io.WriteCloser, error)
	// KeepMarks is called with all marks when they have changed. nil: they last as
	// long as the session.
	KeepMarks func([]Mark) error

	// Title says what is opened, for pages that are exported.
	Title string

	asked *asked             // the last query
	lost  map[string][]Drop  // by message id; nil until first needed
	hits  []history.Position // where matches of the last motif begin, ascending
	// following: the place is the end of a History that grows.
	following bool
}

// NewSession opens a session at the beginning of a History. What commands that
// are carried out by Do say goes to out as text, safe for a terminal whatever the
// recording holds.
func NewSession(src history.Source, out io.Writer) *Session {
	s := &Session{src: src, meta: src.Meta(), out: termtext.SafeWriter(out)}
	s.say = s.print
	return s
}

// print writes a part as text.
func (s *Session) print(p Part) {
	p.writeText(&textForm{s.out, s.Width, s.Plain})
}

// Position is where the session is.
func (s *Session) Position() history.Position { return s.at }

// Source is the History that the session looks at.
func (s *Session) Source() history.Source { return s.src }

// Ask carries out one line and returns what it says, also what it said before it
// failed: beside an error the Answer isn't nil.
func (s *Session) Ask(ctx context.Context, line string) (*Answer, error) {
	a := &Answer{Line: line, Parts: []Part{}}
	before, say := s.at, s.say
	s.say = func(p Part) { a.Parts = append(a.Parts, p) }
	defer func() { s.say = say }()
	err := s.Do(ctx, line)
	a.Place, a.Moved = s.place(s.at), s.at != before
	return a, err
}

// Do carries out one line: a command and its arguments. An empty line and one
// that begins with # do nothing.
func (s *Session) Do(ctx context.Context, line string) error {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return nil
	}
	name, args, _ := strings.Cut(line, " ")
	c, err := lookup(name)
	if err != nil {
		return err
	}
	if err := s.Refresh(ctx); err != nil {
		return err
	}
	before := s.view
	err = c.run(ctx, s, strings.TrimSpace(args))
	s.leave(false)
	if !c.travels {
		s.remember(before)
	}
	return err
}

// event returns the event at the session's place.
func (s *Session) event(ctx context.Context) (*history.Event, error) {
	if s.at == history.Begin {
		return nil, errors.New("before the first event: step, or goto a time, comes first")
	}
	return s.src.Event(ctx, s.at.Node, s.at.Seq)
}

// states returns the variables of some nodes (nil: all) at the cut just before from.
func (s *Session) states(ctx context.Context, from history.Position, nodes []int) ([]*history.State, error) {
	c, err := history.WalkThrough(ctx, s.src, from, from, nodes, history.Lens{All: true})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.States(), nil
}

// index is where all events are; nil if that isn't known, or not of all.
func (s *Session) index() *timeline.Index {
	if s.Index == nil {
		return nil
	}
	x := s.Index()
	if x == nil || uint64(x.Len()) != s.meta.Events || x.Meta().First != s.meta.First || x.Meta().Last != s.meta.Last {
		return nil
	}
	if s.Live != nil && !sameNodes(x.Meta(), s.meta) {
		return nil
	}
	return x
}

// order is how many events come before the session's next one.
func (s *Session) order(x *timeline.Index) (uint64, bool) {
	if s.at == history.Begin {
		return 0, true
	}
	at, ok := x.Coordinate(timeline.Order, s.at)
	return at + 1, ok
}

// forward moves over n events of one node (-1: of all), as far as there are any.
func (s *Session) forward(ctx context.Context, n, node int) (moved int, err error) {
	if x := s.index(); x != nil {
		if node >= 0 {
			s.at, moved = x.Beside(s.at, node, -n)
			return moved, nil
		}
		if next, ok := s.order(x); ok {
			moved = int(min(uint64(n), uint64(x.Len())-next))
			if moved > 0 {
				s.at, _ = x.At(next + uint64(moved) - 1)
			}
			return moved, nil
		}
	}
	c, err := history.WalkThrough(ctx, s.src, s.at.After(), history.End, only(node), history.Lens{})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	at := s.at
	for moved < n {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		if e.Base {
			continue // makes no cut
		}
		at = e.Position
		moved++
	}
	s.at = at
	return moved, nil
}

// only is a list of one node, nil if it is -1.
func only(node int) []int {
	if node < 0 {
		return nil
	}
	return []int{node}
}

// backward moves back over n events, to the beginning if there are fewer.
func (s *Session) backward(ctx context.Context, n int) error {
	if x := s.index(); x != nil {
		if here, ok := s.order(x); ok {
			at := history.Begin
			if uint64(n) < here {
				at, _ = x.At(here - uint64(n) - 1)
			}
			s.at = at
			return nil
		}
	}
	at := s.at
	for n > 0 && at != history.Begin {
		k := min(n, chunkMax)
		es, err := s.src.Before(ctx, at, k, nil)
		if err != nil {
			return err
		}
		at = history.Begin
		if len(es) == k {
			at = es[0].Position
		}
		n -= k
	}
	s.at = at
	return nil
}

// seek moves to the cut at t: after the last event stamped at or before it.
func (s *Session) seek(ctx context.Context, t hlc.Timestamp) error {
	if x := s.index(); x != nil {
		s.at = x.Cut(timeline.Time, uint64(t))
		return nil
	}
	end := history.End
	if t < hlc.Max {
		end = history.Position{Time: t + 1}
	}
	at, ok, err := history.PlaceBefore(ctx, s.src, end, nil)
	if err != nil {
		return err
	}
	if s.at = at; !ok {
		s.at = history.Begin
	}
	return nil
}

// Locate is the place that a text names, as goto understands it.
func (s *Session) Locate(ctx context.Context, text string) (history.Position, error) {
	if err := s.Refresh(ctx); err != nil {
		return history.Begin, err
	}
	return s.parsePlace(ctx, text)
}

// parsePlace reads NODE:SEQ, a time, START, END, or an offset from here.
func (s *Session) parsePlace(ctx context.Context, arg string) (history.Position, error) {
	switch strings.ToUpper(arg) {
	case "START", "BEGIN":
		return history.Begin, nil
	case "END", "NOW":
		return s.meta.Last, nil
	}
	if i := strings.LastIndexByte(arg, ':'); i >= 0 {
		if n, ok := s.nodeIndex(arg[:i]); ok {
			seq, err := strconv.ParseUint(arg[i+1:], 10, 64)
			if err != nil {
				return history.Position{}, fmt.Errorf("%q: after %q comes a sequence number", arg, arg[:i+1])
			}
			e, err := s.src.Event(ctx, n, seq)
			if errors.Is(err, history.ErrNoEvent) {
				return history.Position{}, fmt.Errorf("%s has no event %d here: it has %d to %d",
					s.nodeNames()[n], seq, s.meta.Nodes[n].First.Seq, s.meta.Nodes[n].Last.Seq)
			}
			if err != nil {
				return history.Position{}, fmt.Errorf("%s: %w", arg, err)
			}
			return e.Position, nil
		}
	}
	if p, ok, err := s.marked(ctx, arg); ok {
		return p, err
	}
	t, err := s.parseTime(arg)
	if err != nil {
		return history.Position{}, err
	}
	saved := s.at
	defer func() { s.at = saved }()
	err = s.seek(ctx, t)
	return s.at, err
}

func (s *Session) parseTime(arg string) (hlc.Timestamp, error) {
	if strings.HasPrefix(arg, "+") || strings.HasPrefix(arg, "-") {
		d, err := time.ParseDuration(arg)
		if err != nil {
			return 0, fmt.Errorf("%q: want an offset like +200ms or -1.5s", arg)
		}
		return s.at.Time.Add(d), nil
	}
	if t, ok := s.timeOfDay(arg); ok {
		return t, nil
	}
	t, err := hlc.Parse(arg)
	if node, ok := nodeSeq(arg); err != nil && ok {
		return 0, fmt.Errorf("no node %q; nodes: %s", node, s.nodeList())
	}
	if err != nil {
		return 0, fmt.Errorf("%q is neither NODE:SEQ (nodes: %s), nor START, END, a mark, +DURATION or -DURATION, nor a time: %w",
			arg, s.nodeList(), err)
	}
	return t, nil
}

// nodeSeq reports whether arg looks like NODE:SEQ.
func nodeSeq(arg string) (node string, ok bool) {
	i := strings.LastIndexByte(arg, ':')
	if i <= 0 {
		return "", false
	}
	_, err := strconv.ParseUint(arg[i+1:], 10, 64)
	return arg[:i], err == nil
}

// clock is a time of day, as diagrams show it, with the logical part if need be.
var clock = regexp.MustCompile(`^([0-9]{1,2}:[0-9]{2})(:[0-9]{2}(?:\.[0-9]+)?)?Z?(/[0-9]+)?$`)

// timeOfDay reads a time of day, in UTC, of the day on which the History begins,
// or of a later one if that is nearer.
func (s *Session) timeOfDay(arg string) (hlc.Timestamp, bool) {
	m := clock.FindStringSubmatch(arg)
	if m == nil {
		return 0, false
	}
	if len(m[1]) == len("1:02") {
		m[1] = "0" + m[1]
	}
	if m[2] == "" {
		m[2] = ":00"
	}
	const day = 24 * time.Hour
	first := s.meta.First.Time.Time().UTC()
	t, err := hlc.Parse(first.Format(time.DateOnly) + "T" + m[1] + m[2] + "Z" + m[3])
	if err != nil {
		return 0, false
	}
	for t < s.meta.First.Time && t.Add(day).Sub(s.meta.Last.Time) < s.meta.First.Time.Sub(t) {
		t = t.Add(day)
	}
	if m[3] == "" { // a diagram leaves the logical part out: whichever it was
		t |= 1<<hlc.LogicalBits - 1
	}
	return t, true
}

// nodeIndex finds a node by its name, by its name as shown, or by what else of it
// can be typed, if that is of no other.
func (s *Session) nodeIndex(name string) (int, bool) {
	if n, ok := s.meta.NodeIndex(termtext.Unname(name)); ok {
		return n, true
	}
	if n, ok := s.meta.NodeIndex(name); ok {
		return n, true
	}
	found := -1
	for n := range s.meta.Nodes {
		if like := s.meta.Nodes[n].Name; termtext.Printable(like) == name || strings.TrimSpace(like) == strings.TrimSpace(name) {
			if found >= 0 {
				return -1, false // it doesn't say which
			}
			found = n
		}
	}
	return found, found >= 0
}

// cutNode takes a node's name, which may have spaces in it, off the beginning of a
// command's arguments.
func (s *Session) cutNode(args string) (node int, rest string, ok bool) {
	longest := ""
	for i, shown := range s.nodeNames() {
		for _, name := range []string{s.meta.Nodes[i].Name, shown} {
			if after, ok := strings.CutPrefix(args, name); ok && len(name) > len(longest) && (after == "" || after[0] == ' ') {
				node, rest, longest = i, strings.TrimSpace(after), name
			}
		}
	}
	if longest == "" {
		return -1, args, false
	}
	return node, rest, true
}

func (s *Session) nodeNames() []string {
	var names []string
	for _, n := range s.meta.Nodes {
		names = append(names, termtext.Name(n.Name))
	}
	return names
}

// namesShown bounds how many names a mistake is answered with.
const namesShown = 20

// nodeList is the names of the nodes for a person, or of some of them.
func (s *Session) nodeList() string {
	names := s.nodeNames()
	if n := len(names); n > namesShown {
		return fmt.Sprintf("%s … and %d more", strings.Join(names[:namesShown], ", "), n-namesShown)
	}
	return strings.Join(names, ", ")
}

// name is NODE:SEQ of a position.
func (s *Session) name(p history.Position) string {
	if p == history.Begin {
		return "START"
	}
	return fmt.Sprintf("%s:%d", termtext.Name(s.meta.Nodes[p.Node].Name), p.Seq)
}

// GoToTime places the session at the last event at or before a time, and at the
// beginning if there is none.
func (s *Session) GoToTime(ctx context.Context, t hlc.Timestamp) error { return s.seek(ctx, t) }

// GoTo moves to an event of a node; found is false, and the place unchanged, if
// the History doesn't have it.
func (s *Session) GoTo(ctx context.Context, node string, seq uint64) (found bool, err error) {
	n, ok := s.meta.NodeIndex(node)
	if !ok {
		return false, nil
	}
	e, err := s.src.Event(ctx, n, seq)
	if errors.Is(err, history.ErrNoEvent) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s.at = e.Position
	return true, nil
}

// MoveTo places the session at a cut that a session over the same History was at.
func (s *Session) MoveTo(p history.Position) { s.at = p }
