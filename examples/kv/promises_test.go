package kv

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/machine/state"
)

// ask has a client ask and waits for the answer.
func (w *world) ask(at *vnode, body any) *operation {
	op := w.do(at, body)
	for end := w.now + 5*time.Second; op.reply == nil && w.step(end); {
	}
	if op.reply == nil {
		w.t.Fatalf("no answer to %+v", body)
	}
	return op
}

func (w *world) answer(at *vnode, body any) Answer {
	a, ok := w.ask(at, body).reply.(Answer)
	if !ok {
		w.t.Fatalf("%+v is answered with %+v", body, w.ask(at, body).reply)
	}
	return a
}

func TestG1AFreshWriteIsReadEverywhere(t *testing.T) {
	w := newWorld(t)
	for i, at := range w.nodes {
		key := fmt.Sprint("k", i)
		if a := w.answer(at, Put{Key: key, Value: "1"}); a.Consistency != Fresh {
			t.Errorf("written %+v", a)
		}
		for _, n := range w.nodes {
			if a := w.answer(n, Get{Key: key}); a.Item.Value != "1" || a.Consistency != Fresh {
				t.Errorf("%s reads %+v", n.name, a)
			}
		}
		if a := w.answer(at, Delete{Key: key}); a.Consistency != Fresh || a.Found {
			t.Errorf("deleted %+v", a)
		}
		for _, n := range w.nodes {
			if a := w.answer(n, Get{Key: key}); a.Found || a.Consistency != Fresh {
				t.Errorf("%s reads %+v after the delete", n.name, a)
			}
		}
	}
}

func TestG2AScanListsWhatIsHereAndFresh(t *testing.T) {
	w := newWorld(t)
	n1, n2 := w.nodes[0], w.nodes[1]
	for i := range 7 {
		w.ask(n2, Put{Key: fmt.Sprint("a/", i), Value: "old"})
	}
	w.ask(n2, Put{Key: "b", Value: "x"})
	w.run(3 * time.Second)
	// n1 misses this; a scan there looks it up.
	for _, o := range w.nodes[1:] {
		w.cut[link{o.name, n1.name}] = true
	}
	for i := range 7 {
		w.ask(w.primary(fmt.Sprint("a/", i)), Put{Key: fmt.Sprint("a/", i), Value: "new"})
	}
	w.ask(w.primary("a/3"), Delete{Key: "a/3"})
	clear(w.cut)
	w.queue = nil
	var got []string
	for next := "a/"; next != ""; {
		l := w.ask(n1, Scan{Prefix: "a/", From: next, Limit: 3}).reply.(Listing)
		for _, a := range l.Answers {
			got = append(got, a.Key+"="+a.Item.Value)
		}
		if l.Consistency != Fresh {
			t.Errorf("listing is %s", l.Consistency)
		}
		next = l.Next
	}
	if want := "a/0=new a/1=new a/2=new a/4=new a/5=new a/6=new"; strings.Join(got, " ") != want {
		t.Errorf("listed %s, want %s", got, want)
	}
}

func TestG3AWriteCostsOneHop(t *testing.T) {
	w := newWorld(t)
	for _, at := range w.nodes {
		for _, p := range w.nodes {
			key := w.keyAt(p)
			// The third node is away: nobody may wait for it.
			for _, o := range w.nodes {
				if o != at && o != p {
					w.split(o)
				}
			}
			op := w.ask(at, Put{Key: key, Value: "1"})
			if a := op.reply.(Answer); a.Consistency != Fresh || a.Item.Writer != p.name {
				t.Errorf("%s writes %s of %s: %+v", at.name, key, p.name, a)
			}
			hops := slices.DeleteFunc(slices.Clone(op.sent), func(e event.Effect) bool { return e.Name != "Write" && e.Name != "Written" })
			if want := map[bool]int{true: 0, false: 2}[at == p]; len(hops) != want || op.returned-op.invoked != time.Duration(want)*w.slow() {
				t.Errorf("%s writes %s of %s: %d messages there and back in %s, want %d", at.name, key, p.name, len(hops), op.returned-op.invoked, want)
			}
			w.heal()
			w.run(2 * time.Second)
		}
	}
}

func TestEachWriteReachesAllOthersByItself(t *testing.T) {
	w := newWorld(t)
	for i, at := range w.nodes {
		for j, p := range w.nodes {
			key := w.keyAt(p) + fmt.Sprint(i, j)
			for _, c := range []Consistency{Fresh, Eventual} {
				w.ask(at, Put{Key: key, Value: string(c), Consistency: c})
				w.run(2 * w.slow())
				for _, n := range w.nodes {
					if item, _ := n.kv().Items.Get(key); item.Value != string(c) {
						t.Errorf("%s wrote, %s has %+v", at.name, n.name, item)
					}
				}
			}
		}
	}
	if w.now >= tickEvery {
		t.Errorf("it took %s: the nodes may have compared what they have", w.now)
	}
}

