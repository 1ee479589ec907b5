package plan

import (
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/rql/syntax"
)

// newSlot makes a raw slot.
func (c *checker) newSlot(k SlotKind) int {
	c.slots = append(c.slots, Slot{Kind: k})
	c.parent = append(c.parent, len(c.parent))
	return len(c.slots) - 1
}

func (c *checker) find(slot int) int {
	for c.parent[slot] != slot {
		c.parent[slot] = c.parent[c.parent[slot]]
		slot = c.parent[slot]
	}
	return slot
}

func (c *checker) union(a, b int) { c.parent[c.find(a)] = c.find(b) }

// named finds the local or COMPUTE name that a path begins with, and the steps
// after it.
func (c *checker) named(p *syntax.Path) (e Expr, steps []syntax.Step, ok bool) {
	steps = p.Steps
	if p.Log == "" {
		steps = steps[1:]
	}
	root := p.Root()
	for i := len(c.locals) - 1; i >= 0; i-- {
		if c.locals[i].name == root {
			return &Local{Pos: p.Pos, Name: root, Index: c.locals[i].index}, steps, true
		}
	}
	if c.events != nil {
		e, steps := c.events.resolve(p)
		return e, steps, true
	}
	if i, ok := c.compute[root]; ok {
		c.useComputed(p, i)
		return &Computed{Pos: p.Pos, Index: i}, steps, true
	}
	return nil, nil, false
}

// useComputed makes the placeholders of a COMPUTE name join the LINK that it
// stands in.
func (c *checker) useComputed(p *syntax.Path, i int) {
	if c.place == placeForEach {
		fail(p.Pos, "", "FOR EACH comes before COMPUTE and can't use %s", p.Root())
	}
	joins := c.joins[i]
	if len(joins) > 0 && c.scope > 0 {
		fail(p.Pos, "write the expression itself", "%s stands for nodes chosen outside of this operand of past time", p.Root())
	}
	if len(joins) == 0 || c.place == placeSelect {
		return
	}
	if c.link == linkEach {
		fail(p.Pos, "write the expression itself", "%s stands for nodes chosen outside of LINK EACH_NODE", p.Root())
	}
	if c.link == linkSame {
		c.linked++
		for _, s := range joins {
			c.union(s, c.slot)
		}
	}
}

// ref resolves a path to a variable of the History.
func (c *checker) ref(p *syntax.Path) *Ref {
	log, steps := p.Log, p.Steps
	if log == "" {
		log = c.single
		if log == "" {
			c.bareName(p)
		}
	} else {
		c.needLog(log, p.Pos)
	}
	path := &syntax.Path{Pos: p.Pos, Log: log, Steps: steps}
	r := &Ref{Pos: p.Pos, Text: syntax.Print(path), Path: path}
	name := log
	for i, s := range steps {
		if s.Kind != syntax.StepField {
			break
		}
		name += "." + s.Name
		if id, ok := c.vars[name]; ok {
			r.Vars = append([]Candidate{{id, i + 1}}, r.Vars...)
		}
	}
	if len(r.Vars) == 0 {
		c.unknownVariable(p, log)
	}
	c.out.Refs = append(c.out.Refs, r)
	return r
}

// bareName fails: a name without a log is none of the query's names, and FROM
// doesn't tell whose variable it is.
func (c *checker) bareName(p *syntax.Path) {
	name := p.Root()
	var known []string
	for _, l := range c.locals {
		known = append(known, l.name)
	}
	for _, log := range c.out.Logs {
		if _, ok := c.vars[log+"."+name]; ok {
			fail(p.Pos, "did you mean "+log+"."+name+"?", "%s stands without its log, of which there is more than one", name)
		}
	}
	known = append(known, literalWords...)
	hint := c.nameHint(p)
	if hint == "" {
		hint = c.didYouMean(name, append(known, keys(c.compute)...))
	}
	if hint == "" {
		hint = "a variable is written with its log, LOG." + name + quoteHint(p)
	}
	fail(p.Pos, hint, "there is no name %s in the query", name)
}

// literalWords are the values that are written as a name is.
var literalWords = []string{"false", "null", "true"}

// nearLiteral reports whether a bare name is nearer to a literal than to the
// variables of its log.
func nearLiteral(p *syntax.Path, log string, vars []string) (string, bool) {
	name, bare := p.Bare()
	if !bare {
		return "", false
	}
	words := slices.Clone(literalWords)
	for _, v := range vars {
		words = append(words, strings.TrimPrefix(v, log+"."))
	}
	near, ok := syntax.Nearest(name, words)
	return near, ok && slices.Contains(literalWords, near)
}

