package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/recording"
	"hindcast.dev/stepper"
)

// A player replays one node.
type player struct {
	ctx context.Context
	o   Options
	j   Journal
	w   history.NodeWriter
	res Result
	// blind says that w takes nothing: only digests are compared.
	blind bool

	rd    *journal.Reader
	f     *stepper.Follower
	skips map[uint64]string
	total uint64 // sequence number of the last event, 0 if unknown

	vars    map[string]history.VarID
	changes []history.Change // of the event that is being stepped
	bulky   []string         // variables that became bulky in it
	seen    [2]seen          // payloads: the event's own, and the last effect's
	// pending is the last event, not written yet: the next one tells whether its
	// effects were the recorded ones, and whether the node died after it.
	pending history.Event
	held    bool // pending is set
	node    nodeState
	// underWay is what a snapshot's base says of messages; absent in others.
	underWay event.Value

	last        history.Position // of the last event or base; its Node isn't set
	unknownFrom hlc.Timestamp    // what follows is unknown from here on, until a base; 0 if it isn't
	reason      string           // why
}

// progressEvery is how many events lie between two reports, contextEvery between
// two looks at the context.
const (
	progressEvery = 4096
	contextEvery  = 256
)

func (p *player) run() error {
	for _, g := range p.j.Gaps {
		if g.Span != (history.Span{}) {
			if err := p.w.Unknown(g.Span, g.Reason); err != nil {
				return err
			}
		}
	}
	if p.j.snapshot != nil {
		if err := p.snapshot(p.j.snapshot); err != nil {
			return err
		}
		return p.finish()
	}
	if e, err := recording.JournalExtent(p.j.FS, p.j.Dir); err == nil {
		p.total = e.Last.Seq
	}
	defer p.close()
	if err := p.open(); err != nil {
		return err
	}
	if p.f != nil {
		if err := p.play(); err != nil {
			return err
		}
	}
	return p.finish()
}

func (p *player) close() {
	if p.rd != nil {
		p.rd.Close() // it was only read from
	}
}

// open finds where to begin; without a place p.f stays nil, and all is unknown.
func (p *player) open() error {
	amendments, err := journal.Amendments(p.j.FS, p.j.Dir)
	if err != nil {
		return p.nothing(err)
	}
	p.skips = map[uint64]string{}
	for _, a := range amendments {
		p.skips[a.Seq] = a.Reason
	}
	if err := p.seek(0); err != nil {
		return p.behind(err)
	}
	first, err := p.rd.Next()
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return p.behind(err)
	}
	seq := first.Stamp.Seq
	if err := p.seek(seq); err != nil {
		return p.behind(err)
	}
	if seq == 1 {
		st, err := stepper.New(p.o.stepperOptions(p.j.Node, p))
		if err != nil {
			return fmt.Errorf("replay of node %s: %w", p.j.Node, err)
		}
		p.f = stepper.NewFollower(st)
		return nil
	}
	found, err := p.restore(seq - 1)
	if err != nil || found {
		return err
	}
	return p.nothing(fmt.Errorf("its journal begins with event %d and there is no checkpoint from which it goes on: copy the node's checkpoints too, or keep more of the journal", seq))
}

// nothing says why the node can't be replayed at all.
func (p *player) nothing(err error) error {
	p.problem(0, err)
	p.unknownFrom, p.reason = 1, err.Error()
	return nil
}

// behind begins with the first checkpoint behind a damaged beginning, if there is
// one.
func (p *player) behind(damage error) error {
	if err := p.nothing(damage); err != nil {
		return err
	}
	_, err := p.restore(1)
	return err
}

// seek moves before the event seq, 0 for the first.
func (p *player) seek(seq uint64) (err error) {
	if p.rd != nil {
		return p.rd.SeekSeq(seq)
	}
	p.rd, err = journal.OpenReader(p.j.FS, p.j.Dir, seq)
	return err
}

// problem records a problem; the same damage once, though each checkpoint before
// it meets it anew.
func (p *player) problem(seq uint64, err error) {
	var damage *journal.FileError
	if n := len(p.res.Problems); n > 0 && errors.As(err, &damage) && p.res.Problems[n-1].Err.Error() == err.Error() {
		return
	}
	p.res.Problems = append(p.res.Problems, Problem{Node: p.j.Node, Seq: seq, Err: err})
}

