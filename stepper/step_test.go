package stepper

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
)

func TestARequestIsAnsweredAndReplicated(t *testing.T) {
	d := started(t, Options{})
	ev := payload(event.Request, "buy", buy{"k", "apple"})
	ev.ID = event.MessageID{Node: "n1.client", Boot: 1, Seq: 9}
	ev.Baggage = []byte("bag")
	out := d.do(ev)
	mustEqual(t, "effects", kinds(out.Effects), "reply send send ")
	reply, send := out.Effects[0], out.Effects[2]
	mustEqual(t, "the reply's id", reply.ID, ev.ID)
	mustEqual(t, "the send's id", send.ID, event.MessageID{Node: "n1", Boot: 1, Seq: 2, Effect: 2})
	mustEqual(t, "the send", fmt.Sprintln(send.Machine, send.Node, send.To, send.Name, send.Version, send.Sent == d.now), "shop n3 shop buy 1 true\n")
	mustEqual(t, "its baggage", string(send.Baggage), "bag")
	mustEqual(t, "the reply's data", text(d.s.EffectData(reply)), `{n: 1}`)
	mustEqual(t, "the event's data", text(d.s.Data(ev)), `{item: "apple", key: "k"}`)
	if o, ok := d.shop().Orders.Get("k"); !ok || o != (order{"apple", 1}) {
		t.Fatalf("the order is %v %v", o, ok)
	}
}

func TestWhatCannotBeTakenIsRefused(t *testing.T) {
	d := newDriver(t, Options{MaxSenders: 1})
	mustEqual(t, "before the start", d.do(message("n2", 1, 1, buy{})).Refused, `node n1 runs no machine "shop"`)
	d.do(startEvent("shop", 1))
	for _, c := range []struct {
		change func(*event.Event)
		want   string
	}{
		{func(e *event.Event) { e.Machine = "bank" }, `node n1 runs no machine "bank"`},
		{func(e *event.Event) { e.Name = "sell" }, `payload "sell" is not among the types that this machine takes`},
		{func(e *event.Event) { e.Name = "" }, `raw payload: this machine takes only registered types`},
		{func(e *event.Event) { e.Version = 2 }, `payload "buy" has schema version 2, this node knows up to 1: upgrade it first`},
		{func(e *event.Event) { e.Payload = e.Payload[:3] }, `payload "buy" of version 1: unexpected EOF`},
		{func(e *event.Event) { e.Payload = append(e.Payload, 0) }, `payload "buy" of version 1: cbor: 1 bytes of extraneous data`},
		{func(e *event.Event) { e.ID.Node = "n9" }, `node n1 remembers 1 senders and takes messages from no other`},
	} {
		ev := message("n2", 1, d.seq+1, buy{"k", "i"})
		c.change(&ev)
		if out := d.do(ev); !strings.HasPrefix(out.Refused, c.want) || len(out.Effects) != 0 {
			t.Errorf("refused with %q and effects %v, want %q", out.Refused, out.Effects, c.want)
		}
	}
	mustEqual(t, "count", d.shop().Count, 0)
	mustEqual(t, "the second start", d.do(startEvent("shop", 1)).Refused, "machine shop has started already")
}

func TestOrderedMessagesComeOnceAndInOrder(t *testing.T) {
	d := started(t, Options{})
	type id struct {
		node      string
		boot, seq uint64
	}
	for _, c := range []struct {
		id
		duplicate bool
	}{
		{id{"n2", 1, 5}, false}, {id{"n2", 1, 5}, true}, {id{"n2", 1, 4}, true}, {id{"n2", 1, 9}, false},
		{id{"n3", 1, 4}, false}, {id{"n2", 2, 1}, false}, {id{"n2", 1, 10}, true}, {id{"n2", 2, 2}, false},
	} {
		if out := d.do(message(c.node, c.boot, c.seq, buy{})); out.Duplicate != c.duplicate {
			t.Errorf("message %v: duplicate is %v, want %v", c.id, out.Duplicate, c.duplicate)
		}
	}
	mustEqual(t, "handled", d.shop().Count, 5)
}

