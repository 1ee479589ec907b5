package debug

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hindcast.dev/debug/motif"
	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

// Bounds on what is told of a motif.
const (
	matchesMax  = 5_000
	matchLines  = 20 // of text
	drawingMark = "{"
)

// A Motif is where a pattern of messages and events is found.
type Motif struct {
	Pattern string  `json:"pattern"` // in writing, also if it was drawn
	Found   int     `json:"found"`
	Matches []Match `json:"matches"` // the first of them
	// GivenUp counts the events at which a match may begin, and it took too long to
	// find out. Until is where the search ended, if that is before the end.
	GivenUp int    `json:"givenUp,omitempty"`
	Until   *Place `json:"until,omitempty"`
}

// A Match is events that are as a pattern says.
type Match struct {
	Lanes []MatchLane `json:"lanes"`
	Parts []MatchPart `json:"parts"`
}

// A MatchLane is the node that a lane of the pattern is.
type MatchLane struct {
	Lane string `json:"lane"`
	Node string `json:"node"`
}

// A MatchPart is an event in a match.
type MatchPart struct {
	Place
	Lane    string `json:"lane,omitempty"`    // "" in a broadcast or gather, of those around
	Does    string `json:"does"`              // "sends", "receives" or "does"
	Message *int   `json:"message,omitempty"` // which one, counted in the match
}

func (*Motif) kind() string { return "motif" }

func (m *Motif) writeText(t *textForm) {
	switch m.Found {
	case 0:
		t.line("nothing is like %s", termtext.Printable(m.Pattern))
	case 1:
		t.line("1 match of %s", termtext.Printable(m.Pattern))
	default:
		t.line("%d matches of %s", m.Found, termtext.Printable(m.Pattern))
	}
	for i := range m.Matches {
		if i == matchLines {
			t.line("… and %d more; next and prev go from one to the next", m.Found-i)
			break
		}
		t.line("%s", m.Matches[i].text())
	}
	if m.Until != nil {
		t.line("the search ended at %s: motif … over %s to END goes on", m.Until, m.Until)
	}
	if m.GivenUp > 0 {
		t.line("of %d events it isn't known whether a match begins there: name more messages or nodes, or say within what time", m.GivenUp)
	}
}

// text is a match in a line: who is who, and which events send to which.
func (m *Match) text() string {
	var who, what []string
	for _, l := range m.Lanes {
		if l.Lane != l.Node {
			who = append(who, l.Lane+"="+l.Node)
		}
	}
	received := map[int]Place{}
	for _, p := range slices.Backward(m.Parts) {
		if p.Does == "receives" {
			received[*p.Message] = p.Place
		}
	}
	told := map[int]bool{}
	for _, p := range m.Parts {
		switch {
		case p.Does == "sends" && received[*p.Message] != Place{}:
			what = append(what, p.Place.String()+" → "+received[*p.Message].String())
			told[*p.Message] = true
		case p.Does == "sends":
			what = append(what, p.Place.String()+" ╳")
		case p.Does == "receives" && told[*p.Message]:
			told[*p.Message] = false // again is another time
		default:
			what = append(what, p.Place.String())
		}
	}
	line := fmt.Sprintf("%s  %s", m.Parts[0].Time, strings.Join(what, ", "))
	if who != nil {
		line += "  " + strings.Join(who, " ")
	}
	return termtext.Printable(line)
}

func runMotif(ctx context.Context, s *Session, args string) error {
	pattern, span := args, ""
	if i := lastWord(args, "over"); i >= 0 {
		pattern, span = strings.TrimSpace(args[:i]), strings.TrimSpace(args[i+len("over"):])
	}
	if pattern == "" {
		return commandErrorf("motif", "want a pattern, like: motif a -> b, no b -> a; help motif shows more")
	}
	m, err := parseMotif(pattern)
	if err != nil {
		return commandErrorf("motif", "%v", err)
	}
	from, to, err := s.between(ctx, "motif", span)
	if err != nil {
		return err
	}
	r, err := motif.Find(ctx, s.src, m, motif.Options{From: from, To: to, Limit: matchesMax})
	if err != nil {
		return fmt.Errorf("motif: %w", err)
	}
	s.say(s.told(m, r))
	s.hits = nil
	for i := range r.Matches {
		s.hits = append(s.hits, r.Matches[i].Parts[0].Position)
	}
	s.hits = slices.Compact(s.hits)
	if len(s.hits) == 0 {
		return nil
	}
	if i, here := slices.BinarySearchFunc(s.hits, s.at, history.Position.Compare); here || i < len(s.hits) {
		s.at = s.hits[i]
		return s.showPlace(ctx)
	}
	s.remark("none begins here or later: prev goes to the last")
	return nil
}

// parseMotif reads a pattern in writing, or drawn, as JSON.
func parseMotif(pattern string) (*motif.Motif, error) {
	if strings.HasPrefix(pattern, drawingMark) {
		return motif.ParseDrawing(pattern)
	}
	m, err := motif.Parse(pattern)
	var mistake *motif.SyntaxError
	if errors.As(err, &mistake) {
		at := strings.Repeat(" ", termtext.Columns(pattern[:mistake.Offset]))
		return nil, fmt.Errorf("%s\n  %s\n  %s^", mistake.Msg, pattern, at)
	}
	return m, err
}

// told is a search's result as a part.
func (s *Session) told(m *motif.Motif, r *motif.Result) *Motif {
	out := &Motif{Pattern: m.String(), Found: r.Found, GivenUp: r.GivenUp, Matches: []Match{}}
	if r.Until != (history.Position{}) {
		until := s.place(r.Until)
		out.Until = &until
	}
	names := m.Lanes()
	for i := range r.Matches {
		f := &r.Matches[i]
		match := Match{}
		for l, n := range f.Nodes {
			match.Lanes = append(match.Lanes, MatchLane{names[l], s.meta.Nodes[n].Name})
		}
		for _, p := range f.Parts {
			part := MatchPart{Place: s.place(p.Position), Does: p.Does}
			if p.Lane >= 0 {
				part.Lane = names[p.Lane]
			}
			if p.Message >= 0 {
				part.Message = &p.Message
			}
			match.Parts = append(match.Parts, part)
		}
		out.Matches = append(out.Matches, match)
	}
	return out
}

// nextHit goes to where the next match of the last motif begins, or the last one
// before here.
func (s *Session) nextHit(ctx context.Context, command string, forward bool) error {
	if len(s.hits) == 0 {
		return commandErrorf(command, "want a node: %s; or search for a motif first, and it goes through its matches", s.nodeList())
	}
	i, here := slices.BinarySearchFunc(s.hits, s.at, history.Position.Compare)
	switch {
	case !forward:
		i--
	case here:
		i++
	}
	if i < 0 || i >= len(s.hits) {
		s.remark("there is no %s match", map[bool]string{true: "later", false: "earlier"}[forward])
	} else {
		s.at = s.hits[i]
	}
	return s.showPlace(ctx)
}
