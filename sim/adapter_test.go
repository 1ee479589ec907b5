package sim_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/sim"
)

// caller asks the outside at its start, and keeps what came of it.
type caller struct{ Got machine.List[string] }

func (*caller) Payloads() []any { return []any{Value{}} }

func (c *caller) Step(ctx *machine.Context, ev event.Event) {
	switch ev.Kind {
	case event.Start:
		ctx.Call("clock", Value{1})
		ctx.Call("broken", Value{2})
		ctx.Call("missing", Value{3})
	case event.Result:
		c.Got.Append("result " + ev.From)
	case event.Refused:
		c.Got.Append("refused " + string(ev.Payload))
	}
}

func TestAMachineCallsTheOutside(t *testing.T) {
	var got []string
	s := &sim.Subject{Name: "caller", Machines: machine.Registry{"caller": {1: func() machine.Machine { return &caller{} }}},
		Setup: func(w *sim.World) {
			w.Cluster(1)
			w.Adapter("clock", func(_ *sim.Node, body any) (any, time.Duration, error) {
				return Value{body.(Value).N + 1}, 50 * time.Millisecond, nil
			})
			w.Adapter("broken", func(*sim.Node, any) (any, time.Duration, error) { return nil, 0, errors.New("out of order") })
			w.Invariant("look", func(n *sim.Node) error {
				got = nil
				if m, ok := n.Machine("caller").(*caller); ok {
					for _, g := range m.Got.All() {
						got = append(got, g)
					}
				}
				return nil
			})
		}}
	run(t, s, sim.Options{Faults: []sim.Fault{}, Quick: true})
	text := strings.Join(got, "\n")
	for _, want := range []string{"result clock", "refused out of order", `refused this node has no adapter "missing"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q isn't in\n%s", want, text)
		}
	}
}

// In some runs shadow replicas take the checkpoints: whatever happens to their
// nodes, they agree with them.
func TestShadowReplicasAgree(t *testing.T) {
	checkpoints := 0
	for seed := range uint64(6) {
		r := run(t, subject(nil), sim.Options{Seed: seed, Quick: true, Set: map[string]string{"shadows": "true", "checkpointEvery": "50"}})
		if r.Failure != nil {
			t.Errorf("%s", describe(r))
		}
		for _, n := range r.World().Nodes() {
			checkpoints += n.Checkpoints()
		}
	}
	if checkpoints == 0 {
		t.Error("no shadow wrote a checkpoint")
	}
}
