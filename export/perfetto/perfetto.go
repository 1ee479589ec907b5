// Package perfetto writes a History as a trace that the Perfetto page and
// chrome://tracing open: a process for each node, a thread for each machine, a
// slice for each event, an arrow for each message, a counter for each variable
// that is a number.
//
// Source: "Trace Event Format", Google, sections on complete, flow, counter,
// instant and metadata events.
package perfetto

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// sliceMicros is how long an event is drawn: what it took isn't recorded, and an
// arrow needs a slice to begin and end in.
const sliceMicros = 1

// A traceEvent is one of the format's.
type traceEvent struct {
	Phase    string         `json:"ph"`
	Name     string         `json:"name"`
	Category string         `json:"cat,omitempty"`
	Process  int            `json:"pid"`
	Thread   int            `json:"tid"`
	Micros   float64        `json:"ts"`
	Duration float64        `json:"dur,omitempty"`
	ID       string         `json:"id,omitempty"`
	Binding  string         `json:"bp,omitempty"`
	Scope    string         `json:"s,omitempty"`
	Args     map[string]any `json:"args,omitempty"`
}

// Write writes the events at positions in [from, to). Times are microseconds since
// the first of them.
func Write(ctx context.Context, w io.Writer, src history.Source, from, to history.Position) error {
	c, err := src.Walk(ctx, from, to, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	e := exporter{out: bufio.NewWriterSize(w, 64<<10), meta: src.Meta(), threads: map[thread]int{}}
	e.out.WriteString(`{"displayTimeUnit":"ms","traceEvents":[`)
	for i := range e.meta.Nodes {
		e.put(&traceEvent{Phase: "M", Name: "process_name", Process: i + 1, Args: map[string]any{"name": e.meta.Nodes[i].Name}})
		e.put(&traceEvent{Phase: "M", Name: "process_sort_index", Process: i + 1, Args: map[string]any{"sort_index": i}})
	}
	for {
		ev, err := c.Next()
		if errors.Is(err, io.EOF) {
			e.out.WriteString("\n]}\n")
			return cmp.Or(e.err, e.out.Flush())
		}
		if err != nil || e.err != nil {
			return cmp.Or(err, e.err)
		}
		if !ev.Base {
			e.event(ev)
		}
	}
}

type thread struct {
	node    int
	machine string
}

type exporter struct {
	out     *bufio.Writer
	meta    *history.Meta
	threads map[thread]int
	begin   hlc.Timestamp // of the first event
	any     bool
	err     error
}

func (e *exporter) put(t *traceEvent) {
	b, err := json.Marshal(t)
	if err != nil && e.err == nil {
		e.err = err
	}
	if e.any {
		e.out.WriteByte(',')
	}
	e.any = true
	e.out.WriteByte('\n')
	e.out.Write(b)
}

// thread is that of an event's machine; it is named where it first occurs.
func (e *exporter) thread(ev *history.Event) int {
	k := thread{ev.Node, ev.Machine}
	id, ok := e.threads[k]
	if !ok {
		id = len(e.threads) + 1
		e.threads[k] = id
		e.put(&traceEvent{Phase: "M", Name: "thread_name", Process: ev.Node + 1, Thread: id, Args: map[string]any{"name": cmp.Or(ev.Machine, "node")}})
	}
	return id
}

func (e *exporter) event(ev *history.Event) {
	if e.begin == 0 {
		e.begin = ev.Time
	}
	at := traceEvent{Process: ev.Node + 1, Thread: e.thread(ev), Micros: micros(ev.Time, e.begin)}
	slice := at
	slice.Phase, slice.Category, slice.Duration = "X", ev.Kind, sliceMicros
	slice.Name = cmp.Or(ev.Name, ev.Kind)
	slice.Args = map[string]any{"seq": ev.Seq, "time": ev.Time.String()}
	if !ev.Data.IsAbsent() {
		slice.Args["data"] = ev.Data
	}
	if len(ev.Changes) > 0 {
		slice.Args["changes"] = e.changes(ev)
	}
	e.put(&slice)
	for id := range ev.Received() {
		e.flow(at, "f", id)
	}
	for id := range ev.Sent() {
		e.flow(at, "s", id)
	}
	if ev.Kind == "note" {
		note := at
		note.Phase, note.Name, note.Scope = "i", cmp.Or(ev.Name, ev.Kind), "p"
		e.put(&note)
	}
	e.counters(at, ev)
}

// flow is an end of an arrow.
func (e *exporter) flow(at traceEvent, phase, id string) {
	at.Phase, at.Name, at.Category, at.ID = phase, "message", "message", id
	if phase == "f" {
		at.Binding = "e" // the slice around it, not the next one
	}
	e.put(&at)
}

func (e *exporter) changes(ev *history.Event) map[string]any {
	m := map[string]any{}
	for i := range ev.Changes {
		c := &ev.Changes[i]
		m[event.PathString(e.meta.Vars[c.Var].Name, c.Path)] = c.Value
	}
	return m
}

// counters are the variables that an event set to a number.
func (e *exporter) counters(at traceEvent, ev *history.Event) {
	for i := range ev.Changes {
		c := &ev.Changes[i]
		f, ok := number(c.Value)
		if len(c.Path) > 0 || !ok {
			continue
		}
		counter := at
		counter.Phase, counter.Thread, counter.Name = "C", 0, e.meta.Vars[c.Var].Name
		counter.Args = map[string]any{"value": f}
		e.put(&counter)
	}
}

// number is a value that a counter can show.
func number(v event.Value) (float64, bool) {
	if n, ok := v.AsInt(); ok {
		return float64(n), true
	}
	f, ok := v.AsFloat()
	return f, ok && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// micros is a time since begin; the logical part orders what shares a tick, by a
// nanosecond.
func micros(t, begin hlc.Timestamp) float64 {
	const perTick = 1e6 / hlc.TicksPerSecond
	return float64(t.Ticks()-begin.Ticks())*perTick + float64(t.Logical())/1000
}
