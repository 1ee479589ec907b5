package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"hindcast.dev/event"
)

// Consistency models of registers, besides the session guarantees.
const (
	PRAM         = "PRAM"         // each client's writes are seen in their order by all
	Causal       = "causal"       // and so is what follows from what was read (causal memory)
	Sequential   = "sequential"   // there is one order for all
	linearizable = "linearizable" // and it respects real time
)

// implies says what each property implies directly; both are names of Results.
var implies = map[string][]string{
	PRAM:         {MonotonicReads, MonotonicWrites, ReadYourWrites},
	Causal:       {PRAM, WritesFollowReads},
	Sequential:   {Causal},
	linearizable: {Sequential},
}

// Levels are the properties that Consistency judges, weaker ones before those that
// imply them.
func Levels() []string {
	return append(Guarantees(), PRAM, Causal, Sequential, linearizable)
}

// Levelled is how consistent registers are.
type Levelled struct {
	Results []Result // in the order of Levels
}

// Consistency judges registers by every property of Levels, and says which is the
// strongest that holds. Operations are as for Sessions.
func Consistency(ops []Operation, o Options) Levelled {
	var all Levelled
	strongest := Level(ops, linearizable, o)
	if strongest.Verdict == Holds && oneAtATime(ops) {
		for _, name := range Levels() { // it implies them all
			all.Results = append(all.Results, Result{Check: name, Verdict: Holds, Operations: strongest.Operations, Keys: strongest.Keys})
		}
		all.Results[len(all.Results)-1] = strongest
		return all
	}
	for _, name := range Levels() {
		if name != linearizable {
			all.Results = append(all.Results, Level(ops, name, o))
		}
	}
	all.Results = append(all.Results, strongest)
	all.agree(ops)
	return all
}

// Level judges registers by one property of Levels. Another name is Undecided.
func Level(ops []Operation, name string, o Options) Result {
	switch name {
	case linearizable:
		kv, _ := ModelByName("kv")
		return Linearizable(ops, kv, o)
	case Sequential:
		return newSessionLog(ops, &o).sequential(&o)
	case PRAM, Causal:
		return newSessionLog(ops, &o).clientsView(name, &o)
	}
	if slices.Contains(Guarantees(), name) {
		return newSessionLog(ops, &o).guarantee(name, &o)
	}
	return Result{Check: name, Operations: len(ops), Bound: "there is no such property; want one of " + strings.Join(Levels(), ", ")}
}

// agree decides what follows from what was decided: what a property that holds
// implies, holds; what a violated one is implied by, is violated. Linearizable
// implies sequential only if no client's operations share a moment, as closed
// intervals that touch may be swapped.
func (c *Levelled) agree(ops []Operation) {
	strict := oneAtATime(ops)
	for again := true; again; {
		again = false
		for i := range c.Results {
			strong := &c.Results[i]
			for _, name := range implies[strong.Check] {
				weak := c.result(name)
				if strong.Check == linearizable && !strict {
					continue
				}
				if strong.Verdict == Holds && weak.Verdict == Undecided {
					weak.Verdict, weak.Bound, again = Holds, "", true
				}
				if weak.Verdict == Violated && strong.Verdict == Undecided {
					strong.Verdict, strong.Bound, strong.Violations, again = Violated, "", weak.Violations, true
				}
			}
		}
	}
}

// oneAtATime reports whether each client's operations have a moment between them.
func oneAtATime(ops []Operation) bool {
	last := map[int]int64{}
	sorted := slices.Clone(ops)
	sortByCall(sorted)
	for i := range sorted {
		op := &sorted[i]
		if before, ok := last[op.Process]; ok && op.Call <= before && op.Outcome != Fail {
			return false
		}
		if op.Outcome == Ok {
			last[op.Process] = op.Return
		}
	}
	return true
}

func (c *Levelled) result(name string) *Result {
	i := slices.IndexFunc(c.Results, func(r Result) bool { return r.Check == name })
	return &c.Results[i]
}

