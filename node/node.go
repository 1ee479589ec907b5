// Package node runs a loop with sockets, disks and goroutines: one node of a
// service as it runs in production.
//
//	HTTP ─ Handler ─ Client ─┐                    ┌─ transport ─▶ peers
//	native clients ─┐        │      ┌──────┐      ├─ replies ───▶ clients
//	peers ─ transport ───────┴─────▶│ loop │─────▶├─ adapters ──▶ the outside
//	adapters ─ results ────────────▶└──┬───┘      └─ log
//	                                   │ ▲
//	                             disk: sync, ceiling, checkpoints, segments
//
// The loop has one goroutine (drive.go), the disk another (disk.go); whatever
// else runs offers frames to the journal, which takes them without a lock. Every
// queue between them is bounded, and who finds it full is told.
package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/loop"
	"hindcast.dev/stepper"
	"hindcast.dev/transport"
	"hindcast.dev/vfs"
)

// A Node is a running node. Its methods may be called by any goroutine.
type Node struct {
	o          Options
	dirs       dirs
	logs       *areaLogs
	codecs     map[string]*codec // by machine; never changes
	clientName string            // the Node of the ids of requests taken in here
	epoch      time.Time         // where the monotonic clock begins

	j        *journal.Journal
	loop     *loop.Loop // for the loop's goroutine, but for Offer and Note
	boot     uint64
	disk     *disk
	pending  *pending
	adapters *adapters
	ln       listeners
	net      *transport.Transport // set once netReady is closed
	http     *server              // nil without
	admin    *server              // nil without
	endPage  context.CancelFunc   // nil without Options.Page

	wake     chan struct{} // one signal: the loop has something to do
	controls chan func()   // run on the loop's goroutine
	peeks    chan func()   // likewise, bounded
	room     broadcast     // the loop got on, or the disk tried: there may be room in the journal
	netReady chan struct{}

	started   chan struct{} // closed when the machines have handled their start
	stopAsked chan struct{} // closed by the first Stop
	failed    chan struct{} // closed by the first fail
	finish    chan struct{} // closed: the loop ends when it has done everything
	halt      chan struct{} // closed: the loop ends now
	loopDone  chan struct{}
	diskDone  chan struct{}
	done      chan struct{} // closed when all has ended

	feed       *feed          // of those who follow the history
	leanFeed   *feed          // of those who want its changes alone
	followers  atomic.Int64   // of both
	background sync.WaitGroup // goroutines that end when loopDone is closed
	bundling   sync.Mutex     // held while a bundle is made
	snapshots  *snapshots

	mu      sync.Mutex // guards what follows
	stopCtx context.Context
	failure error // the first

	err  error      // what Wait returns; set before done is closed
	last loopStatus // set before loopDone is closed

	// The loop's goroutine's.
	saidStart    bool   // started is closed
	saidStop     bool   // the stop note is in the journal
	checkpointed uint64 // the last checkpoint because of ownCheckpoints

	clockOffset    atomic.Int64  // added to the wall clock
	ownCheckpoints atomic.Uint64 // above 0: the loop takes a checkpoint every so many events, because the shadow failed
	counts         counts
}

type counts struct {
	peeksBusy, refusedFull, refusedBacklog, callsBusy, refusalsLost atomic.Uint64
}

// Start listens, opens the node's directory, recovers and runs; when it returns the
// machines have handled their start and what a crash had left unhandled. Nobody is
// served before recovery. When ctx ends the node drains and stops, as by Stop with
// Limits.Drain.
//
// Errors: *OptionError, also for an address or a directory that can't be used; those of journal.Open and loop.Open; *CrashError for an
// event that panics a machine in recovery, *PoisonError if it did so before. See
// ExitCode.
func Start(ctx context.Context, o Options) (*Node, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	n, err := newNode(o)
	if err != nil {
		return nil, err
	}
	// First, so that a mistake in an address leaves no trace in the journal.
	if n.ln, err = listen(&o); err != nil {
		return nil, err
	}
	if err := n.open(ctx); err != nil {
		n.ln.close()
		return nil, err
	}
	if err := n.run(); err != nil {
		n.ln.close()
		n.fail(err)
		n.close(context.Background())
		return nil, err
	}
	go n.supervise(ctx)
	select {
	case <-n.started:
		return n, nil
	case <-n.done: // nobody else will learn why
		if n.err == nil {
			return nil, ErrStopping
		}
		return nil, n.err
	}
}

