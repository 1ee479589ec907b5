package machine

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// check says what is wrong with the tree's form, "" if nothing is.
func (t *tree[K, V]) check() string {
	depth, size := -1, 0
	var walk func(n *treeNode[K, V], d int) string
	walk = func(n *treeNode[K, V], d int) string {
		size += len(n.items)
		if n != t.root && len(n.items) < nodeMin || len(n.items) > nodeMax {
			return "a node is too thin or too full"
		}
		if n.kids == nil {
			if depth >= 0 && depth != d {
				return "leaves at two depths"
			}
			depth = d
			return ""
		}
		if len(n.kids) != len(n.items)+1 {
			return "kids don't fit the items"
		}
		for _, k := range n.kids {
			if s := walk(k, d+1); s != "" {
				return s
			}
		}
		return ""
	}
	if t.root == nil {
		return ""
	}
	if s := walk(t.root, 0); s != "" {
		return s
	}
	if size != t.size {
		return "size is wrong"
	}
	return ""
}

func keysOf(m *Map[int, string], from int) []int {
	var got []int
	for k := range m.From(from) {
		got = append(got, k)
	}
	return got
}

// touchedOf reads an Inspector as key → value, nil where the entry is gone.
func touchedOf[K comparable, V any](in Inspector) map[K]*V {
	got := map[K]*V{}
	in.Touched(func(k, v any) bool {
		got[*k.(*K)] = nil
		if v != nil {
			c := *v.(*V)
			got[*k.(*K)] = &c
		}
		return true
	})
	return got
}

func TestMapDoesWhatASortedSliceWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Map[int, string]
		model, touched := map[int]string{}, map[int]bool{}
		key := rapid.IntRange(0, rapid.SampledFrom([]int{5, 200, 2000}).Draw(t, "range"))
		if rapid.Bool().Draw(t, "filled") {
			for i := range 1500 {
				m.Put(i, "f")
				model[i] = "f"
			}
			m.Inspect().Settle()
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, v := key.Draw(t, "k"), rapid.StringN(0, 3, -1).Draw(t, "v")
				m.Put(k, v)
				model[k], touched[k] = v, true
			},
			"update": func(t *rapid.T) {
				k := key.Draw(t, "k")
				m.Update(k, func(v *string) { *v += "u" })
				model[k] += "u"
				touched[k] = true
			},
			"delete": func(t *rapid.T) {
				from := key.Draw(t, "k")
				for k := from; k < from+rapid.IntRange(1, 100).Draw(t, "n"); k++ {
					_, there := model[k]
					if m.Delete(k) != there {
						t.Fatalf("Delete(%d) is %v, want %v", k, !there, there)
					}
					if there {
						delete(model, k)
						touched[k] = true
					}
				}
			},
			"settle": func(t *rapid.T) {
				m.Inspect().Settle()
				clear(touched)
			},
			"": func(t *rapid.T) { checkMap(t, &m, model, touched, key.Draw(t, "from")) },
		})
	})
}

func checkMap(t *rapid.T, m *Map[int, string], model map[int]string, touched map[int]bool, from int) {
	if m.s != nil {
		if s := m.s.entries.check() + m.s.touched.check(); s != "" {
			t.Fatal(s)
		}
	}
	want := slices.Sorted(maps.Keys(model))
	if got := slices.Collect(m.Keys()); !slices.Equal(got, want) || m.Len() != len(want) {
		t.Fatalf("keys %v, want %v", got, want)
	}
	i, _ := slices.BinarySearch(want, from)
	if got := keysOf(m, from); !slices.Equal(got, want[i:]) {
		t.Fatalf("from %d: %v, want %v", from, got, want[i:])
	}
	for k, v := range m.All() {
		if got, ok := m.Get(k); !ok || got != v || model[k] != v {
			t.Fatalf("value of %d: %q by All, %q by Get, want %q", k, v, got, model[k])
		}
	}
	if k, v, ok := m.Min(); ok != (len(want) > 0) || ok && (k != want[0] || v != model[k]) {
		t.Fatalf("Min is %d %q %v", k, v, ok)
	}
	if k, v, ok := m.Max(); ok != (len(want) > 0) || ok && (k != want[len(want)-1] || v != model[k]) {
		t.Fatalf("Max is %d %q %v", k, v, ok)
	}
	got := touchedOf[int, string](m.Inspect())
	if len(got) != len(touched) || m.Inspect().Untouched() != (len(got) == 0) {
		t.Fatalf("touched %v, want %v", got, touched)
	}
	for k, v := range got {
		want, there := model[k]
		if !touched[k] || (v != nil) != there || there && *v != want {
			t.Fatalf("touched %d is %v, want %q %v", k, v, want, there)
		}
	}
}

func TestAnIterationSeesWhatChangesAheadOfIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Map[int, int]
		model := map[int]int{}
		for range rapid.IntRange(0, 200).Draw(t, "entries") {
			k := rapid.IntRange(0, 300).Draw(t, "k")
			m.Put(k, 0)
			model[k] = 0
		}
		last := -1
		for k := range m.All() {
			next := nextAbove(model, last)
			if k != next {
				t.Fatalf("after %d came %d, want %d", last, k, next)
			}
			last = k
			switch rapid.IntRange(0, 4).Draw(t, "do") {
			case 0:
				k := rapid.IntRange(0, 300).Draw(t, "put")
				m.Put(k, 1)
				model[k] = 1
			case 1:
				for d := range 10 {
					m.Delete(k - 5 + d)
					delete(model, k-5+d)
				}
			}
		}
		if next := nextAbove(model, last); next >= 0 {
			t.Fatalf("ended at %d, want %d too", last, next)
		}
	})
}

