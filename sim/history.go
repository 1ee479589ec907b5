package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/replay"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// simulatedBuild is the build that journals name.
const simulatedBuild = "simulated"

// A moment says during which event of the world a node stamped its events up to
// a sequence number.
type moment struct {
	seq   uint64
	event uint64
	at    int64
}

// History is all that happened in the run: every node's journal replayed, and the
// clients' lanes. A disk that was replaced is a node of its own, NAME~1, whose
// variables are gone after its last event. It is made when it is first asked for,
// and the same from then on; what can't be replayed is unknown in it.
func (r *Result) History(ctx context.Context) (history.Source, error) {
	if r.full == nil {
		mem, _, err := r.world.replay(ctx, replay.Options{})
		if err != nil {
			return nil, err
		}
		r.full = mem
	}
	return r.full, nil
}

// replay makes the History of the run so far.
func (w *World) replay(ctx context.Context, o replay.Options) (*history.Mem, []replay.Problem, error) {
	b := history.NewBuilder()
	problems, err := w.replayInto(ctx, b, o)
	if err != nil {
		return nil, nil, err
	}
	if w.load != nil {
		if err := w.load.write(b, o.Lean); err != nil {
			return nil, nil, err
		}
	}
	mem, err := b.Build()
	return mem, problems, err
}

// replayInto replays all journals; with a nil b their digests are compared only.
func (w *World) replayInto(ctx context.Context, b *history.Builder, o replay.Options) ([]replay.Problem, error) {
	o.Registry = w.subject.Machines
	var problems []replay.Problem
	one := func(n *Node, disk vfs.FS, name string, last func(string, *stepper.Stepper)) error {
		var nw history.NodeWriter
		if b != nil {
			var err error
			if nw, err = b.Node(name, simulatedBuild); err != nil {
				return err
			}
			if name != n.name {
				nw = &lostDisk{NodeWriter: nw}
			}
		}
		o.Last = last
		res, err := replay.Node(ctx, replay.Journal{Node: n.name, FS: disk, Dir: journalDir, Checkpoints: checkpointsDir}, nw, o)
		problems = append(problems, res.Problems...)
		return err
	}
	last := o.Last
	for _, n := range w.nodes {
		for i, disk := range n.replacedDisks() {
			if err := one(n, disk, archivedName(n, i), nil); err != nil {
				return nil, err
			}
		}
		if err := one(n, n.disk.mem, n.name, last); err != nil {
			return nil, err
		}
	}
	return problems, nil
}

// replacedDisks are the disks that the node had before the present one. One that
// is lost and not replaced is the present one still.
func (n *Node) replacedDisks() []*vfs.Mem {
	if k := len(n.archived); k > 0 && n.archived[k-1] == n.disk.mem {
		return n.archived[:k-1]
	}
	return n.archived
}

// archivedName is what the History calls a node on its disk number i that was
// replaced.
func archivedName(n *Node, i int) string { return fmt.Sprintf("%s~%d", n.name, i+1) }

// A lostDisk writes a node whose disk was lost: with its last event all that it
// knew is gone.
type lostDisk struct {
	history.NodeWriter
	vars []history.VarID
	last history.Position
}

func (l *lostDisk) Var(name string) history.VarID {
	v := l.NodeWriter.Var(name)
	l.vars = append(l.vars, v)
	return v
}

func (l *lostDisk) Append(e *history.Event) error {
	l.last = e.Position
	return l.NodeWriter.Append(e)
}

// Base may stand behind the last event: a checkpoint with nothing readable after it.
func (l *lostDisk) Base(seq uint64, at hlc.Timestamp, vars []history.Change) error {
	l.last = history.Position{Time: at, Seq: seq}
	return l.NodeWriter.Base(seq, at, vars)
}

func (l *lostDisk) Close() error {
	if l.last.Seq > 0 {
		e := &history.Event{Position: history.Position{Time: l.last.Time, Seq: l.last.Seq + 1},
			Kind: event.Note.String(), Name: "replaced", Data: event.String("the disk is lost; what the node knew is gone")}
		for _, v := range l.vars {
			e.Changes = append(e.Changes, history.Change{Var: v})
		}
		if err := l.NodeWriter.Append(e); err != nil {
			return err
		}
	}
	return l.NodeWriter.Close()
}

// write writes the clients' lanes: as load on a real cluster is recorded.
func (l *load) write(w history.Writer, lean bool) error {
	lanes := make([]history.NodeWriter, len(l.clients))
	for i, c := range l.clients {
		var err error
		if lanes[i], err = w.Node(c.lane, ""); err != nil {
			return err
		}
	}
	for i := range l.lanes {
		x := &l.lanes[i]
		e := history.Event{Position: history.Position{Time: x.time, Seq: x.seq}, Physical: x.physical, Kind: x.kind}
		if !lean {
			l.describe(&e, x)
		}
		if err := lanes[x.client].Append(&e); err != nil {
			return err
		}
	}
	for _, nw := range lanes {
		if err := nw.Close(); err != nil {
			return err
		}
	}
	return nil
}

// describe fills in what an event of a lane says.
func (l *load) describe(e *history.Event, x *laneEvent) {
	op := &l.operations[x.operation]
	e.Name, e.ID = op.F, fmt.Sprintf("%s/%d", l.clients[x.client].lane, x.number)
	data := (*event.Map)(nil).With(event.String("f"), event.String(op.F))
	if op.Key != "" {
		data = data.With(event.String("key"), event.String(op.Key))
	}
	value := op.Input
	if x.kind != laneInvoke && !op.Output.IsAbsent() {
		value = op.Output
	}
	data = withValue(data, value)
	if x.node != nil {
		data = data.With(event.String("to"), event.String(x.node.name))
	}
	e.Data = event.MapOf(data)
}

