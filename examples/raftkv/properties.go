package raftkv

import (
	"bytes"
	"fmt"
)

// A Property is what a cluster keeps whatever happens.
type Property struct {
	Name string
	Doc  string
	// RQL is a condition that holds at no consistent cut; "" if it is said in Go.
	RQL string
	// Watch begins to watch a cluster, nil if it is said in RQL. What it returns is
	// called after each turn of a node, with the node's machine, and says what is
	// wrong.
	Watch func() func(node string, r *Raft) error
}

// Properties are those of Raft (Ongaro, Ousterhout, "In search of an understandable
// consensus algorithm", 2014, figure 3), and one of the library's own.
func Properties() []Property {
	return []Property{
		{Name: "Election Safety", Doc: "a term has one leader at most",
			RQL: "SUM(raft.wins) > COUNT(FLATTEN(raft.led))"},
		{Name: "Leader Append-Only", Doc: "a leader replaces and removes no entry of its log", Watch: appendOnly},
		{Name: "Log Matching", Doc: "two logs that have an entry of the same index and term are the same up to it", Watch: logMatching},
		{Name: "Leader Completeness", Doc: "what is committed is in the logs of all later leaders", Watch: leaderCompleteness},
		{Name: "State Machine Safety", Doc: "no two nodes apply different entries at one index", Watch: stateMachineSafety},
		{Name: "Progress", Doc: "of a follower a leader sends what lies behind what it knows to match",
			RQL: "EXISTS p IN KEYS(raft.progress) : ((raft.progress[p].match >= raft.progress[p].next) LINK SAME_NODE)"},
	}
}

// term returns the term of an entry that a log has, or was cut behind.
func (r *Raft) term(index uint64) (uint64, bool) {
	if index == r.Compacted.Index {
		return r.Compacted.Term, true
	}
	e, ok := r.Log.Get(index)
	return e.Term, ok
}

// appendOnly follows each leader while it is one and runs: a restart may lose what
// nobody heard of.
func appendOnly() func(string, *Raft) error {
	type seen struct {
		machine *Raft
		term    uint64
		last    Position
	}
	nodes := map[string]seen{}
	return func(node string, r *Raft) error {
		if r.State != leader {
			delete(nodes, node)
			return nil
		}
		s := nodes[node]
		t, _ := r.term(r.Last)
		now := seen{r, r.Term, Position{r.Last, t}}
		if s == now {
			return nil
		}
		nodes[node] = now
		if s.machine != r || s.term != r.Term {
			return nil
		}
		if t, ok := r.term(s.last.Index); s.last.Index > r.Compacted.Index && (!ok || t != s.last.Term) {
			return fmt.Errorf("%s, leader of term %d, had entry %d of term %d, and now its log ends at %d", node, r.Term, s.last.Index, s.last.Term, r.Last)
		}
		return nil
	}
}

// A held entry is one that some log has, or had.
type held struct {
	before uint64 // the term of the one before it
	data   []byte
	kind   string
	node   string // that had it first
	shared bool   // others have it too
}

// logMatching keeps every entry that any log ever had, by index and term: it, and
// the term before it, are the same in all logs. By induction so is all before. A
// loss of power may take from a node entries that it hasn't told anybody of yet;
// it may then have others in their place.
func logMatching() func(string, *Raft) error {
	known := map[Position]held{}
	type place struct {
		machine *Raft
		end     Position
	}
	last := map[string]place{} // of each node: up to there all are known
	return func(node string, r *Raft) error {
		term, _ := r.term(r.Last)
		now := place{r, Position{r.Last, term}}
		if last[node] == now {
			return nil
		}
		if last[node].machine != r {
			forgetUntold(known, node, r)
		}
		last[node] = now
		for i := r.Last; i > r.Compacted.Index; i-- {
			e, _ := r.Log.Get(i)
			before, _ := r.term(i - 1)
			at := Position{i, e.Term}
			k, ok := known[at]
			if !ok {
				known[at] = held{before: before, data: e.Data, kind: e.Kind, node: node}
				continue
			}
			if k.before != before || k.kind != e.Kind || !bytes.Equal(k.data, e.Data) {
				return fmt.Errorf("entry %d of term %d is %q after term %d on %s and %q after term %d on %s", i, e.Term, e.Data, before, node, k.data, k.before, k.node)
			}
			if k.node == node || k.shared {
				break // what is before it was looked at when it became known
			}
			k.shared = true
			known[at] = k
		}
		return nil
	}
}

