package shiviz

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// ErrEmpty is returned by Read for a log in which there is nothing.
var ErrEmpty = errors.New("it is empty")

// textMax bounds a log.
const textMax = 1 << 30

// notesMax bounds the remarks about one execution.
const notesMax = 20

// Log is the log of the variables that a format's State gives: state.color.
const Log = "state"

// Options say how a log is read. The zero value finds the format itself.
type Options struct {
	Format Format // one without Parser is looked for
	// SkipBad leaves out entries that can't be read, and counts them.
	SkipBad bool
}

// An Execution is one run of the system that the log tells of.
type Execution struct {
	Name    string // as the log has it, "" if it gives none
	Line    int    // where it begins
	Hosts   int
	Events  int
	Format  string // the name of the format
	History *history.Mem
}

// Read reads a log. file is its name, for errors; what is wrong at a place is an
// *Error.
//
// A host becomes a node, an entry an event of the kind "recv" if the host learnt
// of another's events by it, else "event"; its name is the event's text, its data
// the other groups. Real times, where there are any, are the physical ones, and
// Timestamps follow from them by the rules of the hybrid clock along the messages
// found; else an event's time is its depth in seconds since 1970.
func Read(r io.Reader, file string, opts Options) ([]Execution, error) {
	text, err := io.ReadAll(io.LimitReader(r, textMax+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(text) > textMax {
		return nil, fmt.Errorf("%s: more than %d MiB: cut it by hosts or by time", file, textMax>>20)
	}
	text = []byte(strings.ReplaceAll(string(text), "\r\n", "\n"))
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, fmt.Errorf("%s: %w", file, ErrEmpty)
	}
	f := opts.Format
	if f.Parser == "" {
		var ok bool
		if f, ok = Detect(text); !ok {
			return nil, fmt.Errorf("%s: no events with vector clocks were found in it: give the parser expression, with the groups host, clock and event", file)
		}
	}
	p, err := f.compile()
	if err != nil {
		return nil, err
	}
	var out []Execution
	parts := p.split(text, newLines(text))
	if !p.entry.Match(text) {
		parts = nil
	}
	for _, part := range parts {
		x := &execution{p: p, file: file, line: part.line, opts: &opts, index: map[string]int{}}
		e, err := x.build(part)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: the parser expression fits nowhere: %s", file, p.Parser)
	}
	return out, nil
}

// build makes the History of one execution.
func (x *execution) build(p part) (Execution, error) {
	if err := x.read(p.text); err != nil {
		return Execution{}, err
	}
	if len(x.entries) == 0 {
		return Execution{}, errors.Join(fmt.Errorf("%s: no event can be read in what begins at line %d", x.file, p.line), x.bad)
	}
	o, err := x.order()
	if err != nil {
		return Execution{}, err
	}
	b := history.NewBuilder()
	stamps := o.stamp()
	for h, list := range o.byHost {
		b.AddNode(x.hosts[h], "")
		for _, e := range list {
			b.Append(x.hosts[h], x.event(e, stamps[e]))
		}
	}
	m, err := b.Build()
	if err != nil {
		return Execution{}, fmt.Errorf("%s: %w", x.file, err)
	}
	meta := m.Meta()
	meta.Warnings = append(meta.Warnings, x.warnings()...)
	meta.Skipped = uint64(x.skipped)
	return Execution{p.name, p.line, len(x.hosts), len(x.entries), x.p.Name, m}, nil
}

// note remarks something about a line.
func (x *execution) note(line int, format string, args ...any) {
	if len(x.notes) < notesMax {
		x.notes = append(x.notes, x.errorAt(line, format, args...).Error())
	}
}

func (x *execution) warnings() []string {
	out := x.notes
	if x.skipped > 0 {
		out = append(out, fmt.Sprintf("%d entries were left out, the first: %v", x.skipped, x.bad))
	}
	if x.rest > 0 {
		what := fmt.Sprintf("%d lines are part of no event, the first is", x.rest)
		if x.rest == 1 {
			what = "1 line is part of no event:"
		}
		out = append(out, fmt.Sprintf("%s %s:%d", what, x.file, x.restAt))
	}
	return out
}

// A moment is when an entry was: its Timestamp, and what its host's clock said,
// 0 if that isn't known.
type moment struct{ stamp, physical hlc.Timestamp }

// stamp gives all entries their times.
func (o *order) stamp() map[*entry]moment {
	dates := o.dates()
	out := make(map[*entry]moment, len(o.sorted))
	for _, e := range o.sorted {
		m := moment{physical: dates[e]}
		if m.stamp = m.physical; m.stamp == 0 {
			m.stamp = hlc.FromTime(time.Unix(int64(e.depth)+1, 0))
		}
		if e.pos > 0 {
			m.stamp = max(m.stamp, out[o.byHost[e.host][e.pos-1]].stamp+1)
		}
		for _, l := range e.before {
			m.stamp = max(m.stamp, out[o.find(component{l.host, l.seq})].stamp+1)
		}
		out[e] = m
	}
	return out
}

// layouts are those of dates that logs have.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05,999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05,999999999",
	"01/02/2006 15:04:05.999999999", "1/2/2006 3:04:05 PM", "1/2/2006 15:04:05", "2006/01/02 15:04:05.999999999",
}

