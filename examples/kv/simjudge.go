package kv

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
	"hindcast.dev/sim"
)

// A judge holds what clients were told against one promise. It knows nothing of
// how the machine keeps it. What a client doesn't know the outcome of may have
// happened or not, so that it is owed to nobody, and excuses what shows it.
type judge struct {
	w     *sim.World
	deeds []deed // by Call
	found []check.Violation
	bound string // that a check ran into; "" if all came to a verdict
}

// judged states what is demanded of a run.
func judged(w *sim.World) {
	var deeds []deed // the same for every promise
	promise := func(name string, of func(j *judge)) {
		w.Judge(name, func(ops []check.Operation) check.Result {
			if deeds == nil {
				for _, op := range ops {
					deeds = append(deeds, deedOf(op))
				}
				slices.SortStableFunc(deeds, func(a, b deed) int { return cmp.Compare(a.Call, b.Call) })
			}
			j := &judge{w: w, deeds: deeds}
			of(j)
			return j.result(name)
		})
	}
	promise("G1: fresh reads return fresh writes", (*judge).fresh)
	promise("G1: what only primaries wrote is linearizable", (*judge).linear)
	promise("G2: a scan lists what is here", (*judge).scans)
	promise("G3: a write is settled in one place", (*judge).writers)
	promise("G4: without the primary others go on and say so", (*judge).labels)
	promise("G6: what a node has it keeps", (*judge).kept)
	promise("no value comes from nowhere", (*judge).sources)
	promise("G5: no acknowledged write is lost", (*judge).survives)
	w.Converges("G5: the copies", copies)
	w.Invariant("a version has one value, and isn't from the future", oneValue(w))

	w.Sometimes("the copies are three versions apart", "EXISTS k IN KEYS(kv.items) : (COUNT(DISTINCT kv.items[k].version) >= 3)")
	w.Sometimes("a peer is suspected", "LEN(kv.suspects) > 0")
	w.Sometimes("operations wait", "LEN(kv.pending) > 1")
}

func (j *judge) result(name string) check.Result {
	r := check.Result{Check: name, Verdict: check.Holds, Operations: len(j.deeds), Violations: j.found}
	switch {
	case len(j.found) > 0:
		r.Verdict = check.Violated
	case j.bound != "":
		r.Verdict, r.Bound = check.Undecided, j.bound
	}
	return r
}

// took takes over what a checker found, or that it came to no verdict.
func (j *judge) took(r check.Result) {
	j.found = append(j.found, r.Violations...)
	if r.Verdict == check.Undecided {
		j.bound = r.Bound
	}
}

const violationsMax = 5

func (j *judge) violated(key string, ds []*deed, format string, args ...any) {
	if len(j.found) >= violationsMax {
		return
	}
	v := check.Violation{Key: key}
	var b strings.Builder
	for _, d := range ds {
		v.Operations = append(v.Operations, d.Operation)
		fmt.Fprintf(&b, "%s\n", d)
	}
	fmt.Fprintf(&b, format, args...)
	v.Text = b.String()
	j.found = append(j.found, v)
}

// String is the operation in words.
func (d *deed) String() string {
	until := "never returns"
	if d.Return != check.Open {
		until = fmt.Sprintf("returns at %.6fs", float64(d.Return)/1e9)
	}
	told := string(d.told)
	for _, r := range d.records {
		told += fmt.Sprintf(" %s=%.20q of %s by %s", r.Key, r.Item.Value, r.Item.Version, r.Item.Writer)
	}
	return fmt.Sprintf("%s: %s %s %.20q asked %s of %s at %.6fs, %s: %s %s", d.Ref, d.F, d.Key, d.value, cmp.Or(d.asked, Fresh), cmp.Or(d.node, "?"),
		float64(d.Call)/1e9, until, d.Outcome, cmp.Or(told, string(d.failure)))
}

// A floor is what must not be fallen below, and who says so.
type floor struct {
	item Item
	by   *deed
}

// sweep calls begins for every answered deed in the order of calls, after returns
// was called for all those that had returned before.
func (j *judge) sweep(returns, begins func(d *deed)) {
	var answered []*deed
	for i := range j.deeds {
		if j.deeds[i].answered() {
			answered = append(answered, &j.deeds[i])
		}
	}
	byReturn := slices.Clone(answered)
	slices.SortStableFunc(byReturn, func(a, b *deed) int { return cmp.Compare(a.Return, b.Return) })
	for _, d := range answered {
		for len(byReturn) > 0 && byReturn[0].Return < d.Call {
			returns(byReturn[0])
			byReturn = byReturn[1:]
		}
		begins(d)
	}
}

// fresh is G1: after a fresh write or delete has returned every fresh read
// returns it or something newer; and fresh writes are newer than those before.
func (j *judge) fresh() {
	floors := map[string]floor{}
	j.sweep(func(d *deed) {
		if d.writes() && d.told == Fresh && d.settled().newer(floors[d.Key].item) && !j.forgot(d.settled().Writer) {
			floors[d.Key] = floor{d.settled(), d}
		}
	}, func(d *deed) {
		for _, r := range d.records {
			f := floors[r.Key]
			if r.Consistency == Fresh && f.item.newer(r.Item) {
				j.violated(r.Key, []*deed{f.by, d}, "the second began when the first had returned, is fresh as well, and has an older version")
			}
			if d.writes() && d.told == Fresh && f.by != nil && !r.Item.newer(f.item) {
				j.violated(r.Key, []*deed{f.by, d}, "the second write began when the first had returned, and isn't newer")
			}
		}
	})
}