func newNode(o Options) (*Node, error) {
	n := &Node{o: o, dirs: dirsOf(o.Dir), logs: newAreaLogs(o.Log, o.Name), clientName: o.Name + ".client", epoch: time.Now(),
		codecs: map[string]*codec{}, pending: newPending(o.Limits.InFlight, o.Limits.Parts),
		wake: make(chan struct{}, 1), controls: make(chan func()), peeks: make(chan func(), o.Limits.Peeks),
		netReady: make(chan struct{}), started: make(chan struct{}), stopAsked: make(chan struct{}), failed: make(chan struct{}),
		finish: make(chan struct{}), halt: make(chan struct{}), loopDone: make(chan struct{}),
		diskDone: make(chan struct{}), done: make(chan struct{})}
	n.disk, n.feed, n.leanFeed, n.snapshots = newDisk(n), &feed{n: n}, &feed{n: n, lean: true}, newSnapshots(n)
	n.clockOffset.Store(int64(o.ClockOffset))
	for name := range o.Registry {
		c, err := newCodec(o.Registry[name], o.Versions[name])
		if err != nil {
			return nil, &OptionError{Option: "Registry", Reason: fmt.Sprintf("machine %s: %v", name, err), Err: err}
		}
		n.codecs[name] = c
	}
	return n, nil
}

// open recovers the journal and the loop.
func (n *Node) open(ctx context.Context) error {
	if err := n.dirs.make(n.o.FS); errors.Is(err, vfs.ErrNoSpace) {
		return n.dirError(err)
	} else if err != nil {
		return n.badDir(err)
	}
	again, err := n.upgradeBefore()
	if err != nil {
		return err
	}
	first, err := n.firstBoot()
	if err != nil {
		return err
	}
	j, err := journal.Open(journal.Options{FS: n.o.FS, Dir: n.dirs.journal, Node: n.o.Name, FirstBoot: first,
		SegmentBytes: n.o.SegmentBytes, Backlog: n.o.Limits.BacklogBytes, Durability: n.o.Durability,
		RetainBytes: n.o.RetainBytes, RetainAge: n.o.RetainAge, Archive: n.o.Archive, HostBoot: hostBoot(n.o.HostBoot),
		Notify: func() { signal(n.wake) }, WantMaintain: n.disk.wantMaintain, Log: n.logs.in(AreaDisk)})
	if errors.Is(err, journal.ErrNotNew) {
		return n.notReplaced(n.dirs.journal, "a journal", err)
	}
	if err != nil {
		return n.dirError(err)
	}
	n.j, n.boot = j, j.Boot()
	n.reportRecovery(j.Recovery())
	n.setAsideKilled(j.Recovery())
	c := n.loopConfig()
	c.Again = again
	if err := n.openLoop(ctx, c); err != nil {
		return errors.Join(n.crashed(err), j.Close())
	}
	return nil
}

// firstBoot is the boot number with which a replaced disk begins, 0 if it isn't
// one. The clock is the one thing that knows of time before: a node boots less than
// once a second, so the seconds are ahead of its boots for good.
func (n *Node) firstBoot() (uint64, error) {
	if !n.o.ReplaceDisk {
		return 0, nil
	}
	seqs, err := checkpoint.List(n.o.FS, n.dirs.checkpoints)
	if err != nil {
		return 0, err
	}
	if len(seqs) > 0 {
		return 0, n.notReplaced(n.dirs.checkpoints, fmt.Sprintf("%d checkpoints", len(seqs)), nil)
	}
	return uint64(time.Now().Unix()), nil
}

func (n *Node) notReplaced(dir, what string, err error) error {
	return &OptionError{Option: "ReplaceDisk", Err: err,
		Reason: fmt.Sprintf("%s holds %s: the disk is not a new one. Leave it out to go on with what is there, or give an empty directory", dir, what)}
}

// clockWaitMax is how long a start waits for the clock to come near enough to
// the journal's time.
const clockWaitMax = 2 * time.Second

