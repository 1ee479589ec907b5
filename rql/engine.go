package rql

import (
	"cmp"
	"context"
	"slices"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
)

// An engine follows the walk: it is given the events one by one and keeps, for
// every member of FOR EACH (or the one instance without it), whether the
// condition holds. An event costs what it touched.
type engine struct {
	env
	insts    []*instance
	byKey    map[string]*instance // by keyID of the member
	shared   []leafState          // by Leaf.ID; used where the leaf is Shared
	code     []leafCode           // by Leaf.ID
	infos    []varInfo            // by VarID
	columns  []*column
	seesAll  bool     // SELECT * shows variables that the query doesn't name
	restless bool     // some leaves are Volatile
	net      *netLog  // nil unless the query asks for log net
	vars     []string // names by VarID

	missing []*sought                   // every path written, found or not; nil: nobody asks
	sought  map[history.VarID][]*sought // those not found yet, by what they begin with

	cut     uint64   // how many cuts so far
	stage   uint64   // grows with every stage of a cut
	work    []marked // leaves to be decided at this cut
	echo    []mark   // to be marked at the next cut, because PREV and CHANGED end there
	flips   []*instance
	touched []*instance // of the stage that is being decided
	gather  *gathering  // of a Stream: finds the members of FOR EACH as they come
	each    *eachKey    // nil unless FOR EACH goes by key alone
	fresh   []*instance // whose truth is to be looked at whatever is marked
	// anew says that a base came since the last cut: everything is decided anew.
	anew bool
	// keysDecided counts the bodies of quantifiers over KEYS that were evaluated.
	keysDecided uint64

	timers  timers           // operators of past time that time alone will change
	before  []*pastState     // PREVIOUSLY whose operand changed at the last cut
	wake    [][]*pastState   // by Past.ID: those to be updated at this cut
	ticking []*instance      // which this tick is a cut of
	bases   []*history.Event // that wait for the ticks before them
}

// An instance is the query for one member of FOR EACH.
type instance struct {
	index    int // among the members in order; -1 if they come as they do
	member   value
	leaves   []leafState // by Leaf.ID; used where the leaf isn't Shared
	matching bool
	stamp    uint64
	open     *entry // its run that isn't over

	pasts  []pastState // by Past.ID; used where the operator isn't Shared
	row    keyRow      // its key's, once there is one
	ticked uint64      // the last cut that was a tick of its own
	ticks  uint64      // how many it had in the range of the query
}

// compare orders instances by their members.
func (in *instance) compare(o *instance) int {
	if in.index >= 0 || in == o {
		return in.index - o.index
	}
	return cmp.Or(canonical(in.member, o.member), identity(in.member, o.member))
}

// newEngine starts before the first cut. members is nil without FOR EACH.
func newEngine(ctx context.Context, q *plan.Query, meta *history.Meta, states []*history.State, members []value, opt Options) *engine {
	w := &world{states: states}
	for i := range meta.Nodes {
		w.names = append(w.names, meta.Nodes[i].Name)
	}
	if w.nodes = q.Nodes; w.nodes == nil {
		for i := range w.names {
			w.nodes = append(w.nodes, i)
		}
	}
	e := &engine{vars: schemaOf(meta).Vars}
	e.env = env{q: q, w: w, ctx: ctx, limit: opt.maxCombinations(), faults: &faults{},
		slots: make([]int, len(q.Slots)), locals: make([]value, q.Locals),
		kept: make([]kept, q.Cells), computed: make([]kept, len(q.Compute)), clock: opt.Now}
	for i := range e.slots {
		e.slots[i] = none
	}
	e.pairs = make([]pairing, q.Equalities)
	e.start, e.end = extent(meta, w.nodes)
	if usesNet(q, meta) {
		e.net = newNetLog(len(meta.Vars), meta)
		w.net = e.net
	}
	e.makeInfos()
	e.makeStats()
	e.fillColumns()
	e.makeTallies()
	e.makeWatches()
	e.makeKeys(len(meta.Vars))
	e.compileLeaves()
	e.makePasts()
	e.makeEach()
	e.makeInstances(members)
	e.seek()
	if e.net != nil {
		e.net.eager = e.wantsLists()
	}
	return e
}

// extent is from the first to the last moment of the nodes asked.
func extent(meta *history.Meta, nodes []int) (start, end hlc.Timestamp) {
	start = hlc.Max
	for _, n := range nodes {
		if node := &meta.Nodes[n]; node.Events > 0 {
			start, end = min(start, node.First.Time), max(end, node.Last.Time)
		}
	}
	return min(start, end), end
}

func (e *engine) makeTallies() {
	for _, a := range e.q.Tallies {
		t := newTally(a, len(e.w.names))
		for _, n := range e.w.nodes {
			if e.w.in(n) {
				t.reset(&e.env, n, e.w.get(n, t.id, false))
			}
		}
		e.tallies = append(e.tallies, t)
		e.infos[t.id].tallies = append(e.infos[t.id].tallies, t)
	}
}

func (e *engine) makeInstances(members []value) {
	e.shared = e.newStates()
	e.restless = slices.ContainsFunc(e.q.Leaves, func(l *plan.Leaf) bool { return l.Volatile })
	if e.q.ForEach == nil {
		e.insts = []*instance{{}}
		return
	}
	e.byKey = make(map[string]*instance, len(members))
	for i, m := range members {
		e.addInstance(m, i)
	}
}

// addInstance begins a member of FOR EACH.
func (e *engine) addInstance(m value, index int) *instance {
	in := &instance{index: index, member: m}
	if slices.ContainsFunc(e.q.Leaves, func(l *plan.Leaf) bool { return !l.Shared }) {
		in.leaves = e.newStates()
	}
	if slices.ContainsFunc(e.q.Pasts, func(p *plan.Past) bool { return !p.Shared }) {
		in.pasts = e.newPasts(in)
	}
	e.insts = append(e.insts, in)
	e.byKey[memberID(m)] = in
	return in
}

