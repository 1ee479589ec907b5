// Package loop is one node's event loop as an object: inbox → journal → stepper
// → effects. It never blocks, starts no goroutine and takes time as an argument.
// A driver turns it: package node with sockets, disks and goroutines, the
// simulator with virtual ones, a test by hand.
//
//	Offer (any goroutine)            Poll (the driver's one goroutine)
//	  frame ──▶ journal claim ──▶ next frame ─ stamp ─ step ──▶ outputs
//	                                                 held until durable
//	Synced, CeilingSynced ◀── the driver, after what outputs asked of the disk
package loop

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/faultpoint"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// Bounds that hold where Config names no other.
const (
	// DefaultBatch bounds the events of one Poll, so that a driver can look after
	// its other work.
	DefaultBatch = 256
	// DefaultMaxHeld bounds the outputs that wait for the disk; at the bound no
	// event is stepped until some are released, and the backlog pushes back.
	DefaultMaxHeld = 1 << 16
	// DefaultMaxHeldBytes bounds the payloads of the outputs that wait for the disk,
	// in the same way.
	DefaultMaxHeldBytes = 64 << 20
	// DefaultCheckpointEvery is the number of events between checkpoints.
	DefaultCheckpointEvery = 100_000
	// maxNotes bounds the notes that wait for room in the journal.
	maxNotes = 1024
)

// ceilingShare: the clock ceiling is raised to MaxDrift/ceilingShare ahead. It
// must stay well below MaxDrift, because a new boot stamps above it and its
// peers refuse what is MaxDrift ahead of them.
const (
	ceilingShare = 5
	aheadShare   = 4 // of that, where the clock is ahead of physical time
)

// Config says what a Loop runs. Journal, FS, Checkpoints and Registry are
// required.
type Config struct {
	Journal     *journal.Journal // opened; the loop is its consumer
	FS          vfs.FS           // of the checkpoints
	Checkpoints string           // their directory
	Registry    machine.Registry
	Versions    map[string]uint32 // run these instead of the latest
	Node        string
	Peers       []string          // the other nodes' names
	Settings    map[string]string // what machines see as Config
	Build, Arch string
	Seed        uint64        // of the node's Rand, used at its first start
	MaxDrift    time.Duration // 0 is hlc.DefaultMaxDrift
	Durability  journal.Durability

	Batch           int    // events per Poll; 0 is DefaultBatch
	MaxHeld         int    // 0 is DefaultMaxHeld
	MaxHeldBytes    int    // 0 is DefaultMaxHeldBytes
	CheckpointEvery uint64 // events between two, the first up to half of them earlier; 0 is DefaultCheckpointEvery
	// Again is the sequence number of an event that the journal's Skip names, to be
	// appended once more, behind the upgrades of this start: the way on when an
	// event stopped the node and a new version can handle it. 0 is none.
	Again   uint64
	Stepper stepper.Options
	// Ready is called once, in Open, with the state that recovery begins with and the
	// last stamp before it, zero for none; See then for every event in order, those
	// of recovery included, after it was stamped and, if it is one for the machines,
	// stepped. What it is given is borrowed until it returns. Both may be nil.
	Ready func(*stepper.Stepper, record.Stamp)
	See   func(*stepper.Followed, record.Stamp)
	// Faults are the points of a simulated run; nil in production.
	Faults *faultpoint.Set
}

func (c *Config) withDefaults() Config {
	d := *c
	if d.MaxDrift == 0 {
		d.MaxDrift = hlc.DefaultMaxDrift
	}
	if d.Batch == 0 {
		d.Batch = DefaultBatch
	}
	if d.MaxHeld == 0 {
		d.MaxHeld = DefaultMaxHeld
	}
	if d.MaxHeldBytes == 0 {
		d.MaxHeldBytes = DefaultMaxHeldBytes
	}
	if d.CheckpointEvery == 0 {
		d.CheckpointEvery = DefaultCheckpointEvery
	}
	d.Stepper.Node, d.Stepper.Registry, d.Stepper.Versions = d.Node, d.Registry, d.Versions
	return d
}

