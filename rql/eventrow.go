package rql

import (
	"slices"
	"strconv"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
)

// Joined is what a row of an event query has beside its Values: the events that
// were joined, none if it is of a sub-query's group. A row of a group of them has
// Group instead.
type Joined struct {
	At     hlc.Timestamp // of the event that happened last; means nothing without Events
	Events []JoinedEvent // as written: FROM, then the JOINs
}

// A JoinedEvent names one of the events of a row.
type JoinedEvent struct {
	Name string // in the query
	EventRef
	// Effect is which effect of that event it is, from 1; 0: it is the event itself.
	Effect int
}

// row is the row of the events that are bound.
func (l *eventLevel) row() *Row {
	j := &Joined{At: l.bound[0].at.Time}
	r := &Row{Joined: j, Values: l.cells()}
	for _, i := range l.q.Written {
		p := l.bound[i]
		if p.ord == 0 {
			continue // groups of a sub-query
		}
		j.Events = append(j.Events, JoinedEvent{l.q.Inputs[i].Name, EventRef{l.run.w.names[p.at.Node], p.at.Seq}, p.effect})
	}
	upto := j.At
	if l.late {
		upto = l.run.until
	}
	r.Incomplete = l.unsure && l.run.unknown(upto) != nil
	return r
}

// groupRow is the row of the group that the environment tells of.
func (l *eventLevel) groupRow() *Row {
	keys := []Cell{}
	for i := range l.q.Keys {
		k := &l.q.Keys[i]
		v, ok := l.env.locals[k.Local].shown()
		if !ok {
			l.env.fault(FaultRange, k.X.Position())
		}
		keys = append(keys, Cell{Name: k.Name, Value: v})
	}
	return &Row{Group: keys, Values: l.cells(), Incomplete: l.run.unknown(l.to) != nil}
}

func (l *eventLevel) cells() []Cell {
	var out []Cell
	for i := range l.q.Items {
		it := &l.q.Items[i]
		if it.Star == nil {
			out = append(out, Cell{Name: it.Name, Value: l.shown(it.X)})
			continue
		}
		for _, s := range it.Star {
			if !hasCell(out, s.Name) {
				out = append(out, Cell{Name: s.Name, Value: l.shown(s.X)})
			}
		}
	}
	return out
}

// eventColumns are the columns of an event query's table.
func eventColumns(q *plan.EventQuery) []string {
	var cols []string
	add := func(name string) {
		if !q.Grouped || !slices.Contains(cols, name) {
			cols = append(cols, name)
		}
	}
	if !q.Grouped {
		cols = append(cols, "at")
	}
	for _, k := range q.Keys {
		add(k.Name)
	}
	for _, it := range q.Items {
		if it.Star == nil {
			add(it.Name)
		}
		for _, s := range it.Star {
			if !slices.Contains(cols, s.Name) {
				add(s.Name)
			}
		}
	}
	if !q.Grouped {
		cols = append(cols, "events")
	}
	return cols
}

// appendJSON appends a row of an event query.
func (j *Joined) appendJSON(b []byte, r *Row) []byte {
	b = append(b, `{"at":`...)
	if len(j.Events) > 0 {
		b = appendTime(b, j.At)
	} else {
		b = append(b, "null"...)
	}
	b = appendCells(append(b, `,"values":`...), r.Values)
	b = append(b, `,"events":{`...)
	for i := range j.Events {
		if i > 0 {
			b = append(b, ',')
		}
		b = j.Events[i].appendJSON(b)
	}
	b = append(b, '}')
	if r.Incomplete {
		b = append(b, `,"incomplete":true`...)
	}
	return append(b, '}')
}

func (e *JoinedEvent) appendJSON(b []byte) []byte {
	b = append(event.String(e.Name).AppendJSON(b), `:{"node":`...)
	b = append(event.String(e.Node).AppendJSON(b), `,"seq":`...)
	b = strconv.AppendUint(b, e.Seq, 10)
	if e.Effect > 0 {
		b = strconv.AppendInt(append(b, `,"effect":`...), int64(e.Effect), 10)
	}
	return append(b, '}')
}

// fields are the row for a table.
func (j *Joined) fields(r *Row) []Field {
	fs := []Field{{"at", event.Null()}}
	if len(j.Events) > 0 {
		fs[0].Value = event.Time(j.At)
	}
	for i := range r.Values {
		fs = append(fs, Field{r.Values[i].Name, orNull(r.Values[i].Value)})
	}
	var refs []string
	for _, e := range j.Events {
		refs = append(refs, e.Name+"="+e.text())
	}
	fs = append(fs, Field{"events", event.String(strings.Join(refs, " "))})
	if r.Incomplete {
		fs = append(fs, Field{"incomplete", event.Bool(true)})
	}
	return fs
}

// text is node:seq, with the effect's number behind it.
func (e *JoinedEvent) text() string {
	s := e.Node + ":" + strconv.FormatUint(e.Seq, 10)
	if e.Effect > 0 {
		s += "/" + strconv.Itoa(e.Effect)
	}
	return s
}
