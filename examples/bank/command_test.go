package bank

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hindcast.dev/app"
	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

// run runs a command of the bank's program and returns its exit code and output.
func run(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	c := app.Command(Service())
	c.SetOut(&out)
	c.SetErr(&errs)
	code = app.Run(c, args, &errs)
	return code, out.String(), errs.String()
}

func mustRun(t *testing.T, want int, args ...string) string {
	t.Helper()
	code, stdout, stderr := run(args...)
	if code != want {
		t.Fatalf("%q: exit code %d, want %d\n%s%s", args, code, want, stdout, stderr)
	}
	return stdout
}

func TestTheCommandsOfSnapshots(t *testing.T) {
	c := newCluster(t, t.TempDir())
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	c.settled()
	addrs := strings.Join(c.addrs(), ",")
	mustRun(t, 0, "snapshot", "--nodes", addrs, "-o", at("a"))
	mustRun(t, 2, "snapshot", "--nodes", addrs, "-o", at("a"))
	mustRun(t, 2, "snapshot", "--nodes", addrs, "--at", "tomorrow", "-o", at("x"))
	mustRun(t, 2, "snapshot", "-o", at("x"))
	if _, err := c.nodes["n1"].Client().Do(c.ctx, Name, Transfer{From: "n1/0", To: "n2/1", Amount: 7}); err != nil {
		t.Fatal(err)
	}
	c.settled()
	var said struct {
		Dir      string
		Snapshot recording.Snapshot
	}
	if err := json.Unmarshal([]byte(mustRun(t, 0, "snapshot", "--nodes", addrs, "-o", "json", "-o", at("b"))), &said); err != nil || said.Dir != filepath.ToSlash(at("b")) || said.Snapshot.Time == 0 {
		t.Errorf("%+v, %v", said, err)
	}
	mustRun(t, 0, "snapshot", "diff", at("a"), at("a"))
	out := mustRun(t, 1, "snapshot", "diff", at("a"), at("b"))
	for _, line := range []string{`n1  bank.accounts["n1/0"].balance: 1000 → 993`, `n2  bank.accounts["n2/1"].balance: 1000 → 1007`} {
		if !strings.Contains(out, line) {
			t.Errorf("the difference lacks %q:\n%s", line, out)
		}
	}
	if out := mustRun(t, 1, "snapshot", "diff", "--limit", "1", at("a"), at("b")); !strings.Contains(out, "more") {
		t.Errorf("a bounded difference: %s", out)
	}
	const money = "SELECT SUM(bank.accounts[*].balance) AS money FROM bank LIMIT 1"
	if out := mustRun(t, 0, "query", "-o", "jsonl", at("b"), money); !strings.Contains(out, fmt.Sprint(`"money":`, total)) {
		t.Errorf("a query of a snapshot: %s", out)
	}

	if _, _, stderr := run("query", at("b"), money); strings.Contains(stderr, "missing") {
		t.Errorf("a query of a whole snapshot: %s", stderr)
	}
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("state n2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := mustRun(t, 0, "debug", at("b"), "--script", script); !strings.Contains(out, `"balance":1007`) {
		t.Errorf("debug doesn't begin at the cut: %s", out)
	}
	if out := mustRun(t, 0, "restore", at("b"), "--dir", at("back")); !strings.Contains(out, "  bank serve --node n1 --dir") {
		t.Errorf("restore says %s", out)
	}
	mustRun(t, 2, "restore", at("b"), "--dir", at("back"))
	mustRun(t, 2, "restore", at("b"), "--at", "NOW", "--dir", at("other"))
	mustRun(t, 0, "restore", addrs, "--last-where", `bank.accounts["n1/0"].balance = 1000`, "--dir", at("before"))
	mustRun(t, 1, "restore", addrs, "--last-where", `bank.accounts["n1/0"].balance = 5`, "--dir", at("never"))
	c2 := newCluster(t, at("before"))
	if sum := c2.settled(); sum != total {
		t.Errorf("%d of the last moment before the transfer", sum)
	}
	mustRun(t, 0, "snapshot", "--nodes", strings.Join(c2.addrs(), ","), "-o", at("c"))
	mustRun(t, 0, "query", "-q", at("c"), money)
	if out := mustRun(t, 1, "snapshot", "diff", at("a"), at("c")); strings.Contains(out, "balance") {
		t.Errorf("balances differ from those before the transfer: %s", out)
	}
	c.stop("n3")
	mustRun(t, 3, "snapshot", "--nodes", addrs, "-o", at("part"))
	mustRun(t, 3, "snapshot", "--nodes", addrs, "--partial", "-o", at("part"))
	if out := mustRun(t, 3, "snapshot", "diff", at("b"), at("part")); strings.Count(out, "unknown") != 1 || !strings.Contains(out, "n3  unknown") {
		t.Errorf("a node that is missing in one: %s", out)
	}
}

