package syntax

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"hindcast.dev/hlc"
	"pgregory.net/rapid"
)

// A gen draws random trees, all that the parser can make and none that it can't.
type gen struct{ *rapid.T }

func (g gen) bool() bool    { return rapid.Bool().Draw(g.T, "bool") }
func (g gen) n(max int) int { return rapid.IntRange(0, max).Draw(g.T, "n") }

func (g gen) nameText() string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"a", "inv", "Label_2", "straße", "select", "From", "end", "NOW", "null", "true", "each", "time",
			"first", "nodes", "kv-store", "a b", "x`y", "1st", "`", "in", "link", "ISSUBSET", "not", "to", "all"}),
		rapid.StringMatching(`[a-z_][a-z0-9_]{0,6}`),
	).Draw(g.T, "name")
}

func (g gen) ident() *Ident { return &Ident{Name: g.nameText()} }

func (g gen) duration() *Duration {
	return &Duration{D: time.Duration(rapid.OneOf(rapid.Int64Range(0, math.MaxInt64), rapid.Int64Range(0, 5000),
		rapid.Map(rapid.Int64Range(0, 5000), func(n int64) int64 { return n * int64(time.Millisecond) })).Draw(g.T, "duration"))}
}

func (g gen) time() *Time {
	t := &Time{Base: Base(g.n(3))}
	if t.Base == BaseAt {
		t.At = hlc.Timestamp(rapid.Uint64().Draw(g.T, "timestamp"))
	}
	if g.bool() {
		t.Offset = g.duration().D
		if g.bool() {
			t.Offset = -t.Offset
		}
	}
	return t
}

func many[T any](g gen, least, most int, draw func() T) []T {
	var all []T
	for range least + g.n(most-least) {
		all = append(all, draw())
	}
	return all
}

func (g gen) expr(depth int) Expr {
	if depth == 0 {
		return g.leaf()
	}
	x := func() Expr { return g.expr(depth - 1) }
	switch g.n(11) {
	case 0:
		return g.path(depth)
	case 1:
		c := &Call{Name: rapid.SampledFrom([]string{"MIN", "COUNT", "NODE", "TIME", "FIRST", "F_2"}).Draw(g.T, "function"), Distinct: g.bool()}
		if c.Star = g.n(4) == 0; !c.Star {
			if c.Args = many(g, 0, 3, x); c.Args == nil {
				c.Distinct = false // f(DISTINCT) isn't written
			}
		}
		return c
	case 2:
		return &SetLit{Elems: many(g, 0, 3, x)}
	case 3:
		return &Quantifier{All: g.bool(), Names: many(g, 1, 3, g.ident), Set: x(), Body: x()}
	case 4:
		c := &Case{Whens: many(g, 1, 3, func() *CaseWhen { return &CaseWhen{Cond: x(), Then: x()} })}
		if g.bool() {
			c.Else = x()
		}
		return c
	case 5:
		return &Unary{Op: []Op{Neg, Not}[g.n(1)], X: x()}
	case 6, 7:
		p := &Past{Op: Previously + Op(g.n(2)), X: x()}
		if p.Op != Previously && g.bool() {
			p.Within = g.duration()
		}
		return p
	case 8:
		return &For{X: x(), D: g.duration()}
	case 9:
		return &Link{Each: g.bool(), X: x()}
	}
	ops := []Op{Or, And, Since, Eq, Ne, Lt, Le, Gt, Ge, In, NotIn, Subset, Like, Union, Intersect, Except, Add, Sub, Mul, Div, Mod}
	return &Binary{Op: rapid.SampledFrom(ops).Draw(g.T, "op"), L: x(), R: x()}
}

func (g gen) leaf() Expr {
	switch g.n(8) {
	case 7:
		return g.duration()
	case 0:
		return &Int{Text: rapid.StringMatching(`0|[1-9][0-9]{0,30}`).Draw(g.T, "int")}
	case 1:
		return &Float{Value: rapid.Float64Range(0, math.MaxFloat64).Draw(g.T, "float")}
	case 2:
		return &String{Value: rapid.String().Draw(g.T, "string")}
	case 3:
		return &Bool{Value: g.bool()}
	case 4:
		return &Null{}
	case 5:
		return g.time()
	case 6:
		return &Placeholder{N: g.n(placeholderMax)}
	}
	return g.path(0)
}

func (g gen) path(depth int) *Path {
	p := &Path{Steps: []Step{{Name: g.nameText()}}}
	least := StepIndex // after a bare name comes no field
	if g.bool() {
		p.Log, least = g.nameText(), StepField
	}
	for range g.n(3) {
		s := Step{Kind: least + StepKind(g.n(int(StepAll-least)))}
		switch {
		case s.Kind == StepField:
			s.Name = g.nameText()
		case s.Kind == StepIndex && depth > 0:
			s.Index = g.expr(depth - 1)
		case s.Kind == StepIndex:
			s.Index = g.leaf()
		}
		p.Steps, least = append(p.Steps, s), StepField
	}
	return p
}

func (g gen) top() Expr { return g.expr(2) }

func (g gen) item() *Item {
	it := &Item{Star: g.n(4) == 0}
	switch {
	case !it.Star:
		it.X = g.top()
		if g.bool() {
			it.As = g.ident()
		}
	case g.bool():
		it.Log = g.ident()
	}
	return it
}

