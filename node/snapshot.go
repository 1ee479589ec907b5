package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/loop"
	"hindcast.dev/recording"
)

// Bounds of snapshots.
const (
	cutsMax = 16          // that are held at a time
	cutIdle = time.Minute // a cut that nobody asks for is forgotten
)

// snapshots are the cuts through this node's events that others ask for. The journal
// says where a cut is, and the window what had arrived by then and was sent: the loop
// does nothing for it. Of what the window has forgotten a second copy of the machines
// finds it out again, from checkpoint and journal.
type snapshots struct {
	n        *Node
	window   *window       // nil without
	stepping chan struct{} // one second copy at a time
	steps    atomic.Uint64 // how many there were

	mu     sync.Mutex // guards cuts and coming
	cuts   map[string]*heldCut
	coming int // cuts that are being found
}

// A heldCut is a cut that was found. While it is held, retention waits.
type heldCut struct {
	time    hlc.Timestamp
	cut     recording.Cut
	sent    sends
	stepped bool        // sent is what a second copy of the machines says
	timer   *time.Timer // forgets it
}

func newSnapshots(n *Node) *snapshots {
	s := &snapshots{n: n, stepping: make(chan struct{}, 1), cuts: map[string]*heldCut{}}
	if size := n.o.Limits.WindowBytes; size > 0 {
		s.window = newWindow(n.o.Name, size)
	}
	return s
}

// Cut finds the cut at t (0 is now) through this node's events: which is the last,
// what arrived, and, until its ID is forgotten, what was sent. A t that hasn't come
// is waited for: the node's clock isn't moved by it.
//
// Errors: *DriftError for a t further ahead than MaxDrift; ErrBusy if too many cuts
// are held; *ReachError for a t that journal and checkpoints don't reach back to;
// *CrashError if the machines had to be stepped and aren't deterministic.
func (n *Node) Cut(ctx context.Context, t hlc.Timestamp) (*recording.CutAnswer, error) {
	s := n.snapshots
	if err := s.reserve(); err != nil {
		return nil, err
	}
	defer s.unreserve()
	if t == 0 {
		t = n.reading().Wall.Physical()
	}
	n.disk.pin() // until the cut is held, and then it holds it
	defer n.disk.unpin()
	if err := n.pass(ctx, t); err != nil {
		return nil, err
	}
	cut, err := s.at(t)
	if err != nil {
		return nil, fmt.Errorf("snapshot at %v: %w", t, s.reachError(t, err))
	}
	h := &heldCut{time: t, cut: cut}
	arrivals, ok := s.look(h)
	if !ok {
		if arrivals, err = s.step(ctx, h); err != nil {
			return nil, n.shadowFailed(err)
		}
	}
	a := &recording.CutAnswer{Info: n.info(), Peers: n.o.peerNames(), Cut: cut, Since: h.sent.from(), Arrivals: arrivals}
	if cut.Seq == 0 {
		a.Begins, _ = s.reach()
	}
	a.ID = s.add(h)
	return a, nil
}

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
	for promised := false; ; {
		var last record.Stamp
		if err := n.control(ctx, func() { last = n.j.LastStamp() }); err != nil {
			return err
		}
		switch {
		case last.Time > t:
			return nil
		case !promised:
			if _, err := n.Promise(ctx, t); err != nil {
				return err
			}
			promised = true
		default:
			if err := n.j.Wait(ctx, last.Seq); err != nil {
				return err
			}
		}
	}
}

// at is the cut at t, which has passed.
func (s *snapshots) at(t hlc.Timestamp) (c recording.Cut, err error) {
	late := false
	if s.window != nil {
		c, late = s.window.place(t)
	}
	if !late {
		if c, err = s.search(t); err != nil || c.Seq == 0 {
			return c, err
		}
	}
	seqs, err := checkpoint.List(s.n.o.FS, s.n.dirs.checkpoints)
	if err != nil {
		return c, err
	}
	for _, seq := range seqs {
		if seq <= c.Seq {
			c.From = seq
		}
	}
	if late && c.From > 0 { // retention leaves what is behind a checkpoint
		return c, nil
	}
	rd, err := s.n.j.NewReader(c.From + 1)
	if err != nil {
		return c, err
	}
	return c, rd.Close()
}

