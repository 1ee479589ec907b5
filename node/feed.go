package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/live"
	"hindcast.dev/replay"
	"hindcast.dev/stepper"
)

const (
	// promiseEvery is how long a node handles nothing until it promises the time, while
	// somebody follows it who doesn't say how long it may: one event of the journal each.
	// promiseMax is how long at most.
	promiseEvery = 25 * time.Millisecond
	promiseMax   = time.Second
	// blockBytes is the size at which a block is closed, in bytes; one is also closed
	// at every turn of the shadow.
	blockBytes = 64 << 10
	// ringBytes is how far an asker may be behind, in bytes of blocks.
	ringBytes = 16 << 20
)

// A teller is the NodeWriter of a shadow replica: it puts what the replica follows
// into blocks.
//
//	journal ─ shadow ─ replay.Live ─ teller ─┬─ ring of blocks ─┬─▶ asker
//	                                         │                  └─▶ asker
//	                        (an asker's own) └─ blocks ───────────▶ asker that is behind
type teller struct {
	live  *replay.Live
	st    *stepper.Stepper
	after uint64 // events up to this one aren't told

	names  []string
	ids    map[string]history.VarID
	own    *history.State // the variables of log node
	ownVar map[history.VarID]bool
	bulky  []live.Bulky
	seen   history.Position // of the last event that was stepped, or the base

	raw       []byte // of the events of the block that isn't closed
	first     uint64 // sequence number of the first of them, 0 if there is none
	last      uint64
	told      int // how many of names were told, and of bulky
	toldBulky int
	promise   hlc.Timestamp // of the last block
	closed    []chunk
}

func newTeller(n *Node, after uint64, lean bool) *teller {
	t := &teller{ids: map[string]history.VarID{}, own: history.NewState(), ownVar: map[history.VarID]bool{}, after: after}
	t.live = replay.NewLive(n.o.Name, t, n.j.Skip)
	if lean {
		t.live.Lean()
	}
	return t
}

// options are those of the shadow that t is the writer of.
func (t *teller) options(turn func() error) ShadowOptions {
	return ShadowOptions{OnChange: t.live, Turn: turn,
		Ready: func(st *stepper.Stepper, h checkpoint.Header) {
			t.st, t.seen = st, history.Position{Time: h.Time, Seq: h.Seq}
			t.live.Begin(st, h)
		},
		See: func(f *stepper.Followed, s record.Stamp) {
			t.live.See(f, s)
			t.seen = history.Position{Time: s.Time, Seq: s.Seq}
		}}
}

// Var implements history.NodeWriter.
func (t *teller) Var(name string) history.VarID {
	id, ok := t.ids[name]
	if !ok {
		id = history.VarID(len(t.names))
		t.ids[name], t.names = id, append(t.names, name)
		t.ownVar[id] = len(name) > 5 && name[:5] == "node."
	}
	return id
}

// Base implements history.NodeWriter.
func (t *teller) Base(_ uint64, _ hlc.Timestamp, vars []history.Change) error {
	t.keep(vars)
	return nil
}

// keep follows the variables of log node, which no machine holds.
func (t *teller) keep(cs []history.Change) {
	for i := range cs {
		if t.ownVar[cs[i].Var] {
			t.own.Apply(&cs[i])
		}
	}
}

// Append implements history.NodeWriter.
func (t *teller) Append(e *history.Event) error {
	t.keep(e.Changes)
	if e.Seq <= t.after {
		return nil
	}
	if t.first == 0 {
		t.first = e.Seq
	}
	t.last = e.Seq
	if t.raw = history.AppendEntry(t.raw, e); len(t.raw) >= blockBytes {
		t.close()
	}
	return nil
}

// Unknown implements history.NodeWriter.
func (t *teller) Unknown(history.Span, string) error { return nil }

// Bulky implements history.NodeWriter.
func (t *teller) Bulky(v history.VarID, from hlc.Timestamp) error {
	if !slices.ContainsFunc(t.bulky, func(b live.Bulky) bool { return b.Var == v }) {
		t.bulky = append(t.bulky, live.Bulky{Var: v, From: from})
	}
	return nil
}

// Close implements history.NodeWriter.
func (t *teller) Close() error { return nil }

