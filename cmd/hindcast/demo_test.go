package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"hindcast.dev/app"
	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

// TestDemoTellsWhatItDid runs the demo as a user does and holds what it says
// against what it did.
func TestDemoTellsWhatItDid(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recording")
	cmd := exec.Command(os.Args[0], "demo", "--json", "--quiet", "--duration", "4s", "--seed", "11", "--dir", dir)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("demo: %v\n%s%s", err, errs.Bytes(), out.Bytes())
	}
	var r struct {
		Recorded struct {
			Events, Bytes uint64
			Nodes         []struct{ Name string }
		}
		Operations struct{ OK, Degraded int }
		Faults     []struct{ Node, What string }
		Causality  struct{ Messages, Violations int }
		Windows    []struct {
			From    string
			Each    struct{ K string }
			Witness map[string]string
		}
		Longest struct {
			Key, Stale string
			Missed     struct{ Node string }
			Dropped    struct {
				From, To string
				Notes    []struct{ Node, Reason string }
			}
			Diagram []string
		}
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("--json: %v\n%s", err, out.Bytes())
	}
	if len(r.Recorded.Nodes) != 3 || r.Recorded.Events == 0 || r.Recorded.Bytes == 0 || r.Operations.OK == 0 {
		t.Errorf("recorded %+v, operations %+v", r.Recorded, r.Operations)
	}
	if len(r.Faults) != 4 || r.Faults[0].Node == r.Faults[2].Node {
		t.Errorf("faults: %+v", r.Faults)
	}
	if r.Causality.Messages == 0 || r.Causality.Violations != 0 {
		t.Errorf("causality: %+v", r.Causality)
	}
	if len(r.Windows) == 0 || r.Windows[0].Each.K != r.Longest.Key || r.Windows[0].Witness["$1"] == "" {
		t.Fatalf("%d windows, longest %+v", len(r.Windows), r.Longest)
	}
	l := r.Longest
	if l.Dropped.To != l.Stale || l.Dropped.From != l.Missed.Node || len(l.Dropped.Notes) == 0 || l.Dropped.Notes[0].Reason == "" {
		t.Errorf("longest: %+v", l)
	}
	if picture := strings.Join(l.Diagram, "\n"); !strings.Contains(picture, "╳") || !strings.Contains(picture, l.Key+" = ") {
		t.Errorf("the diagram shows no lost message or no value:\n%s", picture)
	}
}

// TestNoNodeOutlivesTheDemo kills the demo itself, which then can't stop its
// nodes.
func TestNoNodeOutlivesTheDemo(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skipf("on %s nobody tells a process that its parent died", runtime.GOOS)
	}
	dir := filepath.Join(t.TempDir(), "recording")
	cmd := exec.Command(os.Args[0], "demo", "--duration", "60s", "--seed", "11", "--dir", dir)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), "all is well") {
	}
	cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	for _, node := range []string{"n1", "n2", "n3"} {
		// The lock of a journal is free when its process is gone.
		for {
			lock, err := vfs.OS().Lock(filepath.Join(dir, "live", node, "journal", "lock"))
			if err == nil {
				lock.Close()
				break
			}
			if !errors.Is(err, vfs.ErrLocked) {
				t.Fatal(err)
			}
			select {
			case <-t.Context().Done():
				t.Fatalf("node %s still runs", node)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

// TestAnInterruptedDemoKeepsTheRecording sends the demo what Ctrl-C sends while
// its nodes run: they are gone afterwards, and what they recorded is there.
func TestAnInterruptedDemoKeepsTheRecording(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recording")
	cmd := exec.Command(os.Args[0], "demo", "--duration", "60s", "--seed", "11", "--dir", dir)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), "all is well") {
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	_ = cmd.Wait() // its exit code is looked at below
	if code := cmd.ProcessState.ExitCode(); code != app.ExitInterrupted || !strings.Contains(last, dir) {
		t.Errorf("exit code %d, last word %q; want %d and the recording's place", code, last, app.ExitInterrupted)
	}
	rec, err := recording.Open(vfs.OS(), dir)
	if err != nil {
		t.Fatal(err)
	}
	nodes := rec.Manifest().Nodes
	if len(nodes) != 3 {
		t.Fatalf("%d nodes in the recording", len(nodes))
	}
	for _, n := range nodes {
		if n.Missing != "" || n.Address == "" {
			t.Errorf("node %s at %q is missing: %s", n.Name, n.Address, n.Missing)
			continue
		}
		if conn, err := net.Dial("tcp", strings.TrimPrefix(n.Address, "http://")); err == nil {
			conn.Close()
			t.Errorf("node %s still listens on %s", n.Name, n.Address)
		}
	}
}
