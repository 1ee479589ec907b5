package causal

import "iter"

// Nowhere is the node of a Message that isn't known.
const Nowhere = -1

// A Message names a message, timer or call, as one of its ends tells it.
type Message struct {
	Kind string // what it is received as: "recv", "timer" or "result"
	ID   string // never ""
	From int    // the node that sent it, Nowhere if that isn't known
	To   int    // the node that it goes to, Nowhere if that isn't known, or no node of this system
	Name string // what the sender calls where it goes to, if To is Nowhere
}

// A Flight is what Links know of a message that one node sent to another.
type Flight[T any] struct {
	Message
	Value T // the user's; zero when it is first sent
	// Awaited says that it was sent, and since then neither received nor lost.
	Awaited bool
	// Received says that it was received at least once: also before it was sent, by
	// clocks that disagree.
	Received bool

	sent  uint64     // counted over all sends, of the last; 0: it wasn't sent yet
	turn  uint64     // when it was done with last, counted over all
	other *Flight[T] // of the same kind and id, to the same node
}

// UnderWay reports whether it is between its sender and its receiver: a message
// that was received isn't again, though it be sent once more.
func (f *Flight[T]) UnderWay() bool { return f.Awaited && !f.Received }

// Links tell which send a receive is of, along a walk in which causes come before
// what they cause: it is fed sends, receives and losses in this order. A message
// is one by its kind, id, sender and receiver: an id sent to several nodes is as
// many messages, and so are answers of several nodes under one id. One sent again
// is the same message.
//
// A receive is of a send, under its kind and id, to that node or to none that is
// known; by the node that the receive names, if that sent any. Of several it is one
// that is awaited, and of those, as of what isn't, one to that very node before one
// to none that is known, and the one sent last. Not
// safe for concurrent use.
type Links[T any] struct {
	late  int
	nodes int
	ends  map[end]*Flight[T]
	done  map[string]*ring[T] // by kind: timers don't push messages out
	open  bool                // some go nobody knows where
	sends uint64
	turns uint64
	sent  int // flights in ends that were sent
}

// An end is where flights are looked for.
type end struct {
	kind, id string
	to       int
}

// A turned flight is forgotten when its turn comes, unless it was sent again.
type turned[T any] struct {
	f    *Flight[T]
	turn uint64
}

// A ring is the flights that were turned last, of which next is the oldest.
type ring[T any] struct {
	turned []turned[T]
	next   int
}

// LateMax is how many messages that were received, or lost, Links remember unless
// told otherwise, and as many timers and as many calls, beside those that went nobody knows where.
const LateMax = 1 << 16

// NewLinks returns Links of so many nodes. Of what was received or lost they
// remember the last late messages: 0 is LateMax, -1 all.
func NewLinks[T any](nodes, late int) *Links[T] {
	if late == 0 {
		late = LateMax
	}
	return &Links[T]{nodes: nodes, late: late, ends: map[end]*Flight[T]{}, done: map[string]*ring[T]{}}
}

// Send takes in that m, whose From is known, is sent. The Flight is UnderWay,
// unless m was received before.
func (l *Links[T]) Send(m Message) *Flight[T] {
	l.sends++
	l.open = l.open || m.To == Nowhere
	at := end{m.Kind, m.ID, m.To}
	var f *Flight[T]
	for o := l.ends[at]; o != nil; o = o.other {
		if o.Name == m.Name && (o.From == m.From || f == nil && o.sent == 0 && o.From == Nowhere) {
			f = o // one that was received before may not name its sender
		}
	}
	if f == nil {
		f = &Flight[T]{other: l.ends[at]}
		l.ends[at] = f
	}
	if f.sent == 0 {
		l.sent++
	}
	f.Message, f.Awaited, f.sent = m, true, l.sends
	return f
}

// Receive takes in that m, whose To is known, is received. It returns the message
// that was sent, nil if none is known.
func (l *Links[T]) Receive(m Message) *Flight[T] {
	f := l.find(&m)
	if f == nil {
		l.early(m)
		return nil
	}
	f.Received = true
	l.over(f)
	if f.sent == 0 {
		return nil
	}
	return f
}

// find is the message that is received, also one that was before it is sent.
func (l *Links[T]) find(m *Message) *Flight[T] {
	var best *Flight[T]
	rank := func(f *Flight[T]) (n int) {
		if f.Awaited {
			n = 2
		}
		if f.To != Nowhere {
			n++
		}
		return n
	}
	better := func(f *Flight[T]) bool {
		switch {
		case best == nil:
			return true
		case m.From != Nowhere && (f.From == m.From) != (best.From == m.From):
			return f.From == m.From
		case rank(f) != rank(best):
			return rank(f) > rank(best)
		}
		return f.sent > best.sent
	}
	for _, to := range [...]int{m.To, Nowhere} {
		if to == Nowhere && (!l.open || m.To == Nowhere) {
			break
		}
		for f := l.ends[end{m.Kind, m.ID, to}]; f != nil; f = f.other {
			if better(f) {
				best = f
			}
		}
	}
	return best
}

