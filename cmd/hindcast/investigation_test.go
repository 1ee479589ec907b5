package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the demo tells differs from run to run: which key, on which node, and so on.
var (
	toldWhere  = regexp.MustCompile(`The first of them: (\S+) on (\S+)`)
	toldMissed = regexp.MustCompile(`The write that \S+ missed: (.*) at ((\S+):\d+), (\S+)`)
	toldDrop   = regexp.MustCompile(`dropped: Replicate (\S+) from (\S+) to`)
	toldEnd    = regexp.MustCompile(`was behind for (.*), until (.*) at (\S+), (\S+)`)
)

// names are what a run of the demo is about.
func names(t *testing.T, told string) (all []string) {
	t.Helper()
	for _, r := range []*regexp.Regexp{toldWhere, toldMissed, toldDrop, toldEnd} {
		m := r.FindStringSubmatch(told)
		if m == nil {
			t.Fatalf("the demo doesn't tell %s:\n%s", r, told)
		}
		all = append(all, m[1:]...)
	}
	return all
}

// TestTheInvestigationOfAStaleReadIsAsTold runs the page with the names of the run
// that it makes in place of those of the run that it shows.
func TestTheInvestigationOfAStaleReadIsAsTold(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the demo lives for seconds; go test without -short runs it")
	}
	page, err := os.ReadFile("../../docs/investigations/stale-read.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := names(t, string(page))
	file := filepath.Join(t.TempDir(), "told.txt")
	runPage(t, "../../docs/investigations/stale-read.md", 6, func(s string) string {
		told, err := os.ReadFile(file)
		if err != nil { // the demo is still to come
			return strings.Replace(s, "tee told.txt", "tee '"+file+"'", 1)
		}
		return renamed(s, shown, names(t, string(told)))
	})
}

// renamed is a text with names in place of others, the longest first, each only where
// no word goes on.
func renamed(s string, from, to []string) string {
	with := map[string]string{}
	for i, f := range from {
		with[f] = to[i]
	}
	ordered := slices.Clone(from)
	slices.SortFunc(ordered, func(a, b string) int { return len(b) - len(a) })
	var any []string
	for _, f := range ordered {
		any = append(any, `\B`+regexp.QuoteMeta(f)+`\B|\b`+regexp.QuoteMeta(f)+`\b`)
	}
	return regexp.MustCompile(strings.Join(any, "|")).ReplaceAllStringFunc(s, func(f string) string { return with[f] })
}

// A planted fault, from a failing seed to the mend: the page builds the store with
// the fault, which takes a compiler.
func TestTheInvestigationOfAnOlderCopyIsAsTold(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a build, and what it takes to make a failure small; go test without -short runs them")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("the commands build the store with a fault in it: %v", err)
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	runPage(t, "../../docs/investigations/older-copy.md", 8, func(s string) string {
		return strings.Replace(s, "go build -tags canary_kv -o hindcast-canary", fmt.Sprintf(`go build -C '%s' -tags canary_kv -o "$PWD/hindcast-canary"`, root), 1)
	})
}

func TestTheInvestigationOfAMissingPostIsAsTold(t *testing.T) {
	log, err := filepath.Abs("../../docs/investigations/facebook.log")
	if err != nil {
		t.Fatal(err)
	}
	runPage(t, "../../docs/investigations/missing-post.md", 5, func(s string) string {
		return strings.ReplaceAll(s, "docs/investigations/facebook.log", "'"+log+"'")
	})
}