func TestG4WithoutThePrimaryOthersGoOnAndSaySo(t *testing.T) {
	w := newWorld(t)
	n1, away := w.nodes[0], w.nodes[2]
	key := w.keyAt(away)
	w.ask(n1, Put{Key: key, Value: "old"})
	w.run(20 * time.Second)
	w.crash(away)

	// The first has to find out, the others know.
	op := w.ask(n1, Get{Key: key})
	if a := op.reply.(Answer); a.Consistency != Degraded || a.Item.Value != "old" || op.returned-op.invoked < opTimeout-time.Millisecond {
		t.Errorf("after %s: %+v", op.returned-op.invoked, a)
	}
	w.run(10 * time.Second)
	op = w.ask(n1, Get{Key: key})
	if a := op.reply.(Answer); a.Consistency != Degraded || op.returned != op.invoked || a.Age < 10*time.Second || a.Age > 13*time.Second {
		t.Errorf("after %s: %+v", op.returned-op.invoked, a)
	}
	if a := w.answer(n1, Put{Key: key, Value: "new"}); a.Consistency != Degraded || a.Item.Writer != n1.name || a.Age == 0 {
		t.Errorf("written %+v", a)
	}
	if l := w.ask(n1, Scan{}).reply.(Listing); l.Consistency != Degraded || len(l.Answers) != 1 || l.Answers[0].Consistency != Degraded {
		t.Errorf("listed %+v", l)
	}
	w.run(time.Second)
	if a := w.answer(w.nodes[1], Get{Key: key}); a.Consistency != Degraded || a.Item.Value != "new" {
		t.Errorf("the other node reads %+v", a)
	}
	if l := w.ask(n1, Scan{Prefix: "nothing"}).reply.(Listing); l.Consistency != Degraded {
		t.Errorf("what isn't here may be there: %+v", l)
	}
	for _, body := range []any{Get{Key: key, Consistency: Strict}, Put{Key: key, Value: "x", Consistency: Strict}, Scan{Consistency: Strict}} {
		if f, ok := w.ask(n1, body).reply.(Failure); !ok || f.Code != Unreachable || !strings.Contains(f.Reason, away.name) {
			t.Errorf("%+v: %+v", body, f)
		}
	}
	// Those that the others are primary of are as fresh as ever.
	if a := w.answer(n1, Put{Key: w.keyAt(w.nodes[1]), Consistency: Strict}); a.Consistency != Fresh {
		t.Errorf("written %+v", a)
	}

	w.boot(away)
	w.run(2 * time.Second)
	if a := w.answer(n1, Get{Key: key}); a.Consistency != Fresh || a.Item.Value != "new" {
		t.Errorf("when the primary is back: %+v", a)
	}
}

func TestG4AStrictWriteThatWasAskedForIsUncertain(t *testing.T) {
	w := newWorld(t)
	n1, p := w.nodes[0], w.nodes[1]
	key := w.keyAt(p)
	w.cut[link{p.name, n1.name}] = true
	f, ok := w.ask(n1, Put{Key: key, Value: "x", Consistency: Strict}).reply.(Failure)
	if !ok || f.Code != Uncertain {
		t.Fatalf("answered %+v", f)
	}
	if item, _ := p.kv().Items.Get(key); item.Value != "x" {
		t.Error("the primary was meant to have it")
	}
}

// A Write that the network held back must not undo what was written since.
func TestAWriteThatComesLateIsNotDone(t *testing.T) {
	w := newWorld(t)
	n1, p := w.nodes[0], w.nodes[1]
	key := w.keyAt(p)
	w.hold = true
	w.split(p)
	if a := w.answer(n1, Put{Key: key, Value: "early"}); a.Consistency != Degraded {
		t.Fatalf("written %+v", a)
	}
	w.run(10 * time.Second)
	if a := w.answer(p, Put{Key: key, Value: "late"}); a.Consistency != Fresh {
		t.Fatalf("written %+v", a)
	}
	w.heal()
	w.run(3 * time.Second)
	if a := w.answer(n1, Get{Key: key}); a.Item.Value != "late" {
		t.Errorf("read %+v", a)
	}
	w.converged()
}

func TestG5CopiesBecomeEqualAfterASplit(t *testing.T) {
	w := newWorld(t)
	for _, n := range w.nodes {
		w.split(n)
	}
	for i := range 30 {
		for _, n := range w.nodes {
			w.do(n, Put{Key: fmt.Sprint("k", i), Value: n.name})
			w.do(n, Delete{Key: fmt.Sprint("k", i+1)})
		}
		w.run(50 * time.Millisecond)
	}
	w.run(2 * time.Second)
	w.heal()
	w.run(5 * time.Second)
	w.converged()
	if n := w.nodes[0].kv().Items.Len(); n != 31 {
		t.Errorf("%d records", n)
	}
}

