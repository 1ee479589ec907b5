package node

import (
	"cmp"
	"slices"
	"sort"
	"sync"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine/state"
	"hindcast.dev/recording"
	"hindcast.dev/stepper"
)

const (
	windowChunk = 256 << 10                  // bytes of messages that are forgotten together
	windowKeep  = 2 * recording.FlightWindow // what is older is forgotten
	windowPrune = 4096                       // events between two looks at what is too old
	windowSteps = 256 << 20                  // bytes of messages in the window of a second copy of the machines
	stampsMax   = 1 << 17                    // that are kept
	arrivalsMax = 1 << 18                    // likewise, of all senders
	lossesMax   = 1 << 18                    // likewise
	sentToMax   = 1 << 12                    // machines of which it is known when what was sent to them was forgotten
	foreignMax  = 1 << 20                    // likewise, of arrivals at machines that aren't ordered
)

// A window is a log of the messages that a node has sent and taken in of late, which
// its loop writes as it goes: what tells which messages are under way at a cut. It
// holds no pointer for each message, so that it costs the collector nothing.
//
//	chunks   │ message message … │ message … │ …      encoded, the oldest first
//	sent     (n2, bank): ── id, time, place ──▶        in the order of sending
//	came     (bank, n3): ── id, time ──▶               in the order of arrival
//	stamps   ── time, number, digest chain ──▶         of all events: where a cut is
//
// One goroutine writes it, any may read.
type window struct {
	node     string
	bytesMax int              // of chunks, at the least one
	st       *stepper.Stepper // for the writer
	start    uint64           // the event that it began behind
	began    hlc.Timestamp    // and the time of that

	mu     sync.Mutex
	now    hlc.Timestamp // of the last event
	events int           // since the last look at what is too old
	stamps backlog[record.Stamp]

	chunks []chunkOf
	first  uint32 // number of chunks[0]
	bytes  int
	sent   map[destination]*sentTo
	losses []loss
	// since is when what was sent, or lost, begins to be known; 0 is from the beginning.
	// Of a destination less may be known: see sentTo.gone.
	since hlc.Timestamp

	ordered []string // machines that take each sender's messages in order
	came    map[origin]*cameFrom
	count   int       // of arrivals in came
	others  []arrived // what is in no table of an ordered machine
	// known is the first cut of which is known what had arrived by then.
	known hlc.Timestamp
	// alone is the time up to which others may lack something.
	alone hlc.Timestamp
}

type (
	destination struct{ node, machine string }
	origin      struct{ machine, node string }

	chunkOf struct {
		b    []byte        // messages in wire form
		last hlc.Timestamp // when the last one was sent
	}

	// numbered is an id without the node, which is always the same.
	numbered struct {
		boot, seq uint64
		effect    uint32
	}

	sentAt struct {
		numbered
		chunk, off uint32
		time       hlc.Timestamp
	}
	// sentTo is what was sent to one machine.
	sentTo struct {
		queue []sentAt
		gone  sentAt // the last that was forgotten
	}

	cameAt struct {
		numbered
		time hlc.Timestamp
	}
	// cameFrom is what an ordered machine took in from one node.
	cameFrom struct {
		queue  []cameAt
		before numbered // the last before those; zero for none
	}

	arrived struct {
		id event.MessageID
		at hlc.Timestamp
	}
	loss struct {
		id numbered
		at hlc.Timestamp // when it became known
	}
)

func newWindow(node string, bytesMax int) *window {
	return &window{node: node, bytesMax: bytesMax, sent: map[destination]*sentTo{}, came: map[origin]*cameFrom{}}
}

func numberOf(id event.MessageID) numbered { return numbered{id.Boot, id.Seq, id.Effect} }

func (a numbered) compare(b numbered) int {
	return cmp.Or(cmp.Compare(a.boot, b.boot), cmp.Compare(a.seq, b.seq), cmp.Compare(a.effect, b.effect))
}

// begin begins behind the event stamped s, whose state st has.
func (w *window) begin(st *stepper.Stepper, s record.Stamp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.start, w.began = s.Seq, s.Time
	w.st, w.now, w.since, w.known, w.alone = st, s.Time, s.Time, s.Time, s.Time
	w.ordered = orderedBy(st)
	st.Senders(func(machine string, last event.MessageID) {
		w.came[origin{machine, last.Node}] = &cameFrom{before: numberOf(last)}
	})
}

