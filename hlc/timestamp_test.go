package hlc

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var secondSamples = []uint64{0, 1, 59, 1 << 31, 1_795_000_000, 1<<32 - 1}

// Every fraction of a second there is, in several seconds, with the logical
// parts that could carry or clash: what is printed reads back as what it was.
func TestTextRoundTripsForEveryTick(t *testing.T) {
	logicals := []uint64{0, 1, 9999, 65535}
	for _, sec := range secondSamples {
		for frac := uint64(0); frac < TicksPerSecond; frac++ {
			ts := Timestamp(sec<<32 | frac<<LogicalBits | logicals[frac%4])
			got, err := Parse(ts.String())
			if err != nil || got != ts {
				t.Fatalf("Parse(%q) = %d, %v, want %d", ts.String(), got, err, ts)
			}
		}
	}
	for logical := uint64(0); logical < 1<<LogicalBits; logical++ {
		ts := Timestamp(1_795_000_000<<32 | 12345<<LogicalBits | logical)
		if got, err := Parse(ts.String()); err != nil || got != ts {
			t.Fatalf("Parse(%q) = %d, %v, want %d", ts.String(), got, err, ts)
		}
	}
}

func TestTimeAndDurationRoundTripForEveryTick(t *testing.T) {
	for _, sec := range secondSamples {
		for frac := uint64(0); frac < TicksPerSecond; frac++ {
			ts := Timestamp(sec<<32 | frac<<LogicalBits | frac)
			if got := FromTime(ts.Time()); got != ts.Physical() {
				t.Fatalf("FromTime(%d.Time()) = %d", ts, got)
			}
			if n := ts.Ticks(); DurationTicks(TicksDuration(n)) != n {
				t.Fatalf("DurationTicks(TicksDuration(%d)) = %d", n, DurationTicks(TicksDuration(n)))
			}
		}
	}
}

// Text order is time order within one zone, so that sorted text files are
// sorted in time; the logical part, which has no fixed width, is left out.
func TestTextOrderIsTimeOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyTimestamp(t, "a").Physical(), anyTimestamp(t, "b").Physical()
		if (a < b) != (a.String() < b.String()) {
			t.Fatalf("%d and %d show as %s and %s", a, b, a, b)
		}
	})
}

func anyTimestamp(t *rapid.T, name string) Timestamp {
	return Timestamp(rapid.Uint64().Draw(t, name))
}

func TestTextForms(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Timestamp
		out  string
	}{
		{"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000000Z/0"},
		{"1970-01-01T00:00:00.000016Z/3", 1<<16 | 3, "1970-01-01T00:00:00.000016Z/3"},
		{"1970-01-01T00:00:00.000015258Z", 0, "1970-01-01T00:00:00.000000Z/0"},       // a nanosecond below the first tick
		{"1970-01-01T00:00:00.000015259Z", 1 << 16, "1970-01-01T00:00:00.000016Z/0"}, // the nanosecond it is in
		{"1970-01-01T00:00:00.999999999Z", 65535 << 16, "1970-01-01T00:00:00.999985Z/0"},
		{"1970-01-01T01:00:00+01:00", 0, "1970-01-01T00:00:00.000000Z/0"},
		{"2106-02-07T06:28:15.999999Z/65535", Max, "2106-02-07T06:28:15.999985Z/65535"},
		{"4294967296", 1 << 32, "1970-01-01T00:00:01.000000Z/0"},
		{"18446744073709551615", Max, "2106-02-07T06:28:15.999985Z/65535"},
	} {
		got, err := Parse(c.in)
		if err != nil || got != c.want || got.String() != c.out {
			t.Errorf("Parse(%q) = %d (%s), %v, want %d (%s)", c.in, got, got, err, c.want, c.out)
		}
	}
}

func TestParseRefusesAndSaysWhatItWants(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "want RFC 3339",
		"yesterday":                    "want RFC 3339",
		"-1":                           "want RFC 3339",
		"18446744073709551616":         "want RFC 3339", // one past uint64
		"2026-11-21":                   "want RFC 3339",
		"2026-13-01T00:00:00Z":         "want RFC 3339",
		"2026-11-21T00:00:00":          "want RFC 3339", // no zone
		"2026-11-21T00:00:00Z/":        "logical count, 0 to 65535",
		"2026-11-21T00:00:00Z/65536":   "logical count, 0 to 65535",
		"2026-11-21T00:00:00Z/-1":      "logical count, 0 to 65535",
		"2026-11-21T00:00:00Z/1/1":     "logical count, 0 to 65535",
		"1969-12-31T23:59:59.999Z":     "outside 1970-01-01 to 2106-02-07",
		"2106-02-07T06:28:16Z":         "outside 1970-01-01 to 2106-02-07",
		"1970-01-01T00:00:00.5+00:01":  "outside 1970-01-01 to 2106-02-07",
		"9999-12-31T23:59:59.999999Z/": "outside 1970-01-01 to 2106-02-07",
	} {
		if got, err := Parse(in); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), in) {
			t.Errorf("Parse(%q) = %d, %v, want an error with %q", in, got, err, want)
		}
	}
}

