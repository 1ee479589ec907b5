package check

import (
	"fmt"
	"slices"
	"sort"

	"hindcast.dev/event"
)

// An access is a read or a write of a register, as the checks of consistency see
// it; a CAS that held is a read and a write.
type access struct {
	op      int // index into sessionLog.ops
	write   bool
	key     int32
	value   int32
	session int
	index   int // place in its session
	from    int // read: the access that wrote its value; beginningValue
}

// beginningValue is where a read of null comes from.
const beginningValue = -1

// A sessionLog is operations as sessions of accesses, with every read tied to its
// write. A write without an answer is a session of its own, after what its client
// did before: it may have happened later than what its client did next.
type sessionLog struct {
	ops      []Operation
	accesses []access
	sessions [][]int  // session → its accesses, in order
	clients  []int    // session → process
	after    []int    // session → access that comes before it, -1; of writes without an answer
	keys     []string // key number → key
	values   *valueTable
	writes   map[int64][]int // key and session → writes of it there, in order
	bad      []Violation     // reads of what nobody wrote
	vague    string          // what can't be told, "" if nothing
	refused  string          // the first CAS whose comparison failed, "" if there is none
}

// newSessionLog ties operations together. It is vague where values aren't unique.
func newSessionLog(ops []Operation, o *Options) *sessionLog {
	l := &sessionLog{ops: slices.Clone(ops), values: newValueTable(), writes: map[int64][]int{}}
	sortByCall(l.ops)
	w := l.writers()
	sessionOf, keyOf := map[int]int{}, map[string]int32{}
	for i := range l.ops {
		op := &l.ops[i]
		if op.Outcome == Fail || op.Outcome == Info && !w.observed[l.valueKey(op.Key, writtenOr(op))] {
			continue
		}
		key, ok := keyOf[op.Key]
		if !ok {
			key = int32(len(l.keys))
			keyOf[op.Key] = key
			l.keys = append(l.keys, op.Key)
		}
		s, ok := sessionOf[op.Process]
		if !ok {
			s = l.newSession(op.Process, -1)
			sessionOf[op.Process] = s
		}
		if op.Outcome == Info {
			last := -1
			if n := len(l.sessions[s]); n > 0 {
				last = l.sessions[s][n-1]
			}
			s = l.newSession(op.Process, last)
		}
		l.add(i, s, key, w)
	}
	l.tie(w, o)
	return l
}

func (l *sessionLog) newSession(client, after int) int {
	l.sessions, l.clients, l.after = append(l.sessions, nil), append(l.clients, client), append(l.after, after)
	return len(l.sessions) - 1
}

// writersOf is who may have written what.
type writersOf struct {
	count    map[string]int // key and value → how many may have
	failed   map[string]int // key and value → an operation that failed to, + 1
	observed map[string]bool
	access   map[string]int // key and value → the access that wrote it
}

// valueKey is a key and a value in one.
func (l *sessionLog) valueKey(key string, v event.Value) string {
	return fmt.Sprintf("%d\x00%s", l.values.id(v), key)
}

// writtenOr is what an operation writes, Absent if nothing.
func writtenOr(op *Operation) event.Value {
	if !isChange(op) {
		return event.Absent
	}
	return writtenValue(op)
}

func (l *sessionLog) writers() *writersOf {
	w := &writersOf{count: map[string]int{}, failed: map[string]int{}, observed: map[string]bool{}, access: map[string]int{}}
	for i := range l.ops {
		op := &l.ops[i]
		switch v := verb(op.F); {
		case v != "read" && v != "write" && v != "delete" && v != "cas":
			l.vague = fmt.Sprintf("%s is %s: sessions are judged for read, write, delete and cas of registers", op.ref(), op.F)
		case v == "read" && op.Outcome == Ok && !op.Output.IsAbsent():
			w.observed[l.valueKey(op.Key, op.Output)] = true
		case v == "read" || casFailed(op):
		case op.Outcome == Fail:
			w.failed[l.valueKey(op.Key, writtenValue(op))] = i + 1
		default:
			w.count[l.valueKey(op.Key, writtenValue(op))]++
			if v == "cas" && op.Outcome == Ok {
				w.observed[l.valueKey(op.Key, op.Input.Index(event.Int(0)))] = true
			}
		}
	}
	l.held(w)
	return w
}

