package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"sync"
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
)

// snapshots are the cuts through this node's events that others ask for. A second
// copy of the machines (a replica) finds them from checkpoint and journal, in
// goroutines of its own: the loop does nothing but to keep its promise.
type snapshots struct {
	n *Node
	// replicas: one is at work at a time. Held while a replica steps; guards kept and
	// all flights.
	replicas chan struct{}
	kept     *replica // behind the present, for the next cut; nil if there is none

	mu   sync.Mutex // guards cuts
	cuts map[string]*heldCut
}

// A heldCut is a cut that was found. While it is held, retention waits.
type heldCut struct {
	time  hlc.Timestamp
	cut   recording.Cut
	sent  []*flight
	by    *replica
	timer *time.Timer // forgets it
}

// A replica is a shadow with the messages that it saw.
type replica struct {
	s       *loop.Shadow
	flights flights
	until   time.Time // kept so long
}

func newSnapshots(n *Node) *snapshots {
	return &snapshots{n: n, replicas: make(chan struct{}, 1), cuts: map[string]*heldCut{}}
}

// Cut finds the cut at t (0 is now) through this node's events: which is the last,
// what arrived, and, until its ID is forgotten, what was sent. A t that hasn't come
// is promised first. With keep the replica goes on, so that the next cut costs what
// has happened until then.
//
// Errors: of Promise; *journal.RetainedError for a t that journal and checkpoints
// don't reach back to; *CrashError if the machines aren't deterministic.
func (n *Node) Cut(ctx context.Context, t hlc.Timestamp, keep time.Duration) (*recording.CutAnswer, error) {
	if t == 0 {
		t = n.reading().Wall.Physical()
	}
	if err := n.pass(ctx, t); err != nil {
		return nil, err
	}
	s := n.snapshots
	select {
	case s.replicas <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.replicas }()
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

// pass returns when nothing will be stamped at or below t any more.
func (n *Node) pass(ctx context.Context, t hlc.Timestamp) error {
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
	if r == nil || r.s.At().Time > t {
		var err error
		if r, err = s.open(t); err != nil {
			return nil, fmt.Errorf("snapshot at %v: %w", t, err)
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
	r := &replica{flights: flights{node: s.n.o.Name}}
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
	h := &heldCut{time: t, sent: r.flights.sent, by: r, cut: recording.Cut{Seq: at.Seq, Time: at.Time, Physical: at.Physical,
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
	a.ID, err = s.add(h)
	return a, err
}

func (s *snapshots) add(h *heldCut) (id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.cuts) >= cutsMax {
		return "", fmt.Errorf("%w: %d snapshots are being taken", ErrBusy, len(s.cuts))
	}
	id = fmt.Sprintf("%016x", rand.Uint64())
	s.n.disk.pin()
	s.cuts[id] = h
	h.timer = time.AfterFunc(cutIdle, func() { s.forget(id) })
	return id, nil
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
	first := s.kept == nil
	if !first {
		if err := s.kept.s.Close(); err != nil {
			s.n.logs.in(AreaShadow).Debug("closing a replica", "err", err)
		}
	}
	s.kept = r
	if first {
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
		<-s.replicas
		if err != nil {
			s.n.logs.in(AreaShadow).Warn("the replica that is kept for snapshots ended", "err", s.n.shadowFailed(err))
		}
	}
	return over
}

// underWay lists the messages under way at a cut to the nodes that say what they
// received.
func (s *snapshots) underWay(h *heldCut, received map[string]recording.Arrivals) ([]recording.Flight, error) {
	at := map[string]*landing{}
	for name, a := range received {
		l, err := landingOf(&a, s.n.o.Name)
		if err != nil {
			return nil, usage(err)
		}
		at[name] = l
	}
	s.replicas <- struct{}{}
	defer func() { <-s.replicas }()
	out := underWay(h.sent, h.time, at)
	if h.by == s.kept {
		h.by.flights.landed(h.time, at)
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

// goneError turns an error about what retention has removed into one of the
// request.
func goneError(err error) error {
	var gone *journal.RetainedError
	if errors.As(err, &gone) || errors.Is(err, fs.ErrNotExist) {
		return &adminError{http.StatusGone, err.Error(), "choose a later time, or let the node keep more"}
	}
	return err
}
