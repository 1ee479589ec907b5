package syntax

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts in testdata gave as what they expect")

// A case of a script is a text, a line "----", and what is expected of it, up to
// an empty line; text before the first line "----" that begins with # is a
// comment.
func runScript(t *testing.T, file string, run func(t *testing.T, text string) string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, block := range strings.Split(strings.TrimRight(string(data), "\n"), "\n\n") {
		text, want, ok := strings.Cut("\n"+block+"\n", "\n----\n")
		if !ok {
			if !strings.HasPrefix(strings.TrimLeft(block, "\n"), "#") {
				t.Errorf("%s: no ---- in %q", file, block)
			}
			out = append(out, block)
			continue
		}
		text = strings.TrimPrefix(text, "\n")
		got := run(t, text)
		if !*rewrite && got != want {
			t.Errorf("%s: %s\ngot:\n%swant:\n%s", file, text, got, want)
		}
		out = append(out, text+"\n----\n"+strings.TrimRight(got, "\n"))
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(strings.Join(out, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func answer(t *testing.T, text string, n Node, err error) string {
	if err == nil {
		return Print(n) + "\n"
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: %T is no *Error: %v", text, err, err)
	}
	return e.Render(text)
}

func TestStatementsParseToTheirCanonicalText(t *testing.T) {
	for _, file := range []string{"spec.txt", "query.txt"} {
		runScript(t, file, func(t *testing.T, text string) string {
			stmt, err := Parse(text)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				return answer(t, text, nil, err)
			}
			mustRoundTrip(t, stmt)
			return Print(stmt) + "\n"
		})
	}
}

func TestExpressionsBindAsThePageSays(t *testing.T) {
	for _, file := range []string{"spec-expr.txt", "expr.txt"} {
		runScript(t, file, func(t *testing.T, text string) string {
			e, err := ParseExpr(text)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				return answer(t, text, nil, err)
			}
			mustRoundTrip(t, e)
			return Print(e) + "\n" + shape(e) + "\n"
		})
	}
}

func TestMistakesAreAnsweredWithPlaceAndRemedy(t *testing.T) {
	runScript(t, "errors.txt", func(t *testing.T, text string) string {
		stmt, err := Parse(text)
		if err == nil {
			t.Errorf("%s: parses", text)
		}
		return answer(t, text, stmt, err)
	})
	runScript(t, "errors-expr.txt", func(t *testing.T, text string) string {
		e, err := ParseExpr(text)
		if err == nil {
			t.Errorf("%s: parses", text)
		}
		return answer(t, text, e, err)
	})
}

// mustRoundTrip checks that n's text gives n again, and that text its own.
func mustRoundTrip(t rapid.TB, n Node) {
	t.Helper()
	text := Print(n)
	var again Node
	var err error
	if _, ok := n.(Expr); ok {
		again, err = ParseExpr(text)
	} else {
		again, err = Parse(text)
	}
	if err != nil {
		t.Fatalf("the printed text doesn't parse: %v\n%s", err, text)
	}
	if diff := difference(reflect.ValueOf(n), reflect.ValueOf(again), "tree"); diff != "" {
		t.Fatalf("%s\nprinted %s\nagain   %s", diff, text, Print(again))
	}
	if Print(again) != text {
		t.Fatalf("printed %s\nagain   %s", text, Print(again))
	}
}

// difference says where two trees differ, positions and texts as written apart; it is
// empty if they don't.
func difference(a, b reflect.Value, where string) string {
	if !a.IsValid() || !b.IsValid() {
		if a.IsValid() != b.IsValid() {
			return where + ": only one is there"
		}
		return ""
	}
	if a.Type() != b.Type() {
		return fmt.Sprintf("%s: %s against %s", where, a.Type(), b.Type())
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			if a.IsNil() != b.IsNil() {
				return where + ": one is nil"
			}
			return ""
		}
		return difference(a.Elem(), b.Elem(), where)
	case reflect.Slice:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d against %d members", where, a.Len(), b.Len())
		}
		for i := range a.Len() {
			if d := difference(a.Index(i), b.Index(i), fmt.Sprintf("%s[%d]", where, i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Struct:
		for i := range a.NumField() {
			name := a.Type().Field(i).Name
			if a.Field(i).Type() == reflect.TypeFor[Pos]() || (a.Type() == reflect.TypeFor[Item]() || a.Type() == reflect.TypeFor[Step]()) && name == "Text" || name == "GroupText" {
				continue
			}
			if d := difference(a.Field(i), b.Field(i), where+"."+name); d != "" {
				return d
			}
		}
		return ""
	}
	if !a.Equal(b) {
		return fmt.Sprintf("%s: %v against %v", where, a, b)
	}
	return ""
}

// shape writes an expression with every bracket, operator first.
func shape(e Expr) string {
	group := func(parts ...string) string { return "(" + strings.Join(parts, " ") + ")" }
	all := func(es []Expr) (parts []string) {
		for _, e := range es {
			parts = append(parts, shape(e))
		}
		return parts
	}
	switch e := e.(type) {
	case *Unary:
		return group([]string{"NOT", "neg"}[b2i(e.Op == Neg)], shape(e.X))
	case *Past:
		if e.Within != nil {
			return group(e.Op.String()+"≤"+e.Within.D.String(), shape(e.X))
		}
		return group(e.Op.String(), shape(e.X))
	case *For:
		return group("FOR", shape(e.X), e.D.D.String())
	case *Binary:
		return group(strings.ReplaceAll(e.Op.String(), " ", "-"), shape(e.L), shape(e.R))
	case *Link:
		return group([]string{"SAME", "EACH"}[b2i(e.Each)], shape(e.X))
	case *Call:
		name := e.Name + []string{"", "-DISTINCT"}[b2i(e.Distinct)] + []string{"", "-*"}[b2i(e.Star)]
		return group(append([]string{name}, all(e.Args)...)...)
	case *SetLit:
		return "{" + strings.Join(all(e.Elems), " ") + "}"
	case *Quantifier:
		names := ""
		for _, n := range e.Names {
			names += n.Name + " "
		}
		return group([]string{"EXISTS", "FORALL"}[b2i(e.All)], names+"in", shape(e.Set), shape(e.Body))
	case *Case:
		s := "CASE"
		for _, w := range e.Whens {
			s += " " + shape(w.Cond) + "→" + shape(w.Then)
		}
		if e.Else != nil {
			s += " else→" + shape(e.Else)
		}
		return group(s)
	case *Path:
		s := e.Log
		for _, step := range e.Steps {
			switch step.Kind {
			case StepField:
				s += "·" + step.Name
			case StepIndex:
				s += "[" + shape(step.Index) + "]"
			case StepAll:
				s += "[*]"
			}
		}
		return s
	case *String:
		return fmt.Sprintf("%q", e.Value)
	case *Float:
		return fmt.Sprintf("float:%v", e.Value)
	case *Duration:
		return fmt.Sprintf("duration:%v", e.D)
	case *Time:
		return fmt.Sprintf("time:%d:%d:%v", e.Base, uint64(e.At), e.Offset)
	}
	return Print(e)
}
