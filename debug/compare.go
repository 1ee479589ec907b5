package debug

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/termtext"
)

// A Divergence is where a node first did something else in one History than in
// another: the events of a node are held against each other one by one, whatever
// time it was.
type Divergence struct {
	Node string `json:"node"`
	Same uint64 `json:"same"` // events of it before, in which both agree
	// Here and There are the first that aren't the same, nil where the node ends.
	Here  *Event `json:"here,omitempty"`
	There *Event `json:"there,omitempty"`
	// What differs: "kind", "name", "machine", "peer", "id", "data", "effects",
	// "changes"; or "missing", of an event or of the whole node.
	What    string   `json:"what"`
	Details []string `json:"details,omitempty"` // what it is, here and there
	// Aligned are the events around there, side by side.
	Aligned []Aligned `json:"aligned,omitempty"`

	first bool // of all nodes: as text its rows are shown
}

func (*Divergence) kind() string { return "divergence" }

func (d *Divergence) writeText(t *textForm) {
	if d.What == "" {
		t.line("%s  the same, %d events", termtext.Pad(termtext.Name(d.Node), 12), d.Same)
		return
	}
	t.line("%s  differs after %d events: %s", termtext.Pad(termtext.Name(d.Node), 12), d.Same, d.What)
	for _, side := range []struct {
		name string
		e    *Event
	}{{"here ", d.Here}, {"there", d.There}} {
		line := "it ends"
		if side.e != nil {
			line = side.e.headline()
		}
		t.line("  %s  %s", side.name, line)
	}
	for _, detail := range d.Details {
		t.line("    %s", termtext.Printable(termtext.Clip(detail, 2*valueColumns)))
	}
	if d.first {
		writeAligned(t, d.Aligned)
	}
}

// detailsMax bounds the details of a divergence.
const detailsMax = 20

// A Comparison is where two Histories part.
type Comparison struct {
	Nodes []*Divergence // of all nodes of either, those that differ first in the walk first
	// OnlyHere and OnlyThere are variables that just one of the two has. They aren't
	// compared: another build may have more fields.
	OnlyHere, OnlyThere []string
}

// Same reports whether no node differs.
func (c *Comparison) Same() bool {
	return !slices.ContainsFunc(c.Nodes, func(d *Divergence) bool { return d.What != "" })
}

// Compare holds two Histories against each other, node by node.
func Compare(ctx context.Context, here, there history.Source) (*Comparison, error) {
	m := newMatcher(here.Meta(), there.Meta())
	c := &Comparison{}
	c.OnlyHere, c.OnlyThere = m.onlyHere, m.onlyThere
	for _, name := range nodesOfBoth(here.Meta(), there.Meta()) {
		d, err := m.node(ctx, name, here, there)
		if err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, d)
	}
	slices.SortStableFunc(c.Nodes, func(a, b *Divergence) int {
		return a.compare(b)
	})
	if len(c.Nodes) > 0 {
		c.Nodes[0].first = true
	}
	return c, nil
}

// compare orders by when nodes part; those that don't come last.
func (d *Divergence) compare(o *Divergence) int {
	switch {
	case (d.What == "") != (o.What == ""):
		if d.What == "" {
			return 1
		}
		return -1
	case d.What == "":
		return strings.Compare(d.Node, o.Node)
	}
	return int(min(max(d.time().Sub(o.time()), -1), 1))
}

func (d *Divergence) time() (t hlc.Timestamp) {
	if d.Here != nil {
		return d.Here.Time
	}
	if d.There != nil {
		return d.There.Time
	}
	return t
}

func nodesOfBoth(a, b *history.Meta) []string {
	var names []string
	for i := range a.Nodes {
		names = append(names, a.Nodes[i].Name)
	}
	for i := range b.Nodes {
		if _, ok := a.NodeIndex(b.Nodes[i].Name); !ok {
			names = append(names, b.Nodes[i].Name)
		}
	}
	return names
}

// A matcher compares events of two Histories.
type matcher struct {
	metas               [2]*history.Meta
	shared              [2][]bool // by VarID: the other has it too
	onlyHere, onlyThere []string
}

func newMatcher(a, b *history.Meta) *matcher {
	m := &matcher{metas: [2]*history.Meta{a, b}}
	for side, only := range []*[]string{&m.onlyHere, &m.onlyThere} {
		own, other := m.metas[side], m.metas[1-side]
		m.shared[side] = make([]bool, len(own.Vars))
		for i := range own.Vars {
			if _, ok := other.VarID(own.Vars[i].Name); ok {
				m.shared[side][i] = true
			} else {
				*only = append(*only, own.Vars[i].Name)
			}
		}
	}
	return m
}

// node walks through a node in both.
func (m *matcher) node(ctx context.Context, name string, here, there history.Source) (*Divergence, error) {
	d := &Divergence{Node: name}
	var cursors [2]*nodeCursor
	for side, src := range []history.Source{here, there} {
		cur, err := openNode(ctx, src, name)
		if err != nil {
			return nil, err
		}
		defer cur.Close()
		cursors[side] = cur
	}
	var same []pairing // the last ones
	for {
		a, errA := cursors[0].next()
		b, errB := cursors[1].next()
		if err := errors.Join(errA, errB); err != nil {
			return nil, err
		}
		if a == nil && b == nil {
			return d, nil
		}
		if d.What, d.Details = m.differ(a, b); d.What != "" {
			d.Here, d.There = m.told(0, a), m.told(1, b)
			var err error
			d.Aligned, err = m.sideBySide(same, a, b, cursors)
			return d, err
		}
		d.Same++
		if same = append(same, pairing{a, b}); len(same) > alignedBefore {
			same = same[1:]
		}
	}
}

