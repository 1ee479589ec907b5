package replay

import (
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/journal"
	"hindcast.dev/machine"
)

// A sealed store counts with an object that it can't export, from where that was
// opened.
type sealed struct {
	store
	Base   int
	Opened int
	counts *int
}

func newSealed() machine.Machine { return &sealed{} }

func (s *sealed) Step(ctx *machine.Context, ev event.Event) {
	if _, ok := ev.Body.(event.StartInfo); ok {
		s.Reopen()
	}
	if ev.Kind == event.Control && ev.Name == event.ControlReopen {
		s.Base, s.Opened = s.N, s.Opened+1
		return
	}
	n := s.N
	s.store.Step(ctx, ev)
	*s.counts += s.N - n
	s.N = s.Base + *s.counts // by the object alone
}

func (s *sealed) Reopen() { s.counts = new(int) }

func TestAReopeningMachineReplaysAlikeFromTheStartAndFromACheckpoint(t *testing.T) {
	for _, retains := range []bool{false, true} {
		r := newRig(t, "n1", "n2")
		r.reg = machine.Registry{"store": {1: newSealed}}
		r.every = 100
		if retains {
			r.jopts = func(o *journal.Options) { o.SegmentBytes, o.RetainBytes = 16<<10, 32<<10 }
		}
		r.open().put(500).kill().open().put(30).stop()
		m, res := r.replayed(Options{})
		if len(res.Problems) > 0 || retains != (res.Base > 0) || res.First != res.Base+1 {
			t.Fatalf("retains %t: result %+v", retains, res)
		}
		last := m.Meta().Nodes[0].Last.Seq
		if v, _ := at(t, m, "n1", last, "store.n").AsInt(); v != 530 {
			t.Errorf("retains %t: store.n is %d at the end", retains, v)
		}
		if v, _ := at(t, m, "n1", last, "store.opened").AsInt(); v < 5 {
			t.Errorf("retains %t: store.opened is %d at the end", retains, v)
		}
		if n := len(find(allEvents(t, m), "control", event.ControlReopen)); !retains && n < 5 {
			t.Errorf("%d reopen events in the History", n)
		}
	}
}
