package plan

import (
	"cmp"
	"slices"
	"strings"

	"hindcast.dev/rql/syntax"
)

// foreignFunctions are functions of other languages, and what RQL has for them.
var foreignFunctions = map[string]string{
	"ANY": "write EXISTS v IN collection : (condition)", "SOME": "write EXISTS v IN collection : (condition)",
	"ALL": "write FORALL v IN collection : (condition)", "EVERY": "write FORALL v IN collection : (condition)",
	"LENGTH": "write LEN(x)", "SIZE": "write LEN(x)", "CHAR_LENGTH": "write LEN(x)",
	"AVERAGE": "write AVG(x)", "MEAN": "write AVG(x)", "TOTAL": "write SUM(x)", "MINIMUM": "write MIN(x)", "MAXIMUM": "write MAX(x)",
	"MEDIAN": "there are MIN, MAX, AVG, SUM and COUNT", "STDDEV": "there are MIN, MAX, AVG, SUM and COUNT", "VARIANCE": "there are MIN, MAX, AVG, SUM and COUNT",
	"IFNULL": "write COALESCE(a, b)", "NVL": "write COALESCE(a, b)", "ISNULL": "write x = null; whether a variable is there is PRESENT(x)",
	"LAG": "write PREV(x), the value one cut before", "LAST": "write PREV(x), the value one cut before", "DELTA": "write x - PREV(x)", "DIFF": "write x - PREV(x)",
	"CAST": "write INT(x) or FLOAT(x)", "IF": "write CASE WHEN c THEN x ELSE y END", "IIF": "write CASE WHEN c THEN x ELSE y END",
	"CONCAT": "strings aren't put together: show both", "SUBSTR": "there are STARTSWITH, CONTAINS and LIKE", "SUBSTRING": "there are STARTSWITH, CONTAINS and LIKE",
	"ENDSWITH": "write x LIKE '%end'", "MATCHES": "write x LIKE 'a%'", "REGEXP_LIKE": "write x LIKE 'a%'",
	"ISSET": "write PRESENT(x)", "DEFINED": "write PRESENT(x)", "TIMESTAMP": "write TIME()", "NOW": "write NOW", "POW": "multiply", "POWER": "multiply",
	"UNIQUE": "write VALUES(x)", "SET": "write VALUES(x), or {a, b}", "DISTINCT": "write VALUES(x)", "ITEMS": "write KEYS(x), or x[*] for the values",
	"MOD": "write %", "NOT_IN": "write NOT IN", "HOST": "write NODE($1)", "RAND": "an answer depends on the recording alone", "SUMIF": "write SUM(x) in WHEN, or CASE",
}

// foreignNames are values of other languages.
var foreignNames = map[string]string{"NIL": "null", "NONE": "null", "UNDEFINED": "null", "YES": "true", "NO": "false"}

// nameHint says what a bare name was most likely meant to be, if it isn't a
// variable: "" if nothing tells.
func (c *checker) nameHint(p *syntax.Path) string {
	name, bare := p.Bare()
	if !bare {
		return ""
	}
	upper := strings.ToUpper(name)
	_, isFunction := functions[upper]
	switch _, node := slices.BinarySearch(c.schema.Nodes, name); {
	case node:
		return "the name of a node stands in quotes: '" + name + "'"
	case c.logs[name]:
		return name + " is a log: its variables are " + name + ".NAME, and SELECT " + name + ".* shows all of them"
	case foreignNames[upper] != "":
		return "write " + foreignNames[upper]
	case isFunction:
		return upper + " is a function, and has brackets: " + upper + "(…)"
	}
	return ""
}

// quoteHint is for a bare name that nothing is like: it may be a text.
func quoteHint(p *syntax.Path) string {
	if name, bare := p.Bare(); bare {
		return "; a text stands in quotes: '" + name + "'"
	}
	return ""
}

// logHint is for a log that isn't there.
func (c *checker) logHint(log string, known []string) string {
	if hint := c.didYouMean(log, known); hint != "" && !slices.Contains(c.schema.Nodes, log) {
		return hint
	}
	if _, node := slices.BinarySearch(c.schema.Nodes, log); node {
		return log + " is a node: write LOG.NAME, and which node it is about with NODE($1) = '" + log + "' or AT NODES " + log
	}
	if all := keys(c.logs); len(all) <= logsToName {
		return "the logs are " + strings.Join(all, ", ")
	}
	return "SHOW LOGS lists those there are"
}

// logsToName is how many logs are named where one isn't there.
const logsToName = 10