// restore goes on with the earliest sound checkpoint at or above a sequence
// number from which the journal goes on; found is false if there is none.
func (p *player) restore(seqMin uint64) (found bool, err error) {
	if p.j.Checkpoints == "" {
		return false, nil
	}
	seqs, err := checkpoint.List(p.j.FS, p.j.Checkpoints)
	if err != nil {
		p.problem(0, err)
		return false, nil
	}
	for _, seq := range seqs {
		if seq < seqMin || p.total != 0 && seq > p.total {
			continue
		}
		h, body, err := checkpoint.Read(p.j.FS, path.Join(p.j.Checkpoints, checkpoint.Name(seq)))
		if err == nil && (h.Node != p.j.Node || h.Seq != seq) {
			err = fmt.Errorf("checkpoint %s is of event %d of node %q: it doesn't belong here", checkpoint.Name(seq), h.Seq, h.Node)
		}
		if err == nil {
			err = p.seek(seq + 1)
		}
		if err != nil {
			p.problem(seq, err)
			continue
		}
		st, err := stepper.Restore(p.o.stepperOptions(p.j.Node, p), body)
		if err != nil {
			if wrongCode(err) {
				return false, fmt.Errorf("replay of node %s from its checkpoint at event %d: %w", p.j.Node, seq, err)
			}
			p.problem(seq, err)
			continue
		}
		return true, p.begin(stepper.NewFollower(st), h)
	}
	return false, nil
}

// begin writes the base that a checkpoint is.
func (p *player) begin(f *stepper.Follower, h checkpoint.Header) error {
	if err := p.flush(); err != nil {
		return err
	}
	p.f = f
	if p.res.Base == 0 && p.res.Events == 0 {
		p.res.Base = h.Seq
	}
	var vars []history.Change
	f.Stepper().Variables(func(variable string, v event.Value) {
		if !v.IsAbsent() {
			vars = append(vars, history.Change{Var: p.varID(variable), Value: v})
		}
	})
	p.bulky = f.Stepper().Bulky()
	if err := p.noteBulky(h.Time); err != nil {
		return err
	}
	vars = append(vars, p.node.base(p, h)...)
	if !p.underWay.IsAbsent() {
		vars = append(vars, history.Change{Var: p.varID(varInFlight), Value: p.underWay})
	}
	if p.unknownFrom != 0 {
		if p.unknownFrom < h.Time {
			if err := p.w.Unknown(history.Span{From: p.unknownFrom, To: h.Time}, p.reason); err != nil {
				return err
			}
		}
		p.unknownFrom = 0
	}
	p.last = history.Position{Time: h.Time, Seq: h.Seq}
	return p.w.Base(h.Seq, h.Time, vars)
}

// play steps what the journal holds.
func (p *player) play() error {
	for n := uint64(1); ; n++ {
		if n%contextEvery == 0 {
			if err := p.ctx.Err(); err != nil {
				return err
			}
		}
		e, err := p.rd.Next()
		if err == io.EOF {
			if p.o.Last != nil {
				p.o.Last(p.j.Node, p.f.Stepper())
			}
			return nil
		}
		var seq uint64
		if err == nil {
			seq = e.Stamp.Seq
			err = p.one(&e)
		} else {
			seq = p.last.Seq + 1
			err = &readError{err}
		}
		if err == nil {
			continue
		}
		if goesOn, err := p.recover(seq, &e, err); err != nil || !goesOn {
			return err
		}
	}
}

// A readError is the journal's; other errors of play are the stepper's or the
// writer's.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// A writeError is the History's.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// one steps one entry and holds the event that comes of it.
func (p *player) one(e *journal.Entry) error {
	reason, skip := p.skips[e.Stamp.Seq]
	if skip {
		e.Stamp.Disposition = record.Skipped
	}
	p.changes, p.bulky = p.changes[:0], p.bulky[:0]
	out, err := p.f.Follow(&e.Frame, e.Stamp)
	if err != nil {
		return err
	}
	p.node.boots(p, e.Stamp.Boot)
	if err := p.flush(); err != nil {
		return &writeError{err}
	}
	if err := p.noteBulky(e.Stamp.Time); err != nil {
		return &writeError{err}
	}
	p.convert(e, &out, reason)
	if p.o.onEvent != nil {
		p.o.onEvent()
	}
	return nil
}

