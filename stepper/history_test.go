package stepper

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
)

// drawEvent makes up any event, or fires the next timer.
func drawEvent(t *rapid.T, d *driver) event.Event {
	key := rapid.SampledFrom([]string{"a", "b", "c", "cancel"}).Draw(t, "key")
	from := rapid.SampledFrom([]string{"n2", "n3"}).Draw(t, "from")
	boot, seq := rapid.Uint64Range(1, 2).Draw(t, "boot"), rapid.Uint64Range(1, 30).Draw(t, "seq")
	var ev event.Event
	switch rapid.IntRange(0, 6).Draw(t, "event") {
	case 0:
		ev = payload(event.Request, "buy", buy{key, "item"})
		ev.ID = event.MessageID{Node: "n1.client", Boot: 1, Seq: d.seq}
	case 1, 2:
		ev = message(from, boot, seq, buy{key, "item"})
	case 3:
		ev = message(from, boot, seq, &drop{Key: key})
	case 4, 5:
		at, timer, ok := d.s.NextTimer()
		if !ok {
			return event.Event{Kind: event.Note, Name: event.NoteLink}
		}
		d.now, ev = max(d.now, at), timer
	case 6:
		ev = payload(event.Request, "relay", relay{"other", rapid.IntRange(0, 4).Draw(t, "hops")})
	}
	ev.Baggage = []byte(key)
	return ev
}

func twoShops() machine.Registry {
	return machine.Registry{"shop": registry()["shop"], "other": registry()["shop"]}
}

// recordRun steps a made-up history and returns its events and the chain after each.
func recordRun(t *rapid.T, d *driver, n int) (events []event.Event, chains []uint64) {
	for range n {
		ev := drawEvent(t, d)
		d.do(ev)
		ev.Seq, ev.Time = d.seq, d.now
		events, chains = append(events, ev), append(chains, d.s.Chain())
	}
	return events, chains
}

func TestACheckpointGoesOnWhereItWasMade(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &changes{}
		d := started(t, Options{Registry: twoShops(), OnChange: c})
		n := rapid.IntRange(0, 30).Draw(t, "events")
		recordRun(t, d, n)
		cp, err := d.s.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		c2 := &changes{vars: map[string]event.Value{}}
		back, err := Restore(Options{Node: "n1", Registry: twoShops(), OnChange: c2}, cp)
		if err != nil {
			t.Fatal(err)
		}
		if len(c2.log) != 0 {
			t.Fatalf("restoring reported %v", c2.log)
		}
		back.Variables(func(n string, v event.Value) { c2.vars[n] = v })
		if again, err := back.Checkpoint(); err != nil || !bytes.Equal(again, cp) {
			t.Fatalf("a restored stepper has another checkpoint: %v", err)
		}
		if back.Seq() != d.s.Seq() || back.Time() != d.s.Time() || !reflect.DeepEqual(back.Start(), d.s.Start()) {
			t.Fatal("sequence number, time or configuration changed")
		}
		events, chains := recordRun(t, d, rapid.IntRange(0, 20).Draw(t, "more"))
		for i, ev := range events {
			if _, err := back.Step(ev, 1); err != nil || back.Chain() != chains[i] {
				t.Fatalf("event %d: chain %016x, want %016x, %v", ev.Seq, back.Chain(), chains[i], err)
			}
		}
		if got, want := variables(back), variables(d.s); !maps.Equal(got, want) {
			t.Fatalf("variables %v, want %v", got, want)
		}
		for _, c := range []*changes{c, c2} {
			if got, want := c.present(), variables(d.s); !maps.Equal(got, want) {
				t.Fatalf("changes add up to %v, want %v", got, want)
			}
		}
	})
}

func TestTheSameEventsDoTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := started(t, Options{Registry: twoShops()})
		first := d.s.Chain()
		events, chains := recordRun(t, d, rapid.IntRange(1, 30).Draw(t, "events"))
		other := started(t, Options{Registry: twoShops(), OnChange: &changes{}, Walk: func(string) bool { return true }})
		if other.s.Chain() != first {
			t.Fatal("the starts have two chains")
		}
		for i, ev := range events {
			if _, err := other.s.Step(ev, 1); err != nil || other.s.Chain() != chains[i] {
				t.Fatalf("event %d: chain %016x, want %016x, %v", ev.Seq, other.s.Chain(), chains[i], err)
			}
		}
		if !maps.Equal(d.s.Digests(), other.s.Digests()) {
			t.Fatal("the full digests differ")
		}
	})
}

// The chain is part of the journal's format: it must not change from build to
// build or from platform to platform.
func TestTheChainIsTheSameEverywhere(t *testing.T) {
	d := started(t, Options{Registry: twoShops()})
	d.do(message("n2", 1, 1, buy{"k", "apple"}))
	d.fire()
	d.do(message("n2", 1, 1, buy{"k", "apple"}))
	mustEqual(t, "chain", fmt.Sprintf("%016x", d.s.Chain()), "25a6e2e895721f36")
}

// timerModel is a slow table of timers.
type timerModel []event.Effect

func (m *timerModel) remove(machine, name string) {
	*m = slices.DeleteFunc(*m, func(e event.Effect) bool { return e.Machine == machine && e.Timer == name })
}

func TestTimersDoWhatASortedTableWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ts := newTimers()
		var model timerModel
		var offered []event.MessageID
		seq := uint64(0)
		name := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		waiting := func() []event.Effect {
			var w []event.Effect
			for _, e := range model {
				if !slices.Contains(offered, e.ID) {
					w = append(w, e)
				}
			}
			slices.SortFunc(w, func(a, b event.Effect) int { return compareTimers(&a, &b) })
			return w
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				seq++
				e := event.Effect{Machine: name.Draw(t, "machine"), Timer: name.Draw(t, "name"),
					At: hlc.Timestamp(rapid.IntRange(0, 5).Draw(t, "at")), ID: event.MessageID{Node: "n", Seq: seq}}
				before := len(model)
				model.remove(e.Machine, e.Timer)
				if replaced := ts.set(&e); replaced != (len(model) < before) {
					t.Fatalf("replaced is %v", replaced)
				}
				model = append(model, e)
			},
			"cancel": func(t *rapid.T) {
				m, n := name.Draw(t, "machine"), name.Draw(t, "name")
				ts.cancel(m, n)
				model.remove(m, n)
			},
			"offer": func(t *rapid.T) {
				if next := ts.next(); next != nil {
					offered = append(offered, next.ID)
					ts.offered(next.ID)
				}
			},
			"fire": func(t *rapid.T) {
				id := event.MessageID{Node: "n", Seq: rapid.Uint64Range(0, seq).Draw(t, "seq")}
				m, n := name.Draw(t, "machine"), name.Draw(t, "name")
				want := slices.ContainsFunc(model, func(e event.Effect) bool { return e.ID == id && e.Machine == m && e.Timer == n })
				if ts.fire(m, n, id) != want {
					t.Fatalf("fired %s %s %s: %v", m, n, id, !want)
				}
				if want {
					model.remove(m, n)
				}
			},
			"": func(t *rapid.T) {
				w := waiting()
				next := ts.next()
				if (next != nil) != (len(w) > 0) || next != nil && next.ID != w[0].ID {
					t.Fatalf("next is %v, want %v", next, w)
				}
				if ts.len() != len(model) || len(ts.waiting) != len(w) {
					t.Fatalf("%d timers, %d waiting; want %d and %d", ts.len(), len(ts.waiting), len(model), len(w))
				}
			},
		})
	})
}

// sends is how a machine that can't be replayed goes wrong.
type sends struct {
	Targets map[string]bool
	Stamp   int64
	N       int
	bad     func(m *sends, ctx *machine.Context) (did string)
	did     *[]string // what it did at each event
}

