package sim_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A fixture is the tests in testdata/simtest, run in a directory of their own.
type fixture struct {
	t           *testing.T
	dir, binary string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir()}
	f.binary = filepath.Join(f.dir, "simtest.test")
	if out, err := exec.Command("go", "test", "-c", "-o", f.binary, "./testdata/simtest").CombinedOutput(); err != nil {
		t.Fatalf("go test -c: %v\n%s", err, out)
	}
	return f
}

// run runs the tests with settings of the environment, with spaces between.
func (f *fixture) run(env string, args ...string) (output string, ok bool) {
	f.t.Helper()
	cmd := exec.Command(f.binary, args...)
	cmd.Dir, cmd.Env = f.dir, append(os.Environ(), strings.Fields(env)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		f.t.Fatal(err)
	}
	return string(out), err == nil
}

func (f *fixture) read(name string) string {
	f.t.Helper()
	b, err := os.ReadFile(filepath.Join(f.dir, filepath.FromSlash(name)))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b)
}

func (f *fixture) write(name, text string) {
	f.t.Helper()
	name = filepath.Join(f.dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
		f.t.Fatal(err)
	}
}

func wantMatch(t *testing.T, text, pattern string) []string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no match for %s in\n%s", pattern, text)
	}
	return m
}

// A test of a faulty system fails with the seed, the commit and one command, which
// runs that seed alone; the seed is kept, and runs first until it passes.
func TestTestOfAFaultySystem(t *testing.T) {
	f := newFixture(t)
	f.write(".git/HEAD", "ref: refs/heads/trunk\n")
	f.write(".git/refs/heads/trunk", "0123456789abcdef\n")

	out, ok := f.run("", "-test.count=2")
	command := wantMatch(t, out, `seed (\d+) of commit 0123456789abcdef: safety: counted once\n +n[12] counts \d+ of \d+\n +again: go test \S+ -run '(\^TestCounter\$/\^one\$)' -hindcast\.seed=(\d+)\n`)
	if ok || command[1] != command[3] {
		t.Errorf("ok %t, and the command is for seed %s: %s", ok, command[3], command[0])
	}
	if got, want := f.read("testdata/hindcast/TestCounter_one.seeds"), command[1]+" # safety: counted once\n"; got != want {
		t.Errorf("kept seeds are %q, want %q", got, want)
	}

	alone, ok := f.run("", "-test.run", command[2], "-hindcast.seed="+command[3], "-hindcast.keep=kept")
	if ok || strings.Count(alone, "counted once") != 1 {
		t.Errorf("the command gives\n%s", alone)
	}
	dir := wantMatch(t, alone, `kept:  (kept/TestCounter_one/seed-\d+); see it: hindcast debug kept/`)[1]
	if report := f.read(dir + "/failure.json"); !strings.Contains(report, `"property": "counted once"`) {
		t.Errorf("the report is %s", report)
	}

	// It is made small where its machines are: in the test.
	if again := "make it small: go test "; !strings.Contains(out, again) || !strings.Contains(out, "-hindcast.seed="+command[3]+" -hindcast.shrink\n") {
		t.Errorf("no command makes it small:\n%s", out)
	}
	small, ok := f.run("", "-test.run", command[2], "-hindcast.seed="+command[3], "-hindcast.shrink", "-hindcast.keep=kept")
	if ok {
		t.Errorf("made small it passes:\n%s", small)
	}
	wantMatch(t, small, `seed \d+ made small, by \d+ runs:\n(.*\n)*.*counted once fails: (.*\n)* *kept:  kept/TestCounter_one/seed-\d+-small; see it: hindcast debug kept/`)
	if report := f.read(dir + "-small/failure.json"); !strings.Contains(report, `"property": "counted once"`) {
		t.Errorf("the small report is %s", report)
	}

	// A seed that was kept comes first: this one is no fresh seed.
	f.write("testdata/hindcast/TestCounter_two.seeds", "# by hand\n\n900001\n900002 # another\n900003\n900004\n900005\n")
	if out, _ := f.run("", "-test.run", "TestCounter/two"); !strings.Contains(out, "seed 90000") {
		t.Errorf("the kept seeds aren't run first:\n%s", out)
	}
	f.write("testdata/hindcast/TestCounter_two.seeds", "12x\n")
	if out, ok := f.run("FIXED=1", "-test.run", "TestCounter/two"); ok || !strings.Contains(out, `TestCounter_two.seeds:1: "12x" is no seed`) {
		t.Errorf("a file that isn't one of seeds:\n%s", out)
	}
	if err := os.Remove(filepath.Join(f.dir, "testdata/hindcast/TestCounter_two.seeds")); err != nil {
		t.Fatal(err)
	}

	// When it is fixed all pass, the kept ones too; with -artifacts there is a place.
	if out, ok := f.run("FIXED=1", "-hindcast.runs=3"); !ok {
		t.Errorf("fixed:\n%s", out)
	}
	if out, _ := f.run("", "-test.artifacts", "-test.outputdir", f.dir, "-test.run", "TestCounter/one"); !strings.Contains(out, "see it: hindcast debug ") {
		t.Errorf("with -artifacts:\n%s", out)
	}
	// What is undecided is no pass.
	if out, ok := f.run("FIXED=1 HARD=1", "-hindcast.runs=3"); ok || !strings.Contains(out, "3 of 3 seeds are undecided") {
		t.Errorf("undecided:\n%s", out)
	}
	if out, ok := f.run("FIXED=1 HARD=1", "-hindcast.seed=1"); ok || !strings.Contains(out, "seed 1 is undecided: too hard: 0 steps") {
		t.Errorf("undecided:\n%s", out)
	}
	f.write("testdata/hindcast/TestCounter_two.seeds", "900001\n")
	if out, ok := f.run("FIXED=1 HARD=1", "-test.run", "TestCounter/two"); ok || !strings.Contains(out, "seed 900001 is undecided: too hard: 0 steps") {
		t.Errorf("a kept seed that is undecided:\n%s", out)
	}
	if out, ok := f.run("", "-hindcast.seed=x"); ok || !strings.Contains(out, "-hindcast.seed=x: want a number") {
		t.Errorf("a seed that is none:\n%s", out)
	}
}
