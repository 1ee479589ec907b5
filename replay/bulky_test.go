package replay

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/journal"
	"hindcast.dev/machine"
	"hindcast.dev/vfs"
)

// shelves keeps its things in a plain map and a slice, and counts beside them.
type shelves struct {
	Map  map[string]string
	List []string
	N    int
}

func (*shelves) Payloads() []any { return (&store{}).Payloads() }

func (s *shelves) Step(_ *machine.Context, ev event.Event) {
	b, ok := ev.Body.(Put)
	if !ok {
		return
	}
	if s.Map == nil {
		s.Map = map[string]string{}
	}
	switch n, _ := strconv.Atoi(b.Value); b.Key {
	case "fill":
		for i := range n {
			s.Map[strconv.Itoa(i)] = "v"
			s.List = append(s.List, "e")
		}
	case "count":
		s.N++
	case "push":
		s.List = append(s.List, b.Value)
	case "pop":
		s.List = s.List[:max(0, len(s.List)-1)]
	case "poke":
		if n < len(s.List) {
			s.List[n] = "poked"
		}
	case "delete":
		delete(s.Map, b.Value)
	default:
		s.Map[b.Key] = b.Value
	}
}

// A shelf is what is in shelves: the model, changed by the test itself.
type shelf struct {
	m    map[string]string
	list []string
}

func (s *shelf) fill(n int) {
	for i := range n {
		s.m[strconv.Itoa(i)] = "v"
		s.list = append(s.list, "e")
	}
}

// values are the model's map and list as a History has them.
func (s *shelf) values() [2]event.Value {
	var entries []event.Entry
	for k, v := range s.m {
		entries = append(entries, event.Entry{Key: event.String(k), Value: event.String(v)})
	}
	var list []event.Value
	for _, e := range s.list {
		list = append(list, event.String(e))
	}
	return [2]event.Value{event.MapOf(event.NewMap(entries...)), event.List(list...)}
}

func shelvesRig(t testing.TB) *rig {
	r := newRig(t, "n1")
	r.reg = machine.Registry{"store": {1: func() machine.Machine { return &shelves{} }}}
	return r.open()
}

var walkBoth = []string{"store.map", "store.list"}

// compareWalked checks the walked column against the model at the requests that
// it is given for.
func compareWalked(t testing.TB, src history.Source, models map[int][2]event.Value) {
	t.Helper()
	requests := find(allEvents(t, src), "request", "Put")
	for i, want := range models {
		for j, variable := range walkBoth {
			got := at(t, src, "n1", requests[i].Seq, variable)
			if !event.Equal(got, want[j]) {
				t.Fatalf("%s after request %d has %d entries, the model %d, or others", variable, i, got.Len(), want[j].Len())
			}
		}
	}
}

func TestAWalkedColumnIsTheMapOfAHundredThousand(t *testing.T) {
	r := shelvesRig(t)
	s := shelf{m: map[string]string{}}
	models := map[int][2]event.Value{}
	for i, p := range []Put{{"a", "1"}, {"fill", "100000"}, {"count", ""}, {"500", "changed"}, {"delete", "7"}, {"poke", "12345"}, {"push", "last"}} {
		r.tick(time.Millisecond).ask(p)
		switch i {
		case 0:
			s.m["a"] = "1"
		case 1:
			s.fill(100_000)
		case 3:
			s.m["500"] = "changed"
		case 4:
			delete(s.m, "7")
		case 5:
			s.list[12345] = "poked"
		case 6:
			s.list = append(s.list, "last")
		}
		if i == 0 || i == 2 || i == 6 {
			models[i] = s.values()
		}
	}
	r.stop()
	left, _ := r.replayed(Options{})
	filled := find(allEvents(t, left), "request", "Put")[1]
	for _, name := range walkBoth {
		id, _ := left.Meta().VarID(name)
		if got, want := fmt.Sprint(left.Meta().Vars[id].Bulky), fmt.Sprint([]history.Bulky{{Node: 0, From: filled.Time}}); got != want {
			t.Errorf("%s is bulky %s, want %s", name, got, want)
		}
	}
	m, res := r.replayed(Options{Walk: walkBoth})
	if len(res.Problems) > 0 {
		t.Fatal(res.Problems)
	}
	compareWalked(t, m, models)
	for _, v := range m.Meta().Vars {
		if len(v.Bulky) > 0 {
			t.Errorf("%s is bulky, although it is walked", v.Name)
		}
	}
	var changes []string
	for _, e := range find(allEvents(t, m), "request", "Put")[2:] {
		for _, c := range e.Changes {
			changes = append(changes, event.PathString(m.Meta().Vars[c.Var].Name, c.Path))
		}
	}
	if got, want := strings.Join(changes, " "), `store.n store.map["500"] store.map["7"] store.list[12345] store.list[100000]`; got != want {
		t.Errorf("an event changes what it touched: %s, want %s", got, want)
	}
}

func TestAWalkedColumnIsWhatTheMapWas(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := shelvesRig(t)
		s := shelf{m: map[string]string{}}
		models := map[int][2]event.Value{}
		number := rapid.Map(rapid.IntRange(0, 320), strconv.Itoa)
		for i := range rapid.IntRange(1, 12).Draw(rt, "requests") {
			p := Put{rapid.SampledFrom([]string{"fill", "push", "pop", "poke", "delete", "count", "x"}).Draw(rt, "what"), number.Draw(rt, "n")}
			n, _ := strconv.Atoi(p.Value)
			switch p.Key {
			case "fill":
				s.fill(n)
			case "push":
				s.list = append(s.list, p.Value)
			case "pop":
				s.list = s.list[:max(0, len(s.list)-1)]
			case "poke":
				if n < len(s.list) {
					s.list[n] = "poked"
				}
			case "delete":
				delete(s.m, p.Value)
			case "x":
				p.Key = number.Draw(rt, "key")
				s.m[p.Key] = p.Value
			}
			r.tick(time.Millisecond).ask(p)
			models[i] = s.values()
		}
		r.stop()
		m, _ := r.replayed(Options{Walk: walkBoth})
		compareWalked(t, m, models)
	})
}

