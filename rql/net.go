package rql

import (
	"slices"

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

// A netLog derives log net from the events.
type netLog struct {
	sent, received, inflight history.VarID
	nodes                    map[string]int
	flying                   map[string]flight // by message id
	counts                   map[count]int64
}

type flight struct {
	node int
	peer string
}

type count struct {
	id   history.VarID
	node int
	peer string
}

func newNetLog(base int, meta *history.Meta) *netLog {
	n := &netLog{sent: history.VarID(base), received: history.VarID(base + 1), inflight: history.VarID(base + 2),
		nodes: map[string]int{}, flying: map[string]flight{}, counts: map[count]int64{}}
	for i := range meta.Nodes {
		n.nodes[meta.Nodes[i].Name] = i
	}
	return n
}

// follow makes the changes that an event brings about in log net.
func (n *netLog) follow(e *engine, ev *history.Event) {
	for i := range ev.Effects {
		if f := &ev.Effects[i]; f.Kind == event.EffectSend.String() && f.Peer != "" {
			n.bump(e, n.sent, ev.Node, f.Peer)
			n.send(e, ev.Node, f)
		}
	}
	switch {
	case ev.Kind == event.Message.String():
		if ev.Peer != "" {
			n.bump(e, n.received, ev.Node, ev.Peer)
		}
		n.land(e, ev.ID)
	case ev.Kind == event.Note.String() && ev.Name == event.NoteDrop:
		n.land(e, ev.Data.Field("message").AsString())
		n.land(e, ev.ID)
	}
}

func (n *netLog) bump(e *engine, id history.VarID, node int, peer string) {
	c := count{id, node, peer}
	n.counts[c]++
	n.set(e, id, node, peer, event.Int(n.counts[c]))
}

func (n *netLog) set(e *engine, id history.VarID, node int, peer string, v event.Value) {
	e.change(node, &history.Change{Var: id, Path: []event.Value{event.String(peer)}, Value: v}, true)
}

// list is the messages under way from a node to a peer.
func (n *netLog) list(e *engine, node int, peer string) []event.Value {
	return e.w.get(node, int(n.inflight), false).Field(peer).Members()
}

func (n *netLog) send(e *engine, node int, f *history.Effect) {
	data := f.Data
	if data.IsAbsent() {
		data = event.Null()
	}
	m := event.NewMap(
		event.Entry{Key: event.String("id"), Value: event.String(f.ID)},
		event.Entry{Key: event.String("name"), Value: event.String(f.Name)},
		event.Entry{Key: event.String("data"), Value: data})
	n.flying[f.ID] = flight{node, f.Peer}
	n.set(e, n.inflight, node, f.Peer, event.List(append(slices.Clone(n.list(e, node, f.Peer)), event.MapOf(m))...))
}

// land takes a message out of those under way, if it is one of them.
func (n *netLog) land(e *engine, id string) {
	f, ok := n.flying[id]
	if !ok || id == "" {
		return
	}
	delete(n.flying, id)
	left := slices.DeleteFunc(slices.Clone(n.list(e, f.node, f.peer)), func(m event.Value) bool {
		return m.Field("id").AsString() == id
	})
	n.set(e, n.inflight, f.node, f.peer, event.List(left...))
}