// forgetUntold forgets entries that only this node had, before a restart.
func forgetUntold(known map[Position]held, node string, r *Raft) {
	for at, k := range known {
		if k.node != node || k.shared {
			continue
		}
		if t, ok := r.term(at.Index); at.Index > r.Last || ok && t != at.Term || ok && at.Index > r.Compacted.Index && !same(r, at.Index, k) {
			delete(known, at)
		}
	}
}

func same(r *Raft, index uint64, k held) bool {
	e, _ := r.Log.Get(index)
	return bytes.Equal(e.Data, k.data)
}

// committed are the entries that some node knew to be committed.
type committed struct {
	terms []uint64 // by index
	in    []uint64 // by index: the term in which it was first seen to be committed
	datas [][]byte
	by    []string
	upto  map[string]Position // of each node: what was looked at, and the machine's commit index then
}

func newCommitted() *committed { return &committed{upto: map[string]Position{}} }

// take looks at what a node has committed since it was last looked at.
func (c *committed) take(node string, r *Raft) error {
	from := max(c.upto[node].Index, r.Compacted.Index) + 1
	for i := from; i <= r.Commit; i++ {
		e, ok := r.Log.Get(i)
		if !ok {
			break
		}
		for uint64(len(c.terms)) <= i {
			c.terms, c.in, c.datas, c.by = append(c.terms, 0), append(c.in, 0), append(c.datas, nil), append(c.by, "")
		}
		switch {
		case c.by[i] == "":
			c.terms[i], c.in[i], c.datas[i], c.by[i] = e.Term, r.Term, e.Data, node
		case c.terms[i] != e.Term || !bytes.Equal(c.datas[i], e.Data):
			return fmt.Errorf("%s has committed %q of term %d at index %d, and %s %q of term %d", node, e.Data, e.Term, i, c.by[i], c.datas[i], c.terms[i])
		}
	}
	c.upto[node] = Position{Index: r.Commit}
	return nil
}

// stateMachineSafety: all apply the same, for what is committed is applied in order.
func stateMachineSafety() func(string, *Raft) error {
	c := newCommitted()
	return func(node string, r *Raft) error {
		if c.upto[node].Index == r.Commit {
			return nil
		}
		if r.Applied > r.Commit {
			return fmt.Errorf("%s has applied up to %d, and knows only up to %d to be committed", node, r.Applied, r.Commit)
		}
		return c.take(node, r)
	}
}

// leaderCompleteness looks at each leader when it has become one: its log has all
// that was committed in terms before its own. An entry of an old term may be
// committed in a later one, and a leader may hear of its votes when others lead.
func leaderCompleteness() func(string, *Raft) error {
	c := newCommitted()
	looked := map[uint64]bool{}
	return func(node string, r *Raft) error {
		if c.upto[node].Index != r.Commit {
			if c.take(node, r) != nil {
				return nil // State Machine Safety tells of it
			}
		}
		if r.State != leader || looked[r.Term] {
			return nil
		}
		looked[r.Term] = true
		for i := r.Compacted.Index + 1; i < uint64(len(c.terms)); i++ {
			if c.by[i] == "" || c.in[i] >= r.Term {
				continue
			}
			if t, ok := r.term(i); !ok || t != c.terms[i] {
				return fmt.Errorf("%s became leader of term %d without entry %d of term %d, which %s had committed in term %d", node, r.Term, i, c.terms[i], c.by[i], c.in[i])
			}
		}
		return nil
	}
}
