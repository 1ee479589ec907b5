package history_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/history/historytest"
)

func writeText(t interface{ Fatalf(string, ...any) }, src history.Source) string {
	var b bytes.Buffer
	if err := history.WriteText(&b, src); err != nil {
		t.Fatalf("write: %v", err)
	}
	return b.String()
}

func readText(t interface{ Fatalf(string, ...any) }, text string) *history.Mem {
	m, err := history.ReadText(strings.NewReader(text), "x.jsonl", history.TextOptions{})
	if err != nil {
		t.Fatalf("read: %v\n%s", err, text)
	}
	return m
}

// trace is a whole walk as text: each entry without its changes, and the node's
// variables after it.
func trace(t interface{ Fatalf(string, ...any) }, src history.Source) string {
	c, err := src.Walk(context.Background(), history.Begin, history.End, nil)
	if err != nil {
		t.Fatalf("walk: %v", err)
	}
	defer c.Close()
	var b strings.Builder
	meta := src.Meta()
	states := make([]*history.State, len(meta.Nodes))
	for i, n := range meta.Nodes {
		states[i] = history.NewState()
		fmt.Fprintf(&b, "%+v\n", n)
	}
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatalf("walk: %v", err)
		}
		states[e.Node].ApplyAll(e.Changes)
		bare := *e
		bare.Changes = nil
		fmt.Fprintf(&b, "%s -> %s\n", historytest.Describe(meta, &bare), historytest.DescribeState(meta, states[e.Node]))
	}
}

func TestTextReadsBackAsTheSameWalkAndStates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := historytest.Generate(historytest.Shape{Entries: 20}).Draw(t, "history")
		src, err := openMem(m.Feed)
		if err != nil {
			t.Fatal(err)
		}
		text := writeText(t, src)
		back := readText(t, text)
		if got, want := trace(t, back), trace(t, src); got != want {
			t.Fatalf("text:\n%s\n got %s\nwant %s", text, got, want)
		}
		// What the text says is said once and for all: changes, too, stay as they are.
		if again := writeText(t, back); again != text {
			t.Fatalf("written again:\n%s\nwant\n%s", again, text)
		}
	})
}

const threeLines = `{"node":"n1","ts":"7493989779944505344","pt":"7493989779944505000","set":{"inv.a":1,"inv.b":{"$set":[1,2]}},"del":["inv.old"]}
{"node":"n1","ts":"2025-11-21T19:46:53.1Z/2","kind":"send","to":"n2","id":"n1/12","name":"Put","data":{"key":"x"}}
{"node":"n2","ts":"2025-11-21T19:46:53.2Z","kind":"recv","from":"n1","id":"n1/12"}
`

func TestTextOfTheSpecificationIsRead(t *testing.T) {
	m := readText(t, threeLines)
	want := `{"node":"n1","ts":"2025-04-16T19:07:44.000000Z/0","pt":"2025-04-16T19:07:43.999985Z/65192","seq":1,"set":{"inv.a":1,"inv.b":{"$set":[1,2]}},"del":["inv.old"]}
{"node":"n1","ts":"2025-11-21T19:46:53.099991Z/2","seq":2,"kind":"send","to":"n2","id":"n1/12","name":"Put","data":{"key":"x"}}
{"node":"n2","ts":"2025-11-21T19:46:53.199997Z/0","seq":1,"kind":"recv","from":"n1","id":"n1/12"}
`
	if got := writeText(t, m); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	msg, err := m.Message(context.Background(), "n1/12")
	if err != nil || !msg.Sent || msg.Send.Seq != 2 || len(msg.Receives) != 1 || msg.Receives[0].Node != 1 {
		t.Errorf("message n1/12: %+v (%v)", msg, err)
	}
	e, err := m.Event(context.Background(), 0, 2)
	if err != nil || e.Kind != "send" || e.Name != "Put" || e.ID != "" || len(e.Effects) != 1 || e.Effects[0].Peer != "n2" {
		t.Errorf("the send is %+v (%v)", e, err)
	}
}

func TestTextIsSortedAndWholeVariablesComeFirst(t *testing.T) {
	m := readText(t, "\ufeff"+`{"node":"b","ts":"30","set":{"kv.items[\"x\"].v":2,"kv.items[\"x\"]":{"w":1},"kv.items":{"y":0}}}`+"\r\n\n  \n"+
		`{"node":"a","ts":"20","set":{"v":1}}
{"node":"a","ts":"10","set":{"v":0}}
{"node":"a","ts":"20","set":{"v":2},"kind":"late"}
{"node":"b","ts":"40","del":["kv.items[\"y\"]","kv.items[\"x\"]","kv.none[1]"]}`)
	got := trace(t, m)
	for _, want := range []string{
		`0:1 at 10/0 base=false kind="set" name="" machine="" id="" peer="" data=absent [] -> [v=0]`,
		`0:2 at 20/0 base=false kind="set" name="" machine="" id="" peer="" data=absent [] -> [v=1]`,
		`0:3 at 20/0 base=false kind="late" name="" machine="" id="" peer="" data=absent [] -> [v=2]`,
		`1:1 at 30/0 base=false kind="set" name="" machine="" id="" peer="" data=absent [] -> [kv.items={"x":{"v":2,"w":1},"y":0}]`,
		`1:2 at 40/0 base=false kind="set" name="" machine="" id="" peer="" data=absent [] -> [kv.items={}]`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %s\nin %s", want, got)
		}
	}
}

