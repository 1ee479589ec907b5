package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"hindcast.dev/app"
	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

// demoSkew is how far the second node's clock is behind and the third's ahead.
const demoSkew = 150 * time.Millisecond

// demoFlags are demo's flags.
type demoFlags struct {
	dir      string
	duration time.Duration
	nodes    int
	clients  int
	seed     uint64
	quiet    bool
	json     bool
	serve    bool
}

func demoCommand() *cobra.Command {
	f := &demoFlags{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Record a real three-node store, break it, and find out what a reader could see",
		Long: `Start a real replicated key-value store (operating system processes that talk TCP
on loopback, each with a journal), drive it with HTTP clients, cut one node off,
heal it, kill another with SIGKILL, restart it; then pull the journals, replay
them into one History and ask it when and where a reader could see an old value.

The recording stays in --dir, for hindcast query and hindcast debug.`,
		Example: `  hindcast demo
  hindcast demo --duration 20s --seed 7 --dir my-recording
  hindcast demo --json | jq '.windows[0]'
  hindcast demo --serve          # leaves the cluster running`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.dir, "dir", "", "where the recording goes (default ./hindcast-demo-TIME)")
	fl.DurationVar(&f.duration, "duration", 12*time.Second, "how long the clients drive the store")
	fl.IntVar(&f.nodes, "nodes", 3, "number of nodes, 3 to 9")
	fl.IntVar(&f.clients, "clients", 4, "number of clients, 1 to 64")
	fl.Uint64Var(&f.seed, "seed", 0, "decides which nodes are hit and what clients do (default: drawn)")
	fl.BoolVar(&f.quiet, "quiet", false, "show no progress")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	fl.BoolVar(&f.serve, "serve", false, "leave the cluster running and say how to talk to it")
	return c
}

func (f *demoFlags) validate() error {
	switch {
	case f.nodes < 3 || f.nodes > 9:
		return fmt.Errorf("--nodes %d: want 3 to 9", f.nodes)
	case f.clients < 1 || f.clients > 64:
		return fmt.Errorf("--clients %d: want 1 to 64", f.clients)
	case f.duration < 3*time.Second || f.duration > time.Hour:
		return fmt.Errorf("--duration %s: want 3s to 1h, so that a cut and a restart find room in it", f.duration)
	}
	if f.dir == "" {
		f.dir = "hindcast-demo-" + time.Now().Format("20060102-150405")
	}
	if names, err := os.ReadDir(f.dir); err == nil && len(names) > 0 {
		return fmt.Errorf("--dir %s isn't empty: name another, or remove it", f.dir)
	}
	if f.seed == 0 {
		f.seed = rand.Uint64N(1<<32-1) + 1
	}
	return nil
}

// A fault is something done to the cluster while it was driven.
type fault struct {
	At   time.Time `json:"at"`
	Node string    `json:"node"`
	What string    `json:"what"`
}

// A demo is one run.
type demo struct {
	*demoFlags
	out, err io.Writer
	progress *progress
	cluster  *cluster
	load     *load
	cut      *member // cut off, then healed
	killed   *member // SIGKILLed, then restarted
	faults   []fault
}

