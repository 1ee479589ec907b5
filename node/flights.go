package node

import (
	"fmt"
	"slices"
	"sort"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/recording"
)

// sends is what a node had sent when a window was looked at. It doesn't change.
type sends struct {
	node   string
	chunks []chunkOf
	first  uint32
	to     map[destination]sentTo
	losses []loss
	since  hlc.Timestamp
	all    bool // nothing of before since can be found out
}

// from is from when on all that was sent is known, 0 if from the beginning.
func (s *sends) from() hlc.Timestamp {
	t := s.since
	for _, to := range s.to {
		t = max(t, to.gone.time)
	}
	return t
}

// underWay lists the messages under way at a cut to the nodes of at, in order of
// their ids. exact is false if others may have been, which aren't known any more.
func (s *sends) underWay(cut hlc.Timestamp, at map[string]*landing) (out []recording.Flight, exact bool, err error) {
	out = []recording.Flight{}
	early := cut.Add(-recording.FlightWindow)
	exact = len(at) == 0 || s.all || s.since <= early
	var found []foundAt
	for to, sent := range s.to {
		l := at[to.node]
		if l == nil {
			continue
		}
		if sent.gone.time >= early && !l.passed(to.machine, sent.gone.numbered) {
			exact = false
		}
		i := sort.Search(len(sent.queue), func(i int) bool { return sent.queue[i].time >= early && !l.passed(to.machine, sent.queue[i].numbered) })
		for ; i < len(sent.queue) && sent.queue[i].time <= cut; i++ {
			if !l.others[sent.queue[i].numbered] {
				found = append(found, foundAt{sent.queue[i], to.node})
			}
		}
	}
	found = s.notLost(found, cut)
	slices.SortFunc(found, func(a, b foundAt) int { return a.compare(b.numbered) })
	for _, f := range found {
		fl, err := s.flight(&f)
		if err != nil {
			return nil, false, err
		}
		out = append(out, fl)
	}
	return out, exact, nil
}

// A foundAt is a message that hasn't arrived.
type foundAt struct {
	sentAt
	node string // that it is for
}

// notLost leaves out what was known to be lost by the cut.
func (s *sends) notLost(found []foundAt, cut hlc.Timestamp) []foundAt {
	if len(found) == 0 {
		return found
	}
	lost := map[numbered]bool{}
	for _, l := range s.losses {
		if l.at > cut {
			break
		}
		lost[l.id] = true
	}
	return slices.DeleteFunc(found, func(f foundAt) bool { return lost[f.numbered] })
}

// flight decodes a message.
func (s *sends) flight(at *foundAt) (recording.Flight, error) {
	f, _, err := record.DecodeWire(s.chunks[at.chunk-s.first].b[at.off:])
	if err != nil {
		return recording.Flight{}, fmt.Errorf("message %s/%d/%d/%d in the log of messages: %w", s.node, at.boot, at.seq, at.effect, err)
	}
	return recording.FlightOf(at.node, &f), nil
}

// A landing is what another node has taken in, as a sender asks for it.
type landing struct {
	ordered map[string]bool
	last    map[string]numbered // by machine: the last of this node's
	others  map[numbered]bool
}

// landingOf picks out what concerns the messages of one node.
func landingOf(a *recording.Arrivals, node string) (*landing, error) {
	l := &landing{ordered: map[string]bool{}, last: map[string]numbered{}, others: map[numbered]bool{}}
	for _, m := range a.Ordered {
		l.ordered[m] = true
	}
	for _, in := range a.Last {
		id, err := event.ParseMessageID(in.ID)
		if err != nil {
			return nil, err
		}
		if id.Node == node {
			l.last[in.Machine] = numberOf(id)
		}
	}
	for _, text := range a.Others {
		id, err := event.ParseMessageID(text)
		if err != nil {
			return nil, err
		}
		if id.Node == node {
			l.others[numberOf(id)] = true
		}
	}
	return l, nil
}

// passed reports whether an ordered machine won't take a message any more, because
// it has taken that or a later one.
func (l *landing) passed(machine string, id numbered) bool {
	last, ok := l.last[machine]
	return ok && l.ordered[machine] && id.compare(last) <= 0
}
