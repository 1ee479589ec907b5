package sim

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hindcast.dev/machine"
	"hindcast.dev/vfs"
)

// TestOptions say how Test runs a world. Machines is needed; otherwise the zero
// value works.
type TestOptions struct {
	// Machines of the system: name → version → constructor.
	Machines machine.Registry
	// Runs is how many seeds are run, 20 if it is 0; -hindcast.runs says otherwise.
	Runs int
	// Set fixes options by name.
	Set map[string]string
	// Properties are demanded besides those that the world's set-up states.
	Properties []Property
	// Floors, if it isn't zero, makes a test fail of which no seed exercises as much.
	Floors Floors
}

// Runs of a test of which nobody said how many.
const (
	testRuns      = 20
	testRunsShort = 5
)

// testFlags are the flags that a test's binary has besides those of go test.
var testFlags = registerFlags()

type flags struct {
	seed   string
	runs   int
	keep   string
	shrink bool
}

// registerFlags adds the flags, in a test's binary only: other programs have flags
// of their own.
func registerFlags() *flags {
	f := &flags{}
	if testing.Testing() {
		flag.StringVar(&f.seed, "hindcast.seed", "", "sim.Test: run this seed alone")
		flag.IntVar(&f.runs, "hindcast.runs", 0, "sim.Test: run so many seeds")
		flag.BoolVar(&f.shrink, "hindcast.shrink", false, "sim.Test: make what fails small, and say in words what is left")
		flag.StringVar(&f.keep, "hindcast.keep", "", "sim.Test: keep the recordings of failures in this directory")
	}
	return f
}

// Test runs a system under simulated faults as a test: setup makes its nodes,
// clients and properties, once for each seed. First come the seeds that failed
// before, which stand in testdata/hindcast/NAME.seeds; then fresh ones, 1 and up:
// the same in every run of the test, so that it fails or passes for what was
// changed. Each seed is a world of its own, and of the test alone: Test works under
// -race, -count and t.Parallel.
//
// A seed that fails is written into the file of seeds, and its recording, which
// `hindcast debug` opens, into the test's artifact directory (go test -artifacts),
// or that of -hindcast.keep. The test's output says the seed, the commit, and the
// one command that runs it again.
func Test(t *testing.T, o TestOptions, setup func(w *World)) {
	t.Helper()
	tt := &tester{t: t, o: o, flags: testFlags, subject: &Subject{Name: t.Name(), Machines: o.Machines, Setup: setup}}
	if err := tt.run(); err != nil {
		t.Fatal(err)
	}
}

// A tester is one call of Test.
type tester struct {
	t       *testing.T
	o       TestOptions
	flags   *flags
	subject *Subject
}

func (tt *tester) options(seed uint64) Options {
	return Options{Seed: seed, Set: maps.Clone(tt.o.Set), Properties: tt.o.Properties}
}

// run runs the seeds until one fails.
func (tt *tester) run() error {
	if tt.flags.seed != "" {
		seed, err := strconv.ParseUint(tt.flags.seed, 10, 64)
		if err != nil {
			return fmt.Errorf("-hindcast.seed=%s: want a number", tt.flags.seed)
		}
		r, err := tt.seed(seed)
		if err == nil && r.Failure == nil {
			tt.t.Logf("seed %d: %s, %s simulated, hash %016x", seed, count(len(r.Operations), "operation"), round(r.Simulated), r.Hash)
		}
		return err
	}
	kept, err := readSeeds(tt.seedsFile())
	if err != nil {
		return err
	}
	for _, seed := range kept {
		if r, err := tt.seed(seed); err != nil || r.Failure != nil {
			return err
		}
	}
	return tt.fresh()
}

