package event_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
)

func TestPathReadsBack(t *testing.T) {
	name := rapid.OneOf(rapid.SampledFrom([]string{"", "inv.a", "kv.items", "`", "a`b", "a[b]", "``[", "a.b.c"}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		n := name.Draw(t, "name")
		path := rapid.SliceOfN(genValue(1), 0, 4).Draw(t, "path")
		text := event.PathString(n, path)
		gotName, gotPath, err := event.ParsePath(text)
		if err != nil || gotName != n || !event.Equal(event.List(gotPath...), event.List(path...)) {
			t.Fatalf("%q %v is written %q and read %q %v (%v)", n, path, text, gotName, gotPath, err)
		}
	})
}

func TestPathForms(t *testing.T) {
	for text, want := range map[string]string{
		`inv.a`:                      `inv.a`,
		`kv.items["x"].version`:      `kv.items["x"].version`,
		`kv.items[ 'x' ]["version"]`: `kv.items["x"].version`,
		`kv.items["x"]["a b"][3]`:    `kv.items["x"]["a b"][3]`,
		"`a[``b`[true]":              "`a[``b`[true]",
		"`a.b`":                      "a.b",
		`v["f"].g_1.h`:               `v["f"].g_1.h`,
	} {
		name, path, err := event.ParsePath(text)
		if got := event.PathString(name, path); err != nil || got != want {
			t.Errorf("%s: got %s (%v), want %s", text, got, err, want)
		}
	}
}

func TestParsePathSaysWhereAndWhat(t *testing.T) {
	for _, c := range []struct {
		in     string
		offset int
		text   string
	}{
		{``, 0, "want a variable"},
		{`["x"]`, 0, "want a variable's name"},
		{"`abc", 0, "this backquote isn't closed"},
		{"`abc`d", 5, `want "["`},
		{`a[1]b`, 4, `want "["`},
		{`a[1].`, 5, `want a field's name after the dot`},
		{`a[1].2`, 5, `want a field's name after the dot`},
		{`a[`, 2, `want a value`},
		{`a[1`, 3, `want "]"`},
		{`a['x]`, 2, `this string has no end`},
		{`a[x]`, 2, `want a value, found 'x'`},
		{"a" + strings.Repeat("[1]", event.MaxDepth+1), 1 + 3*(event.MaxDepth+1), "at most 500 steps"},
	} {
		_, _, err := event.ParsePath(c.in)
		var syntax *event.SyntaxError
		if !errors.As(err, &syntax) || syntax.Offset != c.offset || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%.40q: got %v, want byte %d: %s", c.in, err, c.offset, c.text)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{`kv.items["x"].version`, "`a``[`[1.5]", `a['x']`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		name, path, err := event.ParsePath(in)
		if err != nil {
			return
		}
		text := event.PathString(name, path)
		name2, path2, err := event.ParsePath(text)
		if err != nil || name2 != name || !event.Equal(event.List(path2...), event.List(path...)) {
			t.Fatalf("%q is written %q, which reads as %q %v (%v)", in, text, name2, path2, err)
		}
	})
}
