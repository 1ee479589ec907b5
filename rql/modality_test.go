package rql_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/causal"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
)

// A modalModel is a small History as the definition of POSSIBLY sees it: every
// event, every link, and a state after each event of a node.
type modalModel struct {
	events [][]*history.Event // by node; a base above the bottom is one, too
	states [][]*history.State // by node: before its first event, and after each
	links  []causal.Link
	within int64 // ticks; negative: time doesn't order
	asked  []bool
	bottom causal.Cut
	empty  bool
	below  []uint64     // by node: the sequence number at the bottom
	walk   []causal.Cut // the walk's cuts above the bottom, in order
}

// newModalModel reads a History from the cut at the last event that is asked and
// isn't after from, to the last event that isn't after to.
func newModalModel(t *rapid.T, src history.Source, q *syntax.Query, from, to hlc.Timestamp) *modalModel {
	n := len(src.Meta().Nodes)
	m := &modalModel{events: make([][]*history.Event, n), states: make([][]*history.State, n), within: -1, asked: make([]bool, n), empty: true, below: make([]uint64, n)}
	if w := q.When.Within; w != nil {
		m.within = int64(hlc.DurationTicks(w.D))
	}
	for i := range m.asked {
		m.asked[i] = q.At == nil || len(q.At.Nodes) == 0 ||
			slices.ContainsFunc(q.At.Nodes, func(id *syntax.Ident) bool { return id.Name == src.Meta().Nodes[i].Name })
		m.states[i] = []*history.State{nil}
	}
	cur, err := src.Walk(context.Background(), history.Begin, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []*history.Event
	begin := -1
	for {
		ev, err := cur.Next()
		if err != nil {
			break
		}
		if ev.Time <= from && m.asked[ev.Node] && !ev.Base {
			begin = len(all)
		}
		if ev.Time <= to {
			all = append(all, ev)
		}
	}
	p := post{}
	for i := range n {
		p.nodes = append(p.nodes, src.Meta().Nodes[i].Name)
	}
	at := make(causal.Cut, n)
	for i, ev := range all {
		var of []*letter
		for l := range ev.Arrivals() {
			of = append(of, p.receive(l.Kind, l.ID, p.nodes[ev.Node], l.Peer))
		}
		if l, ok := ev.Lost(); ok {
			of = append(of, p.lose(l.ID, p.nodes[ev.Node], l.Peer)...)
		}
		for l := range ev.Departures() {
			p.send(l.Kind, l.ID, p.nodes[ev.Node], l.Peer).tag = 0
		}
		s := m.states[ev.Node][len(m.states[ev.Node])-1].Clone()
		s.ApplyAll(ev.Changes)
		if !m.asked[ev.Node] {
			s = nil
		}
		if i <= begin {
			m.empty, m.below[ev.Node] = false, ev.Seq
			m.states[ev.Node] = []*history.State{s}
			continue
		}
		at[ev.Node]++
		m.events[ev.Node] = append(m.events[ev.Node], ev)
		m.states[ev.Node] = append(m.states[ev.Node], s)
		if m.asked[ev.Node] {
			m.walk = append(m.walk, slices.Clone(at))
		}
		for _, l := range of {
			if l != nil && l.tag > 0 {
				m.links = append(m.links, causal.Link{From: slices.Index(p.nodes, l.from), Send: uint64(l.tag), To: ev.Node, Receive: at[ev.Node]})
			}
		}
		for l := range ev.Departures() {
			p.send(l.Kind, l.ID, p.nodes[ev.Node], l.Peer).tag = int(at[ev.Node])
		}
		for j := range at {
			if ev.Base && j != ev.Node && at[j] > 0 {
				m.links = append(m.links, causal.Link{From: j, Send: at[j], To: ev.Node, Receive: at[ev.Node]})
			}
		}
	}
	if !m.empty {
		m.walk = append([]causal.Cut{make(causal.Cut, n)}, m.walk...)
	}
	m.bottom = make(causal.Cut, n)
	return m
}

func (m *modalModel) consistent(cut causal.Cut) bool {
	if _, bad := cut.Violation(m.links); bad {
		return false
	}
	for i, k := range cut {
		for j, l := range cut {
			if m.within >= 0 && k > 0 && int(l) < len(m.events[j]) &&
				int64(m.events[i][k-1].Time.Ticks())-int64(m.events[j][l].Time.Ticks()) > m.within {
				return false
			}
		}
	}
	return true
}

func (m *modalModel) size(cut causal.Cut) (n uint64) {
	for i, k := range cut {
		if m.asked[i] {
			n += k
		}
	}
	return n
}

// cuts are all consistent ones, in the order of POSSIBLY.
func (m *modalModel) cuts() []causal.Cut {
	var out []causal.Cut
	var try func(cut causal.Cut)
	try = func(cut causal.Cut) {
		if len(cut) == len(m.events) {
			if m.consistent(cut) && (!m.empty || m.size(cut) > 0) {
				out = append(out, slices.Clone(cut))
			}
			return
		}
		for k := uint64(0); int(k) <= len(m.events[len(cut)]); k++ {
			try(append(cut, k))
		}
	}
	try(nil)
	seqs := func(cut causal.Cut) []uint64 {
		var s []uint64
		for i, k := range cut {
			if m.asked[i] {
				s = append(s, k)
			}
		}
		return s
	}
	slices.SortStableFunc(out, func(a, b causal.Cut) int {
		return cmp.Or(cmp.Compare(m.size(a), m.size(b)), slices.Compare(seqs(a), seqs(b)))
	})
	return out
}

// avoids reports whether a path meets no cut that holds.
func (m *modalModel) avoids(holds map[string]bool) bool {
	seen := map[string]bool{}
	var walk func(cut causal.Cut) bool
	walk = func(cut causal.Cut) bool {
		key := cut.String()
		if seen[key] || holds[key] {
			return false
		}
		seen[key] = true
		top := true
		for i := range cut {
			next := slices.Clone(cut)
			if next[i]++; int(next[i]) > len(m.events[i]) {
				continue
			}
			top = false
			if m.consistent(next) && walk(next) {
				return true
			}
		}
		return top
	}
	return walk(m.bottom)
}

// answer is what the definition gives.
func (m *modalModel) answer(o *oracle, q *syntax.Query, meta *history.Meta, member any) *rql.Row {
	cuts := m.cuts()
	o.cuts = nil
	holds := map[string]bool{}
	var envs = map[string]*oenv{}
	for i, cut := range cuts {
		var states []*history.State
		for n, k := range cut {
			states = append(states, m.states[n][k])
		}
		o.cuts = append(o.cuts, snapshot{event: &history.Event{}, states: states, before: states})
		if v := o.at(i); v != nil {
			holds[cut.String()], envs[cut.String()] = true, v
		}
	}
	row := &rql.Row{Lattice: &rql.Lattice{}}
	in := func(all []causal.Cut) causal.Cut {
		i := slices.IndexFunc(all, func(c causal.Cut) bool { return holds[c.String()] })
		if i < 0 {
			return nil
		}
		return all[i]
	}
	cut := in(cuts)
	if q.When.Modality == syntax.Definitely {
		if cut = in(m.walk); m.avoids(holds) {
			row.Lattice.Walk = cut == nil
			return row
		}
	}
	if cut == nil {
		return row
	}
	shown := orow{o.row(envs[cut.String()]), envs[cut.String()]}
	o.finish(&shown, member)
	row.Each = shown.Each
	row.Lattice.Holds, row.Values, row.Witness = true, shown.Values, shown.Witness
	for n, k := range cut {
		if m.asked[n] {
			seq := uint64(0)
			if k > 0 {
				seq = m.events[n][k-1].Seq
			} else {
				seq = m.below[n]
			}
			row.Lattice.Cut = append(row.Lattice.Cut, rql.Field{Name: meta.Nodes[n].Name, Value: event.Uint(seq)})
		}
	}
	return row
}

// messages draws a History whose nodes send each other messages; one to nobody in
// particular may be received by all.
func (g *generator) messages(value func() event.Value) *history.Mem { return g.messagesOf(20, value) }

// messagesOf is messages, of which so many percent of the changes are of any variable.
func (g *generator) messagesOf(any int, value func() event.Value) *history.Mem {
	b := history.NewBuilder()
	nodes := []string{"n1", "n2", "n3"}[:rapid.IntRange(1, 3).Draw(g.t, "nodes")]
	now := hlc.Timestamp(100 << 16)
	var all []history.Assign
	for _, v := range []string{"a", "b", "c", "s", "m", "r", "t"} {
		all = append(all, history.Assign{Path: "inv." + v, Value: g.value(v)})
	}
	sent := map[string][]string{} // by who may receive it
	var answered []string         // ids that were received: answers may have the same
	if g.chance(15) {
		b.Base(nodes[0], 5, now, map[string]event.Value{"inv.a": event.Int(1), "inv.b": event.Int(2)})
	}
	b.AddNode("n4", "")
	b.Append("n4", history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}, Set: all})
	for i := range rapid.IntRange(0, 8).Draw(g.t, "events") {
		now += hlc.Timestamp(rapid.IntRange(0, 3).Draw(g.t, "gap")<<16 + 1)
		e := history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}}
		node := rapid.SampledFrom(nodes).Draw(g.t, "node")
		for range rapid.IntRange(0, 2).Draw(g.t, "changes") {
			if g.chance(any) {
				e.Set = append(e.Set, g.assign())
			} else {
				e.Set = append(e.Set, history.Assign{Path: "inv." + g.pick("var", "a", "b"), Value: value()})
			}
		}
		if ids := slices.Concat(sent[node], sent[""]); len(ids) > 0 && g.chance(60) {
			e.Kind, e.ID, e.Peer = "recv", g.pick("id", ids...), g.pick("from", append(nodes, "", "")...)
		}
		if len(answered) > 0 && g.chance(20) {
			id := g.pick("answer", answered...)
			to := g.pick("asker", nodes...)
			sent[to] = append(sent[to], id)
			e.Effects = append(e.Effects, history.Effect{Kind: "send", ID: id, Peer: to})
		}
		if e.ID != "" {
			answered = append(answered, e.ID)
		}
		if g.chance(40) {
			id, peer := fmt.Sprint("x", i), g.pick("peer", append(nodes, "")...)
			sent[peer] = append(sent[peer], id)
			e.Effects = append(e.Effects, history.Effect{Kind: "send", ID: id, Peer: peer})
			if g.chance(30) { // by the same id to others
				to := g.pick("second", nodes...)
				sent[to] = append(sent[to], id)
				e.Effects = append(e.Effects, history.Effect{Kind: "send", ID: id, Peer: to})
			}
		}
		b.Append(node, e)
	}
	h, err := b.Build()
	if err != nil {
		g.t.Fatalf("history: %v", err)
	}
	return h
}

