package rql

import (
	"slices"
	"strconv"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// A Row is one answer of a query. Of a cut query it is a run of cuts (or one
// cut) with what the query shows of it; SHOW and EXPLAIN fill Columns alone.
type Row struct {
	Edge       string        // of a Stream that gives both edges: EdgeEnter or EdgeLeave
	From       hlc.Timestamp // of the event that made the first cut
	To         hlc.Timestamp // of the next cut after the run; if Open there is none
	Open       bool
	Cuts       uint64
	Each       *Field // the member of FOR EACH
	Values     []Cell
	Witness    []Witness // the smallest satisfying choice, by placeholder
	Event      EventRef  // that made the first cut; zero if that is a tick
	Incomplete bool      // a node whose recording is missing there, or where the row looks back, could make a difference

	// Group is, of a row of GROUP BY, the keys. Such a row has but these, Values and
	// Incomplete.
	Group []Cell

	Columns []Field  // of SHOW and EXPLAIN
	Joined  *Joined  // of event queries, which fill this and Values
	Lattice *Lattice // of POSSIBLY and DEFINITELY; with Values, Witness and Incomplete
}

// What Row.Edge says: the first cut at which the condition held, or the first at
// which it didn't any more.
const (
	EdgeEnter = "enter"
	EdgeLeave = "leave"
)

// A Field is a named value. Absent is shown as null.
type Field struct {
	Name  string
	Value event.Value
}

// A Cell is what a row shows of one item of SELECT: a value for each of Nodes if
// PerNode, else Value.
type Cell struct {
	Name    string
	PerNode bool
	Nodes   []Field // Name is the node's; in its order
	Value   event.Value
}

// Map is the cell as one value: a map by node if PerNode.
func (c *Cell) Map() event.Value {
	if !c.PerNode {
		return orNull(c.Value)
	}
	var m *event.Map
	for _, f := range c.Nodes {
		m = m.With(event.String(f.Name), orNull(f.Value))
	}
	return event.MapOf(m)
}

func orNull(v event.Value) event.Value {
	if v.IsAbsent() {
		return event.Null()
	}
	return v
}

// A Witness is the node that stands for a placeholder.
type Witness struct {
	Holder int // n of $n
	Node   string
}

// An EventRef names an event.
type EventRef struct {
	Node string
	Seq  uint64
}

// AppendJSON appends the row as JSON, its keys in the order of the language's
// page.
func (r *Row) AppendJSON(b []byte) []byte {
	if r.Columns != nil {
		return appendObject(b, r.Columns)
	}
	if r.Group != nil {
		return r.appendGroup(b)
	}
	if r.Joined != nil {
		return r.Joined.appendJSON(b, r)
	}
	if r.Lattice != nil {
		return r.appendLattice(b)
	}
	b = append(b, '{')
	if r.Edge != "" {
		b = append(b, `"edge":"`...)
		b = append(b, r.Edge...)
		b = append(b, `",`...)
	}
	b = append(b, `"from":`...)
	b = appendTime(b, r.From)
	b = append(b, `,"to":`...)
	if r.Open {
		b = append(b, "null"...)
	} else {
		b = appendTime(b, r.To)
	}
	b = append(b, `,"cuts":`...)
	b = strconv.AppendUint(b, r.Cuts, 10)
	if r.Each != nil {
		b = append(b, `,"each":`...)
		b = appendObject(b, []Field{*r.Each})
	}
	b = r.appendValues(b)
	b = append(b, `,"event":`...)
	b = r.Event.appendJSON(b)
	if r.Incomplete {
		b = append(b, `,"incomplete":true`...)
	}
	return append(b, '}')
}

func (r *Row) appendGroup(b []byte) []byte {
	b = appendCells(append(b, `{"group":`...), r.Group)
	b = appendCells(append(b, `,"values":`...), r.Values)
	if r.Incomplete {
		b = append(b, `,"incomplete":true`...)
	}
	return append(b, '}')
}

func appendCells(b []byte, cells []Cell) []byte {
	b = append(b, '{')
	for i := range cells {
		if i > 0 {
			b = append(b, ',')
		}
		b = cells[i].appendJSON(b)
	}
	return append(b, '}')
}

// IsTick reports whether there is no event: time alone made the cut.
func (e EventRef) IsTick() bool { return e.Seq == 0 }

func (e EventRef) appendJSON(b []byte) []byte {
	if e.IsTick() {
		return append(b, "null"...)
	}
	b = append(b, `{"node":`...)
	b = event.String(e.Node).AppendJSON(b)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, e.Seq, 10)
	return append(b, '}')
}

