package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/replay"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
)

// A Mode says at which cuts of a run the condition of a Property must hold.
type Mode string

// The modes.
const (
	// Always: at every cut from that on at which each variable of the condition has
	// been there on some node. Before that nothing is said of it.
	Always Mode = "always"
	// Never: at no cut.
	Never Mode = "never"
	// Eventually: at some cut after everything was mended.
	Eventually Mode = "eventually"
	// Sometimes: at some cut of some run. One run doesn't fail by it; of many it is
	// demanded that one gets there (Tally.Verdict).
	Sometimes Mode = "sometimes"
)

// Modes are all modes.
func Modes() []Mode { return []Mode{Always, Never, Eventually, Sometimes} }

// A Property is an RQL condition over the History of a run, and at which of its
// consistent cuts that must hold.
type Property struct {
	Mode Mode   `json:"mode"`
	Name string `json:"name,omitempty"` // "" is the mode and the condition
	RQL  string `json:"rql"`
}

// Always states that an RQL condition holds at every consistent cut of the run.
func (w *World) Always(name, rql string) { w.Demand(Property{Always, name, rql}) }

// Never states that an RQL condition holds at no consistent cut.
func (w *World) Never(name, rql string) { w.Demand(Property{Never, name, rql}) }

// Eventually states that an RQL condition holds at some cut after all was mended.
func (w *World) Eventually(name, rql string) { w.Demand(Property{Eventually, name, rql}) }

// Sometimes states that an RQL condition holds at some cut of some run: that the
// runs get there at all.
func (w *World) Sometimes(name, rql string) { w.Demand(Property{Sometimes, name, rql}) }

// Demand states a property. It is called in Setup.
func (w *World) Demand(p Property) {
	if p.Name == "" {
		p.Name = string(p.Mode) + " " + p.RQL
	}
	if !slices.Contains(Modes(), p.Mode) {
		w.misuse("property %q: mode %q: want one of %v", p.Name, p.Mode, Modes())
	}
	if _, err := syntax.ParseExpr(p.RQL); err != nil {
		w.misuse("property %q: %s", p.Name, rendered(err, p.RQL))
	}
	if slices.ContainsFunc(w.judges.properties, func(o Property) bool { return o.Name == p.Name }) {
		w.misuse("property %q is stated twice: give one of them another name", p.Name)
	}
	w.judges.properties = append(w.judges.properties, p)
}

// rendered shows where in a condition the mistake is.
func rendered(err error, text string) string {
	var e *syntax.Error
	if errors.As(err, &e) {
		return strings.TrimSuffix(e.Render(text), "\n")
	}
	return err.Error()
}

// A watched is a property that is followed along the walk.
type watched struct {
	*Property
	c    *rql.Condition
	v    *rql.Evaluator
	need []history.VarID // Always: those that weren't there yet
	now  bool            // the condition holds at the last cut
	held bool            // Eventually, Sometimes: it has held, where that counts
	over bool            // nothing more can be learned
}

// judgeProperties makes the History and decides all properties in one walk.
func (w *World) judgeProperties(r *Result) error {
	mem, ws, err := w.conditions(r)
	if err != nil || r.Failure != nil {
		return err
	}
	if err := w.follow(r, mem, ws); err != nil {
		return err
	}
	if r.Stopped || r.Failure != nil {
		return nil
	}
	return w.conclude(r, mem, ws)
}

// conditions makes as much of the History as the properties ask for, and compiles
// them for it. It is made again where a condition looks into a variable that is
// too large to be followed unasked.
func (w *World) conditions(r *Result) (*history.Mem, []*watched, error) {
	o := replay.Options{Lean: true, Last: w.same(r)}
	for {
		mem, problems, err := w.replay(context.Background(), o)
		if err != nil {
			return nil, nil, err
		}
		if o.Last != nil {
			w.judgeReplay(r, problems)
		}
		if r.Failure != nil {
			return mem, nil, nil
		}
		ws, err := w.compile(mem)
		if err != nil {
			return nil, nil, err
		}
		again := replay.Options{Lean: !slices.ContainsFunc(ws, func(x *watched) bool { return x.c.FromBegin() }), Walk: bulky(mem, ws)}
		if again.Lean == o.Lean && len(again.Walk) <= len(o.Walk) {
			return mem, ws, nil
		}
		o = again
	}
}