// modalCond draws a condition of each class.
func (g *generator) modalCond() string {
	n := func() string { return fmt.Sprint(rapid.IntRange(-2, 6).Draw(g.t, "k")) }
	op := func() string { return g.pick("op", " = ", " != ", " < ", " <= ", " > ", " >= ") }
	one := func() string { return "inv." + g.pick("var", "a", "b", "c") + op() + n() }
	ext := func() string {
		return g.pick("extreme", "MAX(", "MIN(") + "inv." + g.pick("var", "a", "b", "r", "t") + ")"
	}
	switch rapid.IntRange(0, 18).Draw(g.t, "class") {
	case 13:
		return g.pick("not", "", "NOT ") + "(" + ext() + op() + n() + ")" + g.pick("and", "", "", " AND "+one(), " OR "+one())
	case 14, 15:
		return g.pick("not", "", "", "NOT ") + "(" + g.pick("difference", "MAX(inv.a) - MIN(inv.a)", "MAX(inv.a) - MIN(inv.b)", "MAX(inv.t) - MIN(inv.t)", ext()+" - "+ext()) + op() + n() + ")" +
			g.pick("and", "", "", " AND "+one(), " AND SUM(inv.a) > 2", " OR "+ext()+op()+n())
	case 16:
		return g.pick("extremes", n()+op()+ext()+" - "+ext(), ext()+op()+ext(), ext()+" + 1"+op()+ext()+" - "+n(), ext()+op()+"1.5", ext()+" + 0.5"+op()+n(), ext()+" - "+ext()+op()+g.pick("limit", "0.5", "START", "'x'", "MAX(inv.b)"), "NOT ("+ext()+" - "+ext()+op()+g.pick("limit", "START", "'x'")+")")
	case 17:
		return "inv." + g.pick("var", "a", "b", "r") + op() + g.pick("other", ext(), "inv.b", "inv.b AND NODE($1) != NODE($2)", "inv.a AND NODE($1) != NODE($2) AND $1 > 0 AND "+one())
	case 18:
		return "(inv.a" + op() + ext() + " AND " + one() + ") LINK SAME_NODE"
	case 0:
		return one()
	case 1:
		return one() + " AND " + one()
	case 2:
		return one() + " AND " + one() + g.pick("nodes", " AND NODE($1) != NODE($2)", " AND (NODE($1) = 'n1' OR $2 > 1)", " AND (NODE($1) = 'n1' OR $2 > 1 AND $1 < 3)", " AND NODE($1) = 'n1'", " OR "+one())
	case 3:
		return "(" + one() + ") LINK EACH_NODE"
	case 4:
		return "NOT ((" + one() + " AND " + one() + ") LINK " + g.pick("link", "SAME_NODE", "EACH_NODE") + ")"
	case 5:
		return "(inv.a" + op() + "inv.b) LINK SAME_NODE AND NOT (" + one() + ")"
	case 6, 7:
		return "SUM(inv.a)" + op() + n()
	case 8:
		return "SUM(inv.a) " + g.pick("sign", "+", "-") + " 2 * SUM(inv.b) - COUNT(inv.b)" + op() + n()
	case 9:
		return "inv.a " + g.pick("sign", "+", "-") + " inv.b" + op() + n() + g.pick("and", "", "", " AND $1 > 0", " AND SUM(inv.a) > 2")
	case 10:
		return "NOT (SUM(inv.a)" + op() + n() + ") AND " + one()
	}
	return g.cond(3)
}

