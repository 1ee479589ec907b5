package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/loop"
	"hindcast.dev/recording"
	"hindcast.dev/stepper"
)

// Bounds of snapshots.
const (
	cutsMax     = 16               // that are held at a time
	cutIdle     = time.Minute      // a cut that nobody asks for is forgotten
	keepMax     = 10 * time.Minute // a replica is kept between two snapshots, at most
	replicaLag  = time.Second      // a kept replica stays so far behind: another initiator's clock may be behind ours
	replicaTurn = 100 * time.Millisecond
	// skipMin is how many events a checkpoint must save a kept replica that has fallen
	// behind, to be begun anew from there: reading one costs as well.
	skipMin = 20_000
)

// snapshots are the cuts through this node's events that others ask for. A second
// copy of the machines (a replica) finds them from checkpoint and journal, in
// goroutines of its own: the loop does nothing but to keep its promise.
type snapshots struct {
	n *Node
	// replicas: one is at work at a time. Held while a replica steps; guards kept and
	// all flights, and follows.
	replicas chan struct{}
	kept     *replica // behind the present, for the next cut; nil if there is none
	follows  bool     // a goroutine steps kept

	opened atomic.Uint64 // replicas so far

	mu     sync.Mutex // guards cuts and coming
	cuts   map[string]*heldCut
	coming int // cuts that are being found
}

// A heldCut is a cut that was found. While it is held, retention waits; it holds no
// replica, which takes as much memory as the machines do.
type heldCut struct {
	time  hlc.Timestamp
	cut   recording.Cut
	sent  []*flight
	by    uint64      // number of the replica that found it
	timer *time.Timer // forgets it
}

// A replica is a shadow with the messages that it saw.
type replica struct {
	number  uint64
	s       *loop.Shadow
	flights flights
	until   time.Time // kept so long
}

func newSnapshots(n *Node) *snapshots {
	return &snapshots{n: n, replicas: make(chan struct{}, 1), cuts: map[string]*heldCut{}}
}

// Cut finds the cut at t (0 is now) through this node's events: which is the last,
// what arrived, and, until its ID is forgotten, what was sent. A t that hasn't come
// is waited for: the node's clock isn't moved by it. With keep the replica goes on,
// so that the next cut costs what has happened until then.
//
// Errors: *DriftError for a t further ahead than MaxDrift; ErrBusy if too many cuts
// are held; *ReachError for a t that journal and checkpoints don't reach back to;
// *CrashError if the machines aren't deterministic.
func (n *Node) Cut(ctx context.Context, t hlc.Timestamp, keep time.Duration) (*recording.CutAnswer, error) {
	s := n.snapshots
	if err := s.reserve(); err != nil {
		return nil, err
	}
	defer s.unreserve()
	if t == 0 {
		t = n.reading().Wall.Physical()
	}
	if err := n.pass(ctx, t); err != nil {
		return nil, err
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.unlock()
	n.disk.pin() // until the cut is held, and then it holds it
	defer n.disk.unpin()
	r, err := s.at(ctx, t)
	if err != nil {
		return nil, n.shadowFailed(err)
	}
	a, err := s.hold(r, t)
	if err == nil && keep > 0 {
		s.keep(r, min(keep, keepMax))
	}
	if r != s.kept {
		err = errors.Join(err, r.s.Close())
	}
	return a, err
}

// lock waits for its turn with the replicas.
func (s *snapshots) lock(ctx context.Context) error {
	select {
	case s.replicas <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *snapshots) unlock() { <-s.replicas }

// reserve sees to it that there is room for a cut before it is looked for.
func (s *snapshots) reserve() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.cuts) + s.coming; n >= cutsMax {
		return fmt.Errorf("%w: %d snapshots are being taken", ErrBusy, n)
	}
	s.coming++
	return nil
}

func (s *snapshots) unreserve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.coming--
}