// openLoop recovers. Each boot stamps above the clock ceiling of the one before,
// so a node that is killed again and again in little time gets ahead of its
// clock: it waits then, rather than refuse to start.
func (n *Node) openLoop(ctx context.Context, c loop.Config) (err error) {
	for begun := time.Now(); ; {
		n.loop, err = loop.Open(c, n.reading())
		var clock *loop.ClockError
		if !errors.As(err, &clock) {
			return err
		}
		excess := clock.Remembered.Sub(clock.Wall) - clock.MaxDrift
		if excess > clockWaitMax || time.Since(begun) > 2*clockWaitMax {
			return err
		}
		n.logs.in(AreaNode).Info("waiting for the clock", "for", excess)
		select {
		case <-time.After(excess + time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// upgradeBefore has the event of Options.UpgradeBefore skipped, and returns it if
// it is to be handled anew: the first time, not at later starts with the same
// option.
func (n *Node) upgradeBefore() (again uint64, err error) {
	seq := n.o.UpgradeBefore
	if seq == 0 {
		return 0, nil
	}
	names, err := n.o.FS.ReadDir(n.dirs.journal)
	if err == nil && len(names) == 0 {
		err = &OptionError{Option: "UpgradeBefore", Reason: fmt.Sprintf("%d: %s holds no event yet: leave it out", seq, n.dirs.journal)}
	}
	if err != nil {
		return 0, err
	}
	marks, err := journal.Amendments(n.o.FS, n.dirs.journal)
	if err != nil {
		return 0, err
	}
	for _, m := range marks {
		if m.Seq == seq {
			n.logs.in(AreaNode).Info("the event was skipped at an earlier start already", "seq", seq, "reason", m.Reason)
			return 0, nil
		}
	}
	err = journal.Skip(n.o.FS, n.dirs.journal, seq, "upgrade before it: it is handled anew by the version after")
	if errors.Is(err, journal.ErrHandled) {
		err = &OptionError{Option: "UpgradeBefore", Reason: err.Error(), Err: err}
	}
	return seq, err
}

func (n *Node) loopConfig() loop.Config {
	c := loop.Config{Journal: n.j, FS: n.o.FS, Checkpoints: n.dirs.checkpoints, Registry: n.o.Registry, Versions: n.o.Versions,
		Node: n.o.Name, Peers: n.o.peerNames(), Settings: n.o.Settings, Build: n.o.Build, Arch: arch, Seed: n.o.Seed,
		MaxDrift: n.o.MaxDrift, Durability: n.o.Durability, CheckpointEvery: n.o.CheckpointEvery,
		Stepper: stepper.Options{Stack: debug.Stack}}
	if w := n.snapshots.window; w != nil {
		c.Ready, c.See = w.begin, w.see
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64()
	}
	if n.o.ShadowCheckpoints {
		c.CheckpointEvery = ^uint64(0)
	}
	return c
}

// reportRecovery says in the log how the boot before ended and what is lost.
func (n *Node) reportRecovery(r journal.Recovery) {
	log := n.logs.in(AreaNode)
	log.Info("journal opened", "boot", n.boot, "last", r.Last.Seq, "before", r.Ending.String())
	for _, w := range r.Warnings {
		log.Warn("journal", "warning", w)
	}
	if r.Repaired {
		log.Warn("the journal was repaired since the boot before; what was taken out is in its aside directories", "dir", n.dirs.journal)
	}
	if r.Torn != nil {
		log.Info("a torn tail was truncated", "what", r.Torn.Error())
	}
	if r.Lost != nil {
		log.Error("the machine went down: " + r.Lost.String())
	}
}

// run starts everything that runs.
func (n *Node) run() error {
	n.adapters = newAdapters(n)
	go func() {
		defer close(n.diskDone)
		n.disk.run()
	}()
	err := n.connect()
	close(n.netReady)
	if err != nil {
		close(n.loopDone)
		return err
	}
	go n.drive()
	if n.o.ShadowCheckpoints {
		n.startShadowCheckpoints()
	}
	l := n.o.Limits
	log := n.logs.in(AreaHTTP)
	if n.ln.http != nil {
		n.http = serve(n.ln.http, serviceHandler(n.o.Handler(n.Client()), int64(l.RequestBytes)), l.HTTPConns, l, n.o.HTTPTLS, log)
	}
	if n.ln.admin != nil {
		n.admin = serve(n.ln.admin, n.adminHandler(), l.AdminConns, l, n.o.AdminTLS, log)
	}
	n.logs.in(AreaNode).Info("node started", "boot", n.boot, "listen", n.Addr(), "http", n.http.addr(), "admin", n.admin.addr())
	return nil
}

// Client returns what the service's own code asks the machines through.
func (n *Node) Client() *Client { return &Client{n} }

// Boot is the number of this start.
func (n *Node) Boot() uint64 { return n.boot }

// Addr is where other nodes and native clients connect to, "" if nowhere.
func (n *Node) Addr() string {
	if n.net == nil || n.net.Addr() == nil {
		return ""
	}
	return n.net.Addr().String()
}

// HTTPAddr is where the service's HTTP server listens, "" without one.
func (n *Node) HTTPAddr() string { return n.http.addr() }

// AdminAddr is where the admin API listens, "" without one.
func (n *Node) AdminAddr() string {
	if n.ln.admin == nil {
		return ""
	}
	return n.ln.admin.Addr().String() // it is asked for before the server is there, too
}

// SetLog switches the level (debug, info, warn, error) of one area of the log, or
// of all for "all".
func (n *Node) SetLog(area, level string) error { return n.logs.set(area, level) }

// Wait returns when the node has stopped: nil if somebody asked it to, else why.
func (n *Node) Wait() error {
	<-n.done
	return n.err
}

// Done is closed when the node has stopped.
func (n *Node) Done() <-chan struct{} { return n.done }

// Stop drains the node and stops it: new requests are refused, those in flight
// are answered, queued messages are sent, the journal is closed in order. When
// ctx ends it no longer waits for any of that. It returns when the node has
// stopped, with what Wait returns.
func (n *Node) Stop(ctx context.Context) error {
	n.askStop(ctx)
	return n.Wait()
}

func (n *Node) askStop(ctx context.Context) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopCtx == nil {
		n.stopCtx = ctx
		close(n.stopAsked)
	}
}

// fail ends the node with an error; the first counts.
func (n *Node) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failure == nil {
		n.failure = err
		close(n.failed)
	}
}

func (n *Node) failedWith() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.failure
}

// supervise waits for a reason to stop, and stops.
func (n *Node) supervise(start context.Context) {
	ctx := start
	select {
	case <-n.failed:
	case <-n.stopAsked:
		n.mu.Lock()
		ctx = n.stopCtx
		n.mu.Unlock()
	case <-start.Done():
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.Background(), n.o.Limits.Drain)
		defer cancel()
	}
	n.err = n.close(ctx)
	if n.err != nil {
		n.logs.in(AreaNode).Error("node stopped", "err", n.err)
	} else {
		n.logs.in(AreaNode).Info("node stopped")
	}
	close(n.done)
}