// search finds a cut in the journal, without the checkpoint to begin with.
func (s *snapshots) search(t hlc.Timestamp) (c recording.Cut, err error) {
	rd, err := s.n.j.NewReader(0)
	if err != nil {
		return c, err
	}
	defer rd.Close()
	if err := rd.SeekTime(t + 1); err != nil {
		return c, err
	}
	next, err := rd.Next() // whose stamp has the digest chain after the cut
	if err != nil {
		return c, err
	}
	c.Seq, c.Chain = next.Stamp.Seq-1, next.Stamp.Chain
	if c.Seq == 0 {
		return c, nil
	}
	var gone *journal.RetainedError
	if err = rd.SeekSeq(c.Seq); err == nil {
		var last journal.Entry
		last, err = rd.Next()
		c.Time, c.Physical, c.Boot = last.Stamp.Time, last.Stamp.Physical, last.Stamp.Boot
	} else if errors.As(err, &gone) { // a checkpoint may be of this very event
		h, _, err2 := checkpoint.Read(s.n.o.FS, path.Join(s.n.dirs.checkpoints, checkpoint.Name(c.Seq)))
		if err2 != nil || h.Time > t {
			return c, err
		}
		c.Time, c.Physical, c.Boot, err = h.Time, h.Physical, h.Boot, nil
	}
	return c, err
}

// look has the window tell of a cut, if it knows what had arrived.
func (s *snapshots) look(h *heldCut) (a recording.Arrivals, ok bool) {
	if s.window == nil {
		return a, false
	}
	if a, h.sent, ok = s.window.cut(h.time, false); !ok && s.goesBack() {
		a, h.sent, ok = s.window.cut(h.time, true)
	}
	return a, ok
}

// step finds out by a second copy of the machines what a window knows of a cut.
func (s *snapshots) step(ctx context.Context, h *heldCut) (a recording.Arrivals, err error) {
	select {
	case s.stepping <- struct{}{}:
	case <-ctx.Done():
		return a, ctx.Err()
	}
	defer func() { <-s.stepping }()
	s.steps.Add(1)
	sh, w, err := s.open(h.time)
	if err != nil {
		return a, fmt.Errorf("snapshot at %v: %w", h.time, s.reachError(h.time, err))
	}
	for reached := false; !reached && err == nil; {
		if _, reached, err = sh.AdvanceTo(h.time, shadowBatch, w.see); err == nil {
			err = ctx.Err()
		}
	}
	if err := errors.Join(err, sh.Close()); err != nil {
		return a, err
	}
	var ok bool
	if a, h.sent, ok = w.cut(h.time, true); !ok {
		return a, fmt.Errorf("%w: snapshot at %v: within %v before it more than %d messages came to machines that take them in no order",
			ErrBusy, h.time, recording.FlightWindow, foreignMax)
	}
	h.stepped = true
	return a, nil
}

// open returns a second copy of the machines that begins long enough before t to see
// all that is under way then, or as early as journal and checkpoints let it.
func (s *snapshots) open(t hlc.Timestamp) (sh *loop.Shadow, w *window, err error) {
	early, err := s.lastAt(t.Add(-recording.FlightWindow))
	if err != nil {
		return nil, nil, err
	}
	var gone *journal.RetainedError
	if sh, _, err = s.n.openShadow(&ShadowOptions{Bounded: true, Until: early}); errors.As(err, &gone) {
		sh, err = s.openFirst(t, err)
	}
	if err != nil {
		return nil, nil, err
	}
	w = newWindow(s.n.o.Name, windowSteps)
	w.begin(sh.Stepper(), sh.At())
	return sh, w, nil
}

// openFirst begins with the first checkpoint that the journal goes on from, if that is
// before t; else the error is gone.
func (s *snapshots) openFirst(t hlc.Timestamp, gone error) (*loop.Shadow, error) {
	late, err := s.lastAt(t)
	if err != nil {
		return nil, err
	}
	seqs, err := checkpoint.List(s.n.o.FS, s.n.dirs.checkpoints)
	if err != nil {
		return nil, err
	}
	for _, seq := range seqs {
		if seq > late {
			break
		}
		sh, _, err := s.n.openShadow(&ShadowOptions{Bounded: true, Until: seq})
		var retained *journal.RetainedError
		if !errors.As(err, &retained) {
			return sh, err
		}
	}
	return nil, gone
}

// goesBack reports whether stepping would find out no more than the window about what
// was before that began: it began where journal and checkpoints do.
func (s *snapshots) goesBack() bool {
	start := s.window.behind()
	if rd, err := s.n.j.NewReader(1); err == nil {
		return rd.Close() == nil && start == 0
	}
	seqs, err := checkpoint.List(s.n.o.FS, s.n.dirs.checkpoints)
	return err == nil && len(seqs) > 0 && start <= seqs[0]
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
	out, exact, err := h.sent.underWay(h.time, at)
	if !exact && !h.stepped && err == nil {
		again := heldCut{time: h.time}
		if _, err := s.step(ctx, &again); err != nil {
			return nil, s.n.shadowFailed(err)
		}
		out, exact, err = again.sent.underWay(h.time, at)
	}
	if !exact && err == nil {
		err = fmt.Errorf("%w: snapshot at %v: of what was sent within %v before it more than %d MiB may not have arrived",
			ErrBusy, h.time, recording.FlightWindow, windowSteps>>20)
	}
	return out, err
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