// forgot reports whether a fault befell what a node had on its disk. It may have
// come back without; the store copies to others without waiting for them, so what
// it alone had is lost. It is owed nothing then, and all others are.
func (j *judge) forgot(node string) bool { return j.w.Node(node).Harmed() }

// linear is G1 put in other words, for those records that nobody ever wrote
// without their primary: they are registers, as linearizable as any.
func (j *judge) linear() {
	apart := map[string]bool{}
	for i := range j.deeds {
		d := &j.deeds[i]
		if d.writes() && d.Outcome != check.Fail && (!d.answered() || d.told != Fresh) {
			apart[d.Key] = true
		}
	}
	var ops []check.Operation
	for i := range j.deeds {
		d := &j.deeds[i]
		if d.F == "scan" || !d.answered() || d.told != Fresh || apart[d.Key] || j.forgot(j.primary(d.Key)) {
			continue
		}
		op := d.Operation
		op.Input, op.Output = event.Value{}, event.Value{}
		switch {
		case d.F == "write":
			op.Input = event.String(d.value)
		case d.F == "read" && d.records[0].Found:
			op.Output = event.String(d.settled().Value)
		case d.F == "read":
			op.Output = event.Null()
		}
		ops = append(ops, op)
	}
	model, _ := check.ModelByName("kv")
	j.took(check.Linearizable(ops, model, check.Options{}))
}

// kept is what a node owes to whoever asks it twice: what it has told it keeps,
// also over crashes, and whatever consistency was asked for.
func (j *judge) kept() {
	type place struct{ node, key string }
	floors := map[place]floor{}
	j.sweep(func(d *deed) {
		for _, r := range d.records {
			if at := (place{d.node, r.Key}); r.Item.newer(floors[at].item) {
				floors[at] = floor{r.Item, d}
			}
		}
	}, func(d *deed) {
		for _, r := range d.records {
			if f := floors[place{d.node, r.Key}]; f.item.newer(r.Item) && !j.forgot(d.node) {
				j.violated(r.Key, []*deed{f.by, d}, "%s told of a version, and of an older one later", d.node)
			}
		}
	})
}

// scans is G2. The store says that a scan lists what is in the node's copy: which
// is at least what it was told to write and nobody deletes.
func (j *judge) scans() {
	doomed := map[string]bool{} // keys that some client ever deletes
	for i := range j.deeds {
		if d := &j.deeds[i]; d.F == "delete" && d.Outcome != check.Fail {
			doomed[d.Key] = true
		}
	}
	here := map[string]map[string]*deed{} // by node: keys that it has
	j.sweep(func(d *deed) {
		if d.F == "write" && !j.forgot(d.node) {
			if here[d.node] == nil {
				here[d.node] = map[string]*deed{}
			}
			here[d.node][d.Key] = d
		}
	}, func(d *deed) {
		if d.F != "scan" {
			return
		}
		j.listing(d)
		for key, by := range here[d.node] {
			listed := slices.ContainsFunc(d.records, func(r Answer) bool { return r.Key == key })
			if !listed && !doomed[key] && d.scan.covers(key) && (d.next == "" || key < d.next) {
				j.violated(key, []*deed{by, d}, "%s has %s, nobody deletes it, and the scan doesn't list it", d.node, key)
			}
		}
	})
}

func (m *Scan) covers(key string) bool { return strings.HasPrefix(key, m.Prefix) && key >= m.From }

// listing is about the form of one scan's answer.
func (j *judge) listing(d *deed) {
	last := ""
	for _, r := range d.records {
		switch {
		case !r.Found:
			j.violated(r.Key, []*deed{d}, "%s is listed and isn't there", r.Key)
		case r.Key <= last, !d.scan.covers(r.Key):
			j.violated(r.Key, []*deed{d}, "%s is listed after %q, in a scan from %q for %q", r.Key, last, d.scan.From, d.scan.Prefix)
		}
		last = r.Key
	}
	if limit := d.scan.Limit; limit > 0 && len(d.records) > limit {
		j.violated("", []*deed{d}, "%d records are listed, the limit is %d", len(d.records), limit)
	}
}

// writers is what of G3 clients can see: one hop, to the primary or none. So the
// primary gives the version, or the node that was asked.
func (j *judge) writers() {
	for i := range j.deeds {
		d := &j.deeds[i]
		if !d.answered() || !d.writes() {
			continue
		}
		want := d.node
		if d.told == Fresh {
			want = j.primary(d.Key)
		}
		if got := d.settled().Writer; got != want {
			j.violated(d.Key, []*deed{d}, "%s gave the version, and %s should have", got, want)
		}
		if got := d.settled(); got.Deleted != (d.F == "delete") || got.Value != d.value {
			j.violated(d.Key, []*deed{d}, "another thing was written than was asked for")
		}
	}
}

