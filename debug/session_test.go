package debug

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/debug/timeline"
	"hindcast.dev/doctest"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/termtext"
)

const second = hlc.Timestamp(hlc.TicksPerSecond << hlc.LogicalBits)

// counter makes a History of nodes whose variable log.n takes the values given,
// one event each, a tick apart.
func counter(t testing.TB, values []int64, nodes int) *history.Mem {
	t.Helper()
	b := history.NewBuilder()
	for n := range nodes {
		b.AddNode(fmt.Sprintf("n%d", n+1), "")
	}
	for i, v := range values {
		b.Append(fmt.Sprintf("n%d", i%nodes+1), history.EventSpec{
			Event: history.Event{Position: history.Position{Time: second + hlc.Timestamp(i)<<hlc.LogicalBits}},
			Set:   []history.Assign{{Path: "log.n", Value: event.Int(v)}},
		})
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// A lateSource refuses walks that begin far from the end, as a large History
// would make them slow.
type lateSource struct {
	history.Source
	from history.Position
}

func (l *lateSource) Walk(ctx context.Context, from, to history.Position, nodes []int) (history.Cursor, error) {
	if from.Compare(l.from) < 0 {
		return nil, errors.New("a walk from the beginning")
	}
	return l.Source.Walk(ctx, from, to, nodes)
}

// What became of messages that arrived is no matter of the whole History.
func TestNotesOnDroppedMessagesAreLookedForWhereOneIsMissing(t *testing.T) {
	src := load(t, `{"node":"n1","ts":@1,"kind":"request","name":"Old"}
{"node":"n1","ts":@2,"kind":"request","name":"Put","effects":[{"kind":"send","id":"a","to":"n2","name":"Copy"},{"kind":"settimer","id":"t","name":"never"}]}
{"node":"n2","ts":@3,"kind":"recv","from":"n1","id":"a","name":"Copy"}
{"node":"n1","ts":@4,"kind":"request","name":"Put","effects":[{"kind":"send","id":"b","to":"n2","name":"Copy"}]}
{"node":"n1","ts":@5,"kind":"note","name":"drop","id":"b","data":{"message":"b","peer":"n2","reason":"link cut"}}`)
	first, err := src.Event(t.Context(), 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	s := NewSession(&lateSource{src, first.Position}, &out)
	for _, line := range []string{"goto n1:2", "effects"} {
		if err := s.Do(t.Context(), line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if !strings.Contains(out.String(), "received at n2:1") {
		t.Errorf("effects said:\n%s", &out)
	}
	s = NewSession(src, &out)
	for _, line := range []string{"goto n1:2", "effects", "goto n1:3", "effects"} {
		if err := s.Do(t.Context(), line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if !strings.Contains(out.String(), "dropped: link cut") {
		t.Errorf("effects said:\n%s", &out)
	}
}

// Of a node that nobody heard of there is neither a state nor a time.
func TestANodeWithoutEventsIsUnknown(t *testing.T) {
	b := history.NewBuilder()
	b.AddNode("n1", "connection refused")
	b.Append("n2", history.EventSpec{Event: history.Event{Position: history.Position{Time: second}}})
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := NewSession(src, &out).Do(t.Context(), "nodes"); err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(out.String(), "\n")
	if !strings.Contains(line, "unknown") || strings.Contains(line, "1970") || strings.Contains(line, "not begun") {
		t.Errorf("nodes says %q", line)
	}
}

func TestGoingBackDoesNotReplayFromTheStart(t *testing.T) {
	values := make([]int64, 5000)
	values[4600] = 1
	mem := counter(t, values, 3)
	all, err := mem.Before(context.Background(), history.End, 1000, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := NewSession(&lateSource{mem, all[0].Position}, io.Discard)
	for _, line := range []string{"goto END", "back", "prev n2", "back 100", "state", "diff", "log 3", "rwhere log.n = 1", "next n1", "goto -1ms", "goto n3:1660"} {
		if err := s.Do(context.Background(), line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if got, want := s.name(s.Position()), "n3:1660"; got != want {
		t.Errorf("arrived at %s, want %s", got, want)
	}
}

func TestBackGoesOverAnyNumberOfEvents(t *testing.T) {
	s := NewSession(counter(t, make([]int64, 2*chunkMax+10), 1), io.Discard)
	for _, step := range []struct{ line, want string }{
		{"goto END", fmt.Sprintf("n1:%d", 2*chunkMax+10)},
		{fmt.Sprintf("back %d", chunkMax), fmt.Sprintf("n1:%d", chunkMax+10)},
		{fmt.Sprintf("back %d", chunkMax+9), "n1:1"},
		{"back", "START"},
		{"step 3", "n1:3"},
		{"back 4", "START"},
		{"back", "START"},
		{fmt.Sprintf("step %d", 3*chunkMax), fmt.Sprintf("n1:%d", 2*chunkMax+10)},
	} {
		if err := s.Do(context.Background(), step.line); err != nil {
			t.Fatalf("%s: %v", step.line, err)
		}
		if got := s.name(s.Position()); got != step.want {
			t.Fatalf("%s: at %s, want %s", step.line, got, step.want)
		}
	}
}

// truths are the cuts at which a condition holds, by walking through all.
func truths(t *rapid.T, src *history.Mem, text string) (at []history.Position, holds []bool) {
	c, err := rql.CompileCondition(src.Meta(), text)
	if err != nil {
		t.Fatal(err)
	}
	cur, err := src.Walk(context.Background(), history.Begin, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	ev, err := c.Evaluator(context.Background(), cur.States(), rql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		e, err := cur.Next()
		if err == io.EOF {
			return at, holds
		}
		if err != nil {
			t.Fatal(err)
		}
		ok, err := ev.Feed(e)
		if err != nil {
			t.Fatal(err)
		}
		at, holds = append(at, e.Position), append(holds, ok)
	}
}

// In the model i is the cut the session is at, from 0, and -1 is before all.
func TestWhereAndRWhereGoWhereTheWholeWalkSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// Long runs as well as short ones, over more than one stretch of rwhere.
		var values []int64
		for len(values) < rapid.SampledFrom([]int{3, 40, 3*chunkFirst + 7}).Draw(rt, "length") {
			n := rapid.SampledFrom([]int{1, 1, 2, 5, chunkFirst, 300}).Draw(rt, "run")
			v := rapid.Int64Range(0, 2).Draw(rt, "value")
			for range n {
				values = append(values, v)
			}
		}
		src := counter(t, values, rapid.IntRange(1, 2).Draw(rt, "nodes"))
		const cond = "log.n = 1"
		at, holds := truths(rt, src, cond)
		i := rapid.IntRange(0, len(at)-1).Draw(rt, "here")

		s := NewSession(src, io.Discard)
		s.at = at[i]
		if err := s.Do(context.Background(), "where "+cond); err != nil {
			rt.Fatal(err)
		}
		want := i
		for k := i + 1; k < len(at); k++ {
			if holds[k] && !holds[k-1] {
				want = k
				break
			}
		}
		if s.at != at[want] {
			rt.Fatalf("where from cut %d: at %v, want cut %d %v", i, s.at, want, at[want])
		}

		s.at = at[i]
		if err := s.Do(context.Background(), "rwhere "+cond); err != nil {
			rt.Fatal(err)
		}
		want, k := i, i
		for k >= 0 && holds[k] {
			k--
		}
		for k >= 0 && !holds[k] {
			k--
		}
		if k >= 0 {
			want = k
		}
		if s.at != at[want] {
			rt.Fatalf("rwhere from cut %d: at %v, want cut %d %v", i, s.at, want, at[want])
		}
	})
}

// In the model the stops are those of a walk from the beginning: continue goes to
// the next one, rewind to the last one before, wherever the session is.
func TestContinueAndRewindStopWhereTheWholeWalkSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var values []int64
		for len(values) < rapid.SampledFrom([]int{3, 40, 3*chunkFirst + 7}).Draw(rt, "length") {
			n := rapid.SampledFrom([]int{1, 1, 2, 5, chunkFirst - 1, chunkFirst, 300}).Draw(rt, "run")
			v := rapid.Int64Range(0, 2).Draw(rt, "value")
			for range n {
				values = append(values, v)
			}
		}
		nodes := rapid.IntRange(1, 2).Draw(rt, "nodes")
		src := counter(t, values, nodes)
		const cond = "log.n = 1"
		at, holds := truths(rt, src, cond)
		stops := map[int]bool{}
		s := NewSession(src, io.Discard)
		do := func(line string) {
			if err := s.Do(context.Background(), line); err != nil {
				rt.Fatalf("%s: %v", line, err)
			}
		}
		if rapid.Bool().Draw(rt, "condition") {
			do("break where " + cond)
			for i := range at {
				stops[i] = stops[i] || holds[i] && (i == 0 || !holds[i-1])
			}
		}
		if rapid.Bool().Draw(rt, "change") || len(stops) == 0 {
			do("break change n1 log.n")
			last := int64(-1)
			for i := 0; i < len(at); i += nodes { // those of n1
				stops[i] = stops[i] || values[i] != last
				last = values[i]
			}
		}
		i := rapid.IntRange(-1, len(at)-1).Draw(rt, "here")
		for _, back := range []bool{false, true} {
			want, step := i+1, 1
			line := "continue"
			if back {
				want, step, line = i-1, -1, "rewind"
			}
			for want >= 0 && want < len(at) && !stops[want] {
				want += step
			}
			s.at = history.Begin
			if i >= 0 {
				s.at = at[i]
			}
			do(line)
			arrived := history.Begin
			if want >= 0 {
				arrived = at[min(want, len(at)-1)]
			}
			if s.at != arrived {
				rt.Fatalf("%s from cut %d: at %v, want cut %d %v", line, i, s.at, want, arrived)
			}
		}
	})
}

// Whatever is done, undo leads back through all that was, and redo to where it was.
func TestUndoAndRedoLeadThroughWhatWas(t *testing.T) {
	lines := []string{"step", "step 3", "back", "goto END", "goto START", "mark a", "mark b note", "note b another", "unmark a", "break node n1", "break kind set", "delete 1",
		"delete all", "watch log.n", "unwatch all", "next n1", "where log.n = 1"}
	rapid.Check(t, func(rt *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 2), 5, 20).Draw(rt, "values")
		s := NewSession(counter(t, values, 2), io.Discard)
		shown := func() string {
			return fmt.Sprint(s.at, s.marks, s.watched, len(s.breaks))
		}
		was := []string{shown()}
		for range rapid.IntRange(1, 12).Draw(rt, "commands") {
			version, at := s.version, s.at
			_ = s.Do(context.Background(), rapid.SampledFrom(lines).Draw(rt, "line")) // one that fails changes nothing
			if s.version != version || s.at != at {
				was = append(was, shown())
			} else if got := was[len(was)-1]; got != shown() {
				rt.Fatalf("changed unseen: %s, was %s", shown(), got)
			}
		}
		for _, way := range []string{"undo", "redo"} {
			for i := 1; i < len(was); i++ {
				if err := s.Do(context.Background(), way); err != nil {
					rt.Fatal(err)
				}
				want := was[len(was)-1-i]
				if way == "redo" {
					want = was[i]
				}
				if shown() != want {
					rt.Fatalf("%s %d: %s, want %s", way, i, shown(), want)
				}
			}
			if err := s.Do(context.Background(), way); err == nil {
				rt.Fatalf("%s beyond the end: no error", way)
			}
		}
	})
}

// With an index of the events a session says the same, in fewer steps.
func TestAnIndexMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 2), 1, 60).Draw(rt, "values")
		src := counter(t, values, rapid.IntRange(1, min(3, len(values))).Draw(rt, "nodes"))
		x, err := timeline.Build(t.Context(), src, nil)
		if err != nil {
			rt.Fatal(err)
		}
		var plain, indexed bytes.Buffer
		a, b := NewSession(src, &plain), NewSession(src, &indexed)
		b.Index = func() *timeline.Index { return x }
		for range rapid.IntRange(1, 15).Draw(rt, "commands") {
			line := rapid.SampledFrom([]string{"step", "step 7", "back", "back 5", "back 1000", "step 1000", "step n1 3", "back n1 2", "next n1", "prev n1",
				"goto +1ms", "goto -1ms", "goto END", "goto START", "goto 00:00:01.0002", "diagram 7", "diff", "state", "nodes", "undo"}).Draw(rt, "line")
			plain.Reset()
			indexed.Reset()
			errA, errB := a.Do(t.Context(), line), b.Do(t.Context(), line)
			if fmt.Sprint(errA) != fmt.Sprint(errB) || plain.String() != indexed.String() || a.Position() != b.Position() {
				rt.Fatalf("%s: without an index\n%s%v\nwith one\n%s%v", line, plain.String(), errA, indexed.String(), errB)
			}
		}
	})
}

