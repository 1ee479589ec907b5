package app_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"hindcast.dev/app"
)

const rqlDoc = "../docs/rql.md"

func TestThePageOfTheQueryLanguageTellsTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the page's examples take seconds; go test without -short runs them")
	}
	tellsTheTruth(t, rqlDoc)
}

func TestThePageOfTheLatticeTellsTheTruth(t *testing.T) { tellsTheTruth(t, "../docs/lattice.md") }

// tellsTheTruth runs every fenced block of a page that names one of these
// languages; -rewrite writes what they give.
//
//	history NAME  a History in its text form, asked by what follows
//	rql [NAME]    a query, of that History or the last one; after it stand any of
//	  table       its answer
//	  rows        its answer as JSON lines
//	  incomplete  the same; the exit code is that of what is undecided
//	  notes       what the summary says after its first line
//	  mistake     the error; the exit code is 2
//	values NAME   lines "expression → its value at the last cut"
//	when NAME     lines "condition → the events that make the cuts where it holds",
//	              a tick being @ and its second
//	refused NAME  lines "query → the first line of its error"
func tellsTheTruth(t *testing.T, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &page{t: t, doc: file, dir: t.TempDir()}
	var out strings.Builder
	lines := strings.SplitAfter(string(b), "\n")
	for i := 0; i < len(lines); i++ {
		out.WriteString(lines[i])
		info, fenced := strings.CutPrefix(strings.TrimSpace(lines[i]), "```")
		if !fenced {
			continue
		}
		start := i + 1
		for i++; i < len(lines) && lines[i] != "```\n"; i++ {
		}
		if i == len(lines) {
			t.Fatalf("%s:%d: the block isn't closed", file, start)
		}
		want := strings.Join(lines[start:i], "")
		got := p.block(start, info, want)
		if got != want && !*rewrite {
			t.Errorf("%s:%d: %s\ngot:\n%swant:\n%s", file, start, info, got, want)
		}
		out.WriteString(got + lines[i])
	}
	if p.blocks == 0 {
		t.Fatal("the page has no block to run")
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestThePageOfTheQueryLanguageNamesEveryFlag(t *testing.T) {
	b, err := os.ReadFile(rqlDoc)
	if err != nil {
		t.Fatal(err)
	}
	help, _ := mustRun(t, service(), "", "query", "--help")
	_, flags, _ := strings.Cut(help, "\nFlags:\n")
	names := regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+) `).FindAllStringSubmatch(flags, -1)
	if len(names) == 0 {
		t.Fatalf("query has no flags in\n%s", help)
	}
	for _, m := range names {
		if !strings.Contains(string(b), "`"+m[1]) {
			t.Errorf("%s doesn't name %s", rqlDoc, m[1])
		}
	}
}

// A page is the state between its blocks.
type page struct {
	t      *testing.T
	doc    string // the page's file
	dir    string
	name   string // of the last History
	line   int
	query  string // the last one
	asked  string // its History
	blocks int    // run so far
}

// block returns what a block should hold. Languages that aren't ours are left
// alone.
func (p *page) block(line int, info, text string) string {
	lang, name, _ := strings.Cut(info, " ")
	p.line = line
	if name == "" {
		name = p.name
	}
	p.blocks++
	switch lang {
	case "history":
		p.name = name
		if err := os.WriteFile(p.file(name), []byte(text), 0o600); err != nil {
			p.t.Fatal(err)
		}
	case "rql":
		p.query, p.asked = strings.TrimRight(text, "\n"), name
	case "table":
		return p.answer(0, "-q")
	case "rows":
		return p.answer(0, "-q", "-o", "jsonl")
	case "incomplete":
		return p.answer(app.ExitUndecided, "-q", "-o", "jsonl")
	case "notes":
		_, stderr := p.ask(0, p.asked, p.query)
		_, notes, _ := strings.Cut(stderr, "\n")
		return notes
	case "mistake":
		_, stderr := p.ask(app.ExitUsage, p.asked, p.query)
		return stderr
	case "values":
		return p.each(text, func(expr string) string { return p.value(name, expr) })
	case "when":
		return p.each(text, func(cond string) string { return p.when(name, cond) })
	case "refused":
		return p.each(text, func(query string) string {
			_, stderr := p.ask(app.ExitUsage, name, query)
			first, _, _ := strings.Cut(strings.TrimPrefix(stderr, "error: "), "\n")
			return first
		})
	default:
		p.blocks--
	}
	return text
}