// fresh runs seeds 1 and up.
func (tt *tester) fresh() error {
	runs := tt.flags.runs
	switch {
	case runs > 0:
	case tt.o.Runs > 0:
		runs = tt.o.Runs
	case testing.Short():
		runs = testRunsShort
	default:
		runs = testRuns
	}
	floors := tt.o.Floors
	if floors == (Floors{}) {
		floors.Operations = 1
	}
	tally := &Tally{}
	search := &Search{Subject: tt.subject, Options: tt.options(0), First: 1, Last: uint64(runs), FailuresMax: 1, Floors: floors,
		Done: func(o *Outcome, r *Result) error {
			if o.Failure != nil {
				return tt.failed(o.Seed, r)
			}
			return nil
		}}
	if err := search.Run(tt.t.Context(), tally); err != nil {
		return err
	}
	if f := tally.Verdict(); f != nil && tally.First == nil {
		tt.t.Errorf("%s: %s: %s", f.Kind, f.Property, f.Text)
	}
	if tally.Undecided > 0 {
		tt.t.Errorf("%d of %d seeds are undecided: a judge ran into its bound; hindcast sim says which", tally.Undecided, tally.Runs)
	}
	return nil
}

// seed runs one seed.
func (tt *tester) seed(seed uint64) (*Result, error) {
	r, err := Attempt(tt.subject, tt.options(seed))
	if err != nil {
		return nil, err
	}
	if err := r.CheckSet(); err != nil {
		return nil, err
	}
	if r.Failure != nil {
		return r, tt.failed(seed, r)
	}
	if r.Undecided != "" {
		tt.t.Errorf("seed %d is undecided: %s", seed, r.Undecided)
	}
	return r, nil
}

// failed fails the test, and keeps the seed and its recording.
func (tt *tester) failed(seed uint64, r *Result) error {
	tt.t.Helper()
	command := tt.command(seed)
	where, err := tt.save(fmt.Sprintf("seed-%d", seed), r, command)
	tt.t.Errorf("seed %d of commit %s: %s: %s\n%s\nagain: %s%s\nmake it small: %s -hindcast.shrink", seed, commit(), r.Failure.Kind, r.Failure.Property,
		strings.TrimRight(r.Failure.Text, "\n"), command, where, command)
	if tt.flags.shrink {
		err = errors.Join(err, tt.shrink(seed, r.Failure, command))
	}
	if tt.flags.seed != "" {
		return err
	}
	return errors.Join(err, addSeed(tt.seedsFile(), seed, r.Failure))
}

// shrinkRoom is the part of the test's time that shrinking leaves for the rest.
const shrinkRoom = 10

// shrink makes a failing seed small. The test's deadline bounds it.
func (tt *tester) shrink(seed uint64, f *Failure, command string) error {
	ctx := tt.t.Context()
	if deadline, ok := tt.t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/shrinkRoom))
		defer cancel()
	}
	small, err := (&Shrink{Subject: tt.subject, Workers: runtime.GOMAXPROCS(0)}).Run(ctx, tt.options(seed), f)
	if err != nil {
		return fmt.Errorf("make seed %d small: %w", seed, err)
	}
	where, err := tt.save(fmt.Sprintf("seed-%d-small", seed), small.Result, command+" -hindcast.shrink")
	ended := ""
	if !small.Whole {
		ended = "\n-timeout ended it before all was tried"
	}
	tt.t.Logf("seed %d made small, by %s:\n%s%s%s", seed, count(small.Runs, "run"), small.Result.Words(), strings.TrimPrefix(where, "\n"), ended)
	return err
}

