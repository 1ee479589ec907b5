package check

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/termtext"
)

// explainOrder makes a violation of linearizability one for people.
func explainOrder(obj *object, m *Model, j judgement, o *Options) Violation {
	v := Violation{Property: "linearizable", Key: obj.key}
	if o.Plain {
		if j.conflict != nil {
			v.Operations = pick(obj.ops, j.conflict)
		}
		return v
	}
	s := &shrinker{all: obj.ops, model: m, options: o}
	kept, j := s.shrink(j)
	j = exactly(kept, m, j)
	v.Operations = kept
	var b strings.Builder
	held := ""
	if j.anyInit {
		held = ", whatever was there before"
	}
	fmt.Fprintf(&b, "%sno order of %s explains the answers%s (model %s)\n", inKey(obj.key), theseOperations(len(kept)), held, m.Name)
	b.WriteString(o.table(kept))
	b.WriteString(timeline(kept))
	b.WriteString(reason(obj, kept, j))
	v.Text = b.String()
	v.html = func(w io.Writer) error { return orderHTML(w, kept, m, j.anyInit) }
	return v
}

func theseOperations(n int) string {
	if n == 1 {
		return "this operation"
	}
	return fmt.Sprintf("these %d operations", n)
}

// shownMax bounds the operations that a text lists.
const shownMax = 40