// recover decides what becomes of an error at the event seq: goesOn is true if
// replay goes on from a checkpoint behind it.
func (p *player) recover(seq uint64, e *journal.Entry, err error) (goesOn bool, fatal error) {
	var write *writeError
	var diverged *stepper.DivergenceError
	var died *stepper.PanicError
	var limit *stepper.LimitError
	switch {
	case errors.As(err, &write):
		return false, fmt.Errorf("replay of node %s: %w", p.j.Node, write.err)
	case errors.As(err, &diverged):
		// The event that differs is the one before; it is kept as it came out.
		p.unknown(p.last.Time, err)
		p.problem(diverged.Seq, err)
	case errors.As(err, &died), errors.As(err, &limit):
		if err2 := p.fatal(e, err); err2 != nil {
			return false, err2
		}
		p.unknown(e.Stamp.Time+1, err)
		p.problem(seq, err)
		seq++
	case isRead(err):
		p.unknown(p.last.Time+1, err)
		p.problem(seq, errors.Unwrap(err))
	case wrongCode(err):
		p.unknown(e.Stamp.Time, err)
		p.problem(seq, err)
	default:
		return false, fmt.Errorf("replay of node %s at event %d: %w", p.j.Node, seq, err)
	}
	goesOn, fatal = p.restore(seq)
	if fatal == nil && !goesOn && wrongCode(err) {
		fatal = fmt.Errorf("replay of node %s at event %d: %w", p.j.Node, seq, err)
	}
	return goesOn, fatal
}

func isRead(err error) bool {
	var read *readError
	return errors.As(err, &read)
}

// wrongCode reports whether the error says that the machines' code isn't that of
// the journal.
func wrongCode(err error) bool {
	var version *stepper.VersionError
	var rollback *stepper.RollbackError
	var upgrade *stepper.UpgradeError
	return errors.As(err, &version) || errors.As(err, &rollback) || errors.As(err, &upgrade)
}

// unknown says that nothing is known from t on, until a base.
func (p *player) unknown(t hlc.Timestamp, err error) {
	if p.unknownFrom == 0 {
		p.unknownFrom, p.reason = max(t, 1), err.Error()
	}
}

// flush writes the pending event.
func (p *player) flush() error {
	if !p.held {
		return nil
	}
	p.held = false
	if err := p.w.Append(&p.pending); err != nil {
		return err
	}
	if p.res.First == 0 {
		p.res.First = p.pending.Seq
	}
	p.res.Last = p.pending.Seq
	p.res.Events++
	if p.o.Progress != nil && p.res.Events%progressEvery == 0 {
		p.o.Progress(Progress{Node: p.j.Node, Done: p.pending.Seq, Total: max(p.total, p.pending.Seq)})
	}
	return nil
}

// finish writes what is left.
func (p *player) finish() error {
	if err := p.flush(); err != nil {
		return fmt.Errorf("replay of node %s: %w", p.j.Node, err)
	}
	for _, g := range p.j.Gaps {
		if g.Span == (history.Span{}) {
			p.unknown(p.last.Time+1, errors.New(g.Reason))
		}
	}
	if p.unknownFrom != 0 {
		if err := p.w.Unknown(untilEnd(p.unknownFrom), p.reason); err != nil {
			return err
		}
	}
	if p.o.Progress != nil {
		p.o.Progress(Progress{Node: p.j.Node, Done: p.res.Last, Total: max(p.total, p.res.Last)})
	}
	return nil
}

func (p *player) varID(name string) history.VarID {
	id, ok := p.vars[name]
	if !ok {
		id = p.w.Var(name)
		p.vars[name] = id
	}
	return id
}

// Change implements stepper.Changes.
func (p *player) Change(variable string, path []event.Value, v event.Value) {
	p.changes = append(p.changes, history.Change{Var: p.varID(variable), Path: path, Value: v})
}

// Bulky implements stepper.Changes.
func (p *player) Bulky(variable string) { p.bulky = append(p.bulky, variable) }

// noteBulky writes which variables' contents are left out from t on.
func (p *player) noteBulky(t hlc.Timestamp) error {
	for _, variable := range p.bulky {
		if err := p.w.Bulky(p.varID(variable), t); err != nil {
			return err
		}
	}
	p.bulky = p.bulky[:0]
	return nil
}
