//go:build unix

package app_test

import (
	"path/filepath"
	"syscall"
	"testing"
)

func TestSIGUSR1WritesABundleThatCanBeAsked(t *testing.T) {
	verifyNoLeak(t)
	sv := serve(t, service(), "--dir", filepath.Join(t.TempDir(), "n1"), "--http", ":0", "--bundle", "1m")
	sv.get("/x")
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	line := sv.wait("bundle written")
	out, _ := mustRun(t, service(), "", "query", "-o", "jsonl", field(line, "dir"), `SELECT counter.counts["/x"] FROM counter WHEN counter.counts["/x"] = 1`)
	wantText(t, "a query of the bundle", out, `"values":{"counter.counts[\"/x\"]":{"n1":1}}`)
	if code := sv.end(); code != 0 {
		t.Errorf("serve ended with exit code %d", code)
	}
}