// close closes the block, if there is anything to tell.
func (t *teller) close() {
	promise := t.live.Promised()
	if len(t.raw) == 0 && promise <= t.promise && len(t.names) == t.told && len(t.bulky) == t.toldBulky {
		return
	}
	c := chunk{first: t.first, last: t.last, names: t.told, bulky: t.toldBulky}
	c.frame = live.AppendBlock(nil, &live.Names{From: t.told, Names: t.names[t.told:]}, t.bulky[t.toldBulky:], promise, t.raw)
	t.raw, t.first, t.last, t.promise = t.raw[:0], 0, 0, promise
	t.told, t.toldBulky = len(t.names), len(t.bulky)
	t.closed = append(t.closed, c)
}

// blocks are what there is to tell.
func (t *teller) blocks() []chunk {
	t.close()
	out := t.closed
	t.closed = nil
	return out
}

// A basis is all of a node's variables at a moment, and what their numbers are.
type basis struct {
	at      history.Position
	names   []string
	bulky   []live.Bulky
	changes []history.Change
	next    uint64 // the chunk of the ring that follows
}

// basis is what there is after the last event that was stepped.
func (t *teller) basis() *basis {
	b := &basis{at: t.seen}
	t.st.Variables(func(variable string, v event.Value) {
		if !v.IsAbsent() {
			b.changes = append(b.changes, history.Change{Var: t.Var(variable), Value: v})
		}
	})
	for _, id := range t.own.Vars() {
		b.changes = append(b.changes, history.Change{Var: id, Value: t.own.Get(id)})
	}
	b.names, b.bulky = slices.Clip(t.names), slices.Clip(t.bulky)
	return b
}

// A chunk is a block as a frame.
type chunk struct {
	frame       []byte
	first, last uint64 // sequence numbers of its events; 0 if it has none
	names       int    // how many names were told before it, and bulky variables
	bulky       int
}

// A feed is a shadow replica that all askers share who want the same: it runs while
// there are any.
type feed struct {
	n    *Node
	lean bool // events are told without what they carry

	mu     sync.Mutex
	askers []time.Duration // how long each can wait for a promise
	closed bool
	run    *feedRun
	runs   sync.WaitGroup
}

// A feedRun is one life of the shadow.
type feedRun struct {
	cancel context.CancelFunc
	more   broadcast // there is a chunk, an answer or an end

	mu     sync.Mutex
	start  uint64  // the ring has events after this one; valid once ready
	ready  bool    // the shadow has reached what was there when it began
	chunks []chunk // the ring
	base   uint64  // number of chunks[0]
	bytes  int
	names  []string // told so far
	bulky  []live.Bulky
	joins  []chan *basis
	end    *live.End
}

// attach joins the run, which it starts if need be, for an asker who can wait so long
// for a promise; nil if there can be none because the node stops, or has askers enough.
func (f *feed) attach(patience time.Duration) (run *feedRun, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, ErrStopping
	case int(f.n.followers.Add(1)) > f.n.o.Limits.Followers:
		f.n.followers.Add(-1)
		return nil, errFollowers
	}
	f.askers = append(f.askers, patience)
	if f.run == nil {
		ctx, cancel := context.WithCancel(context.Background())
		f.run = &feedRun{cancel: cancel}
		run := f.run
		f.runs.Go(func() { f.follow(ctx, run) })
	}
	return f.run, nil
}

// detach leaves; the last one ends the run.
func (f *feed) detach(patience time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n.followers.Add(-1)
	i := slices.Index(f.askers, patience)
	if f.askers = slices.Delete(f.askers, i, i+1); len(f.askers) == 0 && f.run != nil {
		f.run.cancel()
		f.run = nil
	}
}

// patience is how long all askers can wait for a promise.
func (f *feed) patience() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.askers) == 0 {
		return promiseMax
	}
	return slices.Min(f.askers)
}

// stop ends the feed, after the loop.
func (f *feed) stop() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.runs.Wait()
}

// follow is the goroutine of a run.
func (f *feed) follow(ctx context.Context, r *feedRun) {
	start := f.n.j.Stamped()
	t := newTeller(f.n, start, f.lean)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f.runs.Go(func() { f.promise(ctx) })
	err := f.n.Shadow(ctx, t.options(func() error { return r.turn(t, start) }))
	end := &live.End{Code: live.EndStopping, Reason: "the node stops"}
	if err != nil {
		end = &live.End{Code: live.EndFailed, Reason: err.Error()}
	}
	r.mu.Lock()
	r.end = end
	r.mu.Unlock()
	r.more.notify()
	f.mu.Lock()
	if f.run == r {
		f.run = nil
	}
	f.mu.Unlock()
}

