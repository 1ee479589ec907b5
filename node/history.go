package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/live"
	"hindcast.dev/stepper"
)

const (
	// aliveEvery is how often an asker hears something before its history begins.
	aliveEvery = time.Second
	// followWrite is how long an asker may take to read a frame.
	followWrite = 10 * time.Second
	// baseBytes is about how large a part of a base is, in bytes.
	baseBytes = 1 << 20
)

// errFollowers: Limits.Followers ask for the history already.
var errFollowers = &adminError{http.StatusServiceUnavailable, "as many follow this node's history as may", "end one of them, or raise Limits.Followers"}

// An endError ends a stream by a frame that says why.
type endError struct{ end live.End }

func (e *endError) Error() string { return e.end.Reason }

// A follower is one asker of GET /v1/history.
type follower struct {
	n *Node
	// patience is how long it can wait for a promise.
	patience time.Duration

	w    http.ResponseWriter
	rc   *http.ResponseController
	feed *feed
	run  *feedRun
	from uint64 // events up to this one it has, or doesn't want
	// resumed: it has what was before; else it is sent a base.
	resumed bool
	now     bool // it begins where the node is
	begun   bool // the header is written
}

// serveHistory answers GET /v1/history:
//
//	                   a base of now, then the ring
//	from=TIME          a base of the last event up to then, and what came after it
//	after=SEQ&at=TIME  what came after that event, which had that Timestamp
//
// and with lean=true all that without what the events carry, with promise=DURATION
// promises of an idle node that are so far apart, or closer if others want that.
func (n *Node) serveHistory(w http.ResponseWriter, r *http.Request) {
	f := &follower{n: n, patience: promiseEvery, w: w, rc: http.NewResponseController(w), feed: n.feed}
	log := n.logs.in(AreaHTTP)
	err := f.parse(r)
	if err == nil {
		f.run, err = f.feed.attach(f.patience)
	}
	if err != nil {
		n.answerAdmin(w, r, nil, err)
		return
	}
	defer f.feed.detach(f.patience)
	// It lasts; the server's bounds on a request's time are for others.
	if err := f.rc.SetReadDeadline(time.Time{}); err != nil {
		log.Debug("read deadline", "err", err)
	}
	err = f.serve(r.Context())
	var end *endError
	switch {
	case !f.begun:
		n.answerAdmin(w, r, nil, err)
	case errors.As(err, &end):
		log.Info("the history of this node ends for an asker", "reason", end.end.Reason)
		_ = f.write(end.end.Append(nil)) // who is gone misses nothing
	default:
		log.Debug("who followed the history is gone", "err", err)
	}
}

// parse reads what is asked for.
func (f *follower) parse(r *http.Request) error {
	q := r.URL.Query()
	for k := range q {
		if k != "from" && k != "after" && k != "at" && k != "lean" && k != "promise" {
			return usage(fmt.Errorf("parameter %q: want from=TIME, or after=SEQ&at=TIME, or none, and lean=true, promise=DURATION or not", k))
		}
	}
	if text := q.Get("lean"); text != "" {
		lean, err := strconv.ParseBool(text)
		if err != nil {
			return usage(fmt.Errorf("lean=%s: want true or false", text))
		}
		if lean {
			f.feed = f.n.leanFeed
		}
	}
	if text := q.Get("promise"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < promiseEvery || d > promiseMax {
			return usage(fmt.Errorf("promise=%s: want a time from %v to %v", text, promiseEvery, promiseMax))
		}
		f.patience = d
	}
	from, after, at := q.Get("from"), q.Get("after"), q.Get("at")
	switch {
	case from != "" && after != "" || (after == "") != (at == ""):
		return usage(errors.New("want from=TIME, or after=SEQ&at=TIME, or none"))
	case after != "":
		return f.parseAfter(after, at)
	case from != "":
		t, err := hlc.Parse(from)
		if err != nil {
			return usage(fmt.Errorf("from: %w", err))
		}
		return f.find(t)
	}
	f.now = true
	return nil
}

