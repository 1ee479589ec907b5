package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"hindcast.dev/hlc"
	"hindcast.dev/node"
)

// A load drives the cluster with real HTTP clients and records what each did:
// an operation is an invoke and an ok, fail or info with the same id on the
// client's lane.
type load struct {
	targets []string // HOST:PORT of the nodes' HTTP
	keys    int
	pause   time.Duration // of a client between two operations
	client  *http.Client

	mu  sync.Mutex
	out *bufio.Writer // the operations, in the text form of a History
	err error         // of the first write that failed

	ok, failed, unsure, degraded atomic.Int64

	// acked, if not nil, is told every write that was acknowledged. Any goroutine.
	acked func(key, version string)
}

// newLoad writes operations to file.
func newLoad(file *os.File, targets []string) *load {
	return &load{targets: targets, keys: 24, pause: 8 * time.Millisecond, out: bufio.NewWriter(file),
		client: &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
}

// run drives n clients until ctx ends, and returns when they are done.
func (l *load) run(ctx context.Context, n int, seed uint64) error {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			c := &client{load: l, lane: fmt.Sprintf("client/%d", i), rand: rand.New(rand.NewPCG(seed, uint64(i))),
				clock: hlc.NewClock(0, 0), start: time.Now()}
			c.run(ctx)
		})
	}
	wg.Wait()
	l.client.CloseIdleConnections()
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.err, l.out.Flush())
}

func (l *load) write(line map[string]any) {
	b, err := json.Marshal(line)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		_, err = l.out.Write(append(b, '\n'))
	}
	if l.err == nil {
		l.err = err
	}
}

// A client does one operation after the other. Its clock is an HLC as well: it
// gives its time along and takes the answers' time in.
type client struct {
	load  *load
	lane  string
	rand  *rand.Rand
	clock *hlc.Clock
	start time.Time
	ops   int
}

func (c *client) reading() hlc.Reading {
	return hlc.Reading{Wall: hlc.FromTime(time.Now()), Mono: time.Since(c.start)}
}

func (c *client) run(ctx context.Context) {
	for ctx.Err() == nil {
		c.operate(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(c.load.pause):
		}
	}
}

// operate does one operation and records it. It isn't cut short when the load
// ends: an answer is worth waiting for.
func (c *client) operate(ctx context.Context) {
	c.ops++
	key := fmt.Sprintf("item-%02d", c.rand.IntN(c.load.keys))
	target := c.load.targets[c.rand.IntN(len(c.load.targets))]
	op := operation{f: "read", method: http.MethodGet, url: "http://" + target + "/kv/" + url.PathEscape(key)}
	data := map[string]any{"f": "read", "key": key, "to": target}
	switch r := c.rand.IntN(100); {
	case r < 45:
		op.f, op.method, op.body = "write", http.MethodPut, fmt.Sprintf("%s-%d", strings.ReplaceAll(c.lane, "/", "-"), c.ops)
		data["f"], data["value"] = "write", op.body
	case r < 50:
		op.f, op.method = "delete", http.MethodDelete
		data["f"], data["value"] = "write", nil
	}
	id := fmt.Sprintf("%s/%d", c.lane, c.ops)
	ts, pt := c.clock.Local(c.reading())
	c.load.write(map[string]any{"node": c.lane, "ts": ts, "pt": fmt.Sprint(uint64(pt)), "kind": "invoke", "name": op.f, "id": id, "data": data})
	out := c.load.do(context.WithoutCancel(ctx), op, ts)
	if out.time == 0 {
		ts, pt = c.clock.Local(c.reading())
	} else if t, p, err := c.clock.Receive(c.reading(), out.time); err == nil {
		ts, pt = t, p
	} else {
		ts, pt = c.clock.Local(c.reading())
	}
	if op.f != "read" && out.kind == "ok" && c.load.acked != nil {
		c.load.acked(key, out.version)
	}
	if op.f == "read" && out.kind == "ok" {
		data["value"] = out.value
	}
	if out.consistency != "" {
		data["consistency"] = out.consistency
	}
	if out.version != "" {
		data["version"] = out.version
	}
	if out.reason != "" {
		data["reason"] = out.reason
	}
	c.load.write(map[string]any{"node": c.lane, "ts": ts, "pt": fmt.Sprint(uint64(pt)), "kind": out.kind, "name": op.f, "id": id, "data": data})
}

type operation struct{ f, method, url, body string }

// An outcome is what a client knows after an operation: "ok"; "fail", it didn't
// happen; or "info", it may have.
type outcome struct {
	kind        string
	value       any
	consistency string
	reason      string
	version     string        // of the record written or read, "" if unknown
	time        hlc.Timestamp // of the answer, 0 if it had none
}

func (l *load) do(ctx context.Context, op operation, ts hlc.Timestamp) outcome {
	o := l.exchange(ctx, op, ts)
	switch o.kind {
	case "ok":
		l.ok.Add(1)
	case "fail":
		l.failed.Add(1)
	default:
		l.unsure.Add(1)
	}
	if o.consistency == "degraded" {
		l.degraded.Add(1)
	}
	return o
}

func (l *load) exchange(ctx context.Context, op operation, ts hlc.Timestamp) outcome {
	uncertain := "info"
	if op.f == "read" {
		uncertain = "fail" // nothing could have happened
	}
	req, err := http.NewRequestWithContext(ctx, op.method, op.url, strings.NewReader(op.body))
	if err != nil {
		return outcome{kind: "fail", reason: err.Error()}
	}
	req.Header.Set(node.TimeHeader, ts.String())
	resp, err := l.client.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return outcome{kind: "fail", reason: "connection refused"}
	}
	if err != nil {
		return outcome{kind: uncertain, reason: err.Error()}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return outcome{kind: uncertain, reason: err.Error()}
	}
	o := outcome{kind: "ok"}
	o.time, _ = hlc.Parse(resp.Header.Get(node.TimeHeader)) // none: 0
	var answer struct {
		Found       bool   `json:"found"`
		Value       string `json:"value"`
		Consistency string `json:"consistency"`
		Version     string `json:"version"`
		Error       string `json:"error"`
	}
	err = json.Unmarshal(body, &answer)
	o.consistency, o.version = answer.Consistency, answer.Version
	switch {
	case err != nil:
		o.kind, o.reason = uncertain, fmt.Sprintf("%s: %v", resp.Status, err)
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusInsufficientStorage:
		o.kind, o.reason = "fail", answer.Error
	case resp.StatusCode/100 != 2 && resp.StatusCode != http.StatusNotFound:
		o.kind, o.reason = uncertain, answer.Error
	case answer.Found:
		o.value = answer.Value
	}
	return o
}