func (g *generator) modalQuery() (text string, from, to hlc.Timestamp) {
	text = "SELECT inv.a, inv.a + inv.b, MAX(inv.a) AS top FROM inv WHEN " + g.pick("modality", "POSSIBLY ", "DEFINITELY ") + g.modalCond()
	if g.chance(25) {
		text += " WITHIN " + g.pick("eps", "0s", "16us", "31us", "62us")
	}
	if g.chance(25) {
		text += " AT NODES " + g.pick("at", "n1", "n1, n2", "n2, n4", "n1, n4")
	}
	from, to = 0, hlc.Max
	if g.chance(30) {
		from, to = hlc.Timestamp(98<<16+rapid.IntRange(0, 12<<16).Draw(g.t, "from")), hlc.Timestamp(110<<16+rapid.IntRange(0, 9<<16).Draw(g.t, "to"))
		text += fmt.Sprintf(" ON TIME %d TO %d", from, to)
	}
	return text, from, to
}

// eachCond draws a condition of a member k.
func (g *generator) eachCond() string {
	n := func() string { return fmt.Sprint(rapid.IntRange(-2, 5).Draw(g.t, "k")) }
	op := func() string { return g.pick("op", " = ", " != ", " < ", " <= ", " > ", " >= ") }
	v := func() string { return "inv." + g.pick("var", "m[k]", "r[k].v") }
	return g.pick("class", "MAX("+v()+") - MIN("+v()+")"+op()+n(), "("+v()+" < MAX("+v()+")) LINK SAME_NODE", "SUM("+v()+")"+op()+n(),
		v()+op()+n()+" AND "+v()+op()+n(), "NOT (MIN("+v()+")"+op()+n()+")", v()+op()+v(), "COUNT("+v()+")"+op()+"COUNT(inv.a)",
		"MAX("+v()+")"+op()+n()+" OR k = 'x' AND inv.a > 1", "("+v()+" > 1) LINK EACH_NODE", "MAX("+v()+") * 2 = COUNT("+v()+")")
}