func TestACommandThatIsInterruptedLeavesThePlace(t *testing.T) {
	s := NewSession(counter(t, make([]int64, 100), 2), io.Discard)
	if err := s.Do(context.Background(), "step 5"); err != nil {
		t.Fatal(err)
	}
	here := s.Position()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.src = &interrupted{s.src}
	for _, line := range []string{"step", "back", "next n1", "prev n1", "where log.n = 1", "rwhere log.n = 1", "goto n1:9", "goto END", "state", "diff", "log", "diagram", "effects"} {
		if err := s.Do(ctx, line); err != nil && !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), context.Canceled.Error()) {
			t.Errorf("%s: %v", line, err)
		}
		if line != "goto END" && s.Position() != here {
			t.Errorf("%s: moved to %v", line, s.Position())
		}
		s.at = here
	}
}

// interrupted is a Source that looks at the context as one on disk does.
type interrupted struct{ history.Source }

func (i *interrupted) Walk(ctx context.Context, from, to history.Position, nodes []int) (history.Cursor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return i.Source.Walk(ctx, from, to, nodes)
}

func (i *interrupted) Before(ctx context.Context, p history.Position, n int, nodes []int) ([]history.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return i.Source.Before(ctx, p, n, nodes)
}

func (i *interrupted) Event(ctx context.Context, node int, seq uint64) (*history.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return i.Source.Event(ctx, node, seq)
}

