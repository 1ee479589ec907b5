package syntax

// An Expr is an expression: one of *Int, *Float, *String, *Bool, *Null, *Time,
// *Path, *Placeholder, *Call, *SetLit, *Quantifier, *Case, *Unary, *Past, *For,
// *Binary, *Link.
type Expr interface {
	Node
	expr()
}

// An Int is a whole number of any size, not negative (a minus is a Unary).
type Int struct {
	Pos
	Text string // decimal digits, without leading zeros
}

// A Float is a number written with a fraction or an exponent; finite and not
// negative.
type Float struct {
	Pos
	Value float64
}

// A String is a text in quotes; Value is without them, escapes resolved.
type String struct {
	Pos
	Value string
}

// A Bool is TRUE or FALSE.
type Bool struct {
	Pos
	Value bool
}

// A Null is NULL.
type Null struct{ Pos }

// A Path is what starts with a name: a variable, a COMPUTE, LET, FOR EACH or
// quantified name, or the field of one. Which of them, the checker decides:
//
//	kv.items[k].version   Log "kv", Steps .items [k] .version
//	items[k].version      Log "",   Steps .items [k] .version
//	x                     Log "",   Steps .x
//	x.version             Log "x",  Steps .version: a log or a local name
//
// Steps has at least one member, the first is a StepField.
type Path struct {
	Pos
	Log   string // the name before the first dot; empty if the path has none there
	Steps []Step
}

// Bare returns the name that the path consists of, if it is but a name.
func (p *Path) Bare() (name string, ok bool) {
	if p.Log != "" || len(p.Steps) != 1 {
		return "", false
	}
	return p.Steps[0].Name, true
}

// Root returns the first name written in the path.
func (p *Path) Root() string {
	if p.Log != "" {
		return p.Log
	}
	return p.Steps[0].Name
}

// A Step goes from a value to a part of it.
type Step struct {
	Pos
	Kind  StepKind
	Name  string // of a StepField
	Index Expr   // of a StepIndex
	Text  string // of a StepIndex, what stands between the brackets as written
}

// StepKind is the kind of a Step.
type StepKind int

// The kinds of Step: .name, [expr], [*].
const (
	StepField StepKind = iota
	StepIndex
	StepAll
)

// A Placeholder is $N, N ≥ 0.
type Placeholder struct {
	Pos
	N int
}

// A Call is Name(Args…), Name(DISTINCT Args…) or Name(*). Aliases are resolved:
// NODESUM is SUM, CARDINALITY(x) is COUNT(DISTINCT x).
type Call struct {
	Pos
	Name     string // in upper case
	Distinct bool
	Star     bool // Args is then empty
	Args     []Expr
}

// A SetLit is { Elems… }.
type SetLit struct {
	Pos
	Elems []Expr
}

// A Quantifier is EXISTS (or, with All, FORALL) Names IN Set : (Body).
type Quantifier struct {
	Pos
	All   bool
	Names []*Ident // at least one
	Set   Expr
	Body  Expr
}

// A Case is CASE WHEN … THEN … ELSE … END.
type Case struct {
	Pos
	Whens []*CaseWhen // at least one
	Else  Expr        // nil without ELSE
}

// A CaseWhen is one branch of a Case.
type CaseWhen struct {
	Pos
	Cond Expr
	Then Expr
}

// A Unary is -X or NOT X.
type Unary struct {
	Pos
	Op Op // Neg or Not
	X  Expr
}

// A Past is PREVIOUSLY X, ONCE X or ALWAYS X.
type Past struct {
	Pos
	Op     Op // Previously, Once or Always
	X      Expr
	Within *Duration // of Once and Always; nil without WITHIN
}

// A For is X FOR D.
type For struct {
	Pos
	X Expr
	D *Duration
}

// A Binary is L Op R.
type Binary struct {
	Pos
	Op   Op
	L, R Expr
}

// A Link is X LINK SAME_NODE or, with Each, X LINK EACH_NODE.
type Link struct {
	Pos
	Each bool
	X    Expr
}

// Op is an operator.
type Op int

// The operators, loosest first. Those on one line bind equally.
const (
	OpNone Op = iota
	Or
	And
	Since
	Not // prefix, as the next three
	Previously
	Once
	Always
	Eq // = and ==; comparisons from here to Like
	Ne // != and <>
	Lt
	Le
	Gt
	Ge
	In
	NotIn
	Subset
	Like
	Union
	Intersect
	Except // also a backslash
	Add
	Sub
	Mul
	Div
	Mod
	Neg // prefix
)

var opText = [...]string{
	Or: "OR", And: "AND", Since: "SINCE", Not: "NOT", Previously: "PREVIOUSLY", Once: "ONCE", Always: "ALWAYS",
	Eq: "=", Ne: "!=", Lt: "<", Le: "<=", Gt: ">", Ge: ">=", In: "IN", NotIn: "NOT IN", Subset: "SUBSET", Like: "LIKE",
	Union: "UNION", Intersect: "INTERSECT", Except: "EXCEPT", Add: "+", Sub: "-", Mul: "*", Div: "/", Mod: "%", Neg: "-",
}

// String is the operator as Print writes it.
func (o Op) String() string { return opText[o] }

// IsComparison reports whether o compares; = and its kin, IN, NOT IN, SUBSET and
// LIKE do.
func (o Op) IsComparison() bool { return o >= Eq && o <= Like }

func (*Int) expr()         {}
func (*Float) expr()       {}
func (*String) expr()      {}
func (*Bool) expr()        {}
func (*Null) expr()        {}
func (*Time) expr()        {}
func (*Duration) expr()    {}
func (*Path) expr()        {}
func (*Placeholder) expr() {}
func (*Call) expr()        {}
func (*SetLit) expr()      {}
func (*Quantifier) expr()  {}
func (*Case) expr()        {}
func (*Unary) expr()       {}
func (*Past) expr()        {}
func (*For) expr()         {}
func (*Binary) expr()      {}
func (*Link) expr()        {}
