// Package html writes what a debugger shows of a moment as one HTML file: a
// space-time diagram of the events around it, the event with all that came of it, the
// state of every node, the notebook. The file needs no server, no script and nothing
// from elsewhere, so it can be mailed, printed and kept; its own
// Content-Security-Policy forbids all of that. What was recorded is text in it and
// nothing else.
package html

import (
	"context"
	"errors"
	"io"

	"hindcast.dev/history"
)

// Bounds on what a page shows.
const (
	rowsMax    = 400   // events drawn
	rowsSpan   = 60    // of a stretch that nobody chose a moment of
	entryMax   = 200   // entries of one map
	leavesMax  = 5_000 // values of all nodes together
	valueMax   = 2_000 // columns of one value
	payloadMax = 20_000
	tableRows  = 200
	lanesMax   = 60
)

// A View is what is shown.
type View struct {
	Title string        // what is opened
	Meta  *history.Meta // of the History
	At    history.Position
	// Events are those drawn, in the order of the walk; Before and After are how many
	// the History has on either side of them.
	Events        []history.Event
	Before, After uint64
	// First are the nodes' variables before the first of Events, Was and Now those
	// before and after the event at At; nil for a node that hasn't begun.
	First, Was, Now []*history.State
	// Lost says of messages that were never received why, "" if that is unknown.
	Lost map[string]string
	// Fates says what became of the event's effects, in their order; the zero
	// Fate says nothing.
	Fates []Fate
	// Cause is the event that this one came of, if it is known.
	Cause   history.Position
	Caused  bool
	Marks   []Mark
	Queries []Table
}

// A Fate is what became of a message.
type Fate struct {
	Text string
	Lost bool // it was never received
}

// A Mark is a place of the notebook.
type Mark struct {
	Name, Note string
	At         history.Position
}

// A Table is the rows of a query.
type Table struct {
	Title   string
	Columns []string
	Rows    [][]string
	More    bool // there are more
}

// WriteSpan writes the end of a stretch: its last events, and the cut behind them.
func WriteSpan(ctx context.Context, w io.Writer, src history.Source, from, to history.Position) error {
	es, err := src.Before(ctx, to, rowsSpan, nil)
	if err != nil {
		return err
	}
	for len(es) > 0 && es[0].Position.Compare(from) < 0 {
		es = es[1:]
	}
	v := &View{Meta: src.Meta(), Events: es}
	if len(es) == 0 {
		return errors.New("there is no event in that time")
	}
	v.At = es[len(es)-1].Position
	if err := v.Fill(ctx, src); err != nil {
		return err
	}
	return v.Write(w)
}

// Fill reads the states, and how many events there are around.
func (v *View) Fill(ctx context.Context, src history.Source) (err error) {
	at := func(p history.Position) []*history.State {
		var c history.Cursor
		if err != nil {
			return nil
		}
		if c, err = history.WalkThrough(ctx, src, p, p, nil, history.Lens{All: true}); err != nil {
			return nil
		}
		defer c.Close()
		return c.States()
	}
	if len(v.Events) > 0 {
		v.First = at(v.Events[0].Position)
	}
	if v.At == history.Begin {
		v.Now = at(v.At)
		return err
	}
	v.Was, v.Now = at(v.At), at(v.At.After())
	return err
}

// event is the one at At, if it is among those drawn.
func (v *View) event() *history.Event {
	for i := range v.Events {
		if v.Events[i].Position == v.At {
			return &v.Events[i]
		}
	}
	return nil
}
