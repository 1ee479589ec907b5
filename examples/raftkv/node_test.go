package raftkv

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hindcast.dev/app"
	"hindcast.dev/journal"
	"hindcast.dev/machine"
	"hindcast.dev/node"
)

// serveEnv makes the test binary be the store's program.
const serveEnv = "RAFTKV_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		app.Main(Service())
	}
	goleak.VerifyTestMain(m)
}

var (
	_ Client             = (*node.Client)(nil)
	_ machine.Reopening  = (*Raft)(nil)
	_ machine.Querying   = (*Raft)(nil)
	_ machine.Delivering = (*Raft)(nil)
)

// patience ends a test in which something never happens.
const patience = 60 * time.Second

var names = []string{"n1", "n2", "n3"}

// clients are how clients reach nodes.
type clients struct {
	t      *testing.T
	ctx    context.Context
	client *http.Client
	addrs  map[string]string // of HTTP, by node
}

func newClients(t *testing.T) *clients {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	c := &clients{t: t, ctx: ctx, client: &http.Client{Transport: &http.Transport{}}, addrs: map[string]string{}}
	t.Cleanup(func() {
		c.client.CloseIdleConnections()
		cancel()
	})
	return c
}

// call makes one request; status 0 is none that was answered.
func (c *clients) call(name, method, target, body string, header ...string) (status int, out map[string]any) {
	c.t.Helper()
	if c.ctx.Err() != nil {
		c.t.Fatalf("%s %s of %s: something that was waited for never happened", method, target, name)
	}
	req, err := http.NewRequestWithContext(c.ctx, method, "http://"+c.addrs[name]+target, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return 0, nil
	}
	return resp.StatusCode, out
}

// until repeats a request until it is answered with 200, and such a value.
func (c *clients) until(name, method, target, body, value string) {
	c.t.Helper()
	for {
		if status, out := c.call(name, method, target, body); status == http.StatusOK && out["value"] == value {
			return
		}
	}
}

// leader returns who leads, as a node says, once it is none of these.
func (c *clients) leader(asked string, not ...string) string {
	c.t.Helper()
	for {
		_, out := c.call(asked, "GET", "/status", "")
		if lead, _ := out["Leader"].(string); lead != "" && !strings.Contains(strings.Join(not, " "), lead) {
			return lead
		}
	}
}