// value is the event for a table.
func (e EventRef) value() event.Value {
	if e.IsTick() {
		return event.Null()
	}
	return event.String(e.Node + ":" + strconv.FormatUint(e.Seq, 10))
}

// MarshalJSON is AppendJSON.
func (r *Row) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

// appendValues appends what is selected, and the witness if there is one.
func (r *Row) appendValues(b []byte) []byte {
	b = append(b, `,"values":`...)
	b = appendCells(b, r.Values)
	if len(r.Witness) > 0 {
		b = r.appendWitness(b)
	}
	return b
}

func (r *Row) appendWitness(b []byte) []byte {
	b = append(b, `,"witness":`...)
	var fs []Field
	for _, w := range r.Witness {
		fs = append(fs, Field{"$" + strconv.Itoa(w.Holder), event.String(w.Node)})
	}
	return appendObject(b, fs)
}

func appendTime(b []byte, t hlc.Timestamp) []byte {
	b = append(b, '"')
	b = t.Append(b)
	return append(b, '"')
}

func (c *Cell) appendJSON(b []byte) []byte {
	b = event.String(c.Name).AppendJSON(b)
	b = append(b, ':')
	if c.PerNode {
		return appendObject(b, c.Nodes)
	}
	return orNull(c.Value).AppendJSON(b)
}

// appendObject appends fields in their order.
func appendObject(b []byte, fs []Field) []byte {
	b = append(b, '{')
	for i, f := range fs {
		if i > 0 {
			b = append(b, ',')
		}
		b = event.String(f.Name).AppendJSON(b)
		b = append(b, ':')
		b = orNull(f.Value).AppendJSON(b)
	}
	return append(b, '}')
}

// Fields is the row for a table: from, to, cuts, the name of FOR EACH, the items,
// witness, event, and incomplete where it is. Every row of a query has the same
// columns but for those of SELECT * and incomplete.
func (r *Row) Fields() []Field {
	if r.Columns != nil {
		return r.Columns
	}
	if r.Joined != nil {
		return r.Joined.fields(r)
	}
	if r.Lattice != nil {
		return r.latticeFields()
	}
	to := event.Null()
	if !r.Open {
		to = event.Time(r.To)
	}
	if r.Group != nil {
		return r.groupFields()
	}
	fs := []Field{{"from", event.Time(r.From)}, {"to", to}, {"cuts", event.Uint(r.Cuts)}}
	if r.Edge != "" {
		fs = slices.Insert(fs, 0, Field{"edge", event.String(r.Edge)})
	}
	if r.Each != nil {
		fs = append(fs, Field{r.Each.Name, orNull(r.Each.Value)})
	}
	for i := range r.Values {
		fs = append(fs, Field{r.Values[i].Name, r.Values[i].Map()})
	}
	fs = append(fs, Field{"witness", event.String(r.witnessText())},
		Field{"event", r.Event.value()})
	if r.Incomplete {
		fs = append(fs, Field{"incomplete", event.Bool(true)})
	}
	return fs
}

// groupFields is a row of GROUP BY for a table. An item that is a key is there once.
func (r *Row) groupFields() (fs []Field) {
	for _, cells := range [][]Cell{r.Group, r.Values} {
		for i := range cells {
			c := &cells[i]
			if !slices.ContainsFunc(fs, func(f Field) bool { return f.Name == c.Name }) {
				fs = append(fs, Field{c.Name, c.Map()})
			}
		}
	}
	if r.Incomplete {
		fs = append(fs, Field{"incomplete", event.Bool(true)})
	}
	return fs
}