// A node whose journal begins with a checkpoint has the variables bulky from
// there on, or walked.
func TestWhatIsBulkyInACheckpointIsSoInTheBase(t *testing.T) {
	r := newRig(t, "n1")
	r.reg = machine.Registry{"store": {1: func() machine.Machine { return &shelves{} }}}
	r.every = 100
	r.jopts = func(o *journal.Options) { o.SegmentBytes, o.RetainBytes = 16<<10, 32<<10 }
	r.open().ask(Put{"fill", "300"})
	for range 500 {
		r.tick(time.Millisecond).ask(Put{"count", ""})
	}
	r.stop()
	m, res := r.replayed(Options{})
	id, ok := m.Meta().VarID("store.map")
	if res.Base == 0 || !ok || len(m.Meta().Vars[id].Bulky) != 1 || m.Meta().Vars[id].Bulky[0].From != m.Meta().First.Time {
		t.Fatalf("from %d: %+v", res.Base, m.Meta().Vars)
	}
	m, _ = r.replayed(Options{Walk: walkBoth})
	if got := at(t, m, "n1", res.First, "store.map").Len(); got != 300 {
		t.Errorf("walked, the base has %d entries", got)
	}
}

func TestOpenedIsWalkedOnceAndKept(t *testing.T) {
	fsys := vfs.NewMem()
	r := shelvesRig(t).ask(Put{"fill", "300"}).stop()
	recordRigs(t, fsys, r)
	var begun []string
	o := Options{FS: fsys, Service: "store", Registry: r.reg, Build: "b1", Begin: func(walked []string) { begun = append(begun, fmt.Sprint(walked)) }}
	open := func(o Options) *Opened {
		t.Helper()
		out, err := Open(t.Context(), "rec", o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { out.Close() })
		return out
	}
	walk := func(out *Opened, variables ...string) *Opened {
		t.Helper()
		n, err := out.Walk(t.Context(), variables)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		return n
	}
	plain := open(o)
	before := hash(t, plain.Source)
	one := walk(plain, "store.map")
	both := walk(one, "store.list")
	again := walk(open(o), "store.list")
	if want := "[[] [store.map] [store.list store.map]]"; fmt.Sprint(begun) != want {
		t.Errorf("replayed %v, want %s", begun, want)
	}
	if !again.Reused || again.Dir != "rec/history/b1~walked" {
		t.Errorf("%+v", again.Replayed)
	}
	last := both.Source.Meta().Last.Seq
	for _, out := range []*Opened{both, again} {
		if n, m := at(t, out.Source, "n1", last, "store.map").Len(), at(t, out.Source, "n1", last, "store.list").Len(); n != 300 || m != 300 {
			t.Errorf("%d and %d entries", n, m)
		}
	}
	if after := hash(t, open(o).Source); after != before {
		t.Error("the History without them is another now")
	}
	// Now no code is needed, for what was walked.
	code := open(Options{FS: fsys})
	if out := walk(code, "store.map"); !out.Reused {
		t.Error("replayed without code")
	}
}

func TestWalkWithoutCodeSaysWhatToDo(t *testing.T) {
	fsys := vfs.NewMem()
	r := shelvesRig(t).ask(Put{"fill", "300"}).stop()
	recordRigs(t, fsys, r)
	out, err := Open(t.Context(), "rec", Options{FS: fsys, Service: "store", Registry: r.reg, Build: "b1"})
	if err != nil {
		t.Fatal(err)
	}
	out.Close()
	for what, want := range map[string]string{
		"rec":            "hindcast query --exec ./store rec",
		"rec/history/b1": "--exec ./service RECORDING",
	} {
		out, err := Open(t.Context(), what, Options{FS: fsys, Command: "hindcast query"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = out.Walk(t.Context(), []string{"store.map"})
		var walk *WalkError
		if !errors.As(err, &walk) || !slices.Equal(walk.Variables, []string{"store.map"}) ||
			!strings.Contains(err.Error(), "store.map is too large to be compared") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "there is a History") {
			t.Errorf("%s: %v", what, err)
		}
		out.Close()
	}
	if _, err := fsys.Stat("rec/history/b1~walked"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
	// A node's directory is replayed again, in memory.
	data, err := Open(t.Context(), "rec/nodes/n1", Options{FS: fsys, Registry: r.reg})
	if err != nil {
		t.Fatal(err)
	}
	walked, err := data.Walk(t.Context(), []string{"store.map"})
	if err != nil || at(t, walked.Source, "n1", walked.Source.Meta().Last.Seq, "store.map").Len() != 300 {
		t.Errorf("%v", err)
	}
}

// An event beside large plain maps costs what it touches; walked, it costs a look
// at every entry.
func BenchmarkReplayBesideAPlainMapOf(b *testing.B) {
	for _, n := range []string{"10", "100000"} {
		for name, walk := range map[string][]string{"left": nil, "walked": walkBoth} {
			b.Run(n+"/"+name, func(b *testing.B) {
				r := shelvesRig(b).ask(Put{"fill", n})
				for range 100 {
					r.tick(time.Millisecond).ask(Put{"count", ""})
				}
				r.stop()
				for b.Loop() {
					r.replayed(Options{Walk: walk})
				}
			})
		}
	}
}
