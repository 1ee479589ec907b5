package rql

import (
	"slices"

	"hindcast.dev/causal"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql/plan"
)

// netVars are the variables of log net, in the order of their ids after those of
// the History.
var netVars = []string{"net.sent", "net.received", "net.inflight"}

// schemaOf is what the checker knows of a History: its variables and those of
// log net, which the engine derives from the events.
func schemaOf(meta *history.Meta) *plan.Schema {
	s := &plan.Schema{}
	for i := range meta.Nodes {
		s.Nodes = append(s.Nodes, meta.Nodes[i].Name)
	}
	for i := range meta.Vars {
		s.Vars = append(s.Vars, meta.Vars[i].Name)
	}
	for _, v := range netVars {
		if slices.Contains(s.Vars, v) {
			return s // the History brings its own
		}
	}
	s.Vars = append(s.Vars, netVars...)
	return s
}

// usesNet reports whether a query asks for a derived variable.
func usesNet(q *plan.Query, meta *history.Meta) bool {
	for _, r := range q.Refs {
		for _, c := range r.Vars {
			if c.Var >= len(meta.Vars) {
				return true
			}
		}
	}
	return slices.ContainsFunc(q.Items, func(it plan.Item) bool { return slices.Contains(it.Logs, "net") }) &&
		len(schemaOf(meta).Vars) > len(meta.Vars)
}

// usedVars is the variables that a query may look at; nil is all.
func usedVars(q *plan.Query) map[history.VarID]bool {
	used := map[history.VarID]bool{}
	for _, it := range q.Items {
		if it.Star {
			return nil
		}
	}
	for _, r := range q.Refs {
		for _, c := range r.Vars {
			used[history.VarID(c.Var)] = true
		}
	}
	return used
}

// A netLog derives log net from the events. What a node says to a peer is a lane;
// the messages under way are kept by lane and put into the node's variable, as a
// list, only when somebody looks there: what follows them otherwise (an aggregate
// over [*], the truth of a condition) is told of each message alone.
type netLog struct {
	meta                     *history.Meta
	sent, received, inflight history.VarID
	counts                   map[count]int64
	links                    *causal.Links[*flight]
	lanes                    map[laneKey]*lane
	stale                    [][]*lane // by node: those whose list isn't in its variable yet
	moved                    bool      // some variable changed at this cut
	eager                    bool      // lists are wanted at every change
}

type count struct {
	id   history.VarID
	node int
	peer string
}

type laneKey struct {
	node int
	peer string
}

// A lane is what is under way from a node to a peer.
type lane struct {
	laneKey
	flights []*flight // in the order of sending; nil where one was taken out
	gone    int       // how many are nil
	stale   bool      // it is in netLog.stale
}

// A flight is a message that was sent. It is under way while it has a lane.
type flight struct {
	lane *lane
	at   int // in its flights
	msg  event.Value
}

func newNetLog(base int, meta *history.Meta) *netLog {
	return &netLog{meta: meta, sent: history.VarID(base), received: history.VarID(base + 1), inflight: history.VarID(base + 2),
		counts: map[count]int64{}, links: causal.NewLinks[*flight](len(meta.Nodes), 0), lanes: map[laneKey]*lane{},
		stale: make([][]*lane, len(meta.Nodes))}
}

// wantsLists reports whether what is asked of net.inflight needs whole lists at
// every change.
func (e *engine) wantsLists() bool {
	in := &e.infos[e.net.inflight]
	return e.q.UsesPrev || in.keyed != nil || len(in.columns) > 0 ||
		slices.ContainsFunc(in.watches, func(w watch) bool { return w.keyed || len(w.dep.Ref.Vars) > 1 }) ||
		slices.ContainsFunc(in.tallies, func(t *tally) bool { return len(t.steps) < 2 || t.steps[1].Kind != plan.StepAll })
}

// follow makes the changes that an event brings about in log net: what it came of
// first, then what came of it.
func (n *netLog) follow(e *engine, ev *history.Event) {
	n.moved = false
	if e.info(n.received) != nil {
		n.receives(e, ev)
	}
	follows := e.info(n.inflight) != nil
	if follows {
		for l := range ev.Arrivals() {
			if l.Kind == event.Message.String() { // the others are never under way here
				n.land(e, n.links.Receive(n.meta.Receiving(ev.Node, l)))
			}
		}
		if l, ok := ev.Lost(); ok {
			for _, f := range n.links.Lose(n.meta.Losing(ev.Node, l)) {
				n.land(e, f)
			}
		}
	}
	counts := e.info(n.sent) != nil
	for i := range ev.Effects {
		f := &ev.Effects[i]
		if f.Kind != event.EffectSend.String() {
			continue
		}
		if counts && f.Peer != "" {
			n.bump(e, n.sent, ev.Node, f.Peer)
		}
		if l, ok := ev.Sends(i); ok && follows {
			n.send(e, f, n.links.Send(n.meta.Sending(ev.Node, l)))
		}
	}
}

// receives counts the messages that an event came of, also those without an id.
func (n *netLog) receives(e *engine, ev *history.Event) {
	own := ev.Kind == event.Message.String()
	if own && ev.Peer != "" {
		n.bump(e, n.received, ev.Node, ev.Peer)
	}
	for i := range ev.Effects {
		f := &ev.Effects[i]
		if again := own && f.ID == ev.ID; f.Kind == event.Message.String() && f.Peer != "" && !again {
			n.bump(e, n.received, ev.Node, f.Peer)
		}
	}
}