func TestScriptStopsAtTheFirstErrorUnlessToldToGoOn(t *testing.T) {
	const text = "step\n\n# a comment\nsetp\nstep\nnext n9\n"
	for _, keepGoing := range []bool{false, true} {
		var out bytes.Buffer
		s := NewSession(counter(t, make([]int64, 5), 1), &out)
		err := Script(context.Background(), s, strings.NewReader(text), keepGoing)
		var se *ScriptError
		if !errors.As(err, &se) || se.Line != 4 {
			t.Fatalf("keepGoing %v: %v, want an error of line 4", keepGoing, err)
		}
		var ce *CommandError
		if !errors.As(err, &ce) || ce.Command != "setp" {
			t.Errorf("keepGoing %v: %v, want a *CommandError of setp", keepGoing, err)
		}
		want, failed := "n1:1", 1
		if keepGoing {
			want, failed = "n1:2", 2
		}
		if got := s.name(s.Position()); got != want || se.Failed != failed {
			t.Errorf("keepGoing %v: ended at %s after %d failures, want %s and %d", keepGoing, got, se.Failed, want, failed)
		}
		if !strings.Contains(out.String(), "> step\n") || keepGoing != strings.Contains(out.String(), "error: setp: no such command") {
			t.Errorf("keepGoing %v: printed\n%s", keepGoing, out.String())
		}
	}
}

