package state

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
)

// machineOf gives a state the method of a machine.
type machineOf[S any] struct {
	S S
}

func (*machineOf[S]) Step(*machine.Context, event.Event) {}

type embedded struct{ Base int }

// everything is a state with a field of every form.
type everything struct {
	embedded
	ID       event.MessageID
	HTTPPort uint16
	Name     string
	Ratio    float32
	On       bool
	At       hlc.Timestamp
	Wait     time.Duration
	Raw      []byte
	Sum      [4]byte
	Pair     [2]int16
	Next     *point
	List     []point
	Plain    map[string]int
	Renamed  int    `hindcast:"other"`
	Secret   string `hindcast:",redact"`
	Hidden   int    `hindcast:"-"`
	Items    machine.Map[string, point]
	Members  machine.Set[int]
	Entries  machine.List[string]
	Sets     machine.Map[string, machine.Set[string]]
	Inner    struct {
		N     int
		Items machine.Map[int, int]
	}
	cache map[int]int
}

type point struct {
	X, Y int
	Pin  string `hindcast:",redact"`
}

func (*everything) Step(*machine.Context, event.Event) {}

func filled() *everything {
	e := &everything{embedded: embedded{1}, ID: event.MessageID{Node: "n", Boot: 1, Seq: 2, Effect: 3}, HTTPPort: 80,
		Name: "\xff", Ratio: 0.5, On: true, At: 1 << 40, Wait: time.Second, Raw: []byte("raw"), Sum: [4]byte{'s', 'u', 'm', '!'},
		Pair: [2]int16{-1, 2}, Next: &point{3, 4, "p"}, List: []point{{5, 6, ""}}, Plain: map[string]int{"a": 1, "b": 2},
		Renamed: 7, Secret: "s", Hidden: 8, cache: map[int]int{1: 1}}
	e.Items.Put("k", point{9, 10, "q"})
	e.Members.Add(-1)
	e.Entries.Append("gone")
	e.Entries.Append("here")
	e.Entries.DropBefore(1)
	e.Sets.Update("s", func(s *machine.Set[string]) { s.Add("m") })
	e.Inner.N = 11
	e.Inner.Items.Put(12, 13)
	return e
}

