package sim_test

import (
	"strings"
	"testing"

	"hindcast.dev/sim"
)

func TestFailureIsCertainOnceItHasHappenedAndNotBefore(t *testing.T) {
	o := failing(t, 1, map[string]string{"operations": "100", "network": "asynchronous", "network.doubles": "true", "network.double": "0.01", "fault.double": "false"})
	b := &sim.Branch{Subject: tally(), Options: o, Futures: 12, Workers: 2}
	var seen []sim.Chance
	from, ok, err := b.Scan(t.Context(), 4, 3, func(c sim.Chance) { seen = append(seen, c) })
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) < 5 || seen[0].Event != 0 || seen[4].Event <= seen[3].Event {
		t.Fatalf("moments %v", seen)
	}
	for _, c := range seen {
		if c.Runs != 12 || c.Low > c.P() || c.High < c.P() || c.Low < 0 || c.High > 1 {
			t.Errorf("%+v: want the probability inside its interval", c)
		}
	}
	if last := seen[4]; ok && last.P() < 0.9 || !ok && last.P() >= 0.9 {
		t.Errorf("just before it happens %v, inevitable from %v: %t", last, from, ok)
	}
	again, err := b.At(t.Context(), sim.Moment{Event: seen[2].Event, At: seen[2].At})
	if err != nil || again != seen[2] {
		t.Errorf("the second time %v, %v; the first %v", again, err, seen[2])
	}
}

func TestMomentIsFoundByTheWorldsEventAndByANodes(t *testing.T) {
	o := sim.Options{Seed: 1, Set: map[string]string{"operations": "20"}}
	m, err := sim.Find(tally(), o, "", 100)
	if err != nil || m.Event != 100 || m.At <= 0 {
		t.Errorf("event 100: %v, %v", m, err)
	}
	n, err := sim.Find(tally(), o, "n2", 5)
	if err != nil || n.Event == 0 {
		t.Errorf("n2:5: %v, %v", n, err)
	}
	if _, err = sim.Find(tally(), o, "n9", 5); err == nil || !strings.Contains(err.Error(), `"n9"`) {
		t.Errorf("a node that isn't there: %v", err)
	}
	if _, err = sim.Find(tally(), o, "", 1e9); err == nil || !strings.Contains(err.Error(), "the run has") {
		t.Errorf("an event that isn't there: %v", err)
	}
}
