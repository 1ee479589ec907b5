package rql_test

import (
	"context"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/history"
	"hindcast.dev/rql"
)

// Whatever the bound on the choices tried at one cut: where it isn't met the rows
// are those without it, and where it is the rows before are the first of those.
func TestABoundEndsAQueryAndChangesNoRow(t *testing.T) {
	met, unmet := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		g := &generator{t: t, past: rapid.Bool().Draw(t, "past"), wide: true}
		src, text := g.history(), g.query()
		if rapid.Bool().Draw(t, "join") {
			text = "SELECT inv.a FROM inv WHEN inv.a = inv.b AND $2 = inv.c EMIT CUTS"
		}
		q, err := rql.Compile(src.Meta(), text)
		if err != nil {
			t.Skip()
		}
		bound := rapid.IntRange(1, 80).Draw(t, "bound")
		var whole, part []string
		_, errWhole := q.Run(context.Background(), src, rql.Options{Now: oracleNow}, collect(&whole))
		_, err = q.Run(context.Background(), src, rql.Options{Now: oracleNow, MaxCombinations: bound}, collect(&part))
		if err != nil {
			met++
		} else {
			unmet++
		}
		var h strings.Builder
		_ = history.WriteText(&h, src)
		switch {
		case errWhole != nil:
		case err == nil && strings.Join(whole, "\n") != strings.Join(part, "\n"):
			t.Fatalf("%s\nbound %d isn't met, and the rows are\n%v\nwant\n%v\n%s", text, bound, part, whole, h.String())
		case strings.Contains(text, "GROUP"): // which come at the end
		case len(part) > len(whole) || strings.Join(whole[:len(part)], "\n") != strings.Join(part, "\n"):
			t.Fatalf("%s\nbefore bound %d is met (%v) the rows are\n%v\nwant the first of\n%v\n%s", text, bound, err, part, whole, h.String())
		}
	})
	if met == 0 || unmet == 0 {
		t.Errorf("the bound was met %d times and not %d times: half of it wasn't tested", met, unmet)
	}
}
