package stepper

import (
	"fmt"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
)

// A shop is the machine of these tests: a bit of everything.
type shop struct {
	Orders machine.Map[string, order]
	Open   machine.Set[string]
	Log    machine.List[string]
	Count  int
	Lucky  uint64
	Last   hlc.Timestamp
	Status struct{ Peers, Ticks int }
	Notes  []string
	cache  int
}

type order struct {
	Item string
	N    int
}

type (
	buy    struct{ Key, Item string }
	drop   struct{ Key string }
	tick   struct{ N int }
	bought struct{ N int }
	relay  struct {
		To   string
		Hops int
	}
)

func (*shop) Payloads() []any { return []any{buy{}, &drop{}, tick{}, bought{}, relay{}} }

func (s *shop) Step(ctx *machine.Context, ev event.Event) {
	s.cache++
	s.Last = ctx.Now()
	switch b := ev.Body.(type) {
	case event.StartInfo:
		s.Status.Peers = len(b.Peers)
		ctx.SetTimer("tick", time.Second, tick{1})
	case buy:
		s.Count++
		s.Lucky = ctx.Rand().Uint64N(1000)
		s.Orders.Update(b.Key, func(o *order) { *o = order{b.Item, o.N + 1} })
		s.Open.Add(b.Key)
		s.Log.Append(b.Item)
		if ev.Kind == event.Request {
			ctx.Reply(ev.ID, bought{s.Count})
		}
		for _, p := range ctx.Peers() {
			ctx.Send(p, "shop", b)
		}
	case *drop:
		s.Orders.Delete(b.Key)
		s.Open.Delete(b.Key)
		s.Notes = append(s.Notes, b.Key)
		if b.Key == "cancel" {
			ctx.CancelTimer("tick")
		}
	case tick:
		s.Status.Ticks += b.N
		s.Log.DropBefore(s.Log.End() - 3)
		ctx.SetTimer("tick", time.Duration(b.N)*time.Second, tick{b.N})
		ctx.Log("info", "tick %d", s.Status.Ticks)
	case relay:
		if b.Hops > 0 {
			ctx.Send(ctx.Node(), b.To, relay{To: ctx.Machine, Hops: b.Hops - 1})
		}
	}
}

// A driver makes up events for a stepper, as a loop would.
type driver struct {
	t   interface{ Fatalf(string, ...any) }
	s   *Stepper
	seq uint64
	now hlc.Timestamp
}

const startTime = hlc.Timestamp(1_800_000_000 << 32)

func registry() machine.Registry {
	return machine.Registry{"shop": {1: func() machine.Machine { return &shop{} }}}
}

func newDriver(t interface{ Fatalf(string, ...any) }, o Options) *driver {
	if o.Node == "" {
		o.Node = "n1"
	}
	if o.Registry == nil {
		o.Registry = registry()
	}
	s, err := New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return &driver{t: t, s: s, now: startTime}
}

// started is newDriver and the Start of every machine.
func started(t interface{ Fatalf(string, ...any) }, o Options) *driver {
	d := newDriver(t, o)
	for _, u := range d.s.Unstarted() {
		d.do(startEvent(u.Machine, u.To))
	}
	return d
}

func startEvent(name string, version uint32) event.Event {
	info := event.StartInfo{Node: "n1", Peers: []string{"n2", "n3"}, Seed: 7, Version: version}
	return event.Event{Kind: event.Start, Machine: name, Payload: mustMarshal(info)}
}

func mustMarshal(v any) []byte {
	b, err := state.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// payload is an event with a body, for machine shop unless it says otherwise.
func payload(kind event.Kind, name string, body any) event.Event {
	return event.Event{Kind: kind, Machine: "shop", Name: name, Version: 1, Payload: mustMarshal(body)}
}

func message(from string, boot, seq uint64, body any) event.Event {
	name := map[bool]string{true: "buy"}[fmt.Sprintf("%T", body) == "stepper.buy"]
	if name == "" {
		name = "drop"
	}
	ev := payload(event.Message, name, body)
	ev.ID = event.MessageID{Node: from, Boot: boot, Seq: seq}
	return ev
}

func upgradeEvent(name string, from, to uint32) event.Event {
	return event.Event{Kind: event.Control, Name: event.ControlUpgrade, Machine: name,
		Payload: mustMarshal(event.UpgradeInfo{From: from, To: to})}
}

// try stamps an event and steps it.
func (d *driver) try(ev event.Event) (Outcome, error) {
	d.seq++
	d.now++
	ev.Seq, ev.Time = d.seq, d.now
	return d.s.Step(ev, 1)
}

func (d *driver) do(ev event.Event) Outcome {
	out, err := d.try(ev)
	if err != nil {
		d.t.Fatalf("event %d: %v", d.seq, err)
	}
	return out
}

// fire lets time pass until the next timer is due and steps it.
func (d *driver) fire() (Outcome, bool) {
	at, ev, ok := d.s.NextTimer()
	if !ok {
		return Outcome{}, false
	}
	d.now = max(d.now, at)
	return d.do(ev), true
}

func (d *driver) shop() *shop { return d.s.Machine("shop").(*shop) }

func kinds(effects []event.Effect) string {
	s := ""
	for _, e := range effects {
		s += e.Kind.String() + " "
	}
	return s
}

func mustEqual[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}
