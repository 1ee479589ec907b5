package transport

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// A move is one thing that happens to two nodes of which n1 sends to n2.
type move struct {
	what string
	n    int
}

var moves = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) move {
	return move{rapid.SampledFrom([]string{"put", "put", "put", "wait", "lose", "mute", "cutOut", "cutIn", "drop", "delay", "heal",
		"restart"}).Draw(t, "what"), rapid.IntRange(1, 40).Draw(t, "n")}
}), 1, 30)

// Whatever happens, n2 sees messages in order and once, and each one that was
// sent has arrived or is reported as dropped; one that is both was in doubt.
func TestEveryMessageArrivesInOrderOrIsReported(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		script := moves.Draw(rt, "moves")
		var problem string
		synctest.Test(t, func(t *testing.T) { problem = play(t, script) })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

func play(t *testing.T, script []move) string {
	n := newNetwork()
	small := func(o *Options) {
		o.AllowFaults, o.Limits.QueueFrames, o.Limits.Unacked = true, 50, 20
		o.Random = func() float64 { return 0.4 }
	}
	n1, n2 := start(t, n, "n1", small, "n2"), start(t, n, "n2", small, "n1")
	var got, drops []string // of the n2 that were restarted
	last := uint64(0)
	for _, m := range script {
		switch m.what {
		case "put":
			n1.put("n2", last+1, last+uint64(m.n))
			last += uint64(m.n)
		case "wait":
			settle(time.Duration(m.n) * 50 * time.Millisecond)
		case "lose":
			if w := n.to("n2"); w != nil {
				w.Conn.Close()
			}
		case "mute":
			if w := n.to("n2"); w != nil {
				w.mute.Store(true)
			}
		case "cutOut":
			n1.set("n2", Fault{CutOut: true})
		case "cutIn":
			n2.set("n1", Fault{CutIn: true})
		case "drop":
			n1.set("n2", Fault{Drop: float64(m.n) / 40})
		case "delay":
			n1.set("n2", Fault{Delay: time.Duration(m.n) * 10 * time.Millisecond})
		case "heal":
			n1.set("n2", Fault{})
			n2.set("n1", Fault{})
		case "restart":
			stop(n2)
			got, drops = append(got, n2.got...), append(drops, n2.drops...)
			n2 = start(t, n, "n2", func(o *Options) { small(o); o.Boot = 2 }, "n1")
		}
	}
	n1.set("n2", Fault{})
	n2.set("n1", Fault{})
	settle(10 * time.Second)
	n1.put("n2", last+1, last+1)
	synctest.Wait()
	stop(n1, n2)
	return judge(append(got, n2.got...), n1.drops, append(drops, n2.drops...), last+1)
}

// judge compares what arrived and what was dropped with what was sent: 1 to last.
func judge(got, dropped, droppedByReceiver []string, last uint64) string {
	if len(got) == 0 || got[len(got)-1] != ids("n1", last, last)[0] {
		return fmt.Sprintf("after all was healed message %d didn't arrive", last)
	}
	before := uint64(0)
	arrived := map[string]bool{}
	for _, id := range got {
		var seq uint64
		if fmt.Sscanf(id, "n1/1/%d/0", &seq); seq <= before {
			return fmt.Sprintf("message %d arrived after %d: %q", seq, before, got)
		}
		before, arrived[id] = seq, true
	}
	reason := map[string]string{}
	for _, d := range dropped {
		_, rest, _ := strings.Cut(d, " ")
		id, why, _ := strings.Cut(rest, " Put: ")
		if reason[id] != "" {
			return fmt.Sprintf("%s is reported twice: %s and %s", id, reason[id], why)
		}
		reason[id] = why
	}
	for _, id := range ids("n1", 1, last) {
		byReceiver := slices.Contains(droppedByReceiver, fmt.Sprintf("n1 %s Put: %s", id, DropCutIn))
		switch {
		case !arrived[id] && reason[id] == "" && !byReceiver:
			return fmt.Sprintf("%s neither arrived nor was it reported", id)
		case (arrived[id] || byReceiver) && reason[id] != "" && reason[id] != DropInDoubt:
			return fmt.Sprintf("%s arrived and is reported as %s", id, reason[id])
		case arrived[id] && byReceiver:
			return fmt.Sprintf("%s was delivered and dropped", id)
		}
	}
	return ""
}