// told is an event as one of the two has it.
func (m *matcher) told(side int, e *history.Event) *Event {
	if e == nil {
		return nil
	}
	s := &Session{meta: m.metas[side]}
	return s.whole(e)
}

// differ says in what two events differ; "" if in nothing.
func (m *matcher) differ(a, b *history.Event) (what string, details []string) {
	if a == nil || b == nil {
		return "missing", nil
	}
	for _, f := range []struct {
		what string
		a, b string
	}{{"kind", a.Kind, b.Kind}, {"name", a.Name, b.Name}, {"machine", a.Machine, b.Machine}, {"peer", a.Peer, b.Peer}, {"id", a.ID, b.ID}} {
		if f.a != f.b {
			return f.what, []string{f.a + " → " + f.b}
		}
	}
	if !event.Equal(a.Data, b.Data) {
		return "data", valueDetails(a.Data, b.Data)
	}
	if details = differentLines(effectLines(a), effectLines(b)); details != nil {
		return "effects", details
	}
	if details = differentLines(m.changeLines(0, a), m.changeLines(1, b)); details != nil {
		return "changes", details
	}
	return "", nil
}

func effectLines(e *history.Event) [][]byte {
	var lines [][]byte
	for i := range e.Effects {
		f := &e.Effects[i]
		lines = append(lines, f.Data.AppendJSON(fmt.Appendf(nil, "%s %s %s [%s]  ", f.Kind, f.Name, f.Peer, f.ID)))
	}
	return lines
}

// changeLines are the changes of variables that both have.
func (m *matcher) changeLines(side int, e *history.Event) [][]byte {
	var lines [][]byte
	for i := range e.Changes {
		c := &e.Changes[i]
		if m.shared[side][c.Var] {
			lines = append(lines, c.Value.AppendJSON(append(event.AppendPath(nil, m.metas[side].Vars[c.Var].Name, c.Path), " = "...)))
		}
	}
	slices.SortStableFunc(lines, bytes.Compare) // which field comes first is the build's affair
	return lines
}

// differentLines are the lines of which one side has more; nil if there are none.
func differentLines(a, b [][]byte) (lines []string) {
	if slices.EqualFunc(a, b, bytes.Equal) {
		return nil
	}
	count := map[string]int{}
	for _, l := range a {
		count[string(l)]++
	}
	for _, l := range b {
		count[string(l)]--
	}
	for _, side := range []struct {
		sign  string
		lines [][]byte
		more  int
	}{{"- ", a, 1}, {"+ ", b, -1}} {
		for _, l := range side.lines {
			if count[string(l)]*side.more > 0 && len(lines) < detailsMax {
				count[string(l)] -= side.more
				lines = append(lines, side.sign+string(l))
			}
		}
	}
	if lines == nil {
		lines = []string{"the same in another order"}
	}
	return lines
}

// A nodeCursor goes through the events of one node, of which a History may not
// know.
type nodeCursor struct{ cur history.Cursor }

func openNode(ctx context.Context, src history.Source, name string) (*nodeCursor, error) {
	n, ok := src.Meta().NodeIndex(name)
	if !ok {
		return &nodeCursor{}, nil
	}
	cur, err := src.Walk(ctx, history.Begin, history.End, []int{n})
	return &nodeCursor{cur}, err
}

// next is the next event; nil after the last.
func (c *nodeCursor) next() (*history.Event, error) {
	if c.cur == nil {
		return nil, nil
	}
	for {
		e, err := c.cur.Next()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil || !e.Base {
			return e, err
		}
	}
}

func (c *nodeCursor) Close() error {
	if c.cur == nil {
		return nil
	}
	return c.cur.Close()
}

func runCompare(ctx context.Context, s *Session, args string) error {
	switch {
	case args == "":
		return commandErrorf("compare", "want another recording or History, like: compare fixed.jsonl")
	case s.Open == nil:
		return commandErrorf("compare", "this session can't open another History")
	}
	other, err := s.Open(ctx, args)
	if err != nil {
		return commandErrorf("compare", "%v", err)
	}
	defer other.Close()
	return s.compareWith(ctx, other)
}

func runWhatIf(ctx context.Context, s *Session, args string) error {
	binary := strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(args, "--exec="), "--exec "))
	switch {
	case binary == "" || strings.HasPrefix(binary, "-"):
		return commandErrorf("whatif", "want a program, like: whatif --exec ./myservice-fixed")
	case s.Replay == nil:
		return commandErrorf("whatif", "this isn't a recording that can be replayed: open one, with its journals")
	}
	other, err := s.Replay(ctx, binary)
	if err != nil {
		return commandErrorf("whatif", "%v", err)
	}
	defer other.Close()
	return s.compareWith(ctx, other)
}

// compareWith tells where another History parts from this one, and goes there.
func (s *Session) compareWith(ctx context.Context, other history.Source) error {
	c, err := Compare(ctx, s.src, other)
	if err != nil {
		return err
	}
	for _, only := range []struct {
		side  string
		names []string
	}{{"here", c.OnlyHere}, {"there", c.OnlyThere}} {
		if len(only.names) > 0 {
			s.remark("only %s: %s", only.side, termtext.Printable(termtext.Clip(strings.Join(only.names, ", "), 2*valueColumns)))
		}
	}
	for _, d := range c.Nodes {
		s.say(d)
	}
	if c.Same() {
		s.remark("the same events, effects and changes on every node")
		return nil
	}
	if d := c.Nodes[0]; d.Here != nil {
		if n, ok := s.meta.NodeIndex(d.Node); ok {
			e, err := s.src.Event(ctx, n, d.Here.Seq)
			if err != nil {
				return err
			}
			s.at = e.Position
			return s.showPlace(ctx)
		}
	}
	return nil
}
