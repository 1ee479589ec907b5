package rql_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts give into them")

// TestScripts runs testdata/*.txt. A script is a row of blocks: a word, its
// input, "----", what it gives, an empty line. Lines that begin with # between
// blocks are comments. The words:
//
//	load   a History in its text form; gives its nodes, events and warnings
//	ask    a query; gives its rows and the errors that it counted, or its mistake
//	where  a condition; gives the events at which it holds
//
// A moment is written @7 or @7.5, seconds after the beginning of 2026.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runScript(t, f) })
	}
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	var src *history.Mem
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	for i := 0; i < len(lines); {
		if lines[i] == "" || lines[i][0] == '#' {
			out.WriteString(lines[i] + "\n")
			i++
			continue
		}
		at, word := i+1, lines[i]
		input, want, next := block(lines, i+1)
		i = next
		var got string
		if word == "load" {
			src, got = load(input)
		} else {
			got = askScript(t, src, word, input)
		}
		got = shorten(got)
		if got != want && !*rewrite {
			t.Errorf("%s:%d: %s\n%s\ngot:\n%swant:\n%s", file, at, word, input, got, want)
		}
		fmt.Fprintf(&out, "%s\n%s----\n%s", word, input, got)
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// block reads the input and the expected output of the block whose input begins
// at line i.
func block(lines []string, i int) (input, want string, next int) {
	var in, out strings.Builder
	for ; i < len(lines) && lines[i] != "----"; i++ {
		in.WriteString(lines[i] + "\n")
	}
	for i++; i < len(lines) && lines[i] != ""; i++ {
		out.WriteString(lines[i] + "\n")
	}
	return in.String(), out.String(), i
}

var (
	moment    = regexp.MustCompile(`@(\d+)(\.\d+)?`)
	printed   = regexp.MustCompile(`"?2026-01-01T00:00:(\d\d)\.(\d{6})Z/0"?`)
	noSeconds = regexp.MustCompile(`\.?0+$`)
)

func lengthen(text, quote string) string {
	return moment.ReplaceAllStringFunc(text, func(m string) string {
		p := moment.FindStringSubmatch(m)
		return fmt.Sprintf("%s2026-01-01T00:00:%02s%sZ%s", quote, p[1], p[2], quote)
	})
}

func shorten(text string) string {
	return printed.ReplaceAllStringFunc(text, func(m string) string {
		p := printed.FindStringSubmatch(m)
		return "@" + strings.TrimLeft(p[1][:1], "0") + p[1][1:] + noSeconds.ReplaceAllString("."+p[2], "")
	})
}

func load(text string) (*history.Mem, string) {
	src, err := history.ReadText(strings.NewReader(lengthen(text, `"`)), "load", history.TextOptions{})
	if err != nil {
		return nil, err.Error() + "\n"
	}
	m := src.Meta()
	out := fmt.Sprintf("%d nodes, %d events\n", len(m.Nodes), m.Events)
	for _, w := range m.Warnings {
		out += w + "\n"
	}
	return src, out
}

func askScript(t *testing.T, src *history.Mem, word, text string) string {
	text = strings.TrimRight(lengthen(text, ""), "\n")
	switch word {
	case "ask":
		return ask(src, text)
	case "where":
		return where(src, text)
	}
	t.Fatalf("no such word: %s", word)
	return ""
}

// mistake is an error as a person sees it.
func mistake(err error, text string) string {
	var se *syntax.Error
	if errors.As(err, &se) {
		return se.Render(text)
	}
	return err.Error() + "\n"
}

func ask(src *history.Mem, text string) string {
	q, err := rql.Compile(src.Meta(), text)
	if err != nil {
		return mistake(err, text)
	}
	var out strings.Builder
	now, _ := hlc.Parse("2026-01-01T00:00:30Z")
	sum, err := q.Run(context.Background(), src, rql.Options{Now: now, MaxCombinations: 10_000}, func(r *rql.Row) error {
		out.Write(append(r.AppendJSON(nil), '\n'))
		return nil
	})
	if err != nil {
		out.WriteString(mistake(err, text))
	}
	if len(sum.Incomplete) > 0 {
		fmt.Fprintf(&out, "incomplete: %s\n", strings.Join(sum.Incomplete, " "))
	}
	for _, e := range sum.Errors {
		fmt.Fprintf(&out, "error: %s, %d times, first at %s by %s:%d\n", e.What(), e.Count, e.Pos, e.Node, e.Seq)
	}
	for _, a := range sum.Absent {
		fmt.Fprintf(&out, "note: %s", a.Note().Render(text))
	}
	for _, u := range sum.Unequal {
		fmt.Fprintf(&out, "note: %s", u.Note().Render(text))
	}
	if out.Len() == 0 {
		return "none\n"
	}
	return out.String()
}

func where(src *history.Mem, text string) string {
	c, err := rql.CompileCondition(src.Meta(), text)
	if err != nil {
		return mistake(err, text)
	}
	cur, err := src.Walk(context.Background(), history.Begin, history.End, nil)
	if err != nil {
		return err.Error() + "\n"
	}
	defer cur.Close()
	ev, err := c.Evaluator(context.Background(), cur.States(), rql.Options{})
	if err != nil {
		return err.Error() + "\n"
	}
	var at []string
	for e, err := cur.Next(); err == nil; e, err = cur.Next() {
		ok, err := ev.Feed(e)
		if err != nil {
			return err.Error() + "\n"
		}
		if ok {
			at = append(at, fmt.Sprintf("%s:%d", src.Meta().Nodes[e.Node].Name, e.Seq))
		}
	}
	return "at " + strings.Join(at, " ") + "\n"
}