// A Loop is one node's event loop. Offer and Note may be called from any
// goroutine; all else from one at a time.
type Loop struct {
	cfg   Config
	j     *journal.Journal
	st    *stepper.Stepper
	clock *hlc.Clock
	boot  uint64
	err   error // once set, the loop is over

	seq     uint64        // of the last stamp
	last    record.Stamp  // the last one written in this boot
	durable uint64        // everything up to here survives power loss
	asked   uint64        // a sync covering this was asked for
	ceiling hlc.Timestamp // synced: nothing is stamped above it
	raising hlc.Timestamp // the ceiling asked for, if above ceiling

	blocked bool // a frame waits for the ceiling
	late    bool // the ceiling came, and was passed by time already

	held        []Output // wait for durable to reach their Seq, in order
	heldBytes   int      // of the payloads of held
	out         []Output // what Poll returns, reused
	beginning   beginning
	waitsFor    atomic.Pointer[error] // why Offer takes nothing yet; nil once the start's own events are in the journal
	jumping     bool                  // a jump of the clock is being refused, and was noted
	drifting    drifts                // peers whose messages are being refused for their clocks
	checkpoint  uint64
	stagger     uint64 // see staggerOf
	wantCheck   bool
	wantReopen  bool             // WantReopen was called, or a checkpoint is due that needs it
	reopening   bool             // a reopen event is in the journal and not handled yet
	reading     hlc.Reading      // that of the last Poll
	seen        stepper.Followed // what See is given, reused
	armed       map[timerName]armed
	armedNext   armed // the entry of the timer that is due next; zero if unknown
	recoveredAt uint64
	stats       Stats

	notesMu   sync.Mutex     // guards the three below
	notes     []record.Frame // wait for room in the journal
	lostNotes uint64
	saidLost  uint64 // of them, those that a note in the journal tells of
}

// Stats count what a Loop did since it was opened.
type Stats struct {
	Events       uint64 `json:"events"` // stepped
	Notes        uint64 `json:"notes"`
	Duplicates   uint64 `json:"duplicates"`   // messages that came before
	Stale        uint64 `json:"stale"`        // timers that were replaced or cancelled
	RefusedDrift uint64 `json:"refusedDrift"` // messages refused because of their timestamp
	Refused      uint64 `json:"refused"`      // messages and requests that no machine here takes
	Refusals     uint64 `json:"refusals"`     // messages and calls of this node that came back refused
	ClockJumps   uint64 `json:"clockJumps"`   // jumps of the own clock refused
	LostNotes    uint64 `json:"lostNotes"`    // notes that found no room
	Held         int    `json:"held"`         // outputs waiting for the disk now
	Replayed     uint64 `json:"replayed"`     // events replayed by recovery
	Checkpoints  uint64 `json:"checkpoints"`
}

// Offer appends a frame to the journal. It doesn't block; errors are the
// journal's (backlog, full disk, too large, closed), and the frame then wasn't
// taken. Until the journal had room for what this start adds, that is the error.
// Any goroutine may call it.
func (l *Loop) Offer(f *record.Frame) error {
	if err := l.waitsFor.Load(); err != nil {
		return *err
	}
	if l.j.Waiting() > 0 && l.cfg.Faults.Buggify(faultpoint.LoopBacklog) {
		return journal.ErrBacklog
	}
	return l.j.Append(f)
}

// Boot is the number of this start of the node, from 1.
func (l *Loop) Boot() uint64 { return l.boot }

// Seq is the sequence number of the last event.
func (l *Loop) Seq() uint64 { return l.seq }

// Now is the Timestamp of the last event.
func (l *Loop) Now() hlc.Timestamp { return l.clock.Last() }

// Durable is the sequence number up to which the driver reported a sync.
func (l *Loop) Durable() uint64 { return l.durable }

// Stats returns the counts so far.
func (l *Loop) Stats() Stats {
	s := l.stats
	s.Held = len(l.held)
	s.ClockJumps, _ = l.clock.Refused()
	l.notesMu.Lock()
	s.LostNotes = l.lostNotes
	l.notesMu.Unlock()
	s.Replayed = l.recoveredAt
	return s
}

// ClockJump is by how much the wall clock is being refused as too far ahead, 0
// if it isn't.
func (l *Loop) ClockJump() time.Duration { return l.clock.Jump() }

// Stepper gives read access to the machines' state between two Polls.
func (l *Loop) Stepper() *stepper.Stepper { return l.st }

// Poll stamps and steps what was appended, as far as the batch, the clock
// ceiling and the bound on held outputs let it, and returns the outputs that may
// be performed now. The slice is valid until the next Poll. After an error the
// loop is over: *stepper.PanicError and other errors of the stepper, or the
// journal's.
func (l *Loop) Poll(r hlc.Reading) ([]Output, error) {
	l.out = l.out[:0]
	if l.err != nil {
		return nil, l.err
	}
	l.reading = r
	l.watchClock(r)
	if l.cfg.Faults.Buggify(faultpoint.LoopEarlyCheckpoint) {
		l.WantCheckpoint()
	}
	if l.begin() {
		l.appendNotes()
		l.offerDueTimers(r)
		l.offerReopen()
	}
	batch := l.cfg.Batch
	if l.cfg.Faults.Buggify(faultpoint.LoopSmallBatch) {
		batch = 1
	}
	for n := 0; n < batch; n++ {
		more, err := l.pollOne(r)
		if err != nil {
			l.err = err
			break
		}
		if !more {
			break
		}
	}
	l.maybeCheckpoint()
	l.release()
	l.askForDisk(r)
	return l.out, l.err
}