func (s *sends) Step(ctx *machine.Context, ev event.Event) {
	did := ""
	if string(ev.Payload) == "bad" {
		did = s.bad(s, ctx)
	}
	if ev.Kind == event.Request {
		*s.did = append(*s.did, did)
	}
}

// firstDivergence steps the same events twice and returns the sequence number of
// the first event after which the chains differ, and of the first at which the
// machine did something else: two runs over a Go map may happen to be alike. 0 is
// none.
func firstDivergence(t *testing.T, targets map[string]bool, bad func(*sends, *machine.Context) string) (caught, real uint64) {
	run := func() (chains []uint64, did []string) {
		fresh := func() machine.Machine { return &sends{Targets: targets, bad: bad, did: &did} }
		d := started(t, Options{Registry: machine.Registry{"m": {1: fresh}}})
		for i := range 20 {
			p := "good"
			if i >= 10 {
				p = "bad"
			}
			d.do(event.Event{Kind: event.Request, Machine: "m", Payload: []byte(p)})
			chains = append(chains, d.s.Chain())
		}
		return chains, did
	}
	first, did := run()
	second, didNow := run()
	for i := range first {
		seq := uint64(i) + 2 // the start came before
		if caught == 0 && first[i] != second[i] {
			caught = seq
		}
		if real == 0 && did[i] != didNow[i] {
			real = seq
		}
	}
	return caught, real
}

func TestMachinesThatCannotBeReplayedAreCaughtAtTheFirstEventThatDiffers(t *testing.T) {
	targets := map[string]bool{}
	for i := range 64 {
		targets[fmt.Sprint("n", i+10)] = true
	}
	global := 0
	for name, bad := range map[string]func(*sends, *machine.Context) string{
		"ranges over a Go map when sending": func(m *sends, ctx *machine.Context) (did string) {
			for n := range m.Targets {
				ctx.Send(n, "m", nil)
				did += n + " "
			}
			return did
		},
		"reads the wall clock into state": func(m *sends, _ *machine.Context) string {
			m.Stamp = time.Now().UnixNano()
			return fmt.Sprint(m.Stamp)
		},
		"keeps state in a global": func(m *sends, _ *machine.Context) string {
			global++
			m.N = global
			return fmt.Sprint(global)
		},
	} {
		caught, real := firstDivergence(t, targets, bad)
		if real < 12 || caught != real {
			t.Errorf("%s: caught at event %d, it first did something else at %d", name, caught, real)
		}
	}
	good := func(m *sends, ctx *machine.Context) string { m.N++; ctx.Send("n2", "m", nil); return "" }
	if caught, real := firstDivergence(t, targets, good); caught != 0 || real != 0 {
		t.Errorf("a good machine: caught at %d, differs at %d", caught, real)
	}
}

// stock is the second and third version of the shop. Version 2 takes the fields
// over by name, version 3 does so itself.
type stock struct {
	Orders machine.Map[string, order]
	Count  int64
	Extra  string
}

func (s *stock) Step(ctx *machine.Context, ev event.Event) { s.Count += 100 }
func (*stock) Payloads() []any                             { return []any{buy{}} }

type stock3 struct{ Total int64 }

func (s *stock3) Step(*machine.Context, event.Event) { s.Total += 1000 }

func (s *stock3) UpgradeFrom(old machine.Machine) error {
	switch old := old.(type) {
	case *stock:
		s.Total = old.Count
		return nil
	}
	return fmt.Errorf("can't take over a %T", old)
}

func versions(vs ...uint32) machine.Registry {
	all := machine.Versions{
		1: func() machine.Machine { return &shop{} },
		2: func() machine.Machine { return &stock{Extra: "new"} },
		3: func() machine.Machine { return &stock3{} },
	}
	maps.DeleteFunc(all, func(v uint32, _ func() machine.Machine) bool { return !slices.Contains(vs, v) })
	return machine.Registry{"shop": all}
}