func TestG6ConsistencyIsGivenUpPerOperation(t *testing.T) {
	w := newWorld(t)
	n1, p := w.nodes[0], w.nodes[1]
	key := w.keyAt(p)
	op := w.ask(n1, Put{Key: key, Value: "1", Consistency: Eventual})
	if a := op.reply.(Answer); op.returned != op.invoked || a.Consistency != Eventual || a.Item.Writer != n1.name {
		t.Errorf("written after %s: %+v", op.returned-op.invoked, a)
	}
	for _, body := range []any{Get{Key: key, Consistency: Eventual}, Scan{Consistency: Eventual}} {
		if op := w.ask(n1, body); op.returned != op.invoked || len(op.sent) > 0 {
			t.Errorf("%+v took %s and %d messages", body, op.returned-op.invoked, len(op.sent))
		}
	}
	if a := w.answer(n1, Get{Key: key, Consistency: Fresh}); a.Consistency != Fresh {
		t.Errorf("the next operation: %+v", a)
	}
	if a := w.answer(p, Get{Key: key, Consistency: Eventual}); a.Consistency != Fresh || a.Item.Value != "1" {
		t.Errorf("on the primary: %+v", a)
	}
}

func TestG7CatchingUpCopiesWhatDiffers(t *testing.T) {
	const all, missed = 3000, 40
	w := newWorld(t)
	w.slow = func() time.Duration { return 0 }
	n3 := w.nodes[2]
	for i := range all {
		w.do(w.nodes[i%2], Put{Key: fmt.Sprint("k", i), Value: strings.Repeat("v", 20), Consistency: Eventual})
	}
	w.run(3 * time.Second)
	w.crash(n3)
	for i := range missed {
		w.do(w.nodes[i%2], Put{Key: fmt.Sprint("k", i*97), Value: "new", Consistency: Eventual})
	}
	w.run(3 * time.Second)
	w.sent = nil
	w.boot(n3)
	w.run(3 * time.Second)
	w.converged()

	values, versions := 0, 0
	for _, e := range w.sent {
		switch m, _ := w.codec.Decode(e.Name, e.Version, e.Payload); m := m.(type) {
		case Replicate:
			values += len(m.Entries)
		case Versions:
			versions += len(m.Entries)
			for _, e := range m.Entries {
				if e.Item.Value != "" {
					t.Fatalf("%+v is sent to be compared", e)
				}
			}
		}
	}
	// Two nodes have what it missed, and both may send it; each pair compares from
	// both sides.
	if values < missed || values > 2*missed {
		t.Errorf("%d records of %d were sent, %d were missed", values, all, missed)
	}
	if most := 4 * missed * (2 * all / buckets); versions > most {
		t.Errorf("%d versions of %d were sent, at most %d are in buckets that differ", versions, all, most)
	}
}

func TestG7ANodeThatLostEverythingGetsItBack(t *testing.T) {
	const all = 3000
	w := newWorld(t)
	w.slow = func() time.Duration { return 0 }
	for _, n := range w.nodes {
		w.split(n)
	}
	for i := range all {
		w.do(w.nodes[0], Put{Key: fmt.Sprint("k", i), Consistency: Eventual})
	}
	w.heal()
	w.run(10 * time.Second)
	w.converged()
	if n := w.nodes[2].kv().Items.Len(); n != all {
		t.Errorf("%d records of %d", n, all)
	}
}

// What can't be copied now doesn't keep the rest from being compared.
func TestG7EachBucketHasItsTurn(t *testing.T) {
	w := newWorld(t)
	n1 := w.nodes[0]
	w.lose = func(e event.Effect) bool { return e.Name == "Replicate" }
	for i := range 1000 {
		w.do(n1, Put{Key: fmt.Sprint("k", i), Consistency: Eventual})
	}
	w.run(10 * time.Second)
	seen := map[int]int{}
	for _, e := range w.sent {
		if m, _ := w.codec.Decode(e.Name, e.Version, e.Payload); e.Name == "Versions" {
			seen[m.(Versions).Bucket]++
		}
	}
	for _, b := range []int{bucket("k0"), bucket("k500"), bucket("k999")} {
		if seen[b] == 0 {
			t.Errorf("bucket %d was never compared, %d were", b, len(seen))
		}
	}
	w.lose = nil
	w.run(10 * time.Second)
	w.converged()
}