func orderedBy(st *stepper.Stepper) (out []string) {
	for _, m := range st.Machines() {
		if st.Orders(m) {
			out = append(out, m)
		}
	}
	return out
}

// see takes in one event.
func (w *window) see(e *stepper.Followed, s record.Stamp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ev := &e.Event
	w.now = s.Time
	if len(w.stamps.items()) == stampsMax {
		w.stamps.forget(stampsMax / 2)
	}
	w.stamps.add(s)
	switch {
	case ev.Kind == event.Note && ev.Name == event.NoteDrop:
		w.drop(ev)
	case ev.Kind == event.Message:
		w.arrive(e)
	case ev.Kind == event.Start || ev.Kind == event.Control:
		if now := orderedBy(w.st); !slices.Equal(now, w.ordered) {
			w.ordered, w.known = now, s.Time
		}
	}
	for i := range e.Outcome.Effects {
		if f := &e.Outcome.Effects[i]; f.Kind == event.EffectSend {
			w.send(f)
		}
	}
	if w.events++; w.events >= windowPrune {
		w.events = 0
		w.prune(s.Time.Add(-windowKeep))
	}
}

// arrive takes in a message that came.
func (w *window) arrive(e *stepper.Followed) {
	ev := &e.Event
	if !e.Stepped || e.Outcome.Refused != "" || !w.st.Orders(ev.Machine) {
		w.others = append(w.others, arrived{ev.ID, ev.Time})
		return
	}
	if e.Outcome.Duplicate {
		return
	}
	from := origin{ev.Machine, ev.ID.Node}
	c := w.came[from]
	if c == nil {
		c = &cameFrom{}
		w.came[from] = c
	}
	c.queue = append(c.queue, cameAt{numberOf(ev.ID), ev.Time})
	if w.count++; w.count > arrivalsMax {
		w.forgetArrivals(func(c *cameFrom) int { return (len(c.queue) + 1) / 2 })
	}
}

// drop takes in that a message is lost.
func (w *window) drop(ev *event.Event) {
	var info event.NoteInfo
	if state.Unmarshal(ev.Payload, &info) != nil {
		return
	}
	id, err := event.ParseMessageID(info.Message)
	switch {
	case err != nil:
	case id.Node != w.node: // it had come here
		w.others = append(w.others, arrived{id, ev.Time})
	default:
		w.losses = append(w.losses, loss{numberOf(id), ev.Time})
		if n := len(w.losses); n > lossesMax {
			w.since = max(w.since, w.losses[n/2].at)
			w.losses = w.losses[n/2+1:]
		}
	}
}

// send takes in a message that is sent.
func (w *window) send(e *event.Effect) {
	f := messageFrame(e)
	if f.Check() != nil {
		return // it can't be sent, and a note will say so
	}
	n := f.Size()
	last := len(w.chunks) - 1
	if last < 0 || len(w.chunks[last].b)+n > cap(w.chunks[last].b) {
		w.chunks = append(w.chunks, chunkOf{b: make([]byte, 0, max(windowChunk, n))})
		last++
		w.bytes += cap(w.chunks[last].b)
		w.shed()
		last = len(w.chunks) - 1
	}
	c := &w.chunks[last]
	to := w.sent[destination{e.Node, e.To}]
	if to == nil {
		to = &sentTo{}
		w.sent[destination{e.Node, e.To}] = to
	}
	to.queue = append(to.queue, sentAt{numberOf(e.ID), w.first + uint32(last), uint32(len(c.b)), e.Sent})
	c.b, c.last = record.AppendWire(c.b, &f), e.Sent
}

// messageFrame is a message as it comes to its receiver.
func messageFrame(e *event.Effect) record.Frame {
	return record.Frame{Kind: event.Message, Machine: e.To, From: e.Machine, Name: e.Name, Version: e.Version,
		ID: e.ID, Sent: e.Sent, Baggage: e.Baggage, Payload: e.Payload}
}

// shed forgets the oldest messages sent where they are too many.
func (w *window) shed() {
	for len(w.chunks) > 1 && w.bytes > w.bytesMax {
		w.forgetChunk()
	}
}

