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
	for _, c := range []struct {
		text string
		want []string
	}{
		{"SHOW NODES", []string{"SHOW NODES"}},
		{"SHOW NODES;", []string{"SHOW NODES;"}},
		{"SHOW NODES; SHOW LOGS", []string{"SHOW NODES;", "            SHOW LOGS"}},
		{"-- é\nSHOW NODES;\n\n-- why; not\nSHOW LOGS;\n-- the end", []string{"-- é\nSHOW NODES;", "\n           \n\n-- why; not\nSHOW LOGS;"}},
		{";;\n;", nil},
		{"-- nothing", nil},
		{"", nil},
		{"SHOW LOGS; SHOW EVENTS LIKE 'a;", []string{"SHOW LOGS;", "           SHOW EVENTS LIKE 'a;"}},
	} {
		if got := syntax.Statements(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q", c.text, got)
		}
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
			_, err := syntax.Parse(s)
			var mistake *syntax.Error
			if !strings.Contains(s, "nothing") {
				if err != nil {
					t.Fatalf("%q: %v", s, err)
				}
			} else if !errors.As(err, &mistake) || mistake.Pos.Line != 1+line || mistake.Pos.Col != 1+col {
				t.Fatalf("%q of %q: %v, want it at %d:%d", s, text, err, 1+line, 1+col)
			}
		}
	})
}
