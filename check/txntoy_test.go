package check

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A toyDB is a database in memory that keeps a stated level of isolation and no
// more. Its clients' transactions overlap: each step of one (call, micro-operation,
// commit, return) happens at a moment of its own.
type toyDB struct {
	name string
	// reads
	moving bool // each read sees what is committed at its moment; otherwise one snapshot does
	dirty  bool // appends are seen at once, by all
	age    int  // a snapshot may lack up to so many of the last commits…
	sticky bool // …but none that its client has seen or made
	onlyRO bool // …and only if the transaction only reads
	sites  bool // two sites; commits reach the other one later
	// commits
	writesChecked bool // fails if somebody changed since what it appends to
	readsChecked  bool // or what it read
	overwrites    bool // writes back the list as it read it, and its own appends

	// The model that it keeps, what it must show, and all that it may.
	keeps     string
	must, may []string
}

// toyDBs: what each may show follows from what it checks.
var toyDBs = []toyDB{
	{name: "strict serializable", keeps: "strict serializable", writesChecked: true, readsChecked: true},
	{name: "stale reads", keeps: "serializable", age: 30, onlyRO: true, writesChecked: true, readsChecked: true,
		must: []string{"G-single-process"},
		may:  []string{"G-single-process", "G-single-realtime", "G-nonadjacent-process", "G-nonadjacent-realtime", "G2-item-process", "G2-item-realtime"}},
	{name: "stale reads in session", keeps: "strong session serializable", age: 30, sticky: true, onlyRO: true, writesChecked: true, readsChecked: true,
		must: []string{"G-single-realtime"},
		may:  []string{"G-single-realtime", "G-nonadjacent-realtime", "G2-item-realtime"}},
	{name: "snapshot isolation", keeps: "strong snapshot isolation", writesChecked: true,
		must: []string{"G2-item"}, may: []string{"G2-item"}},
	{name: "strong session snapshot isolation", keeps: "strong session snapshot isolation", age: 10, sticky: true, writesChecked: true,
		must: []string{"G2-item", "G-single-realtime"}, may: []string{"G2-item", "G-single-realtime", "G-nonadjacent-realtime"}},
	{name: "generalised snapshot isolation", keeps: "snapshot isolation", age: 10, writesChecked: true,
		must: []string{"G2-item", "G-single-process"},
		may:  []string{"G2-item", "G-single-process", "G-single-realtime", "G-nonadjacent-process", "G-nonadjacent-realtime"}},
	{name: "parallel snapshot isolation", keeps: "strong read committed", sites: true, writesChecked: true,
		must: []string{"G-nonadjacent", "G2-item"}, may: []string{"G-nonadjacent", "G2-item", "G-single-realtime"}},
	{name: "read committed", keeps: "strong read committed", moving: true,
		must: []string{"G-single", "lost update", "internal"},
		may:  []string{"G-single", "lost update", "internal", "G-nonadjacent", "G2-item"}},
	{name: "lost updates", keeps: "strong read uncommitted", overwrites: true,
		must: []string{"lost update", "incompatible order"},
		may:  []string{"lost update", "incompatible order", "internal", "G-single", "G-nonadjacent", "G2-item", "G-single-process", "G-single-realtime", "G-nonadjacent-process", "G-nonadjacent-realtime", "G2-item-process", "G2-item-realtime"}},
	{name: "read uncommitted", moving: true, dirty: true,
		must: []string{"G0", "G1a", "G1b", "G1c"},
		may:  []string{"G0", "G1a", "G1b", "G1c", "incompatible order", "internal", "lost update", "G-single", "G-nonadjacent", "G2-item"}},
}

// A toyElement is an element of a list.
type toyElement struct {
	elem   int
	commit int // the number of the commit that appended it, from 1
	txn    int
}

// A toyRun is one run of a toyDB.
type toyRun struct {
	*toyDB
	r       *rand.Rand
	now     int64
	lists   map[int][]toyElement
	commits []toyCommit // 1 is the first
	next    int         // the next element
	clients []*toyClient
	process int // the next new client's number
	done    []slowTxn
}

// A toyCommit is what a commit needs to be seen elsewhere.
type toyCommit struct {
	site int
	seen []bool // by site: whether it has arrived
	deps []int  // the commits that its transaction saw
}