// early remembers what comes before it is sent.
func (l *Links[T]) early(m Message) {
	m.Name = ""
	at := end{m.Kind, m.ID, m.To}
	f := &Flight[T]{Message: m, Received: true, other: l.ends[at]}
	l.ends[at] = f
	l.over(f)
}

// A Loss names a message that a node noted to be lost.
type Loss struct {
	Kind, ID string
	Node     int    // that noted it
	Peer     int    // the other end, Nowhere if that isn't known, or no node of this system
	Name     string // what it calls the other end, if Peer is Nowhere
}

// Lose takes in a loss and returns what it is of: what the node sent by this id, if
// it sent any; else what was sent to it; else, where another node tells of it, all
// that were sent.
func (l *Links[T]) Lose(m Loss) []*Flight[T] {
	unknown := m.Peer == Nowhere && m.Name == ""
	all := l.sentAs(&m, unknown)
	to := func(f *Flight[T]) bool { return unknown || f.To == m.Peer && f.Name == m.Name }
	lost := keep(all, func(f *Flight[T]) bool { return f.From == m.Node && to(f) })
	if len(lost) == 0 {
		lost = keep(all, func(f *Flight[T]) bool { return f.To == m.Node && (m.Peer == Nowhere || f.From == m.Peer) })
	}
	if len(lost) == 0 {
		lost = keep(all, to)
	}
	if len(lost) == 0 {
		l.early(Message{Kind: m.Kind, ID: m.ID, From: m.Peer, To: m.Node})
	}
	for _, f := range lost {
		l.over(f)
	}
	return lost
}

// sentAs are the messages sent by an id: where neither node nor peer is their
// receiver only if all are asked for.
func (l *Links[T]) sentAs(m *Loss, all bool) []*Flight[T] {
	var out []*Flight[T]
	for to := Nowhere; to < l.nodes; to++ {
		if !all && to != Nowhere && to != m.Node && to != m.Peer {
			continue
		}
		for f := l.ends[end{m.Kind, m.ID, to}]; f != nil; f = f.other {
			if f.sent > 0 {
				out = append(out, f)
			}
		}
	}
	return out
}

func keep[T any](all []*Flight[T], which func(*Flight[T]) bool) []*Flight[T] {
	var out []*Flight[T]
	for _, f := range all {
		if which(f) {
			out = append(out, f)
		}
	}
	return out
}

// Forget takes out a message that was sent and won't be received, as a timer that
// was cancelled; nothing if it isn't known.
func (l *Links[T]) Forget(f *Flight[T]) {
	at := end{f.Kind, f.ID, f.To}
	first := l.ends[at]
	switch {
	case first == nil:
		return
	case first == f && f.other == nil:
		delete(l.ends, at)
	case first == f:
		l.ends[at] = f.other
	default:
		for first.other != nil && first.other != f {
			first = first.other
		}
		if first.other == nil {
			return
		}
		first.other = f.other
	}
	if f.sent > 0 {
		l.sent--
	}
}

// over puts a message that was received, or lost, among those to be forgotten.
func (l *Links[T]) over(f *Flight[T]) {
	f.Awaited = false
	if l.late < 0 || f.To == Nowhere { // others may receive it, too
		return
	}
	l.turns++
	f.turn = l.turns
	r := l.done[f.Kind]
	if r == nil {
		r = &ring[T]{}
		l.done[f.Kind] = r
	}
	if len(r.turned) < l.late {
		r.turned = append(r.turned, turned[T]{f, l.turns})
		return
	}
	if old := r.turned[r.next]; old.f.turn == old.turn && !old.f.Awaited {
		l.Forget(old.f)
	}
	r.turned[r.next] = turned[T]{f, l.turns}
	r.next = (r.next + 1) % l.late
}

// Sent is how many messages are remembered that were sent.
func (l *Links[T]) Sent() int { return l.sent }

// All iterates over the messages that are remembered and were sent, in no order.
func (l *Links[T]) All() iter.Seq[*Flight[T]] {
	return func(yield func(*Flight[T]) bool) {
		for _, f := range l.ends {
			for ; f != nil; f = f.other {
				if f.sent > 0 && !yield(f) {
					return
				}
			}
		}
	}
}

// Renumber goes on with more nodes: node n is to[n] from now on, and node finds
// one that only had a name. Values are the caller's to renumber.
func (l *Links[T]) Renumber(nodes int, to []int, node func(name string) int) {
	ends := l.ends
	l.nodes, l.ends = nodes, make(map[end]*Flight[T], len(ends))
	at := func(n int) int {
		if n != Nowhere {
			n = to[n]
		}
		return n
	}
	for _, f := range ends {
		for f != nil {
			next := f.other
			f.From, f.To = at(f.From), at(f.To)
			if f.To == Nowhere && f.Name != "" {
				if f.To = node(f.Name); f.To != Nowhere {
					f.Name = ""
				}
			}
			e := end{f.Kind, f.ID, f.To}
			f.other, l.ends[e] = l.ends[e], f
			f = next
		}
	}
}
