package sim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hindcast.dev/sim"
)

func run(t *testing.T, s *sim.Subject, o sim.Options) *sim.Result {
	t.Helper()
	r, err := sim.Run(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheSameSeedGivesTheSameRun(t *testing.T) {
	hashes := map[uint64]bool{}
	for seed := range uint64(8) {
		a := run(t, subject(nil), sim.Options{Seed: seed, Quick: true})
		b := run(t, subject(nil), sim.Options{Seed: seed, Quick: true, Trace: func(sim.Line) {}, Fingerprints: true})
		if a.Hash != b.Hash || a.Steps != b.Steps || a.Simulated != b.Simulated {
			t.Errorf("two runs of one seed:\n%s\n%s", describe(a), describe(b))
		}
		if a.Failure != nil {
			t.Errorf("%s", describe(a))
		}
		if n := len(b.Fingerprints); uint64(n) != b.Events || b.Fingerprints[n-1] != b.Hash {
			t.Errorf("%d fingerprints of %d events", n, b.Events)
		}
		hashes[a.Hash] = true
	}
	if len(hashes) != 8 {
		t.Errorf("8 seeds gave %d different runs", len(hashes))
	}
}

func TestEveryKindOfFaultHappens(t *testing.T) {
	for _, k := range sim.FaultKinds() {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			victims := ""
			s := subject(func(w *sim.World) { w.CoreSize(2) })
			s.Setup = func(setup func(w *sim.World)) func(w *sim.World) {
				return func(w *sim.World) {
					setup(w)
					w.Redundancy(3)
					w.Replace(nil)
				}
			}(s.Setup)
			f := sim.Fault{Kind: k, At: 400 * time.Millisecond, For: 300 * time.Millisecond, Nodes: []string{"n2"}, Amount: 0.5, Delay: 50 * time.Millisecond,
				Version: 1, Point: "loop.stepped", Seed: 7}
			if k == sim.FaultPartition || k == sim.FaultOneWay || k == sim.FaultBridge || k == sim.FaultLoss || k == sim.FaultDouble || k == sim.FaultGarble || k == sim.FaultSlowLink {
				f.Nodes, f.Peers = []string{"n1"}, []string{"n2"}
			}
			var lines []string
			r := run(t, s, sim.Options{Seed: 3, Faults: []sim.Fault{f}, Quick: true, Trace: func(l sim.Line) {
				if strings.HasPrefix(l.Text, "fault") || strings.HasPrefix(l.Text, "mending") {
					lines = append(lines, l.Text)
				}
			}})
			if r.Failure != nil {
				t.Errorf("%s (%s)", describe(r), victims)
			}
			if r.Happened[k] == 0 {
				t.Errorf("it didn't happen: %s\n%s", describe(r), strings.Join(lines, "\n"))
			}
			if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, string(k)) }) {
				t.Errorf("the trace doesn't tell of it: %v", lines)
			}
		})
	}
}

// What a fault changes must show: the same seed with and without.
func TestAPartitionKeepsMessagesAway(t *testing.T) {
	copies := func(faults []sim.Fault) (n int64) {
		s := subject(func(w *sim.World) {
			w.Invariant("count", func(node *sim.Node) error {
				if m, ok := node.Machine("register").(*register); ok && node.Name() == "n2" {
					n = m.Copies
				}
				return nil
			})
		})
		run(t, s, sim.Options{Seed: 5, Faults: faults, Quick: true, Set: map[string]string{"network.loses": "false"}})
		return n
	}
	all := copies([]sim.Fault{})
	cut := copies([]sim.Fault{{Kind: sim.FaultPartition, At: 0, For: time.Hour, Nodes: []string{"n1"}, Peers: []string{"n2"}}})
	if all < 500 || cut > all/10 {
		t.Errorf("n2 got %d copies, and %d behind a partition", all, cut)
	}
}

