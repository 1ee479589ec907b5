package plan

import (
	"fmt"
	"slices"
	"strings"

	"hindcast.dev/rql/syntax"
)

// Compile checks a cut query against what a History has. Its error is a
// *syntax.Error.
func Compile(s *Schema, q *syntax.Query) (*Query, error) {
	return run(s, func(c *checker) { c.query(q) })
}

// CompileCondition checks a condition that stands alone: it may use every log,
// and the variables of the only one, if there is but one, without its name.
func CompileCondition(s *Schema, cond syntax.Expr) (*Query, error) {
	return run(s, func(c *checker) {
		for log := range c.logs {
			c.from[log] = true
			c.out.Logs = append(c.out.Logs, log)
		}
		slices.Sort(c.out.Logs)
		own := slices.DeleteFunc(slices.Clone(c.out.Logs), func(log string) bool { return builtin[log] != nil })
		if len(own) == 1 {
			c.single = own[0]
		}
		c.out.Cond = c.condition(cond, "the condition")
	})
}

func run(s *Schema, check func(*checker)) (q *Query, err error) {
	c := newChecker(s)
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *syntax.Error:
			q, err = nil, r
		default:
			panic(r)
		}
	}()
	check(c)
	c.resolvePending()
	c.numberSlots()
	c.analyse()
	return c.out, nil
}