func TestModalitiesAnswerEveryMember(t *testing.T) {
	held := 0
	rapid.Check(t, func(t *rapid.T) {
		g := &generator{t: t, ints: true}
		src := g.messagesOf(60, func() event.Value { return event.Int(int64(rapid.IntRange(-2, 4).Draw(t, "n"))) })
		text := "SELECT inv.m[k], MAX(inv.a) AS top FROM inv FOR EACH k IN KEYS(inv." + g.pick("of", "m", "r") + ") WHEN " + g.pick("modality", "POSSIBLY ", "DEFINITELY ") + g.eachCond()
		q, err := rql.Compile(src.Meta(), text)
		if err != nil {
			t.Skip(err)
		}
		got, want := "", ""
		_, err = q.Run(context.Background(), src, rql.Options{MaxCombinations: 1e6}, func(r *rql.Row) error {
			r.Lattice.Path, r.Incomplete = nil, false
			got += string(r.AppendJSON(nil)) + "\n"
			return nil
		})
		var h strings.Builder
		_ = history.WriteText(&h, src)
		if err != nil {
			t.Fatalf("%s\n%s\n%v", text, h.String(), err)
		}
		st, _ := syntax.Parse(text)
		tree := st.(*syntax.Query)
		o, err := newOracle(src, tree)
		if err != nil {
			t.Fatal(err)
		}
		model := newModalModel(t, src, tree, 0, hlc.Max)
		for _, m := range o.members() {
			o.walk(m)
			if row := model.answer(o, tree, src.Meta(), m); row.Lattice.Holds {
				want += string(row.AppendJSON(nil)) + "\n"
				held++
			}
		}
		if got != want {
			t.Fatalf("%s\n%s\ngot:\n%s\nwant:\n%s", text, h.String(), got, want)
		}
	})
	t.Logf("held %d times", held)
	if held == 0 {
		t.Error("nothing held for any member: nothing was tested")
	}
}

