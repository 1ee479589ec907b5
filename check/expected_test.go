package check_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindcast.dev/check"
)

// expectedDir holds real logs, and the verdicts of who published them.
const expectedDir = "../../shared/data/porcupine"

func TestVerdictsOfRealLogs(t *testing.T) {
	f, err := os.Open(filepath.Join(expectedDir, "expected.tsv"))
	if err != nil {
		t.Skipf("real logs are looked for in ../shared/data from the project's root: %v", err)
	}
	defer f.Close()
	lines, judged := bufio.NewScanner(f), 0
	for lines.Scan() {
		name, want, ok := strings.Cut(lines.Text(), "\t")
		if !ok || name == "file" {
			continue
		}
		judged++
		t.Run(name, func(t *testing.T) {
			ops := readLog(t, filepath.Join(expectedDir, name))
			m, ok := check.GuessModel(ops)
			if !ok {
				t.Fatal("no model fits")
			}
			res := check.Linearizable(ops, m, check.Options{})
			if got := res.Verdict == check.Holds; got != (want == "true") || res.Verdict == check.Undecided {
				t.Fatalf("%s by model %s: %s %s, want linearizable %s", name, m.Name, res.Verdict, res.Bound, want)
			}
			for _, v := range res.Violations {
				t.Logf("%s\n%s", m.Name, v.Text)
			}
		})
	}
	if err := lines.Err(); err != nil || judged != 24 {
		t.Fatalf("%d logs judged, %v; want 24", judged, err)
	}
}

func readLog(t *testing.T, path string) []check.Operation {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := bufio.NewReader(f)
	begin, _ := in.Peek(512)
	ops, err := check.ReadLog(in, check.DetectFormat(begin))
	if err != nil {
		t.Fatal(err)
	}
	return ops
}