func TestTextTellsOfBasesAndGaps(t *testing.T) {
	m := readText(t, `{"node":"n1","build":"v7"}
{"node":"n1","ts":"100","seq":12,"base":true,"set":{"kv.a":1,"kv.b":2}}
{"node":"n1","ts":"110","seq":13,"set":{"kv.a":3}}
{"node":"n1","ts":"200","seq":20,"base":true,"set":{"kv.b":5}}
{"node":"n2","unknown":["0","18446744073709551615"],"reason":"it refused"}
`)
	meta := m.Meta()
	if meta.Events != 1 || meta.Nodes[0].Build != "v7" || len(meta.Warnings) != 2 {
		t.Errorf("meta is %+v", meta)
	}
	got := trace(t, m)
	for _, want := range []string{
		"Unknown:[{From:1970-01-01T00:00:00.000000Z/0 To:1970-01-01T00:00:00.000000Z/100} {From:1970-01-01T00:00:00.000000Z/111 To:1970-01-01T00:00:00.000000Z/200}] Reason:what came before event 13 is not recorded",
		"0:12 at 100/0 base=true", "-> [kv.a=1 kv.b=2]\n", "0:13 at 110/0 base=false", "0:20 at 200/0 base=true", "-> [kv.b=5]\n",
		"Reason:it refused",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %s\nin %s", want, got)
		}
	}
}

func TestTextErrorsSayWhereAndWhat(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"node":"n1"}`, `x.jsonl:2:1: want "ts", the event's Timestamp`},
		{`{"ts":"1"}`, `x.jsonl:2:1: want "node", the name of the node`},
		{`{"node":"","ts":"1"}`, `x.jsonl:2:1: want "node"`},
		{`{"node":5,"ts":"1"}`, `x.jsonl:2:9: want a string`},
		{`{"node":"é","ts":"yesterday"}`, `x.jsonl:2:18: timestamp "yesterday": want RFC 3339`},
		{`{"node":"n","ts":1.5}`, `x.jsonl:2:18: want a time as text`},
		{`{"node":"n","ts":"1","kin":"x"}`, `x.jsonl:2:22: unknown key "kin": a line has the keys [node ts`},
		{`{"node":"n","ts":"1","node":"m"}`, `x.jsonl:2:22: "node" stands in this line twice`},
		{`{"node":"n","ts":"1","set":{"a":1,"a":2}}`, `x.jsonl:2:35: a is set or deleted twice`},
		{`{"node":"n","ts":"1","set":{"a":1},"del":["b","a"]}`, `x.jsonl:2:47: a is set or deleted twice`},
		{`{"node":"n","ts":"1","set":{"a['x']":1,"a[\"x\"]":1}}`, `x.jsonl:2:40: a["x"] is set or deleted twice`},
		{`{"node":"n","ts":"1","set":{"a[":1}}`, `x.jsonl:2:29: variable "a[": at byte 2: want a value`},
		{`{"node":"n","ts":"1","set":["a"]}`, `x.jsonl:2:28: want "{"`},
		{`{"node":"n","ts":"1","del":"a"}`, `x.jsonl:2:28: want "["`},
		{`{"node":"n","ts":"1","to":"m"}`, `x.jsonl:2:22: "to" goes with the kind "send"`},
		{`{"node":"n","ts":"1","seq":-1}`, `x.jsonl:2:28: want a sequence number`},
		{`{"node":"n","ts":"1","seq":0}`, `x.jsonl:2:1: node n: event 0`},
		{`{"node":"n","ts":"1","effects":[{"id":"x"}]}`, `x.jsonl:2:33: an effect needs "kind"`},
		{`{"node":"n","ts":"1","effects":[{"kind":"send","kind":"x"}]}`, `x.jsonl:2:48: "kind" stands in this effect twice`},
		{`{"node":"n","ts":"1","base":1}`, `x.jsonl:2:29: want true or false`},
		{`{"node":"n","ts":"1","base":true,"kind":"x"}`, `x.jsonl:2:34: "kind" doesn't go with "base"`},
		{`{"node":"n","ts":"1","base":true,"set":{"a[1]":1}}`, `x.jsonl:2:41: a base sets whole variables`},
		{`{"node":"n","unknown":["2","1"]}`, `x.jsonl:2:23: want [from, to]`},
		{`{"node":"n","unknown":["1","2"],"ts":"1"}`, `x.jsonl:2:33: "ts" doesn't go with "unknown"`},
		{`{"node":"n","ts":"1","reason":"x"}`, `x.jsonl:2:22: "reason" goes with "unknown"`},
		{`{"node":"n","ts":"18446744073709551615"}`, `x.jsonl:2:1: node n: event 1 at`},
		{`{"node":"n","ts":"1"} x`, `x.jsonl:2:23: want the end of the text, found 'x'`},
		{`[]`, `x.jsonl:2:1: want "{", found '['`},
		{`{"node":"n","ts":"1","data":` + strings.Repeat("[", 1000) + `}`, `x.jsonl:2:529: nested deeper`},
		{`{"node":"n","ts":"1","seq":2}` + "\n" + `{"node":"n","ts":"2"}`, `x.jsonl:3:1: want "seq": other lines of node n have it`},
		{`{"node":"n","ts":"1","seq":2}` + "\n" + `{"node":"n","ts":"2","seq":2}`, `x.jsonl:3:1: node n: event 2 comes after event 2`},
		{strings.Repeat(" ", 200), `x.jsonl:2:1: this line is longer than 100 bytes`},
		{strings.Repeat(" ", 100_000), `x.jsonl:2:1: this line is longer than 100 bytes`},
	} {
		opts := history.TextOptions{}
		if strings.Contains(c.want, "longer than 100") {
			opts.LineMax = 100
		}
		const good = `{"node":"good","ts":"5","set":{"v":1}}`
		text := good + "\n" + c.text + "\n" + `{"node":"good","ts":"6","set":{"v":2}}`
		_, err := history.ReadText(strings.NewReader(text), "x.jsonl", opts)
		var bad *history.TextError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: got %v, want %s", c.text, err, c.want)
			continue
		}
		opts.SkipBad = true
		m, err := history.ReadText(strings.NewReader(text), "x.jsonl", opts)
		if err != nil {
			t.Errorf("%.60s: not skipped: %v", c.text, err)
			continue
		}
		if i, ok := m.Meta().NodeIndex("good"); !ok || m.Meta().Skipped != 1 || m.Meta().Nodes[i].Events != 2 {
			t.Errorf("%.60s: skipped %d: %+v", c.text, m.Meta().Skipped, m.Meta())
		}
	}
}

