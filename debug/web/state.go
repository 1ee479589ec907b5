package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"hindcast.dev/debug"
	"hindcast.dev/event"
	"hindcast.dev/history"
)

// Bounds on an answer about the state.
const (
	childrenMax    = 500
	previewColumns = 120
	statesKept     = 8
)

// states keeps the states of the cuts that were asked for last. What it gives isn't
// changed.
type states struct {
	mu   sync.Mutex
	kept []keptStates // the one used last at the end
}

type keptStates struct {
	src    history.Source
	at     history.Position
	states []*history.State
	was    *history.State
}

// goesOn reports whether what is at a cut of a History is that of another one, too.
func goesOn(src, earlier history.Source) bool {
	m, ok := history.Unwrap(src).(*history.Moment)
	return src == earlier || ok && m.Continues(earlier)
}

// at returns the states of all nodes just after the event at p, and was, that of the
// event's node just before it, which is nil at the beginning. They share what the
// event didn't change, so that they are compared at the cost of what it did.
func (s *states) at(ctx context.Context, src history.Source, p history.Position) (all []*history.State, was *history.State, err error) {
	s.mu.Lock()
	s.kept = slices.DeleteFunc(s.kept, func(k keptStates) bool { return !goesOn(src, k.src) })
	i := slices.IndexFunc(s.kept, func(k keptStates) bool { return k.at == p })
	if i >= 0 {
		k := s.kept[i]
		s.kept = append(slices.Delete(s.kept, i, i+1), k)
		s.mu.Unlock()
		return k.states, k.was, nil
	}
	s.mu.Unlock()
	if all, was, err = statesAround(ctx, src, p); err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == statesKept {
		s.kept = slices.Delete(s.kept, 0, 1)
	}
	s.kept = append(s.kept, keptStates{src, p, all, was})
	return all, was, nil
}

func statesAround(ctx context.Context, src history.Source, p history.Position) (all []*history.State, was *history.State, err error) {
	c, err := history.WalkThrough(ctx, src, p, p.After(), nil, history.Lens{All: true})
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	all = c.States()
	if p == history.Begin {
		return all, nil, nil
	}
	was = all[p.Node].Clone()
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return all, was, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if e.Base {
			was.ApplyAll(e.Changes) // it says what was, and changes nothing
		}
		if all[p.Node] == nil {
			all[p.Node] = history.NewState()
		}
		all[p.Node].ApplyAll(e.Changes)
	}
}

// A child is a variable, or what is one step inside a value.
type child struct {
	Key     string `json:"key"`  // as shown
	Path    string `json:"path"` // to ask for what is inside
	Type    string `json:"type"`
	Size    int    `json:"size,omitempty"` // how many are inside
	Text    string `json:"text"`
	Changed bool   `json:"changed,omitempty"` // by the event at the cut
	Bulky   bool   `json:"bulky,omitempty"`   // not all of it is known
}

// state answers with what a path leads to, on all nodes or one: ?at=&node=&path=
// &skip=. Without a path these are the variables.
func (s *Server) state(w http.ResponseWriter, r *http.Request) error {
	p, now, err := s.atOfTab(r)
	if err != nil {
		return err
	}
	src := now.src
	all, before, err := s.states.at(r.Context(), src, p)
	if err != nil {
		return err
	}
	meta := src.Meta()
	q := r.URL.Query()
	skip, _ := strconv.Atoi(q.Get("skip"))
	type nodeState struct {
		Node     int     `json:"node"`
		Known    bool    `json:"known"` // something of it is recorded up to here
		Children []child `json:"children"`
		More     int     `json:"more,omitempty"`
	}
	var out []nodeState
	for n := range meta.Nodes {
		if name := q.Get("node"); name != "" && name != meta.Nodes[n].Name {
			continue
		}
		ns := nodeState{Node: n, Known: all[n] != nil, Children: []child{}}
		if all[n] != nil {
			l := lister{meta: meta, node: n, now: all[n], skip: max(skip, 0), at: p}
			if n == p.Node && p != history.Begin {
				l.was = before
			}
			if err := l.list(q.Get("path")); err != nil {
				return problemf(http.StatusBadRequest, "", "path: %v", err)
			}
			ns.Children, ns.More = append(ns.Children, l.children...), l.more
		}
		out = append(out, ns)
	}
	writeJSON(w, http.StatusOK, map[string]any{"place": now.place(p), "nodes": out})
	return nil
}

// A lister lists what is at a path in the state of a node.
type lister struct {
	meta     *history.Meta
	node     int
	at       history.Position
	now, was *history.State // was is nil where nothing is to be marked
	skip     int
	children []child
	more     int
}

func (l *lister) list(path string) error {
	if path == "" {
		for id := range l.meta.Vars {
			v := history.VarID(id)
			now, bulky := l.now.Get(v), l.meta.Vars[id].BulkyAt(l.node, l.at.Time)
			if now.IsAbsent() && !bulky && (l.was == nil || l.was.Get(v).IsAbsent()) {
				continue
			}
			var was event.Value
			if l.was != nil {
				was = l.was.Get(v)
			}
			if !l.take() {
				continue
			}
			l.add(l.meta.Vars[id].Name, event.PathString(l.meta.Vars[id].Name, nil), now, was, bulky)
		}
		return nil
	}
	name, steps, err := event.ParsePath(path)
	if err != nil {
		return err
	}
	id, ok := l.meta.VarID(name)
	if !ok {
		return nil
	}
	now, was := into(l.now, id, steps), event.Absent
	if l.was != nil {
		was = into(l.was, id, steps)
	}
	l.inside(name, steps, now, was)
	return nil
}

func into(s *history.State, id history.VarID, steps []event.Value) event.Value {
	v := s.Get(id)
	for _, k := range steps {
		v = v.Index(k)
	}
	return v
}

// inside lists the members of a value, and those that the event took out of it.
func (l *lister) inside(name string, steps []event.Value, now, was event.Value) {
	add := func(k, now event.Value) {
		if l.take() {
			in := append(steps[:len(steps):len(steps)], k)
			l.add(scalarText(k), event.PathString(name, in), now, was.Index(k), false)
		}
	}
	switch now.Type() {
	case event.TypeMap:
		listed := 0
		for k, v := range now.AsMap().All() {
			if listed++; len(l.children) == childrenMax {
				l.more += now.Len() - listed + 1
				break
			}
			add(k, v)
		}
		if was.Type() != event.TypeMap || event.Equal(now, was) {
			return
		}
		for k := range was.AsMap().All() {
			if now.Index(k).IsAbsent() {
				add(k, event.Absent)
			}
		}
	case event.TypeList, event.TypeSet:
		for i, v := range now.Members() {
			add(event.Int(int64(i)), v)
		}
	}
}

// take reports whether the next child is to be listed.
func (l *lister) take() bool {
	switch {
	case l.skip > 0:
		l.skip--
		return false
	case len(l.children) == childrenMax:
		l.more++
		return false
	}
	return true
}

func (l *lister) add(key, path string, now, was event.Value, bulky bool) {
	c := child{Key: key, Path: path, Type: now.Type().String(), Bulky: bulky, Text: debug.Preview(now, previewColumns)}
	switch now.Type() {
	case event.TypeMap, event.TypeList, event.TypeSet:
		c.Size = now.Len()
	}
	c.Changed = l.was != nil && !event.Equal(now, was)
	l.children = append(l.children, c)
}