func freeAddr(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func other(not ...string) string {
	for _, n := range names {
		if !strings.Contains(strings.Join(not, " "), n) {
			return n
		}
	}
	return ""
}

func TestRealNodesGoOnAroundAPartition(t *testing.T) {
	c := newClients(t)
	nodes, peers := map[string]*node.Node{}, map[string]string{}
	for _, name := range names {
		peers[name] = freeAddr(t)
	}
	settings := Settings()
	maps.Copy(settings, map[string]string{"tick": "20ms", "timeout": "1s"})
	for _, name := range names {
		n, err := node.Start(context.Background(), node.Options{Name: name, Service: "raftkv", Dir: filepath.Join(t.TempDir(), name),
			Registry: Registry(), Seed: 1, Listen: peers[name], Peers: peers, Settings: settings, HTTP: "127.0.0.1:0", Handler: Service().HTTP,
			Durability: journal.Group, SegmentBytes: 1 << 20, CheckpointEvery: 500, ShadowCheckpoints: name == "n2",
			AllowFaults: true, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		nodes[name], c.addrs[name] = n, n.HTTPAddr()
		t.Cleanup(func() {
			if err := n.Stop(context.Background()); err != nil {
				t.Errorf("stop %s: %v", name, err)
			}
		})
	}
	lead := c.leader("n1")
	for i, name := range names {
		c.until(name, "PUT", "/kv/a", fmt.Sprint(i), "")
		for _, asked := range names {
			c.until(asked, "GET", "/kv/a", "", fmt.Sprint(i))
		}
	}
	cut := lead
	if err := nodes[cut].SetFault(node.Fault{Kind: node.FaultCut}); err != nil {
		t.Fatal(err)
	}
	rest := other(cut)
	c.leader(rest, cut)
	c.until(rest, "PUT", "/kv/a", "without it", "")
	if status, out := c.call(cut, "GET", "/kv/a", ""); status == http.StatusOK {
		t.Errorf("cut off, %s reads %v", cut, out)
	}
	if status, out := c.call(cut, "GET", "/kv/a?stale=true", ""); status != http.StatusOK || out["value"] != "2" {
		t.Errorf("a stale read is answered %d %v", status, out)
	}
	if err := nodes[cut].SetFault(node.Fault{Kind: node.FaultHeal}); err != nil {
		t.Fatal(err)
	}
	c.until(cut, "GET", "/kv/a", "", "without it")
	if status, out := c.call(rest, "PUT", "/kv/a?if=wrong", "x"); status != http.StatusConflict {
		t.Errorf("a comparison that fails is answered %d %v", status, out)
	}
	c.until(rest, "POST", "/members?change=remove&node="+cut, "", "")
	if _, out := c.call(rest, "GET", "/status", ""); len(out["Voters"].([]any)) != 2 {
		t.Errorf("after %s was removed: %v", cut, out)
	}
}

// A program is the store as a process.
type program struct {
	name string
	args []string
	cmd  *exec.Cmd
	over chan struct{}
}

// start runs the program and returns where it serves.
func (p *program) start(t *testing.T) string {
	t.Helper()
	p.cmd = exec.Command(os.Args[0], p.args...)
	p.cmd.Env = append(os.Environ(), serveEnv+"=1")
	stderr, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.over = make(chan struct{})
	serves := make(chan string, 1)
	go p.follow(stderr, serves)
	select {
	case addr := <-serves:
		return addr
	case <-p.over:
		t.Fatalf("%s ended before it served", p.name)
	case <-time.After(patience):
		t.Fatalf("%s doesn't serve", p.name)
	}
	return ""
}

func (p *program) follow(stderr io.Reader, serves chan<- string) {
	defer close(p.over)
	re := regexp.MustCompile(`msg=serving .*http=(\S+)`)
	for s := bufio.NewScanner(stderr); s.Scan(); {
		if m := re.FindStringSubmatch(s.Text()); m != nil {
			serves <- m[1]
		}
	}
	_ = p.cmd.Wait() // it was killed
}

func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.over
}

// Three processes, of which one after the other is killed with SIGKILL, mostly the
// leader. Whatever a client is told was written is there, once, and in order.
func TestKilledProcessesLoseNothingAndDoNothingTwice(t *testing.T) {
	kills := 5
	if testing.Short() {
		kills = 2
	}
	c := newClients(t)
	dir, peers := t.TempDir(), []string{}
	programs := map[string]*program{}
	for _, name := range names {
		peers = append(peers, name+"="+freeAddr(t))
	}
	for i, name := range names {
		p := &program{name: name, args: []string{"serve", "--node", name, "--dir", filepath.Join(dir, name), "--http", "127.0.0.1:0",
			"--listen", strings.TrimPrefix(peers[i], name+"="), "--peers", strings.Join(peers, ","), "--segment-bytes", "1048576",
			"--checkpoint-every", "300", "--set", "tick=20ms", "--set", "timeout=1s", "--set", "snapshotEvery=100", "--set", "keep=10"}}
		programs[name], c.addrs[name] = p, p.start(t)
		t.Cleanup(p.kill)
	}
	want := ""
	for seq := 1; seq <= kills*20; seq++ {
		if seq%20 == 0 {
			victim := c.leader(names[seq/20%3])
			programs[victim].kill()
			c.leader(other(victim), victim)
			c.addrs[victim] = programs[victim].start(t)
		}
		value := fmt.Sprintf("%d ", seq)
		for at := seq; ; at++ {
			status, out := c.call(names[at%3], "POST", "/kv/log", value, SessionHeader, "s", SequenceHeader, fmt.Sprint(seq))
			if status == http.StatusConflict {
				t.Fatalf("write %d: %v", seq, out)
			}
			if status == http.StatusOK {
				break
			}
		}
		want += value
	}
	for _, name := range names {
		c.until(name, "GET", "/kv/log", "", want)
	}
	for _, name := range names {
		programs[name].kill()
	}
	cmd := exec.Command(os.Args[0], "replay", dir)
	cmd.Env = append(os.Environ(), serveEnv+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("replay: %v\n%s", err, out)
	}
}

func TestKeysAreTakenAsTheyStandInTheURL(t *testing.T) {
	for path, want := range map[string]string{"/kv/a//b": "a//b", "/kv/a%2Fb": "a/b", "/kv/" + url.PathEscape("a?b"): "a?b"} {
		u, err := url.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		if key, _ := strings.CutPrefix(u.Path, "/kv/"); key != want {
			t.Errorf("%s is key %q, want %q", path, key, want)
		}
	}
}
