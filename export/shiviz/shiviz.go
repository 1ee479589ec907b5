// Package shiviz writes a History as a log whose events carry vector clocks, which
// ShiViz and whatever else reads its default form can open.
//
// Source: Beschastnikh, Liu, Xing, Wang, Brun, Ernst, "Visualizing distributed
// system executions" (TOSEM 2020), section 3; the clocks are those of Fidge and
// Mattern (package causal).
package shiviz

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"hindcast.dev/causal"
	"hindcast.dev/event"
	"hindcast.dev/history"
)

// Parser is the regular expression by which the log is read: ShiViz's default.
const Parser = `(?<event>.*)\n(?<host>\S*) (?<clock>{.*})`

// Write writes the events at positions in [from, to), each in two lines: what it
// was, then its host and clock. A message from before from has no sender. It keeps
// a clock for every event that sends.
func Write(ctx context.Context, w io.Writer, src history.Source, from, to history.Position) error {
	c, err := src.Walk(ctx, from, to, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	e := exporter{out: bufio.NewWriterSize(w, 64<<10), meta: src.Meta(), links: causal.NewLinks[causal.Vector](len(src.Meta().Nodes), 0)}
	e.names()
	e.clocks = make([]causal.Vector, len(e.hosts))
	for {
		ev, err := c.Next()
		if errors.Is(err, io.EOF) {
			return e.out.Flush()
		}
		if err != nil {
			return err
		}
		if err := e.event(ev); err != nil {
			return err
		}
	}
}

type exporter struct {
	out    *bufio.Writer
	meta   *history.Meta
	hosts  []string                     // by node
	order  []int                        // nodes by host
	clocks []causal.Vector              // by node
	links  *causal.Links[causal.Vector] // with the clock of the event that sent
}

// names makes hosts of nodes: a host is one word, and no two are the same.
func (e *exporter) names() {
	taken := map[string]bool{}
	for i := range e.meta.Nodes {
		host := strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) || !unicode.IsPrint(r) {
				return '_'
			}
			return r
		}, e.meta.Nodes[i].Name)
		for host == "" || taken[host] {
			host += "_"
		}
		taken[host] = true
		e.hosts = append(e.hosts, host)
		e.order = append(e.order, i)
	}
	slices.SortFunc(e.order, func(a, b int) int { return strings.Compare(e.hosts[a], e.hosts[b]) })
}

func (e *exporter) event(ev *history.Event) error {
	if ev.Base {
		return nil
	}
	clock := e.clocks[ev.Node]
	for l := range ev.Arrivals() {
		if f := e.links.Receive(e.meta.Receiving(ev.Node, l)); f != nil {
			clock = clock.Merge(f.Value)
		}
	}
	clock = clock.Tick(ev.Node)
	e.clocks[ev.Node] = clock
	var own causal.Vector
	for l := range ev.Departures() {
		if own == nil {
			own = slices.Clone(clock)
		}
		e.links.Send(e.meta.Sending(ev.Node, l)).Value = own
	}
	e.out.WriteString(e.text(ev))
	e.out.WriteByte('\n')
	e.out.WriteString(e.hosts[ev.Node])
	sep := " {"
	for _, n := range e.order {
		if k := clock.At(n); k > 0 {
			name, err := json.Marshal(e.hosts[n])
			if err != nil {
				return err
			}
			fmt.Fprintf(e.out, "%s%s:%d", sep, name, k)
			sep = ", "
		}
	}
	_, err := e.out.WriteString("}\n")
	return err
}

// text is an event in one line.
func (e *exporter) text(ev *history.Event) string {
	var b strings.Builder
	b.WriteString(ev.Kind)
	if ev.Name != "" {
		b.WriteString(" " + ev.Name)
	}
	if ev.Peer != "" {
		b.WriteString(" from " + ev.Peer)
	}
	if !ev.Data.IsAbsent() {
		b.WriteString(" " + string(ev.Data.AppendJSON(nil)))
	}
	for i := range ev.Effects {
		if f := &ev.Effects[i]; f.Kind == "send" {
			fmt.Fprintf(&b, " · send %s to %s", f.Name, f.Peer)
		}
	}
	for i := range ev.Changes {
		c := &ev.Changes[i]
		fmt.Fprintf(&b, " · %s=%s", event.PathString(e.meta.Vars[c.Var].Name, c.Path), c.Value.AppendJSON(nil))
	}
	fmt.Fprintf(&b, " @%s", ev.Time)
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, b.String())
}
