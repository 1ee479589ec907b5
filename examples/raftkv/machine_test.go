package raftkv

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func drawCommand(t *rapid.T) command {
	text := rapid.String()
	return command{node: rapid.StringMatching(`[a-z]+[0-9]*`).Draw(t, "node"), number: rapid.Uint64().Draw(t, "number"),
		op: rapid.SampledFrom([]string{"put", "delete", "cas", "create", "append"}).Draw(t, "op"), key: text.Draw(t, "key"),
		value: text.Draw(t, "value"), old: text.Draw(t, "old"), session: text.Draw(t, "session"), sequenceNumber: rapid.Uint64().Draw(t, "seq")}
}

func TestACommandIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCommand(t)
		if got, ok := decode(c.encode()); !ok || got != c {
			t.Fatalf("%+v became %+v, %t", c, got, ok)
		}
	})
}

func FuzzCommand(f *testing.F) {
	c := command{node: "n1", number: 42, op: "put", key: "key", value: "value"}
	f.Add(c.encode())
	f.Add([]byte("n1/1 put 3:key 99:value 0: 0: 0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, ok := decode(b); ok && string(c.encode()) != string(b) {
			t.Errorf("%q is read as %+v, which is %q", b, c, c.encode())
		}
	})
}

// single is a store of one node's, without a log: applied by hand.
func single() *Raft {
	o, _ := options(nil)
	return &Raft{Self: "n1", Options: o}
}

func (r *Raft) do(op, key, value, old string, once Once) (Answer, Code) {
	r.Applied++
	return r.once(&command{op: op, key: key, value: value, old: old, session: once.Session, sequenceNumber: once.Seq})
}

func TestASessionsWriteIsDoneOnce(t *testing.T) {
	r := single()
	first, _ := r.do("append", "k", "a", "", Once{"s", 1})
	again, code := r.do("append", "k", "a", "", Once{"s", 1})
	if again != first || code != "" || r.read("k").Value != "a" {
		t.Errorf("done twice: %+v, then %+v %s, %q", first, again, code, r.read("k").Value)
	}
	if a, code := r.do("append", "k", "b", "", Once{"s", 2}); code != "" || a.Value != "ab" {
		t.Errorf("the next: %+v %s", a, code)
	}
	for _, late := range []Once{{"s", 1}, {"unknown", 7}} {
		if _, code := r.do("append", "k", "c", "", late); code != Expired {
			t.Errorf("%+v: %q", late, code)
		}
	}
	if r.read("k").Value != "ab" {
		t.Errorf("an expired write was done: %q", r.read("k").Value)
	}
}

func TestTheSessionThatIsIdleForLongestIsForgotten(t *testing.T) {
	r := single()
	name := func(i int) string {
		return strings.Repeat("s", i%7+1) + string(rune('A'+i%26)) + strings.Repeat("x", i/26)
	}
	for i := range MaxSessions {
		r.do("put", "k", "v", "", Once{name(i), 1})
	}
	r.do("put", "k", "v", "", Once{name(0), 2})
	r.do("put", "k", "v", "", Once{"new", 1})
	if r.Sessions.Len() != MaxSessions || r.Sessions.Has(name(1)) || !r.Sessions.Has(name(0)) {
		t.Errorf("%d sessions; idle for longest is there: %t; used: %t", r.Sessions.Len(), r.Sessions.Has(name(1)), r.Sessions.Has(name(0)))
	}
}

func TestWritesDoWhatTheySay(t *testing.T) {
	for _, c := range []struct {
		op, value, old string
		before, after  string // "-" is no record
		found          bool
		code           Code
	}{
		{"put", "b", "", "a", "b", true, ""},
		{"put", "b", "", "-", "b", true, ""},
		{"delete", "", "", "a", "-", true, ""},
		{"delete", "", "", "-", "-", false, ""},
		{"cas", "b", "a", "a", "b", true, ""},
		{"cas", "b", "x", "a", "a", false, ""},
		{"cas", "b", "", "-", "-", false, ""},
		{"create", "b", "", "-", "b", true, ""},
		{"create", "b", "", "a", "a", false, ""},
		{"append", "b", "", "a", "ab", true, ""},
		{"append", "b", "", "-", "b", true, ""},
		{"append", strings.Repeat("b", MaxValue), "", "a", "a", false, Invalid},
	} {
		r := single()
		if c.before != "-" {
			r.do("put", "k", c.before, "", Once{})
		}
		a, code := r.do(c.op, "k", c.value, c.old, Once{})
		after := "-"
		if got := r.read("k"); got.Found {
			after = got.Value
		}
		if after != c.after || code != c.code || a.Found != c.found {
			t.Errorf("%+v: %.20q %+.20v %s", c, after, a, code)
		}
		bytes := 0
		for k, v := range r.Data.All() {
			bytes += len(k) + len(v.Value)
		}
		if r.Bytes != bytes {
			t.Errorf("%+v: %d bytes, counted %d", c, bytes, r.Bytes)
		}
	}
}

