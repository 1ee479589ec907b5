package app

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
	"hindcast.dev/termtext"
)

// A rowWriter prints rows in one form.
type rowWriter interface {
	row(r *rql.Row) error
	// end is called once, after the last row.
	end(s *summary) error
}

func newRowWriter(w io.Writer, f *queryFlags, q *rql.Query, text string) rowWriter {
	switch f.output {
	case "json":
		return &jsonRows{w: w, lead: f.lead}
	case "jsonl":
		return &jsonLines{w: w}
	case "csv":
		return &csvRows{w: csv.NewWriter(w), columns: distinctNames(q.Columns()), star: hasStar(text), events: q.OfEvents()}
	}
	return &tableRows{w: safeFor(w), columns: distinctNames(q.Columns()), wide: f.wide}
}

// hasStar reports whether a query's columns are known only when its rows are.
func hasStar(text string) bool {
	st, err := syntax.Parse(text)
	if err != nil {
		return false
	}
	q, ok := st.(*syntax.Query)
	if !ok {
		return false
	}
	for _, it := range q.Items {
		if it.Star {
			return true
		}
	}
	return false
}

// distinctNames makes sure that no two columns have the same name: a query may
// call what it selects "event".
func distinctNames(names []string) []string {
	out := slices.Clone(names)
	for i := range out {
		for n := 2; slices.Contains(out[:i], out[i]); n++ {
			out[i] = fmt.Sprintf("%s_%d", names[i], n)
		}
	}
	return out
}

// distinct gives fields the names that distinctNames gives their columns.
func distinct(fs []rql.Field) []rql.Field {
	names := make([]string, len(fs))
	for i, f := range fs {
		names[i] = f.Name
	}
	out := slices.Clone(fs)
	for i, n := range distinctNames(names) {
		out[i].Name = n
	}
	return out
}

// jsonLines prints a row a line.
type jsonLines struct {
	w   io.Writer
	buf []byte
}

func (j *jsonLines) row(r *rql.Row) error {
	j.buf = append(escapeJSON(r.AppendJSON(j.buf[:0])), '\n')
	_, err := j.w.Write(j.buf)
	return err
}

func (j *jsonLines) end(*summary) error { return nil }

// jsonRows prints one object, {"rows": […], "summary": {…}}, row by row.
type jsonRows struct {
	w    io.Writer
	lead string // members before "rows"
	some bool
}

func (j *jsonRows) row(r *rql.Row) error {
	lead := ",\n"
	if !j.some {
		lead, j.some = "{"+j.lead+`"rows":[`+"\n", true
	}
	_, err := fmt.Fprintf(j.w, "%s%s", lead, escapeJSON(r.AppendJSON(nil)))
	return err
}

func (j *jsonRows) end(s *summary) error {
	lead := "\n],"
	if !j.some {
		lead = "{" + j.lead + `"rows":[],`
	}
	if _, err := io.WriteString(j.w, lead+"\n\"summary\":"); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := writeJSON(&b, s); err != nil {
		return err
	}
	_, err := fmt.Fprintf(j.w, "%s}\n", bytes.TrimRight(escapeJSON(b.Bytes()), "\n"))
	return err
}