// pollOne takes the next frame, or a due timer if there is none; more is false
// if nothing can be done now.
func (l *Loop) pollOne(r hlc.Reading) (more bool, err error) {
	if l.isFull() || l.cfg.Durability == journal.Each && l.durable < l.seq && l.seq > 0 {
		return false, nil
	}
	f, ok, err := l.j.Next()
	if err != nil {
		return false, err
	}
	if !ok || l.clockBlocked(r, &f) {
		return false, nil
	}
	l.leftover(&f)
	return true, l.take(r, &f)
}

// isFull reports whether so many outputs wait for the disk that no event is to be
// stepped until it has come nearer.
func (l *Loop) isFull() bool {
	return len(l.held) >= l.cfg.MaxHeld || l.heldBytes >= l.cfg.MaxHeldBytes ||
		len(l.held) > 0 && l.cfg.Faults.Buggify(faultpoint.LoopHeld)
}

// take stamps a frame and, if it is an event, steps it.
func (l *Loop) take(r hlc.Reading, f *record.Frame) error {
	s := record.Stamp{Seq: l.seq + 1, Chain: l.st.Chain(), Boot: l.boot}
	var drift error
	s.Time, s.Physical, drift = l.clock.Receive(r, f.Sent)
	switch {
	case drift == nil:
	case f.Kind == event.Note: // a fact stays one, whatever time it speaks of
		drift = nil
		s.Time, s.Physical = l.clock.Local(r)
	default:
		l.stats.RefusedDrift++
		s.Disposition = record.Drift
		s.Time, s.Physical = l.clock.Local(r)
	}
	reason, skip := l.j.Skip(s.Seq)
	if skip {
		s.Disposition = record.Skipped
		l.beginning.skip(f, s.Seq, reason)
	}
	ev := record.EventOf(f, s)
	if err := l.j.Stamp(s); err != nil {
		return err
	}
	l.seq, l.last = s.Seq, s
	if err := l.cfg.Faults.Hit(faultpoint.LoopStamped); err != nil {
		return err
	}
	l.watchPeer(&ev, drift)
	switch {
	case skip:
		l.dropped(&ev, "skipped: "+reason)
		l.see(&ev, nil, s)
		return nil
	case drift != nil:
		l.dropped(&ev, drift.Error())
		l.see(&ev, nil, s)
		return nil
	case f.Kind == event.Note:
		l.stats.Notes++
		l.see(&ev, nil, s)
		return nil
	}
	out, err := l.st.Step(ev, l.boot)
	if err != nil {
		return err
	}
	l.see(&ev, &out, s)
	if err := l.cfg.Faults.Hit(faultpoint.LoopStepped); err != nil {
		return err
	}
	l.stats.Events++
	l.arm(r, &ev, out.Effects)
	l.collect(&ev, &out)
	if ev.Kind == event.Control && ev.Name == event.ControlReopen {
		l.afterReopen()
	}
	return l.err
}

// see tells whoever wants to know of an event; out is nil for one that isn't
// stepped.
func (l *Loop) see(ev *event.Event, out *stepper.Outcome, s record.Stamp) {
	if l.cfg.See == nil {
		return
	}
	l.seen.Event, l.seen.Outcome, l.seen.Stepped = *ev, stepper.Outcome{}, out != nil
	if out != nil {
		l.seen.Outcome = *out
	}
	l.cfg.See(&l.seen, s)
	l.seen = stepper.Followed{} // it lies in the journal's mapping
}

// dropped tells of an event that is stamped and not handled.
func (l *Loop) dropped(ev *event.Event, reason string) {
	l.hold(Output{Kind: OutputLog, Seq: l.seq, Effect: logEffect("warn",
		"dropped %s %s %s from %s: %s", ev.Kind, ev.Name, ev.ID, ev.ID.Node, reason)})
	if ev.Kind == event.Request { // somebody waits for a word
		l.hold(Output{Kind: OutputRefusal, Seq: l.seq, Effect: event.Effect{ID: ev.ID, Sent: ev.Time}, Reason: reason})
	}
}

