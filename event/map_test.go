package event_test

import (
	"fmt"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
)

// model is a map as a plain slice, in any order.
type model []event.Entry

func (m model) with(k, v event.Value) model {
	var out model
	for _, e := range m {
		if !event.Equal(e.Key, k) {
			out = append(out, e)
		}
	}
	if !v.IsAbsent() {
		out = append(out, event.Entry{Key: k, Value: v})
	}
	sort.Slice(out, func(i, j int) bool { return event.Compare(out[i].Key, out[j].Key) < 0 })
	return out
}

func (m model) check(t *rapid.T, got *event.Map) {
	if got.Len() != len(m) {
		t.Fatalf("Len is %d, want %d", got.Len(), len(m))
	}
	i := 0
	for k, v := range got.All() {
		if !event.Equal(k, m[i].Key) || !event.Equal(v, m[i].Value) {
			t.Fatalf("entry %d is %v: %v, want %v: %v", i, k, v, m[i].Key, m[i].Value)
		}
		if g := got.Get(k); !event.Equal(g, v) {
			t.Fatalf("Get(%v) is %v, All says %v", k, g, v)
		}
		i++
	}
	if i != len(m) {
		t.Fatalf("All gave %d entries, want %d", i, len(m))
	}
}

func TestMapBehavesLikeASortedSliceAndOldVersionsStay(t *testing.T) {
	key := rapid.OneOf(rapid.Map(rapid.Int64Range(0, 40), event.Int), rapid.Map(rapid.SampledFrom([]string{"a", "b", ""}), event.String))
	rapid.Check(t, func(t *rapid.T) {
		var maps []*event.Map
		var models []model
		maps, models = append(maps, nil), append(models, nil)
		for range rapid.IntRange(0, 80).Draw(t, "operations") {
			i := rapid.IntRange(max(0, len(maps)-3), len(maps)-1).Draw(t, "version")
			k := key.Draw(t, "key")
			v := event.Absent
			if rapid.IntRange(0, 3).Draw(t, "set") > 0 {
				v = event.Int(rapid.Int64Range(0, 5).Draw(t, "value"))
			}
			maps, models = append(maps, maps[i].With(k, v)), append(models, models[i].with(k, v))
		}
		for i := range maps {
			models[i].check(t, maps[i])
		}
		if n := event.NewMap(models[len(models)-1]...); !event.Equal(event.MapOf(n), event.MapOf(maps[len(maps)-1])) {
			t.Fatalf("NewMap of the entries is %v, want %v", event.MapOf(n), event.MapOf(maps[len(maps)-1]))
		}
	})
}

func TestNewMapKeepsTheLastOfEqualKeys(t *testing.T) {
	m := event.NewMap(
		event.Entry{Key: event.Int(1), Value: event.Int(1)}, event.Entry{Key: event.Int(2), Value: event.Int(2)},
		event.Entry{Key: event.Int(1), Value: event.Int(3)}, event.Entry{Key: event.Int(2)})
	if got := event.MapOf(m).String(); got != `{"$map":[[1,3]]}` {
		t.Fatalf("got %s", got)
	}
}

// compareByEntries is Compare of maps as its comment defines it.
func compareByEntries(a, b *event.Map) int {
	var x, y []event.Value
	for k, v := range a.All() {
		x = append(x, k, v)
	}
	for k, v := range b.All() {
		y = append(y, k, v)
	}
	return event.Compare(event.List(x...), event.List(y...))
}

func TestMapsThatShareCompareAsThoseThatDoNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a *event.Map
		for i := range rapid.IntRange(0, 200).Draw(t, "size") {
			a = a.With(event.Int(int64(i*7%199)), event.Int(0))
		}
		b := a
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			v := event.Int(rapid.Int64Range(-1, 1).Draw(t, "value"))
			if rapid.Bool().Draw(t, "delete") {
				v = event.Absent
			}
			b = b.With(event.Int(rapid.Int64Range(-5, 205).Draw(t, "key")), v)
		}
		got, want := event.Compare(event.MapOf(a), event.MapOf(b)), compareByEntries(a, b)
		if got != want {
			t.Fatalf("Compare is %d, want %d:\n%v\n%v", got, want, event.MapOf(a), event.MapOf(b))
		}
	})
}

func BenchmarkMapWithAndCompare(b *testing.B) {
	for _, size := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var m *event.Map
			for i := range size {
				m = m.With(event.Int(int64(i)), event.Int(0))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				n := m.With(event.Int(int64(i%size)), event.Int(1))
				if event.Equal(event.MapOf(m), event.MapOf(n)) {
					b.Fatal("a changed map is equal to the old one")
				}
			}
		})
	}
}