// held finds, of the CAS without an answer, those that must have happened, for what
// they wrote was seen: so what they compared with was there as well.
func (l *sessionLog) held(w *writersOf) {
	var open []*Operation
	for i := range l.ops {
		if op := &l.ops[i]; op.Outcome == Info && verb(op.F) == "cas" {
			open = append(open, op)
		}
	}
	for again := true; again; {
		again = false
		for _, op := range open {
			old := l.valueKey(op.Key, op.Input.Index(event.Int(0)))
			if w.held(l, op) && !w.observed[old] {
				w.observed[old], again = true, true
			}
		}
	}
}

// held reports whether a CAS found what it compared with.
func (w *writersOf) held(l *sessionLog, op *Operation) bool {
	at := l.valueKey(op.Key, writtenValue(op))
	return op.Outcome == Ok || w.observed[at] && w.count[at] == 1 && l.values.id(writtenValue(op)) != null
}

// add makes the accesses of an operation.
func (l *sessionLog) add(i, session int, key int32, w *writersOf) {
	op := &l.ops[i]
	put := func(write bool, v event.Value) {
		n := len(l.accesses)
		l.accesses = append(l.accesses, access{op: i, write: write, key: key, value: l.values.id(v), session: session, index: len(l.sessions[session]), from: beginningValue})
		l.sessions[session] = append(l.sessions[session], n)
		if write {
			w.access[l.valueKey(op.Key, v)] = n
			at := placeOf(key, session)
			l.writes[at] = append(l.writes[at], n)
		}
	}
	switch {
	case casFailed(op):
		if l.refused == "" {
			l.refused = op.ref()
		}
	case verb(op.F) == "read":
		if op.Outcome == Ok && !op.Output.IsAbsent() {
			put(false, op.Output)
		}
	default:
		if verb(op.F) == "cas" && w.held(l, op) {
			put(false, op.Input.Index(event.Int(0)))
		}
		put(true, writtenValue(op))
	}
}

func placeOf(key int32, session int) int64 { return int64(key)<<32 | int64(session) }

// tie finds every read's write. Reads that have several possible ones, or may be
// of the beginning or of a delete, are left out, and make the log vague.
func (l *sessionLog) tie(w *writersOf, o *Options) {
	for a := range l.accesses {
		r := &l.accesses[a]
		if r.write {
			continue
		}
		op := &l.ops[r.op]
		at := l.valueKey(op.Key, l.values.values[r.value])
		switch n := w.count[at]; {
		case n == 0 && r.value == null:
		case n == 0:
			l.bad = append(l.bad, l.thinAir(op, w.failed[at], l.values.values[r.value], o))
			r.from = untied
		case n == 1 && r.value != null:
			r.from = w.access[at]
		default:
			r.from = untied
			if l.vague == "" {
				l.vague = fmt.Sprintf("%s: where its %s comes from can't be told, it was written more than once: these checks need values that are unique for each key",
					op.ref(), valueText(l.values.values[r.value]))
			}
		}
	}
}

// untied is where a read comes from that isn't to be looked at.
const untied = -2

// thinAir is the violation of a read of what nobody wrote.
func (l *sessionLog) thinAir(op *Operation, failed int, v event.Value, o *Options) Violation {
	viol := Violation{Property: "reads are of writes", Key: op.Key, Operations: []Operation{*op}}
	why := fmt.Sprintf("client %d saw %s, which nobody wrote.", op.Process, valueText(v))
	if failed > 0 {
		f := l.ops[failed-1]
		viol.Operations = []Operation{f, *op}
		why = fmt.Sprintf("client %d saw %s, whose only write failed: it should never have been there.", op.Process, valueText(v))
	}
	viol.Text = inKey(op.Key) + "a read of what was not written\n" + o.table(viol.Operations) + why
	return viol
}

// lastWrite is the last write of a key in a session among its first n accesses.
func (l *sessionLog) lastWrite(key int32, session, n int) (int, bool) {
	ws := l.writes[placeOf(key, session)]
	i := sort.Search(len(ws), func(i int) bool { return l.accesses[ws[i]].index >= n })
	if i == 0 {
		return 0, false
	}
	return ws[i-1], true
}

// Session guarantees (Terry et al., "Session guarantees for weakly consistent
// replicated data", 1994), as clients can see them.
const (
	MonotonicReads    = "monotonic reads"     // what a client has read it doesn't see undone
	MonotonicWrites   = "monotonic writes"    // who sees a client's write sees what that wrote before
	ReadYourWrites    = "read your writes"    // a client sees what it wrote
	WritesFollowReads = "writes follow reads" // who sees a write sees what its writer had last read before
)