func TestModalitiesGiveWhatTheWholeLatticeGives(t *testing.T) {
	asked := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		g := &generator{t: t}
		src := g.messages(func() event.Value { return event.Int(int64(rapid.IntRange(-2, 4).Draw(t, "n"))) })
		text, from, to := g.modalQuery()
		q, err := rql.Compile(src.Meta(), text)
		if err != nil {
			asked["refused"]++
			return
		}
		var rows []*rql.Row
		_, err = q.Run(context.Background(), src, rql.Options{MaxCombinations: 1e6}, func(r *rql.Row) error {
			rows = append(rows, r)
			return nil
		})
		var h strings.Builder
		_ = history.WriteText(&h, src)
		if err != nil || len(rows) != 1 {
			t.Fatalf("%s\n%s\n%v, %d rows", text, h.String(), err, len(rows))
		}
		st, _ := syntax.Parse(text)
		tree := st.(*syntax.Query)
		o, err := newOracle(src, tree)
		if err != nil {
			t.Fatal(err)
		}
		want := newModalModel(t, src, tree, from, to).answer(o, tree, src.Meta(), nil)
		got := rows[0]
		got.Lattice.Path, got.Incomplete = nil, false
		asked[fmt.Sprint(tree.When.Modality == syntax.Definitely, " ", got.Lattice.Holds)]++
		if a, b := string(got.AppendJSON(nil)), string(want.AppendJSON(nil)); a != b {
			t.Fatalf("%s\n%s\ngot:\n%s\nwant:\n%s", text, h.String(), a, b)
		}
	})
	t.Logf("asked by definitely and answer: %v", asked)
	for _, kind := range []string{"false false", "false true", "true false", "true true"} {
		if asked[kind] == 0 {
			t.Errorf("no query for definitely, answer %q: that isn't tested", kind)
		}
	}
}