func nextAbove(model map[int]int, k int) int {
	for _, n := range slices.Sorted(maps.Keys(model)) {
		if n > k {
			return n
		}
	}
	return -1
}

func TestListDoesWhatASliceWithAnOffsetWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l List[int]
		var model []int
		first, n := 0, 0
		index := func(t *rapid.T) int { return rapid.IntRange(-2, 2+first+len(model)).Draw(t, "i") }
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				for range rapid.IntRange(1, 50).Draw(t, "n") {
					n++
					if i := l.Append(n); i != first+len(model) {
						t.Fatalf("appended at %d, want %d", i, first+len(model))
					}
					model = append(model, n)
				}
			},
			"set": func(t *rapid.T) {
				i := index(t)
				if i < first || i >= first+len(model) {
					return
				}
				l.Set(i, -1)
				l.Update(i, func(v *int) { *v *= 7 })
				model[i-first] = -7
			},
			"drop": func(t *rapid.T) {
				i := index(t)
				l.DropBefore(i)
				if d := min(i-first, len(model)); d > 0 {
					model, first = model[d:], first+d
				}
			},
			"truncate": func(t *rapid.T) {
				i := index(t)
				l.Truncate(i)
				model = model[:min(len(model), max(0, i-first))]
			},
			"": func(t *rapid.T) {
				var got []int
				for i, v := range l.All() {
					if i != first+len(got) {
						t.Fatalf("index %d, want %d", i, first+len(got))
					}
					got = append(got, v)
				}
				if !slices.Equal(got, model) || l.Len() != len(model) || l.First() != first || l.End() != first+len(model) {
					t.Fatalf("%v from %d to %d, want %v from %d", got, l.First(), l.End(), model, first)
				}
				back := roundTrip[List[int]](t, l)
				if back.First() != first || back.Len() != len(model) {
					t.Fatalf("decoded from %d to %d", back.First(), back.End())
				}
			},
		})
	})
}

func TestListPanicsOutsideItsRange(t *testing.T) {
	defer func() {
		if r := recover(); r != "machine: List index 1 is outside [0, 1)" {
			t.Fatalf("recovered %v", r)
		}
	}()
	var l List[string]
	l.Append("a")
	l.Set(1, "b")
}

func TestSetHoldsEachMemberOnce(t *testing.T) {
	var s Set[string]
	if !s.Add("b") || !s.Add("a") || s.Add("b") || !s.Has("a") || s.Len() != 2 {
		t.Fatal("Add or Has is wrong")
	}
	if s.Inspect().Shape() != ShapeSet || len(touchedOf[string, struct{}](s.Inspect())) != 2 {
		t.Fatal("Inspect is wrong")
	}
	back := roundTrip[Set[string]](t, s)
	if got := slices.Collect(back.All()); !slices.Equal(got, []string{"a", "b"}) {
		t.Fatalf("decoded %v", got)
	}
	if len(touchedOf[string, struct{}](back.Inspect())) != 0 {
		t.Fatal("a decoded set is touched")
	}
	if !s.Delete("a") || s.Delete("a") || s.Len() != 1 {
		t.Fatal("Delete is wrong")
	}
}

func roundTrip[T any](t interface{ Fatal(...any) }, v T) *T {
	b, err := encMode.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	back := new(T)
	if err := decMode.Unmarshal(b, back); err != nil {
		t.Fatal(err)
	}
	return back
}

func TestMapsRoundTripAndUpgradeFromPlainMaps(t *testing.T) {
	type value struct {
		N    int
		Tags []string
	}
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.MapOf(rapid.String(), rapid.Custom(func(t *rapid.T) value {
			return value{rapid.Int().Draw(t, "n"), rapid.SliceOfN(rapid.String(), 1, 3).Draw(t, "tags")}
		})).Draw(t, "map")
		var m Map[string, value]
		for k, v := range plain {
			m.Put(k, v)
		}
		old, err := encMode.Marshal(plain)
		if err != nil {
			t.Fatal(err)
		}
		var upgraded Map[string, value]
		if err := decMode.Unmarshal(old, &upgraded); err != nil {
			t.Fatal(err)
		}
		for _, back := range []*Map[string, value]{roundTrip(t, m), &upgraded} {
			if !maps.EqualFunc(maps.Collect(back.All()), plain, func(a, b value) bool {
				return a.N == b.N && slices.Equal(a.Tags, b.Tags)
			}) {
				t.Fatalf("decoded %v, want %v", maps.Collect(back.All()), plain)
			}
		}
	})
}

func FuzzContainersDecode(f *testing.F) {
	for _, s := range []string{"\x80", "\x84\x01\x61a\x02\x61b", "\xa1\x01\x61a", "\x9a\xff\xff\xff\xff", "\x82\x05\x61a"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Map[int, string]
		if decMode.Unmarshal(b, &m) == nil {
			if s := m.s.entries.check(); s != "" {
				t.Fatal(s)
			}
			if got := roundTrip(t, m); got.Len() != m.Len() {
				t.Fatal("a map changed by a round trip")
			}
		}
		var l List[string]
		if decMode.Unmarshal(b, &l) == nil && roundTrip(t, l).End() != l.End() {
			t.Fatal("a list changed by a round trip")
		}
		var s Set[string]
		if decMode.Unmarshal(b, &s) == nil && roundTrip(t, s).Len() != s.Len() {
			t.Fatal("a set changed by a round trip")
		}
	})
}
