package stepper

import (
	"bytes"
	"fmt"

	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
)

// A run is the handling of one event: the machine.Host of the machines that it
// reaches. It is used again for the next event.
type run struct {
	s       *Stepper
	ev      event.Event // the causing event
	boot    uint64
	out     Outcome
	count   uint32     // effects so far, internal ones included
	effects state.Hash // of all of them
	queue   []event.Effect
	baggage []byte // the event's, owned; nil until an effect needs it
	ctx     machine.Context
	current *instance // whose Step runs; nil between Steps
}

func (r *run) begin(ev *event.Event, boot uint64) {
	clear(r.queue)
	clear(r.out.Effects)
	effects := r.out.Effects[:0]
	if cap(effects) > effectsKept {
		effects = nil
	}
	r.ev, r.boot, r.queue, r.out = *ev, boot, r.queue[:0], Outcome{Effects: effects}
	r.count, r.effects, r.baggage, r.current = 0, 0, nil, nil
}

// effectsKept is for how many effects room is kept from one event to the next.
const effectsKept = 256

// outcome is what enters the chain besides effects and state.
func (r *run) outcome() uint64 {
	switch {
	case r.out.Duplicate:
		return 1
	case r.out.Stale:
		return 2
	}
	return 0
}

// step lets a machine handle an event. A panic becomes an error.
func (r *run) step(in *instance, ev *event.Event) (err error) {
	if in.m == nil {
		return &VersionError{Machine: in.name, Want: in.version, Have: r.s.versions(in.name)}
	}
	r.ctx.Host, r.ctx.Machine, r.ctx.Time, r.ctx.Random = r, in.name, ev.Time, r.s.rand
	r.ctx.Start = r.s.start
	r.ctx.Start.Version = in.version
	r.current, in.stepped = in, true
	defer func() {
		r.current = nil
		if p := recover(); p != nil {
			err = r.s.panicError(in.name, p)
		}
	}()
	in.m.Step(&r.ctx, *ev)
	return nil
}

// panicError is to be called by the deferred function that recovered p.
func (s *Stepper) panicError(name string, p any) error {
	if e, ok := p.(*LimitError); ok {
		return e
	}
	e := &PanicError{Machine: name, Seq: s.seq, Value: p}
	if s.opts.Stack != nil {
		e.Stack = s.opts.Stack()
	}
	return e
}

// Encode is the machine.Host's.
func (r *run) Encode(body any) (name string, version uint32, payload []byte) {
	r.mustRun()
	name, version, payload, err := r.current.codec.Encode(body)
	if err != nil {
		panic(fmt.Sprintf("machine %s: %v", r.current.name, err))
	}
	return name, version, payload
}

// Effect is the machine.Host's.
func (r *run) Effect(e event.Effect) event.MessageID {
	r.mustRun()
	if int(r.count) >= r.s.opts.MaxEffects {
		panic(&LimitError{What: "effects", Max: r.s.opts.MaxEffects, Seq: r.s.seq,
			Hint: "let the machine do its work in several events, by a timer, or raise the bound"})
	}
	id := event.MessageID{Node: r.s.opts.Node, Boot: r.boot, Seq: r.s.seq, Effect: r.count}
	r.count++
	e.Machine, e.Sent = r.current.name, r.s.time
	if e.Kind != event.EffectReply {
		e.ID = id
	}
	if e.Kind != event.EffectLog && len(r.ev.Baggage) > 0 {
		if r.baggage == nil {
			r.baggage = bytes.Clone(r.ev.Baggage)
		}
		e.Baggage = r.baggage
	}
	r.effects = hashEffect(r.effects, &e)
	r.take(&e)
	return id
}

func (r *run) mustRun() {
	if r.current == nil {
		panic("stepper: a machine.Context was used outside of its Step")
	}
}

// take puts an effect where it belongs.
func (r *run) take(e *event.Effect) {
	switch e.Kind {
	case event.EffectSend:
		if e.Node == r.s.opts.Node {
			r.queue = append(r.queue, *e)
			return
		}
	case event.EffectSetTimer:
		if !r.s.timers.set(e) && r.s.timers.len() > r.s.opts.MaxTimers {
			panic(&LimitError{What: "pending timers", Max: r.s.opts.MaxTimers, Seq: r.s.seq,
				Hint: "use one timer for many things, or raise the bound"})
		}
	case event.EffectCancelTimer:
		r.s.timers.cancel(e.Machine, e.Timer)
	}
	r.out.Effects = append(r.out.Effects, *e)
}