type toyClient struct {
	process, site int
	floor         int // the last commit that it has seen for sure
	t             *toyTxn
}

type toyTxn struct {
	slowTxn
	id   int
	step int    // the next micro-operation; len(ops) is commit, one more return
	base int    // its snapshot: all commits up to this one…
	sees []bool // …or, with sites, these
}

// run lets clients do transactions, and one read everything in the end.
func (db *toyDB) run(seed uint64, txns, clients int) *slowHistory {
	r := &toyRun{toyDB: db, r: rand.New(rand.NewPCG(seed, 7)), lists: map[int][]toyElement{}, commits: make([]toyCommit, 1)}
	for i := range clients {
		r.clients = append(r.clients, &toyClient{process: i, site: i % 2})
	}
	r.process = clients
	for started := 0; ; {
		c := r.clients[r.r.IntN(clients)]
		r.now++
		r.spread()
		switch {
		case c.t != nil:
			r.advance(c)
		case started < txns:
			started++
			r.begin(c, started)
		case !slices.ContainsFunc(r.clients, func(c *toyClient) bool { return c.t != nil }):
			return r.history()
		}
	}
}

// begin calls a transaction of some random steps.
func (r *toyRun) begin(c *toyClient, id int) {
	t := &toyTxn{slowTxn: slowTxn{process: c.process, call: r.now, ret: Open, outcome: Ok}, id: id, base: len(r.commits) - 1}
	writes := false
	for range 1 + r.r.IntN(4) {
		m := slowOp{append: r.r.IntN(2) == 0, key: id/60 + r.r.IntN(4)}
		writes = writes || m.append
		t.ops = append(t.ops, m)
	}
	if r.age > 0 && (!writes || !r.onlyRO) {
		t.base = max(0, t.base-r.r.IntN(r.age))
		if r.sticky {
			t.base = max(t.base, c.floor)
		}
	}
	if r.sites {
		for i := range r.commits {
			t.sees = append(t.sees, i == 0 || r.commits[i].seen[c.site])
		}
	}
	c.t = t
}

// advance takes a client's transaction one step on.
func (r *toyRun) advance(c *toyClient) {
	t := c.t
	switch {
	case t.step < len(t.ops):
		r.micro(t, &t.ops[t.step])
	case t.step == len(t.ops):
		r.commit(c)
	default:
		r.finish(c)
	}
	t.step++
}

// micro does one micro-operation.
func (r *toyRun) micro(t *toyTxn, m *slowOp) {
	if m.append {
		r.next++
		m.elem = r.next
		if r.dirty {
			r.lists[m.key] = append(slices.Clone(r.lists[m.key]), toyElement{m.elem, 0, t.id})
		}
		return
	}
	for _, e := range r.lists[m.key] {
		if r.visible(t, e) {
			m.list = append(m.list, e.elem)
		}
	}
	if !r.dirty {
		for _, o := range t.ops[:t.step] {
			if o.append && o.key == m.key {
				m.list = append(m.list, o.elem)
			}
		}
	}
}

// visible reports whether a transaction sees an element of another one.
func (r *toyRun) visible(t *toyTxn, e toyElement) bool {
	switch {
	case r.moving || r.dirty:
		return true
	case r.sites:
		return e.commit < len(t.sees) && t.sees[e.commit]
	}
	return e.commit <= t.base
}

// commit decides how a transaction ends, and makes it seen.
func (r *toyRun) commit(c *toyClient) {
	t := c.t
	luck := r.r.IntN(100)
	if luck < 4 || r.conflicts(t) {
		t.outcome = Fail
		if r.dirty { // some are undone
			for k, list := range r.lists {
				r.lists[k] = slices.DeleteFunc(slices.Clone(list), func(e toyElement) bool { return e.txn == t.id && luck%2 == 0 })
			}
		}
		return
	}
	if luck < 8 {
		t.outcome = Info
		if luck < 6 && !r.dirty {
			return
		}
	}
	n := len(r.commits)
	commit := toyCommit{site: c.site, seen: []bool{true, true}}
	if r.sites {
		commit.seen[1-c.site] = false
		for i, sees := range t.sees {
			if sees {
				commit.deps = append(commit.deps, i)
			}
		}
	}
	r.commits = append(r.commits, commit)
	fresh := map[int]bool{}
	for _, m := range t.ops {
		if !m.append || r.dirty {
			continue
		}
		if r.overwrites && !fresh[m.key] {
			r.lists[m.key] = slices.DeleteFunc(slices.Clone(r.lists[m.key]), func(e toyElement) bool { return e.commit > t.base })
			fresh[m.key] = true
		}
		r.lists[m.key] = append(slices.Clone(r.lists[m.key]), toyElement{m.elem, n, t.id})
		c.floor = n
	}
}