// clockBlocked reports whether the frame has to wait for a higher ceiling. If
// raising it takes longer than it lasts, it doesn't wait for ever: the clock then
// lags behind time, at the ceiling that there is.
func (l *Loop) clockBlocked(r hlc.Reading, f *record.Frame) bool {
	next, limited := l.clock.Preview(r, f.Sent)
	if next <= l.ceiling {
		l.blocked, l.late = false, false
		return false
	}
	l.raiseCeiling(r, next)
	if l.late && limited <= l.ceiling {
		return false
	}
	l.blocked = true
	return true
}

// raiseCeiling asks for a ceiling above from.
func (l *Loop) raiseCeiling(r hlc.Reading, from hlc.Timestamp) {
	if l.raising > l.ceiling {
		return // one at a time; what it lacks is asked for after it
	}
	l.raising = l.ceilingFor(r, from)
	l.out = append(l.out, Output{Kind: OutputCeiling, Time: l.raising})
}

// ceilingFor is the ceiling that leaves room above from: as physical time will
// need it, and less where the clock is ahead of that. Each start begins above the
// ceiling of the one before, and starts in quick succession must not take the
// clock away.
func (l *Loop) ceilingFor(r hlc.Reading, from hlc.Timestamp) hlc.Timestamp {
	lead := l.cfg.MaxDrift / ceilingShare
	return max(l.clock.Physical(r).Add(lead), from.Add(lead/aheadShare))
}

// CeilingSynced says that the journal's RaiseCeiling(ts) returned.
func (l *Loop) CeilingSynced(ts hlc.Timestamp) {
	l.ceiling = max(l.ceiling, ts)
	l.clock.SetLimit(l.ceiling)
	l.late = l.blocked
}

// Synced says that everything up to seq is durable.
func (l *Loop) Synced(seq uint64) { l.durable = max(l.durable, seq) }

// Fail ends the loop with an error of the driver's, such as a failed sync.
func (l *Loop) Fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// WantCheckpoint makes the next Poll take a checkpoint.
func (l *Loop) WantCheckpoint() { l.wantCheck = true }

// checkpointDue reports whether a checkpoint is to be taken.
func (l *Loop) checkpointDue() bool {
	l.wantCheck = l.wantCheck && l.seq != l.checkpoint
	every := l.cfg.CheckpointEvery
	return l.wantCheck || l.seq > l.checkpoint && (l.seq+l.stagger)/every != (l.checkpoint+l.stagger)/every
}

// staggerOf is by how many events a node's first checkpoint comes before its time,
// in [0, every/2]. It depends on the node's name, so that nodes with the same load
// don't take theirs at the same moment, nor reopen what they then have to.
func staggerOf(node string, every uint64) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(node) {
		h = (h ^ uint64(node[i])) * 1099511628211
	}
	return (h >> 32) % (every/2 + 1)
}

func (l *Loop) maybeCheckpoint() {
	if l.err != nil || !l.checkpointDue() {
		return
	}
	if l.st.Reopens() && !l.st.Reopened() {
		return // offerReopen sees to it
	}
	if l.err = l.cfg.Faults.Hit(faultpoint.LoopCheckpoint); l.err != nil {
		return
	}
	body, err := l.st.Checkpoint()
	if err != nil {
		l.err = fmt.Errorf("checkpoint at event %d: %w", l.seq, err)
		return
	}
	l.wantCheck = false
	l.checkpoint = l.seq
	l.stats.Checkpoints++
	l.hold(checkpointOutput(l.st, l.last, body))
}

// checkpointOutput is the state after the event stamped s.
func checkpointOutput(st *stepper.Stepper, s record.Stamp, body []byte) Output {
	o := Output{Kind: OutputCheckpoint, Seq: s.Seq, Time: s.Time, Physical: s.Physical,
		Chain: st.Chain(), Versions: map[string]uint32{}, Body: body}
	for _, m := range st.Machines() {
		o.Versions[m] = st.Version(m)
	}
	return o
}

// askForDisk asks for a sync if outputs wait for one, and for more ceiling
// before it is needed.
func (l *Loop) askForDisk(r hlc.Reading) {
	if len(l.held) > 0 && l.held[len(l.held)-1].Seq > l.asked {
		l.asked = l.seq
		l.out = append(l.out, Output{Kind: OutputSync, Seq: l.seq})
	} else if l.cfg.Durability == journal.Each && l.seq > l.asked {
		l.asked = l.seq
		l.out = append(l.out, Output{Kind: OutputSync, Seq: l.seq})
	}
	now := l.clock.Last()
	early := l.cfg.Faults.Buggify(faultpoint.LoopEarlyCeiling)
	busy := l.seq > 0 && l.clock.Physical(r) <= now.Add(l.cfg.MaxDrift/ceilingShare)
	if next := l.ceilingFor(r, now); busy && (early || now.Add(next.Sub(now)/2) > l.ceiling) {
		l.raiseCeiling(r, now)
	}
}