// Guarantees are the session guarantees, in order.
func Guarantees() []string {
	return []string{MonotonicReads, MonotonicWrites, ReadYourWrites, WritesFollowReads}
}

// Sessions judges the four session guarantees, each by itself. Operations are
// reads, writes, deletes and CAS of registers, null at first; values must be
// unique for each key, or the verdict may be Undecided.
//
// Each client is judged by what it saw: a guarantee says which writes a read must
// reflect. A read that gives another value of that key says that this value is the
// newer one, and one client's writes of a key are newer one after the other. The
// guarantee is violated if a client finds nothing where there must be something,
// or if no order of the key's values is possible for it.
func Sessions(ops []Operation, o Options) []Result {
	l := newSessionLog(ops, &o)
	var all []Result
	for _, g := range Guarantees() {
		all = append(all, l.guarantee(g, &o))
	}
	return all
}

// result begins the Result of a property that needs every read's write.
func (l *sessionLog) result(check string) Result {
	return Result{Check: check, Operations: len(l.ops), Keys: len(l.keys), Violations: slices.Clone(l.bad)}
}

// finish gives a Result its verdict. What is left vague can hide a violation and
// make none.
func (l *sessionLog) finish(r *Result, o *Options) {
	switch {
	case len(r.Violations) > 0:
		r.Verdict, r.Bound = Violated, ""
	case r.Bound != "":
		r.Verdict = Undecided
	case l.vague != "":
		r.Verdict, r.Bound = Undecided, l.vague
	default:
		r.Verdict = Holds
	}
	if len(r.Violations) > o.violationsMax() {
		r.Violations = r.Violations[:o.violationsMax()]
	}
}

// finishOrder is finish for a property that asks for an order of operations: in one
// that was found there may be no place for a CAS whose comparison failed, which tells
// what was not there and so isn't tied to a write.
func (l *sessionLog) finishOrder(r *Result, o *Options) {
	if r.Bound == "" && l.refused != "" {
		r.Bound = l.refused + ": its comparison failed; whether that has its place in an order only linearizable judges"
	}
	l.finish(r, o)
}

// guarantee judges one session guarantee.
func (l *sessionLog) guarantee(name string, o *Options) Result {
	r := l.result(name)
	for s := range l.sessions {
		if o.stopped() {
			r.Bound = "stopped"
			break
		}
		if len(r.Violations) >= o.violationsMax() {
			break
		}
		v := &sessionView{log: l, session: s, guarantee: name, options: o}
		r.Steps += int64(len(l.sessions[s]))
		if bad, found := v.judge(); found {
			r.Violations = append(r.Violations, bad)
		}
	}
	l.finish(&r, o)
	return r
}

// A sessionView is one client's view under one guarantee.
type sessionView struct {
	log       *sessionLog
	session   int
	guarantee string
	options   *Options
	graph     digraph // of accesses: which write is older than which
}

// A duty is a write that a read must reflect, and why.
type duty struct {
	write int
	via   []int // accesses that make it one
	why   func() string
}

func (v *sessionView) judge() (Violation, bool) {
	l := v.log
	seen := map[int]int{}     // session → how many of its accesses this client has seen, by reading a write there
	last := map[int32]int{}   // key → this client's last read
	seenBy := map[int][]int{} // session → the read that saw that much
	for n, a := range l.sessions[v.session] {
		r := &l.accesses[a]
		if r.write || r.from == untied {
			continue
		}
		if r.from >= 0 {
			w := &l.accesses[r.from]
			if w.index+1 > seen[w.session] {
				seen[w.session] = w.index + 1
				seenBy[w.session] = []int{a, r.from}
			}
		}
		for _, d := range v.duties(n, a, last, seen, seenBy) {
			if r.from == d.write {
				continue
			}
			if r.from == beginningValue {
				return v.violation(append(d.via, a), d.why()+", but then it found nothing there.", nil), true
			}
			v.graph.add(d.write, r.from, "ww", func() string { return fmt.Sprintf("%s, and read %s after it", d.why(), l.valueOf(a)) }, append(d.via, a))
		}
		last[r.key] = a
	}
	if len(v.graph.edges) == 0 {
		return Violation{}, false
	}
	l.writeOrder(&v.graph)
	cycle := v.graph.cycle()
	if cycle == nil {
		return Violation{}, false
	}
	return v.violation(nil, "", cycle), true
}