func TestQuitEndsAScript(t *testing.T) {
	s := NewSession(counter(t, make([]int64, 5), 1), io.Discard)
	if err := Script(context.Background(), s, strings.NewReader("step\nq\nnonsense\n"), false); err != nil {
		t.Error(err)
	}
	if err := s.Do(context.Background(), "exit"); !errors.Is(err, ErrQuit) {
		t.Errorf("exit: %v, want ErrQuit", err)
	}
}

func TestALineTooLongIsAnError(t *testing.T) {
	s := NewSession(counter(t, make([]int64, 5), 1), io.Discard)
	for _, n := range []int{lineMax - 8, lineMax + 1} {
		err := Script(context.Background(), s, strings.NewReader("#"+strings.Repeat("x", n)), false)
		if tooLong := n > lineMax; tooLong != (err != nil) {
			t.Errorf("a line of %d bytes: %v", n+1, err)
		}
	}
}

func TestCompleteOffersCommandsNodesAndVariables(t *testing.T) {
	s := NewSession(load(t, `{"node":"n1","ts":@1,"set":{"kv.items":{},"kv.count":1}}
{"node":"n2","ts":@1,"set":{"node.up":true}}`), io.Discard)
	for _, c := range []struct{ line, head, want, tail string }{
		{"st|", "", "state step", ""},
		{"|", "", strings.Join(commandNames(), " "), ""},
		{"next |", "next ", "n1 n2", ""},
		{"p n|", "p ", "n1 n2", ""},
		{"next n1 |", "next n1 ", "", ""},
		{"goto n|", "goto ", "n1: n2:", ""},
		{"goto E|", "goto ", "END", ""},
		{"diff S|", "diff ", "START", ""},
		{"state |", "state ", "n1 n2 kv.count kv.items node.up", ""},
		{"state n1 kv.|", "state n1 ", "kv.count kv.items", ""},
		{"where (kv.c| > 1) LINK SAME_NODE", "where (", "kv.count", " > 1) LINK SAME_NODE"},
		{"rwhere node.up AND kv.i|", "rwhere node.up AND ", "kv.items", ""},
		{"help st|", "help ", "state step", ""},
		{"help step |", "help step ", "", ""},
		{"nonsense |", "nonsense ", "", ""},
		{"event |", "event ", "", ""},
	} {
		pos := strings.IndexByte(c.line, '|')
		head, words, tail := s.Complete(strings.Replace(c.line, "|", "", 1), pos)
		if head != c.head || strings.Join(words, " ") != c.want || tail != c.tail {
			t.Errorf("%s: %q %q %q, want %q %q %q", c.line, head, words, tail, c.head, c.want, c.tail)
		}
	}
	if head, _, tail := s.Complete("step", 99); head != "" || tail != "" {
		t.Errorf("a position behind the line: %q, %q", head, tail)
	}
}

