package syntax

import (
	"fmt"
	"time"

	"hindcast.dev/hlc"
)

// A Pos is a place in a text. The zero Pos is no place: that of a node which was
// not read from text.
type Pos struct {
	Offset int // in bytes, from 0
	Line   int // from 1
	Col    int // in characters, from 1
}

// Position returns p itself; embedded, it makes every node a Node.
func (p Pos) Position() Pos { return p }

// String is "line:col".
func (p Pos) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Col) }

// IsValid reports whether p is a place in a text.
func (p Pos) IsValid() bool { return p.Line > 0 }

// A Node is any part of a tree. Its position is that of its first character, but
// for nodes made by an operator (Binary, Link, For), where it is the operator's.
type Node interface{ Position() Pos }

// A Statement is *Query, *EventQuery or *Show.
type Statement interface {
	Node
	statement()
}

// A Query is a cut query. Absent clauses are nil.
type Query struct {
	Pos
	Explain bool
	Items   []*Item  // at least one
	From    []*Ident // the logs, at least one
	ForEach *ForEach
	Compute []*Binding
	When    *When
	At      *At
	OnTime  *Range
	GroupBy []Expr
	// GroupText is the keys of GroupBy as written; empty if not read from text.
	GroupText []string
	Emit      Emit
	Limit     *Limit
}

// An EventQuery joins events by happened-before. Absent clauses are nil.
type EventQuery struct {
	Pos
	Explain bool // not of one in brackets
	From    *Input
	Joins   []*Join
	Let     []*Binding
	Where   Expr
	GroupBy []Expr
	// GroupText is as in Query.
	GroupText []string
	Items     []*Item // at least one
	OnTime    *Range
	Limit     *Limit
}

// A Show lists what a History holds. Like goes with ShowVariables (variable
// names) and ShowEvents (event names), the clauses after it with ShowEvents.
type Show struct {
	Pos
	What   ShowKind
	Like   *String // a pattern, or nil
	At     *At
	OnTime *Range
	Limit  *Limit
}

// ShowKind is what a Show lists.
type ShowKind int

// The kinds of Show.
const (
	ShowNodes ShowKind = iota
	ShowLogs
	ShowVariables
	ShowEvents
)

// An Ident is a name where it is declared or where nothing but a name may stand.
type Ident struct {
	Pos
	Name string
}

// An Item is what SELECT shows: "*" (Star), "log.*" (Star and Log), or an
// expression X.
type Item struct {
	Pos
	Star bool
	Log  *Ident
	X    Expr
	As   *Ident // nil without AS
	Text string // as written, without the AS; empty if not read from text
}

// Name is what the item is called in a row: its AS name, or its text as written.
func (it *Item) Name() string {
	switch {
	case it.As != nil:
		return it.As.Name
	case it.Text != "":
		return it.Text
	}
	return Print(it)
}

// A ForEach is FOR EACH Name IN Set.
type ForEach struct {
	Pos
	Name *Ident
	Set  Expr
}

// A Binding is Name := X, of COMPUTE or LET.
type Binding struct {
	Pos
	Name *Ident
	X    Expr
}

// A When is the condition of a cut query.
type When struct {
	Pos
	Modality Modality
	Cond     Expr
	Within   *Duration // nil without WITHIN; only with a modality
}

// Modality says over which cuts of the lattice a WHEN speaks.
type Modality int

// The modalities. Observed is the walk itself.
const (
	Observed Modality = iota
	Possibly
	Definitely
)

// An At says whose events make the walk: AT ALL NODES (Nodes is empty), or AT
// NODES with their names.
type At struct {
	Pos
	Nodes []*Ident
}

// A Range is ON TIME From [TO To]. To is nil if there is none: that one cut.
type Range struct {
	Pos
	From *Time
	To   *Time
}

// Emit says which rows a cut query gives.
type Emit int

// The values of Emit. EmitDefault is that of a query without the clause.
const (
	EmitDefault Emit = iota
	EmitIntervals
	EmitCuts
	EmitEnter
	EmitLeave
)

// A Limit is LIMIT N, N ≥ 0.
type Limit struct {
	Pos
	N int64
}

// An Input is Name IN Source: what FROM and JOIN of an event query read.
type Input struct {
	Pos
	Name   *Ident
	Source *Source
}

// A Join is JOIN Input ON Before -> After, or with Along Before => After.
type Join struct {
	Pos
	Input  *Input
	Before *Ident
	After  *Ident
	Along  bool
}

// A Source gives events: by name, or those of a sub-query.
type Source struct {
	Pos
	Keep  Keep
	N     int64       // how many, for KeepFirstN and KeepMostRecentN
	Event string      // the event's name, dots included; empty for a sub-query
	Name  Pos         // where Event is written
	Query *EventQuery // the sub-query, or nil
}

// Keep says which of the events that happened before are joined.
type Keep int

// The values of Keep.
const (
	KeepAll Keep = iota
	KeepFirst
	KeepMostRecent
	KeepFirstN
	KeepMostRecentN
)

// A Duration is a length of time, not negative: after FOR and WITHIN, and as an
// expression, whose value is its seconds.
type Duration struct {
	Pos
	D time.Duration
}

// A Base is what a Time counts from.
type Base int

// The bases of a Time. BaseAt is the Timestamp written in it.
const (
	BaseAt Base = iota
	BaseNow
	BaseStart
	BaseEnd
)

// A Time is a time of the query: a Timestamp or NOW, START, END, plus Offset.
// It is an expression too.
type Time struct {
	Pos
	Base   Base
	At     hlc.Timestamp // for BaseAt
	Offset time.Duration // may be negative
}

func (*Query) statement()      {}
func (*EventQuery) statement() {}
func (*Show) statement()       {}