// withValue puts what an operation asked or got into an event's data. Of an object
// with a field "value" that is the value, which checkers judge by; its other fields
// stand beside it, where they don't hide what stands there.
func withValue(data *event.Map, value event.Value) *event.Map {
	const field = "value"
	switch inner := value.Field(field); {
	case value.IsAbsent():
		return data
	case value.Type() != event.TypeMap || inner.IsAbsent():
		return data.With(event.String(field), value)
	}
	all := value.AsMap()
	for k, v := range data.All() {
		all = all.With(k, v)
	}
	return all
}

// when finds out during which event of the world a node stamped an event; ok is
// false if that isn't known.
func (w *World) when(node string, seq uint64) (m moment, ok bool) {
	if n := w.byName[node]; n != nil {
		// From the back: after a power loss a sequence number may be used again.
		for i := len(n.moments) - 1; i >= 0; i-- {
			if n.moments[i].seq >= seq && (i == 0 || n.moments[i-1].seq < seq) {
				return n.moments[i], true
			}
		}
		return m, false
	}
	if w.load == nil {
		return m, false
	}
	for i := range w.load.lanes {
		x := &w.load.lanes[i]
		if x.seq == seq && w.load.clients[x.client].lane == node {
			return moment{seq, x.event, x.at}, true
		}
	}
	return m, false
}

// locate has a failure that was found after the run say when it came about.
func (w *World) locate(f *Failure, node string, seq uint64) *Failure {
	f.Node, f.Seq = node, seq
	f.Event, f.At = w.events, w.Now()
	if m, ok := w.when(node, seq); ok {
		f.Event, f.At = m.event, time.Duration(m.at)
	}
	return f
}

// judgeReplay says what the replay's problems mean: that a journal doesn't give
// what it gave is a failure, and that a damaged one can't be read isn't.
func (w *World) judgeReplay(r *Result, problems []replay.Problem) {
	for _, p := range problems {
		var diverged *stepper.DivergenceError
		n := w.byName[p.Node]
		switch {
		case errors.As(p.Err, &diverged):
			w.failed(r, w.locate(&Failure{Kind: Divergence, Property: "replay repeats what happened", Text: p.String()}, p.Node, diverged.Seq))
		case n.Harmed():
			r.Warnings = append(r.Warnings, "not all of it could be judged: "+p.String())
		default:
			w.failed(r, w.locate(&Failure{Kind: Divergence, Property: "replay repeats what happened", Text: p.String()}, p.Node, p.Seq))
		}
	}
}

func (w *World) failed(r *Result, f *Failure) {
	if r.Failure == nil {
		r.Failure = f
	}
}

// same compares what replay ended with and what the node has: the last event,
// which no digest follows, and what is in plain maps and slices, of which the
// digest has the lengths alone.
func (w *World) same(r *Result) func(node string, st *stepper.Stepper) {
	return func(node string, st *stepper.Stepper) {
		n := w.byName[node]
		if !n.up {
			return
		}
		live := n.l.Stepper()
		text := ""
		switch {
		case live.Seq() != st.Seq():
			text = fmt.Sprintf("%s is at event %d, and its journal replays up to event %d", node, live.Seq(), st.Seq())
		case live.Chain() != st.Chain() || !equalDigests(live, st):
			text = fmt.Sprintf("%s after its last event, %d: %s", node, live.Seq(), differing(live, st, "the node", "replay"))
		default:
			return
		}
		w.failed(r, w.locate(&Failure{Kind: Divergence, Property: "replay repeats what happened", Text: text}, node, live.Seq()))
	}
}

func equalDigests(a, b *stepper.Stepper) bool {
	x, y := a.Digests(), b.Digests()
	for m, d := range x {
		if y[m] != d {
			return false
		}
	}
	return len(x) == len(y)
}

// differing says in words which variables differ between two steppers.
func differing(a, b *stepper.Stepper, nameA, nameB string) string {
	text := ""
	a.Variables(func(variable string, v event.Value) {
		if x := b.Materialize(variable); text == "" && !event.Equal(v, x) {
			v, x = firstDifference(&variable, v, x)
			text = fmt.Sprintf("%s is %s to %s, and %s to %s", variable, brief(v), nameA, brief(x), nameB)
		}
	})
	if text == "" {
		return "the variables are equal; effects or what is not exported differ"
	}
	return text
}

// firstDifference goes down into two maps to where they differ.
func firstDifference(path *string, a, b event.Value) (event.Value, event.Value) {
	for a.Type() == event.TypeMap && b.Type() == event.TypeMap {
		var key event.Value
		found := false
		for _, m := range []*event.Map{a.AsMap(), b.AsMap()} {
			for k := range m.All() {
				if !found && !event.Equal(a.Index(k), b.Index(k)) {
					key, found = k, true
				}
			}
		}
		if !found {
			break
		}
		*path += "[" + key.String() + "]"
		a, b = a.Index(key), b.Index(key)
	}
	return a, b
}

// briefMax is how many bytes of a value are shown in a sentence.
const briefMax = 120

func brief(v event.Value) string {
	if v.IsAbsent() {
		return "absent"
	}
	s := v.String()
	if len(s) > briefMax {
		return s[:briefMax] + "…"
	}
	return s
}