func TestAFullStoreTakesNoMore(t *testing.T) {
	r := single()
	r.Options.MaxBytes = 10
	if _, code := r.do("put", "k", strings.Repeat("v", 9), "", Once{}); code != "" {
		t.Errorf("up to the bound: %s", code)
	}
	if _, code := r.do("append", "k", "v", "", Once{}); code != Full {
		t.Errorf("one past it: %q", code)
	}
	if _, code := r.do("put", "k", "v", "", Once{}); code != "" {
		t.Errorf("less than before: %s", code)
	}
}

func TestAnImageHoldsTheStoreAndItsSessions(t *testing.T) {
	r := single()
	r.do("put", "a", "1", "", Once{"s", 1})
	r.do("put", "b", "2", "", Once{})
	o := single()
	o.do("put", "gone", "x", "", Once{"old", 1})
	o.load(r.image())
	if string(o.image()) != string(r.image()) || o.Bytes != r.Bytes || o.Sessions.Has("old") {
		t.Errorf("%s became %s", r.image(), o.image())
	}
}

func TestSettingsThatMeanNothingAreRefused(t *testing.T) {
	for _, set := range []map[string]string{{"tick": "0s"}, {"tick": "often"}, {"electionTick": "1"}, {"heartbeatTick": "0"},
		{"checkQuorum": "maybe"}, {"maxInflight": "0"}, {"snapshotEvery": "0"}, {"keep": "-1"}} {
		o, err := options(set)
		if err == nil {
			t.Errorf("%v is taken", set)
		}
		if want, _ := options(nil); o != want {
			t.Errorf("%v gives %+v", set, o)
		}
	}
}

func TestPropertiesSeeWhatBreaksThem(t *testing.T) {
	log := func(term uint64, state string, commit uint64, entries ...Entry) *Raft {
		r := &Raft{State: state, Term: term, Commit: commit, Applied: commit, Compacted: Position{1, 1}, Last: 1}
		for _, e := range entries {
			r.Last++
			r.Log.Put(r.Last, e)
		}
		return r
	}
	e := func(term uint64, data string) Entry { return Entry{Term: term, Data: []byte(data)} }
	for _, c := range []struct {
		property string
		good     bool
		turns    []*Raft // of n1, n2, n3, …
	}{
		{"Log Matching", true, []*Raft{log(2, follower, 1, e(2, "a"), e(2, "b")), log(2, follower, 1, e(2, "a"))}},
		{"Log Matching", true, []*Raft{log(2, follower, 1, e(2, "a"), e(2, "b")), log(3, follower, 1, e(3, "x"))}},
		{"Log Matching", false, []*Raft{log(2, follower, 1, e(2, "a")), log(2, follower, 1, e(2, "x"))}},
		{"Log Matching", false, []*Raft{log(3, follower, 1, e(2, "a"), e(3, "b")), log(3, follower, 1, e(3, "x"), e(3, "b"))}},
		{"State Machine Safety", true, []*Raft{log(2, follower, 2, e(2, "a"), e(2, "b")), log(2, follower, 3, e(2, "a"), e(2, "b"))}},
		{"State Machine Safety", false, []*Raft{log(2, follower, 2, e(2, "a")), log(3, follower, 2, e(3, "x"))}},
		{"Leader Completeness", true, []*Raft{log(2, follower, 2, e(2, "a")), log(3, leader, 1, e(2, "a"), e(3, ""))}},
		{"Leader Completeness", false, []*Raft{log(2, follower, 2, e(2, "a")), log(3, leader, 1, e(3, ""))}},
	} {
		i := -1
		for j, p := range Properties() {
			if p.Name == c.property {
				i = j
			}
		}
		watch := Properties()[i].Watch()
		var err error
		for n, r := range c.turns {
			if err == nil {
				err = watch("n"+string(rune('1'+n)), r)
			}
		}
		if (err == nil) != c.good {
			t.Errorf("%s of %d nodes: %v", c.property, len(c.turns), err)
		}
	}
	r := log(2, leader, 1, e(2, "a"), e(2, "b"))
	watch := appendOnly()
	if err := watch("n1", r); err != nil {
		t.Error(err)
	}
	r.Log.Delete(3)
	r.Last = 2
	if err := watch("n1", r); err == nil {
		t.Error("a leader may remove entries")
	}
}