func TestAMistakeInOptionsIsAnError(t *testing.T) {
	for set, want := range map[string]string{
		"network.base":    `option network.base = "x"`,
		"faults":          `option faults = "x"`,
		"network":         "want one of [semi-synchronous",
		"network.tails":   "network.tails",
		"checkpointEvery": "checkpointEvery",
	} {
		_, err := sim.Run(subject(nil), sim.Options{Set: map[string]string{set: "x"}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s=x: %v, want %q", set, err, want)
		}
	}
}

func TestAnOptionThatNothingDrawsIsTold(t *testing.T) {
	r := run(t, subject(nil), sim.Options{Set: map[string]string{"no.such": "x"}, Quick: true})
	if !slices.Contains(r.Unused, "no.such") {
		t.Errorf("unused: %v", r.Unused)
	}
}

func TestABranchIsTheSameUntilItsMoment(t *testing.T) {
	prints := func(r *sim.Reseed) []uint64 {
		return run(t, subject(nil), sim.Options{Seed: 9, Reseed: r, Fingerprints: true, Quick: true}).Fingerprints
	}
	base := prints(nil)
	at := uint64(len(base) / 2)
	branch, other := prints(&sim.Reseed{At: at, Seed: 1}), prints(&sim.Reseed{At: at, Seed: 2})
	if !slices.Equal(base[:at], branch[:at]) || !slices.Equal(base[:at], other[:at]) {
		t.Error("the branches differ before their moment")
	}
	if slices.Equal(branch, base) || slices.Equal(branch, other) {
		t.Error("the branches don't differ after it")
	}
}

func TestBareProcessesTalk(t *testing.T) {
	got := 0
	s := subject(func(w *sim.World) {
		var a, b *sim.Process
		a = w.Process(func(from *sim.Process, body any) { got++ })
		b = w.Process(func(from *sim.Process, body any) { b.Send(from, body) })
		w.After(time.Millisecond, func() { a.Send(b, "ping") })
	})
	run(t, s, sim.Options{Quick: true})
	if got != 1 {
		t.Errorf("%d answers", got)
	}
}

func TestHarmedIsWhoseStorageSuffered(t *testing.T) {
	var world *sim.World
	s := subject(func(w *sim.World) {
		w.Redundancy(3)
		w.Replace(nil)
		w.CoreSize(2)
		world = w
	})
	faults := []sim.Fault{{Kind: sim.FaultDiskLoss, At: 400 * time.Millisecond, For: 100 * time.Millisecond, Nodes: []string{"n2"}},
		{Kind: sim.FaultPower, At: 400 * time.Millisecond, For: 100 * time.Millisecond, Nodes: []string{"n3"}}}
	if r := run(t, s, sim.Options{Seed: 3, Faults: faults, Quick: true}); r.Failure != nil {
		t.Fatal(describe(r))
	}
	for _, n := range world.Nodes() {
		if n.Harmed() != (n.Name() == "n2") || !n.Up() {
			t.Errorf("%s: harmed %t, up %t", n.Name(), n.Harmed(), n.Up())
		}
	}
}

// A node whose clock is too far behind what its journal remembers refuses to
// start, and does so later.
func TestAStartThatTheClockRefusesIsTriedAgain(t *testing.T) {
	faults := []sim.Fault{{Kind: sim.FaultJump, At: 500 * time.Millisecond, For: 5 * time.Second, Nodes: []string{"n2"}, Delay: -3 * time.Second},
		{Kind: sim.FaultKill, At: 600 * time.Millisecond, For: 50 * time.Millisecond, Nodes: []string{"n2"}}}
	starts := 0
	r := run(t, subject(nil), sim.Options{Seed: 3, Faults: faults, Quick: true, Trace: func(l sim.Line) {
		if l.Node == "n2" && strings.HasPrefix(l.Text, "start") {
			starts++
		}
	}})
	if r.Failure != nil || starts < 3 {
		t.Errorf("%d starts, want the first, one refused and one that isn't, at least: %s", starts, describe(r))
	}
}
