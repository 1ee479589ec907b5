package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A simulated run may use versions of machines that its service doesn't serve:
// its recording is replayed by the simulation's.
func TestRecordingOfASimulatedVersionReplays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	runSelf(t, 1, "sim", "kv", "--seed", "1", "--never", `node.version["kv"] = 2`, "--keep", dir)
	failure := filepath.Join(dir, "seed-1")
	runSelf(t, 0, "replay", failure)
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("goto END\nstate n1 kv.items\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runSelf(t, 0, "debug", "--script", script, failure)
}

// runSelf runs this program, and returns what it printed.
func runSelf(t *testing.T, want int, args ...string) string {
	t.Helper()
	out, err := exec.Command(os.Args[0], args...).CombinedOutput()
	var exit *exec.ExitError
	code := 0
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if code != want {
		t.Fatalf("%q: exit code %d, want %d\n%s", args, code, want, out)
	}
	return string(out)
}
