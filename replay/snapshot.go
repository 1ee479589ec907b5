package replay

import (
	"fmt"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/recording"
	"hindcast.dev/stepper"
)

// NoteSnapshot is the name of the one event, a note, that a node has in the
// History of a snapshot. It comes just after the cut and changes nothing: a
// History without events has no cut to ask about.
const NoteSnapshot = "snapshot"

// varInFlight is the variable of a snapshot's base that log net has of every
// other History.
const varInFlight = "net.inflight"

// A snapshot is what a Journal has that is a node's part of a snapshot.
type snapshot struct {
	time    hlc.Timestamp // of the cut
	past    *recording.Past
	flights []recording.Flight
	err     error // why there is no past, or no flights
}

// snapshotOf looks at a node's part of a snapshot.
func snapshotOf(rec *recording.Recording, n *recording.Node) *snapshot {
	m := rec.Manifest()
	if n.Cut == nil || m.Snapshot == nil {
		return nil
	}
	s := &snapshot{time: m.Snapshot.Time}
	s.past, s.err = rec.Past(n.Name)
	if s.err == nil {
		s.flights, s.err = rec.InFlight(n.Name)
	}
	return s
}

// snapshot writes the state at the cut as the node's base, and an event behind it.
func (p *player) snapshot(s *snapshot) error {
	if s.err != nil {
		return p.nothing(s.err)
	}
	cut := s.past.Node.Cut
	if cut.Seq == 0 {
		return nil // it hadn't begun
	}
	f, err := p.stepTo(s)
	if err != nil {
		if wrongCode(err) {
			return fmt.Errorf("replay of node %s up to the snapshot: %w", p.j.Node, err)
		}
		return p.nothing(err)
	}
	// All bases are of the cut's time: between two of them nothing is unknown.
	at := max(s.time, cut.Time)
	h := checkpoint.Header{Node: p.j.Node, Boot: cut.Boot, Seq: cut.Seq, Time: at, Physical: cut.Physical, Chain: cut.Chain}
	p.underWay = p.inFlight(f.Stepper(), s.flights)
	if err := p.begin(f, h); err != nil {
		return err
	}
	p.pending = history.Event{Position: history.Position{Time: at + 1, Seq: cut.Seq + 1},
		Kind: event.Note.String(), Name: NoteSnapshot}
	p.held, p.last = true, p.pending.Position
	if p.o.Last != nil {
		p.o.Last(p.j.Node, f.Stepper())
	}
	return nil
}

// stepTo steps a node from its checkpoint, or its start, to the cut.
func (p *player) stepTo(s *snapshot) (*stepper.Follower, error) {
	o := p.o.stepperOptions(p.j.Node, p)
	o.OnChange = nil // nothing follows the base: all that is there is shown
	h, body, err := s.past.Begin()
	if err != nil {
		return nil, err
	}
	var st *stepper.Stepper
	if body == nil {
		st, err = stepper.New(o)
	} else {
		st, err = stepper.Restore(o, body)
	}
	if err != nil {
		return nil, err
	}
	p.res.Base = h.Seq
	f := stepper.NewFollower(st)
	cut := s.past.Node.Cut
	n := 0
	err = s.past.Each(h.Seq, func(e *journal.Entry) error {
		if n++; n%contextEvery == 0 && p.ctx.Err() != nil {
			return p.ctx.Err()
		}
		if n%progressEvery == 0 && p.o.Progress != nil {
			p.o.Progress(Progress{Node: p.j.Node, Done: e.Stamp.Seq, Total: cut.Seq})
		}
		_, err := f.Follow(&e.Frame, e.Stamp)
		return err
	})
	if err == nil && st.Chain() != cut.Chain {
		err = &stepper.DivergenceError{Node: p.j.Node, Seq: cut.Seq, Recorded: cut.Chain, Now: st.Chain()}
	}
	return f, err
}

// inFlight is what log net says of the messages under way: by node, a list.
func (p *player) inFlight(st *stepper.Stepper, flights []recording.Flight) event.Value {
	lists := map[string][]event.Value{}
	for i := range flights {
		f := &flights[i]
		data := st.EffectData(event.Effect{Kind: event.EffectSend, Machine: f.From, Name: f.Name, Version: f.Version, Payload: f.Payload})
		if data.IsAbsent() {
			data = event.Null()
		}
		lists[f.To] = append(lists[f.To], event.MapOf(event.NewMap(
			event.Entry{Key: event.String("id"), Value: event.String(f.ID)},
			event.Entry{Key: event.String("name"), Value: event.String(f.Name)},
			event.Entry{Key: event.String("data"), Value: data})))
	}
	var m *event.Map
	for to, list := range lists {
		m = m.With(event.String(to), event.List(list...))
	}
	return event.MapOf(m)
}