func TestALineOfTheLongestLengthIsRead(t *testing.T) {
	line := `{"node":"n","ts":"1","data":"` + strings.Repeat("x", 70_000) + `"}`
	for _, max := range []int{len(line), len(line) - 1} {
		_, err := history.ReadText(strings.NewReader(line+"\n"), "x", history.TextOptions{LineMax: max})
		if (err == nil) != (max == len(line)) {
			t.Errorf("a line of %d bytes, at most %d: %v", len(line), max, err)
		}
	}
}

type brokenReader struct{ io.Reader }

func (r brokenReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err == io.EOF {
		err = errors.New("the disk is gone")
	}
	return n, err
}

func TestAFailingReaderIsNoBadLine(t *testing.T) {
	_, err := history.ReadText(brokenReader{strings.NewReader(threeLines)}, "x.jsonl", history.TextOptions{SkipBad: true})
	if err == nil || !strings.Contains(err.Error(), "x.jsonl: after line 3: the disk is gone") {
		t.Fatalf("got %v", err)
	}
}

func FuzzReadText(f *testing.F) {
	f.Add([]byte(threeLines))
	f.Add([]byte(`{"node":"n1","ts":"100","seq":12,"base":true,"set":{"kv.a":1}}` + "\n" + `{"node":"n1","unknown":["1","2"],"reason":"r"}`))
	f.Add([]byte(`{"node":"n1","ts":"1","kind":"x","effects":[{"kind":"call","id":"i","data":{"$f":"NaN"}}],"set":{"a[1].b":{"$map":[[1,2]]}},"del":["c"]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := history.ReadText(bytes.NewReader(in), "x", history.TextOptions{LineMax: 1 << 16})
		if err != nil {
			if _, err := history.ReadText(bytes.NewReader(in), "x", history.TextOptions{LineMax: 1 << 16, SkipBad: true}); err != nil {
				t.Fatalf("%q with SkipBad: %v", in, err)
			}
			return
		}
		text := writeText(t, m)
		back := readText(t, text)
		if got, want := trace(t, back), trace(t, m); got != want {
			t.Fatalf("%q\ntext:\n%s\n got %s\nwant %s", in, text, got, want)
		}
	})
}

// What an entry of a list does depends on the entries before it, so they aren't
// written in another order.
func TestEntriesThroughAListKeepTheirOrder(t *testing.T) {
	b := history.NewBuilder()
	set := func(path string, v event.Value) history.Assign { return history.Assign{Path: path, Value: v} }
	b.Append("n1", history.EventSpec{Set: []history.Assign{set("inv.a", event.List())}},
		history.EventSpec{Set: []history.Assign{set(`inv.a["x"].x`, event.Null()), set("inv.a[0]", event.Null())}})
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := trace(t, readText(t, writeText(t, m))), trace(t, m); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
