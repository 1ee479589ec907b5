package node

import (
	"slices"
	"sort"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine/state"
	"hindcast.dev/recording"
	"hindcast.dev/stepper"
)

// flightsMax bounds the messages that are kept as perhaps under way.
const flightsMax = 1 << 20

// flights follow a node's messages, event by event: which it sent that may not
// have arrived, and which arrived here but are in no table of an ordered machine.
type flights struct {
	node   string
	sent   []*flight // by id, ascending: in the order of sending
	others []arrived
	since  hlc.Timestamp // what was sent up to here isn't in sent
}

// A flight is a message that was sent.
type flight struct {
	send event.Effect
	lost hlc.Timestamp // when it became known that it is lost, 0 if it didn't
}

type arrived struct {
	id event.MessageID
	at hlc.Timestamp
}

// take follows one event; st has stepped it.
func (f *flights) take(e *stepper.Followed, st *stepper.Stepper) {
	ev := &e.Event
	switch {
	case ev.Kind == event.Note && ev.Name == event.NoteDrop:
		f.drop(ev)
	case ev.Kind == event.Message && (!e.Stepped || e.Outcome.Refused != "" || !st.Orders(ev.Machine)):
		f.others = append(f.others, arrived{ev.ID, ev.Time})
	}
	for i := range e.Outcome.Effects {
		if s := &e.Outcome.Effects[i]; s.Kind == event.EffectSend {
			f.sent = append(f.sent, &flight{send: *s})
		}
	}
}

// drop takes in that a message is lost.
func (f *flights) drop(ev *event.Event) {
	var info event.NoteInfo
	if state.Unmarshal(ev.Payload, &info) != nil {
		return
	}
	id, err := event.ParseMessageID(info.Message)
	switch {
	case err != nil:
		return
	case id.Node != f.node: // it had come here
		f.others = append(f.others, arrived{id, ev.Time})
		return
	}
	i := sort.Search(len(f.sent), func(i int) bool { return !f.sent[i].send.ID.Less(id) })
	if i < len(f.sent) && f.sent[i].send.ID == id && f.sent[i].lost == 0 {
		f.sent[i].lost = ev.Time
	}
}

// prune forgets what was sent, or arrived, before t.
func (f *flights) prune(t hlc.Timestamp) {
	n := max(0, len(f.sent)-flightsMax)
	for n < len(f.sent) && f.sent[n].send.Sent < t {
		n++
	}
	if n > 0 {
		f.since = max(f.since, f.sent[n-1].send.Sent)
		f.sent = f.sent[n:]
	}
	n = max(0, len(f.others)-flightsMax)
	for n < len(f.others) && f.others[n].at < t {
		n++
	}
	f.others = f.others[n:]
}

// landed forgets what isn't under way at a cut any more.
func (f *flights) landed(cut hlc.Timestamp, at map[string]*landing) {
	f.sent = slices.DeleteFunc(slices.Clone(f.sent), func(s *flight) bool {
		return s.send.Sent <= cut && at[s.send.Node] != nil && !at[s.send.Node].underWay(&s.send)
	})
}

// arrivals are what the node has taken in.
func (f *flights) arrivals(st *stepper.Stepper) recording.Arrivals {
	var a recording.Arrivals
	for _, m := range st.Machines() {
		if st.Orders(m) {
			a.Ordered = append(a.Ordered, m)
		}
	}
	st.Senders(func(machine string, last event.MessageID) {
		a.Last = append(a.Last, recording.Arrival{Machine: machine, ID: last.String()})
	})
	for _, o := range f.others {
		a.Others = append(a.Others, o.id.String())
	}
	return a
}

// A landing is what another node has taken in, as a sender asks for it.
type landing struct {
	ordered map[string]bool
	last    map[string]event.MessageID // by machine: the last of this node's
	others  map[event.MessageID]bool
}

// landingOf picks out what concerns the messages of one node.
func landingOf(a *recording.Arrivals, node string) (*landing, error) {
	l := &landing{ordered: map[string]bool{}, last: map[string]event.MessageID{}, others: map[event.MessageID]bool{}}
	for _, m := range a.Ordered {
		l.ordered[m] = true
	}
	for _, in := range a.Last {
		id, err := event.ParseMessageID(in.ID)
		if err != nil {
			return nil, err
		}
		if id.Node == node {
			l.last[in.Machine] = id
		}
	}
	for _, text := range a.Others {
		id, err := event.ParseMessageID(text)
		if err != nil {
			return nil, err
		}
		if id.Node == node {
			l.others[id] = true
		}
	}
	return l, nil
}

// underWay reports whether a message hasn't arrived and still may.
func (l *landing) underWay(s *event.Effect) bool {
	if l.others[s.ID] {
		return false
	}
	last, ok := l.last[s.To]
	if !ok || !l.ordered[s.To] {
		return true
	}
	return last.Boot < s.ID.Boot || last.Boot == s.ID.Boot && last.Less(s.ID)
}

// underWay lists those of sent that are under way at a cut to the nodes of at.
func underWay(sent []*flight, cut hlc.Timestamp, at map[string]*landing) []recording.Flight {
	out := []recording.Flight{}
	for _, s := range sent {
		l := at[s.send.Node]
		if l == nil || s.send.Sent > cut || s.lost != 0 && s.lost <= cut || !l.underWay(&s.send) {
			continue
		}
		out = append(out, recording.FlightOf(&s.send))
	}
	return out
}