// turn puts what there is into the ring, and answers who wants to join.
func (r *feedRun) turn(t *teller, start uint64) error {
	if err := t.live.Err(); err != nil {
		return err
	}
	if t.seen.Seq < start {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := !r.ready || len(r.joins) > 0
	if !r.ready {
		r.ready, r.start = true, start
	}
	var b *basis
	if len(r.joins) > 0 {
		b = t.basis() // before the block, which tells all of any name that is new in it
	}
	for _, c := range t.blocks() {
		r.add(c)
		changed = true
	}
	for _, j := range r.joins {
		b.next = r.base + uint64(len(r.chunks))
		j <- b
	}
	r.joins = nil
	r.names, r.bulky = slices.Clip(t.names), slices.Clip(t.bulky)
	if changed {
		r.more.notify()
	}
	return nil
}

// add puts a chunk into the ring, whose oldest give way.
func (r *feedRun) add(c chunk) {
	r.chunks = append(r.chunks, c)
	r.bytes += len(c.frame)
	for r.bytes > ringBytes && len(r.chunks) > 1 {
		r.bytes -= len(r.chunks[0].frame)
		r.start = max(r.start, r.chunks[0].last)
		r.chunks[0] = chunk{}
		r.chunks = r.chunks[1:]
		r.base++
	}
}

// promise has an idle node stamp an event from time to time, so that those who
// follow it learn that nothing happened.
func (f *feed) promise(ctx context.Context) {
	tick := time.NewTicker(promiseEvery)
	defer tick.Stop()
	last, idle := f.n.j.Stamped(), time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := f.n.j.Stamped()
		if idle += promiseEvery; now != last {
			idle = 0
		} else if idle >= f.patience() {
			idle = 0
			// A full disk or a journal without room: the next time.
			_ = f.n.loop.Offer(&record.Frame{Kind: event.Control, Name: event.ControlPromise, Sent: f.n.reading().Wall})
		}
		last = now
	}
}

// join returns the node's variables as they are, and where the ring goes on.
func (r *feedRun) join(ctx context.Context, alive func() error) (*basis, error) {
	answer := make(chan *basis, 1)
	r.mu.Lock()
	r.joins = append(r.joins, answer)
	r.mu.Unlock()
	var b *basis
	err := r.wait(ctx, alive, func() bool {
		select {
		case b = <-answer:
			return true
		default:
			return false
		}
	})
	return b, err
}

// known returns the names of the variables that the node has.
func (r *feedRun) known(ctx context.Context, alive func() error) (names []string, err error) {
	err = r.wait(ctx, alive, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		names = r.names
		return r.ready
	})
	return names, err
}

// wait waits until ok, and calls alive from time to time.
func (r *feedRun) wait(ctx context.Context, alive func() error, ok func() bool) error {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		more := r.more.wait()
		r.mu.Lock()
		end := r.end
		r.mu.Unlock()
		switch {
		case ok():
			return nil
		case end != nil:
			return &endError{*end}
		}
		select {
		case <-more:
		case <-tick.C:
			if err := alive(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// covers returns the chunk that an asker goes on with who has all up to seq, with
// the names that it has to know before.
func (r *feedRun) covers(seq uint64) (next uint64, names []string, bulky []live.Bulky, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ready || seq < r.start || r.end != nil {
		return 0, nil, nil, false
	}
	i := slices.IndexFunc(r.chunks, func(c chunk) bool { return c.last > seq })
	if i < 0 {
		return r.base + uint64(len(r.chunks)), r.names, r.bulky, true
	}
	c := &r.chunks[i]
	return r.base + uint64(i), r.names[:c.names], r.bulky[:c.bulky], true
}

// next waits for the chunk with a number. An *endError says why there is none.
func (r *feedRun) next(ctx context.Context, number uint64) ([]byte, error) {
	for {
		more := r.more.wait()
		r.mu.Lock()
		var frame []byte
		end := r.end
		switch {
		case number < r.base:
			end = &live.End{Code: live.EndSlow, Reason: "the asker was too slow"}
		case number < r.base+uint64(len(r.chunks)):
			frame, end = r.chunks[number-r.base].frame, nil
		}
		r.mu.Unlock()
		switch {
		case frame != nil:
			return frame, nil
		case end != nil:
			return nil, &endError{*end}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
