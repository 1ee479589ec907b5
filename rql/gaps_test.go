package rql

import (
	"context"
	"slices"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// flapping feeds a Stream events of n1, while n2 comes and goes between them.
func flapping(t *testing.T, text string, flaps int, events bool) (*Stream, *[]*Row) {
	t.Helper()
	meta := &history.Meta{Nodes: []history.Node{{Name: "n1"}, {Name: "n2"}}, Vars: []history.Var{{Name: "x.a", Nodes: []int{0}}}}
	q, err := Compile(meta, text)
	if err != nil {
		t.Fatal(err)
	}
	var rows []*Row
	s, err := q.Stream(context.Background(), meta, Options{}, func(r *Row) error {
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	at, seq := hlc.Timestamp(1<<32), uint64(0)
	feed := func() {
		seq++
		ev := &history.Event{Position: history.Position{Time: at, Seq: seq}, Changes: []history.Change{{Value: event.Int(int64(seq))}}}
		if err := s.Feed(ev); err != nil {
			t.Fatal(err)
		}
		at += 1 << 16
	}
	for feed(); flaps > 0; flaps-- {
		span := history.Span{From: at, To: hlc.Max}
		s.Gap(1, span)
		at += 1 << 16
		if events {
			feed()
		}
		span.To = at
		s.Gap(1, span)
		at += 1 << 16
	}
	feed()
	return s, &rows
}

// A node that comes and goes for weeks costs a Stream no more than one that does
// once, whether or not there are events meanwhile.
func TestAStreamForgetsGapsThatAreOver(t *testing.T) {
	for _, events := range []bool{true, false} {
		s, _ := flapping(t, "SELECT x.a FROM x WHEN (PREVIOUSLY x.a > 0) FOR 10us EMIT ENTER", 3000, events)
		g := s.r.gaps
		if n := len(g.spans[1]); n > 0 || cap(g.spans[1]) > gapsMax+1 {
			t.Errorf("%d gaps are kept after all are over, in a slice of %d", n, cap(g.spans[1]))
		}
		if w := g.walk.(*coming); len(w.known) > 8 || cap(w.wanted) > 8 {
			t.Errorf("%d events are known, %d waited for", len(w.known), cap(w.wanted))
		}
		if sum, err := s.Close(); err != nil || !slices.Equal(sum.Incomplete, []string{"n2"}) {
			t.Errorf("summary %+v, %v: want it to say that something of n2 is missing", sum, err)
		}
	}
}

func TestARowThatLastedOverAForgottenGapIsIncomplete(t *testing.T) {
	s, rows := flapping(t, "SELECT x.a FROM x WHEN x.a > 0 EMIT INTERVALS", 100, true)
	if _, err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(*rows) != 1 || !(*rows)[0].Incomplete {
		t.Errorf("rows %v, want one that is incomplete", *rows)
	}
}
