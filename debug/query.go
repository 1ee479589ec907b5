package debug

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
	"hindcast.dev/termtext"
)

// Bounds on what a query of a session shows; hindcast query shows all.
const (
	rowsMax   = 200
	pointsMax = 100_000
)

// errEnough ends a query of which enough is known.
var errEnough = errors.New("enough")

// A Row is one of a query.
type Row struct{ *rql.Row }

func (*Row) kind() string { return "row" }

// MarshalJSON is the row as the language's page describes it.
func (r *Row) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

func (r *Row) writeText(t *textForm) {
	var parts []string
	for _, f := range r.Fields() {
		if !f.Value.IsAbsent() && f.Value.Type() != event.TypeNull {
			parts = append(parts, termtext.Printable(f.Name)+"="+inLine(f.Value))
		}
	}
	t.line("%s", strings.Join(parts, "  "))
}

func runQuery(ctx context.Context, s *Session, args string) error {
	q, err := s.compile(ctx, "query", args, "", "")
	if err != nil {
		return err
	}
	s.asked = &asked{statement: args}
	shown := 0
	sum, err := q.Run(ctx, s.src, rql.Options{Now: s.meta.Last.Time}, func(r *rql.Row) error {
		if shown == rowsMax {
			return errEnough
		}
		shown++
		row := &Row{r}
		s.asked.rows = append(s.asked.rows, row)
		s.say(row)
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		s.asked.more = true
		s.remark("… and more: hindcast query shows all rows, LIMIT bounds them")
	case err != nil:
		return fmt.Errorf("query: %w", err)
	case shown == 0:
		s.remark("no rows")
	}
	for _, f := range sum.Errors {
		s.remark("note: %s, %d times, first at %s:%d", f.What(), f.Count, termtext.Name(f.Node), f.Seq)
	}
	return nil
}

// compile compiles a statement, of which text was typed and the rest put around
// it, and sees to it that what is in the variables that it names is there.
func (s *Session) compile(ctx context.Context, command, text, head, tail string) (*rql.Query, error) {
	if text == "" {
		return nil, commandErrorf(command, "want a statement, like: query SHOW VARIABLES")
	}
	statement := head + text + tail
	q, err := rql.Compile(s.meta, statement)
	var mistake *syntax.Error
	if errors.As(err, &mistake) {
		own := *mistake // its place in what was typed
		own.Pos.Offset = min(max(own.Pos.Offset-len(head), 0), len(text))
		if own.Pos.Line == 1 {
			own.Pos.Col = min(max(own.Pos.Col-utf8.RuneCountInString(head), 1), utf8.RuneCountInString(text)+1)
		}
		return nil, commandErrorf(command, "%s", strings.TrimRight(own.Render(text), "\n"))
	}
	if err != nil {
		return nil, err
	}
	meta := s.meta
	if err := s.fill(ctx, command, q.Variables()); err != nil || s.meta == meta {
		return q, err
	}
	return rql.Compile(s.meta, statement)
}

// A Track is what an expression was from cut to cut: of each node that has it, or
// of the whole system, under "". It has a point wherever that changed.
type Track struct {
	Expression string  `json:"expression"`
	Points     []Point `json:"points"` // in the order of the walk
	Partial    bool    `json:"partial,omitempty"`
}

// A Point is what an expression becomes with an event. Absent is null.
type Point struct {
	Node  string        `json:"node,omitempty"` // whose value it is
	At    hlc.Timestamp `json:"at"`
	Event string        `json:"event,omitempty"` // NODE:SEQ; "" at a tick
	Value event.Value   `json:"value"`
}

func (*Track) kind() string { return "track" }

// trackLines bounds the points that text shows.
const trackLines = 60

func (k *Track) writeText(t *textForm) {
	for i, p := range k.Points {
		if i == trackLines {
			t.line("… and %d more changes", len(k.Points)-i)
			break
		}
		node := ""
		if p.Node != "" {
			node = termtext.Pad(termtext.Name(p.Node), 12) + " "
		}
		t.line("%s  %s%s  %s", p.At, node, termtext.Pad(inLine(p.Value), 12), termtext.Printable(p.Event))
	}
	if k.Partial {
		t.line("… and more: print it over a shorter time")
	}
}

// runPrint asks for an expression at every cut and keeps where it changes.
func runPrint(ctx context.Context, s *Session, args string) error {
	expression, span := args, ""
	if i := lastWord(args, "over"); i >= 0 {
		expression, span = strings.TrimSpace(args[:i]), strings.TrimSpace(args[i+len("over"):])
	}
	if expression == "" {
		return commandErrorf("print", "want an expression, like: print MAX(kv.count) over 10:00:01 to 10:00:02")
	}
	a, b, err := s.between(ctx, "print", span)
	if err != nil {
		return err
	}
	from, to := max(a.Time, s.meta.First.Time), min(b.Time, s.meta.Last.Time)
	q, err := s.compile(ctx, "print", expression, "SELECT ",
		fmt.Sprintf(" AS value FROM %s ON TIME %d TO %d EMIT CUTS", s.fromLogs(), from, to))
	if err != nil {
		return err
	}
	k := &Track{Expression: expression}
	last := map[string]event.Value{}
	_, err = q.Run(ctx, s.src, rql.Options{Now: s.meta.Last.Time}, func(r *rql.Row) error { return k.add(r, last) })
	if errors.Is(err, errEnough) {
		k.Partial, err = true, nil
	}
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	s.say(k)
	if len(k.Points) == 0 {
		s.remark("it has no value at any cut there")
	}
	return nil
}

// add adds what a row changes.
func (k *Track) add(r *rql.Row, last map[string]event.Value) error {
	for _, cell := range r.Values {
		if !cell.PerNode {
			k.point(r, "", cell.Value, last)
			continue
		}
		for _, f := range cell.Nodes {
			k.point(r, f.Name, f.Value, last)
		}
	}
	if len(k.Points) > pointsMax {
		return errEnough
	}
	return nil
}

func (k *Track) point(r *rql.Row, node string, v event.Value, last map[string]event.Value) {
	if event.Equal(last[node], v) {
		return
	}
	last[node] = v
	p := Point{Node: node, At: r.From, Value: v}
	if !r.Event.IsTick() {
		p.Event = fmt.Sprintf("%s:%d", r.Event.Node, r.Event.Seq)
	}
	k.Points = append(k.Points, p)
}

// lastWord is where a word stands last in a text, between spaces; -1 is nowhere.
func lastWord(text, word string) int {
	i := strings.LastIndex(strings.ToLower(" "+text+" "), " "+word+" ")
	return i
}

// between reads FROM to TO, both places, as positions in [from, to); "" is the
// whole History.
func (s *Session) between(ctx context.Context, command, span string) (from, to history.Position, err error) {
	if span == "" {
		return history.Begin, history.End, nil
	}
	i := lastWord(span, "to")
	if i < 0 {
		return from, to, commandErrorf(command, "%q: after over come two places, like: over 10:00:01 to n2:17", span)
	}
	a, err := s.parsePlace(ctx, strings.TrimSpace(span[:i]))
	if err != nil {
		return from, to, commandErrorf(command, "%v", err)
	}
	b, err := s.parsePlace(ctx, strings.TrimSpace(span[i+len("to"):]))
	if err != nil {
		return from, to, commandErrorf(command, "%v", err)
	}
	if b.Compare(a) < 0 {
		a, b = b, a
	}
	return a, b.After(), nil
}

// logs are those of the History.
func (s *Session) logs() []string {
	var logs []string
	seen := map[string]bool{}
	for i := range s.meta.Vars {
		log, _, _ := strings.Cut(s.meta.Vars[i].Name, ".")
		if !seen[log] {
			seen[log] = true
			logs = append(logs, log)
		}
	}
	return logs
}