// forgetChunk forgets the messages of the oldest chunk. Whoever looks at it still
// has it.
func (w *window) forgetChunk() {
	for name, to := range w.sent {
		n := 0
		for n < len(to.queue) && to.queue[n].chunk == w.first {
			n++
		}
		if n > 0 {
			to.gone, to.queue = to.queue[n-1], to.queue[n:]
		}
		if len(to.queue) == 0 && len(w.sent) > sentToMax {
			w.since = max(w.since, to.gone.time)
			delete(w.sent, name)
		}
	}
	w.bytes -= cap(w.chunks[0].b)
	w.chunks[0] = chunkOf{}
	w.chunks = w.chunks[1:]
	w.first++
}

// forgetArrivals forgets the first so many of each queue.
func (w *window) forgetArrivals(first func(*cameFrom) int) {
	for _, c := range w.came {
		n := first(c)
		if n == 0 {
			continue
		}
		c.before, w.known = c.queue[n-1].numbered, max(w.known, c.queue[n-1].time)
		c.queue = c.queue[n:]
		w.count -= n
	}
}

// prune forgets what is older than t.
func (w *window) prune(t hlc.Timestamp) {
	for len(w.chunks) > 1 && w.chunks[0].last < t {
		w.forgetChunk()
	}
	w.forgetArrivals(func(c *cameFrom) int {
		return sort.Search(len(c.queue), func(i int) bool { return c.queue[i].time >= t })
	})
	n := sort.Search(len(w.losses), func(i int) bool { return w.losses[i].at >= t })
	if n > 0 {
		w.since = max(w.since, w.losses[n-1].at)
		w.losses = w.losses[n:]
	}
	stamps := w.stamps.items()
	w.stamps.forget(sort.Search(len(stamps), func(i int) bool { return stamps[i].Time >= t }))
	n = sort.Search(len(w.others), func(i int) bool { return w.others[i].at >= t })
	if n = max(n, len(w.others)-foreignMax); n > 0 {
		w.alone = max(w.alone, w.others[n-1].at)
		w.others = w.others[n:]
	}
}

// place is where the cut at t is, if both the event before and the one behind it are
// of late.
func (w *window) place(t hlc.Timestamp) (c recording.Cut, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stamps := w.stamps.items()
	i := sort.Search(len(stamps), func(i int) bool { return stamps[i].Time > t })
	if i == 0 || i == len(stamps) {
		return c, false
	}
	last := &stamps[i-1]
	return recording.Cut{Seq: last.Seq, Time: last.Time, Physical: last.Physical, Boot: last.Boot, Chain: stamps[i].Chain}, true
}

// behind is the event that the window began behind.
func (w *window) behind() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.start
}

// cut is what had arrived by t, which has passed, and what was sent. ok is false if not
// all is known of what had arrived: of what was before the window began only where
// back is false, for then it is to be had elsewhere.
func (w *window) cut(t hlc.Timestamp, back bool) (a recording.Arrivals, s sends, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	early := t.Add(-recording.FlightWindow)
	if w.known > t || w.alone > early && !(back && w.alone == w.began) {
		return a, s, false
	}
	i := sort.Search(len(w.others), func(i int) bool { return w.others[i].at > early })
	a.Ordered = w.ordered
	for from, c := range w.came {
		last := c.before
		if n := sort.Search(len(c.queue), func(i int) bool { return c.queue[i].time > t }); n > 0 {
			last = c.queue[n-1].numbered
		}
		if last != (numbered{}) {
			id := event.MessageID{Node: from.node, Boot: last.boot, Seq: last.seq, Effect: last.effect}
			a.Last = append(a.Last, recording.Arrival{Machine: from.machine, ID: id.String()})
		}
	}
	slices.SortFunc(a.Last, func(a, b recording.Arrival) int {
		return cmp.Or(cmp.Compare(a.Machine, b.Machine), cmp.Compare(a.ID, b.ID))
	})
	for ; i < len(w.others) && w.others[i].at <= t; i++ {
		a.Others = append(a.Others, w.others[i].id.String())
	}
	s = w.sends()
	s.all = back && w.since == w.began
	return a, s, true
}

// sends is what was sent so far.
func (w *window) sends() sends {
	s := sends{node: w.node, chunks: slices.Clone(w.chunks), first: w.first, losses: w.losses, since: w.since, to: map[destination]sentTo{}}
	for to, q := range w.sent {
		s.to[to] = *q
	}
	return s
}
