// Package motif searches a History for patterns of messages and events over several
// nodes: who asked and got no answer, who told everybody, which message overtook
// which. What an RQL event query can't say is what it is for: one event with many
// that came of it, an edge that is one message and no chain of them, and what did
// not happen.
//
// A pattern is written
//
//	motif  = chain { "," chain } [ "," "no" chain ] [ "within" DURATION ]
//	       | "request-response" [ "within" DURATION ]
//	       | ( "broadcast" | "gather" ) [ N ] [ NAME ] [ "TEXT" ] [ "within" DURATION ]
//	chain  = place { arrow place } | lane ":" [ NAME ] [ "TEXT" ]
//	arrow  = "-" [ NAME ] [ "TEXT" ] ( "->" | "-x" )          a bare one is -> or -x
//	place  = lane | "?" NAME
//	lane   = NAME | 'NODE'
//
// A lane is a node: one that has this name, or else some node, other lanes being
// other nodes. What is written of one lane happens on it in this order. In a chain
// a -> b -> c the second message came of the first: b sent it while it handled that
// one. a -x b was never received. ?m stands for a message under way: a -> ?m, ?m -> b
// is a -> b with room for something in between.
package motif

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stepsMax bounds the steps of a motif.
const stepsMax = 32

// A Motif is a pattern. It is made by Parse or by Draw and doesn't change.
type Motif struct {
	lanes   []lane
	flights int // how many messages it speaks of
	steps   []step
	no      int // the first step that there must not be; len(steps) if none
	fan     *fan
	within  time.Duration // from the first event to the last; 0 is any
}

// A lane stands for a node.
type lane struct {
	name  string
	exact bool // it was quoted: that node and no other
}

// An act is what a step is.
type act uint8

const (
	sends    act = iota // the lane's node sends the message
	receives            // the lane's node receives the message
	does                // an event of the lane's node
)

// A step is an event's part in a motif. The steps of a lane are in its order.
type step struct {
	act    act
	lane   int
	flight int // the message, of sends and receives
	want   constraint
	caused bool // sends: while the lane's node handled what it received in the step before
	lost   bool // sends: and nobody received it
	to     int  // sends: the lane that it goes to, -1 if that isn't said or not yet
	again  bool // receives: the same message once more
}

// A constraint is what is demanded of an event or message. Zero is nothing.
type constraint struct {
	name string // as event queries have it: Put, recv.Put, kv.Put
	text string // anywhere in names and payload, whatever the case
}

// A fan is a broadcast or a gather.
type fan struct {
	in    bool // a gather
	count int  // of other nodes; 0 is all there are
	want  constraint
}

// String is the motif as Parse reads it.
func (m *Motif) String() string {
	var b strings.Builder
	if m.fan != nil {
		b.WriteString(map[bool]string{false: "broadcast", true: "gather"}[m.fan.in])
		if m.fan.count > 0 {
			fmt.Fprintf(&b, " %d", m.fan.count)
		}
		if w := m.fan.want.String(); w != "" {
			b.WriteString(" " + w)
		}
	}
	for i := 0; i < len(m.steps); {
		i += m.write(&b, i)
	}
	if m.within > 0 {
		fmt.Fprintf(&b, " within %s", m.within)
	}
	return b.String()
}

// write writes what begins with step i and returns how many steps that is.
func (m *Motif) write(b *strings.Builder, i int) int {
	s := &m.steps[i]
	if i > 0 && !s.caused {
		b.WriteString(", ")
	}
	if i == m.no {
		b.WriteString("no ")
	}
	switch s.act {
	case does:
		b.WriteString(strings.TrimRight(m.laneName(s.lane)+": "+s.want.String(), " "))
		return 1
	case receives:
		fmt.Fprintf(b, "?%s -> %s", flightName(s.flight), m.laneName(s.lane))
		return 1
	}
	if !s.caused {
		b.WriteString(m.laneName(s.lane))
	}
	b.WriteString(" " + s.arrow() + " ")
	if i+1 < len(m.steps) {
		if r := &m.steps[i+1]; r.act == receives && r.flight == s.flight && i+1 != m.no && !m.again(i+2, s.flight) {
			b.WriteString(m.laneName(r.lane))
			return 2
		}
	}
	if s.to >= 0 && s.lost {
		b.WriteString(m.laneName(s.to))
	} else {
		b.WriteString("?" + flightName(s.flight))
	}
	return 1
}

// again reports whether a message is received once more from step i on.
func (m *Motif) again(i, flight int) bool {
	return slices.ContainsFunc(m.steps[i:], func(s step) bool { return s.again && s.flight == flight })
}

func (s *step) arrow() string {
	head := map[bool]string{false: "->", true: "-x"}[s.lost]
	if w := s.want.String(); w != "" {
		return "-" + w + head
	}
	return head
}

func flightName(n int) string { return fmt.Sprintf("m%d", n+1) }

func (m *Motif) laneName(l int) string {
	if m.lanes[l].exact || !isWord(m.lanes[l].name) || reserved[strings.ToLower(m.lanes[l].name)] {
		return quote(m.lanes[l].name, '\'')
	}
	return m.lanes[l].name
}

func (c constraint) String() string {
	var parts []string
	if c.name != "" {
		name := c.name
		_, err := strconv.Atoi(name)
		if !isWord(name) || err == nil || strings.EqualFold(name, "within") {
			name = quote(name, '\'')
		}
		parts = append(parts, name)
	}
	if c.text != "" {
		parts = append(parts, quote(c.text, '"'))
	}
	return strings.Join(parts, " ")
}

// quote puts s in quotes; one in it is written twice.
func quote(s string, q byte) string {
	return string(q) + strings.ReplaceAll(s, string(q), string(q)+string(q)) + string(q)
}
