package raftkv

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hindcast.dev/sim"
)

var seeds = flag.Int("seeds", 6, "how many seeds the simulator's test runs")

func mustRun(t *testing.T, o sim.Options) *sim.Result {
	t.Helper()
	r, err := sim.Run(Subject(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNoSeedBreaksAPromise(t *testing.T) {
	n := *seeds
	if testing.Short() {
		n = min(n, 2)
	}
	for seed := range n {
		r := mustRun(t, sim.Options{Seed: uint64(seed)})
		if r.Failure != nil {
			t.Errorf("seed %d: %v", seed, r.Failure)
		}
		if len(r.Operations) < 1000 {
			t.Errorf("seed %d: %d operations", seed, len(r.Operations))
		}
	}
}

// This seed's network has links that stand still for seconds, and its leaders
// learn late that they lead no more. docs/sim-raft.md tells what v3.6.0 makes of
// it; when the simulator draws differently, another seed takes its place.
func TestTheSeedThatHasStaleReadsInV360(t *testing.T) {
	r := mustRun(t, sim.Options{Seed: 192})
	switch {
	case !staleReads && r.Failure != nil:
		t.Errorf("%v", r.Failure)
	case staleReads && (r.Failure == nil || r.Failure.Property != "linearizable"):
		t.Errorf("%v, want a stale read", r.Failure)
	}
}

// In this seed the leader takes its own vote away while another voter is out of
// order. Had it stepped down at once, nobody could have been elected any more: see
// retire. When the simulator draws differently, another seed takes its place.
func TestALeaderWithoutVoteHandsOver(t *testing.T) {
	if r := mustRun(t, sim.Options{Seed: 955}); r.Failure != nil {
		t.Error(r.Failure)
	}
}

func TestALogMayBeCutMoreOftenThanItKeeps(t *testing.T) {
	r := mustRun(t, sim.Options{Seed: 3, Quick: true, Set: map[string]string{"snapshotEvery": "10", "keep": "20"}})
	if r.Failure != nil {
		t.Error(r.Failure)
	}
}

// Both runs draw from the library's global source, which is the operating
// system's: were a drawn timeout looked at anywhere, they would differ. There are
// elections in the run, and nodes that are made anew at checkpoints.
func TestTheSameSeedGivesTheSameRunWhateverTheLibraryDraws(t *testing.T) {
	o := sim.Options{Seed: 2, Quick: true, Set: map[string]string{"checkpointEvery": "200", "electionTick": "3"}}
	first := mustRun(t, o)
	second := mustRun(t, o)
	if first.Hash != second.Hash || first.Events != second.Events {
		t.Errorf("%d events with hash %x, and %d with %x", first.Events, first.Hash, second.Events, second.Hash)
	}
	if first.Steps < 1000 {
		t.Errorf("only %d steps", first.Steps)
	}
}

// TestTheLibraryLooksAtItsRandomTimeoutWhereFollowersTick reads the library's
// source: what election.go says of it is so in the version that is linked.
func TestTheLibraryLooksAtItsRandomTimeoutWhereFollowersTick(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "go.etcd.io/raft/v3").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	uses := map[string][]string{} // name → functions that have it
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && id != fn.Name && !slices.Contains(uses[id.Name], fn.Name.Name) {
					uses[id.Name] = append(uses[id.Name], fn.Name.Name)
				}
				return true
			})
		}
	}
	for _, want := range []struct {
		name string
		in   []string
	}{
		{"globalRand", []string{"resetRandomizedElectionTimeout"}},
		{"randomizedElectionTimeout", []string{"pastElectionTimeout", "resetRandomizedElectionTimeout"}},
		{"pastElectionTimeout", []string{"tickElection"}},
	} {
		got := uses[want.name]
		slices.Sort(got)
		if !slices.Equal(got, want.in) {
			t.Errorf("%s is in %v, want it in %v only", want.name, got, want.in)
		}
	}
	if !slices.Contains(uses["tickElection"], "becomeFollower") || slices.Contains(uses["tickElection"], "becomeLeader") {
		t.Errorf("tickElection is set in %v", uses["tickElection"])
	}
}
