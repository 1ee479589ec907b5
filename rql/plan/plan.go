package plan

import (
	"hindcast.dev/event"
	"hindcast.dev/rql/syntax"
)

// A Schema is what the checker knows of a History.
type Schema struct {
	Nodes []string // names, sorted by bytes
	Vars  []string // log.name, by variable id
}

// A Query is a checked cut query.
type Query struct {
	Explain bool
	Items   []Item
	Logs    []string // of FROM, each once
	ForEach *ForEach // nil without; its name is local 0
	Compute []Compute
	Cond    Expr   // the whole condition; nil without WHEN
	Modal   *Modal // of POSSIBLY and DEFINITELY; nil: the walk is asked
	Root    *Cond  // the condition in parts; nil without WHEN
	Leaves  []*Leaf
	Holders []Holder // placeholder $n is Holders[n-1]
	Slots   []Slot   // chosen slots come first, by their first placeholder
	Chosen  int      // how many of Slots are chosen
	Closed  int      // how many after those are chosen inside operands of past time
	Nodes   []int    // of AT NODES, sorted; nil is all
	// NodeCount is how many nodes the History has.
	NodeCount int
	OnTime    *syntax.Range
	Group     *Group // nil without GROUP BY
	Emit      syntax.Emit
	Limit     int64 // -1 without LIMIT
	Locals    int   // how many quantified names there are, that of FOR EACH included
	// Equalities is how many =, !=, IN and NOT IN there are: Binary.Equality is below it.
	Equalities int
	Cells      int // how many aggregates are worth keeping for one cut: Agg.Cell
	Tallies    []*Agg
	Refs       []*Ref // every variable written
	// Columns are the paths that depend on nothing, each once: what one leads to on
	// a node is a single value, worth keeping beside the node's state.
	Columns []*Ref
	// UsesPrev says that some part asks for what was one cut before.
	UsesPrev bool
	Pasts    []*Past // operators of past time, inner ones first
	// Apart says that members of FOR EACH have ticks of their own.
	Apart bool

	told  []Expr   // what a row is made of, but for what stands in names of COMPUTE alone
	stage int      // of the leaves that are being built
	names []*facts // of the names of COMPUTE
}

// An Item is what SELECT shows.
type Item struct {
	Name string // its key in a row; for Star "*" or "log.*"
	Star bool
	Logs []string // of Star
	X    Expr     // nil for Star
	// Late is set where X asks for DURATION(); then it takes the place of X.
	Late *Late
	// Slot runs over the nodes shown; -1 if the item is one value.
	Slot int
	// Ref is set where the item is but a variable: a node shows where it is present.
	Ref *Ref
}

// A ForEach is FOR EACH name IN Set.
type ForEach struct {
	Name string
	Set  Expr
	Deps []Dep
}

// A Compute is a name of COMPUTE.
type Compute struct {
	Name  string
	X     Expr
	Slots []int // chosen slots that it needs, through other names too
	// PerCut says that the value is one for the cut (and member of FOR EACH).
	PerCut bool
}

// A Holder is a placeholder.
type Holder struct {
	Pos  syntax.Pos
	Text string // the variable as in the canonical text
	Slot int
	Var  *Var
	// Scope tells the operand of past time in which it is chosen; 0 is none.
	Scope int
}

// SlotKind says how a slot's node is found.
type SlotKind int

// The kinds of Slot.
const (
	SlotChosen SlotKind = iota // some node that makes the condition true
	SlotEach                   // every node, of LINK EACH_NODE
	SlotShown                  // every node, of an item
	SlotPast                   // some node that makes an operand of past time true, at each cut anew
)

// A Slot is a node that several variables speak of.
type Slot struct {
	Kind    SlotKind
	Holders []int  // numbers of its placeholders, ascending
	Needs   []*Ref // in range on each candidate; of SlotEach in range at least one
}

// StepKind is the kind of a Step.
type StepKind int

// The kinds of Step.
const (
	StepKey   StepKind = iota // to the entry Key
	StepIndex                 // to the entry that Index gives
	StepAll                   // to every entry
)

// A Step goes from a value to a part of it.
type Step struct {
	Kind  StepKind
	Key   event.Value
	Index Expr
}

// A Ref is a written path of a variable. On a node it is the longest of Vars
// that is present there, and what its rest leads to.
type Ref struct {
	Pos   syntax.Pos
	Text  string // canonical, with its log
	Path  *syntax.Path
	Steps []Step
	Vars  []Candidate // longest first; empty for a built-in variable that isn't recorded
	// Fixed is how many leading steps depend on nothing: a placeholder ranges over
	// the nodes where what they lead to is present.
	Fixed int
	// Column is its number from 1 in Query.Columns; 0 if it has none.
	Column int
}

// A Candidate is a variable whose name begins a path.
type Candidate struct {
	Var  int
	Rest int // Steps[Rest:] leads into its value
}

// A Dep is what an expression depends on.
type Dep struct {
	Ref  *Ref
	Slot int  // the slot on whose node it is read; -1: on every node
	Key  int  // the local that the first index which isn't fixed consists of; -1: none
	Prev bool // what it was one cut before counts too
}