// failGrace is how long answers may take that tell clients of a failure.
const failGrace = time.Second

// close drains, unless the node failed, and ends everything. It returns the
// failure.
func (n *Node) close(ctx context.Context) error {
	empty := n.pending.drain()
	http, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	go func() { // who waits for an answer that a failed loop won't give is told
		defer close(stop)
		select {
		case <-n.loopDone:
			n.pending.end(n.uncertain())
		case <-n.failed:
			n.pending.end(n.uncertain())
		case <-empty:
			return
		}
		time.AfterFunc(failGrace, cancel)
	}()
	n.http.stop(http)
	select {
	case <-empty:
	case <-ctx.Done():
	}
	n.pending.end(n.uncertain()) // closes empty, if it isn't
	<-stop
	n.adapters.stop()
	n.closeTransport(ctx)
	n.endLoop(ctx)
	n.snapshots.forgetAll()
	n.background.Wait()
	n.feed.stop()
	n.leanFeed.stop()
	n.disk.stop()
	<-n.diskDone
	err := n.failedWith()
	if err != nil {
		err = n.crashed(err)
	}
	if cerr := n.j.Close(); cerr != nil && err == nil {
		err = &SyncError{"closing the journal", cerr}
	}
	last, cancelLast := context.WithTimeout(context.Background(), failGrace)
	defer cancelLast()
	if n.endPage != nil {
		n.endPage()
	}
	n.admin.stop(last)
	return err
}

// uncertain is what who is still waiting is told.
func (n *Node) uncertain() error {
	if err := n.failedWith(); err != nil {
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return ErrUncertain
}

// closeTransport sends what is queued; a node that failed doesn't.
func (n *Node) closeTransport(ctx context.Context) {
	if n.net == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if n.failedWith() != nil {
		cancel()
	}
	if err := n.net.Close(ctx); err != nil {
		n.logs.in(AreaTransport).Info("not all was sent", "err", err)
	}
}

// endLoop lets the loop finish what there is, until ctx ends.
func (n *Node) endLoop(ctx context.Context) {
	close(n.finish)
	select {
	case <-n.loopDone:
	case <-n.failed:
	case <-ctx.Done():
	}
	close(n.halt)
	<-n.loopDone
}

// hostBoot names the machine's present boot: the kernel's, on Linux.
func hostBoot(given string) string {
	if given != "" || runtime.GOOS != "linux" {
		return given
	}
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
