package node

import (
	"errors"
	"io"
	"strings"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine"
	"hindcast.dev/recording"
	"hindcast.dev/replay"
	"hindcast.dev/vfs"
)

// A shop tells other nodes its prices. Version 2 of it tells the currency too, in
// version 2 of the payload.
type (
	PriceOne struct {
		Item  string
		Cents int64
	}
	PriceTwo struct {
		Item     string
		Cents    int64
		Currency string
	}
	Announce struct { // a request: tell To the price
		To, Item string
		Cents    int64
	}
)

func (PriceOne) PayloadName() string   { return "Price" }
func (PriceTwo) PayloadName() string   { return "Price" }
func (PriceTwo) SchemaVersion() uint32 { return 2 }

type shopOne struct {
	Prices  machine.Map[string, int64]
	Refused machine.List[string] // what came back, and why
}

func (*shopOne) Payloads() []any { return []any{PriceOne{}, Announce{}} }

func (s *shopOne) Step(ctx *machine.Context, ev event.Event) {
	if ev.Kind == event.Refused {
		s.Refused.Append(ev.Name + ": " + string(ev.Payload))
		return
	}
	switch m := ev.Body.(type) {
	case PriceOne:
		s.Prices.Put(m.Item, m.Cents)
	case Announce:
		ctx.Send(m.To, "shop", PriceOne{m.Item, m.Cents})
		ctx.Reply(ev.ID, nil)
	}
}

type shopTwo struct {
	Prices  machine.Map[string, int64]
	Refused machine.List[string]
	Last    string // currency
}

func (*shopTwo) Payloads() []any { return []any{PriceTwo{}, Announce{}} }

func (s *shopTwo) Step(ctx *machine.Context, ev event.Event) {
	if ev.Kind == event.Refused {
		s.Refused.Append(ev.Name + ": " + string(ev.Payload))
		return
	}
	switch m := ev.Body.(type) {
	case PriceTwo:
		s.Prices.Put(m.Item, m.Cents)
		s.Last = m.Currency
	case Announce:
		ctx.Send(m.To, "shop", PriceTwo{m.Item, m.Cents, "EUR"})
		ctx.Reply(ev.ID, nil)
	}
}

func shops(versions uint32) machine.Registry {
	v := machine.Versions{1: func() machine.Machine { return &shopOne{} }}
	if versions == 2 {
		v[2] = func() machine.Machine { return &shopTwo{} }
	}
	return machine.Registry{"shop": v}
}

func announce(t *testing.T, from *Node, to, item string, cents int64) {
	t.Helper()
	if _, err := from.Client().Do(within(t, patience), "shop", Announce{to, item, cents}); err != nil {
		t.Fatalf("Announce: %v", err)
	}
}