func (p *page) file(name string) string { return filepath.Join(p.dir, name+".jsonl") }

// ask returns what a query prints, which must end with the exit code.
func (p *page) ask(code int, name, query string, flags ...string) (stdout, stderr string) {
	got, stdout, stderr := run(p.t, service(), "", append([]string{"query", p.file(name), query}, flags...)...)
	if got != code {
		p.t.Errorf("%s:%d: %s\nexit code %d, want %d: %s", p.doc, p.line, query, got, code, stderr)
	}
	return stdout, stderr
}

func (p *page) answer(code int, flags ...string) string {
	stdout, _ := p.ask(code, p.asked, p.query, flags...)
	if stdout == "" {
		return "(no rows)\n"
	}
	return stdout
}

// each gives every line "left → right" its right side.
func (p *page) each(text string, f func(left string) string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	width := 0
	for i, l := range lines {
		left, _, _ := strings.Cut(l, " → ")
		lines[i] = strings.TrimRight(left, " ")
		width = max(width, utf8.RuneCountInString(lines[i]))
	}
	var out strings.Builder
	for _, left := range lines {
		fmt.Fprintf(&out, "%s%s → %s\n", left, strings.Repeat(" ", width-utf8.RuneCountInString(left)), f(left))
	}
	return out.String()
}

var selectedValue = regexp.MustCompile(`^.*"values":\{"v":(.*)\},("witness":.*)?"event":\{.*\n$`)

// value is an expression's at the last cut.
func (p *page) value(name, expr string) string {
	stdout, _ := p.ask(0, name, "SELECT "+expr+" AS v FROM "+p.logs(name)+" ON TIME END", "-q", "-o", "jsonl")
	if m := selectedValue.FindStringSubmatch(stdout); m != nil {
		return m[1]
	}
	p.t.Errorf("%s:%d: %s gives %q", p.doc, p.line, expr, stdout)
	return ""
}

// when names the events at which a condition holds.
func (p *page) when(name, cond string) string {
	logs := p.logs(name)
	if strings.Contains(cond, "net.") {
		logs += ", net"
	}
	stdout, _ := p.ask(0, name, "SELECT TIME() FROM "+logs+" WHEN "+cond+" EMIT CUTS", "-q", "-o", "jsonl")
	var events []string
	for line := range strings.Lines(stdout) {
		var row struct {
			From  string
			Event *struct {
				Node string
				Seq  int
			}
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			p.t.Fatal(err)
		}
		if row.Event == nil { // a tick, by its second
			_, second, _ := strings.Cut(strings.TrimSuffix(row.From, "Z/0"), "00:00:")
			events = append(events, "@"+strings.TrimRight(strings.TrimRight(second, "0"), "."))
			continue
		}
		events = append(events, fmt.Sprintf("%s:%d", row.Event.Node, row.Event.Seq))
	}
	if events == nil {
		return "never"
	}
	return strings.Join(events, " ")
}

// logs are the logs of a History, as FROM names them.
func (p *page) logs(name string) string {
	stdout, _ := p.ask(0, name, "SHOW LOGS", "-q", "-o", "csv")
	var logs []string
	for i, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
		if log, _, _ := strings.Cut(line, ","); i > 0 {
			logs = append(logs, "`"+log+"`")
		}
	}
	return strings.Join(logs, ", ")
}