// pass returns when nothing will be stamped at or below t any more. It waits for the
// clock to come so far rather than to promise a time ahead of it: who may only read
// doesn't push the node's Timestamps away from its clock.
func (n *Node) pass(ctx context.Context, t hlc.Timestamp) error {
	if err := n.checkDrift(t); err != nil {
		return err
	}
	for {
		ahead := t.Physical().Sub(n.reading().Wall.Physical())
		if ahead <= 0 {
			break
		}
		wait := time.NewTimer(ahead + time.Millisecond)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		case <-n.loopDone:
			wait.Stop()
			return ErrStopping
		}
	}
	var now hlc.Timestamp
	if err := n.control(ctx, func() { now = n.loop.Now() }); err != nil {
		return err
	}
	if now > t {
		return nil
	}
	_, err := n.Promise(ctx, t)
	return err
}

// at returns a replica that stands at the cut at t.
func (s *snapshots) at(ctx context.Context, t hlc.Timestamp) (*replica, error) {
	r := s.kept
	if r != nil && s.overtaken(r, t) {
		if err := r.s.Close(); err != nil {
			return nil, err
		}
		r, s.kept = nil, nil
	}
	if r == nil || r.s.At().Time > t {
		var err error
		if r, err = s.open(t); err != nil {
			return nil, fmt.Errorf("snapshot at %v: %w", t, s.reachError(t, err))
		}
	}
	for {
		_, reached, err := r.advance(t)
		if err == nil && !reached {
			if err = ctx.Err(); err == nil {
				continue
			}
		}
		if err == nil {
			return r, nil
		}
		if s.kept == r {
			s.kept = nil
		}
		return nil, errors.Join(err, r.s.Close())
	}
}

// overtaken reports whether a replica begun anew for a cut at t would have less to step:
// where the node is faster than the replica that follows it, that falls ever further
// behind.
func (s *snapshots) overtaken(r *replica, t hlc.Timestamp) bool {
	early := t.Add(-recording.FlightWindow)
	if r.s.At().Time >= early {
		return false
	}
	until, err := s.lastAt(early)
	if err != nil {
		return false // it is met again, if it matters
	}
	seqs, err := checkpoint.List(s.n.o.FS, s.n.dirs.checkpoints)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(seqs, func(seq uint64) bool { return seq <= until && seq >= r.s.At().Seq+skipMin })
}

// advance steps a batch of events at or before t.
func (r *replica) advance(t hlc.Timestamp) (count int, reached bool, err error) {
	st := r.s.Stepper()
	return r.s.AdvanceTo(t, shadowBatch, func(f *stepper.Followed, _ record.Stamp) { r.flights.take(f, st) })
}

// open returns a replica that begins long enough before t to have seen all that is
// under way then, or as early as journal and checkpoints let it.
func (s *snapshots) open(t hlc.Timestamp) (*replica, error) {
	early, err := s.lastAt(t.Add(-recording.FlightWindow))
	if err != nil {
		return nil, err
	}
	r := &replica{number: s.opened.Add(1), flights: flights{node: s.n.o.Name}}
	var gone *journal.RetainedError
	if r.s, _, err = s.n.openShadow(&ShadowOptions{Bounded: true, Until: early}); errors.As(err, &gone) {
		late, err2 := s.lastAt(t)
		if err2 != nil {
			return nil, err2
		}
		r.s, _, err = s.n.openShadow(&ShadowOptions{Bounded: true, Until: late})
	}
	if err != nil {
		return nil, err
	}
	r.flights.since = r.s.At().Time
	return r, nil
}

// lastAt is the sequence number of the last event at or before t.
func (s *snapshots) lastAt(t hlc.Timestamp) (uint64, error) {
	rd, err := s.n.j.NewReader(0)
	if err != nil {
		return 0, err
	}
	defer rd.Close()
	if err := rd.SeekTime(t + 1); err != nil {
		return 0, err
	}
	e, err := rd.Next()
	if errors.Is(err, io.EOF) {
		return s.n.j.Stamped(), nil
	}
	return e.Stamp.Seq - 1, err
}