// fail ends the check; run recovers it.
func fail(pos syntax.Pos, hint, format string, args ...any) {
	panic(&syntax.Error{Pos: pos, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

// builtin are the variables of the logs that every History has.
var builtin = map[string][]string{
	"node": {"node.up", "node.boot", "node.version", "node.link", "node.fault", "node.clock", "node.disk"},
	"net":  {"net.sent", "net.received", "net.inflight"},
}

// place is the clause that is being checked.
type place int

const (
	placeCondition place = iota // COMPUTE and WHEN
	placeForEach
	placeSelect
)

// link is the LINK that the checked expression stands in.
type link int

const (
	linkNone link = iota
	linkSame
	linkEach
)

type checker struct {
	schema *Schema
	vars   map[string]int  // by name
	logs   map[string]bool // of the History, and the built-in ones
	from   map[string]bool
	single string // the log whose variables may stand bare, or ""
	out    *Query

	place   place
	link    link
	slot    int // the slot of the LINK or item that is being checked, or -1
	linked  int // placeholders seen in the LINK so far
	quants  int // how many quantifiers are around
	scope   int // the operand of past time that is being checked; 0 is none
	scopes  int // how many there were
	locals  []local
	compute map[string]int
	joins   [][]int // by COMPUTE name: raw slots of its placeholders

	slots    []Slot // raw
	parent   []int  // union-find over raw slots
	placed   []*Var // every Var, its Slot raw until numberSlots
	eaches   []*EachNode
	loose    map[*syntax.Link]*syntax.Binary // LINK → the operator that it ends, outermost
	aggs     []*Agg
	lates    []*Late
	grouped  bool             // an item of GROUP BY is checked, outside of its aggregates over rows
	keyTexts []string         // of GROUP BY
	written  map[string][]int // variable as written → its placeholders
	pending  []func()         // names of placeholders, which may come later
	events   *events          // of an event query, else nil
}

type local struct {
	name  string
	index int
}

func newChecker(s *Schema) *checker {
	c := &checker{schema: s, vars: map[string]int{}, logs: map[string]bool{}, from: map[string]bool{}, slot: -1,
		loose: map[*syntax.Link]*syntax.Binary{}, compute: map[string]int{}, written: map[string][]int{}, out: &Query{Limit: -1, NodeCount: len(s.Nodes)}}
	for id, name := range s.Vars {
		c.vars[name] = id
		log, _, _ := strings.Cut(name, ".")
		c.logs[log] = true
	}
	for log := range builtin {
		c.logs[log] = true
	}
	return c
}

func (c *checker) query(q *syntax.Query) {
	c.out.Explain, c.out.Emit, c.out.OnTime = q.Explain, q.Emit, q.OnTime
	c.checkFrom(q.From)
	c.forEach(q.ForEach)
	for _, b := range q.Compute {
		c.binding(b)
	}
	if w := q.When; w != nil {
		c.modality(q)
		c.out.Cond = c.condition(w.Cond, "WHEN")
	}
	c.at(q.At)
	checkRange(q.OnTime)
	if q.Limit != nil {
		c.out.Limit = q.Limit.N
	}
	c.groupBy(q)
	c.items(q.Items)
}

// checkRange fails where the text alone tells that ON TIME ends before it begins.
func checkRange(r *syntax.Range) {
	if r != nil && r.To != nil && r.From.Base == syntax.BaseAt && r.To.Base == syntax.BaseAt &&
		r.To.At.Add(r.To.Offset) < r.From.At.Add(r.From.Offset) {
		fail(r.To.Pos, "write the earlier time first", "ON TIME ends before it begins")
	}
}

func (c *checker) checkFrom(logs []*syntax.Ident) {
	for _, id := range logs {
		if !c.logs[id.Name] {
			fail(id.Pos, c.logHint(id.Name, keys(c.logs)), "the History has no log %s", id.Name)
		}
		if !c.from[id.Name] {
			c.from[id.Name] = true
			c.out.Logs = append(c.out.Logs, id.Name)
		}
	}
	if len(c.out.Logs) == 1 {
		c.single = c.out.Logs[0]
	}
}

func (c *checker) didYouMean(word string, candidates []string) string {
	if near, ok := syntax.Nearest(word, candidates); ok {
		return "did you mean " + near + "?"
	}
	return ""
}

func keys[V any](m map[string]V) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

func (c *checker) forEach(f *syntax.ForEach) {
	if f == nil {
		return
	}
	c.place = placeForEach
	set := c.set(f.Set, "FOR EACH … IN")
	c.place = placeCondition
	c.out.ForEach = &ForEach{Name: f.Name.Name, Set: set}
	c.locals = []local{{f.Name.Name, c.newLocal()}}
}

func (c *checker) newLocal() int {
	c.out.Locals++
	return c.out.Locals - 1
}

func (c *checker) binding(b *syntax.Binding) {
	name := b.Name.Name
	if _, twice := c.compute[name]; twice {
		fail(b.Pos, "", "COMPUTE names %s twice", name)
	}
	if f := c.out.ForEach; f != nil && f.Name == name {
		fail(b.Pos, "", "%s is the name of FOR EACH already", name)
	}
	before := len(c.out.Holders)
	x := c.scalar(b.X)
	var joins []int
	for _, h := range c.out.Holders[before:] {
		if c.slots[h.Slot].Kind == SlotChosen {
			joins = append(joins, h.Slot)
		}
	}
	walk(x, func(e Expr) bool {
		if e, ok := e.(*Computed); ok {
			joins = append(joins, c.joins[e.Index]...)
		}
		return true
	})
	slices.Sort(joins)
	joins = slices.Compact(joins)
	c.compute[name] = len(c.out.Compute)
	c.out.Compute = append(c.out.Compute, Compute{Name: name, X: x})
	c.joins = append(c.joins, joins)
}

// condition checks an expression that must be a condition.
func (c *checker) condition(e syntax.Expr, where string) Expr {
	if k := kindOf(e); k != kindBool && k != kindAny {
		fail(e.Position(), "compare it with something", "%s wants a condition, which %s is not", where, syntax.Print(e))
	}
	return c.scalar(e)
}

// Nodes returns the nodes of an AT NODES, sorted; nil is all.
func Nodes(s *Schema, at *syntax.At) ([]int, error) {
	q, err := run(s, func(c *checker) { c.at(at) })
	if err != nil {
		return nil, err
	}
	return q.Nodes, nil
}

func (c *checker) at(at *syntax.At) {
	if at == nil || len(at.Nodes) == 0 {
		return
	}
	c.out.Nodes = []int{}
	for _, id := range at.Nodes {
		i, ok := slices.BinarySearch(c.schema.Nodes, id.Name)
		if !ok {
			hint := c.didYouMean(id.Name, c.schema.Nodes)
			if hint == "" {
				hint = "SHOW NODES lists them"
			}
			fail(id.Pos, hint, "the History has no node %s", id.Name)
		}
		c.out.Nodes = append(c.out.Nodes, i)
	}
	slices.Sort(c.out.Nodes)
	c.out.Nodes = slices.Compact(c.out.Nodes)
}

func (c *checker) items(items []*syntax.Item) {
	c.place = placeSelect
	names := map[string]bool{}
	for _, it := range items {
		item := Item{Name: it.Name(), Slot: -1}
		if names[item.Name] {
			fail(it.Pos, "give one of them a name with AS", "SELECT names %s twice", item.Name)
		}
		names[item.Name] = true
		if it.Star {
			if c.grouped {
				fail(it.Pos, "name the keys and aggregates to be shown", "* is nothing that the rows of a group have in common")
			}
			item.Star, item.Logs = true, c.out.Logs
			if it.Log != nil {
				c.needLog(it.Log.Name, it.Log.Pos)
				item.Logs = []string{it.Log.Name}
			}
		} else {
			c.item(it.X, &item)
		}
		c.out.Items = append(c.out.Items, item)
	}
}

// item checks what an item shows.
func (c *checker) item(x syntax.Expr, item *Item) {
	c.shown(x, item)
	if _, late := durationIn(item.X); late {
		item.Late = c.takeApart(item)
	}
}

// shown checks an expression that is shown for a row: node by node if it speaks
// of one.
func (c *checker) shown(x syntax.Expr, item *Item) {
	slot, before := c.newSlot(SlotShown), len(c.placed)
	outer := c.slot
	c.slot = slot
	item.X = c.scalar(x)
	c.slot = outer
	own := 0
	for _, v := range c.placed[before:] {
		if v.Slot == slot {
			own++
		}
	}
	if own > 0 {
		item.Slot = slot
	}
	if v, ok := item.X.(*Var); ok && v.Mode == ModeValue {
		item.Ref = v.Ref
	}
}

// needLog fails unless FROM names the log.
func (c *checker) needLog(log string, pos syntax.Pos) {
	if c.from[log] {
		return
	}
	if c.logs[log] {
		fail(pos, "write FROM "+strings.Join(append(slices.Clone(c.out.Logs), log), ", "), "FROM doesn't name the log %s", log)
	}
	known := keys(c.logs)
	for _, l := range c.locals {
		known = append(known, l.name)
	}
	fail(pos, c.logHint(log, append(known, keys(c.compute)...)), "there is no log %s in the History, and no such name in the query", log)
}
