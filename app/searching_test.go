package app

import (
	"strings"
	"testing"
	"time"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

func TestANumberOfBytesIsReadInEveryUnit(t *testing.T) {
	for text, want := range map[string]byteSize{"0": 0, "4096": 4096, "512MiB": 512 << 20, "2GB": 2e9, "1.5 k": 1536, "3g": 3 << 30, "7B": 7} {
		var b byteSize
		if err := b.Set(text); err != nil || b != want {
			t.Errorf("%s: %d, %v; want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "many", "-1", "NaN", "1e30", "5 miles"} {
		b := byteSize(9)
		if err := b.Set(text); err == nil || b != 9 {
			t.Errorf("%q: %d, %v", text, b, err)
		}
	}
}

func TestProgressOfASearchTellsAboutHowLongItWillTake(t *testing.T) {
	for _, c := range []struct {
		read, total, rows uint64
		took              time.Duration
		want              string
	}{
		{0, 1, 0, 0, "searching: 0%, 0 events, 0/s, 0 rows, 0/s"},
		{500, 1000, 3, time.Second, "searching: 50%, 500 events, 500/s, 3 rows, 3.0/s"},
		{2_500_000, 10_000_000, 50_000, 5 * time.Second, "searching: 25%, 2,500,000 events, 500 k/s, 50,000 rows, 10 k/s, about 15 s left"},
		{2_500_000, 1_000_000, 1, time.Minute, "searching: 99%, 2,500,000 events, 42 k/s, 1 row, 0.0/s, about 1 s left"},
		{1 << 30, 1 << 36, 0, time.Hour, "searching: 1%, 1,073,741,824 events, 298 k/s, 0 rows, 0/s, about 63.0 h left"},
		{1, 1 << 36, 0, time.Hour, "searching: 0%, 1 events, 0.0/s, 0 rows, 0/s"},
	} {
		if got := searchLine(c.read, c.total, c.rows, c.took); got != c.want {
			t.Errorf("%d of %d after %v:\n%s, want\n%s", c.read, c.total, c.took, got, c.want)
		}
	}
}

func TestAnEstimateKnowsTheRangeAndTheMembers(t *testing.T) {
	first, err := hlc.Parse("2026-01-01T00:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i := range 101 {
		b.WriteString(`{"node":"n1","ts":"` + first.Add(time.Duration(i)*time.Second).String() + `","set":{"kv.n":1}}` + "\n")
	}
	src, err := history.ReadText(strings.NewReader(b.String()), "h", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	now := first.Time().Add(90 * time.Second)
	for text, want := range map[string]uint64{
		"SELECT kv.n FROM kv": 101,
		"SELECT kv.n FROM kv ON TIME START + 25s TO START + 75s": 50,
		"SELECT kv.n FROM kv ON TIME NOW - 10s TO NOW":           10,
		"SELECT kv.n FROM kv ON TIME END - 10s TO END + 1h":      10,
		"SELECT kv.n FROM kv ON TIME 2030-01-01T00:00:00Z":       1,
		"SELECT kv.n FROM kv FOR EACH k IN KEYS(kv.n)":           202,
		"SHOW EVENTS ON TIME START TO START + 50s":               50,
		"SELECT kv.n FROM kv ON TIME START + 75s TO START + 25s": 1,
		"this is no query": 101,
		"SELECT kv.n FROM kv FOR EACH k IN kv.n ON TIME START TO END": 202,
	} {
		got := eventsToRead(src.Meta(), text, now)
		if got+1 < want || got > want+1 {
			t.Errorf("%s: %d, want about %d", text, got, want)
		}
	}
}

func TestOnlyQueriesOfMachinesVariablesAreFollowedLean(t *testing.T) {
	for text, want := range map[string]bool{
		"SELECT * FROM kv": true,
		"SELECT kv.x FROM kv, node WHEN kv.x > PREV(kv.x)": true,
		"SELECT * FROM kv, net":                            false,
		"SELECT * FROM kv WHEN POSSIBLY kv.x = 1":          false,
		"FROM a IN Put SELECT COUNT(*)":                    false,
		"SHOW EVENTS":                                      false,
		"no query":                                         false,
	} {
		if leanQuery(text) != want {
			t.Errorf("%s: %t", text, !want)
		}
	}
}