// table lists operations: who, what, when, where it stands.
func (o *Options) table(ops []Operation) string {
	var b strings.Builder
	who, what, when, keyed := 0, 0, 0, severalKeys(ops)
	for i := range ops {
		who, what, when = max(who, termtext.Columns(ops[i].who())), max(what, termtext.Columns(ops[i].told(keyed))), max(when, termtext.Columns(o.span(&ops[i])))
	}
	for i := range ops {
		if i == shownMax {
			fmt.Fprintf(&b, "  … and %d more\n", len(ops)-i)
			break
		}
		op := &ops[i]
		line := "  " + termtext.Pad(op.who(), who) + "  " + termtext.Pad(op.told(keyed), what) + "  " + termtext.Pad(o.span(op), when) + "  " + op.Ref
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

func severalKeys(ops []Operation) bool {
	return slices.ContainsFunc(ops, func(op Operation) bool { return op.Key != ops[0].Key })
}

// told is what, with the key if that isn't clear.
func (op *Operation) told(keyed bool) string {
	if !keyed {
		return op.what()
	}
	return op.F + " " + op.Key + strings.TrimPrefix(op.what(), op.F)
}

// span is when an operation happened.
func (o *Options) span(op *Operation) string {
	if op.Return == Open || op.Outcome == Info {
		return "from " + o.timeText(op.Call)
	}
	return o.timeText(op.Call) + " to " + o.timeText(op.Return)
}

func (o *Options) timeText(t int64) string {
	if o.Time != nil {
		return o.Time(t)
	}
	return fmt.Sprint(t)
}

// who is the client, for people.
func (op *Operation) who() string { return fmt.Sprintf("client %d", op.Process) }

// what is what was asked and answered, for people.
func (op *Operation) what() string {
	var b strings.Builder
	b.WriteString(op.F)
	if !op.Input.IsAbsent() {
		b.WriteString(" " + valueText(op.Input))
	}
	switch {
	case op.Outcome == Info:
		b.WriteString(" (no answer)")
	case op.Outcome == Fail:
		b.WriteString(" (failed)")
	case casFailed(op):
		b.WriteString(" (comparison failed)")
	case !op.Output.IsAbsent() && op.Output.Type() != event.TypeBool:
		b.WriteString(" → " + valueText(op.Output))
	case op.Output.Type() == event.TypeBool && !op.Output.AsBool():
		b.WriteString(" (refused)")
	}
	return b.String()
}

// whose names an operation inside a sentence.
func (op *Operation) whose() string {
	switch verb(op.F) {
	case "read":
		return fmt.Sprintf("client %d's read of %s", op.Process, valueText(op.Output))
	case "delete":
		return fmt.Sprintf("client %d's delete", op.Process)
	}
	return fmt.Sprintf("client %d's %s", op.Process, op.what())
}

// timelineMax bounds the operations that are drawn, and the columns.
const (
	timelineMax     = 12
	timelineColumns = 72
)

// timeline draws operations as intervals, in the order of calls and returns and
// not to scale:
//
//	client 0  ├─ write 1 ─┤
//	client 1        ├─ read → 2 ────┤
func timeline(ops []Operation) string {
	if len(ops) < 2 || len(ops) > timelineMax {
		return ""
	}
	entries := make([]entry, len(ops))
	for i := range ops {
		entries[i] = newEntry(ops, i)
		entries[i].op = i
	}
	column, keyed := timelinePlaces(ops, entries), severalKeys(ops)
	who := 0
	for i := range ops {
		who = max(who, termtext.Columns(ops[i].who()))
	}
	var b strings.Builder
	for i := range ops {
		from, to := column[i][0], column[i][1]
		if to > timelineColumns {
			return ""
		}
		label := " " + shorten(ops[i].told(keyed), to-from-4) + " "
		bar := "├─" + label + strings.Repeat("─", max(0, to-from-2-termtext.Columns(label)))
		if ops[i].Outcome == Info || ops[i].Return == Open {
			bar += "⋯"
		} else {
			bar += "┤"
		}
		fmt.Fprintf(&b, "  %s  %s%s\n", termtext.Pad(ops[i].who(), who), strings.Repeat(" ", from), bar)
	}
	return b.String()
}

// timelinePlaces gives every operation a first and last column, such that what
// was before stands to the left and each label has room.
func timelinePlaces(ops []Operation, entries []entry) [][2]int {
	all := moments(entries)
	for i := range entries {
		if entries[i].info {
			all = append(all, moment{Open, true, i})
		}
	}
	places, keyed := make([][2]int, len(ops)), severalKeys(ops)
	col := 0
	for i, m := range all {
		if i > 0 {
			col += 2
		}
		if !m.ret {
			places[m.entry][0] = col
			continue
		}
		room := min(termtext.Columns(ops[m.entry].told(keyed)), barLabelMax) + 5
		col = max(col, places[m.entry][0]+room)
		places[m.entry][1] = col
	}
	return places
}

const barLabelMax = 24

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n && n > 0 {
		return string(r[:n-1]) + "…"
	}
	return s
}

// exactly judges again what is left, telling all values apart that a search may
// take for one.
func exactly(kept []Operation, m *Model, j judgement) judgement {
	s, entries := m.compile(kept)
	reg, ok := s.(*registerSpec)
	if !ok || j.conflict != nil || len(kept) > shownMax {
		return j
	}
	reg.exact = true
	if j.anyInit {
		s = anyRegister{reg}
	}
	r := search(s, entries, newBudget(&Options{Steps: shrinkStepsMax}))
	if r.verdict != Violated {
		return j
	}
	return judgement{verdict: Violated, at: entries[r.failed].ret, failed: entries[r.failed].op, states: r.states, spec: s, anyInit: j.anyInit}
}

// reason is the sentence that says why there is no order.
func reason(obj *object, kept []Operation, j judgement) string {
	if j.conflict != nil {
		return reasonOfZones(obj, kept)
	}
	if len(j.states) == 0 || j.failed >= len(kept) {
		return "Whatever the order, some answer is not what the model gives."
	}
	op := &kept[j.failed]
	if verb(op.F) == "read" && !op.Output.IsAbsent() {
		return fmt.Sprintf("Whatever the order, when %s returned, the object %s, and not %s.", op.whose(), statesText(j), valueText(op.Output))
	}
	switch verb(op.F) {
	case "cas", "acquire", "release", "dequeue":
	default: // one without an answer: the search saw ahead that a later one can't be had
		return fmt.Sprintf("Whatever the order, the object %s when %s came, and after that not all answers can be explained.", statesText(j), op.whose())
	}
	return fmt.Sprintf("Whatever the order, when %s returned, the object %s before it: the answer doesn't fit.", op.whose(), statesText(j))
}

// statesText lists the states that were possible.
func statesText(j judgement) string {
	var can []string
	for _, s := range j.states {
		if t := j.spec.text(s); !slices.Contains(can, t) {
			can = append(can, t)
		}
	}
	const canMax = 4
	if len(can) > canMax {
		return strings.Join(can[:canMax], ", or ") + ", and so on"
	}
	return strings.Join(can, ", or ")
}

// reasonOfZones explains a contradiction between reads and writes of values that
// were written once.
func reasonOfZones(obj *object, kept []Operation) string {
	s, entries := compileRegister(kept)
	reg := s.(*registerSpec)
	clusters, orphan, _ := reg.clusters(entries)
	op := func(e int) *Operation { return &kept[entries[e].op] }
	if orphan >= 0 {
		return reasonOfOrphan(obj, op(orphan))
	}
	for i := range clusters {
		if c := &clusters[i]; c.early >= 0 {
			return fmt.Sprintf("%s had returned before %s was called: it saw the future.", capital(op(c.early).whose()), op(c.writer).whose())
		}
	}
	a, b, found := overlap(clusters)
	if !found {
		return "Whatever the order, some answer is not what the model gives."
	}
	if a.writer < 0 {
		a, b = b, a
	}
	if b.writer < 0 {
		return fmt.Sprintf("%s had returned before %s was called, but that read found nothing written.", capital(op(a.fOp).whose()), op(b.sOp).whose())
	}
	va, vb := valueText(op(a.writer).Input), valueText(op(b.writer).Input)
	return fmt.Sprintf("%s had returned before %s was called, so %s came before %s; and %s had returned before %s was called, so %s came before %s. Each was written once: both can't be.",
		capital(op(a.fOp).whose()), op(b.sOp).whose(), va, vb, op(b.fOp).whose(), op(a.sOp).whose(), vb, va)
}

func reasonOfOrphan(obj *object, read *Operation) string {
	for i := range obj.failed {
		if f := &obj.failed[i]; isChange(f) && event.Equal(writtenValue(f), read.Output) {
			return fmt.Sprintf("%s is of a value whose only write failed (%s): it should never have been there.", capital(read.whose()), f.ref())
		}
	}
	return fmt.Sprintf("%s is of a value that nobody wrote.", capital(read.whose()))
}

// writtenValue is the value that a write, delete or CAS leaves.
func writtenValue(op *Operation) event.Value {
	switch verb(op.F) {
	case "delete":
		return event.Null()
	case "cas":
		return op.Input.Index(event.Int(1))
	}
	return op.Input
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