func TestG7ALargeBucketIsCopiedInBatches(t *testing.T) {
	w := newWorld(t)
	n1 := w.nodes[0]
	w.lose = func(e event.Effect) bool { return e.Name == "Replicate" }
	for i, n := 0, 0; n < 5*MaxBatch/2; i++ {
		if key := fmt.Sprint("k", i); bucket(key) == 0 {
			w.do(n1, Put{Key: key, Consistency: Eventual})
			n++
		}
	}
	w.lose = nil
	w.run(5 * time.Second)
	w.converged()
	most := 0
	for _, e := range w.sent {
		if m, _ := w.codec.Decode(e.Name, e.Version, e.Payload); e.Name == "Replicate" {
			most = max(most, len(m.(Replicate).Entries))
		}
	}
	if most != MaxBatch {
		t.Errorf("the largest message had %d records, want %d", most, MaxBatch)
	}
}

func TestBounds(t *testing.T) {
	w := newWorld(t)
	n1, p := w.nodes[0], w.nodes[1]
	key := w.keyAt(p)
	reason := func(body any) Failure {
		f, _ := w.ask(n1, body).reply.(Failure)
		return f
	}
	for _, bad := range []any{Put{}, Get{Key: strings.Repeat("k", MaxKey+1)}, Put{Key: "k", Value: strings.Repeat("v", MaxValue+1)},
		Get{Key: "k", Consistency: "best"}, Put{Key: "\xff"}, Put{Key: "k", Value: "\xff"}, Tick{}, Replicate{}} {
		if f := reason(bad); f.Code != Invalid || f.Reason == "" {
			t.Errorf("%T is answered %+v", bad, f)
		}
	}
	for _, good := range []any{Get{Key: strings.Repeat("k", MaxKey)}, Put{Key: "k", Value: strings.Repeat("v", MaxValue)}} {
		if f := reason(good); f.Code != "" {
			t.Errorf("%T is answered %+v", good, f)
		}
	}

	w.split(p)
	var waiting []*operation
	for range MaxPending {
		waiting = append(waiting, w.do(n1, Get{Key: key}))
	}
	if f := reason(Get{Key: key}); f.Code != Busy {
		t.Errorf("beyond the bound: %+v", f)
	}
	if a := w.answer(n1, Get{Key: w.keyAt(n1)}); a.Consistency != Fresh {
		t.Errorf("what needn't wait: %+v", a)
	}
	w.run(time.Second)
	for _, op := range waiting {
		if a, ok := op.reply.(Answer); !ok || a.Consistency != Degraded {
			t.Fatalf("at the bound: %+v", op.reply)
		}
	}
	if n := n1.kv().Pending.Len(); n != 0 {
		t.Errorf("%d operations left", n)
	}
	w.heal()
	w.run(2 * time.Second)
	before := len(n1.journal)
	w.ask(n1, Get{Key: key, Consistency: Strict})
	w.run(2 * opTimeout)
	for _, e := range n1.journal[before:] {
		if e.ev.Name == "Expire" {
			t.Errorf("timer %s fires for an operation that was answered", e.ev.From)
		}
	}
}

func TestQueriesSeeRecordsAsVariables(t *testing.T) {
	w := newWorld(t)
	n1 := w.nodes[0]
	key := w.keyAt(n1)
	a := w.answer(n1, Put{Key: key, Value: "v"})
	seen := map[string]event.Value{}
	n1.st.Variables(func(name string, v event.Value) { seen[name] = v })
	want := fmt.Sprintf(`{%q:{"deleted":false,"value":"v","version":{"$ts":"%s"},"writer":"n1"}}`, key, a.Item.Version)
	if got := seen["kv.items"].String(); got != want {
		t.Errorf("kv.items is %s, want %s", got, want)
	}
	for _, name := range []string{"kv.pending", "kv.suspects", "kv.heard"} {
		if _, ok := seen[name]; !ok {
			t.Errorf("no variable %s among %v", name, seen)
		}
	}
}

// A batch of the largest records must fit into any queue or frame on its way.
func TestTheLargestMessageIsBounded(t *testing.T) {
	w := newWorld(t)
	n1 := w.nodes[0]
	for i := range MaxBatch + 1 {
		key := fmt.Sprintf("%0*d", MaxKey, i)
		w.ask(n1, Put{Key: key, Value: strings.Repeat("v", MaxValue), Consistency: Eventual})
	}
	l := w.ask(n1, Scan{Limit: MaxBatch + 1, Consistency: Eventual}).reply.(Listing)
	b, err := state.Marshal(l)
	if err != nil || len(l.Answers) != MaxBatch || l.Next == "" || len(b) > 4<<20 {
		t.Errorf("%d records, %d bytes, next %.10q, %v", len(l.Answers), len(b), l.Next, err)
	}
}