func (c *checker) unknownVariable(p *syntax.Path, log string) {
	first := log + "." + p.Steps[0].Name
	known := builtin[log]
	for _, b := range known {
		if b == first {
			return
		}
	}
	known = slices.Clip(known) // it isn't this query's
	for _, v := range c.schema.Vars {
		if strings.HasPrefix(v, log+".") {
			known = append(known, v)
		}
	}
	hint := c.nearVariable(p, log, known)
	if word, ok := nearLiteral(p, log, known); ok {
		hint = "did you mean " + word + "?"
	}
	if h := c.nameHint(p); h != "" {
		hint = h
	}
	if hint == "" {
		hint = listHint(log, known) + quoteHint(p)
	}
	fail(p.Pos, hint, "the History has no variable %s", first)
}

// steps checks the steps of a path and counts those that depend on nothing.
func (c *checker) steps(steps []syntax.Step, all bool) (out []Step, fixed int) {
	fixed = -1
	for i, s := range steps {
		var step Step
		switch s.Kind {
		case syntax.StepField:
			step = Step{Key: event.String(s.Name)}
		case syntax.StepAll:
			if !all {
				fail(s.Pos, "write SUM(…), EXISTS x IN … : (…) or another function of a collection around it", "[*] stands for many values, and here is room for one")
			}
			step = Step{Kind: StepAll}
		default:
			step = c.index(&s)
		}
		if step.Kind != StepKey && fixed < 0 {
			fixed = i
		}
		out = append(out, step)
	}
	if fixed < 0 {
		fixed = len(out)
	}
	return out, fixed
}

// index checks what stands in the brackets of a path.
func (c *checker) index(s *syntax.Step) Step {
	defer hintAtKey(s)
	c.keyHabit(s.Index)
	x := c.scalar(s.Index)
	if k, ok := x.(*Const); ok && k.Big == nil {
		return Step{Key: k.Value}
	}
	return Step{Kind: StepIndex, Index: x}
}

// hasAll reports whether a path has a [*].
func hasAll(steps []syntax.Step) int {
	for i, s := range steps {
		if s.Kind == syntax.StepAll {
			return i
		}
	}
	return -1
}

// path checks a path in scalar position.
func (c *checker) path(p *syntax.Path) Expr {
	if e, steps, ok := c.named(p); ok {
		return withSteps(e, c.onlySteps(steps, false))
	}
	return c.variable(p, ModeValue, false)
}

func (c *checker) onlySteps(steps []syntax.Step, all bool) []Step {
	out, _ := c.steps(steps, all)
	return out
}

func withSteps(e Expr, steps []Step) Expr {
	switch e := e.(type) {
	case *Local:
		e.Steps = steps
	case *Computed:
		e.Steps = steps
	}
	return e
}

// variable makes a placeholder of a path, but in SELECT.
func (c *checker) variable(p *syntax.Path, mode Mode, anyway bool) *Var {
	if c.place == placeForEach {
		fail(p.Pos, "write KEYS("+p.Root()+"…), or the variable alone", "FOR EACH wants a collection over all nodes; this speaks of one node")
	}
	v := &Var{Pos: p.Pos, Mode: mode, Anyway: anyway, Slot: c.slot}
	v.Ref = c.ref(p)
	if v.Slot < 0 {
		v.Slot = c.newSlot(c.chosenKind())
	}
	c.linked++
	c.placed = append(c.placed, v)
	if c.place == placeCondition {
		if len(c.out.Holders) == MaxPlaceholders {
			fail(p.Pos, "", "a query has at most %d placeholders", MaxPlaceholders)
		}
		c.out.Holders = append(c.out.Holders, Holder{Pos: p.Pos, Text: v.Ref.Text, Slot: v.Slot, Var: v, Scope: c.scope})
		v.Holder = len(c.out.Holders)
		c.written[v.Ref.Text] = append(c.written[v.Ref.Text], v.Holder)
	}
	v.Ref.Steps, v.Ref.Fixed = c.steps(p.Steps, false)
	return v
}

// set checks an expression in set position; where names what it stands in.
func (c *checker) set(e syntax.Expr, where string) Expr {
	if c.grouped {
		if x := c.ofGroup(e); x != nil {
			return x
		}
	}
	p, ok := e.(*syntax.Path)
	if !ok {
		if k := kindOf(e); k != kindSet && k != kindAny {
			fail(e.Position(), "a set is written {a, b}", "%s wants a collection: a variable of all nodes, or a set", where)
		}
		return c.scalar(e)
	}
	if e, steps, ok := c.named(p); ok {
		all := hasAll(steps)
		if all < 0 {
			return withSteps(e, c.onlySteps(steps, false))
		}
		base := withSteps(e, c.onlySteps(steps[:all], false))
		return &Spread{Pos: p.Pos, Base: base, Steps: c.onlySteps(steps[all:], true)}
	}
	s := &Spread{Pos: p.Pos, Ref: c.ref(p)}
	s.Ref.Steps, s.Ref.Fixed = c.steps(p.Steps, true)
	return s
}