func hashEffect(h state.Hash, e *event.Effect) state.Hash {
	h = h.Word(uint64(e.Kind)).Text(e.Machine).Text(e.ID.Node).Word(e.ID.Boot).Word(e.ID.Seq).Word(uint64(e.ID.Effect))
	h = h.Text(e.Node).Text(e.To).Text(e.Name).Word(uint64(e.Version)).Text(e.Timer).Word(uint64(e.At))
	if e.More {
		h = h.Word(1)
	}
	return h.Bytes(e.Payload)
}

// drain handles the messages between machines of this node, first in first out,
// until there are no more.
func (r *run) drain() error {
	for i := 0; i < len(r.queue); i++ {
		if i >= r.s.opts.MaxInternal {
			return &LimitError{What: "messages between machines of one node", Max: r.s.opts.MaxInternal, Seq: r.s.seq,
				Hint: "two machines answer each other without end, or the bound is to be raised"}
		}
		if err := r.deliverInternal(r.queue[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) deliverInternal(e event.Effect) error {
	ev := event.Event{Seq: r.ev.Seq, Time: r.ev.Time, Kind: event.Message, Machine: e.To, Name: e.Name,
		Version: e.Version, ID: e.ID, From: e.Machine, Sent: e.Sent, Baggage: e.Baggage, Payload: e.Payload}
	in, reason := r.s.receiver(e.To)
	var body any
	if reason == "" {
		var err error
		if body, err = in.codec.Decode(ev.Name, ev.Version, ev.Payload); err != nil {
			reason = err.Error()
		}
	}
	r.out.Internal = append(r.out.Internal, Internal{Send: e, Event: ev, Refused: reason})
	if reason == "" {
		ev.Body = body // the machine's: the outcome doesn't share it
		return r.step(in, &ev)
	}
	r.effects = r.effects.Text(reason)
	back := event.Event{Seq: ev.Seq, Time: ev.Time, Kind: event.Refused, Machine: e.Machine, Name: e.Name,
		Version: e.Version, ID: e.ID, From: e.To, Sent: e.Sent, Baggage: e.Baggage, Payload: []byte(reason)}
	return r.step(r.s.machines[e.Machine], &back)
}

// receiver returns the machine that is to get an event, or why there is none.
func (s *Stepper) receiver(name string) (in *instance, reason string) {
	if in = s.machines[name]; in == nil {
		return nil, fmt.Sprintf("node %s runs no machine %q", s.opts.Node, name)
	}
	return in, ""
}

// deliver hands an event from outside to the machine it names.
func (s *Stepper) deliver(ev *event.Event) error {
	in, reason := s.receiver(ev.Machine)
	if reason == "" && in.m == nil {
		return s.run.step(in, ev) // says which version is missing
	}
	if reason == "" {
		reason = s.admit(in, ev)
	}
	if s.run.out.Duplicate || s.run.out.Stale {
		return nil
	}
	if reason == "" {
		body, err := in.codec.Decode(ev.Name, ev.Version, ev.Payload)
		// Only a Message or a Request has a sender that can be told. An adapter may
		// answer in its own words, and a timer may have been set by a version that
		// had other types: the machine gets their bytes.
		if err != nil && (ev.Kind == event.Message || ev.Kind == event.Request) {
			reason = err.Error()
		}
		if ev.Kind != event.Refused {
			ev.Body = body
		}
	}
	if reason != "" {
		s.run.out.Refused = reason
		return nil
	}
	return s.run.step(in, ev)
}

// admit sorts out duplicates and stale timers, and returns why an event can't be
// taken, "" if it can.
func (s *Stepper) admit(in *instance, ev *event.Event) (reason string) {
	switch {
	case ev.Kind == event.Timer:
		s.run.out.Stale = !s.timers.fire(ev.Machine, ev.From, ev.ID)
	case ev.Kind == event.Message && in.delivery == machine.Ordered && ev.ID.Node != "":
		key := sender{ev.ID.Node, ev.Machine}
		last := s.senders[key]
		if last != nil && !canaryTakesDuplicates && (ev.ID.Boot < last.Boot || ev.ID.Boot == last.Boot && !last.Less(ev.ID)) {
			s.run.out.Duplicate = true
			return ""
		}
		if last == nil && len(s.senders) >= s.opts.MaxSenders {
			return fmt.Sprintf("node %s remembers %d senders and takes messages from no other", s.opts.Node, s.opts.MaxSenders)
		}
		if last == nil {
			last = new(event.MessageID)
			s.senders[key] = last
		}
		*last = ev.ID
	}
	return ""
}