func TestNamesAndAliasesAreGivenOnce(t *testing.T) {
	seen := map[string]string{}
	for _, c := range Commands() {
		if c.Short == "" || c.run == nil {
			t.Errorf("%s: it says nothing or does nothing", c.Name)
		}
		for _, n := range append([]string{c.Name}, c.Aliases...) {
			if other, twice := seen[n]; twice {
				t.Errorf("%s stands for %s and %s", n, other, c.Name)
			}
			seen[n] = c.Name
		}
	}
}

func TestTheDocumentedTableIsThatOfTheCommands(t *testing.T) {
	var want strings.Builder
	if err := WriteDoc(&want); err != nil {
		t.Fatal(err)
	}
	doctest.Section(t, "../docs/debug.md", "<!-- made from debug.Commands", want.String(), *rewrite)
}

func TestDiagramsStayWithinTheirWidthAndKeepTheLettersOfMessages(t *testing.T) {
	src := load(t, `{"node":"node-one","ts":@1,"kind":"request","name":"Go","effects":[{"kind":"send","id":"m1","to":"node-two","name":"AVeryLongMessageName"},{"kind":"send","id":"m2","to":"node-three","name":"AnotherLongMessageName"},{"kind":"send","id":"m3","to":"node-four","name":"NotShown"}]}
{"node":"node-two","ts":@2,"kind":"recv","id":"m1","from":"node-one","name":"AVeryLongMessageName"}
{"node":"node-three","ts":@3,"kind":"note","name":"drop","id":"m2","from":"node-one","data":{"peer":"node-one","reason":"a reason that takes many words to be told in full"}}
{"node":"node-four","ts":@9,"kind":"timer","name":"late"}
`)
	for width := 50; width <= 120; width += 5 {
		var out strings.Builder
		s := NewSession(src, &out)
		s.Width = width
		for _, line := range []string{"goto node-two:1", "diagram 3"} {
			if err := s.Do(t.Context(), line); err != nil {
				t.Fatal(err)
			}
		}
		text := out.String()
		for line := range strings.Lines(text) {
			if n := termtext.Columns(strings.TrimRight(line, "\n")); n > width && strings.Contains(line, "│") {
				t.Errorf("%d columns where there are %d: %s", n, width, line)
			}
		}
		if strings.Contains(text, "node-four") && !strings.Contains(text, "→ node-four") {
			t.Errorf("width %d: a lane for a node without events:\n%s", width, text)
		}
		for _, want := range []string{"recv.* a\\b", "note.* b\\b", "├─.* a─", "├─.* b─"} {
			if !regexp.MustCompile(want).MatchString(text) {
				t.Errorf("width %d: no %s in\n%s", width, want, text)
			}
		}
	}
}

