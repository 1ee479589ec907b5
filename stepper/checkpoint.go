package stepper

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
)

// checkpointFormat is the version of the body; it is told apart from damage.
const checkpointFormat = 1

// A body is a checkpoint as it is encoded: canonical CBOR, lists sorted, so that
// the same state gives the same bytes.
type body struct {
	Format   uint32            `cbor:"format"`
	Node     string            `cbor:"node"`
	Seq      uint64            `cbor:"seq"`
	Time     hlc.Timestamp     `cbor:"time"`
	Chain    uint64            `cbor:"chain"`
	Start    event.StartInfo   `cbor:"start"`
	Rand     *machine.Rand     `cbor:"rand"`
	Machines []machineState    `cbor:"machines"` // by name
	Timers   []timerState      `cbor:"timers"`   // by due time
	Senders  []senderState     `cbor:"senders"`  // by machine and node
	Skips    map[uint64]string `cbor:"skips"`
}

type machineState struct {
	Name    string `cbor:"name"`
	Version uint32 `cbor:"version"`
	Coded   bool   `cbor:"coded"` // State is in the machine's own encoding
	State   []byte `cbor:"state"`
	Digest  uint64 `cbor:"digest"` // of all exported state
}

type timerState struct {
	Machine string          `cbor:"machine"`
	Timer   string          `cbor:"timer"`
	ID      event.MessageID `cbor:"id"`
	At      hlc.Timestamp   `cbor:"at"`
	Sent    hlc.Timestamp   `cbor:"sent"`
	Name    string          `cbor:"name"`
	Version uint32          `cbor:"version"`
	Baggage []byte          `cbor:"baggage"`
	Payload []byte          `cbor:"payload"`
}

type senderState struct {
	Machine string          `cbor:"machine"`
	Last    event.MessageID `cbor:"last"`
}

// Checkpoint returns the whole sequential state after the last event: machines,
// timers, random state, duplicate suppression, versions and configuration. A
// *ReopenError says that there is none of this event.
func (s *Stepper) Checkpoint() ([]byte, error) {
	if s.failed != nil {
		return nil, s.failed
	}
	if name := s.reopening(); name != "" && !s.reopened {
		return nil, &ReopenError{Machine: name, Seq: s.seq}
	}
	b := body{Format: checkpointFormat, Node: s.opts.Node, Seq: s.seq, Time: s.time, Chain: uint64(s.chain),
		Start: s.start, Rand: s.rand, Skips: s.skips}
	for _, name := range s.Machines() {
		st, err := s.machines[name].encode()
		if err != nil {
			return nil, fmt.Errorf("checkpoint of machine %s: %w", name, err)
		}
		b.Machines = append(b.Machines, st)
	}
	for _, e := range s.timers.all() {
		b.Timers = append(b.Timers, timerState{Machine: e.Machine, Timer: e.Timer, ID: e.ID, At: e.At, Sent: e.Sent,
			Name: e.Name, Version: e.Version, Baggage: e.Baggage, Payload: e.Payload})
	}
	for k, last := range s.senders {
		b.Senders = append(b.Senders, senderState{Machine: k.machine, Last: *last})
	}
	slices.SortFunc(b.Senders, compareSenders)
	return state.Marshal(b)
}

func compareSenders(a, b senderState) int {
	return cmp.Or(cmp.Compare(a.Machine, b.Machine), cmp.Compare(a.Last.Node, b.Last.Node))
}

func (in *instance) encode() (machineState, error) {
	if in.m == nil {
		return machineState{}, fmt.Errorf("its state of version %d waits for an upgrade", in.version)
	}
	_, coded := in.m.(machine.Coded)
	raw, err := state.EncodeState(in.m)
	return machineState{Name: in.name, Version: in.version, Coded: coded, State: raw,
		Digest: uint64(in.plan.FullDigest(in.m))}, err
}

// Digests returns the digest of the full state of each machine, whatever is
// plain in it, by name.
func (s *Stepper) Digests() map[string]uint64 {
	out := map[string]uint64{}
	for name, in := range s.machines {
		if in.m != nil {
			out[name] = uint64(in.plan.FullDigest(in.m))
		}
	}
	return out
}

// DiffersFrom compares the state with a checkpoint's of the same event: it
// returns the machines whose full states differ, sorted. It is how a divergence
// inside a plain map or slice is found, which the chain covers by length only.
func (s *Stepper) DiffersFrom(checkpoint []byte) (machines []string, err error) {
	var c body
	if err := decodeBody(checkpoint, &c); err != nil {
		return nil, err
	}
	if c.Node != s.opts.Node || c.Seq != s.seq {
		return nil, fmt.Errorf("stepper: a checkpoint of node %s at event %d can't be compared with node %s at event %d",
			c.Node, c.Seq, s.opts.Node, s.seq)
	}
	recorded := map[string]uint64{}
	for _, m := range c.Machines {
		recorded[m.Name] = m.Digest
	}
	now := s.Digests()
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if d, ok := recorded[name]; !ok || d != now[name] {
			machines = append(machines, name)
		}
		delete(recorded, name)
	}
	machines = append(machines, slices.Collect(maps.Keys(recorded))...)
	slices.Sort(machines)
	return machines, nil
}

