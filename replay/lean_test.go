package replay

import (
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/stepper"
)

// TestALeanReplayHasTheSameVariables compares, event by event, the variables of a
// lean replay with those of a whole one.
func TestALeanReplayHasTheSameVariables(t *testing.T) {
	r := newRig(t, "n1", "n2").open().put(60).kill().open().put(40)
	r.note(event.NoteLink, event.NoteInfo{Peer: "n2", State: "down"}).stop()
	whole, res := r.replayed(Options{})
	lean, leanRes := r.replayed(Options{Lean: true})
	if res.Events != leanRes.Events || len(leanRes.Problems) > 0 {
		t.Fatalf("%+v and %+v", res, leanRes)
	}
	events, bare := allEvents(t, whole), allEvents(t, lean)
	if len(events) != len(bare) {
		t.Fatalf("%d and %d events", len(events), len(bare))
	}
	for i := range events {
		if bare[i].Position != events[i].Position || bare[i].ID != "" || bare[i].Effects != nil || !bare[i].Data.IsAbsent() {
			t.Fatalf("event %d is %+v, of %+v", i, bare[i], events[i])
		}
	}
	for _, v := range []string{"store.items", "index.keys", "node.up", "node.boot", "node.link", "node.version"} {
		for _, e := range events {
			if a, b := at(t, whole, "n1", e.Seq, v), at(t, lean, "n1", e.Seq, v); !event.Equal(a, b) {
				t.Fatalf("%s after event %d is %s, and in the lean replay %s", v, e.Seq, a, b)
			}
		}
	}
}

func TestAReplayWithoutAHistoryComparesAllTheSame(t *testing.T) {
	r := newRig(t, "n1", "n2").open().put(60).kill().open().put(40).stop()
	var last uint64
	o := Options{Registry: r.reg, Last: func(node string, st *stepper.Stepper) {
		if node == "n1" {
			last = st.Seq()
		}
	}}
	res, err := Node(t.Context(), r.source(), nil, o)
	if err != nil || len(res.Problems) > 0 || res.Events == 0 || last == 0 || last > res.Last {
		t.Errorf("%+v, the last event is %d, %v", res, last, err)
	}
	// keepsAGlobal differs at its first event, whoever replays it.
	bad := newRig(t, "n1")
	bad.reg = machine.Registry{"store": {1: func() machine.Machine { return &keepsAGlobal{} }}}
	bad.open().put(40).stop()
	_, with := bad.replayed(Options{})
	res, err = Node(t.Context(), bad.source(), nil, Options{Registry: bad.reg})
	if err != nil || with.Divergence() == nil || res.Divergence() == nil || with.Divergence().Seq != res.Divergence().Seq {
		t.Errorf("with a History it diverges with %v, without with %v, %v", with.Divergence(), res.Divergence(), err)
	}
}
