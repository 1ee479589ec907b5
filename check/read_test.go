package check_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

const jepsenLog = "INFO  jepsen.util - 0\t:invoke\t:write\t3\n" +
	"INFO  jepsen.util - 1\t:invoke\t:cas\t[3 4]\n" +
	"INFO  jepsen.util - 0\t:ok\t:write\t3\n" +
	"INFO  jepsen.core - :nemesis\t:info\t:start\tnil\n" +
	"INFO  jepsen.util - 1\t:fail\t:cas\t[3 4]\n" +
	"INFO  jepsen.util - 2\t:invoke\t:read\tnil\n" +
	"INFO  jepsen.util - 2\t:fail\t:read\t:timed-out\n" +
	"INFO  jepsen.util - 0\t:invoke\t:write\t5\n" +
	"INFO  jepsen.util - 0\t:info\t:write\t:timed-out\n"

const ednLog = `[{:type :invoke, :f :read, :value nil, :process 0, :key 7 :time 10}
 #jepsen.history.Op{:type :ok, :f :read, :value 3, :process 0, :key 7 :time 12}
 {:type :info, :f :start, :process :nemesis :value #{1 2}, :time 13}
 {:type :invoke :f :txn :process 1 :value [[:append "x" 1] [:r "y" nil]] :time 14}
 {:type :ok :f :txn :process 1 :value [[:append "x" 1] [:r "y" [2 -3.5]]] :time 15}]`

const jsonLog = `{"process":0,"type":"invoke","f":"write","key":"x","value":1,"time":5}
{"process":1,"type":"invoke","f":"read","key":"x","time":6}

{"process":1,"type":"ok","f":"read","key":"x","value":null,"time":9,"node":"n2"}
{"process":0,"type":"fail","f":"write","key":"x","time":11}

{"process":2,"type":"invoke","f":"write","key":"x","value":2,"time":12}
`

func TestReadersGiveOperations(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       string
	}{
		{"jepsen", jepsenLog, `line 1: write  3 → absent ok client 0 [1, 3]
line 2: cas  [3,4] → false ok client 1 [2, 5]
line 6: read  absent → absent fail client 2 [6, 7]
line 8: write  5 → absent info client 0 [8, 9223372036854775807]
`},
		{"edn", ednLog, `line 1: read 7 absent → 3 ok client 0 [10, 12]
line 4: txn  [["append","x",1],["r","y",null]] → [["append","x",1],["r","y",[2,-3.5]]] ok client 1 [14, 15]
`},
		{"jsonl", jsonLog, `line 1: write x 1 → absent fail client 0 [5, 11]
line 2: read x absent → null ok client 1 [6, 9]
line 7: write x 2 → absent info client 2 [12, 9223372036854775807]
`},
	} {
		f := check.DetectFormat([]byte(c.text))
		if f.String() != c.name {
			t.Errorf("%s: detected as %s", c.name, f)
		}
		ops, err := check.ReadLog(strings.NewReader(c.text), f)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := listing(ops); got != c.want {
			t.Errorf("%s gives\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestReadersSayWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		f          check.Format
		text, want string
	}{
		{check.FormatJSONL, `{"process":0,"type":"ok","f":"read"}`, "line 1: ok of process 0 completes nothing: there is no invoke before it"},
		{check.FormatJSONL, `{"process":0,"type":"invoke","f":"read"}` + "\n" + `{"process":0,"type":"invoke","f":"read"}`,
			"line 2: process 0 invokes read while its read (line 1) has no completion: a process does one operation at a time; end that with type info if its answer never came"},
		{check.FormatJSONL, `{"type":"invoke","f":"read"}`, "line 1: there is no process; want an integer: who did this"},
		{check.FormatJSONL, `{"process":0,"f":"read"}`, "line 1: there is no type; want invoke, ok, fail or info"},
		{check.FormatJSONL, `{"process":0,"type":"invoke","f":"read","time":5}` + "\n" + `{"process":0,"type":"ok","f":"read"}`,
			"line 2: some have a time (an integer) and some don't: give it to all, or to none and let their order decide"},
		{check.FormatJSONL, `{"process":0,"type":"invoke","f":"read","time":5}` + "\n" + `{"process":0,"type":"ok","f":"read","time":4}`,
			"line 2: ok of process 0 is at time 4, before its invoke at 5"},
		{check.FormatJSONL, `{"process":0,"type":"invoke","f":"read"}` + "\n" + `{"process":0,"type":"done","f":"read"}`, `line 2: type "done": want invoke, ok, fail or info`},
		{check.FormatJSONL, `{"process":0,"type":"invok","f":"read"}`, `line 1: type "invok": want invoke, ok, fail or info`},
		{check.FormatJSONL, `[1]`, "line 1: [1] is not a map; want process, type, f and value"},
		{check.FormatEDN, `{:process 0 :type :invoke :f :read`, `line 1: column 1: '{' is not closed`},
		{check.FormatEDN, "[{:process 0 :type :invoke :f :read}\n", "line 2: the vector is not closed: the log is cut short"},
		{check.FormatEDN, "{:process 0 :type}", "line 1: column 1: a map with a key that has no value"},
		{check.FormatJepsen, "nothing\n", "there is no operation in this log: want lines such as INFO  jepsen.util - 0\t:invoke\t:write\t3"},
	} {
		_, err := check.ReadLog(strings.NewReader(c.text), c.f)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s %q:\n%v\nwant\n%s", c.f, c.text, err, c.want)
		}
	}
	if _, err := check.ReadLog(strings.NewReader(""), check.FormatUnknown); err == nil {
		t.Error("an unknown format is read")
	}
}

