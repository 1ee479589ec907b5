package rql

import (
	"context"
	"fmt"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// DefaultMaxCombinations is how many choices of nodes and members are tried at
// one cut, unless Options says otherwise.
const DefaultMaxCombinations = 1_000_000

// Options of a run. The zero value is ready for use.
type Options struct {
	// MaxCombinations bounds the choices tried at one cut; 0 is
	// DefaultMaxCombinations. A run that needs more ends with a *CombinationsError.
	MaxCombinations int
	// MaxEvents bounds the events, messages and groups that an event query keeps; 0
	// is DefaultMaxEvents. It is passed by up to its double, where a run that needs
	// more ends with an *EventsError.
	MaxEvents int
	// Now is what NOW means in the query.
	Now hlc.Timestamp
	// Partial is given, where a bound or the context ends a run early, the rows that
	// wait: those that haven't ended yet are Open and Incomplete. It may be nil. Groups
	// of GROUP BY aren't given in part.
	Partial func(*Row) error
}

func (o *Options) maxCombinations() int {
	if o.MaxCombinations == 0 {
		return DefaultMaxCombinations
	}
	return o.MaxCombinations
}

// A Summary tells what a run did. How long it took is for the caller to measure.
type Summary struct {
	Cuts       uint64 // cuts walked
	Rows       uint64
	Errors     []ErrorCount // by kind, in the order in which they first came
	Incomplete []string     // nodes whose recording is missing somewhere in the walk, or in what it looks back at
	Absent     []AbsentPath // paths of the query that no cut had, in the order of its text
	Unequal    []Unequal    // = and != that never compared values of one type
}

// A Query is a checked statement. It is immutable and may be run any number of
// times, also at once.
type Query struct {
	schema *plan.Schema
	vars   int // how many variables of schema are the History's
	tree   *syntax.Query
	cut    *plan.Query  // of a cut query, made from tree
	show   *syntax.Show // of SHOW
	events *plan.EventQuery
	nodes  []int // of SHOW … AT NODES
}

// Compile parses a statement and checks it against a History. Its error is a
// *syntax.Error, whose Render(text) shows the place.
func Compile(meta *history.Meta, text string) (*Query, error) {
	return CompileAt(meta, text, syntax.Pos{})
}

// CompileAt is Compile for a statement of a longer text, which begins at a place of
// that: lines and columns of mistakes are that text's.
func CompileAt(meta *history.Meta, text string, at syntax.Pos) (*Query, error) {
	st, err := syntax.ParseAt(text, at)
	if err != nil {
		return nil, err
	}
	q := &Query{schema: schemaOf(meta), vars: len(meta.Vars)}
	switch st := st.(type) {
	case *syntax.Show:
		q.show = st
		q.nodes, err = showNodes(q.schema, st)
	case *syntax.Query:
		q.tree = st
		q.cut, err = plan.Compile(q.schema, st)
	case *syntax.EventQuery:
		q.events, err = plan.CompileEvent(q.schema, st)
	}
	if err != nil {
		return nil, err
	}
	return q, nil
}

// Run asks a History, which must be the one that the query was compiled for, and
// gives every row to emit, whose error ends it. A row belongs to emit.
func (q *Query) Run(ctx context.Context, src history.Source, opt Options, emit func(*Row) error) (Summary, error) {
	if err := q.fits(src.Meta()); err != nil {
		return Summary{}, err
	}
	switch {
	case q.show != nil:
		return runShow(ctx, q, src, opt, emit)
	case q.events != nil && q.events.Explain:
		return explain(q.events.Explanation(), emit)
	case q.events != nil:
		return runEvents(ctx, q.events, src, opt, emit)
	case q.cut.Explain && q.cut.Modal != nil:
		return q.tellModal(ctx, src.Meta(), opt, emit)
	case q.cut.Explain:
		return explain(append(q.cut.Explanation(), keyLines(ctx, q.cut, src.Meta(), opt)...), emit)
	case q.cut.Modal != nil:
		return q.runModal(ctx, src, opt, emit)
	}
	return q.runner(ctx, src, opt, emit).run(ctx)
}

func (q *Query) runner(ctx context.Context, src history.Source, opt Options, emit func(*Row) error) *runner {
	return &runner{q: q.cut, src: src, meta: src.Meta(), gaps: recordedGaps(ctx, q.cut, src), opt: opt, emit: emit}
}

// fits fails unless ids mean the same in both Histories.
func (q *Query) fits(meta *history.Meta) error {
	s := schemaOf(meta)
	same := len(s.Nodes) == len(q.schema.Nodes) && len(s.Vars) >= len(q.schema.Vars)
	for i := 0; same && i < len(s.Nodes); i++ {
		same = s.Nodes[i] == q.schema.Nodes[i]
	}
	for i := 0; same && i < len(q.schema.Vars); i++ {
		same = s.Vars[i] == q.schema.Vars[i]
	}
	if !same {
		return fmt.Errorf("the query was compiled for another History: compile it for this one")
	}
	return nil
}

// Columns are the names of what a row shows, for the head of a table; SELECT *
// adds to them row by row.
func (q *Query) Columns() []string {
	if q.show != nil {
		return showColumns[q.show.What]
	}
	if q.events != nil && !q.events.Explain {
		return eventColumns(q.events)
	}
	if q.events != nil || q.cut.Explain {
		return []string{"plan"}
	}
	if q.cut.Group != nil {
		return q.groupColumns()
	}
	if q.cut.Modal != nil {
		return latticeColumns(q.cut)
	}
	cols := []string{"from", "to", "cuts"}
	if f := q.cut.ForEach; f != nil {
		cols = append(cols, f.Name)
	}
	for _, it := range q.cut.Items {
		if !it.Star {
			cols = append(cols, it.Name)
		}
	}
	return append(cols, "witness", "event")
}

func (q *Query) groupColumns() (cols []string) {
	for _, k := range q.cut.Group.Keys {
		cols = append(cols, k.Name)
	}
	for _, it := range q.cut.Items {
		if !slices.Contains(cols, it.Name) {
			cols = append(cols, it.Name)
		}
	}
	return cols
}

// OfEvents reports whether this is an event query, whose rows are Joined.
func (q *Query) OfEvents() bool { return q.events != nil && !q.events.Explain }

// Variables are those of the History that the statement names, sorted; what * stands for isn't
// named. A statement that reads none (SHOW, EXPLAIN) has none.
func (q *Query) Variables() []history.VarID {
	if q.cut == nil || q.cut.Explain {
		return nil
	}
	return named(q.cut, q.vars)
}

// Shown are the logs of which * shows all variables, sorted.
func (q *Query) Shown() []string {
	var logs []string
	if q.cut == nil || q.cut.Explain {
		return nil
	}
	for _, it := range q.cut.Items {
		if it.Star {
			logs = append(logs, it.Logs...)
		}
	}
	slices.Sort(logs)
	return slices.Compact(logs)
}

// named are the variables of a History of so many into which paths may lead.
func named(q *plan.Query, vars int) []history.VarID {
	var out []history.VarID
	for _, r := range q.Refs {
		for _, c := range r.Vars {
			if c.Var < vars {
				out = append(out, history.VarID(c.Var))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// rowOf is the row of the current cut, whose end isn't known yet.
func (e *engine) rowOf(in *instance, witness bool) *entry {
	r := &Row{From: e.w.now, Open: true, Cuts: 1}
	if ev := e.w.event; ev != nil {
		r.Event = EventRef{e.w.names[ev.Node], ev.Seq}
	}
	if f := e.q.ForEach; f != nil {
		v, _ := in.member.shown()
		r.Each = &Field{f.Name, v}
	}
	if witness {
		c := e.witness(in)
		e.choose(c)
		r.Witness = e.witnesses(c)
	}
	e.enter(in)
	e.opaque = !witness
	o := &entry{row: r, inst: in}
	if e.q.Group != nil {
		o.grouped = e.groupedRow()
	} else {
		e.showItems(o)
	}
	e.opaque = false
	return o
}

// showItems evaluates the items; what they need the end of the row for waits.
func (e *engine) showItems(o *entry) {
	r := o.row
	for i := range e.q.Items {
		it := &e.q.Items[i]
		if it.Late == nil {
			r.Values = e.item(r.Values, it)
			continue
		}
		v := e.lateOf(it.Late)
		v.cell = len(r.Values)
		o.late = append(o.late, v)
		r.Values = append(r.Values, Cell{Name: it.Name, PerNode: it.Late.Slot >= 0})
	}
}

// witnesses names the nodes of a choice, placeholder by placeholder.
func (e *engine) witnesses(c choice) []Witness {
	var out []Witness
	for i, h := range e.q.Holders {
		if e.q.Slots[h.Slot].Kind == plan.SlotChosen && c[h.Slot] != none {
			out = append(out, Witness{i + 1, e.w.names[c[h.Slot]]})
		}
	}
	return out
}

// item appends what one item of SELECT shows.
func (e *engine) item(out []Cell, it *plan.Item) []Cell {
	if it.Star {
		return e.star(out, it)
	}
	c := Cell{Name: it.Name}
	if hasCell(out, c.Name) {
		return out
	}
	if it.Slot < 0 {
		c.Value = e.show(it.X)
		return append(out, c)
	}
	c.PerNode = true
	for _, n := range e.w.nodes {
		if !e.candidate(it.Slot, n) {
			continue
		}
		e.slots[it.Slot] = n
		v := e.show(it.X)
		if it.Ref == nil || !v.IsAbsent() {
			c.Nodes = append(c.Nodes, Field{e.w.names[n], v})
		}
	}
	return append(out, c)
}

// show is an expression's value as a row shows it.
func (e *engine) show(x plan.Expr) event.Value {
	v, ok := e.eval(x).shown()
	if !ok {
		e.fault(FaultRange, x.Position())
	}
	return v
}
