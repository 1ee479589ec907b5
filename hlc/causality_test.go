package hlc

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A world is a handful of nodes with clocks of their own, and messages between
// them that are late, reordered or lost. True time is known to nobody in it.
type world struct {
	t     *rapid.T
	now   time.Duration // true time since noon
	nodes []worldNode
	mail  []message

	events  []Timestamp // stamps, by event
	causes  [][]int     // by event, the events directly before it
	wallMax Timestamp   // the furthest wall clock that any node has shown
	refused int
}

type worldNode struct {
	clock  *Clock
	skew   time.Duration // of its wall clock at noon
	rate   time.Duration // how much its wall clock gains per second
	last   int           // its last event, -1 for none
	asleep bool          // its clock shows the same reading again and again
	seen   Reading
}

type message struct {
	to    int
	ts    Timestamp
	event int
}

// read is what node n's clocks show.
func (w *world) read(n *worldNode) Reading {
	if !n.asleep {
		gained := time.Duration(int64(n.rate) * int64(w.now) / int64(time.Second))
		n.seen = Reading{Wall: noon.Add(w.now).Add(n.skew + gained), Mono: w.now}
	}
	w.wallMax = max(w.wallMax, n.seen.Wall.Physical())
	return n.seen
}

// record keeps an event of n with its causes: the one before it on its node,
// and the send of what it received.
func (w *world) record(n *worldNode, ts Timestamp, sent ...int) int {
	causes := append([]int(nil), sent...)
	if n.last >= 0 {
		causes = append(causes, n.last)
	}
	w.events = append(w.events, ts)
	w.causes = append(w.causes, causes)
	n.last = len(w.events) - 1
	return n.last
}

func (w *world) step() {
	w.now += time.Duration(rapid.Int64Range(0, int64(2*ms)).Draw(w.t, "pass"))
	n := &w.nodes[rapid.IntRange(0, len(w.nodes)-1).Draw(w.t, "node")]
	switch rapid.SampledFrom([]string{"local", "send", "send", "receive", "receive", "lose", "sleep"}).Draw(w.t, "what") {
	case "local":
		ts, _ := n.clock.Local(w.read(n))
		w.record(n, ts)
	case "send":
		ts, _ := n.clock.Local(w.read(n))
		to := rapid.IntRange(0, len(w.nodes)-1).Draw(w.t, "to")
		w.mail = append(w.mail, message{to, ts, w.record(n, ts)})
	case "receive":
		w.deliver(rapid.Bool().Draw(w.t, "keep a copy"))
	case "lose":
		w.take()
	case "sleep":
		w.read(n)
		n.asleep = !n.asleep
	}
}

// take removes any message from the mail.
func (w *world) take() (m message, ok bool) {
	if len(w.mail) == 0 {
		return message{}, false
	}
	i := rapid.IntRange(0, len(w.mail)-1).Draw(w.t, "message")
	m = w.mail[i]
	w.mail = append(w.mail[:i], w.mail[i+1:]...)
	return m, true
}

// deliver hands any message to its node; one that is kept comes again.
func (w *world) deliver(keep bool) {
	m, ok := w.take()
	if !ok {
		return
	}
	if keep {
		w.mail = append(w.mail, m)
	}
	n := &w.nodes[m.to]
	ts, _, err := n.clock.Receive(w.read(n), m.ts)
	if err != nil {
		w.refused++
		return
	}
	w.record(n, ts, m.event)
}

// happenedBefore is the transitive closure of the causes, for each event the
// set of all before it.
func (w *world) happenedBefore() []map[int]bool {
	before := make([]map[int]bool, len(w.events))
	for e, causes := range w.causes {
		before[e] = map[int]bool{}
		for _, c := range causes {
			before[e][c] = true
			for b := range before[c] {
				before[e][b] = true
			}
		}
	}
	return before
}

func newWorld(t *rapid.T, skewMax time.Duration) *world {
	w := &world{t: t}
	for range rapid.IntRange(2, 5).Draw(t, "nodes") {
		w.nodes = append(w.nodes, worldNode{
			clock: NewClock(0, 0),
			skew:  time.Duration(rapid.Int64Range(-int64(skewMax), int64(skewMax)).Draw(t, "skew")),
			rate:  time.Duration(rapid.Int64Range(-int64(ms), int64(ms)).Draw(t, "rate")),
			last:  -1,
		})
	}
	return w
}

// a → b ⇒ ts(a) < ts(b), over all pairs; and the clock stays close: nothing is
// stamped ahead of the furthest wall clock, but for the logical part.
func (w *world) check() {
	for e, before := range w.happenedBefore() {
		for b := range before {
			if w.events[b] >= w.events[e] {
				w.t.Fatalf("event %d (%s) happened before event %d (%s)", b, w.events[b], e, w.events[e])
			}
		}
	}
	for e, ts := range w.events {
		if ts.Physical() > w.wallMax {
			w.t.Fatalf("event %d is stamped %s, ahead of every clock (%s)", e, ts, w.wallMax)
		}
	}
}

func TestStampsRespectHappenedBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 100*ms)
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			w.step()
		}
		if w.refused > 0 {
			t.Fatalf("%d messages refused though all clocks are within MaxDrift", w.refused)
		}
		w.check()
	})
}

// With clocks beyond MaxDrift messages are refused, and what isn't keeps the
// order all the same.
func TestStampsRespectHappenedBeforeBeyondMaxDrift(t *testing.T) {
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 2*time.Second)
		for range 60 {
			w.step()
		}
		refused += w.refused
		w.check()
	})
	if refused == 0 {
		t.Error("no message was refused in any run: the test doesn't reach what it is for")
	}
}