// look reads a shop's state on its loop.
func look(t *testing.T, n *Node) (prices map[string]int64, refused []string, currency string) {
	t.Helper()
	prices = map[string]int64{}
	err := n.control(within(t, patience), func() {
		switch s := n.loop.Stepper().Machine("shop").(type) {
		case *shopOne:
			for k, v := range s.Prices.All() {
				prices[k] = v
			}
			for _, r := range s.Refused.All() {
				refused = append(refused, r)
			}
		case *shopTwo:
			currency = s.Last
			for k, v := range s.Prices.All() {
				prices[k] = v
			}
			for _, r := range s.Refused.All() {
				refused = append(refused, r)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return prices, refused, currency
}

// hears waits until a node has a price.
func hears(t *testing.T, n *Node, item string, cents int64) {
	t.Helper()
	eventually(t, n, "the price of "+item, func() bool { p, _, _ := look(t, n); return p[item] == cents })
}

// TestAClusterOfTwoVersionsWorks upgrades one of three nodes, then a second one.
// What the new version sends carries its schema version; who doesn't know it
// refuses it, once, and the sender's machine is told.
func TestAClusterOfTwoVersionsWorks(t *testing.T) {
	nodes := cluster(t, []string{"n1", "n2", "n3"}, func(o *Options) { o.Registry = shops(1) })
	upgrade := func(name string) {
		t.Helper()
		seq, err := nodes[name].Checkpoint(within(t, patience)) // of version 1, for version 2
		if err != nil {
			t.Fatal(err)
		}
		stop(t, nodes[name])
		o := nodes[name].o
		o.Registry = shops(2)
		nodes[name] = start(t, o)
		eventually(t, nodes[name], "the upgrade", func() bool { return nodes[name].Status().Machines["shop"] == 2 })
		if got := nodes[name].Status().Loop.Replayed; got >= seq {
			t.Errorf("%s replayed %d events: it didn't begin with the checkpoint at %d", name, got, seq)
		}
		for _, n := range nodes {
			linked(t, n)
		}
	}
	announce(t, nodes["n1"], "n3", "tea", 100)
	hears(t, nodes["n3"], "tea", 100)
	upgrade("n3")

	// Old to new, and between the old ones: taken. The state came along.
	// More than once: n1 may not have noticed yet that n3's old connection is gone.
	eventually(t, nodes["n3"], "the price of rice", func() bool {
		announce(t, nodes["n1"], "n3", "rice", 200)
		p, _, _ := look(t, nodes["n3"])
		return p["rice"] == 200
	})
	announce(t, nodes["n1"], "n2", "rice", 200)
	hears(t, nodes["n2"], "rice", 200)
	if p, _, _ := look(t, nodes["n3"]); p["tea"] != 100 {
		t.Fatalf("the upgraded node lost its state: %v", p)
	}

	// New to old: refused, counted on both sides, told to the sender's machine.
	announce(t, nodes["n3"], "n1", "salt", 300)
	announce(t, nodes["n3"], "n2", "salt", 300)
	eventually(t, nodes["n3"], "both refusals", func() bool { return nodes["n3"].Status().Loop.Refusals == 2 })
	for _, name := range []string{"n1", "n2"} {
		if s := nodes[name].Status().Loop; s.Refused != 1 || s.Refusals != 0 {
			t.Errorf("%s refused %d and was refused %d, want 1 and 0", name, s.Refused, s.Refusals)
		}
		if p, _, _ := look(t, nodes[name]); p["salt"] != 0 {
			t.Errorf("%s took what it doesn't know: %v", name, p)
		}
	}
	_, refused, _ := look(t, nodes["n3"])
	if len(refused) != 2 || !strings.Contains(refused[0], `payload "Price" has schema version 2, this node knows up to 1: upgrade it first`) {
		t.Fatalf("n3's machine was told %q", refused)
	}

	upgrade("n1")
	announce(t, nodes["n3"], "n1", "salt", 300)
	hears(t, nodes["n1"], "salt", 300)
	if _, _, currency := look(t, nodes["n1"]); currency != "EUR" {
		t.Errorf("the new field came as %q", currency)
	}
	for _, n := range nodes {
		stop(t, n)
	}
	checkRollback(t, nodes["n3"].o)
	frames := map[string][]record.Frame{}
	for name, n := range nodes {
		frames[name] = framesOf(t, n)
	}
	checkVersions(t, frames)
	checkCluster(t, nodes, shops(2))
}

// checkRollback starts version 1 where version 2 ran.
func checkRollback(t *testing.T, o Options) {
	t.Helper()
	o.Registry = shops(1)
	if n, err := Start(t.Context(), o); err == nil {
		n.Stop(ended())
		t.Error("version 1 started on the journal of version 2")
	} else if ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), "version 2") || !strings.Contains(err.Error(), "version 1") {
		t.Errorf("version 1 on the journal of version 2: exit code %d, %v", ExitCode(err), err)
	}
}

// checkVersions counts what is in the journals: each message with its schema
// version, and each refusal once, so that nothing was answered in a circle.
func checkVersions(t *testing.T, frames map[string][]record.Frame) {
	t.Helper()
	for name, want := range map[string]struct{ one, two, refused int }{
		"n1": {0, 2, 0}, // n3's two, one before the upgrade
		"n2": {1, 1, 0},
		"n3": {2, 0, 2},
	} {
		one, two, refused := 0, 0, 0
		for _, f := range frames[name] {
			switch {
			case f.Kind == event.Refused:
				refused++
			case f.Kind == event.Message && f.Version == 1:
				one++
			case f.Kind == event.Message && f.Version == 2:
				two++
			}
		}
		if name == "n3" { // the price of rice was announced to it until it was heard
			one = min(one, want.one)
		}
		if one != want.one || two != want.two || refused != want.refused {
			t.Errorf("%s's journal has %d messages of version 1, %d of version 2 and %d refusals, want %+v", name, one, two, refused, want)
		}
	}
}

// A refusal that finds nobody is refused itself, and that ends it.
func TestARefusalIsNotRefusedBack(t *testing.T) {
	nodes := cluster(t, []string{"n1", "n2"}, func(o *Options) { o.Registry = shops(1) })
	n1, n2 := nodes["n1"], nodes["n2"]
	f := record.Frame{Kind: event.Refused, Machine: "nobody", From: "shop", Name: "Price", Version: 2,
		ID: event.MessageID{Node: "n2", Boot: 1, Seq: 1}, Payload: []byte("no")}
	if err := n1.loop.Offer(&f); err != nil {
		t.Fatal(err)
	}
	eventually(t, n1, "the refusal", func() bool { return n1.Status().Loop.Refused == 1 })
	announce(t, n1, "n2", "tea", 1) // comes after whatever n1 sent before
	hears(t, n2, "tea", 1)
	for name, n := range nodes {
		stop(t, n)
		for _, f := range framesOf(t, n) {
			if f.Kind == event.Refused && name != "n1" {
				t.Errorf("%s got %+v", name, f)
			}
		}
	}
}

// framesOf are all frames of a stopped node's journal.
func framesOf(t *testing.T, n *Node) (out []record.Frame) {
	t.Helper()
	eachEntry(t, n, func(e journal.Entry) {
		f := e.Frame
		f.Payload, f.Baggage = nil, nil // the reader's
		out = append(out, f)
	})
	return out
}

// eachEntry reads a node's journal.
func eachEntry(t *testing.T, n *Node, see func(journal.Entry)) {
	t.Helper()
	r, err := journal.OpenReader(n.o.FS, n.dirs.journal, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		see(e)
	}
}

// checkCluster replays stopped nodes: no divergence, and every message received
// after it was sent.
func checkCluster(t *testing.T, nodes map[string]*Node, reg machine.Registry) *replay.Causality {
	t.Helper()
	rec, err := recording.Create(vfs.OS(), t.TempDir()+"/recording", recording.Manifest{Service: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range nodes {
		if err := rec.CopyNode(t.Context(), recording.Node{Name: name}, vfs.OS(), n.o.Dir, recording.CopyOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := replay.Recording(t.Context(), rec, replay.Options{Registry: reg, Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Source.Close()
	if out.Divergence() != nil || len(out.Warnings) > 0 {
		t.Errorf("replay: %v, %v", out.Divergence(), out.Warnings)
	}
	c, err := replay.CheckCausality(t.Context(), out.Source)
	if err != nil || len(c.Violations) > 0 || c.Messages == 0 {
		t.Errorf("causality: %+v, %v", c, err)
	}
	return c
}
