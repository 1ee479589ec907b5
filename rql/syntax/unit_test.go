package syntax

import (
	"strings"
	"testing"
)

func TestPositionsCountCharactersAndBytes(t *testing.T) {
	text := "SELECT é.a,\n\t'ü'  + b -- c\n  , d AS x FROM é"
	stmt, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	q := stmt.(*Query)
	sum := q.Items[1].X.(*Binary)
	for _, c := range []struct {
		what string
		n    Node
		want Pos
	}{
		{"query", q, Pos{0, 1, 1}},
		{"first item", q.Items[0], Pos{7, 1, 8}},
		{"string", sum.L, Pos{strings.Index(text, "'ü"), 2, 2}},
		{"plus stands for the sum", sum, Pos{strings.Index(text, "+"), 2, 7}},
		{"b", sum.R, Pos{strings.Index(text, "b --"), 2, 9}},
		{"d", q.Items[2].X, Pos{strings.Index(text, "d AS"), 3, 5}},
		{"name", q.Items[2].As, Pos{strings.Index(text, "x FROM"), 3, 10}},
		{"log", q.From[0], Pos{strings.LastIndex(text, "é"), 3, 17}},
	} {
		if got := c.n.Position(); got != c.want {
			t.Errorf("%s is at %+v, want %+v", c.what, got, c.want)
		}
	}
	field := q.Items[0].X.(*Path).Steps[0]
	if field.Pos != (Pos{10, 1, 10}) {
		t.Errorf("field a is at %+v", field.Pos)
	}
}

func TestItemsAreNamedAsWritten(t *testing.T) {
	stmt, err := Parse("SELECT inv.a  +1 , (b), MAX( c ) AS m, *, inv . * FROM inv")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"inv.a  +1", "(b)", "m", "*", "inv . *"}
	for i, it := range stmt.(*Query).Items {
		if it.Name() != want[i] {
			t.Errorf("item %d is named %q, want %q", i, it.Name(), want[i])
		}
	}
	made := &Item{X: &Binary{Op: Add, L: &Int{Text: "1"}, R: &Int{Text: "2"}}}
	if made.Name() != "1 + 2" {
		t.Errorf("an item that wasn't read is named %q", made.Name())
	}
}

func TestTextThatIsNoUTF8IsRefused(t *testing.T) {
	for _, text := range []string{"\xff", "a \xc3", "'a\xffb'", "`a\xffb`", "5\xff", "\"\\\xff\"", "'a'\xff"} {
		if _, err := ParseExpr(text); err == nil || !strings.Contains(err.Error(), "is no UTF-8") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if e, err := ParseExpr("'\uFFFD' = `\uFFFD`"); err != nil || Print(e) != "'\uFFFD' = `\uFFFD`" {
		t.Errorf("U+FFFD itself: %v", err)
	}
}

func TestErrorsOfLongLinesShowTheirSurroundings(t *testing.T) {
	text := "SELECT " + strings.Repeat("é + ", 500) + "FROM b, " + strings.Repeat("ü, ", 500)
	_, err := Parse(text)
	lines := strings.Split(err.(*Error).Render(text), "\n")
	if len(lines) < 3 || len([]rune(lines[1])) > 2*renderWidth+6 || !strings.HasPrefix(lines[1], "  …") || !strings.HasSuffix(lines[1], "…") {
		t.Fatalf("rendered\n%s", strings.Join(lines, "\n"))
	}
	if caret := strings.Index(lines[2], "^"); !strings.HasPrefix(string([]rune(lines[1])[caret:]), "FROM b") {
		t.Errorf("the caret isn't below FROM:\n%s\n%s", lines[1], lines[2])
	}
}

func TestErrorIsOneLine(t *testing.T) {
	e := &Error{Pos: Pos{3, 1, 4}, Msg: "no log kvv", Hint: "did you mean kv?"}
	if got := e.Error(); got != "1:4: no log kvv; did you mean kv?" {
		t.Error(got)
	}
	if got := (&Error{Msg: "no History"}).Error(); got != "no History" {
		t.Error(got)
	}
	if got := (&Error{Msg: "no History"}).Render("SELECT"); got != "no History\n" {
		t.Error(got)
	}
}

func TestNearestFindsMisprints(t *testing.T) {
	candidates := []string{"FROM", "FOR", "inv.a", "inv.b", "kv.items", "Kv", "kv", "x", "MIN", "MAX"}
	for _, c := range []struct{ word, want string }{
		{"FORM", "FROM"}, {"from", "FROM"}, {"FRM", "FROM"}, {"FROMM", "FROM"}, {"kv.itmes", "kv.items"}, {"KV.Items", "kv.items"},
		{"inv.c", "inv.a"}, {"KV", "Kv"}, {"k", ""}, {"y", ""}, {"X", "x"}, {"banana", ""}, {"", ""}, {"MXA", "MAX"},
		{strings.Repeat("a", nearestLen+1), ""},
	} {
		got, ok := Nearest(c.word, candidates)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("Nearest(%q) = %q, %v, want %q", c.word, got, ok, c.want)
		}
	}
	if got, ok := Nearest("kv", []string{"kv"}); ok {
		t.Errorf("a word is no misprint of itself: %q", got)
	}
}

func TestNamesInBackquotesAreNoKeywords(t *testing.T) {
	e, err := ParseExpr("`MAX` + `not`.`from`[`null`]")
	if err != nil {
		t.Fatal(err)
	}
	if got := shape(e); got != "(+ ·MAX not·from[·null])" {
		t.Error(got)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"SELECT kv.items[k].version AS v FROM kv, node FOR EACH k IN KEYS(kv.items) WHEN (a < MAX(b)) LINK SAME_NODE EMIT CUTS LIMIT 3;",
		"EXPLAIN SELECT * FROM inv COMPUTE m := 1.5e3 WHEN POSSIBLY ONCE (a && !b) WITHIN 1s WITHIN 200ms AT NODES n1, 'n-2'",
		"SELECT inv.* FROM inv WHEN a SINCE b FOR 2m OR EXISTS x, y IN {1, 'a\\n'} : (x \\ y != - -$1) ON TIME NOW - 5s TO 2026-11-21T19:46:53Z/2",
		"FROM r IN (FROM s IN a.b SELECT s.x) JOIN q IN FIRSTN(3, c) ON q -> r LET d := r.t WHERE d NOT IN e GROUPBY d SELECT COUNT(*)",
		"SHOW EVENTS LIKE '%' -- all", "SELECT CASE WHEN a THEN END END FROM `b`", "a + \"b\"",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if stmt, err := Parse(text); err == nil {
			mustRoundTrip(t, stmt)
		} else if e := err.(*Error); e.Msg == "" || e.Pos.Offset > len(text) || e.Render(text) == "" {
			t.Fatalf("a poor error: %+v", e)
		}
		if e, err := ParseExpr(text); err == nil {
			mustRoundTrip(t, e)
		}
	})
}
