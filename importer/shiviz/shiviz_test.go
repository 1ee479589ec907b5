package shiviz_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindcast.dev/history"
	"hindcast.dev/importer/shiviz"
)

// given are the logs of real systems that others have recorded.
const given = "../../../shared/data/shiviz"

func TestGivenLogs(t *testing.T) {
	if _, err := os.Stat(given); err != nil {
		t.Skipf("the recordings of others are not beside this project: %v", err)
	}
	tests := []struct {
		file, format string
		runs         []int // events of each execution
		hosts        int   // of the largest
		messages     int   // of all
	}{
		{"chord.log", "govector", []int{1235}, 8, 541},
		{"voldemort.log", "voldemort", []int{864}, 20, 34},
		{"simpledb.log", "default", []int{509}, 5, 95},
		{"reliable-broadcast.log", "akka", []int{116}, 4, 48},
		{"simple-reliable-broadcast.log", "akka", []int{39}, 3, 16},
		{"ewd998.log", "ewd998", []int{77, 248, 665}, 7, 285},
		{"facebook.log", "facebook", []int{47}, 4, 23},
		{"graph_viz_RpcClientServer.log", "its own", []int{10}, 2, 4},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			f, err := os.Open(filepath.Join(given, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			runs, err := shiviz.Read(f, tt.file, shiviz.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var events []int
			hosts, messages := 0, 0
			for _, r := range runs {
				if r.Format != tt.format {
					t.Errorf("read as %s, want %s", r.Format, tt.format)
				}
				events = append(events, r.Events)
				hosts = max(hosts, r.Hosts)
				messages += sound(t, r.History)
				if meta := r.History.Meta(); int(meta.Events) != r.Events || len(meta.Nodes) != r.Hosts {
					t.Errorf("the History has %d events of %d nodes, want %d of %d", meta.Events, len(meta.Nodes), r.Events, r.Hosts)
				}
			}
			if fmt.Sprint(events) != fmt.Sprint(tt.runs) || hosts != tt.hosts || messages != tt.messages {
				t.Errorf("events %v of %d hosts and %d messages, want %v, %d, %d", events, hosts, messages, tt.runs, tt.hosts, tt.messages)
			}
		})
	}
}

// sound checks that every message was sent before it was received, and counts
// them.
func sound(t *testing.T, m *history.Mem) int {
	t.Helper()
	if v := m.Meta().Violations; v > 0 {
		t.Errorf("%d messages are received before they are sent", v)
	}
	cur, err := m.Walk(context.Background(), history.Begin, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	sent, received := map[string]bool{}, 0
	receive := func(id string) {
		if received++; !sent[id] {
			t.Errorf("message %s is received and not sent", id)
		}
	}
	for {
		e, err := cur.Next()
		if err == io.EOF {
			return received
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == "recv" {
			receive(e.ID)
		}
		for _, f := range e.Effects {
			switch f.Kind {
			case "recv":
				receive(f.ID)
			case "send":
				sent[f.ID] = true
			}
		}
	}
}

func text(t *testing.T, m *history.Mem) string {
	t.Helper()
	var b strings.Builder
	if err := history.WriteText(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReadSmall(t *testing.T) {
	const log = `a {"a":1}
hello
b {"a":1, "b":1}
got hello
b {"a":1, "b":2}
answers
a {"a":2, "b":2}
thanks
`
	runs, err := shiviz.Read(strings.NewReader(log), "small.log", shiviz.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"node":"a","ts":"1970-01-01T00:00:01.000000Z/0","seq":1,"kind":"event","name":"hello","effects":[{"kind":"send","id":"a:1→b:1","to":"b"}]}
{"node":"b","ts":"1970-01-01T00:00:02.000000Z/0","seq":1,"kind":"recv","from":"a","id":"a:1→b:1","name":"got hello"}
{"node":"b","ts":"1970-01-01T00:00:03.000000Z/0","seq":2,"kind":"event","name":"answers","effects":[{"kind":"send","id":"b:2→a:2","to":"a"}]}
{"node":"a","ts":"1970-01-01T00:00:04.000000Z/0","seq":2,"kind":"recv","from":"b","id":"b:2→a:2","name":"thanks"}
`
	if got := text(t, runs[0].History); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMistakes(t *testing.T) {
	parser := shiviz.Format{Parser: `(?<host>\S*) (?<clock>{.*})\n(?<event>.*)`}
	tests := []struct {
		name, log string
		format    shiviz.Format
		want      string
	}{
		{"empty", "\n", shiviz.Format{}, "x.log: it is empty"},
		{"no log", "x", shiviz.Format{}, "x.log: no events with vector clocks were found in it: give the parser expression, with the groups host, clock and event"},
		{"nothing fits", "hello\n", parser, "the parser expression fits nowhere"},
		{"no own count", "a {\"b\":1}\nx\n", parser, `x.log:1: the clock of a has no count of its own: want "a" in {"b":1}`},
		{"bad clock", "a {1}\nx\n", parser, `x.log:1: want a clock like {"host": 3, …}`},
		{"twice", "a {\"a\":1}\nx\na {\"a\":1}\ny\n", parser, "x.log:3: a has its event 1 here and on line 1: is this more than one execution?"},
		{"cycle", "a {\"a\":1, \"b\":1}\nx\nb {\"a\":1, \"b\":1}\ny\n", parser, "x.log:1: event 1 of a happened before itself: by the clocks it received from event 1 of b (line 3)"},
		{"backwards", "a {\"a\":1, \"b\":2}\nx\na {\"a\":2, \"b\":1}\ny\n", parser, "x.log:3: a knew of event 2 of b and now knows of 1 only: its clock ran backwards"},
		{"forgotten", "a {\"a\":1, \"b\":2}\nx\na {\"a\":2}\ny\n", parser, "x.log:3: a knew of event 2 of b and now of none"},
		{"no group", "x", shiviz.Format{Parser: "(?<host>x)"}, "the named group (?<clock>…) is missing"},
		{"looks ahead", "x", shiviz.Format{Parser: "(?=x)"}, "there is no looking ahead or behind: leave (?=…) out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := shiviz.Read(strings.NewReader(tt.log), "x.log", shiviz.Options{Format: tt.format})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestSkipBad(t *testing.T) {
	const log = "a {\"a\":1}\nx\na {1}\ny\nnoise\nb {\"b\":1, \"c\":4}\nz\n"
	runs, err := shiviz.Read(strings.NewReader(log), "x.log", shiviz.Options{SkipBad: true})
	if err != nil {
		t.Fatal(err)
	}
	meta := runs[0].History.Meta()
	if meta.Events != 2 || meta.Skipped != 1 {
		t.Errorf("%d events and %d skipped, want 2 and 1", meta.Events, meta.Skipped)
	}
	all := strings.Join(meta.Warnings, "\n")
	for _, want := range []string{"1 entries were left out, the first: x.log:3:", "1 line is part of no event: x.log:5", "event 4 of c, of which b knew, is not in the log"} {
		if !strings.Contains(all, want) {
			t.Errorf("warnings\n%s\nwant %s", all, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("a {\"a\":1}\nhello\nb {\"a\":1, \"b\":1}\ngot hello\n")
	f.Add("(?<host>\\S*) (?<clock>{.*})\\n(?<event>.*)\n\na {\"a\":1}\nhello\n")
	f.Add("=== 1 ===\nState 1: <A x>\n/\\ Host = n\n/\\ Clock = \"{\\\"n\\\":1}\"\n/\\ active = TRUE\n/\\ color = \"w\"\n/\\ counter = 0")
	f.Add("[INFO] [10/13/2014 04:23:20.113] [x] [akka://Broadcast/user/node0] {\"node0\" : 1} hi\n")
	f.Fuzz(func(t *testing.T, log string) {
		runs, err := shiviz.Read(strings.NewReader(log), "x.log", shiviz.Options{})
		if err != nil {
			return
		}
		for _, r := range runs {
			if uint64(r.Events) != r.History.Meta().Events {
				t.Errorf("%d entries became %d events", r.Events, r.History.Meta().Events)
			}
			sound(t, r.History)
		}
	})
}
