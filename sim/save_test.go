package sim_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"hindcast.dev/check"
	"hindcast.dev/history"
	"hindcast.dev/recording"
	"hindcast.dev/replay"
	"hindcast.dev/sim"
	"hindcast.dev/vfs"
)

func hashOf(t *testing.T, src history.Source) string {
	t.Helper()
	h, err := history.Hash(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestASavedRunIsARecordingThatOpens(t *testing.T) {
	s := subject(func(w *sim.World) { w.Never("copies", "register.copies > 20") })
	o := sim.Options{Seed: 4, Set: map[string]string{"operations": "120"}}
	r := run(t, s, o)
	if r.Failure == nil {
		t.Fatal("nothing failed")
	}
	want, err := r.History(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, bare := range []bool{false, true} {
		disk := vfs.NewMem()
		if err := r.Save(context.Background(), disk, "runs/seed-4", sim.SaveOptions{Command: "x sim --seed 4", Build: "b1", NoHistory: bare}); err != nil {
			t.Fatal(err)
		}
		ro := replay.Options{FS: disk}
		if bare {
			if _, err := replay.Open(context.Background(), "runs/seed-4", ro); !isCodeError(err) {
				t.Errorf("without machines and History: %v", err)
			}
			ro.Service, ro.Registry, ro.Build = "register", s.Machines, "b1"
		}
		opened, err := replay.Open(context.Background(), "runs/seed-4", ro)
		if err != nil {
			t.Fatal(err)
		}
		if opened.Reused == bare || len(opened.Warnings) > 0 {
			t.Errorf("reused %t, warnings %v", opened.Reused, opened.Warnings)
		}
		if a, b := hashOf(t, opened.Source), hashOf(t, want); a != b {
			t.Errorf("the saved History is %s, the run's %s", a, b)
		}
		ops, err := check.FromHistory(context.Background(), opened.Source)
		if err != nil || len(ops) != len(r.Operations) {
			t.Errorf("%d operations of %d, %v", len(ops), len(r.Operations), err)
		}
		m := opened.Recording.Manifest()
		if m.Origin != sim.Origin || m.Service != "register" || len(m.Nodes) != 3 || m.Nodes[0].Boot == 0 || m.Nodes[0].Versions["register"] != 1 {
			t.Errorf("%+v", m)
		}
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	}
}

func isCodeError(err error) bool {
	var code *replay.CodeError
	return errors.As(err, &code)
}

func TestAReportHasTheFailureAgain(t *testing.T) {
	s := subject(func(w *sim.World) { w.Never("copies", "register.copies > 20") })
	o := sim.Options{Seed: 5, Set: map[string]string{"operations": "120"}}
	r := run(t, s, o)
	disk := vfs.NewMem()
	if err := r.Save(context.Background(), disk, "d", sim.SaveOptions{Command: "again", Words: "words"}); err != nil {
		t.Fatal(err)
	}
	report, err := sim.ReadReport(disk, "d")
	if err != nil {
		t.Fatal(err)
	}
	if report.Failure != *r.Failure || report.Command != "again" || report.Words != "words" || report.Subject != "register" {
		t.Errorf("%+v", report)
	}
	again := run(t, s, report.Options)
	if again.Hash != r.Hash || again.Failure == nil || *again.Failure != *r.Failure {
		t.Errorf("the report's options give %v, it was %v", again.Failure, r.Failure)
	}
	if err := r.Save(context.Background(), disk, "d", sim.SaveOptions{}); err == nil || !strings.Contains(err.Error(), "there is a recording already") {
		t.Errorf("a second save: %v", err)
	}
	other := run(t, s, sim.Options{Seed: 6, Set: o.Set})
	if err := other.Save(context.Background(), disk, "d", sim.SaveOptions{Replace: true}); err != nil {
		t.Fatal(err)
	}
	if report, err := sim.ReadReport(disk, "d"); err != nil || report.Seed != 6 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestAPassingRunIsSavedWithoutAReport(t *testing.T) {
	r := run(t, subject(nil), short())
	disk := vfs.NewMem()
	if err := r.Save(context.Background(), disk, "d", sim.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := sim.ReadReport(disk, "d"); !errors.Is(err, sim.ErrNoReport) {
		t.Errorf("%v", err)
	}
	if !recording.Is(disk, "d") {
		t.Error("it is no recording")
	}
}

// lossy is a run in which n2's disk goes, and, if it is replaced, comes back empty.
func lossy(t *testing.T, replace bool) *sim.Result {
	s := subject(nil)
	setup := s.Setup
	s.Setup = func(w *sim.World) {
		setup(w)
		w.Redundancy(3)
		w.CoreSize(2)
		if replace {
			w.Replace(nil)
		}
		w.Never("copies", "register.copies > 5 AND node.up = false AND register.n < 0")
	}
	o := short()
	o.Faults = []sim.Fault{{Kind: sim.FaultDiskLoss, At: 340 * time.Millisecond, For: 20 * time.Millisecond, Nodes: []string{"n2"}, Seed: 1}}
	r := run(t, s, o)
	if r.Happened[sim.FaultDiskLoss] != 1 {
		t.Fatalf("%v", r.Happened)
	}
	return r
}

func TestAReplacedDiskIsAGapAndIsKept(t *testing.T) {
	r := lossy(t, true)
	if r.Failure != nil {
		t.Fatal(r.Failure)
	}
	src, err := r.History(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	i, ok := src.Meta().NodeIndex("n2~1")
	if !ok {
		t.Fatal("the lost disk's journal isn't in the History")
	}
	cur, err := src.Walk(context.Background(), history.End, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	if vars := cur.States()[i].Vars(); len(vars) > 0 {
		t.Errorf("%d variables are left of the lost disk", len(vars))
	}
	r.Failure = &sim.Failure{Kind: sim.Safety, Property: "made up"}
	disk := vfs.NewMem()
	if err := r.Save(context.Background(), disk, "d", sim.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	names, err := disk.ReadDir("d/replaced/n2%7E1/journal")
	if err != nil || len(names) == 0 {
		t.Errorf("%v, %v", names, err)
	}
	opened, err := replay.Open(context.Background(), "d", replay.Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	n, _ := opened.Recording.Manifest().Node("n2")
	if len(n.Gaps) != 1 || n.Gaps[0].To == 0 || !strings.Contains(n.Gaps[0].Reason, "replaced/n2%7E1") {
		t.Errorf("%+v", n.Gaps)
	}
	i, _ = opened.Source.Meta().NodeIndex("n2")
	if node := opened.Source.Meta().Nodes[i]; len(node.Unknown) != 1 || node.Unknown[0].To > node.First.Time {
		t.Errorf("%+v", node)
	}
	report, err := sim.ReadReport(disk, "d")
	if err != nil || len(report.Notes) == 0 || !strings.Contains(strings.Join(report.Notes, "\n"), "disk 1 of n2 was lost and replaced") {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestALostDiskIsStated(t *testing.T) {
	r := lossy(t, false)
	if r.Failure == nil {
		r.Failure = &sim.Failure{Kind: sim.Safety, Property: "made up"}
	}
	disk := vfs.NewMem()
	if err := r.Save(context.Background(), disk, "d", sim.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	report, err := sim.ReadReport(disk, "d")
	if err != nil || !strings.Contains(strings.Join(report.Notes, "\n"), "n2 stays down: ") {
		t.Errorf("%+v, %v", report, err)
	}
	rec, err := recording.Open(disk, "d")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := rec.Manifest().Node("n2"); len(n.Gaps) != 1 || !strings.HasPrefix(n.Gaps[0].Reason, "the node stays down: ") {
		t.Errorf("%+v", n)
	}
	if _, err := disk.Stat("d/replaced"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestDamageIsNoDivergence(t *testing.T) {
	for seed := range uint64(12) {
		s := subject(nil)
		setup := s.Setup
		s.Setup = func(w *sim.World) {
			setup(w)
			w.Redundancy(3)
			w.CoreSize(2)
			w.Never("nothing", "register.n < 0")
		}
		o := short()
		o.Seed = seed
		for i, kind := range []sim.FaultKind{sim.FaultBitRot, sim.FaultLostWrite, sim.FaultMisplaced} {
			o.Faults = append(o.Faults, sim.Fault{Kind: kind, At: time.Duration(340+10*i) * time.Millisecond, For: time.Millisecond, Nodes: []string{"n3"}, Seed: seed})
		}
		r := run(t, s, o)
		if r.Failure != nil && r.Failure.Kind == sim.Divergence {
			t.Errorf("seed %d: %v", seed, r.Failure)
		}
		if _, err := r.History(context.Background()); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if err := r.Save(context.Background(), vfs.NewMem(), "d", sim.SaveOptions{}); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}