func (g gen) binding() *Binding { return &Binding{Name: g.ident(), X: g.top()} }

// maybe draws or leaves nil.
func maybe[T any](g gen, draw func() *T) *T {
	if g.bool() {
		return nil
	}
	return draw()
}

func (g gen) timeRange() *Range { return &Range{From: g.time(), To: maybe(g, g.time)} }
func (g gen) limit() *Limit {
	return &Limit{N: rapid.Int64Range(0, math.MaxInt64).Draw(g.T, "limit")}
}

func (g gen) at() *At {
	return &At{Nodes: many(g, 0, 3, func() *Ident {
		return &Ident{Name: rapid.OneOf(rapid.String(), rapid.Just("n1"), rapid.Just("all")).Draw(g.T, "node")}
	})}
}

func (g gen) query() *Query {
	return &Query{
		Explain: g.bool(),
		Items:   many(g, 1, 3, g.item),
		From:    many(g, 1, 3, g.ident),
		ForEach: maybe(g, func() *ForEach { return &ForEach{Name: g.ident(), Set: g.top()} }),
		Compute: many(g, 0, 2, g.binding),
		When: maybe(g, func() *When {
			w := &When{Modality: Modality(g.n(2)), Cond: g.top()}
			if w.Modality != Observed {
				w.Within = maybe(g, g.duration)
			}
			return w
		}),
		At:      maybe(g, g.at),
		OnTime:  maybe(g, g.timeRange),
		GroupBy: many(g, 0, 2, g.top),
		Emit:    Emit(g.n(int(EmitLeave))),
		Limit:   maybe(g, g.limit),
	}
}

func (g gen) eventQuery(depth int) *EventQuery {
	input := func() *Input { return &Input{Name: g.ident(), Source: g.source(depth)} }
	q := &EventQuery{
		From:    input(),
		Joins:   many(g, 0, 2, func() *Join { return &Join{Input: input(), Before: g.ident(), After: g.ident(), Along: g.bool()} }),
		Let:     many(g, 0, 2, g.binding),
		GroupBy: many(g, 0, 2, g.top),
		Items:   many(g, 1, 2, g.item),
		OnTime:  maybe(g, g.timeRange),
		Limit:   maybe(g, g.limit),
	}
	if g.bool() {
		q.Where = g.top()
	}
	return q
}

func (g gen) source(depth int) *Source {
	if depth > 0 && g.n(3) == 0 {
		return &Source{Query: g.eventQuery(depth - 1)}
	}
	s := &Source{Keep: Keep(g.n(4)), Event: strings.Join(many(g, 1, 3, g.nameText), ".")}
	if s.Keep == KeepFirstN || s.Keep == KeepMostRecentN {
		s.N = g.limit().N
	}
	return s
}

func (g gen) show() *Show {
	s := &Show{What: ShowKind(g.n(3))}
	if s.What >= ShowVariables {
		s.Like = maybe(g, func() *String { return &String{Value: rapid.String().Draw(g.T, "pattern")} })
	}
	if s.What == ShowEvents {
		s.At, s.OnTime, s.Limit = maybe(g, g.at), maybe(g, g.timeRange), maybe(g, g.limit)
	}
	return s
}

func (g gen) statement() Statement {
	switch g.n(4) {
	case 0:
		return g.show()
	case 1, 2:
		q := g.eventQuery(1)
		q.Explain = g.bool()
		return q
	}
	return g.query()
}

func TestParseOfPrintIsTheTree(t *testing.T) {
	t.Run("expression", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) { mustRoundTrip(t, gen{t}.expr(4)) })
	})
	t.Run("statement", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) { mustRoundTrip(t, gen{t}.statement()) })
	})
}

// countNodes counts the nodes in v by its fields.
func countNodes(v reflect.Value) int {
	n := 0
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			return countNodes(v.Elem())
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return 1 + countNodes(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			n += countNodes(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			n += countNodes(v.Field(i))
		}
	}
	return n
}

func TestInspectVisitsEveryNodeOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stmt := gen{t}.statement()
		seen := map[Node]bool{}
		Inspect(stmt, func(n Node) bool {
			if _, ok := n.(*Null); !ok && seen[n] { // all *Null may be one address
				t.Fatalf("%T is visited twice", n)
			}
			seen[n] = true
			return true
		})
		visits := 0
		Inspect(stmt, func(Node) bool { visits++; return true })
		if want := countNodes(reflect.ValueOf(stmt)); visits != want {
			t.Fatalf("%d visits of %d nodes in %s", visits, want, Print(stmt))
		}
	})
}

func TestInspectPassesOverWhatIsRefused(t *testing.T) {
	e, err := ParseExpr("a + MAX(b[c]) - d")
	if err != nil {
		t.Fatal(err)
	}
	var roots []string
	Inspect(e, func(n Node) bool {
		if p, ok := n.(*Path); ok {
			roots = append(roots, p.Root())
		}
		_, call := n.(*Call)
		return !call
	})
	if got := strings.Join(roots, " "); got != "a d" {
		t.Errorf("visited %q, want a and d in the order of the text", got)
	}
}
