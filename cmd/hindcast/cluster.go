package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A member is one node of the demo's cluster: an operating system process of
// this very program, run as `kv serve`.
type member struct {
	name                string
	dir                 string
	listen, http, admin string // HOST:PORT
	skew                time.Duration

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	log  *os.File
}

// A cluster is the demo's nodes.
type cluster struct {
	self    string // the program to run
	dir     string
	members []*member
	client  *http.Client
	// durability names the policy of each node, in turn; empty is the default.
	durability []string
}

// newCluster reserves addresses on loopback for n nodes below dir.
func newCluster(dir string, n int, skew time.Duration) (*cluster, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("this program's own file: %w", err)
	}
	c := &cluster{self: self, dir: dir, client: &http.Client{Timeout: 5 * time.Second}}
	addrs, err := freeAddresses(3 * n)
	if err != nil {
		return nil, err
	}
	for i := range n {
		m := &member{name: fmt.Sprintf("n%d", i+1), listen: addrs[3*i], http: addrs[3*i+1], admin: addrs[3*i+2]}
		m.dir = filepath.Join(dir, "live", m.name)
		switch i { // one clock behind, one ahead, by less than MaxDrift between them
		case 1:
			m.skew = -skew
		case 2:
			m.skew = skew
		}
		c.members = append(c.members, m)
	}
	return c, nil
}

// freeAddresses finds addresses that nobody listens on. Another process may take
// one before we do: the node that then can't listen says so.
func freeAddresses(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("no free port on loopback: %w", err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// peers is the value of --peers.
func (c *cluster) peers() string {
	var ps []string
	for _, m := range c.members {
		ps = append(ps, m.name+"="+m.listen)
	}
	return strings.Join(ps, ",")
}

// start runs the node's process. It outlives ctx: stop ends it.
func (c *cluster) start(m *member) error {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(c.dir, "live", m.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(c.self, "kv", "serve", "--node", m.name, "--dir", m.dir,
		"--listen", m.listen, "--http", m.http, "--admin", m.admin, "--peers", c.peers(), "--debug-nodes", strings.Join(c.admins(), ","),
		"--segment-bytes", fmt.Sprint(8<<20), "--allow-faults", "--clock-offset", m.skew.String())
	cmd.Stdout, cmd.Stderr = log, log
	if len(c.durability) > 0 {
		i := slices.Index(c.members, m)
		cmd.Args = append(cmd.Args, "--durability", c.durability[i%len(c.durability)])
	}
	if err := startChild(cmd); err != nil {
		log.Close()
		return fmt.Errorf("starting %s: %w", m.name, err)
	}
	done := make(chan struct{})
	m.mu.Lock()
	m.cmd, m.done, m.log = cmd, done, log
	m.mu.Unlock()
	go func() {
		_ = cmd.Wait() // how it ended shows in ProcessState
		log.Close()
		close(done)
	}()
	return nil
}

// ready waits until the node serves.
func (c *cluster) ready(ctx context.Context, m *member) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		if err := c.call(ctx, http.MethodGet, m, "/v1/ready", nil); err == nil {
			return nil
		}
		select {
		case <-m.done:
			return fmt.Errorf("node %s ended while starting (%s); its log: %s\n%s", m.name, m.cmd.ProcessState, m.logName(c), tail(m.logName(c)))
		case <-ctx.Done():
			return fmt.Errorf("node %s isn't ready: %w; its log: %s\n%s", m.name, ctx.Err(), m.logName(c), tail(m.logName(c)))
		case <-time.After(30 * time.Millisecond):
		}
	}
}

func (m *member) logName(c *cluster) string { return filepath.Join(c.dir, "live", m.name+".log") }

// tail is the end of a log, for an error message.
func tail(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// kill sends SIGKILL and waits for the end.
func (c *cluster) kill(m *member) error {
	m.mu.Lock()
	cmd, done := m.cmd, m.done
	m.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-done
	return nil
}

// stop ends all nodes in order, or with SIGKILL when ctx ends first.
func (c *cluster) stop(ctx context.Context) error {
	var errs []error
	for _, m := range c.members {
		m.mu.Lock()
		cmd := m.cmd
		m.mu.Unlock()
		if cmd != nil {
			_ = cmd.Process.Signal(os.Interrupt) // it may have ended already
		}
	}
	for _, m := range c.members {
		if m.cmd == nil {
			continue
		}
		select {
		case <-m.done:
			if s := m.cmd.ProcessState; !s.Success() {
				errs = append(errs, fmt.Errorf("node %s ended with %s; its log: %s", m.name, s, m.logName(c)))
			}
		case <-ctx.Done():
			errs = append(errs, fmt.Errorf("node %s didn't stop in time and was killed", m.name), c.kill(m))
		}
	}
	return errors.Join(errs...)
}

// call asks a node's admin API.
func (c *cluster) call(ctx context.Context, method string, m *member, path string, body any) error {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+m.admin+path, r)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return fmt.Errorf("%s %s of %s: %s: %s", method, path, m.name, resp.Status, bytes.TrimSpace(text))
	}
	return nil
}

// fault sets or clears a fault between a node and all others, both ways.
func (c *cluster) fault(ctx context.Context, m *member, kind string) error {
	for _, p := range c.members {
		if p == m {
			continue
		}
		body := map[string]any{"kind": kind, "peer": p.name, "direction": "both"}
		if err := c.call(ctx, http.MethodPost, m, "/v1/fault", body); err != nil {
			return err
		}
	}
	return nil
}

// admins are the addresses of all admin APIs, by name.
func (c *cluster) admins() []string {
	var as []string
	for _, m := range c.members {
		as = append(as, m.admin)
	}
	return as
}

// same waits until all nodes answer alike to a scan of everything they hold.
func (c *cluster) same(ctx context.Context) error {
	for {
		var got []string
		for _, m := range c.members {
			s, err := c.content(ctx, m)
			if err != nil {
				return fmt.Errorf("comparing replicas: %w", err)
			}
			got = append(got, s)
		}
		if len(slices.Compact(got)) == 1 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the replicas didn't become equal in time: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// content is what a node holds by itself, less what depends on who answers.
func (c *cluster) content(ctx context.Context, m *member) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.http+"/kv?prefix=&consistency=eventual", nil)
	if err != nil {
		return "", err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var listing struct {
		Records []struct{ Key, Value, Version, Writer string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&listing); err != nil {
		return "", fmt.Errorf("listing of %s: %w", m.name, err)
	}
	return fmt.Sprint(listing.Records), nil
}