func TestATimeOfDayIsOfTheDayThatTheRecordingReaches(t *testing.T) {
	src := load(t, `{"node":"n1","ts":"2026-01-01T23:59:58Z","set":{"log.n":1}}
{"node":"n1","ts":"2026-01-02T00:00:02Z","set":{"log.n":2}}
{"node":"n1","ts":"2026-01-02T00:00:04Z/3","set":{"log.n":3}}
`)
	for arg, want := range map[string]uint64{"23:59:59": 1, "23:59:57": 0, "0:00:03": 2, "00:00:03.9": 2, "00:00:04.000000": 3, "00:00:04.0Z/3": 3, "00:01": 3} {
		s := NewSession(src, io.Discard)
		if err := s.Do(t.Context(), "goto "+arg); err != nil || s.Position().Seq != want {
			t.Errorf("goto %s: at event %d, %v; want %d", arg, s.Position().Seq, err, want)
		}
	}
}

// One event of one node is changed, at random: that is where the two part, and
// nowhere else.
func TestCompareFindsTheEventThatDiffers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 2), 1, 30).Draw(rt, "values")
		nodes := rapid.IntRange(1, min(3, len(values))).Draw(rt, "nodes")
		other := slices.Clone(values)
		i := rapid.IntRange(0, len(values)-1).Draw(rt, "event")
		other[i] += 7
		c, err := Compare(t.Context(), counter(t, values, nodes), counter(t, other, nodes))
		if err != nil {
			rt.Fatal(err)
		}
		if len(c.Nodes) != nodes || c.Same() {
			rt.Fatalf("%d nodes, same: %v", len(c.Nodes), c.Same())
		}
		d := c.Nodes[0]
		if want := fmt.Sprintf("n%d", i%nodes+1); d.Node != want || d.Same != uint64(i/nodes) || d.What != "changes" || d.Here.Seq != d.Same+1 || d.There.Seq != d.Same+1 {
			rt.Fatalf("%+v, want event %d of %s", d, i/nodes+1, want)
		}
		for _, d := range c.Nodes[1:] {
			if d.What != "" {
				rt.Fatalf("%s differs too: %+v", d.Node, d)
			}
		}
	})
}

