package rql_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/history/historytest"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
	"hindcast.dev/vfs"
)

// ten is a History of ten nodes, each of which has inv.a.
func ten(t *testing.T) *history.Mem {
	b := history.NewBuilder()
	for i := range 10 {
		b.Append(fmt.Sprintf("n%d", i), history.EventSpec{Event: history.Event{Position: history.Position{Time: 100 << 16}},
			Set: []history.Assign{{Path: "inv.a", Value: event.Int(int64(i))}}})
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func endless(first, more string, n int) string {
	return "SELECT MAX(inv.a) FROM inv " + first + strings.Repeat(more, n)
}

// A long or deep query is answered, or refused with a place; that takes no time to
// speak of, or these would not end.
func TestAQueryOfAMegabyteOrTenThousandLevelsEnds(t *testing.T) {
	src := ten(t)
	names := func(first, form string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, form, i+1, i, i)
		}
		return "SELECT x1 FROM inv COMPUTE x0 := " + first + b.String()
	}
	deep := func(left, right string) string {
		return "SELECT MAX(inv.a) FROM inv WHEN " + strings.Repeat(left, 10_000) + "inv.a > 0" + strings.Repeat(right, 10_000)
	}
	for what, text := range map[string]string{
		"rows of AND":           endless("WHEN COUNT(inv.a) > 0", " AND COUNT(inv.a) > 0", 49_000),
		"rows of +":             endless("WHEN COUNT(inv.a) > 0", " + 1", 250_000),
		"a thousand operators":  endless("WHEN ONCE COUNT(inv.a) > 0", " AND ONCE COUNT(inv.a) > 0", 900),
		"a thousand FORs":       endless("WHEN COUNT(inv.a) > 0", " FOR 1s", 990),
		"too many placeholders": endless("WHEN inv.a IN {inv.a", ", inv.a", 5000) + "}",
		"a large set":           endless("WHEN 1 IN {1", ", 1", 9000) + "}",
		"a larger set":          endless("WHEN 1 IN {1", ", 1", 11_000) + "}",
		"a megabyte and more":   endless("WHEN inv.a > 0 --", "-", 1<<20),
		"brackets":              deep("(", ")"),
		"NOT":                   deep("NOT ", ""),
		"ONCE":                  deep("ONCE ", ""),
		"names of names":        names("MAX(inv.a)", ", x%d := x%d + x%d", 9000),
		"names of choices":      names("inv.a", ", x%d := x%d + x%d", 2000),
		"names that remember":   names("ONCE inv.a > 1", ", x%d := ONCE (x%d AND x%d)", 2000),
		"many items":            "SELECT COUNT(*)" + strings.Repeat(", MAX(MAX(inv.a))", 9000) + " FROM inv GROUP BY TRUE",
	} {
		q, err := rql.Compile(src.Meta(), text)
		if err == nil {
			_, err = q.Run(context.Background(), src, rql.Options{MaxCombinations: 1000}, func(*rql.Row) error { return nil })
		}
		var se *syntax.Error
		var ce *rql.CombinationsError
		if err != nil && !errors.As(err, &ce) && (!errors.As(err, &se) || !se.Pos.IsValid()) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestMoreCombinationsThanMayBeTriedAreAnErrorWithAPlace(t *testing.T) {
	src := ten(t)
	for _, text := range []string{
		"SELECT MAX(inv.a) FROM inv WHEN inv.a" + strings.Repeat(" * inv.a", 9) + " = 9999999999",                                     // 10¹⁰ choices
		"SELECT MAX(inv.a) FROM inv WHEN inv.a" + strings.Repeat(" + inv.a", 900) + " = 7",                                            // 10⁹⁰¹ choices, and a sum of as many each
		"SELECT MAX(inv.a) FROM inv WHEN inv.a" + strings.Repeat(" + inv.a", 900) + " > 3000",                                         // which needs a witness
		"SELECT MAX(inv.a) FROM inv WHEN EXISTS a, b, c, d, e, f, g, h, i, j IN inv.a : (a + b + c + d + e + f + g + h + i + j < 0)",  // 10¹⁰ members
		"SELECT MAX(inv.a) FROM inv WHEN ONCE (inv.a" + strings.Repeat(" * inv.a", 9) + " = 9999999999)",                              // in an operand
		"SELECT EXISTS a, b, c, d, e, f, g, h, i, j IN inv.a : (a + b + c + d + e + f + g + h + i + j < 0) AS e FROM inv ON TIME END", // in an item
		"SELECT MAX(inv.a) FROM inv WHEN EXISTS a, b, c, d, e, f, g, h, i IN inv.a : (a * b * c * d * e * f * g * h * i < 0 - inv.a)", // both
	} {
		q, err := rql.Compile(src.Meta(), text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = q.Run(context.Background(), src, rql.Options{MaxCombinations: 5000}, func(*rql.Row) error { return nil })
		var ce *rql.CombinationsError
		if !errors.As(err, &ce) || !ce.Pos.IsValid() || ce.Limit != 5000 {
			t.Errorf("%s\ngot %v, want a CombinationsError with a place", text, err)
		}
	}
}

// Wherever a byte of a stored History is damaged, a query over it ends: with rows,
// where nothing of it is read, or with an error.
func TestAQueryOverADamagedHistoryEnds(t *testing.T) {
	const dir = "history"
	fsys, failed := vfs.NewMem(), 0
	if err := historytest.OnDisk(t, fsys, dir, ten(t), history.DiskOptions{}).Close(); err != nil {
		t.Fatal(err)
	}
	names, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if n == "lock" {
			continue
		}
		file := path.Join(dir, n)
		whole, err := vfs.ReadFile(fsys, file, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(whole); at += 1 + len(whole)/40 {
			bad := append([]byte(nil), whole...)
			bad[at] ^= 0x55
			if err := vfs.WriteFile(fsys, file, bad); err != nil {
				t.Fatal(err)
			}
			if askStored(fsys, dir) != nil {
				failed++
			}
		}
		if err := vfs.WriteFile(fsys, file, whole); err != nil {
			t.Fatal(err)
		}
	}
	if err := askStored(fsys, dir); err != nil {
		t.Errorf("as it was: %v", err)
	}
	if failed == 0 {
		t.Error("no damage was found: nothing was damaged")
	}
}

func askStored(fsys vfs.FS, dir string) error {
	src, err := history.OpenDisk(fsys, dir)
	if err != nil {
		return err
	}
	defer src.Close()
	for _, text := range []string{"SELECT * FROM inv WHEN inv.a > 3", "SELECT inv.a FROM inv WHEN inv.a > 3 FOR 1s ON TIME END"} {
		q, err := rql.Compile(src.Meta(), text)
		if err != nil {
			return err
		}
		if _, err := q.Run(context.Background(), src, rql.Options{}, func(*rql.Row) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}