// resolvePending resolves $n and NODE(…), which may name what comes later.
func (c *checker) resolvePending() {
	for _, f := range c.pending {
		f()
	}
}

// holder returns placeholder n.
func (c *checker) holder(n int, pos syntax.Pos) *Holder {
	if n < 1 || n > len(c.out.Holders) {
		hint := "COMPUTE and WHEN number the variables that they name from $1"
		if len(c.out.Holders) > 0 {
			hint = "the last one is $" + itoa(len(c.out.Holders))
		}
		fail(pos, hint, "there is no placeholder $%d", n)
	}
	return &c.out.Holders[n-1]
}

// placeholder is $n alone.
func (c *checker) placeholder(p *syntax.Placeholder) Expr {
	if c.place == placeForEach {
		fail(p.Pos, "", "FOR EACH comes before all placeholders and can't use $%d", p.N)
	}
	v := &HolderValue{Pos: p.Pos, N: p.N}
	slot, scope, locals := c.slot, c.scope, slices.Clone(c.locals)
	c.pending = append(c.pending, func() {
		h := c.holder(p.N, p.Pos)
		if c.slots[h.Slot].Kind == SlotEach && h.Slot != slot {
			fail(p.Pos, "", "$%d stands for every node of its LINK EACH_NODE: it has no value outside of it", p.N)
		}
		c.inScope(h, p.N, scope, p.Pos)
		inReach(h, p, locals)
		v.Var = h.Var
	})
	return v
}

// inReach fails if the value of a placeholder depends on a quantified name that
// means nothing where $n stands.
func inReach(h *Holder, p *syntax.Placeholder, locals []local) {
	for _, s := range h.Var.Ref.Steps {
		walk(s.Index, func(e Expr) bool {
			if l, ok := e.(*Local); ok && !slices.ContainsFunc(locals, func(o local) bool { return o.index == l.Index }) {
				fail(p.Pos, "", "$%d is %s, and %s means nothing here", p.N, h.Text, l.Name)
			}
			return true
		})
	}
}

// nodeOf is NODE(…).
func (c *checker) nodeOf(call *syntax.Call) Expr {
	if c.place == placeForEach {
		fail(call.Pos, "", "FOR EACH comes before all placeholders and can't use NODE")
	}
	n := &NodeName{Pos: call.Pos}
	if len(call.Args) != 1 {
		fail(call.Pos, "write NODE($1) or NODE(log.name)", "NODE wants one placeholder")
	}
	if c.link == linkEach {
		fail(call.Pos, "use NODE outside, or name the nodes with AT NODES", "NODE can't stand inside LINK EACH_NODE, which is about every node")
	}
	arg := call.Args[0]
	var number func() int
	switch a := arg.(type) {
	case *syntax.Placeholder:
		number = func() int { return a.N }
	case *syntax.Path:
		number = c.writtenOnce(a)
	default:
		fail(arg.Position(), "write NODE($1) or NODE(log.name)", "NODE wants a placeholder or a variable")
	}
	scope := c.scope
	c.pending = append(c.pending, func() {
		n.Holder = number()
		h := c.holder(n.Holder, arg.Position())
		if c.slots[h.Slot].Kind == SlotEach {
			fail(arg.Position(), "", "$%d stands for every node of its LINK EACH_NODE: no node is chosen for it", n.Holder)
		}
		c.inScope(h, n.Holder, scope, arg.Position())
		n.Slot = h.Slot
	})
	return n
}

// writtenOnce finds the placeholder of NODE(log.name).
func (c *checker) writtenOnce(p *syntax.Path) func() int {
	if _, _, ok := c.named(p); ok {
		fail(p.Pos, "write NODE($1) or NODE(log.name)", "NODE wants a variable, which %s is not", p.Root())
	}
	r := c.ref(p)
	return func() int {
		switch w := c.written[r.Text]; len(w) {
		case 0:
			fail(p.Pos, "NODE gives the node chosen for a variable of COMPUTE or WHEN", "no placeholder stands for %s", r.Text)
			return 0
		case 1:
			return w[0]
		default:
			fail(p.Pos, "write NODE($"+itoa(w[0])+") or NODE($"+itoa(w[1])+")", "%s is written %d times, each with a node of its own", r.Text, len(w))
			return 0
		}
	}
}