func TestNearbyIsTheSameWithAnIndexAndWithout(t *testing.T) {
	ctx := context.Background()
	mem := counter(t, make([]int64, 30), 3)
	x, err := timeline.Build(ctx, mem, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"START", "n1:1", "n2:5", "END"} {
		var got [2]string
		for i, index := range []func() *timeline.Index{nil, func() *timeline.Index { return x }} {
			s := NewSession(mem, io.Discard)
			s.Index = index
			if err := s.Do(ctx, "goto "+at); err != nil {
				t.Fatal(err)
			}
			es, err := s.Nearby(ctx, 3, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range es {
				got[i] += s.name(e.Position) + " "
			}
		}
		want := map[string]string{"START": "n1:1 n2:1 ", "n1:1": "n1:1 n2:1 n3:1 ", "n2:5": "n3:4 n1:5 n2:5 n3:5 n1:6 ", "END": "n1:10 n2:10 n3:10 "}[at]
		if got[0] != want || got[1] != want {
			t.Errorf("at %s: %q, with an index %q, want %q", at, got[0], got[1], want)
		}
	}
}

func TestADiagramOfSomeLanesTellsOfTheOtherNodesAcrossThem(t *testing.T) {
	mem := counter(t, make([]int64, 4), 3)
	es, err := mem.Before(context.Background(), history.End, 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := Diagram{Meta: mem.Meta(), Events: es, Lanes: []int{2, 0}, Mark: es[1].Position, Width: 60}
	var got []string
	for _, l := range d.Lines() {
		got = append(got, fmt.Sprint(l.Event, " ", strings.TrimSpace(l.Text[min(len(l.Text), timeColumns):])))
	}
	want := []string{"-1 n3                   n1", "0 │                    ● set", "1 │ ◆ n2: set          │", "2 ● set                │", "3 │                    ● set"}
	for i := range want {
		if i >= len(got) || strings.Join(strings.Fields(got[i]), " ") != strings.Join(strings.Fields(want[i]), " ") {
			t.Errorf("line %d of\n%s\nwant %q", i, strings.Join(got, "\n"), want[i])
		}
	}
}

func TestADiagramKeepsTheLettersOfMessages(t *testing.T) {
	b := history.NewBuilder()
	for i, id := range []string{"a/1/1/0", "a/1/2/0"} {
		at := second + hlc.Timestamp(i)*second
		b.Append("a", history.EventSpec{Event: history.Event{Position: history.Position{Time: at}, Kind: "request",
			Effects: []history.Effect{{Kind: "send", ID: id, Peer: "b", Name: "M"}}}})
		b.Append("b", history.EventSpec{Event: history.Event{Position: history.Position{Time: at + 1}, Kind: "recv", ID: id, Peer: "a"}})
	}
	mem, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	es, err := mem.Before(context.Background(), history.End, 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{}
	for _, rows := range [][]history.Event{es[2:], es} {
		d := Diagram{Meta: mem.Meta(), Events: rows, Labels: labels}
		d.Lines()
	}
	if labels["a/1/2/0"] != "a" || labels["a/1/1/0"] != "b" {
		t.Errorf("labels %v, want the second message's kept, a, and b for the first", labels)
	}
}

// A closingBuffer is a file that a session made.
type closingBuffer struct {
	strings.Builder
	closed bool
}

func (b *closingBuffer) Close() error { b.closed = true; return nil }

func TestThePresentViewIsAPage(t *testing.T) {
	src := load(t, `{"node":"n1","ts":@1,"kind":"request","name":"Put","effects":[{"kind":"send","id":"1","to":"n2","name":"Copy"},{"kind":"send","id":"2","to":"n2","name":"Gone"}],"set":{"kv.count":1}}
{"node":"n2","ts":@2,"kind":"recv","id":"1","from":"n1","name":"Copy","set":{"kv.count":1}}
{"node":"n1","ts":@3,"kind":"note","name":"drop","data":{"message":"2","peer":"n2","reason":"full"}}
`)
	s := NewSession(src, io.Discard)
	s.Title = "a store"
	files := map[string]*closingBuffer{}
	s.Create = func(name string) (io.WriteCloser, error) {
		files[name] = &closingBuffer{}
		return files[name], nil
	}
	for _, line := range []string{"export html", "goto n2:1", `mark here "the copy"`, "query SELECT kv.count FROM kv", "export html copy.html", "goto n1:1", "export html put.html over START to n2:1"} {
		if err := s.Do(context.Background(), line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	for file, want := range map[string][]string{
		"hindcast-START.html": {"the beginning", "a store"},
		"copy.html":           {"came of", ">n1:1<", "the copy", "SELECT kv.count FROM kv", "3 events drawn"},
		"put.html":            {"dropped: full", "received at n2:1", "2 events drawn; left out are 0 events before and 1 after"},
	} {
		f := files[file]
		if f == nil || !f.closed {
			t.Errorf("%s isn't written", file)
			continue
		}
		for _, w := range want {
			if !strings.Contains(f.String(), w) {
				t.Errorf("%s has no %q", file, w)
			}
		}
	}
	if err := s.Do(context.Background(), "export html x.html over n1:9 to n2:1"); err == nil {
		t.Error("a stretch that isn't there")
	}
}

func TestANodesNameMayHaveSpaces(t *testing.T) {
	src, err := history.ReadText(strings.NewReader(`{"node":"n 1: \"x\"","ts":"2026-01-01T00:00:01Z","set":{"kv.m":{"a b":1}}}
{"node":"n 1: \"x\"","ts":"2026-01-01T00:00:02Z","set":{"kv.m":{"a b":2}}}
{"node":"n","ts":"2026-01-01T00:00:03Z","set":{"kv.m":{"a b":1}}}
`), "odd", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := NewSession(src, io.Discard)
	for _, c := range []struct{ line, kind string }{
		{`goto n 1: "x":2`, "event"},
		{`state n 1: "x" kv.m["a b"]`, "variable"},
		{`state n 1: "x"`, "variable"},
		{`cause n 1: "x" kv.m["a b"]`, "origin"},
		{`diff n 1: "x":1`, "difference"},
		{`diff n 1: "x":1 kv.m["a b"]`, "difference"},
		{`back n 1: "x" 1`, "event"},
		{`break change n 1: "x" kv.m["a b"]`, "breakpoint"},
	} {
		a, err := s.Ask(t.Context(), c.line)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if !slices.ContainsFunc(a.Parts, func(p Part) bool { return p.kind() == c.kind }) {
			t.Errorf("%s: says no %s", c.line, c.kind)
		}
	}
	if _, err := s.Ask(t.Context(), `diff n:1 kv.none`); err == nil || !strings.Contains(err.Error(), `"kv.none" is no variable`) {
		t.Errorf("a misprint: %v", err)
	}
}

// What an event changed is found through what it says it changed; that is what the
// states before and after it differ in.
func TestADiffOfAnEventIsThatOfItsStates(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		paths := []string{`kv.m`, `kv.m["a"]`, `kv.m["a"].x`, `kv.m["b"].x`, `kv.l`, `kv.n`}
		var text strings.Builder
		n := rapid.IntRange(1, 8).Draw(rt, "events")
		for i := range n {
			fmt.Fprintf(&text, `{"node":"n","ts":"2026-01-01T00:00:%02dZ","set":{`, i)
			for k, path := range rapid.SliceOfNDistinct(rapid.SampledFrom(paths), 1, 4, rapid.ID[string]).Draw(rt, "paths") {
				if k > 0 {
					text.WriteString(",")
				}
				v := rapid.SampledFrom([]string{`1`, `2`, `{}`, `{"a":{"x":1}}`, `{"a":{"x":2},"b":3}`, `[1,2]`, `[1,3]`}).Draw(rt, "value")
				fmt.Fprintf(&text, `%q:%s`, path, v)
			}
			text.WriteString("}}\n")
		}
		src, err := history.ReadText(strings.NewReader(text.String()), "any", history.TextOptions{})
		if err != nil {
			rt.Fatal(err)
		}
		s := NewSession(src, io.Discard)
		for i := range n {
			s.at = must(t, func() (history.Position, error) { return s.Locate(t.Context(), fmt.Sprintf("n:%d", i+1)) })
			got := differencesOf(t, s, "diff")
			other := "START"
			if i > 0 {
				other = fmt.Sprintf("n:%d", i)
			}
			if want := differencesOf(t, s, "diff "+other); !slices.Equal(got, want) {
				rt.Fatalf("event %d of\n%s\nsays   %q\nstates %q", i+1, text.String(), got, want)
			}
		}
	})
}

func must[T any](t *testing.T, f func() (T, error)) T {
	t.Helper()
	v, err := f()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// differencesOf are the differences that a command tells, in order.
func differencesOf(t *testing.T, s *Session, line string) (out []string) {
	t.Helper()
	for _, p := range must(t, func() (*Answer, error) { return s.AskAt(t.Context(), s.at, line) }).Parts {
		if d, ok := p.(*Difference); ok {
			out = append(out, fmt.Sprint(d.Path, d.Before, d.After))
		}
	}
	slices.Sort(out)
	return out
}