func (f *demoFlags) run(ctx context.Context, out, stderr io.Writer) error {
	if err := f.validate(); err != nil {
		return app.Usage(err)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	d := &demo{demoFlags: f, out: out, err: stderr, progress: newProgress(stderr, f.quiet)}
	defer d.progress.done()
	err := d.record(ctx)
	if err == nil {
		err = d.report(ctx)
	}
	if err == nil && f.serve {
		err = d.leaveRunning(ctx)
	}
	if errors.Is(err, context.Canceled) {
		return &app.ExitError{Code: app.ExitInterrupted, Err: fmt.Errorf("interrupted; what was recorded so far is in %s: %s debug %s", f.dir, me(), f.dir)}
	}
	return err
}

// record runs the cluster, breaks it and pulls the recording. The nodes are
// stopped when it returns, unless they are to be left running.
func (d *demo) record(ctx context.Context) (err error) {
	if err := os.MkdirAll(filepath.Join(d.dir, "operations"), 0o700); err != nil {
		return err
	}
	d.progress.step("starting %d nodes", d.nodes)
	if d.cluster, err = newCluster(d.dir, d.nodes, demoSkew); err != nil {
		return err
	}
	defer func() {
		if err == nil && d.serve {
			return
		}
		// Also when ctx has ended: the children are ours to stop.
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		defer cancel()
		err = errors.Join(err, d.cluster.stop(sctx))
	}()
	for _, m := range d.cluster.members {
		if err := d.cluster.start(m); err != nil {
			return err
		}
	}
	for _, m := range d.cluster.members {
		if err := d.cluster.ready(ctx, m); err != nil {
			return err
		}
	}
	err = d.drive(ctx)
	if ctx.Err() != nil {
		// The recording is kept as far as it goes.
		pctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		defer cancel()
		return errors.Join(ctx.Err(), d.pull(pctx))
	}
	if err != nil {
		return err
	}
	return d.pull(ctx)
}

// drive runs the clients and, beside them, the schedule of faults.
func (d *demo) drive(ctx context.Context) error {
	ops, err := os.Create(filepath.Join(d.dir, "operations", "clients.jsonl"))
	if err != nil {
		return err
	}
	defer ops.Close()
	var targets []string
	for _, m := range d.cluster.members {
		targets = append(targets, m.http)
	}
	d.load = newLoad(ops, targets)
	lctx, stopLoad := context.WithTimeout(ctx, d.duration)
	defer stopLoad()
	loaded := make(chan error, 1)
	go func() { loaded <- d.load.run(lctx, d.clients, d.seed) }()
	broken := d.breakThings(ctx, lctx)
	if broken != nil {
		stopLoad()
	}
	d.progress.step("clients finish")
	if err := errors.Join(broken, <-loaded); err != nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	d.progress.step("replicas become equal")
	sctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return d.cluster.same(sctx)
}

// breakThings follows the schedule: a cut in the second quarter of the time, a
// kill in the third. The seed decides whom they hit. The load's end, that of lctx,
// doesn't cut short what is being done to a node.
func (d *demo) breakThings(ctx, lctx context.Context) error {
	r := rand.New(rand.NewPCG(d.seed, 0))
	hit := r.Perm(d.nodes)
	d.cut, d.killed = d.cluster.members[hit[0]], d.cluster.members[hit[1]]
	start, unit := time.Now(), d.duration/20
	steps := []struct {
		at   int // in twentieths of the duration
		what string
		node *member
		do   func() error
	}{
		{4, "cut off", d.cut, func() error { return d.cluster.fault(ctx, d.cut, "cut") }},
		{9, "healed", d.cut, func() error { return d.cluster.fault(ctx, d.cut, "heal") }},
		{12, "killed with SIGKILL", d.killed, func() error { return d.cluster.kill(d.killed) }},
		{14, "restarted", d.killed, func() error { return d.restart(ctx) }},
		{20, "", nil, nil},
	}
	what := "all is well"
	for _, s := range steps {
		if err := d.wait(lctx, start.Add(time.Duration(s.at)*unit), start, what); err != nil {
			return err
		}
		if s.do == nil {
			return nil
		}
		if err := s.do(); err != nil {
			return fmt.Errorf("node %s was to be %s: %w", s.node.name, s.what, err)
		}
		d.faults = append(d.faults, fault{At: time.Now().UTC(), Node: s.node.name, What: s.what})
		what = s.node.name + " " + s.what
	}
	return nil
}

func (d *demo) restart(ctx context.Context) error {
	if err := d.cluster.start(d.killed); err != nil {
		return err
	}
	return d.cluster.ready(ctx, d.killed)
}

// wait shows the load's counts until t. The end of the load's own time is no
// error.
func (d *demo) wait(ctx context.Context, t, start time.Time, what string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		d.progress.bar(time.Since(start).Seconds()/d.duration.Seconds(), "%d operations, %s", d.load.ok.Load(), what)
		if !time.Now().Before(t) {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// pull fetches what the nodes recorded.
func (d *demo) pull(ctx context.Context) error {
	d.progress.step("pulling journals and checkpoints")
	_, err := recording.Pull(ctx, vfs.OS(), d.dir, d.cluster.admins(), recording.PullOptions{})
	if err != nil {
		return fmt.Errorf("pulling the recording: %w", err)
	}
	return nil
}

// leaveRunning waits for Ctrl-C with the cluster up.
func (d *demo) leaveRunning(ctx context.Context) error {
	fmt.Fprintf(d.err, "\nThe cluster is running. Talk to it:\n")
	for _, m := range d.cluster.members {
		fmt.Fprintf(d.err, "  curl -X PUT  -d hello http://%s/kv/greeting     # node %s; admin API http://%s/v1/status\n", m.http, m.name, m.admin)
	}
	fmt.Fprintf(d.err, "Ctrl-C stops it.\n")
	<-ctx.Done()
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	if err := d.cluster.stop(sctx); err != nil {
		return err
	}
	fmt.Fprintf(d.err, "stopped; the recording is in %s\n", d.dir)
	return nil
}