// A bearer takes messages as they come.
type bearer struct{ N int }

func (b *bearer) Step(*machine.Context, event.Event) { b.N++ }
func (*bearer) Delivery() machine.Delivery           { return machine.AnyOrder }

func TestAMachineThatBearsItGetsEveryMessage(t *testing.T) {
	d := started(t, Options{Registry: machine.Registry{"shop": {1: func() machine.Machine { return &bearer{} }}}})
	for range 3 {
		mustEqual(t, "duplicate", d.do(message("n2", 1, 5, buy{})).Duplicate, false)
	}
	mustEqual(t, "handled", d.s.Machine("shop").(*bearer).N, 4)
}

func TestTimersFireOnceUnlessReplaced(t *testing.T) {
	d := started(t, Options{})
	at, first, ok := d.s.NextTimer()
	if !ok || at != d.now.Add(time.Second) || first.From != "tick" {
		t.Fatalf("next timer %v %v %v", at, first, ok)
	}
	d.s.Offered(first.ID)
	if _, _, ok := d.s.NextTimer(); ok {
		t.Fatal("an offered timer is offered again")
	}
	out := d.do(first)
	mustEqual(t, "effects", kinds(out.Effects), "settimer log ")
	mustEqual(t, "fired again", d.do(first).Stale, true)
	mustEqual(t, "ticks", d.shop().Status.Ticks, 1)
	_, second, _ := d.s.NextTimer()
	d.do(message("n2", 1, 1, &drop{Key: "cancel"}))
	if _, _, ok := d.s.NextTimer(); ok {
		t.Fatal("a cancelled timer is next")
	}
	mustEqual(t, "fired after its cancellation", d.do(second).Stale, true)
}

func TestMessagesInsideTheNodeAreHandledInTheCausingEvent(t *testing.T) {
	reg := machine.Registry{"a": registry()["shop"], "b": registry()["shop"]}
	d := started(t, Options{Registry: reg, MaxInternal: 5})
	ev := payload(event.Request, "relay", relay{"b", 3})
	ev.Machine = "a"
	out := d.do(ev)
	var got []string
	for _, in := range out.Internal {
		got = append(got, fmt.Sprintf("%s→%s %s %s", in.Event.From, in.Event.Machine, in.Event.ID, text(d.s.Data(in.Event))))
	}
	want := []string{`a→b n1/1/3/0 {hops: 2, to: "a"}`, `b→a n1/1/3/1 {hops: 1, to: "b"}`, `a→b n1/1/3/2 {hops: 0, to: "a"}`}
	if !slices.Equal(got, want) || len(out.Effects) != 0 {
		t.Fatalf("%q, want %q; effects %v", got, want, out.Effects)
	}

	ev = payload(event.Request, "relay", relay{"c", 1})
	ev.Machine = "a"
	out = d.do(ev)
	mustEqual(t, "refused inside", out.Internal[0].Refused, `node n1 runs no machine "c"`)

	ev = payload(event.Request, "relay", relay{"b", 100})
	ev.Machine = "a"
	_, err := d.try(ev)
	var limit *LimitError
	if !errors.As(err, &limit) || limit.Max != 5 {
		t.Fatalf("endless talk: %v", err)
	}
	if _, again := d.try(startEvent("a", 1)); again != err {
		t.Fatalf("after an error: %v", again)
	}
}

// A bomb does what its request's payload says.
type bomb struct{ N int }

func (b *bomb) Step(ctx *machine.Context, ev event.Event) {
	switch string(ev.Payload) {
	case "panic":
		panic("boom")
	case "effects":
		for {
			ctx.Log("info", "more")
		}
	case "timers":
		for i := 0; ; i++ {
			ctx.SetTimer(fmt.Sprint(i), 0, nil)
		}
	case "type":
		ctx.Send("n2", "bomb", struct{ X int }{})
	}
}