// A time at which nothing had happened, or that hasn't come, is refused with what
// there is.
func TestTimesThatThereIsNothingOf(t *testing.T) {
	c := newCluster(t, t.TempDir())
	c.settled()
	addrs, dir := strings.Join(c.addrs(), ","), t.TempDir()
	rec := filepath.Join(dir, "rec")
	mustRun(t, 0, "pull", addrs, rec)
	for _, q := range []struct {
		want string
		args []string
	}{
		{"the journals begin later, n1 at 20", []string{"snapshot", "--nodes", addrs, "--at", "2020-01-01 00:00:00Z"}},
		{"at most 500ms ahead is waited for; choose NOW", []string{"snapshot", "--nodes", addrs, "--at", "2096-01-01T00:00:00Z"}},
		{"the recording begins later, n1 at 20", []string{"restore", rec, "--at", "2020-01-01T00:00:00Z"}},
		{"ahead of now", []string{"restore", rec, "--at", "2096-01-01 00:00:00Z"}},
	} {
		out := filepath.Join(dir, "out")
		code, _, stderr := run(append(q.args, map[string]string{"snapshot": "-o", "restore": "--dir"}[q.args[0]], out)...)
		if code == 0 || !strings.Contains(stderr, q.want) {
			t.Errorf("%q: exit code %d, %s, lacks %q", q.args, code, stderr, q.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%q: something was written", q.args)
		}
	}
}

// Of rolling snapshots the last are kept, each whole, however they build on each
// other.
func TestRollingSnapshotsAreKeptWhole(t *testing.T) {
	c := newCluster(t, t.TempDir())
	stop := c.busy()
	dir := filepath.ToSlash(filepath.Join(t.TempDir(), "roll"))
	roll, err := recording.NewRoller(vfs.OS(), dir, c.addrs(), 3, recording.SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 7 {
		if i == 4 { // another process goes on
			if roll, err = recording.NewRoller(vfs.OS(), dir, c.addrs(), 3, recording.SnapshotOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := roll.Take(c.ctx); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	names, err := roll.Names()
	if err != nil || len(names) != 3 {
		t.Fatalf("%q, %v", names, err)
	}
	differences := 0
	for _, n := range names {
		rec, err := recording.Open(vfs.OS(), path.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		if b, m, _ := judge(t, rec); b+m != total {
			t.Errorf("%s: %d + %d", n, b, m)
		}
		if rec.Manifest().Snapshot.Base != "" {
			differences++
		}
	}
	if differences == 0 {
		t.Error("none is a difference")
	}
}

// A node that has a later checkpoint than what a snapshot builds on is stored whole, if
// that is wanted; and one of which all are builds on nothing.
func TestANodeWithALaterCheckpointIsStoredWhole(t *testing.T) {
	c := newCluster(t, t.TempDir())
	dir := filepath.ToSlash(t.TempDir())
	c.settled()
	var base *recording.Recording
	from := map[string]uint64{}
	for i, later := range [][]string{nil, {"n1"}, nil, {"n1", "n2", "n3"}} {
		for name, n := range c.nodes {
			if _, err := n.Client().Do(c.ctx, Name, Transfer{From: name + "/1", To: "n1/2", Amount: 1}); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range later {
			if _, err := c.nodes[name].Checkpoint(c.ctx); err != nil {
				t.Fatal(err)
			}
		}
		rec, err := recording.TakeSnapshot(c.ctx, vfs.OS(), path.Join(dir, fmt.Sprint(i)), c.addrs(), recording.SnapshotOptions{Base: base, Renew: from})
		if err != nil {
			t.Fatal(err)
		}
		whole := 0
		for _, n := range rec.Manifest().Nodes {
			if n.Cut.After == 0 {
				from[n.Name], whole = n.Cut.From, whole+1
			}
		}
		if want := []int{nodes, 1, 0, nodes}[i]; whole != want || (rec.Manifest().Snapshot.Base == "") != (whole == nodes) {
			t.Errorf("snapshot %d: %d nodes are stored whole, want %d; it builds on %q", i, whole, want, rec.Manifest().Snapshot.Base)
		}
		if b, m, _ := judge(t, rec); b+m != total {
			t.Errorf("snapshot %d: %d + %d", i, b, m)
		}
		base = rec
	}
}

// programVariable makes the test's binary the bank's program.
const programVariable = "BANK_PROGRAM"

func program(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), programVariable+"=1")
	return c
}

// Real processes: a node is killed while snapshots are taken, and so is who takes
// them. What is there is right, or says what it lacks; and nothing is lost in the
// end.
func TestKilledInTheMiddleOfASnapshot(t *testing.T) {
	dir := t.TempDir()
	ports := freePorts(t, 3*nodes)
	var peers, admins []string
	for i := range nodes {
		peers = append(peers, fmt.Sprintf("n%d=%s", i+1, ports[3*i]))
		admins = append(admins, ports[3*i+2])
	}
	procs := make([]*exec.Cmd, nodes)
	start := func(i int) {
		p := program("serve", "--node", fmt.Sprint("n", i+1), "--dir", filepath.Join(dir, fmt.Sprint("n", i+1)), "--listen", ports[3*i],
			"--http", ports[3*i+1], "--admin", ports[3*i+2], "--peers", strings.Join(peers, ","), "--durability", "process",
			"--segment-bytes", "1048576", "--set", fmt.Sprint("accounts=", accounts))
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		procs[i] = p
		until(t, "node starts", func() bool { s, err := sheet(ports[3*i+1]); return err == nil && len(s.Accounts) > 0 })
	}
	for i := range nodes {
		start(i)
	}
	defer func() {
		for _, p := range procs {
			p.Process.Kill()
			p.Wait()
		}
	}()
	move := func(n int) {
		for k := range n {
			i := k % nodes
			v := url.Values{"from": {fmt.Sprintf("n%d/%d", i+1, k%accounts)}, "to": {fmt.Sprintf("n%d/0", 1+(k/3)%nodes)}, "amount": {"3"}}
			if r, err := http.PostForm("http://"+ports[3*i+1]+"/transfer", v); err == nil {
				r.Body.Close()
			}
		}
	}
	roll := filepath.Join(dir, "roll")
	taker := program("snapshot", "--nodes", strings.Join(admins, ","), "--every", "20ms", "--keep", "50", "-o", roll)
	if err := taker.Start(); err != nil {
		t.Fatal(err)
	}
	taken := func() []string {
		r, err := recording.NewRoller(vfs.OS(), filepath.ToSlash(roll), admins, 50, recording.SnapshotOptions{})
		if err != nil {
			t.Fatal(err)
		}
		names, err := r.Names()
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	until(t, "snapshots are taken", func() bool { move(20); return len(taken()) >= 2 })
	procs[2].Process.Kill()
	procs[2].Wait()
	move(20)
	start(2)
	n := len(taken())
	until(t, "snapshots go on", func() bool { move(20); return len(taken()) > n+1 })
	until(t, "what the killed node lost is paid, while money is moved", func() bool {
		move(20)
		rec, err := recording.TakeSnapshot(t.Context(), vfs.OS(), filepath.ToSlash(filepath.Join(dir, fmt.Sprint("under-load", rand.Uint64()))), admins, recording.SnapshotOptions{})
		if err != nil {
			t.Fatal(err)
		}
		b, m, _ := judge(t, rec)
		return b+m == total
	})
	taker.Process.Kill()
	taker.Wait()
	until(t, "nothing is owed", func() bool {
		sum, owed := int64(0), int64(0)
		for i := range nodes {
			s, err := sheet(ports[3*i+1])
			if err != nil {
				t.Fatal(err)
			}
			sum, owed = sum+s.Sum, owed+s.Owed
		}
		if owed == 0 && sum != total {
			t.Fatalf("%d in the end", sum)
		}
		return owed == 0
	})
	// The next one cleans up, and what is there opens.
	if out, err := program("snapshot", "--nodes", strings.Join(admins, ","), "-o", filepath.Join(roll, "last")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	names, err := os.ReadDir(roll)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if strings.HasSuffix(n.Name(), ".part") {
			t.Errorf("%s is left", n.Name())
		}
	}
	last, err := recording.Open(vfs.OS(), filepath.ToSlash(filepath.Join(roll, "last")))
	if err != nil {
		t.Fatal(err)
	}
	if b, m, _ := judge(t, last); b+m != total {
		t.Errorf("the last snapshot: %d + %d", b, m)
	}
	for _, n := range taken() {
		rec, err := recording.Open(vfs.OS(), path.Join(filepath.ToSlash(roll), n))
		if err != nil {
			t.Fatal(err)
		}
		judge(t, rec) // of what it has; money of a node that died may be told of again
	}
}

func sheet(addr string) (s Sheet, err error) {
	r, err := http.Get("http://" + addr + "/accounts")
	if err != nil {
		return s, err
	}
	defer r.Body.Close()
	return s, json.NewDecoder(r.Body).Decode(&s)
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); {
		if time.Now().After(end) {
			t.Fatal("timed out: " + what)
		}
	}
}

func freePorts(t *testing.T, n int) (out []string) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		out = append(out, ln.Addr().String())
	}
	return out
}
