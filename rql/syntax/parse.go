package syntax

// Parse reads one statement. Its error is an *Error. Nothing is kept of text but
// parts of it as strings.
func Parse(text string) (Statement, error) { panic("not yet: the parser lands next") }

// ParseExpr reads one expression, for tools that ask for a condition alone. Its
// error is an *Error.
func ParseExpr(text string) (Expr, error) { panic("not yet: the parser lands next") }