// dates reads the real times; nil if not all of them can be read, which is noted.
func (o *order) dates() map[*entry]hlc.Timestamp {
	groups := o.x.p.groups()
	i := slices.IndexFunc(groups, func(g string) bool { return g == "date" || g == "timestamp" })
	if i < 0 {
		return nil
	}
	out := map[*entry]hlc.Timestamp{}
	for j := range o.x.entries {
		e := &o.x.entries[j]
		t, ok := parseDate(e.fields[i])
		if !ok {
			o.x.note(e.line, "the %s %q can't be read as a time: instead of times there are depths", groups[i], e.fields[i])
			return nil
		}
		out[e] = t
	}
	return out
}

func parseDate(s string) (hlc.Timestamp, bool) {
	for _, l := range layouts {
		if t, err := time.Parse(l, s); err == nil {
			return hlc.FromTime(t), true
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return 0, false
	}
	// A count since 1970: of the unit by which it lies in this century.
	for _, unit := range []int64{1, 1e3, 1e6, 1e9} {
		if n/unit < 4e9 {
			return hlc.FromTime(time.Unix(n/unit, n%unit*(1e9/unit))), true
		}
	}
	return 0, false
}

// event is the entry as a History has it.
func (x *execution) event(e *entry, m moment) history.EventSpec {
	s := history.EventSpec{Event: history.Event{Position: history.Position{Time: m.stamp, Seq: e.seq},
		Physical: m.physical, Kind: "event", Name: e.text}}
	for i, l := range e.before {
		if i == 0 {
			s.Kind, s.ID, s.Peer = "recv", x.messageID(l, e), x.hosts[l.host]
			continue
		}
		s.Effects = append(s.Effects, history.Effect{Kind: "recv", ID: x.messageID(l, e), Peer: x.hosts[l.host]})
	}
	for _, l := range e.after {
		to := &entry{host: l.host, seq: l.seq}
		s.Effects = append(s.Effects, history.Effect{Kind: "send", ID: x.messageID(link{e.host, e.seq}, to), Peer: x.hosts[l.host]})
	}
	var data []event.Entry
	for i, g := range x.p.groups() {
		switch v := valueOf(e.fields[i]); {
		case slices.Contains(x.p.State, g):
			s.Set = append(s.Set, history.Assign{Path: event.PathString(Log+"."+g, nil), Value: v})
		case e.fields[i] != "":
			data = append(data, event.Entry{Key: event.String(g), Value: v})
		}
	}
	if len(data) > 0 {
		s.Data = event.MapOf(event.NewMap(data...))
	}
	return s
}

// messageID names the message that an entry received from an event.
func (x *execution) messageID(from link, to *entry) string {
	return fmt.Sprintf("%s:%d→%s:%d", x.hosts[from.host], from.seq, x.hosts[to.host], to.seq)
}

// valueOf is what a text says: a value as TLC prints it, or else itself.
func valueOf(s string) event.Value {
	switch s {
	case "true":
		return event.Bool(true)
	case "false":
		return event.Bool(false)
	}
	if v, ok := parseTLA(s); ok {
		return v
	}
	return event.String(s)
}
