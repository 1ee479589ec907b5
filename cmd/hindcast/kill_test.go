package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hindcast.dev/hlc"
	"hindcast.dev/recording"
	"hindcast.dev/replay"
	"hindcast.dev/vfs"
)

// kills is how often TestKill kills a node: `go test ./cmd/hindcast -run Kill
// -kills 200` is the long form.
var kills = flag.Int("kills", 12, "how many times the kill test kills a node")

// selfEnv makes the test binary be the command, so that tests start real
// processes without building anything.
const selfEnv = "HINDCAST_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(selfEnv) != "" {
		main()
	}
	flag.Parse()
	os.Setenv(selfEnv, "1") // of the children
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreTopFunction("hindcast.dev/cmd/hindcast.keepThread")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// TestKillAtAnyMomentLosesNothingAcknowledged kills nodes of a real cluster with
// SIGKILL under load, again and again. No acknowledged write may be lost, every
// restart must recover, and the journals must replay without divergence.
func TestKillAtAnyMomentLosesNothingAcknowledged(t *testing.T) {
	n := *kills
	if testing.Short() {
		n = min(n, 4)
	}
	dir := t.TempDir()
	ctx := t.Context()
	c, err := newCluster(dir, 3, demoSkew)
	if err != nil {
		t.Fatal(err)
	}
	c.durability = []string{"process", "group", "each"} // one node of each
	if err := os.MkdirAll(filepath.Join(dir, "operations"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, m := range c.members {
		if err := c.start(m); err != nil {
			t.Fatal(err)
		}
		defer c.kill(m)
	}
	for _, m := range c.members {
		if err := c.ready(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	acked := loadWhile(t, c, dir, func() { killing(t, ctx, c, n) })
	sctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	if err := c.same(sctx); err != nil {
		t.Fatal(err)
	}
	for key, version := range acked {
		if got := versionOf(t, c, c.members[0], key); got < version {
			t.Errorf("%s: version %v was acknowledged, %v is there", key, version, got)
		}
	}
	if _, err := recording.Pull(ctx, vfs.OS(), dir, c.admins(), recording.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.stop(sctx); err != nil {
		t.Fatal(err)
	}
	opened, err := replay.Open(ctx, dir, replayOptions())
	if err != nil {
		t.Fatalf("replay: %v", err)
	}
	defer opened.Close()
	caused, err := replay.CheckCausality(ctx, opened.Source)
	if err != nil || len(caused.Violations) > 0 || caused.Messages == 0 {
		t.Fatalf("causality: %+v, %v", caused, err)
	}
	t.Logf("%d kills, %d keys with acknowledged writes, %d events replayed", n, len(acked), opened.Source.Meta().Events)
}

// loadWhile drives the cluster until do returns, and returns the newest version
// acknowledged of each key.
func loadWhile(t *testing.T, c *cluster, dir string, do func()) map[string]hlc.Timestamp {
	t.Helper()
	file, err := os.Create(filepath.Join(dir, "operations", "clients.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var targets []string
	for _, m := range c.members {
		targets = append(targets, m.http)
	}
	var mu sync.Mutex
	acked := map[string]hlc.Timestamp{}
	l := newLoad(file, targets)
	l.acked = func(key, version string) {
		v, err := hlc.Parse(version)
		if err != nil {
			t.Errorf("%s: acknowledged version %q: %v", key, version, err)
		}
		mu.Lock()
		defer mu.Unlock()
		acked[key] = max(acked[key], v)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.run(ctx, 4, 1) }()
	do()
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(acked) == 0 {
		t.Fatal("nothing was acknowledged: the load exercises nothing")
	}
	return acked
}

// killing kills a node at a time, at any moment, and starts it again.
func killing(t *testing.T, ctx context.Context, c *cluster, n int) {
	r := rand.New(rand.NewPCG(1, 2))
	for range n {
		m := c.members[r.IntN(len(c.members))]
		<-time.After(time.Duration(r.IntN(60)) * time.Millisecond)
		if err := c.kill(m); err != nil {
			t.Fatal(err)
		}
		if err := c.start(m); err != nil {
			t.Fatal(err)
		}
		if r.IntN(3) == 0 {
			continue // the next kill may hit it while it recovers
		}
		if err := c.ready(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range c.members {
		if err := c.ready(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
}

func versionOf(t *testing.T, c *cluster, m *member, key string) hlc.Timestamp {
	t.Helper()
	resp, err := http.Get("http://" + m.http + "/kv/" + key + "?consistency=eventual")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Version string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	v, err := hlc.Parse(answer.Version)
	if err != nil {
		t.Fatalf("%s: version %q: %v", key, answer.Version, err)
	}
	return v
}
