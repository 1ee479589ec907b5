package syntax

// Print is the canonical text of a node, on one line: keywords in capitals, one
// space between words, brackets only where they are needed. What Parse makes of
// the text of a statement, or ParseExpr of that of an expression, is n again but
// for positions and the Text of items.
func Print(n Node) string { panic("not yet: the printer lands next") }
