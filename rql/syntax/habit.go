package syntax

import "strings"

// What people write who come from other languages, and how it is written here.
// These tables only make hints: what they hold is a mistake anyway.

// foreignStatements begin a statement elsewhere.
var foreignStatements = map[string]string{
	"WITH":     "names are given with COMPUTE name := expression, after FROM",
	"INSERT":   onlyAsks,
	"UPDATE":   onlyAsks,
	"DELETE":   onlyAsks,
	"CREATE":   onlyAsks,
	"DROP":     onlyAsks,
	"DESCRIBE": "write SHOW VARIABLES LIKE 'log.%'",
	"DESC":     "write SHOW VARIABLES LIKE 'log.%'",
	"USE":      "the logs are named in FROM",
	"WHEN":     "a query begins with SELECT: SELECT … FROM log WHEN …",
	"WHERE":    "a query begins with SELECT: SELECT … FROM log WHEN …",
}

const (
	onlyAsks      = "a recording is asked and never changed: SELECT, FROM, SHOW and EXPLAIN are what there is"
	writeComment  = "a comment is written -- to the end of its line"
	writePattern  = "write x LIKE 'a%', where % is any characters and _ is one"
	writeContains = "write CONTAINS(x, y)"
)

// foreignWords stand after an operand, or begin a clause, elsewhere.
var foreignWords = map[string]string{
	"WHERE":      "the condition of a cut query is WHEN",
	"IF":         "the condition of a cut query is WHEN",
	"HAVING":     "RQL has no HAVING; put the condition into WHEN",
	"ORDER":      "RQL has no ORDER BY; rows come in the order of time",
	"SORT":       "RQL has no ORDER BY; rows come in the order of time",
	"OFFSET":     "RQL has no OFFSET",
	"FETCH":      "write LIMIT n",
	"TOP":        "write LIMIT n at the end",
	"IS":         "write x = null or x != null; whether a variable is set is PRESENT(x)",
	"ISNULL":     "write x = null; whether a variable is set is PRESENT(x)",
	"BETWEEN":    "write x >= a AND x <= b",
	"MOD":        "write %",
	"DIV":        "write /, which cuts ints towards zero",
	"XOR":        "write a != b, which says that one of two conditions holds",
	"IMPLIES":    "write NOT a OR b",
	"ILIKE":      "write LOWER(x) LIKE 'a%'",
	"RLIKE":      writePattern,
	"REGEXP":     writePattern,
	"MATCH":      writePattern,
	"MATCHES":    writePattern,
	"GLOB":       writePattern,
	"SIMILAR":    writePattern,
	"HAS":        writeContains,
	"CONTAINS":   writeContains,
	"INCLUDES":   writeContains,
	"STARTSWITH": "write STARTSWITH(x, y)",
	"PRESENT":    "write PRESENT(x)",
	"CHANGED":    "write CHANGED(x)",
	"MINUS":      "write EXCEPT",
	"SETMINUS":   "write EXCEPT",
	"UNTIL":      "past time has c SINCE d: d held once, and c at every cut after it",
	"BEFORE":     "past time has PREVIOUSLY c, ONCE c and c SINCE d",
	"AFTER":      "past time has PREVIOUSLY c, ONCE c and c SINCE d",
	"DURING":     "write ON TIME t1 TO t2",
	"BY":         "write GROUP BY",
	"AS":         "AS names an expression of SELECT; INT(x) and FLOAT(x) convert",
	"OVER":       "RQL has no windows; past time has ONCE c WITHIN 1s, ALWAYS c WITHIN 1s and c FOR 1s",
	"THEN":       "THEN belongs to CASE WHEN c THEN x END",
	"FOREACH":    "write FOR EACH name IN collection",
	"LET":        "in a cut query names are given with COMPUTE name := expression",
	"COMPUTE":    "in an event query names are given with LET name := expression",
	"SAME_NODE":  "write (…) LINK SAME_NODE",
	"EACH_NODE":  "write (…) LINK EACH_NODE",
	"JOIN":       "name all logs in FROM, with commas between: a condition may speak of several. JOIN is of event queries: FROM e IN event JOIN f IN event ON e -> f SELECT …",
	"UNION":      "UNION is of sets; two queries are asked one after the other",
}

// foreignOperands begin an expression elsewhere.
var foreignOperands = map[string]string{
	"DISTINCT":   "DISTINCT stands in an aggregate: COUNT(DISTINCT x), SUM(DISTINCT x); VALUES(x) is the set of values",
	"SELECT":     "RQL has no queries inside of queries; over nodes there are aggregates, EXISTS and FORALL",
	"LINK":       "LINK follows what it links: (a > b) LINK SAME_NODE",
	"FOR":        "write FORALL v IN collection : (condition), or c FOR 1s behind a condition",
	"AND":        "AND stands between two conditions",
	"OR":         "OR stands between two conditions",
	"FROM":       "leave out the comma before FROM, or name what to show",
	"WITHIN":     "WITHIN stands behind the condition: POSSIBLY c WITHIN 5ms, ONCE c WITHIN 1s",
	"POSSIBLY":   "POSSIBLY stands once, right after WHEN",
	"DEFINITELY": "DEFINITELY stands once, right after WHEN",
}