func (f *follower) parseAfter(after, at string) error {
	seq, err := strconv.ParseUint(after, 10, 64)
	if err != nil {
		return usage(fmt.Errorf("after=%s: want a sequence number", after))
	}
	t, err := hlc.Parse(at)
	if err != nil {
		return usage(fmt.Errorf("at: %w", err))
	}
	f.from, f.resumed = seq, true
	if seq == 0 {
		return nil
	}
	rd, err := f.n.j.NewReader(seq)
	if err != nil {
		return gone(err)
	}
	defer rd.Close()
	e, err := rd.Next()
	if err != nil && !errors.Is(err, io.EOF) {
		return gone(err)
	}
	if err != nil || e.Stamp.Seq != seq || e.Stamp.Time != t {
		return &adminError{http.StatusConflict, fmt.Sprintf("event %d of this node isn't that of %v", seq, t), "the node lost its end: begin anew, with from"}
	}
	return nil
}

// gone tells an error of a reader that comes too late.
func gone(err error) error {
	var retained *journal.RetainedError
	if errors.As(err, &retained) {
		return &adminError{http.StatusGone, err.Error(), "ask from a later time"}
	}
	return err
}

// find finds the last event up to a time.
func (f *follower) find(t hlc.Timestamp) error {
	rd, err := f.n.j.NewReader(0)
	if err != nil {
		return err
	}
	defer rd.Close()
	if err := rd.SeekTime(t + 1); err != nil {
		return err
	}
	e, err := rd.Next()
	if errors.Is(err, io.EOF) {
		f.now = true
		return nil
	}
	if err != nil {
		return err
	}
	if f.from = e.Stamp.Seq - 1; f.from == 0 {
		return nil
	}
	if err := rd.SeekSeq(f.from); err != nil {
		return &adminError{http.StatusGone, fmt.Sprintf("the journal of this node reaches back to %v only", e.Stamp.Time), "ask from a later time"}
	}
	return nil
}

// serve sends what was asked for, until the asker is gone or there is no more.
func (f *follower) serve(ctx context.Context) error {
	if f.now {
		if err := f.begin(); err != nil {
			return err
		}
		b, err := f.run.join(ctx, f.alive)
		if err != nil {
			return err
		}
		if err := f.writeBasis(b); err != nil {
			return err
		}
		return f.follow(ctx, b.next)
	}
	if f.resumed {
		if next, names, bulky, ok := f.run.covers(f.from); ok {
			return f.change(ctx, next, names, bulky)
		}
	}
	return f.catchUp(ctx)
}

// begin writes the head of the answer and the hello.
func (f *follower) begin() error {
	f.begun = true
	f.w.Header().Set("Content-Type", live.ContentType)
	f.w.Header().Set("X-Content-Type-Options", "nosniff")
	f.w.WriteHeader(http.StatusOK)
	h := live.Hello{Version: live.Version, Node: f.n.o.Name, Service: f.n.o.Service, Build: f.n.o.Build, Boot: f.n.boot, Resumed: f.resumed}
	return f.write(h.Append(nil))
}

// alive tells an asker who waits that the node lives.
func (f *follower) alive() error { return f.write((&live.Block{}).Append(nil)) }

// write sends a frame.
func (f *follower) write(frame []byte) error {
	if len(frame) > live.FrameMax {
		return &endError{live.End{Code: live.EndFailed, Reason: fmt.Sprintf("an event with what came of it has %d bytes: at most %d are told", len(frame), live.FrameMax)}}
	}
	if err := f.rc.SetWriteDeadline(time.Now().Add(followWrite)); err != nil {
		return err
	}
	if _, err := f.w.Write(frame); err != nil {
		return err
	}
	return f.rc.Flush()
}

// writeBasis sends a base, in parts: of a large map, entry by entry.
func (f *follower) writeBasis(b *basis) error {
	part := live.Base{Names: live.Names{Names: b.names}, Bulky: b.bulky, Seq: b.at.Seq, Time: b.at.Time}
	size := 0
	add := func(c history.Change) error {
		part.Changes = append(part.Changes, c)
		if size += 64 + weigh(c.Value, baseBytes); size < baseBytes {
			return nil
		}
		err := f.write(part.Append(nil))
		part.Names, part.Bulky, part.Changes, size = live.Names{From: len(b.names)}, nil, nil, 0
		return err
	}
	for _, c := range b.changes {
		if c.Value.Type() != event.TypeMap || weigh(c.Value, baseBytes) < baseBytes {
			if err := add(c); err != nil {
				return err
			}
			continue
		}
		if err := add(history.Change{Var: c.Var, Value: event.MapOf(nil)}); err != nil {
			return err
		}
		for k, v := range c.Value.AsMap().All() {
			if err := add(history.Change{Var: c.Var, Path: []event.Value{k}, Value: v}); err != nil {
				return err
			}
		}
	}
	part.Last = true
	return f.write(part.Append(nil))
}