func text(v event.Value) string {
	switch v.Type() {
	case event.TypeMap:
		var parts []string
		for k, e := range v.AsMap().All() {
			parts = append(parts, strings.Trim(text(k), `"`)+": "+text(e))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case event.TypeString:
		return fmt.Sprintf("%q", v.AsString())
	case event.TypeInt:
		n, _ := v.AsInt()
		return fmt.Sprint(n)
	case event.TypeBool:
		return fmt.Sprint(v.AsBool())
	case event.TypeFloat:
		f, _ := v.AsFloat()
		return fmt.Sprint(f)
	case event.TypeTime:
		return v.AsTime().String()
	case event.TypeList, event.TypeSet:
		var parts []string
		for _, m := range v.Members() {
			parts = append(parts, text(m))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return v.Type().String()
}

func compileFor(t interface{ Fatal(...any) }, m machine.Machine) *Plan {
	p, err := Compile(reflect.TypeOf(m))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func variables(p *Plan, m machine.Machine) map[string]string {
	out := map[string]string{}
	for _, n := range p.Names() {
		out[n] = text(p.Materialize(m, n))
	}
	return out
}

func TestEveryExportedFieldIsAVariable(t *testing.T) {
	e := filled()
	want := map[string]string{
		"base": "1", "id": `"n/1/2/3"`, "httpPort": "80", "name": `"\xff"`, "ratio": "0.5", "on": "true",
		"at": hlc.Timestamp(1 << 40).String(), "wait": "1000000000", "raw": `"raw"`, "sum": `"sum!"`, "pair": "[-1, 2]",
		"next": `{pin: "[redacted]", x: 3, y: 4}`, "list": `[{pin: "[redacted]", x: 5, y: 6}]`, "plain": "{a: 1, b: 2}",
		"other": "7", "secret": `"[redacted]"`, "items": `{k: {pin: "[redacted]", x: 9, y: 10}}`, "members": "[-1]",
		"entries": `{1: "here"}`, "sets": `{s: ["m"]}`, "inner": "{items: {12: 13}, n: 11}",
	}
	got := variables(compileFor(t, e), e)
	for n := range want {
		if got[n] != want[n] {
			t.Errorf("%s is %s, want %s", n, got[n], want[n])
		}
	}
	if len(got) != len(want) {
		t.Errorf("variables %v", slices.Sorted(maps.Keys(got)))
	}
}

func TestVariableNames(t *testing.T) {
	for field, want := range map[string]string{"ID": "id", "LastIndex": "lastIndex", "HTTPPort": "httpPort", "IDs": "ids",
		"X": "x", "X1": "x1", "URL2": "url2", "ABTest": "abTest", "Items": "items", "As": "as", "É": "É"} {
		if got := VariableName(field); got != want {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
}

func TestAStateComesBackFromItsEncoding(t *testing.T) {
	e := filled()
	p := compileFor(t, e)
	b, err := EncodeState(e)
	if err != nil {
		t.Fatal(err)
	}
	back := &everything{Plain: map[string]int{"of the constructor": 1}, cache: map[int]int{2: 2}}
	back.Items.Put("of the constructor", point{})
	if err := p.DecodeState(back, b); err != nil {
		t.Fatal(err)
	}
	if got, want := variables(p, back), variables(p, e); !maps.Equal(got, want) {
		t.Fatalf("decoded %v, want %v", got, want)
	}
	if p.FullDigest(back) != p.FullDigest(e) {
		t.Error("the digest changed")
	}
	if back.Hidden != 8 || back.cache[2] != 2 {
		t.Error("a hidden field got lost, or a cache was touched")
	}
	again, err := EncodeState(back)
	if err != nil || string(again) != string(b) {
		t.Errorf("encoded again: %x, %v, want %x", again, err, b)
	}
}

// Each change of one thing changes the digests that cover it.
func TestDigestsCoverTheState(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*everything)
		step   bool // seen after every step, not only in full
	}{
		{"embedded", func(e *everything) { e.Base++ }, true},
		{"id", func(e *everything) { e.ID.Effect++ }, true},
		{"string", func(e *everything) { e.Name = "b" }, true},
		{"float", func(e *everything) { e.Ratio = -0.5 }, true},
		{"array", func(e *everything) { e.Pair[1]++ }, true},
		{"bytes in an array", func(e *everything) { e.Sum[3]++ }, true},
		{"pointer", func(e *everything) { e.Next = nil }, true},
		{"behind a pointer", func(e *everything) { e.Next.Y++ }, true},
		{"hidden", func(e *everything) { e.Hidden++ }, true},
		{"redacted", func(e *everything) { e.Secret += "x" }, true},
		{"length of a slice", func(e *everything) { e.List = append(e.List, point{}) }, true},
		{"length of a plain map", func(e *everything) { e.Plain["c"] = 1 }, true},
		{"length of bytes", func(e *everything) { e.Raw = e.Raw[:1] }, true},
		{"inside a slice", func(e *everything) { e.List[0].X++ }, false},
		{"inside a plain map", func(e *everything) { e.Plain["a"]++ }, false},
		{"inside bytes", func(e *everything) { e.Raw[0]++ }, false},
		{"entry", func(e *everything) { e.Items.Update("k", func(p *point) { p.X++ }) }, true},
		{"entry gone", func(e *everything) { e.Items.Delete("k") }, true},
		{"member", func(e *everything) { e.Members.Delete(-1) }, true},
		{"element", func(e *everything) { e.Entries.Set(1, "x") }, true},
		{"dropped and appended", func(e *everything) { e.Entries.DropBefore(2); e.Entries.Append("here") }, true},
		{"nested set", func(e *everything) { e.Sets.Update("s", func(s *machine.Set[string]) { s.Add("n") }) }, true},
		{"inner map", func(e *everything) { e.Inner.Items.Put(12, 14) }, true},
		{"replaced map", func(e *everything) { e.Items = machine.Map[string, point]{} }, true},
	} {
		a, b := filled(), filled()
		p := compileFor(t, a)
		ta, tb := p.Track(a, nil), p.Track(b, nil)
		if ta.Commit(0, nil) != tb.Commit(0, nil) || p.FullDigest(a) != p.FullDigest(b) {
			t.Fatal("the same state has two digests")
		}
		c.change(b)
		if (ta.Commit(0, nil) != tb.Commit(0, nil)) != c.step {
			t.Errorf("%s: seen after a step: %v, want %v", c.name, !c.step, c.step)
		}
		if p.FullDigest(a) == p.FullDigest(b) {
			t.Errorf("%s: the full digest didn't change", c.name)
		}
	}
}

type watcher struct{ got map[string]event.Value }

func (w *watcher) emit(name string, path []event.Value, v event.Value) {
	w.got[name] = setAt(w.got[name], path, v)
}

func setAt(v event.Value, path []event.Value, to event.Value) event.Value {
	if len(path) == 0 {
		return to
	}
	if i, ok := path[0].AsInt(); ok && v.Type() == event.TypeList && len(path) == 1 && i <= int64(v.Len()) {
		list := append(slices.Clone(v.Members()), event.Absent)
		list[i] = to
		return event.List(list[:max(int(i)+1, v.Len())]...)
	}
	return event.MapOf(v.AsMap().With(path[0], setAt(v.Index(path[0]), path[1:], to)))
}

// Changes put together are the state: the model of a Tracker.
func TestChangesAddUpToTheState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := filled()
		p := compileFor(t, e)
		walk := rapid.Bool().Draw(t, "walk")
		tr := p.Track(e, func(name string) bool { return walk && (name == "plain" || name == "list") })
		w := &watcher{got: map[string]event.Value{}}
		small := rapid.IntRange(0, 5)
		key := rapid.SampledFrom([]string{"a", "b", "c", "k"})
		act := map[string]func(){
			"scalar": func() { e.Base, e.HTTPPort = small.Draw(t, "n"), uint16(small.Draw(t, "n")) },
			"id":     func() { e.ID.Seq = uint64(small.Draw(t, "n")) },
			"slice":  func() { e.List = append(e.List[:0:0], make([]point, small.Draw(t, "n"))...) },
			"push":   func() { e.List = append(e.List, point{X: small.Draw(t, "n")}) },
			"poke": func() {
				if n := len(e.List); n > 0 {
					e.List[n/2].Y = small.Draw(t, "n")
				}
			},
			"plain":  func() { e.Plain[key.Draw(t, "k")] = small.Draw(t, "n") },
			"unmap":  func() { delete(e.Plain, key.Draw(t, "k")) },
			"put":    func() { e.Items.Put(key.Draw(t, "k"), point{X: small.Draw(t, "n")}) },
			"delete": func() { e.Items.Delete(key.Draw(t, "k")) },
			"fresh":  func() { e.Items = machine.Map[string, point]{} },
			"member": func() { e.Members.Add(small.Draw(t, "n")) },
			"leave":  func() { e.Members.Delete(small.Draw(t, "n")) },
			"append": func() { e.Entries.Append(key.Draw(t, "k")) },
			"drop":   func() { e.Entries.DropBefore(small.Draw(t, "n")) },
			"cut":    func() { e.Entries.Truncate(small.Draw(t, "n")) },
			"nested": func() {
				e.Sets.Update(key.Draw(t, "k"), func(s *machine.Set[string]) { s.Add(key.Draw(t, "m")) })
			},
			"inner":  func() { e.Inner.N++; e.Inner.Items.Put(small.Draw(t, "n"), small.Draw(t, "n")) },
			"next":   func() { e.Next = &point{Y: small.Draw(t, "n")} },
			"secret": func() { e.Secret += "s" },
		}
		names := slices.Sorted(maps.Keys(act))
		for range rapid.IntRange(1, 10).Draw(t, "commits") {
			for range small.Draw(t, "acts") {
				act[rapid.SampledFrom(names).Draw(t, "act")]()
			}
			tr.Commit(0, w.emit)
			for _, n := range p.Names() {
				if want := p.Materialize(e, n); !event.Equal(w.got[n], want) {
					t.Fatalf("%s is %s by its changes, %s in the state", n, text(w.got[n]), text(want))
				}
			}
		}
	})
}

func TestAnUnchangedStateHasNoChanges(t *testing.T) {
	e := filled()
	tr := compileFor(t, e).Track(e, nil)
	tr.Skip()
	tr.Commit(0, func(name string, _ []event.Value, v event.Value) { t.Errorf("%s = %s", name, text(v)) })
}

func TestALargePlainMapIsLeftToMaterialize(t *testing.T) {
	fill := func(e *everything, n int) {
		for i := range n {
			e.Plain[fmt.Sprint(i)] = i
		}
	}
	e := &everything{Plain: map[string]int{}}
	p := compileFor(t, e)
	lazy, walked := p.Track(e, nil), p.Track(e, func(n string) bool { return n == "plain" })
	a, b := &watcher{got: map[string]event.Value{}}, &watcher{got: map[string]event.Value{}}
	commit := func() { lazy.Commit(0, a.emit); walked.Commit(0, b.emit) }
	fill(e, 10)
	commit()
	if a.got["plain"].Len() != 10 || lazy.Bulky("plain") {
		t.Fatal("a small map isn't compared")
	}
	fill(e, 1000)
	commit()
	if !a.got["plain"].IsAbsent() || !lazy.Bulky("plain") || p.Materialize(e, "plain").Len() != 1000 {
		t.Fatal("a large map isn't left to Materialize")
	}
	delete(e.Plain, "5")
	e.Plain["6"] = -6
	var changes []string
	walked.Commit(0, func(n string, path []event.Value, v event.Value) {
		changes = append(changes, n+text(event.List(path...))+text(v))
		b.emit(n, path, v)
	})
	if want := []string{`plain["5"]absent`, `plain["6"]-6`}; !slices.Equal(changes, want) {
		t.Fatalf("changes %q, want %q", changes, want)
	}
	if !event.Equal(b.got["plain"], p.Materialize(e, "plain")) {
		t.Fatal("the changes of a walked map don't add up")
	}
}

// bulkyCommit returns how many allocations a Commit of no changes makes beside a
// plain map of n entries: a walk of it makes some.
func bulkyCommit(t *testing.T, n int, walk func(string) bool) float64 {
	e := &everything{Plain: map[string]int{}}
	tr := compileFor(t, e).Track(e, walk)
	bulky := 0
	tr.OnBulky = func(name string) {
		if bulky++; name != "plain" {
			t.Errorf("%s is bulky", name)
		}
	}
	for i := range n {
		e.Plain[fmt.Sprint(i)] = i
	}
	ignore := func(string, []event.Value, event.Value) {}
	tr.Commit(0, ignore)
	allocs := testing.AllocsPerRun(3, func() { tr.Commit(0, ignore) })
	if want := n > SmallMax && walk == nil; tr.Bulky("plain") != want || (bulky == 1) != want {
		t.Errorf("%d entries: bulky %v, told %d times", n, tr.Bulky("plain"), bulky)
	}
	return allocs
}

func TestABulkyMapIsNotWalkedUnlessAsked(t *testing.T) {
	walk := func(name string) bool { return name == "plain" }
	left, small, walked := bulkyCommit(t, 100_000, nil), bulkyCommit(t, 2, nil), bulkyCommit(t, 100_000, walk)
	if left >= small || left >= walked {
		t.Errorf("a commit beside a bulky map allocates %v times, beside one of two entries that is compared %v, beside one that is walked %v", left, small, walked)
	}
}

type recursive struct{ Next *recursive }
type loop struct{ R recursive }
type opaque struct{ _ int }

func (*loop) Step(*machine.Context, event.Event) {}

func TestWhatCannotBeRecordedIsNamed(t *testing.T) {
	for want, m := range map[string]machine.Machine{
		"type state.recursive contains itself":                   &loop{},
		"S.C: a chan int can't be recorded":                      &machineOf[struct{ C chan int }]{},
		"S.A: a interface {} can't be recorded":                  &machineOf[struct{ A any }]{},
		"S.T: time.Time isn't deterministic":                     &machineOf[struct{ T time.Time }]{},
		"S.M (element): state.opaque has only unexported fields": &machineOf[struct{ M map[string]opaque }]{},
		"S.L: an ordered container inside a slice isn't seen":    &machineOf[struct{ L []machine.Set[int] }]{},
		"S.P: an ordered container inside a ptr":                 &machineOf[struct{ P *machine.Set[int] }]{},
		"fields ID and Id both are the variable \"id\"":          &machineOf[struct{ ID, Id int }]{},
		"S.A: exported, but its cbor tag keeps it out": &machineOf[struct {
			A int `cbor:"-"`
		}]{},
		"S.A: tag option \"readct\": only redact is known": &machineOf[struct {
			A int `hindcast:",readct"`
		}]{},
		"S.Set: an embedded container would be taken for the whole struct": &machineOf[struct{ machine.Set[int] }]{},
	} {
		if _, err := Compile(reflect.TypeOf(m)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if _, err := Compile(reflect.TypeOf(3)); err == nil {
		t.Error("an int is taken for a machine")
	}
}

func TestAnUpgradeTakesTheFieldsThatStay(t *testing.T) {
	type v1 struct {
		Count int
		Gone  string
		Index map[string]int
		Grown struct{ A int }
	}
	type v2 struct {
		Count int64
		Fresh string
		Index machine.Map[string, int]
		Grown struct{ A, B int }
	}
	old := &machineOf[v1]{v1{Count: 3, Gone: "x", Index: map[string]int{"b": 2, "a": 1}}}
	old.S.Grown.A = 4
	b, err := EncodeState(old)
	if err != nil {
		t.Fatal(err)
	}
	m := &machineOf[v2]{v2{Fresh: "default"}}
	m.S.Grown.B = 5
	m.S.Index.Put("of the constructor", 1)
	p := compileFor(t, m)
	if err := p.UpgradeState(m, b); err != nil {
		t.Fatal(err)
	}
	if got, want := text(p.Materialize(m, "s")), `{count: 3, fresh: "default", grown: {a: 4, b: 5}, index: {a: 1, b: 2}}`; got != want {
		t.Fatalf("upgraded to %s, want %s", got, want)
	}
	if err := p.UpgradeState(m, []byte{0x01}); err == nil {
		t.Error("a number was taken for a state")
	}
}

type put struct {
	Key   string
	Value []byte
	At    hlc.Timestamp
}
type get struct{ Key string }

func (*get) PayloadName() string   { return "kv.get" }
func (*get) SchemaVersion() uint32 { return 3 }

func newCodec(t interface{ Fatal(...any) }, zeros ...any) *Codec {
	c, err := NewCodec(zeros)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPayloadsComeBackInTheFormTheyWereRegisteredIn(t *testing.T) {
	c := newCodec(t, put{}, (*get)(nil))
	for _, in := range []struct {
		body    any
		name    string
		version uint32
		want    any
	}{
		{put{"k", []byte("v"), 5}, "put", 1, put{"k", []byte("v"), 5}},
		{&put{Key: "k"}, "put", 1, put{Key: "k"}},
		{get{"\xff"}, "kv.get", 3, &get{"\xff"}},
		{nil, "", 0, nil},
	} {
		name, version, b, err := c.Encode(in.body)
		if err != nil || name != in.name || version != in.version {
			t.Fatalf("encoded %v as %s %d, %v", in.body, name, version, err)
		}
		if got, err := c.Decode(name, version, b); err != nil || !reflect.DeepEqual(got, in.want) {
			t.Fatalf("decoded %v, %v, want %v", got, err, in.want)
		}
	}
	_, _, b, _ := c.Encode(put{"k", []byte("v"), 1 << 40})
	if got, want := text(c.Value("put", 1, b)), `{at: 1970-01-01T00:04:16.000000Z/0, key: "k", value: "v"}`; got != want {
		t.Errorf("shown as %s, want %s", got, want)
	}
	if got := text(c.Value("unknown", 1, []byte("raw"))); got != `"raw"` {
		t.Errorf("an unknown payload is shown as %s", got)
	}
}

func TestACodecRefusesWithAReason(t *testing.T) {
	c := newCodec(t, put{}, &get{})
	deep := strings.Repeat("\x81", 40) + "\x00"
	for _, in := range []struct {
		name    string
		version uint32
		payload string
		want    string
	}{
		{"pull", 1, "", `payload "pull" is not among the types`},
		{"kv.get", 4, "", `has schema version 4, this node knows up to 3`},
		{"", 0, "raw", "raw payload: this machine takes only registered types"},
		{"put", 1, "", "EOF"},
		{"put", 1, "\xa1cKey\x61k\x00", "extraneous"},
		{"put", 1, "\xa2cKey\x61k\x63Key\x61l", "duplicate"},
		{"put", 1, "\xbf\xff", "indefinite"},
		{"put", 1, "\xc1\x00", "tag"},
		{"put", 1, "\xa1cKey" + deep, "nested"},
		{"put", 1, "\xa1eValue\x9b\x00\x00\x00\xff\xff\xff\xff\xff", "exceeded"},
	} {
		_, err := c.Decode(in.name, in.version, []byte(in.payload))
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), in.want) {
			t.Errorf("%s %q: %v, want %s", in.name, in.payload, err, in.want)
		}
	}
	if _, _, _, err := c.Encode(struct{}{}); err == nil {
		t.Error("an unregistered type was encoded")
	}
	type list struct{ L []int }
	long := newCodec(t, list{})
	if name, v, b, err := long.Encode(list{make([]int, payloadElementsMax)}); err != nil {
		t.Error(err)
	} else if _, err := long.Decode(name, v, b); err != nil {
		t.Error(err)
	}
	if _, _, _, err := long.Encode(list{make([]int, payloadElementsMax+1)}); err == nil {
		t.Error("a payload was encoded that no receiver would take")
	}
	raw := newCodec(t, []byte(nil))
	if body, err := raw.Decode("", 0, []byte("x")); body != nil || err != nil {
		t.Errorf("raw bytes: %v %v", body, err)
	}
	var untyped *Codec
	if body, err := untyped.Decode("any", 9, []byte("x")); body != nil || err != nil {
		t.Errorf("untyped: %v %v", body, err)
	}
}

func TestARegistryThatCannotBeIsRefused(t *testing.T) {
	type box[T any] struct{ V T }
	for want, zeros := range map[string][]any{
		"registered as nil":      {nil},
		"has no plain name":      {box[int]{}},
		"the same name \"put\"":  {put{}, &put{}},
		"can't be recorded":      {struct2{}},
		"only unexported fields": {opaque{}},
	} {
		if _, err := NewCodec(zeros); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", zeros, err, want)
		}
	}
}

type struct2 struct{ F func() }

func FuzzPayload(f *testing.F) {
	c := newCodec(f, put{}, everythingPayload{})
	for _, v := range []any{put{"k", []byte("v"), 1}, everythingPayload{M: map[string][]point{"a": {{1, 2, "p"}}}}} {
		_, _, b, err := c.Encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name := range c.byName {
			c.Value(name, 1, b)
			body, err := c.Decode(name, 1, b)
			if err != nil {
				continue
			}
			_, _, once, err := c.Encode(body)
			if err != nil {
				t.Fatal(err)
			}
			again, err := c.Decode(name, 1, once)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, twice, _ := c.Encode(again); string(twice) != string(once) {
				t.Fatalf("%x became %x", once, twice)
			}
		}
	})
}