// duties are the writes that the n-th access of the client, a read, must reflect.
func (v *sessionView) duties(n, a int, last map[int32]int, seen map[int]int, seenBy map[int][]int) []duty {
	l, r := v.log, &v.log.accesses[a]
	client := l.clients[v.session]
	switch v.guarantee {
	case ReadYourWrites:
		if w, ok := l.lastWrite(r.key, v.session, n); ok {
			return []duty{{w, []int{w}, func() string { return fmt.Sprintf("client %d wrote %s", client, l.valueOf(w)) }}}
		}
	case MonotonicReads:
		if before, ok := last[r.key]; ok && l.accesses[before].from >= 0 {
			w := l.accesses[before].from
			return []duty{{w, []int{w, before}, func() string { return fmt.Sprintf("client %d had read %s", client, l.valueOf(w)) }}}
		}
	case MonotonicWrites:
		var all []duty
		for _, s := range sortedSessions(seen) {
			saw := seenBy[s]
			if w, ok := l.lastWrite(r.key, s, seen[s]-1); ok {
				all = append(all, duty{w, append([]int{w}, saw...), func() string {
					return fmt.Sprintf("client %d saw %s, before which client %d had written %s", client, l.valueOf(saw[1]), l.clients[s], l.valueOf(w))
				}})
			}
		}
		return all
	case WritesFollowReads:
		var all []duty
		for _, s := range sortedSessions(seen) {
			saw := seenBy[s]
			if b, ok := l.lastRead(r.key, saw[1]); ok {
				w := l.accesses[b].from
				all = append(all, duty{w, append([]int{w, b}, saw...), func() string {
					return fmt.Sprintf("client %d saw %s, before which client %d had read %s", client, l.valueOf(saw[1]), l.clients[s], l.valueOf(w))
				}})
			}
		}
		return all
	}
	return nil
}

func sortedSessions(seen map[int]int) []int {
	all := make([]int, 0, len(seen))
	for s := range seen {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

// lastRead is the last read of a key by who made an access, before it, that saw a
// write.
func (l *sessionLog) lastRead(key int32, before int) (int, bool) {
	a := &l.accesses[before]
	for {
		list := l.sessions[a.session][:a.index]
		for i := len(list) - 1; i >= 0; i-- {
			if b := &l.accesses[list[i]]; !b.write && b.key == key && b.from != untied {
				return list[i], b.from >= 0
			}
		}
		prev := l.after[a.session]
		if prev < 0 {
			return 0, false
		}
		a = &access{session: l.accesses[prev].session, index: l.accesses[prev].index + 1}
	}
}

// writeOrder adds that each session's writes of a key follow each other, as far as
// they are in the graph.
func (l *sessionLog) writeOrder(g *digraph) {
	var nodes []int
	for _, e := range g.edges {
		nodes = append(nodes, e.from, e.to)
	}
	slices.Sort(nodes)
	nodes = slices.Compact(nodes)
	at := map[int64][]int{} // key and session → writes, in order
	for _, w := range nodes {
		place := placeOf(l.accesses[w].key, l.accesses[w].session)
		at[place] = append(at[place], w)
	}
	for _, w := range nodes {
		x := &l.accesses[w]
		prev, n := x.session, x.index
		if x.index == 0 && l.after[x.session] >= 0 { // a write without an answer
			p := &l.accesses[l.after[x.session]]
			prev, n = p.session, p.index+1
		}
		mine := at[placeOf(x.key, prev)]
		i := sort.Search(len(mine), func(i int) bool { return l.accesses[mine[i]].index >= n })
		if i > 0 {
			before := mine[i-1]
			g.add(before, w, "process", func() string {
				return fmt.Sprintf("client %d wrote %s, then %s", l.clients[x.session], l.valueOf(before), l.valueOf(w))
			}, nil)
		}
	}
}

// valueOf is what an access wrote or read, with its key.
func (l *sessionLog) valueOf(a int) string {
	x := &l.accesses[a]
	text := valueText(l.values.values[x.value])
	if key := l.keys[x.key]; key != "" {
		return key + " = " + text
	}
	return text
}

// violation explains one of a guarantee.
func (v *sessionView) violation(accesses []int, why string, cycle []graphEdge) Violation {
	title := fmt.Sprintf("%s is violated for client %d", v.guarantee, v.log.clients[v.session])
	return v.log.explain(v.guarantee, title, accesses, why, cycle, v.options)
}