func restored(t *testing.T, cp []byte, o Options) *driver {
	t.Helper()
	o.Node = "n1"
	s, err := Restore(o, cp)
	if err != nil {
		t.Fatal(err)
	}
	return &driver{t: t, s: s, seq: s.Seq(), now: s.Time()}
}

func (d *driver) checkpoint() []byte {
	b, err := d.s.Checkpoint()
	if err != nil {
		d.t.Fatalf("%v", err)
	}
	return b
}

func TestAnOldCheckpointGoesThroughItsUpgrades(t *testing.T) {
	old := started(t, Options{Registry: versions(1)})
	old.do(message("n2", 1, 1, buy{"k", "apple"}))
	cp := old.checkpoint()
	for name, reg := range map[string]machine.Registry{"with": versions(1, 2), "without": versions(2)} {
		c := &changes{vars: map[string]event.Value{}}
		d := restored(t, cp, Options{Registry: reg, OnChange: c})
		d.s.Variables(func(n string, v event.Value) { c.vars[n] = v })
		mustEqual(t, name+" the old code: upgrades", fmt.Sprint(d.s.Upgrades()), "[{shop 1 2}]")
		d.do(upgradeEvent("shop", 1, 2))
		mustEqual(t, "upgrades", len(d.s.Upgrades()), 0)
		m := d.s.Machine("shop").(*stock)
		if o, _ := m.Orders.Get("k"); o.Item != "apple" || m.Count != 1 || m.Extra != "new" || d.s.Version("shop") != 2 {
			t.Fatalf("upgraded to %v %v", o, m)
		}
		if got, want := c.present(), variables(d.s); !maps.Equal(got, want) {
			t.Fatalf("changes add up to %v, want %v", got, want)
		}
		again := restored(t, d.checkpoint(), Options{Registry: reg})
		for _, d := range []*driver{d, again} {
			d.do(message("n2", 1, 2, buy{}))
		}
		mustEqual(t, "chain", again.s.Chain(), d.s.Chain())
	}
}

func TestAMachineTakesOverItself(t *testing.T) {
	d := newDriver(t, Options{Registry: versions(1, 2, 3)})
	d.do(startEvent("shop", 2))
	d.do(message("n2", 1, 1, buy{}))
	mustEqual(t, "runs", d.s.Version("shop"), 2)
	d.do(upgradeEvent("shop", 2, 3))
	mustEqual(t, "taken over", d.s.Machine("shop").(*stock3).Total, 200)
}

