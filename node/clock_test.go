package node

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
	"hindcast.dev/vfs"
)

// TestEveryMessageIsStampedAfterItsSendWithClocksApart has one clock behind and
// one ahead, by less than MaxDrift between them, and looks at every message there
// is.
func TestEveryMessageIsStampedAfterItsSendWithClocksApart(t *testing.T) {
	skews := map[string]time.Duration{"n1": 0, "n2": -200 * time.Millisecond, "n3": 200 * time.Millisecond}
	nodes := cluster(t, []string{"n1", "n2", "n3"}, func(o *Options) { o.ClockOffset = skews[o.Name] })
	const rounds = 30
	for range rounds {
		for from, n := range nodes {
			for to := range nodes {
				if to != from {
					total(t, n, Pass{To: to, Key: from, By: 1})
				}
			}
		}
	}
	for name, n := range nodes {
		for from := range nodes {
			if from != name {
				eventually(t, n, "the messages", func() bool { return peek(t, n, from) == rounds })
			}
		}
		if s := n.Status(); s.Loop.RefusedDrift != 0 || len(s.Drifting) != 0 {
			t.Errorf("%s refused %d messages for drift: %v", name, s.Loop.RefusedDrift, s.Drifting)
		}
	}
	fromTheFuture := 0
	for name, n := range nodes {
		stop(t, n)
		eachEntry(t, n, func(e journal.Entry) {
			if e.Kind != event.Message {
				return
			}
			if e.Stamp.Time <= e.Sent {
				t.Errorf("%s: message %s was sent at %v and received at %v", name, e.ID, e.Sent, e.Stamp.Time)
			}
			if e.Sent > e.Stamp.Physical {
				fromTheFuture++
			}
		})
	}
	// Else the physical clocks alone would have done.
	if fromTheFuture == 0 {
		t.Error("no message came from ahead of its receiver's clock")
	}
	if c := checkCluster(t, nodes, registry()); c.Messages != 6*rounds {
		t.Errorf("%+v, want %d messages", c, 6*rounds)
	}
}

// lines is a log that can be searched while it is written.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

var _ io.Writer = (*lines)(nil)

// TestANodeWhoseClockCreepsAwayIsIsolatedUntilItIsRight moves a clock ahead in
// steps that are small enough to be believed, over the admin API, until the peers
// have to refuse what the node sends.
func TestANodeWhoseClockCreepsAwayIsIsolatedUntilItIsRight(t *testing.T) {
	log := &lines{}
	nodes := cluster(t, []string{"n1", "n2"}, func(o *Options) { o.Admin, o.Log = "127.0.0.1:0", textLog(log) })
	n1, n2 := nodes["n1"], nodes["n2"]
	offset := func(ahead time.Duration) {
		t.Helper()
		status, body, _ := ask(t, "POST", "http://"+n1.AdminAddr()+"/v1/fault", fmt.Sprintf(`{"kind":"clock","offset":%q}`, ahead))
		if status != 200 {
			t.Fatalf("clock fault: %d, %v", status, body)
		}
		total(t, n1, Add{"own", 1}) // it has seen its clock
	}
	for ahead := 400 * time.Millisecond; ahead <= 2400*time.Millisecond; ahead += 400 * time.Millisecond {
		offset(ahead)
	}
	if s := n1.Status(); s.ClockJump != 0 {
		t.Fatalf("a step within MaxDrift was refused as a jump of %s", s.ClockJump)
	}
	total(t, n1, Pass{To: "n2", Key: "lost", By: 1})
	eventually(t, n2, "the refusal", func() bool { return n2.Status().Loop.RefusedDrift == 1 })
	s := n2.Status()
	if s.Drifting["n1"] < time.Second || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "n1 is isolated") {
		t.Fatalf("status: drifting %v, warnings %q", s.Drifting, s.Warnings)
	}
	if _, body, _ := ask(t, "GET", "http://"+n2.AdminAddr()+"/v1/ready", ""); !strings.Contains(fmt.Sprint(body["warnings"]), "n1 is isolated") {
		t.Errorf("ready: %v", body)
	}
	if !log.has("n1 is isolated: its clock is") {
		t.Error("the log says nothing of the isolation")
	}
	if ahead := s.Time.Sub(s.Wall); ahead > s.Drifting["n1"]/2 {
		t.Errorf("n2 was pulled %s ahead", ahead)
	}
	total(t, n2, Pass{To: "n1", Key: "back", By: 1}) // the other way is open
	eventually(t, n1, "a message from the peer that is right", func() bool { return peek(t, n1, "back") == 1 })

	offset(0)
	eventually(t, n2, "the node to be heard again", func() bool {
		total(t, n1, Pass{To: "n2", Key: "found", By: 1})
		total(t, n2, Add{"tick", 1}) // something that ends a wait
		return peek(t, n2, "found") > 0
	})
	if s := n2.Status(); len(s.Drifting) != 0 || len(s.Warnings) != 0 {
		t.Errorf("after it was heard: %v, %q", s.Drifting, s.Warnings)
	}
	if got := peek(t, n2, "lost"); got != 0 {
		t.Errorf("what was refused was handled: %d", got)
	}
	refused := n2.Status().Loop.RefusedDrift
	for _, n := range nodes {
		stop(t, n)
	}
	kept := uint64(0)
	eachEntry(t, n2, func(e journal.Entry) {
		if e.Stamp.Disposition == record.Drift {
			kept++
		}
	})
	if kept != refused {
		t.Errorf("%d refused messages are in the journal as such, %d were counted", kept, refused)
	}
	checkCluster(t, nodes, registry())
}

// TestAJumpOfTheClockIsReported has the own clock jump by too much at once.
func TestAJumpOfTheClockIsReported(t *testing.T) {
	log := &lines{}
	o := options(t, "n1")
	o.Admin, o.Log = "127.0.0.1:0", textLog(log)
	n := start(t, o)
	set := func(offset string) {
		t.Helper()
		if status, body, _ := ask(t, "POST", "http://"+n.AdminAddr()+"/v1/fault", `{"kind":"clock","offset":"`+offset+`"}`); status != 200 {
			t.Fatalf("clock fault: %d, %v", status, body)
		}
		total(t, n, Add{"a", 1})
	}
	set("1h")
	if s := n.Status(); s.ClockJump < 59*time.Minute || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "set it right") {
		t.Errorf("status: jump %s, warnings %q", s.ClockJump, s.Warnings)
	}
	if !log.has("the wall clock jumped ahead by 1h0m0") || log.has("trusted again") {
		t.Error("the log doesn't say so")
	}
	set("0s")
	if s := n.Status(); s.ClockJump != 0 || len(s.Warnings) != 0 || !log.has("the wall clock is trusted again") {
		t.Errorf("status after: jump %s, warnings %q", s.ClockJump, s.Warnings)
	}
	stop(t, n)
	notes := noteLog(t, vfs.OS(), n.dirs.journal)
	for _, want := range []string{"fault clock", "clock refused", "clock ok"} {
		if !hasNote(notes, want) {
			t.Errorf("notes lack %q: %q", want, notes)
		}
	}
}
