package kv

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/machine"
	"hindcast.dev/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	_ Client           = (*node.Client)(nil)
	_ machine.Querying = (*KV)(nil)
)

// patience ends a test in which something never happens.
const patience = 30 * time.Second

// A cluster is three nodes on loopback, with journals on disk.
type cluster struct {
	t       *testing.T
	ctx     context.Context
	options map[string]node.Options
	nodes   map[string]*node.Node
	client  *http.Client
}

func newCluster(t *testing.T) *cluster {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	c := &cluster{t: t, ctx: ctx, options: map[string]node.Options{}, nodes: map[string]*node.Node{},
		client: &http.Client{Transport: &http.Transport{}}}
	service, dir, addrs := Service(), t.TempDir(), map[string]string{}
	for _, name := range []string{"n1", "n2", "n3"} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addrs[name] = ln.Addr().String()
		ln.Close()
	}
	for name, addr := range addrs {
		c.options[name] = node.Options{Name: name, Service: service.Name, Dir: filepath.Join(dir, name), Registry: service.Machines, Seed: 1,
			Listen: addr, Peers: addrs, HTTP: "127.0.0.1:0", Handler: service.HTTP,
			Durability: journal.Group, SegmentBytes: 1 << 20, AllowFaults: true, Log: slog.New(slog.DiscardHandler)}
		c.start(name)
	}
	t.Cleanup(func() {
		for name := range c.nodes {
			c.stop(name)
		}
		c.client.CloseIdleConnections()
		cancel()
	})
	return c
}

func (c *cluster) start(name string) {
	n, err := node.Start(context.Background(), c.options[name])
	if err != nil {
		c.t.Fatal(err)
	}
	c.nodes[name] = n
}

func (c *cluster) stop(name string) {
	if err := c.nodes[name].Stop(context.Background()); err != nil {
		c.t.Errorf("stop %s: %v", name, err)
	}
	delete(c.nodes, name)
}

func (c *cluster) fault(name string, kind node.FaultKind) {
	if err := c.nodes[name].SetFault(node.Fault{Kind: kind}); err != nil {
		c.t.Fatal(err)
	}
}

// call makes one HTTP request, whose answer must carry the time of its event.
func (c *cluster) call(name, method, target, body string) (int, map[string]any) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.ctx, method, "http://"+c.nodes[name].HTTPAddr()+target, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		c.t.Fatal(err)
	}
	if at, err := hlc.Parse(resp.Header.Get(node.TimeHeader)); err != nil || at == 0 {
		c.t.Errorf("%s %s: header %s is %q", method, target, node.TimeHeader, resp.Header.Get(node.TimeHeader))
	}
	return resp.StatusCode, out
}

// until repeats a request until its answer has the consistency and the value.
func (c *cluster) until(name, method, target, body, consistency, value string) {
	c.t.Helper()
	for {
		if _, out := c.call(name, method, target, body); out["consistency"] == consistency && out["value"] == value {
			return
		}
	}
}

func TestRealNodesKeepThePromises(t *testing.T) {
	c := newCluster(t)
	ctx := &machine.Context{}
	ctx.Start.Node, ctx.Start.Peers = "n1", []string{"n2", "n3"}
	target := "/kv/a"
	for i := 0; primary(ctx, strings.TrimPrefix(target, "/kv/")) != "n2"; i++ {
		target = "/kv/a/" + strings.Repeat("b", i)
	}

	c.until("n1", "PUT", target, "one", "fresh", "one")
	c.until("n3", "GET", target, "", "fresh", "one")

	c.fault("n2", node.FaultCut)
	c.until("n1", "PUT", target, "two", "degraded", "two")
	c.until("n3", "GET", target, "", "degraded", "two")
	if status, out := c.call("n1", "PUT", target+"?consistency=strict", "x"); status != http.StatusServiceUnavailable || out["code"] != "unreachable" {
		t.Errorf("strict: %d %v", status, out)
	}
	if status, out := c.call("n2", "GET", target, ""); status != http.StatusOK || out["value"] != "one" || out["consistency"] != "fresh" {
		t.Errorf("the primary alone: %d %v", status, out)
	}
	c.fault("n2", node.FaultHeal)
	c.until("n2", "GET", target, "", "fresh", "two")
	c.until("n3", "GET", target, "", "fresh", "two")

	c.stop("n2")
	c.until("n1", "PUT", target, "three", "degraded", "three")
	c.start("n2")
	c.until("n2", "GET", target, "", "fresh", "three")
	c.until("n1", "GET", target, "", "fresh", "three")
	if status, out := c.call("n3", "GET", "/kv?prefix=a", ""); status != http.StatusOK || len(out["records"].([]any)) != 1 {
		t.Errorf("listed: %d %v", status, out)
	}
}