// Restore returns a stepper that goes on where the one that made the checkpoint
// was. A machine comes back at the version it had; Upgrades then says what is
// due. A version that this build lacks is kept as it is until its upgrade event,
// which takes it over field by field.
//
// Errors: *RollbackError for a machine that ran at a higher version than Options
// would run, *VersionError for code that is missing, *FormatError for a body of
// another format, *CorruptError for one that isn't what Checkpoint wrote.
func Restore(o Options, b []byte) (*Stepper, error) {
	s, err := New(o)
	if err != nil {
		return nil, err
	}
	var c body
	if err := decodeBody(b, &c); err != nil {
		return nil, err
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.Node != s.opts.Node {
		return nil, &CorruptError{What: fmt.Sprintf("it is node %q's, this is node %q", c.Node, s.opts.Node)}
	}
	s.seq, s.time, s.chain, s.start, s.rand = c.Seq, c.Time, state.Hash(c.Chain), c.Start, c.Rand
	for _, st := range c.Machines {
		if err := s.restoreMachine(st); err != nil {
			return nil, err
		}
	}
	for _, t := range c.Timers {
		if canaryForgetsTimers {
			break
		}
		s.timers.set(&event.Effect{Kind: event.EffectSetTimer, Machine: t.Machine, Timer: t.Timer, ID: t.ID, At: t.At,
			Sent: t.Sent, Name: t.Name, Version: t.Version, Baggage: t.Baggage, Payload: t.Payload})
	}
	for _, sd := range c.Senders {
		s.senders[sender{sd.Last.Node, sd.Machine}] = &sd.Last
	}
	maps.Copy(s.skips, c.Skips)
	s.reopened = true
	return s, nil
}

func decodeBody(b []byte, c *body) error {
	var head struct {
		Format uint32 `cbor:"format"`
	}
	if err := state.UnmarshalLarge(b, &head); err != nil {
		return &CorruptError{What: "body", Err: err}
	}
	if head.Format != checkpointFormat {
		return &FormatError{Has: head.Format, Known: checkpointFormat}
	}
	if err := state.UnmarshalLarge(b, c); err != nil {
		return &CorruptError{What: "body", Err: err}
	}
	return nil
}

// validate is the invariant of a body: sorted, nothing twice, nothing that
// belongs to a machine that isn't there.
func (c *body) validate() error {
	bad := func(what string, args ...any) error { return &CorruptError{What: fmt.Sprintf(what, args...)} }
	names := map[string]bool{}
	for i, m := range c.Machines {
		if m.Name == "" || m.Version == 0 || i > 0 && c.Machines[i-1].Name >= m.Name {
			return bad("machine %q of version %d is out of order", m.Name, m.Version)
		}
		names[m.Name] = true
	}
	if len(names) > 0 && c.Rand == nil {
		return bad("machines without random state")
	}
	ids, timerNames := map[event.MessageID]bool{}, map[timerName]bool{}
	for _, t := range c.Timers {
		key := timerName{t.Machine, t.Timer}
		if !names[t.Machine] || timerNames[key] || ids[t.ID] {
			return bad("timer %q of machine %q stands twice, or its machine is missing", t.Timer, t.Machine)
		}
		ids[t.ID], timerNames[key] = true, true
	}
	for i, sd := range c.Senders {
		if !names[sd.Machine] || sd.Last.Node == "" || i > 0 && compareSenders(c.Senders[i-1], sd) >= 0 {
			return bad("sender %q to machine %q is out of order, or its machine is missing", sd.Last.Node, sd.Machine)
		}
	}
	return nil
}

func (s *Stepper) restoreMachine(st machineState) error {
	wanted := s.opts.wanted(st.Name)
	if wanted == 0 {
		return &VersionError{Machine: st.Name, Want: st.Version}
	}
	if st.Version > wanted {
		return &RollbackError{Machine: st.Name, Has: st.Version, Want: wanted}
	}
	p := s.programs[st.Name][st.Version]
	if p == nil {
		s.add(&instance{program: &program{}, name: st.Name, version: st.Version, raw: st.State, coded: st.Coded})
		return nil
	}
	m, err := decodeMachine(p, st)
	if err != nil {
		return &CorruptError{What: "state of machine " + st.Name, Err: err}
	}
	if got := uint64(p.plan.FullDigest(m)); got != st.Digest {
		return &CorruptError{What: fmt.Sprintf("state of machine %s version %d", st.Name, st.Version),
			Err: fmt.Errorf("it decodes to something else than was encoded (digest %016x, was %016x): its type changed without a new version, its own encoding loses exported fields, or its Reopen changes them", got, st.Digest)}
	}
	in := s.install(st.Name, st.Version, p, m)
	if s.opts.OnChange != nil {
		in.tracker.Skip()
	} else {
		in.tracker.Settle()
	}
	return nil
}

// decodeMachine also guards against a machine's own decoder, or Reopen, that
// panics.
func decodeMachine(p *program, st machineState) (m machine.Machine, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("its decoder or Reopen panicked: %v", r)
		}
	}()
	m = p.construct()
	if _, coded := m.(machine.Coded); coded != st.Coded {
		return nil, errors.New("it is in another encoding than this version's")
	}
	if err := p.plan.DecodeState(m, st.State); err != nil {
		return nil, err
	}
	if r, reopens := m.(machine.Reopening); reopens {
		r.Reopen()
	}
	return m, nil
}