func TestAFailingStepIsATypedError(t *testing.T) {
	reg := machine.Registry{"bomb": {1: func() machine.Machine { return &bomb{} }}}
	for payload, want := range map[string]string{
		"panic":   "machine bomb panicked at event 2: boom",
		"effects": "event 2 passed the bound of 10 effects: let the machine do its work in several events, by a timer, or raise the bound",
		"timers":  "event 2 passed the bound of 3 pending timers: use one timer for many things, or raise the bound",
		"type":    "machine bomb panicked at event 2: machine bomb: payload type struct { X int } isn't registered: name it in the machine's Payloads",
	} {
		d := started(t, Options{Registry: reg, MaxEffects: 10, MaxTimers: 3, Stack: func() []byte { return []byte("stack") }})
		_, err := d.try(event.Event{Kind: event.Request, Machine: "bomb", Payload: []byte(payload)})
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", payload, err, want)
		}
		var p *PanicError
		if errors.As(err, &p) && string(p.Stack) != "stack" {
			t.Errorf("%s: stack %q", payload, p.Stack)
		}
	}
}

// touchy panics where no Step runs.
type touchy struct{}

type mine struct{ N int }

func (*mine) UnmarshalCBOR([]byte) error { panic("decoder") }

func (*touchy) Step(*machine.Context, event.Event) {}
func (*touchy) Payloads() []any                    { return []any{mine{}} }

