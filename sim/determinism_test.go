package sim_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"hindcast.dev/sim"
)

// hashes are those of a few runs, one a line.
func hashes(t *testing.T) string {
	var b strings.Builder
	for seed := range uint64(4) {
		r := run(t, subject(func(w *sim.World) { w.Never("below zero", "register.n < 0") }), sim.Options{Seed: seed, Set: map[string]string{"operations": "400"}})
		fmt.Fprintf(&b, "%d %016x %d %d %v\n", seed, r.Hash, r.Events, r.Steps, r.Failure)
	}
	return b.String()
}

// Environment of TestHashesAreThoseOfAnotherProcess.
const (
	hashesChild = "HINDCAST_SIM_CHILD"  // this is the other process
	hashesFile  = "HINDCAST_SIM_HASHES" // a file: made if it isn't there, else compared
)

// TestHashesAreThoseOfAnotherProcess runs the same seeds here, with one processor
// and with two, and in processes of their own. With a file named in the
// environment it compares builds: with the race detector and without.
func TestHashesAreThoseOfAnotherProcess(t *testing.T) {
	here := hashes(t)
	if os.Getenv(hashesChild) != "" {
		fmt.Printf("hashes of GOMAXPROCS=%d\n%s", runtime.GOMAXPROCS(0), here)
		return
	}
	for _, procs := range []string{"1", "2"} {
		c := exec.Command(os.Args[0], "-test.run=^TestHashesAreThoseOfAnotherProcess$", "-test.count=1")
		c.Env = append(os.Environ(), hashesChild+"=1", "GOMAXPROCS="+procs)
		out, err := c.Output()
		if err != nil {
			t.Fatalf("the other process: %v\n%s", err, out)
		}
		if !bytes.Contains(out, []byte("hashes of GOMAXPROCS="+procs+"\n"+here)) {
			t.Errorf("with GOMAXPROCS=%s in another process:\n%s\nhere:\n%s", procs, out, here)
		}
	}
	file := os.Getenv(hashesFile)
	if file == "" {
		return
	}
	other, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.WriteFile(file, []byte(here), 0o600); err != nil {
			t.Error(err)
		}
	case err != nil:
		t.Error(err)
	case string(other) != here:
		t.Errorf("another build's hashes, in %s:\n%s\nthis one's:\n%s", file, other, here)
	}
}

func TestHashesDontDependOnProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(1)
	one := hashes(t)
	runtime.GOMAXPROCS(2)
	two := hashes(t)
	runtime.GOMAXPROCS(before)
	if one != two {
		t.Errorf("with one processor:\n%s\nwith two:\n%s", one, two)
	}
}
