// Package complete finds what a word of an unfinished query may become: keywords
// that the grammar allows there, and what the History has.
package complete

import (
	"slices"
	"strings"

	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// candidatesMax bounds what is offered.
const candidatesMax = 200

// Known is what there is to speak of.
type Known struct {
	Vars  []string        // log.name
	Nodes []string        // names
	Times []string        // as they are written in a query
	Event func() []string // names of events, asked for only where one may stand; nil has none
}

// Statement completes the word that ends at byte pos of a statement, which needs
// be finished neither before nor behind it: text[start:pos] is to be replaced by
// one of the candidates.
func Statement(k *Known, text string, pos int) (start int, candidates []string) {
	return complete(k, text, pos, syntax.Expect)
}

// Condition is Statement for a condition that stands alone, which may speak of
// every log.
func Condition(k *Known, text string, pos int) (start int, candidates []string) {
	return complete(k, text, pos, syntax.ExpectExpr)
}

func complete(k *Known, text string, pos int, expect func(string) syntax.Expectation) (start int, candidates []string) {
	pos = min(max(pos, 0), len(text))
	start = wordStart(text[:pos])
	c := &completion{known: k, word: text[start:pos], expected: expect(text[:start]), names: syntax.NamesIn(text[:start] + " " + text[pos:])}
	c.ofEvents = hasPrefixFold(strings.TrimSpace(text), "FROM")
	c.find()
	return start, c.found
}

// wordStart is where the last word of text begins: a keyword, a name, or a path
// without brackets.
func wordStart(text string) int {
	const part = "_.`"
	i := len(text)
	for i > 0 && (strings.IndexByte(part, text[i-1]) >= 0 || text[i-1] >= 0x80 || isLetterOrDigit(text[i-1])) {
		i--
	}
	return i
}

func isLetterOrDigit(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}

// A completion is one word that is being completed.
type completion struct {
	known    *Known
	word     string
	expected syntax.Expectation
	names    syntax.Names
	ofEvents bool // it is of an event query, which speaks of no variables
	found    []string
}

func (c *completion) find() {
	e := c.expected
	if e.Operand {
		c.offer(c.names.Declared...)
		if !c.ofEvents {
			c.variables()
		} else if event, _, ok := strings.Cut(c.word, "."); ok && slices.Contains(c.names.Declared, event) {
			c.offer(fieldsOf(event)...)
		}
	}
	if e.Log {
		c.offer(c.logs()...)
	}
	if e.Node {
		c.offer(quotedNames(c.known.Nodes)...)
	}
	if e.Event && c.known.Event != nil {
		c.offer(c.known.Event()...)
	}
	if e.Time {
		c.offer(c.known.Times...)
	}
	c.words(e.Words, "")
	if e.Operand {
		c.words(plan.Functions(), "(")
	}
	if len(c.found) > candidatesMax {
		c.found = c.found[:candidatesMax]
	}
}

// fieldsOf are the fields that an event has whatever it is, and its payload.
func fieldsOf(event string) []string {
	var all []string
	for _, f := range append(plan.BuiltinNames(), "data") {
		all = append(all, event+"."+f)
	}
	return all
}

// offer takes those names that begin with the word; where none does, those that
// do in another case.
func (c *completion) offer(names ...string) {
	slices.Sort(names)
	before := len(c.found)
	for _, n := range slices.Compact(names) {
		if strings.HasPrefix(n, c.word) || strings.HasPrefix(unquoted(n), c.word) {
			c.found = append(c.found, n)
		}
	}
	if len(c.found) > before {
		return
	}
	for _, n := range names {
		if hasPrefixFold(unquoted(n), c.word) && !slices.Contains(c.found, n) {
			c.found = append(c.found, n)
		}
	}
}

// unquoted is a name as one begins to type it.
func unquoted(name string) string { return strings.TrimPrefix(name, "`") }

// words takes keywords and functions that begin with the word, in small letters
// where that is in small letters.
func (c *completion) words(all []string, suffix string) {
	small := c.word != "" && c.word == strings.ToLower(c.word)
	for _, w := range all {
		if !hasPrefixFold(w, c.word) {
			continue
		}
		if small {
			w = strings.ToLower(w)
		}
		if w += suffix; !slices.Contains(c.found, w) {
			c.found = append(c.found, w)
		}
	}
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// variables offers the variables of the logs of FROM, all of them if that isn't
// there yet, and without their log those of a single one.
func (c *completion) variables() {
	var all []string
	for _, v := range slices.Concat(c.known.Vars, plan.BuiltinVariables()) {
		log, name, _ := strings.Cut(v, ".")
		if len(c.names.Logs) > 0 && !slices.Contains(c.names.Logs, log) {
			continue
		}
		all = append(all, written(log, name))
		if len(c.names.Logs) == 1 {
			all = append(all, written("", name))
		}
	}
	if c.word == "" && len(all) > manyVariables {
		all = dotted(c.logsSpokenOf())
	}
	c.offer(all...)
}

// manyVariables is how many are offered to one who has typed nothing; of more than
// these only the logs are.
const manyVariables = 40

func (c *completion) logsSpokenOf() []string {
	if len(c.names.Logs) > 0 {
		return quotedNames(c.names.Logs)
	}
	return c.logs()
}

func dotted(logs []string) []string {
	var out []string
	for _, l := range logs {
		out = append(out, l+".")
	}
	return out
}

// logs are those of the History and the built-in ones.
func (c *completion) logs() []string {
	var logs []string
	for _, v := range slices.Concat(c.known.Vars, plan.BuiltinVariables()) {
		log, _, _ := strings.Cut(v, ".")
		logs = append(logs, log)
	}
	slices.Sort(logs)
	return quotedNames(slices.Compact(logs))
}

// written is a variable as a query writes it, in backquotes where need be.
func written(log, name string) string {
	p := &syntax.Path{Log: log}
	for _, f := range strings.Split(name, ".") {
		p.Steps = append(p.Steps, syntax.Step{Name: f})
	}
	return syntax.Print(p)
}

// quotedNames are names of logs or nodes as a query writes them.
func quotedNames(names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, syntax.Print(&syntax.Ident{Name: n}))
	}
	return out
}
