package replay

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// rangesOverMap shows the order of a Go map in its effects.
type rangesOverMap struct {
	N       int
	entries map[int]bool
}

func (m *rangesOverMap) Payloads() []any { return []any{Put{}, Done{}} }

func (m *rangesOverMap) Step(ctx *machine.Context, _ event.Event) {
	if m.entries == nil {
		m.entries = map[int]bool{}
	}
	m.entries[m.N] = true
	m.N++
	ctx.Log("info", "%v", fmt.Sprint(keysAsTheyCome(m.entries)))
}

func keysAsTheyCome(m map[int]bool) (keys []int) {
	for k := range maps.Keys(m) {
		keys = append(keys, k)
	}
	return keys
}

// looksAtTheClock keeps the wall clock's time, from its third event on.
type looksAtTheClock struct {
	N    int
	Last int64
}

func (m *looksAtTheClock) Payloads() []any { return []any{Put{}, Done{}} }

func (m *looksAtTheClock) Step(ctx *machine.Context, _ event.Event) {
	if m.N++; m.N > 3 {
		m.Last = time.Now().UnixNano()
	}
	ctx.Log("info", "%d", m.Last)
}

// keepsAGlobal counts in a variable outside of its state.
type keepsAGlobal struct{ N int }

var global int

func (m *keepsAGlobal) Payloads() []any { return []any{Put{}, Done{}} }

func (m *keepsAGlobal) Step(ctx *machine.Context, _ event.Event) {
	global++
	m.N = global
	ctx.Log("info", "%d", m.N)
}

func TestMachineThatIsNotDeterministicIsCaughtAtTheFirstEventThatDiffers(t *testing.T) {
	for name, construct := range map[string]func() machine.Machine{
		"ranges over a Go map": func() machine.Machine { return &rangesOverMap{} },
		"looks at the clock":   func() machine.Machine { return &looksAtTheClock{} },
		"keeps a global":       func() machine.Machine { return &keepsAGlobal{} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "n1")
			r.reg = machine.Registry{"store": {1: construct}}
			r.open().put(200).stop()
			m, res := r.replayed(Options{})
			d := res.Divergence()
			if d == nil || d.Node != "n1" || d.Machine != "store" || d.Recorded == d.Now || len(res.Problems) != 1 {
				t.Fatalf("not caught: %+v", res)
			}
			first := uint64(0)
			for _, e := range allEvents(t, m) {
				for _, f := range e.Effects {
					if f.Kind == "log" && first == 0 && f.Data.AsString() != r.logs[e.Seq][0] {
						first = e.Seq
					}
				}
			}
			if first == 0 || d.Seq != first {
				t.Errorf("caught at event %d, the first that differs is %d", d.Seq, first)
			}
			n := m.Meta().Nodes[0]
			if n.Last.Seq != d.Seq || len(n.Unknown) != 1 || n.Unknown[0].From != n.Last.Time || n.Reason == "" {
				t.Errorf("from there on it isn't unknown: %+v", n)
			}
		})
	}
}

func TestDivergenceIsKnownAgainFromTheNextCheckpoint(t *testing.T) {
	r := newRig(t, "n1")
	r.reg = machine.Registry{"store": {1: func() machine.Machine { return &looksAtTheClock{} }}}
	r.every = 50
	r.open().put(60).stop()
	m, res := r.replayed(Options{})
	var diverged []uint64
	for _, p := range res.Problems {
		if d, ok := p.Err.(*stepper.DivergenceError); ok {
			diverged = append(diverged, d.Seq)
		}
	}
	// The first checkpoint comes in the second half of the fifty.
	if len(diverged) != 2 || diverged[0] > 10 || diverged[1] <= 25 {
		t.Errorf("diverged at %v: want one early, one after the checkpoint at 25 to 50", diverged)
	}
	if v, _ := at(t, m, "n1", m.Meta().Nodes[0].Last.Seq, "store.n").AsInt(); v < 20 {
		t.Errorf("store.n is %d after the checkpoint", v)
	}
}

func TestDivergenceIsRememberedWithTheHistory(t *testing.T) {
	r := newRig(t, "n1")
	r.reg = machine.Registry{"store": {1: func() machine.Machine { return &looksAtTheClock{} }}}
	r.open().put(20).stop()
	rec := recordRigs(t, vfs.NewMem(), r)
	for _, reused := range []bool{false, true} {
		out, err := Recording(t.Context(), rec, Options{Registry: r.reg, Build: "b1"})
		if err != nil {
			t.Fatal(err)
		}
		if err := out.Source.Close(); err != nil {
			t.Fatal(err)
		}
		d, ok := out.Divergence().(*stepper.DivergenceError)
		if !ok || d.Seq == 0 || out.Reused != reused || len(out.Warnings) != 1 {
			t.Errorf("reused %v: %v, %v", out.Reused, out.Divergence(), out.Warnings)
		}
	}
}
