package sim

import (
	"context"
	"fmt"
	"strings"

	"hindcast.dev/check"
	"hindcast.dev/replay"
)

// judges are what is demanded of a run, from outside the system.
type judges struct {
	invariants []invariant
	properties []Property
	histories  []historyJudge
	equals     []equality
}

type invariant struct {
	name  string
	holds func(n *Node) error
}

type historyJudge struct {
	name  string
	judge func(ops []check.Operation) check.Result
}

type equality struct {
	name string
	of   func(n *Node) string
}

// Invariant states what holds after every turn of a node: holds returns nil, or
// why not. It may look at the whole world.
func (w *World) Invariant(name string, holds func(n *Node) error) {
	w.judges.invariants = append(w.judges.invariants, invariant{name, holds})
}

// Judge states what is demanded of the clients' operations.
func (w *World) Judge(name string, judge func(ops []check.Operation) check.Result) {
	w.judges.histories = append(w.judges.histories, historyJudge{name, judge})
}

// Converges states that in the end all nodes are equal in what of returns.
func (w *World) Converges(name string, of func(n *Node) string) {
	w.judges.equals = append(w.judges.equals, equality{name, of})
}

// look looks at the invariants after a turn.
func (j *judges) look(w *World, n *Node) {
	if !n.up {
		return
	}
	for i := range j.invariants {
		if err := j.invariants[i].holds(n); err != nil {
			w.fail(&Failure{Kind: Safety, Property: j.invariants[i].name, Text: err.Error(), Node: n.name, Seq: n.l.Seq()})
			return
		}
	}
}

// apart says why the world isn't at rest and equal yet, "" if it is. What waits for
// a disk since the last look only is no unrest: nodes that never fall silent, such
// as a leader and its followers, always have something on the way to their disks.
func (j *judges) apart(w *World) string {
	var why []string
	for _, n := range w.nodes {
		switch {
		case n.stays != "":
		case !n.up:
			why = append(why, n.name+" is down")
		case n.l.Stats().Held > 0 && n.j.Durable() < n.looked || len(n.waiting) > 0:
			why = append(why, n.name+" has effects that wait for its disk, or messages that wait for room")
		}
	}
	if w.load != nil && !w.load.idle() {
		why = append(why, "an operation is under way")
	}
	if len(why) == 0 {
		for _, e := range j.equals {
			if s := e.differs(w); s != "" {
				why = append(why, s)
			}
		}
	}
	return strings.Join(why, "; ")
}

func (e *equality) differs(w *World) string {
	var first *Node
	value := ""
	for _, n := range w.nodes {
		if n.stays != "" {
			continue
		}
		v := e.of(n)
		if first == nil {
			first, value = n, v
		} else if v != value {
			return fmt.Sprintf("%s: %s has %.200s, %s has %.200s", e.name, first.name, value, n.name, v)
		}
	}
	return ""
}

// stuck says in words what the core has not done.
func (w *World) stuck() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s after the core healed", progressMax)
	if w.load != nil {
		for _, c := range w.load.clients {
			if !c.ok {
				fmt.Fprintf(&b, ", %s has had no answer", c.lane)
			}
		}
	}
	for _, n := range w.phases.core {
		if !n.up {
			fmt.Fprintf(&b, "; %s is down %s", n.name, n.stays)
		}
	}
	return b.String()
}

// judge decides what can only be decided over the whole run: whether it repeats,
// then properties, then operations, then whether it counts. The first thing that
// is wrong is the Failure.
func (w *World) judge(r *Result) {
	if r.Failure != nil || w.options.Quick {
		return
	}
	if err := w.judgeHistory(r); err != nil {
		w.misuse("%w", err)
		return
	}
	for i := range w.judges.histories {
		if r.Failure != nil || r.Stopped {
			return
		}
		w.judgeOperations(r, &w.judges.histories[i])
	}
	if ok, why := r.Counted(); !ok && w.options.Floors && r.Undecided == "" {
		w.failed(r, &Failure{Kind: Coverage, Property: "the run exercises enough to count", Text: why, Event: w.events, At: w.Now()})
	}
}

// judgeHistory replays the journals and decides the properties over what comes of
// them.
func (w *World) judgeHistory(r *Result) error {
	if len(w.judges.properties) > 0 {
		return w.judgeProperties(r)
	}
	problems, err := w.replayInto(context.Background(), nil, replay.Options{Last: w.same(r)})
	if err == nil {
		w.judgeReplay(r, problems)
	}
	return err
}

func (w *World) judgeOperations(r *Result, h *historyJudge) {
	res := h.judge(r.Operations)
	r.Checks = append(r.Checks, res)
	switch res.Verdict {
	case check.Undecided:
		r.undecided(h.name, res.Bound)
	case check.Violated:
		f := &Failure{Kind: Safety, Property: h.name, Event: w.events, At: w.Now()}
		f.Text = "operations that no order explains, but which was not said"
		if len(res.Violations) > 0 {
			v := &res.Violations[0]
			f.Text = v.Text
			w.pointAt(f, v.Operations)
		}
		w.failed(r, f)
	}
}

// undecided says that a judge came to no verdict, and why.
func (r *Result) undecided(name, why string) {
	if r.Undecided != "" {
		r.Undecided += "; "
	}
	r.Undecided += name + ": " + why
}

// pointAt lets a failure show the operation that came to its end last: the event
// on its client's lane with which it did.
func (w *World) pointAt(f *Failure, ops []check.Operation) {
	best := -1
	for i := range ops {
		if ops[i].Return != check.Open && (best < 0 || ops[i].Return >= ops[best].Return) {
			best = i
		}
	}
	if best < 0 {
		if best = len(ops) - 1; best < 0 {
			return
		}
	}
	for i := len(w.load.lanes) - 1; i >= 0; i-- {
		x := &w.load.lanes[i]
		if w.load.operations[x.operation].Ref == ops[best].Ref {
			w.locate(f, w.load.clients[x.client].lane, x.seq)
			return
		}
	}
}
