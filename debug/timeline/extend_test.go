package timeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/history"
)

// A counter counts the entries that are walked.
type counter struct {
	history.Source
	n *int
}

type countingCursor struct {
	history.Cursor
	n *int
}

func (c counter) Walk(ctx context.Context, from, to history.Position, nodes []int) (history.Cursor, error) {
	cur, err := c.Source.Walk(ctx, from, to, nodes)
	return countingCursor{cur, c.n}, err
}

func (c countingCursor) Next() (*history.Event, error) {
	e, err := c.Cursor.Next()
	if err == nil {
		*c.n++
	}
	return e, err
}

// inside is all that an Index knows.
func inside(x *Index) string {
	out := fmt.Sprint(x.events, x.linked, x.depth, x.links, x.ways, x.losses.all, x.losses.reasons)
	for i := range x.lanes {
		l := &x.lanes[i]
		out += fmt.Sprintln("\n", l.times, l.order, l.depth, l.class, l.classes, l.seqs, l.ups)
	}
	return out
}

// whole is all that is drawn of an Index.
func whole(t *rapid.T, x *Index) string {
	out := ""
	for a := Time; a <= Depth; a++ {
		from, to, _ := x.Span(a)
		f, err := x.Frame(View{Axis: a, From: from, To: to, Columns: 7})
		if err != nil {
			t.Fatal(err)
		}
		out += fmt.Sprint(f.Cells, f.Down, f.Events)
	}
	return out
}

// Extended in pieces, an Index is that of all built at once, reads each entry once, and
// those that it was extended from stay as they were.
func TestAnIndexExtendedInPiecesIsThatOfTheWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src := world(rt)
		tail := history.NewTail(0)
		if err := tail.Grow(src.Meta()); err != nil {
			rt.Fatal(err)
		}
		c, err := src.Walk(rt.Context(), history.Begin, history.End, nil)
		if err != nil {
			rt.Fatal(err)
		}
		defer c.Close()
		x, walked, entries := New(), 0, 0
		type earlier struct {
			x    *Index
			said string
		}
		var past []earlier
		extend := func() {
			y, err := x.Extend(rt.Context(), counter{tail.Now(), &walked})
			if err != nil {
				rt.Fatal(err)
			}
			x = y
			past = append(past, earlier{x, whole(rt, x)})
		}
		for {
			e, err := c.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				rt.Fatal(err)
			}
			if err := tail.Feed(e); err != nil {
				rt.Fatal(err)
			}
			entries++
			if rapid.IntRange(0, 9).Draw(rt, "extend") == 0 {
				extend()
			}
		}
		tail.End()
		extend()
		if got, want := inside(x), inside(linked(rt, src)); got != want {
			rt.Fatalf("extended\n%s\nbuilt\n%s", got, want)
		}
		if walked != entries {
			rt.Fatalf("%d entries were read of %d", walked, entries)
		}
		for _, p := range past {
			if now := whole(rt, p.x); now != p.said {
				rt.Fatalf("an index that was extended was\n%s\nand is\n%s", p.said, now)
			}
		}
	})
}

func TestAnIndexIsExtendedOnce(t *testing.T) {
	tail := history.NewTail(0)
	if err := tail.Grow(&history.Meta{Nodes: []history.Node{{Name: "n1"}}}); err != nil {
		t.Fatal(err)
	}
	x := New()
	if _, err := x.Extend(t.Context(), tail.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Extend(t.Context(), tail.Now()); !errors.Is(err, ErrExtended) {
		t.Errorf("a second time: %v", err)
	}
	built, err := Build(t.Context(), tail.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := built.Extend(t.Context(), tail.Now()); !errors.Is(err, ErrExtended) {
		t.Errorf("one that was built: %v", err)
	}
}