// conflicts reports whether the checks of the database refuse a transaction.
func (r *toyRun) conflicts(t *toyTxn) bool {
	writes := slices.ContainsFunc(t.ops, func(m slowOp) bool { return m.append })
	for _, m := range t.ops {
		checked := r.writesChecked && m.append || r.readsChecked && !m.append && writes
		if checked && slices.ContainsFunc(r.lists[m.key], func(e toyElement) bool { return !r.visible(t, e) }) {
			return true
		}
	}
	return false
}

// spread brings a commit of one site to the other, after those that it saw.
func (r *toyRun) spread() {
	if !r.sites {
		return
	}
	at := len(r.commits) - 1 - r.r.IntN(60)
	if at < 1 || r.commits[at].seen[1-r.commits[at].site] {
		return
	}
	there := 1 - r.commits[at].site
	for _, d := range r.commits[at].deps {
		if d > 0 && !r.commits[d].seen[there] {
			return
		}
	}
	r.commits[at].seen[there] = true
}

// finish lets the client know how its transaction ended.
func (r *toyRun) finish(c *toyClient) {
	t := c.t
	switch t.outcome {
	case Ok:
		t.ret = r.now
		c.floor = max(c.floor, t.base)
	case Fail:
		t.ret = r.now
	case Info:
		c.process = r.process // nobody knows when it is done: another client goes on
		r.process++
	}
	r.done = append(r.done, t.slowTxn)
	c.t = nil
}

// history is what happened, with what the lists hold in the end.
func (r *toyRun) history() *slowHistory {
	h := &slowHistory{txns: r.done}
	for k, list := range r.lists {
		for k >= len(h.final) {
			h.final = append(h.final, nil)
		}
		for _, e := range list {
			h.final[k] = append(h.final[k], e.elem)
		}
	}
	return h
}

// TestDatabasesShowWhatTheirLevelAllows runs each toy database: no anomaly that
// its level excludes is found, and those that make it what it is are.
func TestDatabasesShowWhatTheirLevelAllows(t *testing.T) {
	seeds, txns := 8, 500
	if testing.Short() {
		seeds = 4
	}
	for _, db := range toyDBs {
		t.Run(strings.ReplaceAll(db.name, " ", "-"), func(t *testing.T) {
			found := map[string]int{}
			for seed := range seeds {
				ops := db.run(uint64(seed), txns, 6).operations()
				r := Transactions(ops, Options{})
				if r.Verdict == Undecided || r.Operations != len(ops) {
					t.Fatalf("seed %d: %s %s, %d of %d operations", seed, r.Verdict, r.Bound, r.Operations, len(ops))
				}
				for _, a := range r.Isolation.Anomalies {
					found[a.Name]++
					if !slices.Contains(db.may, a.Name) {
						t.Errorf("seed %d: %s:\n%s", seed, a.Name, a.Example.Text)
					}
				}
				if db.keeps != "" && Transactions(ops, Options{Isolation: db.keeps, Plain: true}).Verdict != Holds {
					t.Errorf("seed %d: %s doesn't hold", seed, db.keeps)
				}
				if want := len(r.Isolation.Anomalies) > 0; (r.Verdict == Violated) != want {
					t.Errorf("seed %d: %s, with %d kinds of anomaly", seed, r.Verdict, len(r.Isolation.Anomalies))
				}
			}
			t.Logf("of %d runs: %v", seeds, found)
			for _, m := range db.must {
				if found[m] == 0 {
					t.Errorf("in %d runs no %s", seeds, m)
				}
			}
		})
	}
}