// lane is an event of a client.
func lane(seq uint64, at, physical hlc.Timestamp, kind, id string, data ...event.Entry) history.EventSpec {
	return history.EventSpec{Event: history.Event{Position: history.Position{Seq: seq, Time: at}, Physical: physical, Kind: kind, ID: id, Data: event.MapOf(event.NewMap(data...))}}
}

func entry(k string, v event.Value) event.Entry { return event.Entry{Key: event.String(k), Value: v} }

func TestOperationsOfAHistory(t *testing.T) {
	f, key := entry("f", event.String("read")), entry("key", event.String("x"))
	build := func(physical hlc.Timestamp) *history.Mem {
		b := history.NewBuilder()
		b.Append("n1", lane(1, 50, 50, "recv", "m"))
		b.Append("client/3",
			lane(1, 100, physical, "invoke", "a", f, key, entry("to", event.String("n1"))),
			lane(2, 300, 3*physical, "ok", "a", f, key, entry("value", event.Int(4)), entry("consistency", event.String("fresh"))),
			lane(3, 400, 4*physical, "invoke", "b", entry("f", event.String("write")), key, entry("value", event.Int(5))),
			lane(4, 500, 5*physical, "info", "b"))
		h, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for _, c := range []struct {
		physical hlc.Timestamp
		want     string
	}{
		{0, "client/3:1: read x absent → 4 ok client 3 [100, 300]\nclient/3:3: write x 5 → absent info client 3 [400, 9223372036854775807]\n"},
		{7, "client/3:1: read x absent → 4 ok client 3 [7, 21]\nclient/3:3: write x 5 → absent info client 3 [28, 9223372036854775807]\n"},
	} {
		ops, err := check.FromHistory(context.Background(), build(c.physical))
		if err != nil {
			t.Fatal(err)
		}
		if got := listing(ops); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
		if got := ops[0].Extra.String(); got != `{"consistency":"fresh","to":"n1"}` {
			t.Errorf("extra is %s", got)
		}
	}
}

func TestLanesThatAreWrongAreNamed(t *testing.T) {
	for want, specs := range map[string][]history.EventSpec{
		"client/0:1: ok without an id":                   {lane(1, 5, 0, "ok", "")},
		`client/0:1: ok of "a", which was never invoked`: {lane(1, 5, 0, "ok", "a")},
		`client/0:2: a second invoke with id "a"`:        {lane(1, 5, 0, "invoke", "a"), lane(2, 6, 0, "invoke", "a")},
		`client/0:3: a second completion of "a"`:         {lane(1, 5, 0, "invoke", "a"), lane(2, 6, 0, "ok", "a"), lane(3, 7, 0, "ok", "a")},
	} {
		b := history.NewBuilder()
		b.Append("client/0", specs...)
		h, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := check.FromHistory(context.Background(), h); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// fuzzLog reads anything: an error, or operations that make sense and that can be
// judged.
func fuzzLog(f *testing.F, format check.Format, seeds ...string) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ops, err := check.ReadLog(strings.NewReader(text), format)
		if err != nil {
			return
		}
		for i, op := range ops {
			if op.Return < op.Call || i > 0 && op.Call < ops[i-1].Call {
				t.Fatalf("operation %d is from %d to %d, the one before from %d", i, op.Call, op.Return, ops[max(0, i-1)].Call)
			}
		}
		check.DetectFormat([]byte(text))
		if m, ok := check.GuessModel(ops); ok {
			check.Linearizable(ops, m, check.Options{Steps: 10_000})
		}
		if !slices.ContainsFunc(ops, func(op check.Operation) bool { return op.F == "txn" }) {
			check.Consistency(ops, check.Options{Steps: 10_000})
		}
	})
}

func FuzzReadJepsen(f *testing.F) { fuzzLog(f, check.FormatJepsen, jepsenLog) }
func FuzzReadEDN(f *testing.F) {
	fuzzLog(f, check.FormatEDN, ednLog, `{:process 1 :type :invoke :f "\n" :value (a [b {c #{d}}])}`)
}
func FuzzReadJSONL(f *testing.F) { fuzzLog(f, check.FormatJSONL, jsonLog) }

func TestReadErrorsCarryTheirLine(t *testing.T) {
	_, err := check.ReadJSONL(strings.NewReader("\n\n{"))
	var at *check.LineError
	if !errors.As(err, &at) {
		t.Fatalf("%v is no LineError", err)
	}
}
