package history_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// TestChangesWithOneRouteHaveOnePath writes paths that look alike, some of them
// twice, under Routes that mean nothing.
func TestChangesWithOneRouteHaveOnePath(t *testing.T) {
	paths := []string{`a.m["x"].v`, `a.m["x"]`, `a.m["xv"]`, `a.m["x"].v`, `b.m["x"].v`, `a.m["x"].v.w`,
		`a.m["x"]["v.w"]`, `a.m[1]`, `a.m["1"]`, `b.n`, `b.m["x"].v`, `a.m["x"].v`}
	b := history.NewBuilder()
	var nodes [2]history.NodeWriter
	for i := range nodes {
		w, err := b.Node(fmt.Sprintf("n%d", i), "")
		if err != nil {
			t.Fatal(err)
		}
		nodes[i] = w
	}
	for i, p := range paths {
		name, path, err := event.ParsePath(p)
		if err != nil {
			t.Fatal(err)
		}
		w := nodes[i%2]
		e := history.Event{Position: history.Position{Time: hlc.Timestamp(i + 1), Seq: uint64(i/2 + 1)},
			Changes: []history.Change{{Var: w.Var(name), Route: uint32(i%3 + 1), Path: path, Value: event.Int(int64(i))}}}
		if err := w.Append(&e); err != nil {
			t.Fatal(err)
		}
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	routes := map[uint32]string{}
	for i, c := range changes(t, src) {
		text := event.PathString(src.Meta().Vars[c.Var].Name, c.Path)
		if want := event.PathString(parsed(t, paths[i])); text != want {
			t.Errorf("change %d is of %s, want %s", i, text, want)
		}
		if was, ok := routes[c.Route]; ok && was != text && c.Route != 0 {
			t.Errorf("route %d is that of %s and of %s", c.Route, was, text)
		}
		routes[c.Route] = text
	}
	if len(routes) != 8 { // of 7 paths made of texts, and 0
		t.Errorf("%d routes, want 7 and that of what has none: %v", len(routes), routes)
	}
}

func parsed(t *testing.T, text string) (string, []event.Value) {
	name, path, err := event.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return name, path
}

func changes(t *testing.T, src history.Source) (out []history.Change) {
	cur, err := src.Walk(context.Background(), history.Begin, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	for {
		ev, err := cur.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ev.Changes...)
	}
}