// hold remembers the cut at which a replica stands.
func (s *snapshots) hold(r *replica, t hlc.Timestamp) (*recording.CutAnswer, error) {
	at := r.s.At()
	r.flights.prune(t.Add(-recording.FlightWindow))
	h := &heldCut{time: t, sent: r.flights.sent, by: r.number, cut: recording.Cut{Seq: at.Seq, Time: at.Time, Physical: at.Physical,
		Boot: at.Boot, Chain: r.s.Stepper().Chain()}}
	seqs, err := checkpoint.List(s.n.o.FS, s.n.dirs.checkpoints)
	if err != nil {
		return nil, err
	}
	for _, seq := range seqs {
		if seq <= at.Seq {
			h.cut.From = seq
		}
	}
	a := &recording.CutAnswer{Info: s.n.info(), Cut: h.cut, Since: r.flights.since, Arrivals: r.flights.arrivals(r.s.Stepper())}
	if at.Seq == 0 {
		a.Begins, _ = s.reach()
	}
	a.ID = s.add(h)
	return a, nil
}

// add holds a cut, for which there is room.
func (s *snapshots) add(h *heldCut) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id = fmt.Sprintf("%016x", rand.Uint64())
	s.n.disk.pin()
	s.cuts[id] = h
	h.timer = time.AfterFunc(cutIdle, func() { s.forget(id) })
	return id
}

// forget lets go of a cut, if it is held.
func (s *snapshots) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.cuts[id]; h != nil {
		h.timer.Stop()
		delete(s.cuts, id)
		s.n.disk.unpin()
	}
}

