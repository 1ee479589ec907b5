package rql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"hindcast.dev/causal"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// DefaultMaxEvents is how many events, messages and groups an event query keeps,
// unless Options says otherwise.
const DefaultMaxEvents = 4_000_000

// An EventsError says that an event query would have to keep more at once than
// it may.
type EventsError struct {
	Limit int
	Time  hlc.Timestamp // up to where the walk came
}

func (e *EventsError) Error() string {
	return fmt.Sprintf("more than %d events are to be kept at %s for what may be joined to them: join FIRST or MOSTRECENT, or choose fewer with WHERE",
		e.Limit, e.Time)
}

// An eventRun answers an event query.
type eventRun struct {
	src  history.Source
	opt  Options
	emit func(*Row) error
	sum  Summary

	w        *world
	faults   faults
	levels   []*eventLevel // sub-queries before those that read them; the query itself is the last
	names    eventNames
	plan     pastPlan
	store    [][][]*packed // by slot and node: all that came so far
	nodes    []nodePast
	messages *messages
	nothing  *past // along links from nowhere

	captures []capture // of the occurrence that is looked at
	made     int       // since the last census
	live     int       // that it counted
	groups   int       // groups and values in them
	censuses uint64
	sinks    uint64
	until    hlc.Timestamp // no event after it matters
}

// A nodePast is where a node stands.
type nodePast struct {
	ord  uint64 // its occurrences so far
	past [relations]*past
}

// A capture is an occurrence, or a row of a sub-query, as an input reads it.
type capture struct {
	in *eventInput
	p  *packed
}

// An eventInput is an input of one level.
type eventInput struct {
	level  *eventLevel
	plan   *plan.EventInput
	index  int
	seen   bool // it read something
	kids   []*eventInput
	slot   slot // of those that are joined to others
	fields []fieldSeen
	early  []plan.Expr // what WHERE says of it alone, asked before it is kept
}

// fieldSeen tells whether a field that only a payload can have was ever there.
type fieldSeen struct {
	*plan.EventField
	some bool
	has  map[string]bool // the keys that were there instead
}

func (in *eventInput) relation() relation {
	if in.plan.Along {
		return along
	}
	return lamport
}

// runEvents answers an event query.
func runEvents(ctx context.Context, q *plan.EventQuery, src history.Source, opt Options, emit func(*Row) error) (Summary, error) {
	r := &eventRun{src: src, opt: opt, emit: emit}
	if q.Limit == 0 {
		return r.sum, nil
	}
	if err := r.begin(ctx, q); err != nil {
		return r.sum, err
	}
	err := r.walk(ctx)
	part := err != nil || q.OnTime != nil
	if errors.Is(err, errLimit) {
		err = nil
	}
	r.sum.Errors = r.faults.list
	r.sum.Incomplete = r.unknown(r.top().to)
	for _, l := range r.levels {
		r.sum.Unequal = append(r.sum.Unequal, l.env.unequal()...)
		r.sum.Absent = append(r.sum.Absent, l.absent(part)...)
	}
	return r.sum, err
}

func (r *eventRun) top() *eventLevel { return r.levels[len(r.levels)-1] }

func (r *eventRun) maxEvents() int {
	if r.opt.MaxEvents == 0 {
		return DefaultMaxEvents
	}
	return r.opt.MaxEvents
}

// begin makes the levels and what is carried.
func (r *eventRun) begin(ctx context.Context, q *plan.EventQuery) error {
	meta := r.src.Meta()
	r.w = &world{}
	for i := range meta.Nodes {
		r.w.names = append(r.w.names, meta.Nodes[i].Name)
		r.w.nodes = append(r.w.nodes, i)
	}
	r.names = eventNames{inputs: map[string][]*eventInput{}}
	r.plan.nodes = len(meta.Nodes)
	if err := r.level(ctx, q, nil); err != nil {
		return err
	}
	r.until = r.ending()
	r.messages = newMessages(len(meta.Nodes))
	r.nothing = r.plan.newPast(along)
	r.nothing.shared = true
	r.nodes = make([]nodePast, len(meta.Nodes))
	for i := range r.nodes {
		for rel := range r.nodes[i].past {
			r.nodes[i].past[rel] = r.plan.newPast(relation(rel))
		}
	}
	r.store = make([][][]*packed, r.plan.stores)
	for i := range r.store {
		r.store[i] = make([][]*packed, len(meta.Nodes))
	}
	return nil
}

// ending is the latest moment of which an event may come last in a row, or decide
// which does: a sub-query after FROM may choose the most recent one.
func (r *eventRun) ending() hlc.Timestamp {
	l := r.top()
	until := l.to
	for l.inputs[0].plan.Query != nil {
		l = r.subOf(l.inputs[0])
		if in := l.inputs[0].plan; in.Limited() && !in.First() {
			until = max(until, l.to)
		}
	}
	return until
}