func TestFromTimeCutsDownAndClamps(t *testing.T) {
	for _, c := range []struct {
		in   time.Time
		want Timestamp
	}{
		{time.Time{}, 0},
		{time.Unix(-1, 999_999_999), 0},
		{time.Unix(0, 0), 0},
		{time.Unix(0, 15_258), 0},
		{time.Unix(0, 15_259), 1 << 16},
		{time.Unix(1<<32-1, 999_999_999), Max &^ logicalMask},
		{time.Unix(1<<32, 0), Max &^ logicalMask},
		{time.Unix(1<<62, 0), Max &^ logicalMask},
	} {
		if got := FromTime(c.in); got != c.want {
			t.Errorf("FromTime(%v) = %d, want %d", c.in, got, c.want)
		}
	}
}

// The model is exact rational arithmetic on numbers of any size.
func TestAddAgreesWithExactArithmetic(t *testing.T) {
	ticksIn := func(d time.Duration) *big.Int { // whole ticks, cut towards zero
		n := new(big.Int).Mul(big.NewInt(int64(d)), big.NewInt(TicksPerSecond))
		return n.Quo(n, big.NewInt(nanosPerSec))
	}
	rapid.Check(t, func(t *rapid.T) {
		ts := anyTimestamp(t, "ts")
		d := time.Duration(rapid.OneOf(rapid.Int64(), rapid.Int64Range(-1e12, 1e12), rapid.Just(int64(-1<<63))).Draw(t, "d"))
		sum := new(big.Int).Lsh(ticksIn(d), LogicalBits)
		sum.Add(sum, new(big.Int).SetUint64(uint64(ts)))
		want := Max
		if sum.Sign() < 0 {
			want = 0
		} else if sum.IsUint64() {
			want = Timestamp(sum.Uint64())
		}
		// The shortest duration has no absolute value; its neighbour's is used,
		// which is more than the whole range of Timestamp anyway.
		if got := ts.Add(d); got != want {
			t.Fatalf("%d.Add(%d) = %d, want %d", ts, d, got, want)
		}
	})
}

func TestSubIsWhatAddTakesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyTimestamp(t, "a"), anyTimestamp(t, "b")
		lo, hi := min(a, b).Physical(), max(a, b).Physical()
		d := hi.Sub(lo)
		if d < 0 || lo.Sub(hi) != -d {
			t.Fatalf("%d and %d are %d apart one way and %d the other", lo, hi, d, lo.Sub(hi))
		}
		if got := lo.Add(d); got != hi {
			t.Fatalf("%d.Add(%d) = %d, want %d", lo, d, got, hi)
		}
		if got := hi.Add(-d); got != lo {
			t.Fatalf("%d.Add(%d) = %d, want %d", hi, -d, got, lo)
		}
	})
}

func TestDurationsAtTheirLimits(t *testing.T) {
	if got := TicksDuration(Max.Ticks()); got != 4294967295_999984742 {
		t.Errorf("the longest time between two Timestamps is %d ns", got)
	}
	if got := TicksDuration(1<<64 - 1); got != 1<<63-1 {
		t.Errorf("TicksDuration saturates at %d", got)
	}
	if got := DurationTicks(-1); got != 0 {
		t.Errorf("DurationTicks(-1) = %d", got)
	}
	if got := DurationTicks(1<<63 - 1); got != 604462909807314 {
		t.Errorf("DurationTicks(longest) = %d", got)
	}
}

func TestParts(t *testing.T) {
	ts := Timestamp(5<<32 | 3<<16 | 7)
	if ts.Physical() != 5<<32|3<<16 || ts.Logical() != 7 || ts.Ticks() != 5<<16|3 {
		t.Errorf("parts of %d: %d %d %d", ts, ts.Physical(), ts.Logical(), ts.Ticks())
	}
}

func TestJSONIsTheTextForm(t *testing.T) {
	in := map[string]Timestamp{"t": 5<<32 | 3<<16 | 7}
	b, err := json.Marshal(in)
	if want := `{"t":"1970-01-01T00:00:05.000046Z/7"}`; err != nil || string(b) != want {
		t.Fatalf("Marshal = %s, %v, want %s", b, err, want)
	}
	var out map[string]Timestamp
	if err := json.Unmarshal(b, &out); err != nil || out["t"] != in["t"] {
		t.Fatalf("Unmarshal = %v, %v", out, err)
	}
	ts := Timestamp(9)
	if err := ts.UnmarshalText([]byte("x")); err == nil || ts != 9 {
		t.Errorf("a malformed text left %d, %v", ts, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "2026-11-21T19:46:53.123456Z/0", "2026-11-21T19:46:53,5+01:00", "1970-01-01T00:00:00Z/65535", "/", "2106-02-07T06:28:15.999999999Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ts, err := Parse(s)
		if err != nil {
			if ts != 0 {
				t.Fatalf("Parse(%q) = %d with error %v", s, ts, err)
			}
			return
		}
		if again, err := Parse(ts.String()); err != nil || again != ts {
			t.Fatalf("Parse(%q) = %d, but its text %s reads as %d, %v", s, ts, ts, again, err)
		}
	})
}