// weigh is about how many bytes a value takes; it stops counting at enough.
func weigh(v event.Value, enough int) int {
	size := 16
	if v.Type() == event.TypeString {
		return size + v.Len()
	}
	for _, m := range v.Members() {
		if size += weigh(m, enough); size >= enough {
			return size
		}
	}
	for k, m := range v.AsMap().All() {
		if size += weigh(k, enough) + weigh(m, enough); size >= enough {
			return size
		}
	}
	return size
}

// follow sends the ring from a chunk on.
func (f *follower) follow(ctx context.Context, next uint64) error {
	for {
		frame, err := f.run.next(ctx, next)
		if err != nil {
			return err
		}
		if err := f.write(frame); err != nil {
			return err
		}
		next++
	}
}

// change goes on with the ring, whose numbers of variables are its own.
func (f *follower) change(ctx context.Context, next uint64, names []string, bulky []live.Bulky) error {
	if !f.begun {
		if err := f.begin(); err != nil {
			return err
		}
	}
	if err := f.write((&live.Block{Names: live.Names{Names: names}, Bulky: bulky}).Append(nil)); err != nil {
		return err
	}
	return f.follow(ctx, next)
}

// errChange ends an asker's own shadow: the ring has what follows.
var errChange = errors.New("the ring goes on")

// catchUp follows the journal by a shadow of the asker's own, until it has what the
// ring begins with.
func (f *follower) catchUp(ctx context.Context) error {
	if err := f.reachable(); err != nil {
		return err
	}
	if err := f.begin(); err != nil {
		return err
	}
	names, err := f.run.known(ctx, f.alive)
	if err != nil {
		return err
	}
	c := &catcher{f: f, t: newTeller(f.n, f.from, f.feed.lean), sentBase: f.resumed, spoke: time.Now()}
	for _, name := range names { // what comes later is known from the beginning
		c.t.Var(name)
	}
	o := c.t.options(c.turn)
	ready, see := o.Ready, o.See
	o.Bounded, o.Until = true, f.from
	o.Ready = func(st *stepper.Stepper, h checkpoint.Header) { ready(st, h); c.maybeBase() }
	o.See = func(fo *stepper.Followed, s record.Stamp) { see(fo, s); c.maybeBase() }
	err = f.n.Shadow(ctx, o)
	switch {
	case errors.Is(err, errChange):
		return f.change(ctx, c.next, c.names, c.bulky)
	case err != nil:
		return &endError{live.End{Code: live.EndFailed, Reason: err.Error()}}
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &endError{live.End{Code: live.EndStopping, Reason: "the node stops"}}
}

// reachable reports whether there is a checkpoint, or the beginning, from which the
// journal leads to where the asker begins.
func (f *follower) reachable() error {
	rd, err := f.n.j.NewReader(1)
	if err == nil {
		return rd.Close()
	}
	seqs, err2 := checkpoint.List(f.n.o.FS, f.n.dirs.checkpoints)
	if err2 == nil && len(seqs) > 0 && seqs[0] <= f.from {
		return nil
	}
	return gone(err)
}

// A catcher is the turn of an asker's own shadow.
type catcher struct {
	f        *follower
	t        *teller
	sentBase bool
	spoke    time.Time // when the asker last heard something
	err      error

	next  uint64 // where the ring goes on
	names []string
	bulky []live.Bulky
}

// maybeBase sends the base when the shadow is where the asker begins.
func (c *catcher) maybeBase() {
	if c.sentBase || c.err != nil || c.t.seen.Seq != c.f.from {
		return
	}
	c.sentBase = true
	b := c.t.basis()
	c.t.told, c.t.toldBulky = len(b.names), len(b.bulky)
	c.err = c.f.writeBasis(b)
}

func (c *catcher) turn() error {
	if err := cmp.Or(c.err, c.t.live.Err()); err != nil {
		return err
	}
	if !c.sentBase || c.t.seen.Seq < c.f.from {
		if time.Since(c.spoke) < aliveEvery {
			return nil
		}
		c.spoke = time.Now()
		return c.f.alive()
	}
	for _, b := range c.t.blocks() {
		if err := c.f.write(b.frame); err != nil {
			return err
		}
		c.f.from = max(c.f.from, b.last)
	}
	var ok bool
	if c.next, c.names, c.bulky, ok = c.f.run.covers(c.f.from); ok {
		return errChange
	}
	return nil
}
