package loop_test

import (
	"slices"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/loop"
	"hindcast.dev/machine"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// An opaque is a machine around a library's object, which counts from where it
// was opened and can't be exported.
type opaque struct {
	Base    int64 // what the object was opened with
	Counted int64 // what it has counted since
	Opened  int64
	object  *library
}

type library struct{ base, counted int64 }

func newOpaque() machine.Machine { return &opaque{} }

func (*opaque) Payloads() []any { return []any{Add{}, Sum{}} }

func (o *opaque) Step(ctx *machine.Context, ev event.Event) {
	switch m := ev.Body.(type) {
	case event.StartInfo:
		o.Reopen()
	case Add:
		o.object.counted += m.By
		o.Counted = o.object.counted
		ctx.Reply(ev.ID, Sum{o.object.base*1000 + o.object.counted})
	case nil:
		if ev.Kind == event.Control && ev.Name == event.ControlReopen {
			o.Base, o.Counted, o.Opened = o.Base+o.Counted, 0, o.Opened+1
			ctx.Log("info", "reopened with %d", o.Base)
		}
	}
}

func (o *opaque) Reopen() { o.object = &library{base: o.Base} }

func opaqueRig(t *testing.T, every uint64) *rig {
	return newRig(t, vfs.NewMem(), func(c *loop.Config) {
		c.Registry = machine.Registry{"counter": {1: newOpaque}}
		c.CheckpointEvery = every
	})
}

func (r *rig) opaque() *opaque { return r.l.Stepper().Machine("counter").(*opaque) }

// add offers so many Adds of one.
func (r *rig) add(n int) {
	r.t.Helper()
	for range n {
		r.offer(Add{1})
		r.run()
	}
}

func TestCheckpointsOfAReopeningMachineStandBehindReopenEvents(t *testing.T) {
	r := opaqueRig(t, 10)
	r.mustOpen()
	r.add(50)
	if r.opaque().Opened < 4 {
		t.Fatalf("reopened %d times", r.opaque().Opened)
	}
	rd, err := r.j.NewReader(1)
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	var reopened []uint64
	for range r.l.Seq() {
		e, err := rd.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.Frame.Kind == event.Control && e.Frame.Name == event.ControlReopen {
			reopened = append(reopened, e.Stamp.Seq)
		}
	}
	taken, err := checkpoint.List(r.fs, "n1/checkpoints")
	if err != nil || len(taken) == 0 {
		t.Fatal(taken, err)
	}
	for _, seq := range taken {
		if !slices.Contains(reopened, seq) {
			t.Errorf("checkpoint at %d, reopen events at %v", seq, reopened)
		}
	}
	if int(r.l.Stats().Checkpoints) != len(reopened) {
		t.Errorf("%d checkpoints of %d reopen events", r.l.Stats().Checkpoints, len(reopened))
	}
}

func TestAReopeningMachineGoesOnAfterACrashAsIfNothingHappened(t *testing.T) {
	for adds := 1; adds < 30; adds++ {
		r := opaqueRig(t, 10)
		r.mustOpen()
		r.add(adds)
		before, object := *r.opaque(), *r.opaque().object
		r.j.Close()
		r.mustOpen()
		after := *r.opaque()
		if after.Opened > before.Opened { // the notes of this start made a checkpoint due
			if *after.object != (library{base: int64(adds)}) || after.Counted != 0 {
				t.Fatalf("after %d adds, reopened: %+v, %+v", adds, after, *after.object)
			}
			continue
		}
		if *after.object != object {
			t.Fatalf("after %d adds: the object is %+v, was %+v", adds, *after.object, object)
		}
		after.object, before.object = nil, nil
		if after != before {
			t.Fatalf("after %d adds: %+v, was %+v", adds, after, before)
		}
	}
}

func TestACheckpointThatIsAskedForWhileIdleIsTaken(t *testing.T) {
	r := opaqueRig(t, 1<<40)
	r.mustOpen()
	r.add(3)
	r.l.WantCheckpoint()
	r.run()
	if got := r.l.Stats().Checkpoints; got != 1 {
		t.Fatalf("%d checkpoints", got)
	}
	seq := r.l.Seq()
	r.l.WantCheckpoint()
	r.run()
	if r.l.Stats().Checkpoints != 1 || r.l.Seq() != seq {
		t.Error("a second one without an event between them")
	}
}

func TestAReopenEventWaitsForRoom(t *testing.T) {
	r := opaqueRig(t, 1<<40)
	r.journal = func(o *journal.Options) { o.Backlog = 4 << 10 }
	r.mustOpen()
	f := frame(t, event.Request, event.MessageID{Node: "n1.client", Boot: 1}, 0, Add{1})
	for r.l.Offer(&f) == nil {
		f.ID.Seq++
	}
	if f.ID.Seq == 0 {
		t.Fatal("nothing was taken")
	}
	r.l.WantCheckpoint()
	if _, err := r.l.Poll(r.clock); err != nil {
		t.Fatal(err)
	}
	if got := r.opaque(); got.Opened != 0 || got.Counted == 0 {
		t.Fatalf("reopened without room: %+v", got)
	}
	r.run()
	if got := r.l.Stats().Checkpoints; got != 1 || r.opaque().Opened != 1 {
		t.Fatalf("%d checkpoints once there is room", got)
	}
}

func TestAShadowOfAReopeningMachineTakesItsCheckpointAtAReopenEvent(t *testing.T) {
	r := opaqueRig(t, 1<<40)
	r.mustOpen()
	st, err := stepper.New(stepper.Options{Node: "n1", Registry: machine.Registry{"counter": {1: newOpaque}}})
	if err != nil {
		t.Fatal(err)
	}
	rd, err := r.j.NewReader(1)
	if err != nil {
		t.Fatal(err)
	}
	s := loop.NewShadow(st, rd, r.j.Skip)
	defer s.Close()
	r.add(5)
	if _, err := s.Advance(1<<20, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.TakeCheckpoint(); err != nil || !s.Waits() {
		t.Fatalf("taken at once, %v", err)
	}
	r.l.WantReopen()
	r.add(5)
	if _, err := s.Advance(1<<20, nil); err != nil {
		t.Fatal(err)
	}
	o, ok := s.Confirmed()
	if !ok || s.Waits() {
		t.Fatal("no checkpoint was taken at the reopen event")
	}
	if r.l.Stats().Checkpoints != 0 {
		t.Error("the loop took one too, which nobody asked it for")
	}
	h := checkpoint.Header{Node: "n1", Boot: r.l.Boot(), Seq: o.Seq, Time: o.Time, Physical: o.Physical, Chain: o.Chain, Versions: o.Versions}
	if err := checkpoint.Write(r.fs, "n1/checkpoints", h, o.Body); err != nil {
		t.Fatal(err)
	}
	want := *r.opaque().object
	r.j.Close()
	r.mustOpen()
	if got := *r.opaque().object; got != want || r.l.Stats().Replayed == 0 {
		t.Errorf("from the shadow's checkpoint: %+v, was %+v; replayed %d", got, want, r.l.Stats().Replayed)
	}
}

func TestWantReopenMeansNothingToOtherMachines(t *testing.T) {
	r := newRig(t, vfs.NewMem(), func(c *loop.Config) { c.Durability = journal.Group })
	r.mustOpen()
	seq := r.l.Seq()
	r.l.WantReopen()
	r.run()
	if r.l.Seq() != seq {
		t.Errorf("%d events came of it", r.l.Seq()-seq)
	}
}