func TestUpgradesThatCannotBeDoneSayWhy(t *testing.T) {
	v1 := started(t, Options{Registry: versions(1)}).checkpoint()
	for _, c := range []struct {
		reg  machine.Registry
		ev   event.Event
		want string
	}{
		{versions(1, 3), upgradeEvent("shop", 1, 2), `this build has no version 2 of machine "shop" (it has [1 3]): use a build that has both, or the one that wrote it`},
		{versions(1, 2), upgradeEvent("shop", 1, 3), `machine shop has state of version 3 and would be rolled back to version 2: run version 3 or later, or start from an older checkpoint`},
		{versions(1, 2), upgradeEvent("shop", 2, 3), `upgrade of machine shop from version 2 to 3: it runs at version 1`},
		{versions(1, 2), upgradeEvent("shop", 1, 1), `machine shop has state of version 1 and would be rolled back to version 1: run version 1 or later, or start from an older checkpoint`},
		{versions(1, 2), upgradeEvent("bank", 1, 2), `upgrade of machine bank from version 1 to 2: it hasn't started`},
		{versions(1, 3), upgradeEvent("shop", 1, 3), `upgrade of machine shop from version 1 to 3: can't take over a *stepper.shop`},
		{versions(3), upgradeEvent("shop", 1, 3), `this build has no version 1 of machine "shop" (it has [3]): use a build that has both, or the one that wrote it`},
		{versions(2), message("n2", 1, 1, buy{}), `this build has no version 1 of machine "shop" (it has [2]): use a build that has both, or the one that wrote it`},
	} {
		d := restored(t, v1, Options{Registry: c.reg})
		if _, err := d.try(c.ev); err == nil || err.Error() != c.want {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
}

func TestRollingBackIsRefusedWithBothVersions(t *testing.T) {
	v2 := started(t, Options{Registry: versions(1, 2)}).checkpoint()
	want := "machine shop has state of version 2 and would be rolled back to version 1: run version 2 or later, or start from an older checkpoint"
	for _, o := range []Options{{Registry: versions(1)}, {Registry: versions(1, 2), Versions: map[string]uint32{"shop": 1}}} {
		o.Node = "n1"
		if _, err := Restore(o, v2); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := Restore(Options{Node: "n1", Registry: machine.Registry{"bank": versions(1)["shop"]}}, v2); err == nil ||
		err.Error() != `this build has no machine "shop", which the journal or checkpoint needs at version 2: use the build that wrote it` {
		t.Errorf("a missing machine: %v", err)
	}
}

var update = flag.Bool("update", false, "rewrite the golden files")

// A checkpoint that an older build of this package wrote is read by this one,
// and written the same: its format doesn't change by accident.
func TestTheGoldenCheckpointIsReadAndGoesThroughItsUpgrade(t *testing.T) {
	const file = "testdata/checkpoint-1.cbor"
	d := started(t, Options{Registry: versions(1)})
	d.do(message("n2", 1, 1, buy{"k", "apple"}))
	d.do(message("n3", 4, 1, &drop{Key: "q"}))
	if *update {
		if err := os.WriteFile(file, d.checkpoint(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(d.checkpoint(), golden) {
		t.Errorf("the format changed: the checkpoint is\n%x, golden is\n%x", d.checkpoint(), golden)
	}
	back := restored(t, golden, Options{Registry: versions(1, 2)})
	mustEqual(t, "chain", back.s.Chain(), d.s.Chain())
	mustEqual(t, "upgrades", fmt.Sprint(back.s.Upgrades()), "[{shop 1 2}]")
	back.do(upgradeEvent("shop", 1, 2))
	mustEqual(t, "state", fmt.Sprint(variables(back.s)),
		`map[shop.count:1 shop.extra:"new" shop.orders:{k: {item: "apple", n: 1}}]`)
	at, ev, ok := back.s.NextTimer()
	mustEqual(t, "timer", fmt.Sprintln(at, ev.From, ev.ID, ok), fmt.Sprintln((startTime+1).Add(time.Second), "tick", "n1/1/1/0", true))
	mustEqual(t, "a message that came before", back.do(message("n3", 4, 1, buy{})).Duplicate, true)
}

func TestAJournalsHigherVersionIsNotRolledBackEither(t *testing.T) {
	d := newDriver(t, Options{Registry: versions(1, 2), Versions: map[string]uint32{"shop": 1}})
	_, err := d.try(startEvent("shop", 2))
	var rollback *RollbackError
	if !errors.As(err, &rollback) || *rollback != (RollbackError{"shop", 2, 1}) {
		t.Fatalf("a start of version 2: %v", err)
	}
}

// hoard changes inside a plain map.
type hoard struct{ M map[string]int }

func (h *hoard) Step(_ *machine.Context, ev event.Event) {
	h.M = map[string]int{"a": len(ev.Payload)}
}

func TestADivergenceInsideAPlainMapIsFoundAtACheckpoint(t *testing.T) {
	reg := machine.Registry{"h": {1: func() machine.Machine { return &hoard{} }}}
	run := func(payload string) *driver {
		d := started(t, Options{Registry: reg})
		d.do(event.Event{Kind: event.Request, Machine: "h", Payload: []byte(payload)})
		return d
	}
	a, b, c := run("x"), run("x"), run("xy")
	mustEqual(t, "the chain of lengths", a.s.Chain(), c.s.Chain())
	for other, want := range map[*driver]string{b: "[]", c: "[h]"} {
		got, err := a.s.DiffersFrom(other.checkpoint())
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("differs in %v, %v, want %s", got, err, want)
		}
	}
	a.do(event.Event{Kind: event.Note})
	if _, err := a.s.DiffersFrom(b.checkpoint()); err == nil {
		t.Error("two events were compared")
	}
}

// coder has an encoding of its own, which loses Lost.
type coder struct{ Kept, Lost int }

func (c *coder) Step(*machine.Context, event.Event) { c.Kept++ }
func (c *coder) EncodeState() ([]byte, error)       { return []byte{byte(c.Kept)}, nil }
func (c *coder) DecodeState(b []byte) error         { c.Kept = int(b[0]); return nil }
func coders(m coder) machine.Registry {
	return machine.Registry{"c": {1: func() machine.Machine { c := m; return &c }}}
}

func TestAMachinesOwnEncodingIsUsedAndChecked(t *testing.T) {
	d := started(t, Options{Registry: coders(coder{})})
	mustEqual(t, "kept", restored(t, d.checkpoint(), Options{Registry: coders(coder{})}).s.Machine("c").(*coder).Kept, 1)
	var lossy coder
	d = started(t, Options{Registry: machine.Registry{"c": {1: func() machine.Machine { lossy = coder{}; return &lossy }}}})
	lossy.Lost = 5
	cp := d.checkpoint()
	_, err := Restore(Options{Node: "n1", Registry: coders(coder{})}, cp)
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("loses exported fields")) {
		t.Fatalf("a lossy encoding: %v", err)
	}
}

func TestABadCheckpointIsNamed(t *testing.T) {
	good := started(t, Options{}).checkpoint()
	change := func(f func(*body)) []byte {
		var b body
		if err := state.UnmarshalLarge(good, &b); err != nil {
			t.Fatal(err)
		}
		f(&b)
		return mustMarshal(b)
	}
	for want, b := range map[string][]byte{
		"checkpoint: body: EOF: use the checkpoint before it":                                                              nil,
		"checkpoint: body: unexpected EOF: use the checkpoint before it":                                                   good[:len(good)-1],
		"checkpoint body of format 2, this build reads format 1: use the build that wrote it, or an older checkpoint":      change(func(b *body) { b.Format = 2 }),
		`checkpoint: it is node "n7"'s, this is node "n1": use the checkpoint before it`:                                   change(func(b *body) { b.Node = "n7" }),
		`checkpoint: machine "shop" of version 1 is out of order: use the checkpoint before it`:                            change(func(b *body) { b.Machines = append(b.Machines, b.Machines...) }),
		`checkpoint: timer "tick" of machine "shop" stands twice, or its machine is missing: use the checkpoint before it`: change(func(b *body) { b.Timers = append(b.Timers, b.Timers...) }),
		`checkpoint: machines without random state: use the checkpoint before it`:                                          change(func(b *body) { b.Rand = nil }),
	} {
		if _, err := Restore(Options{Node: "n1", Registry: registry()}, b); err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

func FuzzRestore(f *testing.F) {
	o := Options{Node: "n1", Registry: twoShops()}
	d := started(f, o)
	f.Add(d.checkpoint())
	d.do(message("n2", 1, 1, buy{"k", "apple"}))
	d.do(message("n2", 1, 2, &drop{Key: "k"}))
	d.fire()
	f.Add(d.checkpoint())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Restore(o, b)
		if err != nil {
			return
		}
		once, err := s.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Restore(o, once)
		if err != nil {
			t.Fatalf("what was restored can't be restored again: %v", err)
		}
		if twice, err := again.Checkpoint(); err != nil || !bytes.Equal(twice, once) {
			t.Fatalf("%x became %x, %v", once, twice, err)
		}
		at, ev, ok := s.NextTimer()
		if ok && s.Seq() < 1<<63 && s.Time() < hlc.Max {
			ev.Seq, ev.Time = s.Seq()+1, max(at, s.Time()+1)
			if _, err := s.Step(ev, 1); err != nil {
				t.Fatal(err)
			}
		}
	})
}