// foreignNames are values, functions or operators elsewhere, that are taken for
// names here.
var foreignNames = map[string]string{
	"EVENTUALLY":   "whether c held so far is ONCE c",
	"HISTORICALLY": "write ALWAYS c",
	"NEVER":        "write NOT ONCE c",
	"ANY":          "write EXISTS v IN collection : (condition)",
	"SOME":         "write EXISTS v IN collection : (condition)",
	"EVERY":        "write FORALL v IN collection : (condition)",
	"TOP":          "write LIMIT n at the end",
	"FOREACH":      "write FOR EACH name IN collection, after FROM",
}

// foreignShows are what SHOW lists elsewhere.
var foreignShows = map[string]string{
	"TABLES": "write SHOW LOGS", "TABLE": "write SHOW LOGS", "DATABASES": "write SHOW LOGS", "SCHEMAS": "write SHOW LOGS",
	"COLUMNS": "write SHOW VARIABLES", "FIELDS": "write SHOW VARIABLES", "KEYS": "write SELECT KEYS(log.map) FROM log",
	"MESSAGES": "write SHOW EVENTS LIKE 'recv.%'", "CLUSTER": "write SHOW NODES", "SERVERS": "write SHOW NODES",
}

// foreignKeeps are functions of a source elsewhere.
var foreignKeeps = map[string]string{
	"LAST": "write MOSTRECENT(event)", "LATEST": "write MOSTRECENT(event)", "LASTN": "write MOSTRECENTN(n, event)",
	"ALL": "the name alone means all events", "EVERY": "the name alone means all events", "COUNT": "write SELECT COUNT(*)",
}

// foreignRunes are hints for characters that RQL doesn't have.
var foreignRunes = map[rune]string{
	'~': writePattern, '^': "RQL has no powers: multiply", '#': writeComment,
	'@': "which node a variable speaks of is said with NODE($1) = 'n1' or AT NODES n1",
	'?': "write CASE WHEN c THEN x ELSE y END",
}

// foreignSigns are hints for two signs in a row, the second of which can't begin
// an expression.
var foreignSigns = map[string]string{
	"= >": "write >=", "= <": "write <=", "> <": "write !=", "= =": "write =", "!= =": "write !=",
	"* *": "RQL has no powers: multiply", "/ /": writeComment, "/ *": writeComment, "+ +": "write + 1", ". .": "write one dot",
	"< =": "write <=, without a space", "> =": "write >=, without a space",
}

// habit is the hint for the next token where expected should be, or "".
func (p *parser) habit(expected string) string {
	t := p.tok
	if t.kind == kindSign {
		return p.signHabit(expected)
	}
	if t.kind != kindWord {
		return p.prevHabit()
	}
	if strings.HasPrefix(expected, wantOperand) {
		hint, ok := foreignOperands[t.upper]
		if t.upper == "FROM" && !p.prev.isSign(",") {
			hint, ok = "name what to show: a variable, log.* or *", p.prev.is("SELECT")
		}
		if !ok {
			return ""
		}
		return hint
	}
	if hint := p.prevHabit(); hint != "" {
		return hint
	}
	return foreignWords[t.upper]
}

// prevHabit is the hint for what can't follow a name that is none here.
func (p *parser) prevHabit() string {
	if (p.prev.kind == kindInt || p.prev.kind == kindFloat) && p.tok.kind == kindWord && units[p.tok.upper] {
		return "durations are written 200ms, 1.5s, 2m, the unit without a space"
	}
	if p.prev.kind != kindWord || !p.operandFollows() {
		return ""
	}
	if hint, ok := foreignNames[p.prev.upper]; ok {
		return hint
	}
	if functionWords[p.prev.upper] {
		return "a function has brackets: " + p.prev.upper + "(…)"
	}
	return ""
}

// units are words that people write behind the number of a duration.
var units = map[string]bool{"NS": true, "US": true, "MS": true, "S": true, "SEC": true, "SECS": true, "SECOND": true, "SECONDS": true, "M": true, "MIN": true,
	"MINS": true, "MINUTE": true, "MINUTES": true, "H": true, "HOUR": true, "HOURS": true, "MILLISECOND": true, "MILLISECONDS": true}

// operandFollows reports whether the next token begins an operand.
func (p *parser) operandFollows() bool {
	switch p.tok.kind {
	case kindWord:
		return !reserved[p.tok.upper]
	case kindSign, kindEnd, kindAsked:
		return false
	}
	return true
}

