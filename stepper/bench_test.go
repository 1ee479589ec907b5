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

// An event costs what it touches, whatever the state holds: live, and with the
// changes of replay.
func BenchmarkStepWithStateOf(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		for name, on := range map[string]Changes{"live": nil, "replay": none{}} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				reg := machine.Registry{"shop": {1: func() machine.Machine { return &store{} }}}
				d := started(b, Options{Registry: reg, OnChange: on})
				d.do(payload(event.Request, "fill", fill{n}))
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