func (e *engine) newStates() []leafState {
	states := make([]leafState, len(e.q.Leaves))
	for i, l := range e.q.Leaves {
		if l.Class == plan.ClassEachKey {
			states[i].keys = &keyTruth{holds: map[string]bool{}, all: true}
		}
	}
	return states
}

// step moves to the cut that an event makes. What became true or false is in
// flips then, ordered by member.
func (e *engine) step(ev *history.Event) error {
	e.begin(ev, ev.Time)
	if len(e.before)+len(e.echo) > 0 {
		e.resume(nil)
	}
	enters := !e.w.in(ev.Node)
	if enters {
		e.w.states[ev.Node] = history.NewState()
	}
	for i := range ev.Changes {
		e.change(ev.Node, &ev.Changes[i], true)
	}
	if e.net != nil {
		e.net.follow(e, ev)
	}
	if e.gather != nil {
		e.gather.look(ev)
	}
	if enters || e.anew || e.restless || e.cut == 1 {
		e.markUnasked(enters)
	}
	e.anew = false
	e.decideMarked()
	return e.err
}

// markUnasked marks the leaves that are to be decided whatever the event changed.
func (e *engine) markUnasked(enters bool) {
	for _, l := range e.q.Leaves {
		if enters && l.Enters || e.anew || e.cut == 1 || l.Volatile && (!l.Wanes || e.shared[l.ID].ok) {
			e.markAll(l, allNodes)
		}
	}
}

// begin makes everything ready for the next cut; ev is nil for a tick.
func (e *engine) begin(ev *history.Event, now hlc.Timestamp) {
	e.cut++
	e.round++
	e.choice++
	e.spent = 0
	e.w.event, e.w.now, e.w.before = ev, now, e.w.before[:0]
	e.work, e.flips = e.work[:0], e.flips[:0]
}

// base takes a node's variables from the moment at which its recording begins.
// That is no cut and changes nothing for PREV and CHANGED; it shows at the next
// cut.
func (e *engine) base(ev *history.Event) {
	if len(e.timers) > 0 {
		kept := *ev // which is gone after the next one, where the walk is narrow
		kept.Changes = slices.Clone(ev.Changes)
		e.bases = append(e.bases, &kept)
		return
	}
	e.enterBase(ev)
}

func (e *engine) enterBase(ev *history.Event) {
	e.anew = true
	if e.gather != nil {
		e.gather.anew = true
	}
	e.round++
	if !e.w.in(ev.Node) {
		e.w.states[ev.Node] = history.NewState()
	}
	for i := range ev.Changes {
		e.change(ev.Node, &ev.Changes[i], false)
	}
}

// decideMarked decides the marked leaves and finds the instances that flipped.
func (e *engine) decideMarked() {
	for _, p := range e.q.Pasts {
		e.pass(p, e.decideStage(p.ID))
	}
	if e.finds() {
		e.each.decideRows(e)
		e.sortFlips()
		return
	}
	if len(e.work) == 0 && len(e.fresh) == 0 && len(e.q.Pasts) == 0 && e.cut > 1 {
		return // nothing that the condition depends on
	}
	for _, in := range e.decideStage(len(e.q.Pasts)) {
		if now := e.q.Root == nil || e.truth(e.q.Root, in); now != in.matching {
			in.matching = now
			e.flips = append(e.flips, in)
		}
	}
	if e.fresh != nil {
		e.fresh = nil
	}
	e.sortFlips()
}

func (e *engine) sortFlips() {
	if len(e.flips) > 1 {
		slices.SortFunc(e.flips, (*instance).compare)
	}
}

// decideStage decides the marked leaves of a stage and returns the instances for
// which one changed.
func (e *engine) decideStage(stage int) []*instance {
	everyone := e.cut == 1
	e.stage++
	touched := e.touched[:0]
	if len(e.fresh) > 0 {
		touched = append(touched, e.fresh...)
	}
	for i := 0; i < len(e.work); i++ {
		m := e.work[i]
		if m.leaf.Stage != stage {
			continue
		}
		s := e.state(m.leaf, m.inst)
		was := s.ok
		e.enter(m.inst)
		e.decide(m.leaf, s)
		switch {
		case s.ok == was:
		case m.inst == nil:
			everyone = true
		case m.inst.stamp != e.stage:
			m.inst.stamp = e.stage
			touched = append(touched, m.inst)
		}
	}
	if len(touched) > 0 {
		e.touched = touched
	}
	if everyone && e.q.Apart && e.w.event == nil {
		return e.ticking
	}
	if everyone {
		return e.insts
	}
	return touched
}

// enter makes the environment that of a member; nil is none in particular.
func (e *engine) enter(in *instance) {
	e.round++
	e.choice++
	e.inst = in
	if in != nil && e.q.ForEach != nil {
		e.locals[0] = in.member
		if e.keys != nil {
			e.rows[0] = e.rowFor(in)
		}
	}
}

// truth combines the truth of the leaves.
func (e *engine) truth(c *plan.Cond, in *instance) bool {
	switch c.Op {
	case plan.CondAnd:
		for _, k := range c.Kids {
			if !e.truth(k, in) {
				return false
			}
		}
		return true
	case plan.CondOr:
		for _, k := range c.Kids {
			if e.truth(k, in) {
				return true
			}
		}
		return false
	}
	return e.leafState(c.Leaf, in).ok
}

func (e *engine) leafState(l *plan.Leaf, in *instance) *leafState {
	if l.Shared {
		return &e.shared[l.ID]
	}
	return &in.leaves[l.ID]
}
