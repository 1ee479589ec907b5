package termtext

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNothingThatMovesOrHidesTextGetsThrough(t *testing.T) {
	for s, want := range map[string]string{
		"":                         "",
		"n1":                       "n1",
		"a b":                      "a b",
		"a\x00b":                   "a·b",
		"\x1b]0;title\a":           "·]0;title·",
		"one\ntwo\r\tthree":        "one·two··three",
		"abc\u202edef\u2066":       "abc·def·",
		"\u200b\u200d\ufeff\u2028": "····",
		"\xff\xc0":                 "··",
		"節点 🚀 e\u0301":             "節点 🚀 e\u0301",
		"<b>&\"'":                  "<b>&\"'",
	} {
		if got := Printable(s); got != want {
			t.Errorf("%q shows as %q, want %q", s, got, want)
		}
	}
	if got := PrintableText("one\n\ttwo\r\x1b"); got != "one\n\ttwo··" {
		t.Errorf("%q", got)
	}
}

func TestANameIsShownSafelyAndReadBack(t *testing.T) {
	for name, want := range map[string]string{
		"n1": "n1", "a b:c/d": "a b:c/d", "it's": "it's", "🚀節": "🚀節", "": `""`, " a": `" a"`, `"a"`: `"\"a\""`, "\"a\n": `"\"a\n"`, "a\x00": `"a\x00"`, "a\u202e": `"a\u202e"`, "\xff": `"\xff"`,
	} {
		if got := Name(name); got != want || Unname(got) != name {
			t.Errorf("%q is shown as %s, want %s, and read back as %q", name, got, want, Unname(got))
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(rt, "name")
		if got := Name(name); Unname(got) != name || Printable(got) != got {
			rt.Fatalf("%q is shown as %q and read back as %q", name, got, Unname(got))
		}
	})
}

func TestWidthsAreColumns(t *testing.T) {
	for s, want := range map[string]int{"": 0, "n1": 2, "節点": 4, "🚀": 2, "e\u0301": 1, "한글": 4, "ﾊﾝ": 2, "─▶": 2} {
		if got := Columns(s); got != want {
			t.Errorf("%q has %d columns, want %d", s, got, want)
		}
	}
	for _, c := range []struct {
		s    string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"節点", 4, "節点"}, {"節点", 3, "節…"}, {"節点", 2, "…"}, {"abc", 1, "…"}, {"", 0, ""}, {"a", 0, ""}, {"a", -1, ""}} {
		if got := Clip(c.s, c.n); got != c.want {
			t.Errorf("%q clipped to %d: %q, want %q", c.s, c.n, got, c.want)
		}
	}
	if got := Pad("節", 4) + "|" + Pad("long", 2); got != "節  |long" {
		t.Errorf("%q", got)
	}
}

func TestClippedTextFits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, n := rapid.String().Draw(rt, "s"), rapid.IntRange(0, 20).Draw(rt, "n")
		got := Clip(s, n)
		if Columns(got) > n {
			rt.Fatalf("%q in %d columns: %q has %d", s, n, got, Columns(got))
		}
		if rest, cut := strings.CutSuffix(got, "…"); got != s && (!cut && n > 0 || !strings.HasPrefix(s, rest)) {
			rt.Fatalf("%q is no beginning of %q", got, s)
		}
	})
}

func TestTextIsMadeSafeHoweverItIsCutIntoWrites(t *testing.T) {
	const text = "節点 \x1b[31m\u009b2J\u202e ok\n\t\xff\xe7\xaf|●…\r\n"
	const want = "節点 ·[31m·2J· ok\n\t···|●…·\n"
	for first := range len(text) {
		var out bytes.Buffer
		w := SafeWriter(&out)
		for _, part := range []string{text[:first], text[first : first+1], text[first+1:]} {
			if n, err := io.WriteString(w, part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if out.String() != want {
			t.Errorf("cut at %d: %q, want %q", first, out.String(), want)
		}
	}
}
