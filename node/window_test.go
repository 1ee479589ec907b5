package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
	"hindcast.dev/recording"
	"hindcast.dev/stepper"
)

// loose is a tally that takes messages in any order.
type loose struct{ tally }

func (*loose) Delivery() machine.Delivery { return machine.AnyOrder }

// Step also tells its namesake elsewhere what it is told.
func (l *loose) Step(ctx *machine.Context, ev event.Event) {
	if m, ok := ev.Body.(Pass); ok {
		ctx.Send(m.To, "loose", Add{m.Key, m.By})
		ctx.Send(m.To, "nobody", Add{m.Key, m.By})
	}
	l.tally.Step(ctx, ev)
}

// talk has every node tell every other something, with a link that is cut for a
// while.
func talk(t *testing.T, nodes map[string]*Node, rounds int, key string) {
	t.Helper()
	for i := range rounds {
		for name, n := range nodes {
			if i == rounds/3 && name == "n1" {
				must(t, n.SetFault(Fault{Kind: FaultCut, Peer: "n2", Direction: "out"}))
			}
			for to := range nodes {
				if to == name {
					continue
				}
				for _, m := range n.loop.Stepper().Machines() {
					if _, err := n.Client().Do(within(t, patience), m, Pass{To: to, Key: key, By: 1}); err != nil && !errors.Is(err, ErrBusy) {
						t.Fatal(err)
					}
				}
			}
			if i == 2*rounds/3 && name == "n1" {
				must(t, n.SetFault(Fault{Kind: FaultHeal, Peer: "n2"}))
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sentTimes are when messages were sent: at such a cut one is under way.
func sentTimes(t *testing.T, n *Node) (out []hlc.Timestamp) {
	rd, err := n.j.NewReader(0)
	must(t, err)
	defer rd.Close()
	for {
		e, err := rd.Next()
		if err != nil {
			return out
		}
		if e.Kind == event.Message {
			out = append(out, e.Sent)
		}
	}
}

// A taken is what all nodes say of a cut.
type taken struct {
	cuts     map[string]recording.Cut
	arrivals map[string]recording.Arrivals
	flights  map[string][]recording.Flight
}

// take asks all nodes for a cut, by way of the window or by stepping.
func take(t *testing.T, nodes map[string]*Node, at hlc.Timestamp, stepping bool) taken {
	t.Helper()
	ctx := within(t, patience)
	out := taken{map[string]recording.Cut{}, map[string]recording.Arrivals{}, map[string][]recording.Flight{}}
	held := map[string]*heldCut{}
	for name, n := range nodes {
		a, err := n.Cut(ctx, at)
		must(t, err)
		held[name], err = n.snapshots.find(a.ID)
		must(t, err)
		if stepping {
			found, err := n.snapshots.search(at)
			must(t, err)
			found.From, a.Cut = a.Cut.From, found
			a.Arrivals, err = n.snapshots.step(ctx, held[name])
			must(t, err)
		}
		slices.Sort(a.Arrivals.Others)
		out.cuts[name], out.arrivals[name] = a.Cut, a.Arrivals
		n.snapshots.forget(a.ID)
	}
	for name, n := range nodes {
		flights, err := n.snapshots.underWay(ctx, held[name], out.arrivals)
		must(t, err)
		out.flights[name] = flights
	}
	return out
}

// What the window knows of a cut is what a second copy of the machines finds out:
// also after a restart, of machines in order and in none, and of messages that are
// lost or refused.
func TestTheWindowKnowsWhatSteppingFindsOut(t *testing.T) {
	nodes := cluster(t, []string{"n1", "n2", "n3"}, func(o *Options) {
		o.Registry = machine.Registry{"tally": registry()["tally"], "loose": {1: func() machine.Machine { return &loose{} }}}
	})
	talk(t, nodes, 12, "a")
	stop(t, nodes["n2"])
	nodes["n2"] = start(t, nodes["n2"].o)
	linked(t, nodes["n1"])
	talk(t, nodes, 12, "b")
	steps := nodes["n2"].snapshots.steps.Load()
	var times []hlc.Timestamp
	for _, n := range nodes {
		times = append(times, sentTimes(t, n)...)
	}
	underWay, lost := 0, 0
	for range 40 {
		at := times[rand.IntN(len(times))]
		known, found := take(t, nodes, at, false), take(t, nodes, at, true)
		if !reflect.DeepEqual(known, found) {
			t.Fatalf("at %v:\n%+v\nstepping finds\n%+v", at, known, found)
		}
		for name, fs := range known.flights {
			underWay += len(fs)
			lost += len(nodes[name].snapshots.window.losses)
		}
	}
	if underWay < 40 || lost == 0 {
		t.Errorf("%d messages under way, %d lost: the test shows nothing", underWay, lost)
	}
	if got := nodes["n2"].snapshots.steps.Load() - steps; got != 40 {
		t.Errorf("%d second copies, want one for each of the 40 cuts that asked for it", got)
	}
	slices.Sort(times)
	for i := range 8 { // what is forgotten meanwhile changes nothing
		for _, n := range nodes {
			n.snapshots.window.forget(times[(2*i+1)*len(times)/16])
		}
		for range 3 {
			at := times[rand.IntN(len(times))]
			if known, found := take(t, nodes, at, false), take(t, nodes, at, true); !reflect.DeepEqual(known, found) {
				t.Fatalf("at %v, when things were forgotten:\n%+v\nstepping finds\n%+v", at, known, found)
			}
		}
	}
}

// forget has the window forget what it may that is older than t.
func (w *window) forget(t hlc.Timestamp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prune(t)
}

// What the window had no room for is found out by stepping, and what had arrived by
// then needn't be.
func TestWhatTheWindowHasNoRoomForIsFoundOut(t *testing.T) {
	nodes := cluster(t, []string{"n1", "n2"}, func(o *Options) { o.Limits.WindowBytes = 1 })
	n1, n2 := nodes["n1"], nodes["n2"]
	key, sum := strings.Repeat("k", 8<<10), int64(0)
	for w := n1.snapshots.window; ; {
		total(t, n1, Pass{To: "n2", Key: key, By: 1})
		sum++
		eventually(t, n2, "the message", func() bool { return peek(t, n2, key) == sum })
		w.mu.Lock()
		gone := w.first > 0
		w.mu.Unlock()
		if gone {
			break
		}
	}
	times := sentTimes(t, n2)
	now, first := times[len(times)-1], times[0]
	for _, at := range []hlc.Timestamp{now, first} {
		steps := n1.snapshots.steps.Load()
		known := take(t, nodes, at, false)
		if stepped := n1.snapshots.steps.Load() > steps; stepped != (at == first) {
			t.Errorf("at %v: stepped: %t", at, stepped)
		}
		if found := take(t, nodes, at, true); !reflect.DeepEqual(known, found) || len(known.flights["n1"]) == 0 {
			t.Errorf("%+v\nstepping finds\n%+v", known, found)
		}
	}
}

// A node without a window steps for each cut, and one that went on from a checkpoint
// for those soon after.
func TestWithoutAWindowCutsAreStepped(t *testing.T) {
	for _, size := range []int{-1, 1 << 20} {
		o, _ := inMemory(options(t, "n1"))
		o.Limits.WindowBytes = size
		n := start(t, o)
		total(t, n, Add{"k", 1})
		_, err := n.Checkpoint(within(t, patience))
		must(t, err)
		total(t, n, Add{"k", 1})
		stop(t, n)
		n = start(t, n.o)
		total(t, n, Add{"k", 1})
		a, err := n.Cut(within(t, patience), 0)
		must(t, err)
		if got := n.snapshots.steps.Load(); got != 1 || a.Cut.From == 0 || a.Cut.Seq <= a.Cut.From {
			t.Errorf("window of %d: %d second copies of the machines for %+v", size, got, a.Cut)
		}
	}
}

// The window is bounded in everything, and says from when on it knows.
func TestTheWindowIsBounded(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	n := start(t, o)
	w := n.snapshots.window
	w.mu.Lock()
	defer w.mu.Unlock()
	f := &cameFrom{}
	w.known = 0
	w.came[origin{"tally", "n2"}] = f
	for i := range arrivalsMax + 10 {
		f.queue = append(f.queue, cameAt{numbered{1, uint64(i), 0}, hlc.Timestamp(i + 1)})
		w.count++
	}
	w.forgetArrivals(func(c *cameFrom) int { return len(c.queue) / 2 })
	if w.count != len(f.queue) || f.before.seq != uint64(arrivalsMax+10)/2-1 || w.known != hlc.Timestamp(f.before.seq+1) {
		t.Errorf("%d of %d, before %+v, known from %v", len(f.queue), w.count, f.before, w.known)
	}
	for i := range foreignMax + 10 {
		w.others = append(w.others, arrived{at: hlc.Timestamp(i + 1)})
	}
	if w.prune(1); len(w.others) != foreignMax || w.alone < 10 {
		t.Errorf("%d, alone %v", len(w.others), w.alone)
	}
	w.others = nil
}

// Who asks for messages under way that must be stepped for doesn't wait longer than
// he wants to.
func TestSteppingForACutEndsWithItsContext(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	o.Limits.WindowBytes = -1
	n := start(t, o)
	n.snapshots.stepping <- struct{}{}
	defer func() { <-n.snapshots.stepping }()
	if _, err := n.snapshots.step(ended(), &heldCut{time: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Where neither journal nor checkpoints reach back far enough, stepping begins with the
// first checkpoint there is, and a window that began there needs no stepping.
func TestSteppingBeginsAsEarlyAsItCan(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	o.RetainBytes = 1
	n := start(t, o)
	eventually(t, n, "retention", func() bool {
		for range 300 {
			total(t, n, Add{strings.Repeat("k", 500), 1})
		}
		_, err := n.Checkpoint(within(t, patience))
		must(t, err)
		rd, err := n.j.NewReader(1)
		if err == nil {
			rd.Close()
		}
		return err != nil
	})
	total(t, n, Add{"k", 1})
	_, err := n.Checkpoint(within(t, patience))
	must(t, err)
	seqs, err := checkpoint.List(n.o.FS, n.dirs.checkpoints)
	must(t, err)
	now := n.Status().Time
	sh, _, err := n.snapshots.open(now)
	must(t, err)
	if sh.At().Seq != seqs[0] || len(seqs) < 2 {
		t.Errorf("it begins behind event %d, of checkpoints %d", sh.At().Seq, seqs)
	}
	must(t, sh.Close())
	w := n.snapshots.window
	w.mu.Lock()
	w.since, w.alone, w.began, w.start = now, now, now, seqs[0] // as if it had begun there
	w.mu.Unlock()
	if _, ok := n.snapshots.look(&heldCut{time: now}); !ok {
		t.Error("what the window lacks nobody knows")
	}
	w.start++
	if _, ok := n.snapshots.look(&heldCut{time: now}); ok {
		t.Error("stepping would begin earlier than the window")
	}
}

// moment is a time long after the beginning.
func moment(d time.Duration) hlc.Timestamp { return hlc.Timestamp(1).Add(time.Hour + d) }

// seeing has a window take in a few events by hand.
type seeing struct {
	t *testing.T
	w *window
	s record.Stamp
}

func newSeeing(t *testing.T) *seeing {
	st, err := stepper.New(stepper.Options{Node: "n1", Registry: registry()})
	must(t, err)
	w := newWindow("n1", 1<<20)
	w.begin(st, record.Stamp{})
	return &seeing{t: t, w: w}
}

func (s *seeing) see(at time.Duration, ev event.Event, effects ...event.Effect) {
	s.s.Seq, s.s.Time = s.s.Seq+1, moment(at)
	ev.Time = s.s.Time
	s.w.see(&stepper.Followed{Event: ev, Outcome: stepper.Outcome{Effects: effects}, Stepped: ev.Kind == event.Request}, s.s)
}

func (s *seeing) note(at time.Duration, id event.MessageID) {
	body, err := state.Marshal(event.NoteInfo{Message: id.String()})
	must(s.t, err)
	s.see(at, event.Event{Kind: event.Note, Name: event.NoteDrop, Payload: body})
}

// idle passes the time until the window has looked at what is too old.
func (s *seeing) idle(at time.Duration) {
	for range windowPrune {
		s.see(at, event.Event{Kind: event.Note, Name: "idle"})
	}
}

// A message that was lost is under way at no later cut: where the window has forgotten
// that it was, it says that it doesn't know.
func TestALossThatIsForgottenIsNoMessageUnderWay(t *testing.T) {
	s := newSeeing(t)
	id := event.MessageID{Node: "n1", Boot: 1, Seq: 1}
	s.see(time.Second, event.Event{Kind: event.Request}, event.Effect{Kind: event.EffectSend, Node: "n2", To: "tally", Machine: "tally", Name: "Add", Version: 1, ID: id, Sent: moment(time.Second)})
	s.note(2*time.Second, id)
	at := map[string]*landing{"n2": {}}
	for _, now := range []time.Duration{3 * time.Second, windowKeep + 5*time.Second} {
		s.idle(now)
		cut := moment(3 * time.Second)
		_, sent, ok := s.w.cut(cut, true)
		if !ok {
			t.Error("nothing came that could be forgotten")
		}
		if got, exact, err := sent.underWay(cut, at); err != nil || exact && len(got) != 0 {
			t.Errorf("%v later: %+v, exact: %t, %v", now, got, exact, err)
		}
		cut = moment(time.Second)
		if got, _, err := sent.underWay(cut, at); err != nil || len(got) != 1 {
			t.Errorf("before it was lost: %+v, %v: the test shows nothing", got, err)
		}
	}
}

// What the window has forgotten, stepping finds out, also where the window began with
// the journal.
func TestWhatTheWindowForgotIsStepped(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	n := start(t, o)
	total(t, n, Add{"k", 1})
	now := n.Status().Time
	w := n.snapshots.window
	w.mu.Lock()
	w.alone = now // others had come, and are forgotten
	w.mu.Unlock()
	if _, ok := n.snapshots.look(&heldCut{time: now}); ok {
		t.Error("stepping is said to find out no more than the window, which has forgotten something")
	}
}

// What even stepping had no room for is refused rather than left out.
func TestWhatSteppingHasNoRoomForIsRefused(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	s := start(t, o).snapshots
	gone := map[destination]sentTo{{"n2", "loose"}: {gone: sentAt{numbered: numbered{1, 7, 0}, time: moment(0)}}}
	h := &heldCut{time: moment(time.Second), stepped: true, sent: sends{node: "n1", to: gone, all: true}}
	_, err := s.underWay(within(t, patience), h, map[string]recording.Arrivals{"n2": {}})
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "more than 256 MiB may not have arrived") {
		t.Error(err)
	}
	h.time = moment(time.Minute)
	if got, err := s.underWay(within(t, patience), h, map[string]recording.Arrivals{"n2": {}}); err != nil || len(got) != 0 {
		t.Errorf("a minute later: %+v, %v", got, err)
	}
}

// Machines that something was sent to long ago are forgotten, where they are many.
func TestWhoWasSentToIsForgotten(t *testing.T) {
	s := newSeeing(t)
	const n = 4 * sentToMax
	for i := range n {
		s.see(time.Second, event.Event{Kind: event.Request}, event.Effect{Kind: event.EffectSend, Node: strconv.Itoa(i), To: "tally",
			Name: "Add", ID: event.MessageID{Node: "n1", Boot: 1, Seq: uint64(i)}, Sent: moment(time.Second)})
	}
	s.idle(2 * windowKeep)
	left := 0
	for _, to := range s.w.sent {
		left += len(to.queue)
	}
	if got := len(s.w.sent); got > sentToMax+left || left > n/2 || s.w.since != moment(time.Second) {
		t.Errorf("%d are known, %d messages, since %v", got, left, s.w.since)
	}
}