// walk goes through all events: what happened before begins with the first.
func (r *eventRun) walk(ctx context.Context) error {
	cur, err := history.WalkThrough(ctx, r.src, history.Begin, history.End, nil, history.Lens{Fields: r.fields()})
	if err != nil {
		return err
	}
	defer cur.Close()
	for {
		ev, err := cur.Next()
		if err == io.EOF {
			if err := r.names.misprint(); err != nil {
				return err
			}
			return r.finish()
		}
		if err != nil {
			return err
		}
		if ev.Base {
			r.nodes[ev.Node].past[along] = r.nothing
			continue
		}
		if ev.Time > r.until {
			return r.finish()
		}
		if err := r.step(ev); err != nil {
			return err
		}
		if r.sum.Cuts++; r.sum.Cuts%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// fields are those of events that the query needs. It needs no variables.
func (r *eventRun) fields() history.Fields {
	need := history.FieldKind | history.FieldMessage | history.FieldEffects
	for _, l := range r.levels {
		for _, f := range l.q.Fields {
			if f.Key != "" || f.Builtin == plan.BuiltinData {
				need |= history.FieldData
			}
			if f.Builtin == plan.BuiltinPhysical {
				need |= history.FieldPhysical
			}
		}
	}
	return need
}

// finish gives what is known only at the end.
func (r *eventRun) finish() error {
	for _, l := range r.levels {
		if err := l.finish(); err != nil {
			return err
		}
	}
	return nil
}

// begins are the kinds of events that a node handles for their own sake; what
// other events it has came of the last of these.
var begins = map[string]bool{"recv": true, "request": true, "timer": true, "result": true, "start": true, "control": true, "invoke": true}

// step follows one event. Messages that it received are before it.
func (r *eventRun) step(ev *history.Event) error {
	r.w.event, r.w.now = ev, ev.Time
	if len(r.plan.inputs) == 0 { // nothing is joined
		return r.occurrences(ev)
	}
	n := &r.nodes[ev.Node]
	before := n.past[along]
	if begins[ev.Kind] || ev.Kind == "note" {
		n.past[along] = r.nothing
	}
	linked := false
	for l := range ev.Arrivals() {
		if l.Kind != event.Message.String() && !r.plan.uses[along] {
			continue // see sends
		}
		linked = r.receive(n, r.src.Meta().Receiving(ev.Node, l), linked)
	}
	if err := r.occurrences(ev); err != nil {
		return err
	}
	if ev.Kind == "note" {
		n.past[along] = before // it was noted beside what is being handled
	}
	return nil
}

// receive adds what came with a message to what a node knows.
func (r *eventRun) receive(n *nodePast, to causal.Message, linked bool) bool {
	f := r.messages.Receive(to)
	if f == nil {
		return linked
	}
	m := f.Value
	if f.From != to.To && r.plan.uses[lamport] && n.past[lamport].clock[f.From] < m.ord {
		n.past[lamport] = n.past[lamport].own()
		n.past[lamport].learn(m.past[lamport], f.From, m.ord, r.plan.inputs)
	}
	if linked {
		n.past[along] = n.past[along].join(m.past[along], r.plan.inputs)
	} else {
		n.past[along] = m.past[along]
	}
	return true
}

// occurrences goes through an event and its effects.
func (r *eventRun) occurrences(ev *history.Event) error {
	var o occurrence
	o.ofEvent(ev)
	if err := r.occurs(&o); err != nil {
		return err
	}
	if ownSend(ev) != nil {
		return r.sends(ev, 0)
	}
	for i := range ev.Effects {
		if ev.Effects[i].Kind == "recv" {
			continue // one more message that the event came of
		}
		o.ofEffect(ev, i)
		if err := r.occurs(&o); err != nil {
			return err
		}
		if err := r.sends(ev, i); err != nil {
			return err
		}
	}
	return nil
}

// sends gives what has happened so far to what an effect sends. Timers and calls,
// which stay on the node, matter only to what follows links.
func (r *eventRun) sends(ev *history.Event, i int) error {
	f := &ev.Effects[i]
	name := timerName{ev.Node, ev.Machine, f.Name}
	if f.Kind == "canceltimer" || f.Kind == "settimer" {
		r.messages.drop(name)
	}
	l, ok := ev.Sends(i)
	if !ok || len(r.plan.inputs) == 0 || f.Kind != "send" && !r.plan.uses[along] {
		return nil
	}
	n := &r.nodes[ev.Node]
	m := &message{ord: n.ord, past: n.past}
	for _, b := range m.past {
		b.shared = true
	}
	flight := r.messages.Send(r.src.Meta().Sending(ev.Node, l))
	flight.Value = m
	if f.Kind == "settimer" {
		r.messages.timers[name] = timerSet{flight, m}
	}
	return r.bounded()
}

// occurs looks at one occurrence: first at what is joined to it, then it is
// added to what has happened.
func (r *eventRun) occurs(o *occurrence) error {
	n := &r.nodes[o.ev.Node]
	n.ord++
	r.captures = r.captures[:0]
	for _, in := range r.names.of(o.eventKind) {
		if err := in.level.take(in, r.pack(in, o, n)); err != nil {
			return err
		}
	}
	for _, c := range r.captures {
		r.made++
		if c.in.slot.kind == slotStore {
			lists := r.store[c.in.slot.index]
			lists[o.ev.Node] = append(lists[o.ev.Node], c.p)
			continue
		}
		rel := c.in.relation()
		n.past[rel] = n.past[rel].own()
		n.past[rel].add(c.in.slot, c.p)
	}
	if len(r.captures) > 0 {
		return r.bounded()
	}
	return nil
}

// pack reads the fields of an occurrence.
func (r *eventRun) pack(in *eventInput, o *occurrence, n *nodePast) *packed {
	p := &packed{at: o.ev.Position, effect: o.effect, ord: n.ord, before: n.past}
	if len(in.fields) > 0 {
		p.values = make([]value, len(in.fields))
	}
	for i := range in.fields {
		f := &in.fields[i]
		if v, ok := f.Reads(o.data); ok {
			p.values[i], f.some = of(v), true
		} else {
			p.values[i] = o.builtin(f.Builtin, r.w.names)
			f.note(o.data)
		}
	}
	return p
}

// bounded fails if more is kept than may be. It counts seldom.
func (r *eventRun) bounded() error {
	limit := r.maxEvents()
	if r.live+r.made+r.groups+r.messages.Sent() <= 2*limit {
		return nil
	}
	r.censuses++
	c := &census{mark: r.censuses}
	for i := range r.nodes {
		for _, b := range r.nodes[i].past {
			c.past(b)
		}
	}
	for f := range r.messages.All() {
		c.past(f.Value.past[lamport])
		c.past(f.Value.past[along])
	}
	for _, lists := range r.store {
		for _, list := range lists {
			for _, p := range list {
				c.packed(p)
				c.past(nil)
			}
		}
	}
	r.live, r.made = c.count, 0
	if r.live+r.groups+r.messages.Sent() > limit {
		return &EventsError{limit, r.w.now}
	}
	return nil
}

// unknown are the nodes whose recording is missing up to some time, from the first
// event on.
func (r *eventRun) unknown(to hlc.Timestamp) []string {
	var names []string
	meta := r.src.Meta()
	for i := range meta.Nodes {
		if slices.ContainsFunc(meta.Nodes[i].Unknown, func(s history.Span) bool { return s.From <= to && meta.First.Time < s.To }) {
			names = append(names, meta.Nodes[i].Name)
		}
	}
	return names
}

// note remembers what a payload has instead of the field.
func (f *fieldSeen) note(data event.Value) {
	if f.Builtin != plan.NoBuiltin || f.some {
		return
	}
	for k := range data.AsMap().All() {
		if len(f.has) == fieldsMax {
			return
		}
		if k.Type() == event.TypeString {
			if f.has == nil {
				f.has = map[string]bool{}
			}
			f.has[k.AsString()] = true
		}
	}
}

// fieldsMax bounds the names that fieldSeen remembers.
const fieldsMax = 64

// absent tells of the fields that no event had; part says that there are events
// that weren't looked at.
func (l *eventLevel) absent(part bool) []AbsentPath {
	var out []AbsentPath
	for _, in := range l.inputs {
		for i := range in.fields {
			f := &in.fields[i]
			if f.some || f.Builtin != plan.NoBuiltin || f.Key == "" || !in.seen {
				continue
			}
			a := AbsentPath{Path: in.plan.Name + "." + f.Key, Pos: f.Pos, Below: in.plan.Name, Events: true, Part: part}
			var names []string
			for k := range f.has {
				names = append(names, k)
			}
			slices.Sort(names)
			a.Has = names[:min(len(names), hasMax)]
			if near, ok := syntax.Nearest(f.Key, append(names, plan.BuiltinNames()...)); ok {
				a.Nearest = in.plan.Name + "." + near
			}
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b AbsentPath) int { return a.Pos.Offset - b.Pos.Offset })
	return out
}
