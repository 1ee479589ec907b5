// Package syntax reads and writes the text of RQL: scanner, syntax tree, parser
// and printer. It knows nothing of Histories, nodes or types: whether a log
// exists, what a name refers to and which operators may be nested is the
// checker's business.
//
// Text comes in three kinds of statement: a cut query (Query), an event query
// (EventQuery) and Show. Trees are plain values: nobody modifies a node after
// Parse returned it, and no later stage keeps its state inside.
//
// # Names
//
// Keywords are case-insensitive, all other names are case-sensitive. A word that
// opens a clause or is an operator is reserved; NOW, START, END, TRUE, FALSE and
// NULL are literals in an expression, unless a "." follows them, and names
// elsewhere (a log, an event, the name of an event in FROM and JOIN). After a "."
// every word is a field. In backquotes any word is a name: `group`.x, `kv-store`.
//
// # Limits
//
// MaxText, MaxDepth and MaxList bound what is read; a text past one of them
// gives an *Error like any other mistake.
package syntax

const (
	// MaxText is the length of the longest text that is read, in bytes.
	MaxText = 1 << 20
	// MaxDepth bounds the nesting of brackets, prefix operators and sub-queries
	// in a text and the height of an expression's tree, so also the number of
	// operators in an unbracketed row of them.
	MaxDepth = 1000
	// MaxList is the length of the longest list: of items, logs, arguments,
	// members of a set, steps of a path, branches of a CASE and the like.
	MaxList = 10_000
)
