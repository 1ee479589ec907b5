package sim

import (
	"fmt"
	"strings"

	"hindcast.dev/check"
)

// judges are what is demanded of a run, from outside the system.
type judges struct {
	invariants []invariant
	conditions []condition
	histories  []historyJudge
	equals     []equality
}

type invariant struct {
	name  string
	holds func(n *Node) error
}

// A condition is a property in RQL, decided after the run over its History.
type condition struct {
	name, text string
	mode       conditionMode
}

type conditionMode string

const (
	modeAlways     conditionMode = "always"
	modeNever      conditionMode = "never"
	modeEventually conditionMode = "eventually"
	modeSometimes  conditionMode = "sometimes"
)

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

// Always states that an RQL condition holds at every consistent cut of the run.
func (w *World) Always(name, rql string) { w.judges.add(modeAlways, name, rql) }

// Never states that an RQL condition holds at no consistent cut.
func (w *World) Never(name, rql string) { w.judges.add(modeNever, name, rql) }

// Eventually states that an RQL condition holds at some cut after all was mended.
func (w *World) Eventually(name, rql string) { w.judges.add(modeEventually, name, rql) }

// Sometimes states that an RQL condition holds at some cut of some run: that the
// runs get there at all. One run doesn't fail by it; all together do.
func (w *World) Sometimes(name, rql string) { w.judges.add(modeSometimes, name, rql) }

func (j *judges) add(mode conditionMode, name, rql string) {
	j.conditions = append(j.conditions, condition{name, rql, mode})
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

// apart says why the world isn't at rest and equal yet, "" if it is.
func (j *judges) apart(w *World) string {
	var why []string
	for _, n := range w.nodes {
		switch {
		case n.stays != "":
		case !n.up:
			why = append(why, n.name+" is down")
		case n.l.Stats().Held > 0 || len(n.waiting) > 0:
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

// judge decides what can only be decided over the whole run.
func (w *World) judge(r *Result) {
	if r.Failure != nil || w.options.Quick {
		return
	}
	for _, h := range w.judges.histories {
		res := h.judge(r.Operations)
		r.Checks = append(r.Checks, res)
		if res.Verdict == check.Violated {
			r.Failure = &Failure{Kind: Safety, Property: h.name, Text: res.Violations[0].Text, Event: w.events, At: w.Now()}
			return
		}
	}
}
