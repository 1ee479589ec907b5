package app

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", 1 << 63: "9,223,372,036,854,775,808"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 64 << 20: "64.0 MiB", 5 << 50: "5120.0 TiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %s, want %s", n, got, want)
		}
	}
	if a, b := plural(1, "row"), plural(1200, "row"); a != "1 row" || b != "1,200 rows" {
		t.Errorf("%s, %s", a, b)
	}
}

func TestEscapedJSONIsTheSameDataAndSafe(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := rapid.String().Draw(rt, "text") + rapid.SampledFrom([]string{"", "\u009b2J", "\u202e", "\U000e0001", "\x7f"}).Draw(rt, "more")
		b, err := json.Marshal(map[string]string{"k": want})
		if err != nil {
			rt.Fatal(err)
		}
		b = escapeJSON(b)
		for _, r := range string(b) {
			if !unicode.IsPrint(r) {
				rt.Fatalf("%q holds %q", b, r)
			}
		}
		var got map[string]string
		if err := json.Unmarshal(b, &got); err != nil || got["k"] != want {
			rt.Fatalf("%q is %q, want %q: %v", b, got["k"], want, err)
		}
	})
}

func TestProgressIsSilentWhereThereIsNoTerminal(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&b)
	p.show(func() string { t.Error("text was made"); return "" })
	p.clear()
	if b.Len() > 0 {
		t.Errorf("printed %q", b.String())
	}
}

func TestColumnsOfTheSameNameAreToldApart(t *testing.T) {
	got := distinctNames([]string{"a", "b", "a", "a_2", "a"})
	for i, want := range []string{"a", "b", "a_2", "a_2_2", "a_3"} {
		if got[i] != want {
			t.Errorf("column %d is %q, want %q", i, got[i], want)
		}
	}
}