// idle is nodes that say nothing to each other: all orders of their events are
// possible.
func idle(t *testing.T, nodes, events int, value func(node, i int) int64) *history.Mem {
	t.Helper()
	b := history.NewBuilder()
	for i := range events {
		for n := range nodes {
			at := hlc.Timestamp(100+i*nodes+n) << 16
			b.Append(fmt.Sprint("n", n), history.EventSpec{Event: history.Event{Position: history.Position{Time: at}},
				Set: []history.Assign{{Path: "inv.a", Value: event.Int(value(n, i))}}})
		}
	}
	h, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func askOne(t *testing.T, src *history.Mem, text string, bound int) (string, error) {
	t.Helper()
	q, err := rql.Compile(src.Meta(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	out := ""
	_, err = q.Run(context.Background(), src, rql.Options{MaxCombinations: bound}, func(r *rql.Row) error {
		out += string(r.AppendJSON(nil))
		return nil
	})
	return out, err
}

func TestALatticeTooLargeIsUndecided(t *testing.T) {
	src := idle(t, 3, 20, func(n, i int) int64 { return int64(i) })
	for _, text := range []string{
		"SELECT inv.a FROM inv WHEN POSSIBLY MAX(inv.a) * MIN(inv.a) = 17",                        // cuts of 60 states
		"SELECT inv.a FROM inv WHEN POSSIBLY inv.a * inv.a = 17 AND inv.a = 5 AND SUM(inv.a) = 3", // of alternatives
		"SELECT inv.a FROM inv WHEN DEFINITELY MAX(inv.a) - MIN(inv.a) = 1 AND SUM(inv.a) > 50",
		"SELECT inv.a FROM inv WHEN DEFINITELY SUM(inv.a) = 30",
	} {
		got, err := askOne(t, src, text, 70)
		var le *rql.LatticeError
		if !errors.As(err, &le) || got != "" || le.Limit != 70 || !le.Pos.IsValid() {
			t.Errorf("%s\ngives %q, %v; want a *LatticeError", text, got, err)
		}
	}
	if _, err := askOne(t, src, "SELECT inv.a FROM inv WHEN POSSIBLY MAX(inv.a) * MAX(inv.a) = 30", 10); err == nil {
		t.Error("sixty states are kept where ten may be")
	}
}

func TestTooManyChoicesOfNodesAreSearched(t *testing.T) {
	src := idle(t, 11, 1, func(n, _ int) int64 { return int64(n) })
	const query = "SELECT inv.a FROM inv WHEN POSSIBLY inv.a > 0 AND inv.a > 1 AND inv.a > 2 AND inv.a > 8"
	got, err := askOne(t, src, query, 1e4)
	if err != nil || !strings.Contains(got, `"n8":0,"n9":1},"values":{"inv.a":{"n9":9}}`) {
		t.Errorf("%s\ngives %s, %v", query, got, err)
	}
	plan, err := askOne(t, src, "EXPLAIN "+query, 1e4)
	if err != nil || !strings.Contains(plan, "more than 10000 choices of nodes") {
		t.Errorf("the plan doesn't say why: %s, %v", plan, err)
	}
}

func TestASumTooLargeForTheFlowIsSearched(t *testing.T) {
	src := idle(t, 2, 3, func(n, i int) int64 { return int64(1)<<62 - int64(n+i) })
	got, err := askOne(t, src, "SELECT inv.a FROM inv WHEN POSSIBLY SUM(inv.a) = 9223372036854775805", 1e4)
	if err != nil || !strings.Contains(got, `"cut":{"n0":1,"n1":3}`) {
		t.Errorf("a sum beyond 62 bits: %s, %v", got, err)
	}
}

func TestASumIsDecidedBeyondTheBoundOfTheSearch(t *testing.T) {
	// Each node goes down before it goes up, so the first cut is far from every other.
	src := idle(t, 6, 9, func(n, i int) int64 { return int64((i*i+n)%11 - 4) })
	ask := func(cond string, bound int) string {
		got, err := askOne(t, src, "SELECT SUM(inv.a) AS sum FROM inv WHEN POSSIBLY "+cond, bound)
		if err != nil {
			t.Fatalf("%s: %v", cond, err)
		}
		return got
	}
	most := 0
	for strings.HasPrefix(ask(fmt.Sprint("SUM(inv.a) >= ", most+1), 100), `{"holds":true`) {
		most++
	}
	if got := ask(fmt.Sprint("SUM(inv.a) >= ", most+1), 1); got != `{"holds":false}` {
		t.Errorf("with a bound of one cut: %s", got)
	}
	got := ask(fmt.Sprint("SUM(inv.a) >= ", most), 1)
	if !strings.Contains(got, `"first":false,"values":{"sum":`+fmt.Sprint(most)) {
		t.Errorf("the greatest sum is %d; with a bound of one cut: %s", most, got)
	}
	steps := idle(t, 6, 8, func(n, i int) int64 { return int64(i % 2) })
	got, err := askOne(t, steps, "SELECT SUM(inv.a) AS sum FROM inv WHEN POSSIBLY SUM(inv.a) = 5", 3)
	if err != nil || !strings.Contains(got, `"first":false,"values":{"sum":5}`) {
		t.Errorf("a sum of steps of one passes every value, and with a bound of three cuts: %s, %v", got, err)
	}
}

// An error of evaluation off the walk is told of with a cut of the lattice: there
// are no ticks.
func TestAFaultUnderAModalityIsOfACut(t *testing.T) {
	src := idle(t, 3, 4, func(n, i int) int64 { return int64(i) })
	for _, cond := range []string{"POSSIBLY inv.a / 0 > 1", "DEFINITELY inv.a / 0 > 1", "POSSIBLY MAX(inv.a) / 0 + MIN(inv.a) > 1"} {
		q, err := rql.Compile(src.Meta(), "SELECT inv.a FROM inv WHEN "+cond)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := q.Run(context.Background(), src, rql.Options{}, func(*rql.Row) error { return nil })
		if err != nil || len(sum.Errors) == 0 || !sum.Errors[0].Lattice || sum.Errors[0].Seq == 0 {
			t.Errorf("%s: %v, errors %+v", cond, err, sum.Errors)
		}
	}
}

// A search ends with its context wherever it is: the flow of a sum, the choices of
// nodes, the cuts of the lattice.
func TestASearchOfTheLatticeEndsWithItsContext(t *testing.T) {
	src := idle(t, 4, 3000, func(n, i int) int64 { return int64((i*i*31+n*7)%101 - 50) })
	for _, cond := range []string{
		"POSSIBLY SUM(inv.a) > 1000",
		"DEFINITELY SUM(inv.a) = 170 AND inv.a > 2",
		"POSSIBLY inv.a > 49 AND inv.a < -49 AND NODE($1) != NODE($2)",
		"POSSIBLY MAX(inv.a) * MIN(inv.a) = 17",
	} {
		q, err := rql.Compile(src.Meta(), "SELECT inv.a FROM inv WHEN "+cond)
		if err != nil {
			t.Fatal(err)
		}
		ask := func(limit int) (looks int, err error) {
			ctx := &ending{Context: context.Background(), limit: limit}
			_, err = q.Run(ctx, src, rql.Options{MaxCombinations: 1 << 30}, func(*rql.Row) error { return nil })
			return ctx.looks, err
		}
		const gathering = 4 * 3000 // looks, one at every event
		if looks, err := ask(gathering + 1); err != context.Canceled || looks > gathering+3 {
			t.Errorf("%s: ended while it decides, looked %d times after it: %v", cond, looks-gathering, err)
		}
	}
}

// An ending context is over after so many looks.
type ending struct {
	context.Context
	looks, limit int
}

func (c *ending) Err() error {
	if c.looks++; c.looks > c.limit {
		return context.Canceled
	}
	return nil
}

// What two nodes' values decide needs no search, however many cuts there are: with a
// bound of one cut it is answered, and EXPLAIN says so.
func TestTwoNodesValuesNeedNoSearch(t *testing.T) {
	// Each node goes through 0 … 16, one after the other; only n0 ever has 40.
	src := idle(t, 8, 200, func(n, i int) int64 {
		if n == 0 && i == 150 {
			return 40
		}
		return int64(i % 17)
	})
	for cond, want := range map[string]string{
		"MAX(inv.a) - MIN(inv.a) >= 40":                                        `"cut":{"n0":151,"n1":0,"n2":0,"n3":0,"n4":0,"n5":0,"n6":0,"n7":1}`,
		"MAX(inv.a) - MIN(inv.a) > 40":                                         `{"holds":false}`,
		"MAX(inv.a) >= 40":                                                     `"cut":{"n0":151,"n1":0,"n2":0,`,
		"MAX(inv.a) = 40 AND MIN(inv.a) = 16 AND inv.a = 3":                    `{"holds":false}`,
		"MAX(inv.a) <= 3 AND inv.a = 3 AND inv.a = 2 AND NODE($1) != NODE($2)": `"cut":{"n0":0,"n1":0,"n2":0,"n3":0,"n4":0,"n5":0,"n6":3,"n7":4}`,
		"inv.a > 16 + 23 AND inv.a = inv.a AND NODE($2) != NODE($3)":           `"cut":{"n0":151,`,
		"inv.a - inv.a = 40 AND NODE($1) != NODE($2)":                          `"cut":{"n0":151,"n1":0,"n2":0,"n3":0,"n4":0,"n5":0,"n6":0,"n7":1}`,
		"(inv.a < MAX(inv.a) AND inv.a = 16) LINK SAME_NODE":                   `"cut":{"n0":151,"n1":0,"n2":0,"n3":0,"n4":0,"n5":0,"n6":0,"n7":17}`,
	} {
		got, err := askOne(t, src, "SELECT COUNT(inv.a) AS n FROM inv WHEN POSSIBLY "+cond, 100)
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s\ngives %s, %v\nwant %s", cond, got, err, want)
		}
		plan, err := askOne(t, src, "EXPLAIN SELECT inv.a FROM inv WHEN POSSIBLY "+cond, 1)
		if err != nil || strings.Contains(plan, "search of the lattice") || !strings.Contains(plan, "cost: ") {
			t.Errorf("%s\nis to need no search: %s, %v", cond, plan, err)
		}
	}
}