// aliases are functions of Retroscope that the parser knows.
var aliases = []string{"NODESUM", "CARDINALITY", "ISSUBSET", "NOTIN"}

// functionHint is for a function that isn't there.
func (c *checker) functionHint(name string) string {
	if hint, ok := foreignFunctions[name]; ok {
		return hint
	}
	if hint := c.didYouMean(name, append(keys(functions), aliases...)); hint != "" {
		return hint
	}
	return "the functions are " + strings.Join(keys(functions), ", ")
}

// forms show how functions with few arguments are written.
var forms = map[string]string{
	"COUNT": "COUNT(kv.items), or COUNT(*) with GROUP BY", "PRESENT": "PRESENT(kv.items)", "PREV": "PREV(kv.term)", "CHANGED": "CHANGED(kv.term)",
	"NODE": "NODE($1) or NODE(kv.term)", "TIME": "TIME()", "DURATION": "DURATION()", "STARTSWITH": "STARTSWITH(kv.name, 'a')", "CONTAINS": "CONTAINS(kv.name, 'a')",
	"SUM": "SUM(kv.term): over all nodes; add single values with +", "AVG": "AVG(kv.term): over all nodes",
}

// formHint shows how a function is written that was given too much or too little.
func formHint(name string) string {
	if form, ok := forms[name]; ok {
		return "write " + form
	}
	return ""
}

// nearVariable is the variable of a log, or the name of the query, that a path is
// most likely a misprint of.
func (c *checker) nearVariable(p *syntax.Path, log string, known []string) string {
	var names []string
	for _, v := range known {
		names = append(names, strings.TrimPrefix(v, log+"."))
	}
	own := c.ownNames()
	if name, bare := p.Bare(); bare {
		if near, ok := syntax.Nearest(name, append(slices.Clone(names), own...)); ok && slices.Contains(own, near) {
			return "did you mean " + near + "?"
		}
	}
	if near, ok := syntax.Nearest(p.Steps[0].Name, names); ok {
		return "did you mean " + log + "." + near + "?"
	}
	return ""
}

// variablesToName is how many variables are named where one isn't there.
const variablesToName = 12

// listHint says which variables a log has, or how to see them.
func listHint(log string, known []string) string {
	if len(known) == 0 || len(known) > variablesToName {
		return "SHOW VARIABLES LIKE '" + log + ".%' lists those there are"
	}
	known = slices.Clone(known)
	slices.Sort(known)
	if len(known) == 1 {
		return "there is " + known[0]
	}
	return "there are " + strings.Join(known, ", ")
}

// keyHabit fails if what stands in the brackets of a path is a bare name that is
// none of the query and no variable: most likely a key.
func (c *checker) keyHabit(e syntax.Expr) {
	p, ok := e.(*syntax.Path)
	if !ok {
		return
	}
	name, bare := p.Bare()
	if !bare || c.single == "" || slices.Contains(c.ownNames(), name) {
		return
	}
	if _, variable := c.vars[c.single+"."+name]; variable {
		return
	}
	if slices.ContainsFunc(c.schema.Vars, func(v string) bool { return strings.HasPrefix(v, c.single+"."+name+".") }) ||
		slices.Contains(builtin[c.single], c.single+"."+name) {
		return
	}
	if near := c.nearOwn(name); near != "" {
		fail(p.Pos, near, "the query declares no name %s, and %s has no such variable", name, c.single)
	}
	fail(p.Pos, "a key stands in quotes, ['"+name+"']; to ask for every key write FOR EACH "+name+" IN KEYS(…)",
		"the query declares no name %s, and %s has no such variable", name, c.single)
}

// hintAtKey gives an error in the brackets of a path the hint that a key stands in
// quotes, if they have one in them that was taken for arithmetic.
func hintAtKey(s *syntax.Step) {
	r := recover()
	if r == nil {
		return
	}
	_, arithmetic := s.Index.(*syntax.Binary)
	if e, ok := r.(*syntax.Error); ok && arithmetic {
		e.Hint = cmp.Or(syntax.KeyHint(s.Text), e.Hint)
	}
	panic(r)
}

// nearOwn is a hint at the name of the query that a name is most likely a misprint
// of.
func (c *checker) nearOwn(name string) string {
	return c.didYouMean(name, c.ownNames())
}

// ownNames are the names that the query declares here.
func (c *checker) ownNames() []string {
	own := keys(c.compute)
	for _, l := range c.locals {
		own = append(own, l.name)
	}
	return own
}