// command runs a seed of this test again.
func (tt *tester) command(seed uint64) string {
	parts := strings.Split(tt.t.Name(), "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return fmt.Sprintf("go test %s-run '%s' -hindcast.seed=%d", testedPackage(), strings.Join(parts, "/"), seed)
}

// testedPackage is the import path of the package under test and a space; "" if
// the binary doesn't know it.
func testedPackage() string {
	b, ok := debug.ReadBuildInfo()
	if !ok || b.Path == "" {
		return ""
	}
	pkg := strings.TrimSuffix(b.Path, ".test") // a main package's is without it
	if pkg == "command-line-arguments" {
		return ""
	}
	return pkg + " "
}

// save leaves a recording where the test's artifacts are kept, under a name, and
// says where.
func (tt *tester) save(name string, r *Result, command string) (where string, err error) {
	base := tt.flags.keep
	if base == "" {
		if f := flag.Lookup("test.artifacts"); f == nil || f.Value.String() != "true" {
			return "\nits recording is kept by -artifacts, or by -hindcast.keep=DIR", nil
		}
		base = tt.t.ArtifactDir()
	}
	dir := path.Join(filepath.ToSlash(base), fileName(tt.t.Name()), name)
	if old, err := ReadReport(vfs.OS(), dir); err != nil || old.Hash != fmt.Sprintf("%016x", r.Hash) {
		if err := os.RemoveAll(filepath.FromSlash(dir)); err != nil {
			return "", err
		}
		// Not the test's context: the test may be about to end.
		if err := r.Save(context.Background(), vfs.OS(), dir, SaveOptions{Command: command, Words: r.Words()}); err != nil {
			return "", err
		}
	}
	return "\nkept:  " + dir + "; see it: hindcast debug " + dir, nil
}

// seedsFile holds the test's failing seeds.
func (tt *tester) seedsFile() string {
	return filepath.Join("testdata", "hindcast", fileName(tt.t.Name())+".seeds")
}

// fileName makes a test's name the name of a file.
func fileName(test string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r == ':' || r < ' ' {
			return '_'
		}
		return r
	}, test)
}

// readSeeds reads a file of seeds: one a line, and what follows # is for people.
func readSeeds(name string) ([]uint64, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var seeds []uint64
	for i, line := range strings.Split(string(b), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		seed, err := strconv.ParseUint(line, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %q is no seed", name, i+1, line)
		}
		seeds = append(seeds, seed)
	}
	return seeds, nil
}

// addSeed adds a seed to the file, if it isn't there.
func addSeed(name string, seed uint64, f *Failure) error {
	seeds, err := readSeeds(name)
	if err != nil || slices.Contains(seeds, seed) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%d # %s: %s\n", seed, f.Kind, f.Property)
	return errors.Join(err, file.Close())
}

// commit is what the test was built from, as far as that can be known: go test
// stamps it into the binary if it is told to; otherwise the work tree says it.
func commit() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	dir, err := os.Getwd()
	for err == nil {
		if revision := headOf(filepath.Join(dir, ".git")); revision != "" {
			return revision
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	return "unknown"
}

// headOf is the commit that is checked out, by the directory .git, or the file that
// stands for it in a linked work tree; "" if it can't be told.
func headOf(git string) string {
	if linked := firstWord(git, "gitdir:"); linked != "" {
		git = linked
	}
	head, err := os.ReadFile(filepath.Join(git, "HEAD"))
	if err != nil {
		return ""
	}
	ref, isRef := strings.CutPrefix(strings.TrimSpace(string(head)), "ref: ")
	if !isRef {
		return ref
	}
	common := git
	if dir := firstWord(filepath.Join(git, "commondir"), ""); dir != "" {
		common = filepath.Join(git, dir)
	}
	if revision := firstWord(filepath.Join(common, filepath.FromSlash(ref)), ""); revision != "" {
		return revision
	}
	packed, _ := os.ReadFile(filepath.Join(common, "packed-refs"))
	for line := range strings.Lines(string(packed)) {
		if revision, name, _ := strings.Cut(strings.TrimSpace(line), " "); name == ref {
			return revision
		}
	}
	return ""
}

// firstWord is what a file holds behind a prefix, "" if there is no such file.
func firstWord(name, prefix string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	rest, ok := strings.CutPrefix(string(b), prefix)
	if !ok {
		return ""
	}
	return strings.TrimSpace(rest)
}