// clauseHabit is the hint for what can't follow the clause that was read.
func (p *parser) clauseHabit() string {
	if p.clauses == nil {
		return ""
	}
	t, name := p.tok, p.operandFollows() && foreignWords[p.tok.upper] == ""
	switch last := p.clauses[p.last]; {
	case last == "FROM" && t.is("IN"):
		return "an event query begins with FROM: FROM e IN event SELECT …"
	case (last == "WHEN" || last == "WHERE") && name && t.kind == kindWord && p.pathFollows():
		return p.orNearest("conditions are joined with AND or OR", p.clauses[p.last+1:])
	case last == "FROM" && t.is("SINCE"):
		return "write ON TIME t1 TO t2"
	case last == "FROM" && (name || t.is("AS") || t.is("AND")):
		return p.orNearest("logs stand with commas between, and have no other names here", p.clauses[p.last+1:])
	case last == "AT" && name:
		return p.orNearest("nodes stand with commas between: AT NODES n1, n2", p.clauses[p.last+1:])
	case last == "SHOW" && (name || t.is("FROM")):
		return p.orNearest("the names to list are given by a pattern: SHOW VARIABLES LIKE 'inv.%', SHOW EVENTS LIKE 'recv.%'", p.clauses[p.last+1:])
	}
	return ""
}

// orNearest is hint, unless the next token is a misprint of a clause.
func (p *parser) orNearest(hint string, clauses []string) string {
	if _, ok := Nearest(p.tok.upper, firstWords(clauses)); ok && p.tok.kind == kindWord && !p.tok.is("AS") && !p.pathFollows() {
		return ""
	}
	return hint
}

// signHabit is the hint for a sign.
func (p *parser) signHabit(expected string) string {
	t := p.tok
	operand := strings.HasPrefix(expected, wantOperand)
	switch hint, ok := foreignSigns[p.prev.text+" "+t.text]; {
	case operand && p.prev.kind == kindSign && ok:
		return hint
	case operand && t.text == "/":
		return writeComment
	case operand && t.text == ".":
		return "a number has a digit before its point: 0.5"
	case operand && t.text == "]":
		return "name the key, [\"x\"], or all entries, [*]"
	case operand && infixBySign[t.text].IsComparison() && (p.prev.is("AND") || p.prev.is("OR")):
		return "write the left side again: a < b AND a < c"
	case operand && p.prev.isSign("(") && t.text == ")":
		return "put a condition or a value between the brackets"
	case operand:
		return ""
	case t.text == "->":
		return "-> stands only in JOIN … ON a -> b; a part of a value is reached with a dot or [\"key\"]"
	case t.text == "=>":
		return "write >=; => stands only in JOIN … ON a => b"
	case t.text == ",":
		return p.commaHabit()
	case t.text == ")" && p.depth == 0:
		return "there is no ( for it"
	case t.text == "/" && (p.peek().isSign("/") || p.peek().isSign("*")):
		return writeComment
	case t.text == "(":
		return p.bracketHabit()
	case t.text == "." && p.clauses != nil && p.clauses[p.last] == "FROM":
		return "FROM wants the log alone; its variables stand in SELECT and WHEN"
	case t.text == "{" || t.text == ":":
		return "a part of a value is reached with a dot or [\"key\"]"
	}
	return ""
}

// commaHabit is the hint for a comma where no list is.
func (p *parser) commaHabit() string {
	if p.clauses == nil {
		return "conditions are joined with AND or OR"
	}
	switch p.clauses[p.last] {
	case "WHEN", "WHERE":
		return "conditions are joined with AND or OR"
	case "ON TIME":
		return "write ON TIME t1 TO t2"
	case "LIMIT":
		return "LIMIT wants one number; RQL has no OFFSET"
	}
	return ""
}

// bracketHabit is the hint for a ( that can't follow what is before it.
func (p *parser) bracketHabit() string {
	if literalWords[p.prev.upper] {
		return "write " + p.prev.upper + " without brackets"
	}
	return "an entry is reached with [\"key\"]; a function's name stands alone before its brackets: KEYS(kv.items)"
}

// functionWords are the names of functions, for those who forget the brackets.
var functionWords = wordSet(`MIN MAX SUM AVG COUNT VALUES NODES KEYS FLATTEN ABS CEIL FLOOR ROUND SQRT SIN COS TAN LEN LOWER UPPER
	STARTSWITH CONTAINS COALESCE INT FLOAT LEAST GREATEST TIME NODE PRESENT PREV CHANGED DURATION NODESUM CARDINALITY`)

// IsFunctionWord reports whether a hint speaks of name, in capitals, as of a
// function.
func IsFunctionWord(name string) bool { return functionWords[name] }

// logHabit is the hint for what is no name of a log.
func (p *parser) logHabit() string {
	switch t := p.tok; {
	case t.isSign("*"):
		return "name the logs; SHOW LOGS lists them"
	case t.isSign("("):
		return foreignOperands["SELECT"]
	case t.kind == kindString:
		return "a log's name stands without quotes, or in backquotes: " + backquote(t.text)
	}
	return ""
}
