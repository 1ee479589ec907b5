package web

import (
	"context"
	"strings"

	"hindcast.dev/debug"
	"hindcast.dev/event"
)

// A stateSearch looks for a text in states.
type stateSearch struct {
	text    string // in lower case
	ctx     context.Context
	found   []found
	visited int
	over    bool
}

// done reports whether the search ends before everything is looked at.
func (f *stateSearch) done() bool { return f.over }

func (f *stateSearch) in(node int, name string, v event.Value) {
	f.value(node, name, nil, name, v)
}

// value looks at what a path leads to, whose last step is shown as key.
func (f *stateSearch) value(node int, name string, steps []event.Value, key string, v event.Value) {
	const visitsPerLook = 4096
	f.visited++
	if f.visited > visitedMax || f.visited%visitsPerLook == 0 && f.ctx.Err() != nil {
		f.over = true
	}
	if f.over {
		return
	}
	if f.has(key) || !holdsMore(v) && f.has(scalarText(v)) {
		f.add(node, name, steps, v)
	}
	switch v.Type() {
	case event.TypeMap:
		for k, m := range v.AsMap().All() {
			f.value(node, name, append(steps[:len(steps):len(steps)], k), scalarText(k), m)
			if f.over {
				return
			}
		}
	case event.TypeList:
		for i, m := range v.Members() {
			f.value(node, name, append(steps[:len(steps):len(steps)], event.Int(int64(i))), "", m)
			if f.over {
				return
			}
		}
	case event.TypeSet:
		for _, m := range v.Members() { // there is no way into a set: it is found as a whole
			if !holdsMore(m) && f.has(scalarText(m)) {
				f.add(node, name, steps, event.Set(m))
				break
			}
		}
	}
}

func (f *stateSearch) add(node int, name string, steps []event.Value, v event.Value) {
	if len(f.found) == foundMax {
		f.over = true
		return
	}
	f.found = append(f.found, found{node, event.PathString(name, steps), debug.Preview(v, previewColumns)})
}

func (f *stateSearch) has(s string) bool {
	return len(s) >= len(f.text) && strings.Contains(strings.ToLower(s), f.text)
}

func holdsMore(v event.Value) bool {
	switch v.Type() {
	case event.TypeMap, event.TypeList, event.TypeSet:
		return true
	}
	return false
}

// scalarText is a value as it is shown, a text without its quotes.
func scalarText(v event.Value) string {
	if v.Type() == event.TypeString {
		return v.AsString()
	}
	return debug.FormatValue(v)
}
