package rql

import (
	"slices"
	"strconv"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// An AbsentPath is a path of the query that was present on no node asked at any cut
// looked at: most likely a misprint below a variable that exists.
type AbsentPath struct {
	Path string
	Pos  syntax.Pos // of the first part of it that nothing had
	// Below is the longest beginning of Path that was present somewhere, "" if none
	// was.
	Below string
	// Nearest is Path with its first part that nothing had replaced by the nearest
	// that there was, "" if none is near.
	Nearest string
	// Has are some of the names that there were below Below, in order.
	Has []string
	// Events says that Path is of an event query: no event had it.
	Events bool
	// Part says that not all cuts, or events, of the History were looked at, or not
	// all nodes: the others may have it.
	Part bool
}

// hasMax bounds AbsentPath.Has.
const hasMax = 8

// An Unequal is an = or != of the query whose sides had different types wherever
// both had a value, or an IN or NOT IN to which a collection never had a member of
// the type.
type Unequal struct {
	Op    syntax.Op
	Pos   syntax.Pos
	Left  string // the type of that side, the first time
	Right string
	Count uint64
	path  string // on the right of IN, "" if there is something else
}

// A sought is a path of the query that was present at no cut so far.
type sought struct {
	ref   *plan.Ref
	depth int         // how many of its steps were present at best
	at    event.Value // the largest value seen there
}

// seek begins to look for the paths of the query.
func (e *engine) seek() {
	e.sought = map[history.VarID][]*sought{}
	texts := map[string]bool{}
	refs := slices.SortedStableFunc(slices.Values(e.q.Refs), func(a, b *plan.Ref) int { return a.Pos.Offset - b.Pos.Offset })
	for _, r := range refs {
		if texts[r.Text] || len(r.Steps) == 0 { // the second is that of NODE(log.name)
			continue
		}
		texts[r.Text] = true
		s := &sought{ref: r}
		e.missing = append(e.missing, s)
		e.seekFor(s)
	}
	for _, n := range e.w.nodes {
		if e.w.in(n) {
			for id := range e.sought {
				e.look(n, id, nil)
			}
		}
	}
}

// seekFor begins to look for one path.
func (e *engine) seekFor(s *sought) {
	for _, c := range s.ref.Vars {
		id := history.VarID(c.Var)
		e.sought[id] = append(e.sought[id], s)
	}
}

// look follows a change of a variable on a node, at path within it.
func (e *engine) look(node int, id history.VarID, path []event.Value) {
	left := e.sought[id][:0]
	for _, s := range e.sought[id] {
		e.lookFor(s, node, id, path)
		if s.depth < len(s.ref.Steps) {
			left = append(left, s)
		}
	}
	if e.sought[id] = left; len(left) == 0 {
		delete(e.sought, id)
	}
}

// lookInto is look for what comes to a variable that isn't in the node's state
// yet, with what is on its way there.
func (e *engine) lookInto(id history.VarID, v event.Value, path []event.Value) {
	left := e.sought[id][:0]
	for _, s := range e.sought[id] {
		s.reach(v, s.ref.Vars[0].Rest, path)
		if s.depth < len(s.ref.Steps) {
			left = append(left, s)
		}
	}
	if e.sought[id] = left; len(left) == 0 {
		delete(e.sought, id)
	}
}

func (e *engine) lookFor(s *sought, node int, id history.VarID, path []event.Value) {
	for _, c := range s.ref.Vars {
		v := e.w.get(node, c.Var, false)
		if v.IsAbsent() {
			continue
		}
		if c.Var != int(id) {
			path = nil
		}
		s.reach(v, c.Rest, path)
		return
	}
}

// reach remembers how far the steps from rest on lead into v.
func (s *sought) reach(v event.Value, rest int, path []event.Value) {
	depth, at := reach(v, s.ref.Steps[rest:], path)
	depth += rest
	if depth > s.depth || depth == s.depth && at.Len() >= s.at.Len() {
		s.depth, s.at = depth, at
	}
}

// reach returns how many steps lead to something from v, at best, and to what. A
// step to every entry, or to one that must be computed, leads to any entry; to
// the one on path alone, where that is what changed.
func reach(v event.Value, steps []plan.Step, path []event.Value) (depth int, at event.Value) {
	if len(steps) == 0 {
		return 0, v
	}
	down := func(next event.Value, path []event.Value) {
		if d, x := reach(next, steps[1:], path); !next.IsAbsent() && d+1 > depth {
			depth, at = d+1, x
		}
	}
	at = v
	switch {
	case steps[0].Kind == plan.StepKey:
		if len(path) > 0 && event.Equal(path[0], steps[0].Key) {
			path = path[1:]
		} else {
			path = nil
		}
		down(v.Index(steps[0].Key), path)
	case len(path) > 0:
		down(v.Index(path[0]), path[1:])
	default:
		for _, m := range v.Members() {
			down(m, nil)
		}
		for _, m := range v.AsMap().All() {
			if depth == len(steps) {
				break
			}
			down(m, nil)
		}
	}
	return depth, at
}

// absent tells of the paths that were never found, in the order of the query;
// part says that there are cuts that weren't looked at.
func (e *engine) absent(part bool) []AbsentPath {
	part = part || e.q.Nodes != nil
	var out []AbsentPath
	for _, s := range e.missing {
		if s.depth < len(s.ref.Steps) && !e.credible(s, part) {
			a := s.tell()
			a.Part = part
			out = append(out, a)
		}
	}
	return out
}

// credible reports whether a path that wasn't found is most likely written well: it
// leads to a variable that the History has elsewhere, or into log net, which has
// entries for what happened alone.
func (e *engine) credible(s *sought, part bool) bool {
	if !e.derived(s.ref) {
		return s.depth == 0 && part && len(s.ref.Vars) > 0
	}
	switch step := s.ref.Steps[s.depth]; {
	case s.depth == 0:
		return true
	case s.depth == 3: // into a message that was under way: all have the same fields
		return false
	case s.depth > 3: // into its data, and each kind of message has its own
		return s.tell().Nearest == ""
	case step.Kind == plan.StepKey && step.Key.Type() == event.TypeString: // a peer
		return s.depth == 1 && slices.Contains(e.w.names, step.Key.AsString())
	}
	return true
}

// derived reports whether a path is of log net, as this engine makes it.
func (e *engine) derived(r *plan.Ref) bool {
	if e.net == nil || r.Path.Log != "net" {
		return false
	}
	return slices.ContainsFunc(r.Vars, func(c plan.Candidate) bool {
		id := history.VarID(c.Var)
		return id == e.net.sent || id == e.net.received || id == e.net.inflight
	})
}

func (s *sought) tell() AbsentPath {
	r := s.ref
	text := func(steps []syntax.Step) string { return pathText(r.Path.Log, steps) }
	a := AbsentPath{Path: text(r.Path.Steps), Pos: r.Pos}
	if s.depth == 0 {
		return a
	}
	a.Pos, a.Below = r.Path.Steps[s.depth].Pos, text(r.Path.Steps[:s.depth])
	var names []string
	for k := range s.at.AsMap().All() {
		if k.Type() == event.TypeString {
			names = append(names, k.AsString())
		}
	}
	a.Has = names[:min(len(names), hasMax)]
	step := r.Path.Steps[s.depth]
	word := step.Name
	if k := r.Steps[s.depth].Key; step.Kind == syntax.StepIndex {
		word = k.AsString()
	}
	if near, ok := syntax.Nearest(word, names); ok {
		steps := append([]syntax.Step(nil), r.Path.Steps...)
		if step.Kind == syntax.StepIndex {
			steps[s.depth].Index = &syntax.String{Value: near}
		} else {
			steps[s.depth].Name = near
		}
		a.Nearest = text(steps)
	}
	return a
}

// A pairing is what an = or != has compared so far.
type pairing struct {
	matched bool // types were equal once, or one side was null
	first   Unequal
}

// paired counts that an = or != has compared two values, or an IN one of its
// members.
func (e *env) paired(x *plan.Binary, a, b value) {
	p := &e.pairs[x.Equality]
	switch {
	case p.matched || a.isBot() || b.isBot():
	case a.rank() == b.rank() || a.isNull() || b.isNull():
		p.matched = true
	case p.first.Count == 0:
		p.first = Unequal{Op: x.Op, Pos: x.Pos, Left: a.typeName(), Right: b.typeName(), Count: 1}
		if s, ok := x.R.(*plan.Spread); ok && s.Ref != nil {
			p.first.path = s.Ref.Text
		}
	default:
		p.first.Count++
	}
}

// unequal tells of the = and != whose types never matched, in the order of the
// query.
func (e *env) unequal() []Unequal {
	var out []Unequal
	for i := range e.pairs {
		if p := &e.pairs[i]; !p.matched && p.first.Count > 0 {
			out = append(out, p.first)
		}
	}
	return out
}

// typeName is the type of a for a person.
func (a value) typeName() string {
	switch {
	case a.isInt():
		return event.TypeInt.String()
	case a.isOwnSet():
		return event.TypeSet.String()
	}
	return a.v.Type().String()
}

// pathText is a path with its keys in double quotes: a shell's are single.
func pathText(log string, steps []syntax.Step) string {
	text := syntax.Print(&syntax.Path{Log: log, Steps: steps[:1]})
	for _, s := range steps[1:] {
		key, isString := s.Index.(*syntax.String)
		switch {
		case s.Kind == syntax.StepField:
			text += strings.TrimPrefix(syntax.Print(&syntax.Path{Log: "x", Steps: []syntax.Step{s}}), "x")
		case s.Kind == syntax.StepAll:
			text += "[*]"
		case isString:
			text += "[" + string(event.String(key.Value).AppendJSON(nil)) + "]"
		default:
			text += "[" + syntax.Print(s.Index) + "]"
		}
	}
	return text
}

// Note is the remark for a person: its Render shows the place in the query.
func (a *AbsentPath) Note() *syntax.Error {
	e := &syntax.Error{Pos: a.Pos}
	switch field := strings.TrimPrefix(a.Path, a.Below+"."); {
	case a.Events && a.Part:
		e.Msg = "no event " + a.Below + " that was looked at has " + field
	case a.Events:
		e.Msg = "no event " + a.Below + " has " + field
	case a.Part:
		e.Msg = a.Path + " was present on no node asked at any cut that was looked at"
	default:
		e.Msg = a.Path + " was present on no node at any cut"
	}
	switch {
	case a.Nearest != "":
		e.Hint = "did you mean " + a.Nearest + "?"
	case len(a.Has) > 0:
		e.Hint = a.Below + " had " + strings.Join(a.Has, ", ")
		if len(a.Has) == hasMax {
			e.Hint += ", …"
		}
	case a.Below != "":
		e.Hint = a.Below + " was present, without that part"
	}
	return e
}

// Note is the remark for a person: its Render shows the place in the query.
func (u *Unequal) Note() *syntax.Error {
	what, never := " compares "+article(u.Left)+" with "+article(u.Right), "equal"
	hint := typesHint(u.Left, u.Right)
	switch u.Op {
	case syntax.Ne:
		never = "anything but unequal"
	case syntax.In, syntax.NotIn:
		what, never = " looks for "+article(u.Left)+" where there is "+article(u.Right), "found"
		if u.path != "" && (u.Right == event.TypeSet.String() || u.Right == event.TypeList.String()) {
			hint = "FLATTEN(" + u.path + ") has the members of each node's " + u.Right
		}
	}
	times := "once"
	if u.Count > 1 {
		times = strconv.FormatUint(u.Count, 10) + " times"
	}
	return &syntax.Error{Pos: u.Pos, Msg: u.Op.String() + what + ", " + times + ": never " + never, Hint: hint}
}

func article(noun string) string {
	if noun != "" && strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}