// Strongest are the properties that hold and that no other one that holds implies.
func (c *Levelled) Strongest() []string {
	var all []string
	for i := range c.Results {
		name := c.Results[i].Check
		if c.Results[i].Verdict == Holds && !slices.ContainsFunc(c.Results, func(r Result) bool { return r.Verdict == Holds && implied(r.Check, name) }) {
			all = append(all, name)
		}
	}
	return all
}

// implied reports whether strong, another property, implies weak.
func implied(strong, weak string) bool {
	return slices.ContainsFunc(implies[strong], func(name string) bool { return name == weak || implied(name, weak) })
}

// String is one line: what holds, what fails and by which sentence, what is
// undecided.
func (c *Levelled) String() string {
	var parts []string
	if s := c.Strongest(); len(s) > 0 {
		parts = append(parts, "holds: "+strings.Join(s, ", "))
	}
	for i := range c.Results {
		r := &c.Results[i]
		weakest := !slices.ContainsFunc(c.Results, func(w Result) bool { return w.Verdict == Violated && implied(r.Check, w.Check) })
		if r.Verdict == Violated && weakest {
			parts = append(parts, "fails: "+r.Check+because(r))
		}
	}
	var bounds []string
	undecided := map[string][]string{}
	for i := range c.Results {
		if r := &c.Results[i]; r.Verdict == Undecided {
			if undecided[r.Bound] == nil {
				bounds = append(bounds, r.Bound)
			}
			undecided[r.Bound] = append(undecided[r.Bound], r.Check)
		}
	}
	for _, b := range bounds {
		parts = append(parts, fmt.Sprintf("undecided: %s (%s)", strings.Join(undecided[b], ", "), b))
	}
	return strings.Join(parts, "; ")
}

// because is the last line of the first violation.
func because(r *Result) string {
	if len(r.Violations) == 0 || r.Violations[0].Text == "" {
		return ""
	}
	text := r.Violations[0].Text
	return ", because " + strings.TrimSuffix(uncapital(text[strings.LastIndexByte(text, '\n')+1:]), ".")
}

func uncapital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// Converged reports whether all nodes hold the same value in the end. Give each
// node's value after the last write was answered, links were whole and the system
// had time; a node that holds nothing has Absent.
func Converged(final map[string]event.Value) Result {
	r := Result{Check: "converged", Verdict: Holds, Operations: len(final)}
	groups := map[string][]string{}
	for _, node := range slices.Sorted(maps.Keys(final)) {
		v := final[node].String()
		groups[v] = append(groups[v], node)
	}
	if len(groups) <= 1 {
		return r
	}
	r.Verdict = Violated
	var lines []string
	for _, v := range slices.Sorted(maps.Keys(groups)) {
		lines = append(lines, fmt.Sprintf("  %s: %s", strings.Join(groups[v], ", "), valueText(final[groups[v][0]])))
	}
	text := fmt.Sprintf("%d nodes hold %d different values in the end\n%s\n", len(final), len(groups), strings.Join(lines, "\n"))
	r.Violations = []Violation{{Property: "converged", Text: text + "Nothing was written any more and all could talk: all must hold the same." + firstDifference(final, groups)}}
	return r
}

// firstDifference names the first entry of maps that differs.
func firstDifference(final map[string]event.Value, groups map[string][]string) string {
	names := slices.Sorted(maps.Keys(groups))
	a, b := groups[names[0]][0], groups[names[1]][0]
	va, vb := final[a], final[b]
	if va.Type() != event.TypeMap || vb.Type() != event.TypeMap {
		return ""
	}
	keys := va.AsMap()
	for k := range vb.AsMap().All() {
		keys = keys.With(k, event.Null())
	}
	for k := range keys.All() {
		if x, y := va.Index(k), vb.Index(k); !event.Equal(x, y) {
			return fmt.Sprintf(" The first entry that differs is %s: %s on %s, %s on %s.", k, valueText(x), a, valueText(y), b)
		}
	}
	return ""
}
