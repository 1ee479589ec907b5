package syntax

// Inspect calls f for n and all nodes below it, parents first, children in the
// order of the canonical text. Where f returns false the node's children are
// passed over. Steps of a path are no nodes, but their indices are visited.
func Inspect(n Node, f func(Node) bool) {
	if f(n) {
		children(n, func(c Node) { Inspect(c, f) })
	}
}

// children calls f for each node directly below n.
func children(n Node, f func(Node)) {
	if e, ok := n.(Expr); ok {
		exprChildren(e, f)
		return
	}
	switch n := n.(type) {
	case *Query:
		queryChildren(n, f)
	case *EventQuery:
		eventQueryChildren(n, f)
	case *Show:
		visit(n.Like, f)
		visit(n.At, f)
		visit(n.OnTime, f)
		visit(n.Limit, f)
	case *Item:
		visit(n.Log, f)
		visitExpr(n.X, f)
		visit(n.As, f)
	case *ForEach:
		f(n.Name)
		f(n.Set)
	case *Binding:
		f(n.Name)
		f(n.X)
	case *When:
		f(n.Cond)
		visit(n.Within, f)
	case *At:
		visitAll(n.Nodes, f)
	case *Range:
		f(n.From)
		visit(n.To, f)
	case *Input:
		f(n.Name)
		f(n.Source)
	case *Join:
		f(n.Input)
		f(n.Before)
		f(n.After)
	case *Source:
		visit(n.Query, f)
	case *CaseWhen:
		f(n.Cond)
		f(n.Then)
	}
}

func queryChildren(q *Query, f func(Node)) {
	visitAll(q.Items, f)
	visitAll(q.From, f)
	visit(q.ForEach, f)
	visitAll(q.Compute, f)
	visit(q.When, f)
	visit(q.At, f)
	visit(q.OnTime, f)
	visitAll(q.GroupBy, f)
	visit(q.Limit, f)
}

func eventQueryChildren(q *EventQuery, f func(Node)) {
	f(q.From)
	visitAll(q.Joins, f)
	visitAll(q.Let, f)
	visitExpr(q.Where, f)
	visitAll(q.GroupBy, f)
	visitAll(q.Items, f)
	visit(q.OnTime, f)
	visit(q.Limit, f)
}

func exprChildren(e Expr, f func(Node)) {
	switch e := e.(type) {
	case *Path:
		for _, s := range e.Steps {
			visitExpr(s.Index, f)
		}
	case *Call:
		visitAll(e.Args, f)
	case *SetLit:
		visitAll(e.Elems, f)
	case *Quantifier:
		visitAll(e.Names, f)
		f(e.Set)
		f(e.Body)
	case *Case:
		visitAll(e.Whens, f)
		visitExpr(e.Else, f)
	case *Unary:
		f(e.X)
	case *Past:
		f(e.X)
		visit(e.Within, f)
	case *For:
		f(e.X)
		f(e.D)
	case *Binary:
		f(e.L)
		f(e.R)
	case *Link:
		f(e.X)
	}
}

// visit calls f for the node that p points to, if any.
func visit[T any, P interface {
	*T
	Node
}](p P, f func(Node)) {
	if p != nil {
		f(p)
	}
}

func visitExpr(e Expr, f func(Node)) {
	if e != nil {
		f(e)
	}
}

func visitAll[N Node](list []N, f func(Node)) {
	for _, n := range list {
		f(n)
	}
}
