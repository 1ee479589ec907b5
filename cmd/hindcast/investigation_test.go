package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

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