// escapeJSON writes what a terminal might obey, and JSON allows in a string, as
// \u escapes: the same data for a program.
func escapeJSON(b []byte) []byte {
	unsafe := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	if bytes.IndexFunc(b, unsafe) < 0 {
		return b
	}
	var out []byte
	for _, r := range string(b) {
		switch {
		case !unsafe(r):
			out = append(out, string(r)...)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// csvRows prints a head and a record a row. Values that aren't simple are JSON,
// what there is none of is empty.
type csvRows struct {
	w       *csv.Writer
	columns []string
	events  bool // of an event query
	star    bool // columns come with the rows, which are kept until the end
	kept    []fieldsByName
	began   bool
}

type fieldsByName map[string]string

func (c *csvRows) row(r *rql.Row) error {
	fs := fieldsByName{}
	for _, f := range distinct(r.Fields()) {
		if c.star && !slices.Contains(c.columns, f.Name) {
			c.columns = insertColumn(c.columns, f.Name)
		}
		fs[f.Name] = csvText(f.Value)
	}
	if c.star {
		c.kept = append(c.kept, fs)
		return nil
	}
	return c.write(fs)
}

func (c *csvRows) write(fs fieldsByName) error {
	if !c.began {
		c.began = true
		if slices.Contains(c.columns, "cuts") || slices.Contains(c.columns, "holds") || c.events {
			c.columns = append(c.columns[:len(c.columns):len(c.columns)], "incomplete")
		}
		if err := c.w.Write(c.columns); err != nil {
			return err
		}
	}
	if fs == nil {
		return nil
	}
	record := make([]string, len(c.columns))
	for i, name := range c.columns {
		record[i] = fs[name]
	}
	err := c.w.Write(record)
	if !c.star {
		c.w.Flush()
	}
	return err
}

func (c *csvRows) end(*summary) error {
	for _, fs := range c.kept {
		if err := c.write(fs); err != nil {
			return err
		}
	}
	if err := c.write(nil); err != nil {
		return err
	}
	c.w.Flush()
	return c.w.Error()
}

// insertColumn puts a column that SELECT * brings before witness and event.
func insertColumn(columns []string, name string) []string {
	at := len(columns)
	for i, c := range columns {
		if c == "witness" {
			at = i
		}
	}
	return append(columns[:at:at], append([]string{name}, columns[at:]...)...)
}

func csvText(v event.Value) string {
	switch v.Type() {
	case event.TypeNull:
		return ""
	case event.TypeString, event.TypeTime:
		return plainText(v)
	}
	return string(escapeJSON(v.AppendJSON(nil)))
}

// plainText is a value without the quotes that only tell types apart.
func plainText(v event.Value) string {
	switch v.Type() {
	case event.TypeString:
		return v.AsString()
	case event.TypeTime:
		return v.AsTime().String()
	}
	return string(v.AppendJSON(nil))
}

// Bounds on a table. Its columns are as wide as the first rows want them.
const (
	tableRowsFirst = 200
	tableWait      = 500 * time.Millisecond // for these rows
	cellColumnsMax = 72
)

// tableRows prints aligned columns for people. Instead of the end of a run it
// shows how long it lasted.
type tableRows struct {
	w       io.Writer
	columns []string
	wide    bool
	live    bool       // rows come when they come: each is printed at once
	first   []tableRow // not printed yet
	since   time.Time  // when the first of them came
	widths  []int      // nil until the head is printed
}

// A tableRow is the cells of a row by column, and the order of the columns.
type tableRow struct {
	names []string
	cells map[string]string
}

func (t *tableRows) row(r *rql.Row) error {
	row := t.cells(r)
	if t.widths != nil {
		return t.later(row)
	}
	if len(t.first) == 0 {
		t.since = time.Now()
	}
	t.first = append(t.first, row)
	if !t.live && len(t.first) < tableRowsFirst && time.Since(t.since) < tableWait {
		return nil
	}
	return t.head()
}

func (t *tableRows) end(*summary) error {
	if t.widths == nil && len(t.first) > 0 {
		return t.head()
	}
	return nil
}

func (t *tableRows) cells(r *rql.Row) tableRow {
	row := tableRow{cells: map[string]string{}}
	add := func(name, text string) {
		row.names = append(row.names, name)
		row.cells[name] = t.clip(termtext.Printable(text), r.Columns != nil)
	}
	perNode := map[string]*rql.Cell{}
	for _, cells := range [][]rql.Cell{r.Group, r.Values} {
		for i := range cells {
			if c := &cells[i]; c.PerNode {
				perNode[c.Name] = c
			}
		}
	}
	for _, f := range distinct(r.Fields()) {
		switch c := perNode[f.Name]; {
		case f.Name == "to" && r.Columns == nil && r.Joined == nil:
			add("lasted", lasted(r))
		case c != nil:
			add(f.Name, nodesText(c, r.From))
		default:
			add(f.Name, cellText(f.Value))
		}
	}
	return row
}

// cellText is a value for people: {a, b} is a set, [a, b] a list.
func cellText(v event.Value) string {
	open, end := "[", "]"
	switch v.Type() {
	case event.TypeNull:
		return "—"
	case event.TypeSet:
		open, end = "{", "}"
	case event.TypeList:
	default:
		return plainText(v)
	}
	parts := make([]string, v.Len())
	for i, m := range v.Members() {
		parts[i] = cellText(m)
	}
	return open + strings.Join(parts, ", ") + end
}

// clip shortens a cell. What SHOW and EXPLAIN say is not.
func (t *tableRows) clip(s string, whole bool) string {
	if t.wide || whole {
		return s
	}
	return termtext.Clip(s, cellColumnsMax)
}

// lasted is how long a run of cuts was.
func lasted(r *rql.Row) string {
	if r.Open {
		return "to the end"
	}
	return r.To.Sub(r.From).Round(time.Microsecond).String()
}

// nodesText shows a value per node. A time of the row's own day is shown without
// the date.
func nodesText(c *rql.Cell, from hlc.Timestamp) string {
	if len(c.Nodes) == 0 {
		return "—"
	}
	const date = len("2006-01-02T")
	parts := make([]string, len(c.Nodes))
	for i, f := range c.Nodes {
		text := cellText(f.Value)
		if day := from.String()[:date]; f.Value.Type() == event.TypeTime && strings.HasPrefix(text, day) {
			text = strings.Replace(text[date:], "Z", "", 1)
		}
		parts[i] = f.Name + "=" + text
	}
	return strings.Join(parts, " ")
}

// head decides the widths and prints what is there.
func (t *tableRows) head() error {
	columns := map[string]bool{}
	for i, c := range t.columns {
		if c == "to" && slices.Contains(t.columns, "cuts") {
			c = "lasted"
			t.columns[i] = c
		}
		columns[c] = true
	}
	for _, r := range t.first {
		for _, n := range r.names {
			if !columns[n] {
				columns[n] = true
				t.columns = insertColumn(t.columns, n)
			}
		}
	}
	t.widths = make([]int, len(t.columns))
	names := t.names()
	for i, c := range t.columns {
		if t.widths[i] = termtext.Columns(names.cells[c]); t.live {
			t.widths[i] = max(t.widths[i], liveWidths[c])
		}
		for _, r := range t.first {
			t.widths[i] = max(t.widths[i], termtext.Columns(r.cells[c]))
		}
	}
	if err := t.print(names); err != nil {
		return err
	}
	for _, r := range t.first {
		if err := t.print(r); err != nil {
			return err
		}
	}
	t.first = nil
	return nil
}

// liveWidths are the widths at least of columns whose cells are of many widths,
// where rows come when they come.
var liveWidths = map[string]int{"edge": 5, "lasted": 10, "cuts": 5, "witness": 13}

// names is the head's row.
func (t *tableRows) names() tableRow {
	names := tableRow{cells: map[string]string{}}
	for _, c := range t.columns {
		names.cells[c] = termtext.Clip(termtext.Printable(c), cellColumnsMax)
	}
	return names
}

// later prints a row below the head. If a cell is too wide its column is wider from
// here on; where rows come when they come, the head is then shown again.
func (t *tableRows) later(r tableRow) error {
	grown := false
	for i, c := range t.columns[:len(t.columns)-1] {
		if n := termtext.Columns(r.cells[c]); n > t.widths[i] {
			t.widths[i], grown = n, true
		}
	}
	if grown && t.live {
		if err := t.print(t.names()); err != nil {
			return err
		}
	}
	return t.print(r)
}

// print prints one line. A column that the head doesn't have comes last, with
// its name.
func (t *tableRows) print(r tableRow) error {
	var b strings.Builder
	for i, c := range t.columns {
		text := r.cells[c]
		b.WriteString(text + strings.Repeat(" ", max(t.widths[i]-termtext.Columns(text), 0)+2))
	}
	for _, n := range r.names {
		if !slices.Contains(t.columns, n) {
			b.WriteString(n + ": " + r.cells[n] + "  ")
		}
	}
	_, err := io.WriteString(t.w, strings.TrimRight(b.String(), " ")+"\n")
	return err
}