// forgetAll is for the end of the node.
func (s *snapshots) forgetAll() {
	s.mu.Lock()
	ids := make([]string, 0, len(s.cuts))
	for id := range s.cuts {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	for _, id := range ids {
		s.forget(id)
	}
}

// find returns a cut that is held, for another while.
func (s *snapshots) find(id string) (*heldCut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.cuts[id]
	if h == nil {
		return nil, &adminError{http.StatusNotFound, fmt.Sprintf("no snapshot %q is held here", id), "take another one"}
	}
	h.timer.Reset(cutIdle)
	return h, nil
}

// keep has a replica go on after a cut, until nobody has asked for another one for
// so long. The caller holds replicas.
func (s *snapshots) keep(r *replica, d time.Duration) {
	r.until = time.Now().Add(d)
	if s.kept == r {
		return
	}
	if s.n.loopOver() {
		return
	}
	if s.kept != nil && s.kept.s.At().Time >= r.s.At().Time {
		return // that one is nearer to the present
	}
	if s.kept != nil {
		if err := s.kept.s.Close(); err != nil {
			s.n.logs.in(AreaShadow).Debug("closing a replica", "err", err)
		}
	}
	s.kept = r
	if !s.follows {
		s.follows = true
		s.n.background.Go(s.follow)
	}
}

// follow steps the kept replica after the node, until its time is over.
func (s *snapshots) follow() {
	turn := time.NewTicker(replicaTurn)
	defer turn.Stop()
	for {
		select {
		case <-turn.C:
		case <-s.n.loopDone:
		}
		if s.followOn() {
			return
		}
	}
}

// followOn does one turn; over says that there is nothing to follow any more. It
// lets go of the replica after each batch, so that a cut needn't wait.
func (s *snapshots) followOn() (over bool) {
	for more := true; more; {
		s.replicas <- struct{}{}
		r := s.kept
		var err error
		ended := s.n.loopOver() || r != nil && time.Now().After(r.until)
		more = false
		if r != nil && !ended {
			var count int
			count, _, err = r.advance(s.n.reading().Wall.Add(-replicaLag))
			more = count == shadowBatch
			r.flights.prune(r.s.At().Time.Add(-recording.FlightWindow))
		}
		if r != nil && (ended || err != nil) {
			s.kept = nil
			err = errors.Join(err, r.s.Close())
		}
		over = s.kept == nil
		s.follows = !over
		<-s.replicas
		if err != nil {
			s.n.logs.in(AreaShadow).Warn("the replica that is kept for snapshots ended", "err", s.n.shadowFailed(err))
		}
	}
	return over
}

// underWay lists the messages under way at a cut to the nodes that say what they
// received.
func (s *snapshots) underWay(ctx context.Context, h *heldCut, received map[string]recording.Arrivals) ([]recording.Flight, error) {
	at := map[string]*landing{}
	for name, a := range received {
		l, err := landingOf(&a, s.n.o.Name)
		if err != nil {
			return nil, usage(err)
		}
		at[name] = l
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.unlock()
	out := underWay(h.sent, h.time, at)
	if s.kept != nil && h.by == s.kept.number {
		s.kept.flights.landed(h.time, at)
	}
	return out, nil
}

// events writes a cut's events behind one of them.
func (s *snapshots) events(w io.Writer, h *heldCut, after uint64, extend func()) error {
	if after >= h.cut.Seq {
		return nil
	}
	rd, err := s.n.j.NewReader(after + 1)
	if err != nil {
		return err
	}
	defer rd.Close()
	var buf []byte
	for {
		e, err := rd.Next()
		if err != nil {
			return fmt.Errorf("event %d of the snapshot: %w", after+1, err)
		}
		if _, skip := s.n.j.Skip(e.Stamp.Seq); skip {
			e.Stamp.Disposition = record.Skipped
		}
		buf = recording.AppendEvent(buf, &e.Frame, e.Stamp)
		after = e.Stamp.Seq
		last := after >= h.cut.Seq
		if last || len(buf) >= eventsAtOnce {
			extend()
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
		if last {
			return nil
		}
	}
}

// eventsAtOnce is how many bytes of events are written at once.
const eventsAtOnce = 256 << 10

// A ReachError says that a node's journal and checkpoints don't reach back to a time.
type ReachError struct {
	Time  hlc.Timestamp // wanted
	First hlc.Timestamp // the earliest that there is, 0 if there is none
}

func (e *ReachError) Error() string {
	if e.First == 0 {
		return "this node's journal and checkpoints reach back to no time at all"
	}
	return fmt.Sprintf("this node's journal and checkpoints reach back to %v only", e.First)
}

// reachError says how far back the node reaches, if err is that it doesn't.
func (s *snapshots) reachError(t hlc.Timestamp, err error) error {
	var gone *journal.RetainedError
	if !errors.As(err, &gone) {
		return err
	}
	first, err := s.reach()
	return cmp.Or(err, error(&ReachError{t, first}))
}

// reach is the earliest time of which there is a cut.
func (s *snapshots) reach() (hlc.Timestamp, error) {
	seqs, err := checkpoint.List(s.n.o.FS, s.n.dirs.checkpoints)
	if err != nil {
		return 0, err
	}
	var gone *journal.RetainedError
	for _, after := range append([]uint64{0}, seqs...) {
		rd, err := s.n.j.NewReader(after + 1)
		if errors.As(err, &gone) {
			continue
		}
		if err != nil {
			return 0, err
		}
		e, err := rd.Next()
		if err2 := rd.Close(); err == nil {
			return e.Stamp.Time, err2
		}
		if !errors.Is(err, io.EOF) || after == 0 {
			return 0, ignoring(err, io.EOF)
		}
		h, _, err := checkpoint.Read(s.n.o.FS, path.Join(s.n.dirs.checkpoints, checkpoint.Name(after)))
		return h.Time, err // nothing has happened since
	}
	return 0, nil
}

// ignoring is err, unless it is what is expected.
func ignoring(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// cutError turns an error of Cut into one of the request.
func cutError(err error) error {
	var reach *ReachError
	var drift *DriftError
	switch {
	case errors.As(err, &reach):
		return &adminError{http.StatusGone, err.Error(), "choose that time or a later one, or let the node keep more"}
	case errors.As(err, &drift):
		return &adminError{http.StatusConflict, fmt.Sprintf("snapshot at %v: that is %v ahead of this node's clock %v, and at most %v ahead is waited for",
			drift.Sent, drift.Sent.Physical().Sub(drift.Wall).Round(time.Millisecond), drift.Wall, drift.MaxDrift), "choose NOW or an earlier time"}
	}
	return goneError(err)
}

// goneError turns an error about what retention has removed into one of the
// request.
func goneError(err error) error {
	var gone *journal.RetainedError
	if errors.As(err, &gone) || errors.Is(err, fs.ErrNotExist) {
		return &adminError{http.StatusGone, err.Error(), "choose a later time, or let the node keep more"}
	}
	return err
}