func TestWhatPanicsBesideAStepIsATypedErrorToo(t *testing.T) {
	made := 0
	reg := machine.Registry{"a": {1: func() machine.Machine { return &touchy{} }},
		"b": {1: func() machine.Machine {
			if made++; made > 1 {
				panic("constructor")
			}
			return &bomb{}
		}}}
	for name, ev := range map[string]event.Event{
		"decoder":     {Kind: event.Request, Machine: "a", Name: "mine", Version: 1, Payload: []byte{0xa0}},
		"constructor": startEvent("b", 1),
	} {
		made = 0
		d := newDriver(t, Options{Registry: reg})
		d.do(startEvent("a", 1))
		_, err := d.try(ev)
		var p *PanicError
		if !errors.As(err, &p) || p.Value != name || p.Machine != ev.Machine || p.Seq != 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABoundIsTheLastThatIsAllowed(t *testing.T) {
	reg := machine.Registry{"a": registry()["shop"], "b": registry()["shop"]}
	d := started(t, Options{Registry: reg, MaxInternal: 5})
	ev := payload(event.Request, "relay", relay{"b", 5})
	ev.Machine = "a"
	mustEqual(t, "messages inside", len(d.do(ev).Internal), 5)
}

func TestASkippedEventIsNotHandled(t *testing.T) {
	d := started(t, Options{})
	d.do(event.Event{Kind: event.Control, Name: event.ControlSkip, Payload: mustMarshal(event.SkipInfo{Seq: d.seq + 2, Reason: "poison"})})
	mustEqual(t, "outcome", d.do(message("n2", 1, 1, buy{})).Refused, "skipped: poison")
	mustEqual(t, "outcome", d.do(message("n2", 1, 2, buy{})).Refused, "")
}

func TestANewConfigurationReachesTheMachines(t *testing.T) {
	d := started(t, Options{})
	info := d.s.Start()
	info.Peers = []string{"n2"}
	d.do(event.Event{Kind: event.Control, Name: event.ControlConfig, Payload: mustMarshal(info)})
	mustEqual(t, "peers", d.shop().Status.Peers, 1)
	mustEqual(t, "sends", len(d.do(message("n2", 1, 1, buy{})).Effects), 1)
}

func TestEventsOutOfOrderAndForeignStartsAreErrors(t *testing.T) {
	d := started(t, Options{})
	if _, err := d.s.Step(event.Event{Seq: 1, Time: hlc.Max, Kind: event.Note}, 1); err == nil {
		t.Error("an old sequence number was taken")
	}
	if _, err := d.s.Step(event.Event{Seq: 9, Time: 1, Kind: event.Note}, 1); err == nil {
		t.Error("an old Timestamp was taken")
	}
	other := newDriver(t, Options{Node: "n2"})
	if _, err := other.try(startEvent("shop", 1)); err == nil || !strings.Contains(err.Error(), `node "n1", this is node "n2"`) {
		t.Errorf("a foreign start: %v", err)
	}
}

func TestNewSaysWhatCannotRun(t *testing.T) {
	make := func(m machine.Machine) machine.Versions {
		return machine.Versions{1: func() machine.Machine { return m }}
	}
	for want, o := range map[string]Options{
		"need a Node":                    {},
		"reserved logs node and net":     {Node: "n", Registry: machine.Registry{"node": make(&shop{})}},
		"its constructor returned nil":   {Node: "n", Registry: machine.Registry{"a": make(nil)}},
		"pointer to a struct":            {Node: "n", Registry: machine.Registry{"a": make(value{})}},
		"F: a func() can't be recorded":  {Node: "n", Registry: machine.Registry{"a": make(&unrecordable{})}},
		"no version 3 of machine \"shop": {Node: "n", Registry: registry(), Versions: map[string]uint32{"shop": 3}},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

type value struct{}

func (value) Step(*machine.Context, event.Event) {}

type unrecordable struct{ F func() }

func (*unrecordable) Step(*machine.Context, event.Event) {}

// text shows a Value for comparison.
func text(v event.Value) string {
	switch v.Type() {
	case event.TypeMap:
		var parts []string
		for k, e := range v.AsMap().All() {
			parts = append(parts, strings.Trim(text(k), `"`)+": "+text(e))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case event.TypeString:
		return fmt.Sprintf("%q", v.AsString())
	case event.TypeInt:
		n, _ := v.AsInt()
		return fmt.Sprint(n)
	case event.TypeTime:
		return v.AsTime().String()
	case event.TypeList, event.TypeSet:
		var parts []string
		for _, m := range v.Members() {
			parts = append(parts, text(m))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return v.Type().String()
}

func TestEventsAreShownByWhatTheyCarry(t *testing.T) {
	d := newDriver(t, Options{})
	for _, c := range []struct {
		ev   event.Event
		want string
	}{
		{event.Event{Kind: event.Note, Name: event.NoteLink, Payload: mustMarshal(event.NoteInfo{Peer: "n2", State: "down"})}, `{peer: "n2", state: "down"}`},
		{upgradeEvent("shop", 1, 2), `{build: "", from: 1, to: 2}`},
		{event.Event{Kind: event.Control, Name: event.ControlPromise}, "absent"},
		{event.Event{Kind: event.Refused, Payload: []byte("why")}, `"why"`},
		{payload(event.Timer, "tick", tick{2}), "{n: 2}"},
		{event.Event{Kind: event.Request, Machine: "nobody", Name: "x", Payload: []byte("raw")}, `"raw"`},
	} {
		mustEqual(t, c.ev.Kind.String(), text(d.s.Data(c.ev)), c.want)
	}
	mustEqual(t, "a log line", text(d.s.EffectData(event.Effect{Kind: event.EffectLog, Name: "info", Payload: []byte("hi")})), `"hi"`)
}

// large holds a plain map of the size that a request asks for.
type large struct {
	M map[int]int
	N int
}

func (l *large) Step(_ *machine.Context, ev event.Event) {
	l.M = map[int]int{}
	for l.N = range len(ev.Payload) {
		l.M[l.N] = l.N
	}
}

func TestALargePlainMapIsShownOnDemand(t *testing.T) {
	reg := machine.Registry{"l": {1: func() machine.Machine { return &large{} }}}
	request := func(n int) event.Event {
		return event.Event{Kind: event.Request, Machine: "l", Payload: make([]byte, n)}
	}
	for name, walk := range map[string]func(string) bool{"left": nil, "walked": func(v string) bool { return v == "l.m" }} {
		c := &changes{}
		d := started(t, Options{Registry: reg, OnChange: c, Walk: walk})
		d.do(request(2))
		mustEqual(t, name+" when small", c.present()["l.m"], "{0: 0, 1: 1}")
		d.do(request(1000))
		back := restored(t, d.checkpoint(), Options{Registry: reg, OnChange: &changes{}, Walk: walk})
		for _, s := range []*Stepper{d.s, back.s} {
			mustEqual(t, "materialised", s.Materialize("l.m").Len(), 1000)
			_, shown := variables(s)["l.m"]
			mustEqual(t, name+": among the variables", shown, walk != nil)
			mustEqual(t, name+": bulky", fmt.Sprint(s.Bulky()), map[bool]string{true: "[]", false: "[l.m]"}[shown])
		}
		if walk == nil {
			mustEqual(t, "changes say it is gone", c.present()["l.m"], "")
			mustEqual(t, "and why", fmt.Sprint(c.bulky), "[l.m]")
			continue
		}
		mustEqual(t, "bulky, when walked", len(c.bulky), 0)
		mustEqual(t, "changes", c.present()["l.m"], text(d.s.Materialize("l.m")))
		c.take()
		d.do(request(999))
		mustEqual(t, "changes of an entry", fmt.Sprint(c.take()), "[l.m[999] = absent l.n = 998]")
	}
}

// changes records what Options.OnChange is told.
type changes struct {
	log   []string
	vars  map[string]event.Value
	bulky []string
}

func (c *changes) Bulky(name string) { c.bulky = append(c.bulky, name) }

func (c *changes) Change(name string, path []event.Value, v event.Value) {
	if c.vars == nil {
		c.vars = map[string]event.Value{}
	}
	s := name
	for _, k := range path {
		s += "[" + strings.Trim(text(k), `"`) + "]"
	}
	c.log = append(c.log, s+" = "+text(v))
	c.vars[name] = setAt(c.vars[name], path, v)
}

func setAt(v event.Value, path []event.Value, to event.Value) event.Value {
	if len(path) == 0 {
		return to
	}
	return event.MapOf(v.AsMap().With(path[0], setAt(v.Index(path[0]), path[1:], to)))
}

func (c *changes) take() []string {
	l := c.log
	c.log = nil
	return l
}

// present are the variables that aren't absent, as text.
func (c *changes) present() map[string]string {
	out := map[string]string{}
	for n, v := range c.vars {
		if !v.IsAbsent() {
			out[n] = text(v)
		}
	}
	return out
}

func variables(s *Stepper) map[string]string {
	out := map[string]string{}
	s.Variables(func(n string, v event.Value) { out[n] = text(v) })
	return out
}

func TestChangesTellWhatAnEventTouched(t *testing.T) {
	c := &changes{}
	d := started(t, Options{OnChange: c})
	c.take()
	d.do(message("n2", 1, 1, buy{"k", "apple"}))
	now := d.now.String()
	lucky := fmt.Sprint(d.shop().Lucky)
	want := []string{`shop.orders[k] = {item: "apple", n: 1}`, `shop.open = ["k"]`, `shop.log[0] = "apple"`, `shop.count = 1`,
		`shop.lucky = ` + lucky, `shop.last = ` + now}
	if got := c.take(); !slices.Equal(got, want) {
		t.Fatalf("changes %q, want %q", got, want)
	}
	d.do(message("n2", 1, 2, &drop{Key: "k"}))
	want = []string{`shop.orders[k] = absent`, `shop.open = []`, `shop.last = ` + d.now.String(), `shop.notes = ["k"]`}
	if got := c.take(); !slices.Equal(got, want) {
		t.Fatalf("changes %q, want %q", got, want)
	}
	if got := variables(d.s); !maps.Equal(got, c.present()) {
		t.Fatalf("variables %v, changes gave %v", got, c.present())
	}
}