func (j *judge) primary(key string) string {
	nodes := j.w.Nodes()
	ctx := &machine.Context{}
	ctx.Start.Node = nodes[0].Name()
	for _, n := range nodes[1:] {
		ctx.Start.Peers = append(ctx.Start.Peers, n.Name())
	}
	return primary(ctx, key)
}

// labels is G4 and G6 as far as words go: what an answer may say that it is, and
// who may be refused.
func (j *judge) labels() {
	may := map[Consistency][]Consistency{"": {Fresh, Degraded}, Eventual: {Eventual, Fresh}, Strict: {Fresh}}
	for i := range j.deeds {
		d := &j.deeds[i]
		switch {
		case d.answered() && d.F == "scan" && d.asked == Eventual && d.told != Eventual,
			d.answered() && !slices.Contains(may[d.asked], d.told):
			j.violated(d.Key, []*deed{d}, "who asks for %s isn't told %s", cmp.Or(d.asked, Fresh), d.told)
		case d.failure != "" && d.failure != Busy && d.asked != Strict, d.failure == Uncertain && !d.writes(), d.failure == Invalid:
			j.violated(d.Key, []*deed{d}, "who asks for %s isn't refused as %s", cmp.Or(d.asked, Fresh), d.failure)
		}
		for _, r := range d.records {
			if r.Found == (r.Item.Deleted || r.Item.Version == 0) {
				j.violated(r.Key, []*deed{d}, "found is %t, and the record says otherwise", r.Found)
			}
		}
	}
}

// sources: what is read was written, by an operation that had begun, and not by
// one that surely failed. It was written once, unless the node that was asked gave
// the primary up, which may have done it all the same.
func (j *judge) sources() {
	wrote := map[string]*deed{} // by value, which is of one write alone
	for i := range j.deeds {
		if d := &j.deeds[i]; d.F == "write" {
			wrote[d.value] = d
		}
	}
	for i := range j.deeds {
		d := &j.deeds[i]
		for _, r := range d.records {
			if !r.Found || !d.answered() {
				continue
			}
			switch by := wrote[r.Item.Value]; {
			case by == nil, by.Key != r.Key:
				j.violated(r.Key, []*deed{d}, "nobody wrote this")
			case by.Outcome == check.Fail:
				j.violated(r.Key, []*deed{by, d}, "the write failed for certain, and is read")
			case by.Call > d.Return:
				j.violated(r.Key, []*deed{by, d}, "it is read before it is written")
			case by.answered() && by.told != Degraded && r.Item.Version != by.settled().Version:
				j.violated(r.Key, []*deed{by, d}, "it was written twice")
			}
		}
	}
}

// survives is G5: in the end every node has what any client was told is written,
// or something newer.
func (j *judge) survives() {
	for i := range j.deeds {
		d := &j.deeds[i]
		if !d.answered() || !d.writes() || j.forgot(d.node) && j.forgot(d.settled().Writer) {
			continue
		}
		for _, n := range j.w.Nodes() {
			if s := storeOf(n); s != nil {
				if has, _ := s.Items.Get(d.Key); d.settled().newer(has) {
					j.violated(d.Key, []*deed{d}, "in the end %s has %.20q of %s by %s", n.Name(), has.Value, has.Version, has.Writer)
				}
			}
		}
	}
}

// storeOf is a node's machine, nil while it is down; also of one that embeds KV.
func storeOf(n *sim.Node) *KV {
	if s, ok := n.Machine(Name).(interface{ store() *KV }); ok {
		return s.store()
	}
	return nil
}

func (s *KV) store() *KV { return s }

// copies is what must be equal on all nodes in the end, and that nothing waits.
func copies(n *sim.Node) string {
	s := storeOf(n)
	if s == nil || s.Pending.Len() > 0 {
		return n.Name() + " isn't at rest"
	}
	var b strings.Builder
	for key, item := range s.Items.All() {
		fmt.Fprintf(&b, "%s=%.12q %s %s; ", key, item.Value, item.Version, item.Writer)
	}
	return b.String()
}

// oneValue looks at all copies at all times: version and writer name what was
// written, for good. Digests that leave the values out rely on it.
func oneValue(w *sim.World) func(n *sim.Node) error {
	type name struct {
		key, writer string
		version     hlc.Timestamp
	}
	values := map[name]string{}
	return func(n *sim.Node) error {
		s := storeOf(n)
		if s == nil {
			return nil
		}
		for key, item := range s.Items.All() {
			at := name{key, item.Writer, item.Version}
			if was, known := values[at]; !known {
				values[at] = item.Value
				if item.Version > n.Time() {
					return fmt.Errorf("%s has %s of %s, which is in its future: it is %s there", n.Name(), key, item.Version, n.Time())
				}
			} else if was != item.Value && !w.Node(item.Writer).Harmed() { // who lost its clock's ceiling may repeat a time
				return fmt.Errorf("%s has %s of %s by %s as %.30q, which was %.30q", n.Name(), key, item.Version, item.Writer, item.Value, was)
			}
		}
		return nil
	}
}