func (n *netLog) bump(e *engine, id history.VarID, node int, peer string) {
	c := count{id, node, peer}
	n.counts[c]++
	n.set(e, id, node, peer, event.Int(n.counts[c]))
}

func (n *netLog) set(e *engine, id history.VarID, node int, peer string, v event.Value) {
	n.moved = true
	e.change(node, &history.Change{Var: id, Path: []event.Value{event.String(peer)}, Value: v}, true)
}

// send puts a message under way, if it isn't and never was received.
func (n *netLog) send(e *engine, s *history.Effect, f *causal.Flight[*flight]) {
	if f.Value == nil {
		f.Value = &flight{}
	}
	fl := f.Value
	if !f.UnderWay() || fl.lane != nil || s.Peer == "" {
		return
	}
	fl.msg = underWay(s)
	key := laneKey{f.From, s.Peer}
	l := n.lanes[key]
	if l == nil {
		l = &lane{laneKey: key}
		n.lanes[key] = l
	}
	fl.lane, fl.at = l, len(l.flights)
	l.flights = append(l.flights, fl)
	n.changed(e, l, fl, true)
}

// underWay is a message as net.inflight shows it.
func underWay(s *history.Effect) event.Value {
	data := s.Data
	if data.IsAbsent() {
		data = event.Null()
	}
	return event.MapOf(event.NewMap(
		event.Entry{Key: event.String("data"), Value: data},
		event.Entry{Key: event.String("id"), Value: event.String(s.ID)},
		event.Entry{Key: event.String("name"), Value: event.String(s.Name)}))
}

// land takes a message out of those under way, if it is one of them.
func (n *netLog) land(e *engine, f *causal.Flight[*flight]) {
	if f == nil || f.Value == nil || f.Value.lane == nil {
		return
	}
	fl := f.Value
	l := fl.lane
	l.flights[fl.at], fl.lane = nil, nil
	if l.gone++; 2*l.gone > len(l.flights) {
		l.close()
	}
	n.changed(e, l, fl, false)
	fl.msg = event.Absent
}

// close takes out the gaps.
func (l *lane) close() {
	left := l.flights[:0]
	for _, f := range l.flights {
		if f != nil {
			f.at = len(left)
			left = append(left, f)
		}
	}
	clear(l.flights[len(left):])
	l.flights, l.gone = left, 0
}

// list is what stands in the variable.
func (l *lane) list() event.Value {
	out := make([]event.Value, 0, len(l.flights)-l.gone)
	for _, f := range l.flights {
		if f != nil {
			out = append(out, f.msg)
		}
	}
	return event.List(out...)
}

// changed tells of a message that came to a lane, or left it.
func (n *netLog) changed(e *engine, l *lane, f *flight, came bool) {
	if n.eager {
		n.set(e, n.inflight, l.node, l.peer, l.list())
		return
	}
	n.moved = true
	if !l.stale {
		l.stale = true
		n.stale[l.node] = append(n.stale[l.node], l)
	}
	in := &e.infos[n.inflight]
	for _, t := range in.tallies {
		t.message(&e.env, l.node, l.peer, f.msg, came)
	}
	path := []event.Value{event.String(l.peer)}
	if came && len(e.sought) > 0 && e.sought[n.inflight] != nil {
		e.lookInto(n.inflight, event.MapOf((*event.Map)(nil).With(path[0], event.List(f.msg))), path)
	}
	for i := range in.watches {
		if w := &in.watches[i]; onPath(w.steps[:w.fixed], path) {
			e.markDep(w, nil, e.nodeOf(w, l.node))
		}
	}
}

// settle puts the lists of a node into its variable.
func (n *netLog) settle(w *world, node int) {
	stale := n.stale[node]
	s := w.states[node]
	if len(stale) == 0 || s == nil {
		return
	}
	n.stale[node] = stale[:0]
	lists := s.Get(n.inflight).AsMap()
	for _, l := range stale {
		l.stale = false
		lists = lists.With(event.String(l.peer), l.list())
	}
	clear(stale)
	s.Set(n.inflight, event.MapOf(lists))
}

// settleAll puts all lists into the variables.
func (n *netLog) settleAll(w *world) {
	for node := range n.stale {
		n.settle(w, node)
	}
}

// adopt goes on with the messages under way and the counts of a smaller History,
// whose lists are settled: node m of that is to[m] of this.
func (n *netLog) adopt(old *netLog, to []int) {
	n.links, n.moved = old.links, old.moved
	n.links.Renumber(len(n.meta.Nodes), to, func(name string) int {
		if i, ok := n.meta.NodeIndex(name); ok {
			return i
		}
		return causal.Nowhere
	})
	for _, l := range old.lanes {
		l.node = to[l.node]
		n.lanes[l.laneKey] = l
	}
	ids := map[history.VarID]history.VarID{old.sent: n.sent, old.received: n.received, old.inflight: n.inflight}
	for c, v := range old.counts {
		n.counts[count{ids[c.id], to[c.node], c.peer}] = v
	}
}
