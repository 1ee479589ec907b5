package transport

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func faults(o *Options) { o.AllowFaults = true }

// set switches a fault.
func (h *host) set(peer string, f Fault) {
	h.t.Helper()
	if err := h.SetFault(peer, f); err != nil {
		h.t.Fatal(err)
	}
}

func TestFaultSwitchesExistOnlyWhereAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n1 := start(t, newNetwork(), "n1", nil, "n2")
		if err := n1.SetFault("n2", Fault{CutOut: true}); !errors.Is(err, ErrFaultsOff) {
			t.Errorf("%v", err)
		}
		stop(n1)
		n1 = start(t, newNetwork(), "n1", faults, "n2")
		for _, f := range []Fault{{Drop: 1.1}, {Drop: -0.1}, {Delay: -1}} {
			if n1.SetFault("n2", f) == nil {
				t.Errorf("%+v is taken", f)
			}
		}
		if n1.SetFault("n9", Fault{}) == nil {
			t.Error("a fault on an unknown peer is taken")
		}
		n1.set("n2", Fault{Drop: 0.5})
		if f := n1.Stats().Peers["n2"].Fault; f != (Fault{Drop: 0.5}) || f != n1.Fault("n2") {
			t.Errorf("fault %+v", f)
		}
		stop(n1)
	})
}

func TestAnOutgoingCutIsOneWayNoticedAndHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n1, n2 := start(t, n, "n1", faults, "n2"), start(t, n, "n2", nil, "n1")
		settle(time.Second)
		n1.links, n2.links = nil, nil
		n1.set("n2", Fault{CutOut: true})
		n1.put("n2", 1, 2)
		n1.want("drops", &n1.drops, dropsOf("n2", "n1", 1, 2, DropCut)...)
		settle(10 * time.Second)
		n1.want("links", &n1.links, "n2 down: no answer for 1s")
		n2.put("n1", 1, 2)
		n1.want("got from behind the cut", &n1.got, ids("n2", 1, 2)...)
		n2.want("links", &n2.links)
		n2.want("drops", &n2.drops)
		if s := n1.Stats().Peers["n2"]; s.Up || s.Dropped[DropCut] != 2 || !s.Fault.CutOut {
			t.Errorf("stats %+v", s)
		}
		n1.set("n2", Fault{})
		n1.put("n2", 3, 3)
		n1.want("links", &n1.links, "n2 up: connected to boot 1")
		n2.want("got", &n2.got, ids("n1", 3, 3)...)
		stop(n1, n2)
	})
}

func TestACutDropsWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n1 := start(t, newNetwork(), "n1", faults, "n2")
		n1.put("n2", 1, 2)
		n1.set("n2", Fault{CutOut: true})
		n1.want("drops", &n1.drops, dropsOf("n2", "n1", 1, 2, DropCut)...)
		stop(n1)
	})
}

func TestAnIncomingCutIsToldByBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n1, n2 := start(t, n, "n1", nil, "n2"), start(t, n, "n2", faults, "n1")
		settle(time.Second)
		n1.links, n2.links = nil, nil
		n2.set("n1", Fault{CutIn: true})
		n1.put("n2", 1, 2)
		n2.want("drops", &n2.drops, dropsOf("n1", "n1", 1, 2, DropCutIn)...)
		n2.want("got", &n2.got)
		settle(2 * time.Second)
		n1.want("links", &n1.links, "n2 down: no answer for 1s")
		n1.want("drops", &n1.drops, dropsOf("n2", "n1", 1, 2, DropInDoubt)...)
		n2.put("n1", 1, 2)
		n1.want("got", &n1.got, ids("n2", 1, 2)...)
		if e := n2.Stats().Errors; e[CauseCut] == 0 {
			t.Errorf("n2 hasn't cut a connection: %v", e)
		}
		n2.set("n1", Fault{})
		settle(2 * time.Second)
		n1.put("n2", 3, 3)
		n2.want("got", &n2.got, ids("n1", 3, 3)...)
		n2.want("links", &n2.links)
		stop(n1, n2)
	})
}

func TestAnIncomingCutThatHealsInTimeLeavesTheConnectionAndItsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n1, n2 := start(t, n, "n1", nil, "n2"), start(t, n, "n2", faults, "n1")
		settle(time.Second)
		n2.set("n1", Fault{CutIn: true})
		n1.put("n2", 1, 2)
		synctest.Wait()
		n2.set("n1", Fault{})
		n1.put("n2", 3, 3)
		n2.want("got", &n2.got, ids("n1", 3, 3)...)
		n2.want("drops", &n2.drops, dropsOf("n1", "n1", 1, 2, DropCutIn)...)
		n1.want("drops", &n1.drops)
		if s := n1.Stats().Peers["n2"]; s.Acked != 3 || s.Connects != 1 {
			t.Errorf("stats %+v", s)
		}
		stop(n1, n2)
	})
}

func TestADelayKeepsOrderAlsoWhenItIsShortened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n1, n2 := start(t, n, "n1", faults, "n2"), start(t, n, "n2", nil, "n1")
		settle(time.Second)
		n1.set("n2", Fault{Delay: 700 * time.Millisecond})
		n1.put("n2", 1, 2)
		n1.set("n2", Fault{})
		n1.put("n2", 3, 3)
		settle(699 * time.Millisecond)
		n2.want("got early", &n2.got)
		settle(time.Millisecond)
		n2.want("got", &n2.got, ids("n1", 1, 3)...)
		stop(n1, n2)
	})
}

func TestADropProbabilityDropsByChanceAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		draws := []float64{0, 0.3, 0.29, 0.9}
		n1 := start(t, n, "n1", func(o *Options) { o.AllowFaults = true }, "n2")
		n2 := start(t, n, "n2", nil, "n1")
		settle(time.Second)
		n1.o.Random = func() float64 { d := draws[0]; draws = draws[1:]; return d }
		n1.set("n2", Fault{Drop: 0.3})
		n1.put("n2", 1, 4)
		want := slices.Concat(dropsOf("n2", "n1", 1, 1, DropFault), dropsOf("n2", "n1", 3, 3, DropFault))
		n1.want("drops", &n1.drops, want...)
		n2.want("got", &n2.got, "n1/1/2/0", "n1/1/4/0")
		n1.o.Random = func() float64 { return 0.999 }
		n1.set("n2", Fault{Drop: 1})
		n1.put("n2", 5, 6)
		n1.want("drops", &n1.drops, dropsOf("n2", "n1", 5, 6, DropFault)...)
		stop(n1, n2)
	})
}
