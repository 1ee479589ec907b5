package kv

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/machine"
)

// chaos lets clients work while everything that the machine must bear happens,
// then heals, waits, and judges. It returns the world for a look at it.
func chaos(t testing.TB, seed uint64, newMachine func() machine.Machine) *world {
	w := newWorld(t, seed, newMachine)
	r := w.rng
	w.hold, w.loss = r.IntN(2) == 0, float64(r.IntN(3))*0.02
	for _, n := range w.nodes {
		n.skew = time.Duration(r.IntN(400)-200) * time.Millisecond
	}
	w.slow = func() time.Duration {
		if r.IntN(50) == 0 {
			return time.Duration(r.IntN(2000)) * time.Millisecond // slower than anybody waits for
		}
		return time.Duration(1+r.IntN(20)) * time.Millisecond
	}
	for range 400 {
		w.run(time.Duration(r.IntN(60)) * time.Millisecond)
		if n := w.nodes[r.IntN(len(w.nodes))]; n.up && !n.dying {
			w.do(n, randomRequest(r))
		}
		if r.IntN(8) == 0 {
			w.trouble()
		}
	}
	w.heal()
	w.loss = 0
	for _, n := range w.nodes {
		n.dying = false
		if !n.up {
			w.boot(n)
		}
	}
	w.run(30 * time.Second)
	w.check.converged(w)
	for _, op := range w.ops {
		w.check.fail("%s on %s, begun at %s, was never answered", fmt.Sprintf("%+v", op.body), op.at.name, op.invoked)
	}
	return w
}

func randomRequest(r *rand.Rand) any {
	key := fmt.Sprintf("%c/%d", 'a'+r.IntN(2), r.IntN(6))
	c := []Consistency{"", Fresh, Fresh, Eventual, Strict}[r.IntN(5)]
	switch r.IntN(10) {
	case 0:
		return Scan{Prefix: []string{"", "a/", "b/", "none"}[r.IntN(4)], Limit: r.IntN(8), Consistency: c}
	case 1:
		return Delete{Key: key, Consistency: c}
	case 2, 3, 4, 5:
		return Put{Key: key, Value: fmt.Sprint(r.Uint32()), Consistency: c}
	default:
		return Get{Key: key, Consistency: c}
	}
}

// trouble makes one thing worse, or better.
func (w *world) trouble() {
	r := w.rng
	n, o := w.nodes[r.IntN(3)], w.nodes[r.IntN(3)]
	switch r.IntN(8) {
	case 0:
		w.split(n)
	case 1:
		w.cut[link{n.name, o.name}] = n != o // one way
	case 2, 3:
		w.heal()
	case 4:
		if n.up {
			w.checkpoint(n)
		}
	case 5:
		n.dying = n.up
	default:
		if !n.up {
			w.boot(n)
		} else if r.IntN(3) == 0 {
			w.crash(n)
		}
	}
}

func TestPromisesHoldWhateverHappens(t *testing.T) {
	counts := map[string]int{}
	for seed := range uint64(40) {
		w := chaos(t, seed, New)
		for _, p := range w.check.problems {
			t.Errorf("seed %d: %s", seed, p)
		}
		for what, n := range w.check.counts {
			counts[what] += n
		}
	}
	// The histories must have been hard enough for all of it to happen.
	for _, what := range []string{"kv.Put fresh", "kv.Put degraded", "kv.Put eventual", "kv.Put uncertain", "kv.Put unreachable",
		"kv.Delete fresh", "kv.Delete degraded", "kv.Get fresh", "kv.Get degraded", "kv.Get eventual", "kv.Get unreachable",
		"kv.Scan fresh", "kv.Scan degraded", "kv.Scan eventual", "kv.Scan unreachable"} {
		if counts[what] < 5 {
			t.Errorf("%q happened only %d times: %v", what, counts[what], counts)
		}
	}
}

// A liar answers reads from its own copy and calls them fresh.
type liar struct{ KV }

func (l *liar) Step(ctx *machine.Context, ev event.Event) {
	if m, ok := ev.Body.(Get); ok {
		a := l.answer(ctx, Op{}, m.Key)
		ctx.Reply(ev.ID, a)
		return
	}
	l.KV.Step(ctx, ev)
}

func TestOracleFindsAMachineThatLies(t *testing.T) {
	for seed := range uint64(10) {
		w := chaos(t, seed, func() machine.Machine { return &liar{} })
		if slices.ContainsFunc(w.check.problems, func(p string) bool { return strings.HasPrefix(p, "G1") }) {
			return
		}
	}
	t.Error("stale reads that call themselves fresh go unseen")
}

func TestSameSeedGivesSameDigests(t *testing.T) {
	a, b := chaos(t, 7, New), chaos(t, 7, New)
	for i, n := range a.nodes {
		m := b.nodes[i]
		if len(n.journal) != len(m.journal) || n.st.Chain() != m.st.Chain() {
			t.Errorf("%s: %d events to chain %x, then %d events to chain %x", n.name, len(n.journal), n.st.Chain(), len(m.journal), m.st.Chain())
		}
	}
}

// Wherever a checkpoint is taken, what follows is the same as without: the index,
// which no checkpoint holds, must not show.
func TestCheckpointsChangeNothing(t *testing.T) {
	w := chaos(t, 11, New)
	for _, n := range w.nodes {
		journal, want := n.journal, maps.Collect(n.kv().Items.All())
		for at := 0; at < len(journal); at += 1 + len(journal)/8 {
			c := &vnode{name: n.name, options: n.options, journal: journal[:at]}
			w.boot(c)
			w.checkpoint(c)
			c.journal = journal
			w.boot(c) // fails if a digest comes out otherwise
			if !maps.Equal(maps.Collect(c.kv().Items.All()), want) {
				t.Errorf("%s: after a checkpoint at event %d the records come out otherwise", n.name, at)
			}
		}
	}
}