// combinationsMax bounds the choices of nodes that are tried at one cut: with few
// nodes a condition that needs more is too costly to be asked in every run.
const combinationsMax = 100_000

// compile compiles the properties for a History.
func (w *World) compile(mem *history.Mem) ([]*watched, error) {
	var ws []*watched
	for i := range w.judges.properties {
		p := &w.judges.properties[i]
		c, err := rql.CompileCondition(mem.Meta(), p.RQL)
		if err != nil {
			return nil, fmt.Errorf("property %q: %s", p.Name, rendered(err, p.RQL))
		}
		x := &watched{Property: p, c: c}
		if x.v, err = c.Evaluator(context.Background(), make([]*history.State, len(mem.Meta().Nodes)), rql.Options{Now: mem.Meta().Last.Time, MaxCombinations: combinationsMax}); err != nil {
			return nil, fmt.Errorf("property %q: %w", p.Name, err)
		}
		if p.Mode == Always {
			x.need = c.Variables()
		}
		ws = append(ws, x)
	}
	return ws, nil
}

// bulky are the variables of the conditions of which the History lacks something
// because they are large, by name.
func bulky(mem *history.Mem, ws []*watched) []string {
	var names []string
	for _, x := range ws {
		for _, id := range x.c.Variables() {
			if v := &mem.Meta().Vars[id]; len(v.Bulky) > 0 && !slices.Contains(names, v.Name) {
				names = append(names, v.Name)
			}
		}
	}
	return names
}

// stopEvery is how many events are judged between two looks at Options.Stop.
const stopEvery = 4096

// follow walks through the History with all properties.
func (w *World) follow(r *Result, mem *history.Mem, ws []*watched) error {
	cur, err := mem.Walk(context.Background(), history.Begin, history.End, nil)
	if err != nil {
		return err
	}
	defer cur.Close()
	mended := false
	for n := 1; ; n++ {
		ev, err := cur.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n%stopEvery == 0 && w.options.Stop != nil && w.options.Stop() {
			r.Stopped = true
			return nil
		}
		if after := w.phases.mended != 0 && ev.Time > w.phases.mended; after && !mended {
			mended = true
			beganMended(ws) // the cut that lasted until now, lasted beyond that moment
		}
		for _, x := range ws {
			if x.over {
				continue
			}
			if bad := x.feed(r, ev, mended); bad {
				w.failed(r, w.violation(mem, x, ev))
				return nil
			}
		}
	}
}

// beganMended takes in that the present cut is one after everything was mended.
func beganMended(ws []*watched) {
	for _, x := range ws {
		if x.Mode == Eventually && x.now {
			x.held, x.over = true, true
		}
	}
}

// feed takes the next event in; true: the property is violated at its cut.
func (x *watched) feed(r *Result, ev *history.Event, mended bool) bool {
	holds, err := x.v.Feed(ev)
	if err != nil {
		r.undecided(x.Name, err.Error())
		x.over = true
		return false
	}
	x.now = holds
	if len(x.need) > 0 {
		for i := range ev.Changes {
			if c := &ev.Changes[i]; !c.Value.IsAbsent() {
				x.need = slices.DeleteFunc(x.need, func(v history.VarID) bool { return v == c.Var })
			}
		}
	}
	switch x.Mode {
	case Always:
		return !holds && len(x.need) == 0 && !ev.Base
	case Never:
		return holds && !ev.Base
	case Eventually:
		x.held = x.held || holds && mended
	case Sometimes:
		x.held = x.held || holds
	}
	x.over = x.held
	return false
}

// conclude decides what only the end decides.
func (w *World) conclude(r *Result, mem *history.Mem, ws []*watched) error {
	beganMended(ws)
	for _, x := range ws {
		why, err := x.vacuous()
		if err != nil {
			return err
		}
		if why != "" && x.Mode != Sometimes {
			r.Vacuous[x.Name] = why
		}
		switch {
		case x.Mode == Sometimes:
			r.Sometimes[x.Name] = x.held
		case x.Mode == Eventually && !x.held && !x.over:
			w.failed(r, w.neverHeld(mem, x))
		}
	}
	return nil
}

