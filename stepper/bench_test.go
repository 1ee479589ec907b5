package stepper

import (
	"fmt"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/machine"
)

// A store is a machine that holds much and touches little.
type store struct {
	Items machine.Map[string, order]
}

type fill struct{ N int }

func (*store) Payloads() []any { return []any{buy{}, fill{}} }

func (s *store) Step(ctx *machine.Context, ev event.Event) {
	switch b := ev.Body.(type) {
	case fill:
		for i := range b.N {
			s.Items.Put(fmt.Sprint(i), order{})
		}
	case buy:
		s.Items.Put(b.Key, order{b.Item, int(ev.Seq)})
		ctx.Reply(ev.ID, b)
	}
}

// none takes changes and keeps nothing.
type none struct{}

func (none) Change(string, []event.Value, event.Value) {}
func (none) Bulky(string)                              {}

// An event costs what it touches, whatever the state holds: live, and with the
// changes of replay.
func BenchmarkStepWithStateOf(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		for name, on := range map[string]Changes{"live": nil, "replay": none{}} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				reg := machine.Registry{"shop": {1: func() machine.Machine { return &store{} }}}
				d := started(b, Options{Registry: reg, OnChange: on})
				d.do(payload(event.Request, "fill", fill{n}))
				if got := d.s.Machine("shop").(*store).Items.Len(); got != n {
					b.Fatalf("the map has %d entries, want %d", got, n)
				}
				events := make([]event.Event, 1024)
				for i := range events {
					events[i] = payload(event.Request, "buy", buy{fmt.Sprint(i * 97 % n), "item"})
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					d.do(events[i&1023])
					i++
				}
			})
		}
	}
}

// A ledger has a plain map, and something else that events change.
type ledger struct {
	Plain map[int]int
	N     int
}

func (l *ledger) Step(_ *machine.Context, ev event.Event) {
	if ev.Kind == event.Request && l.Plain == nil {
		l.Plain = map[int]int{}
		for i := range len(ev.Payload) {
			l.Plain[i] = i
		}
	}
	l.N++
}

// An event beside a large plain map costs the same as beside a small one, unless
// somebody asked for the map.
func BenchmarkStepBesideAPlainMapOf(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		for name, walk := range map[string]func(string) bool{"left": nil, "walked": func(v string) bool { return v == "l.plain" }} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				reg := machine.Registry{"l": {1: func() machine.Machine { return &ledger{} }}}
				d := started(b, Options{Registry: reg, OnChange: none{}, Walk: walk})
				d.do(event.Event{Kind: event.Request, Machine: "l", Payload: make([]byte, n)})
				for b.Loop() {
					d.do(event.Event{Kind: event.Request, Machine: "l"})
				}
			})
		}
	}
}