type everythingPayload struct {
	M map[string][]point
	P *point
	A [3]byte
	F float64
	N int8
	I event.MessageID
	K map[point]bool
}

func FuzzState(f *testing.F) {
	b, err := EncodeState(filled())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		e := &everything{}
		p := compileFor(t, e)
		if p.DecodeState(e, b) != nil {
			return
		}
		variables(p, e)
		once, err := EncodeState(e)
		if err != nil {
			t.Fatal(err)
		}
		back := &everything{}
		if err := p.DecodeState(back, once); err != nil {
			t.Fatal(err)
		}
		if p.FullDigest(back) != p.FullDigest(e) {
			t.Fatal("the digest changed by a round trip")
		}
	})
}

// An event that touches one entry costs the same in a map of any size.
func BenchmarkCommitOfOneEntry(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		for _, replay := range []bool{false, true} {
			b.Run(fmt.Sprintf("entries=%d/changes=%v", n, replay), func(b *testing.B) {
				m := &machineOf[machine.Map[string, point]]{}
				for i := range n {
					m.S.Put(fmt.Sprint(i), point{})
				}
				tr := compileFor(b, m).Track(m, nil)
				var emit Emit
				if replay {
					emit = func(string, []event.Value, event.Value) {}
				}
				tr.Commit(0, emit)
				keys := make([]string, 1024)
				for i := range keys {
					keys[i] = fmt.Sprint(i * 97 % n)
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					m.S.Put(keys[i&1023], point{X: i})
					i++
					tr.Commit(0, emit)
				}
			})
		}
	}
}
