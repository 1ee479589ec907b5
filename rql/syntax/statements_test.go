package syntax_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/rql/syntax"
)

func TestStatementsOfAText(t *testing.T) {
	at := func(text string, offset, line, col int) syntax.Piece {
		return syntax.Piece{Text: text, At: syntax.Pos{Offset: offset, Line: line, Col: col}}
	}
	for _, c := range []struct {
		text string
		want []syntax.Piece
	}{
		{"SHOW NODES", []syntax.Piece{at("SHOW NODES", 0, 1, 1)}},
		{"SHOW NODES;", []syntax.Piece{at("SHOW NODES;", 0, 1, 1)}},
		{"SHOW NODES; SHOW LOGS", []syntax.Piece{at("SHOW NODES;", 0, 1, 1), at(" SHOW LOGS", 11, 1, 12)}},
		{"-- é\nSHOW NODES;\n\n-- why; not\nSHOW LOGS;\n-- the end", []syntax.Piece{at("-- é\nSHOW NODES;", 0, 1, 1), at("\n\n-- why; not\nSHOW LOGS;", 17, 2, 12)}},
		{";;\n;", nil},
		{"-- nothing", nil},
		{"", nil},
		{"SHOW LOGS; SHOW EVENTS LIKE 'a;", []syntax.Piece{at("SHOW LOGS;", 0, 1, 1), at(" SHOW EVENTS LIKE 'a;", 10, 1, 11)}},
	} {
		if got := syntax.Statements(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q", c.text, got)
		}
	}
}

// What is kept of a text with many statements is the text.
func TestStatementsOfALongTextTakeItsLength(t *testing.T) {
	text := strings.Repeat(strings.Repeat("\n", 600)+"SHOW NODES;", 900)
	total := 0
	for i, s := range syntax.Statements(text) {
		total += len(s.Text)
		if _, err := syntax.ParseAt(s.Text, s.At); err != nil || s.At.Line != 1+600*i {
			t.Fatalf("statement %d at line %d: %v", i, s.At.Line, err)
		}
	}
	if total != len(text) {
		t.Errorf("the statements have %d bytes, the text %d", total, len(text))
	}
}

// Wherever a mistake stands, the place that is told is that of the whole text.
func TestAMistakeInAStatementStandsWhereItStandsInTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		between := rapid.SliceOfN(rapid.SampledFrom([]string{"SHOW NODES;", "\n", " ", "-- é;\n", ";", "SHOW EVENTS LIKE 'é;\n';"}), 0, 8)
		before := strings.Join(between.Draw(t, "before"), "")
		text := before + "SHOW nothing; " + strings.Join(between.Draw(t, "after"), "")
		at := before + "SHOW "
		line := strings.Count(at, "\n")
		col := len([]rune(at[strings.LastIndexByte(at, '\n')+1:]))
		for _, s := range syntax.Statements(text) {
			_, err := syntax.ParseAt(s.Text, s.At)
			var mistake *syntax.Error
			if !strings.Contains(s.Text, "nothing") {
				if err != nil {
					t.Fatalf("%q: %v", s.Text, err)
				}
			} else if !errors.As(err, &mistake) || mistake.Pos.Line != 1+line || mistake.Pos.Col != 1+col {
				t.Fatalf("%+v of %q: %v, want it at %d:%d", s, text, err, 1+line, 1+col)
			}
		}
	})
}