// vacuous says why a property has said nothing of this run, "" if it has. The
// error is about one that never can.
func (x *watched) vacuous() (string, error) {
	if x.over && x.Mode != Never && x.Mode != Always {
		return "", nil
	}
	if absent := x.v.Absent(); len(absent) > 0 {
		a := &absent[0]
		note := a.Note()
		if len(a.Has) > 0 && fieldAt(x.RQL, a.Pos.Offset) {
			return "", fmt.Errorf("property %q can't fail: %s", x.Name, strings.TrimSuffix(note.Render(x.RQL), "\n"))
		}
		return note.Error(), nil
	}
	if unequal := x.v.Unequal(); len(unequal) > 0 {
		return "", fmt.Errorf("property %q: %s", x.Name, strings.TrimSuffix(unequal[0].Note().Render(x.RQL), "\n"))
	}
	if len(x.need) > 0 {
		return "not all of its variables were ever there", nil
	}
	return "", nil
}

// fieldAt reports whether the step at an offset is a field: if nothing had it,
// that is a misprint. Which keys and elements there are differs from run to run.
func fieldAt(text string, offset int) bool {
	return offset >= 0 && offset < len(text) && text[offset] != '[' && (offset == 0 || text[offset-1] != '[')
}

// violation is that a property is violated at the cut that ev makes.
func (w *World) violation(mem *history.Mem, x *watched, ev *history.Event) *Failure {
	f := &Failure{Kind: Safety, Property: x.Name}
	node := mem.Meta().Nodes[ev.Node].Name
	w.locate(f, node, ev.Seq)
	var b strings.Builder
	says := "holds"
	if x.Mode == Always {
		says = "does not hold"
	}
	fmt.Fprintf(&b, "%s %s, but it %s at %s (%s into the run), after %s:%d%s\n", x.Mode, oneLine(x.RQL), says, ev.Time, round(f.At), node, ev.Seq, what(ev))
	if x.Mode == Never {
		for _, wit := range x.v.Witness() {
			fmt.Fprintf(&b, "  $%d, %s, is that of %s\n", wit.Holder, x.c.Placeholder(wit.Holder), wit.Node)
		}
	}
	p := ev.Position
	p.Seq++
	writeValues(&b, mem, x, p)
	f.Text = strings.TrimSuffix(b.String(), "\n")
	return f
}

// neverHeld is that a property didn't come to hold.
func (w *World) neverHeld(mem *history.Mem, x *watched) *Failure {
	f := &Failure{Kind: Liveness, Property: x.Name}
	last := mem.Meta().Last
	if len(mem.Meta().Nodes) > 0 {
		w.locate(f, mem.Meta().Nodes[last.Node].Name, last.Seq)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "eventually %s, but it didn't hold at any cut after everything was mended at %s; in the end\n", oneLine(x.RQL), w.phases.mended)
	writeValues(&b, mem, x, history.End)
	f.Text = strings.TrimSuffix(b.String(), "\n")
	return f
}

// writeValues writes what the variables of a condition held just before p.
func writeValues(b *strings.Builder, mem *history.Mem, x *watched, p history.Position) {
	cur, err := mem.Walk(context.Background(), p, history.End, nil)
	if err != nil {
		return // the History is in memory: there is no such error
	}
	defer cur.Close()
	for _, cell := range x.c.Values(cur.States()) {
		fmt.Fprintf(b, "  %s:", cell.Name)
		for i, v := range cell.Nodes {
			if i > 0 {
				b.WriteString(",")
			}
			fmt.Fprintf(b, " %s %s", v.Name, brief(v.Value))
		}
		if len(cell.Nodes) == 0 {
			b.WriteString(" on no node")
		}
		b.WriteString("\n")
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func what(ev *history.Event) string {
	s := " " + ev.Kind
	if ev.Name != "" {
		s += " " + ev.Name
	}
	return s
}

// latest is a Timestamp that no clock of the world has gone beyond so far.
func (w *World) latest() hlc.Timestamp {
	at := epoch.Add(time.Duration(w.now))
	for _, n := range w.nodes {
		if n.up {
			at = max(at, n.l.Now())
		}
	}
	if w.load != nil {
		for i := range w.load.lanes {
			at = max(at, w.load.lanes[i].time)
		}
	}
	return at
}
