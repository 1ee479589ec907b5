package rql

import (
	"strconv"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/rql/plan"
)

// A Lattice is the answer to POSSIBLY or DEFINITELY.
type Lattice struct {
	Holds bool
	// Cut is, if Holds, by node the sequence number of the last event in a cut that
	// satisfies the condition: of POSSIBLY the first, of DEFINITELY the first of the
	// walk.
	Cut []Field
	// Later says of POSSIBLY that the search for the first cut hit its bound: there
	// may be one before.
	Later bool
	// Walk says, of DEFINITELY that doesn't hold, that the walk itself is a path
	// without such a cut; else Path is one, if it was found within the bounds: who
	// goes on up to which event, in order.
	Walk bool
	Path []EventRef
}

// pathMax bounds a path that is shown.
const pathMax = 1000

// appendLattice appends the row of a modality as JSON.
func (r *Row) appendLattice(b []byte) []byte {
	l := r.Lattice
	b = append(b, `{"holds":`...)
	b = strconv.AppendBool(b, l.Holds)
	if l.Holds {
		b = append(b, `,"cut":`...)
		b = appendObject(b, l.Cut)
		if l.Later {
			b = append(b, `,"first":false`...)
		}
		if r.Each != nil {
			b = append(b, `,"each":`...)
			b = appendObject(b, []Field{*r.Each})
		}
		b = r.appendValues(b)
	}
	switch {
	case l.Walk:
		b = append(b, `,"path":"walk"`...)
	case len(l.Path) > 0:
		b = append(b, `,"path":[`...)
		for i, ev := range l.Path {
			if i > 0 {
				b = append(b, ',')
			}
			b = ev.appendJSON(b)
		}
		b = append(b, ']')
	}
	if r.Incomplete {
		b = append(b, `,"incomplete":true`...)
	}
	return append(b, '}')
}

// latticeFields is the row of a modality for a table.
func (r *Row) latticeFields() []Field {
	l := r.Lattice
	fs := []Field{{"holds", event.Bool(l.Holds)}}
	if r.Each != nil {
		fs = append(fs, Field{r.Each.Name, orNull(r.Each.Value)})
	}
	if l.Holds {
		var cut []string
		for _, f := range l.Cut {
			if event.Equal(f.Value, event.Uint(0)) {
				continue // nothing of it
			}
			cut = append(cut, f.Name+":"+string(f.Value.AppendJSON(nil)))
		}
		fs = append(fs, Field{"cut", event.String(strings.Join(cut, " "))})
		for i := range r.Values {
			fs = append(fs, Field{r.Values[i].Name, r.Values[i].Map()})
		}
		fs = append(fs, Field{"witness", event.String(r.witnessText())}, Field{"first", event.Bool(!l.Later)})
	}
	if l.Walk {
		fs = append(fs, Field{"path", event.String("the walk")})
	} else if len(l.Path) > 0 {
		var path []string
		for _, ev := range l.Path {
			path = append(path, ev.Node+":"+strconv.FormatUint(ev.Seq, 10))
		}
		fs = append(fs, Field{"path", event.String(strings.Join(path, " "))})
	}
	if r.Incomplete {
		fs = append(fs, Field{"incomplete", event.Bool(true)})
	}
	return fs
}

// latticeColumns are the columns that every row of a modality may have.
func latticeColumns(q *plan.Query) []string {
	cols := []string{"holds", "cut"}
	if f := q.ForEach; f != nil {
		cols = []string{"holds", f.Name, "cut"}
	}
	for _, it := range q.Items {
		if !it.Star {
			cols = append(cols, it.Name)
		}
	}
	if q.Modal.Definitely {
		return append(cols, "witness", "path")
	}
	return append(cols, "witness", "first")
}

// witnessText is the witness for a table.
func (r *Row) witnessText() string {
	var ws []string
	for _, w := range r.Witness {
		ws = append(ws, "$"+strconv.Itoa(w.Holder)+"="+w.Node)
	}
	return strings.Join(ws, " ")
}
