package stepper

import (
	"errors"
	"fmt"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/machine"
)

// A glutton takes as much of a thing as it is told.
type glutton struct{ N int64 }

func (g *glutton) Step(ctx *machine.Context, ev event.Event) {
	var what string
	var n int
	if _, err := fmt.Sscan(string(ev.Payload), &what, &n); err != nil {
		return
	}
	for i := range n {
		switch what {
		case "effects":
			ctx.Log("info", "more")
		case "timers":
			ctx.SetTimer(fmt.Sprint(i), 1, nil)
		case "internal":
			ctx.Send("n1", "glutton", nil)
		}
	}
}

func TestEachBoundHoldsAtTheLimitAndOnePastIt(t *testing.T) {
	reg := machine.Registry{"glutton": {1: func() machine.Machine { return &glutton{} }}}
	for what, c := range map[string]struct {
		o   Options
		max int
	}{
		"effects":  {Options{MaxEffects: 10}, 10},
		"timers":   {Options{MaxTimers: 3}, 3},
		"internal": {Options{MaxInternal: 5}, 5},
	} {
		for n, over := range map[int]bool{c.max: false, c.max + 1: true} {
			o := c.o
			o.Registry = reg
			d := started(t, o)
			_, err := d.try(event.Event{Kind: event.Request, Machine: "glutton", Payload: fmt.Appendf(nil, "%s %d", what, n)})
			var limit *LimitError
			if errors.As(err, &limit) != over || !over && err != nil || over && limit.Max != c.max {
				t.Errorf("%d %s with a bound of %d: %v", n, what, c.max, err)
			}
		}
	}
}

func TestEventsToBeSkippedAreBounded(t *testing.T) {
	d := started(t, Options{})
	for i := range maxSkips {
		d.do(event.Event{Kind: event.Control, Name: event.ControlSkip, Payload: mustMarshal(event.SkipInfo{Seq: 1<<40 + uint64(i)})})
	}
	_, err := d.try(event.Event{Kind: event.Control, Name: event.ControlSkip, Payload: mustMarshal(event.SkipInfo{Seq: 1 << 50})})
	var limit *LimitError
	if !errors.As(err, &limit) || limit.Max != maxSkips {
		t.Errorf("one more than %d events to be skipped: %v", maxSkips, err)
	}
}
