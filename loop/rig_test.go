package loop_test

import (
	"fmt"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/faultpoint"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/loop"
	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
	"hindcast.dev/vfs"
)

// What the counter takes and gives.
type (
	Add struct{ By int64 }
	Sum struct{ N int64 }
	Ask struct{ After time.Duration } // answered by a timer
	Die struct{}
)

// counter adds up. It tells its peers of every Add and answers requests.
type counter struct {
	N     int64
	Told  int64 // by peers
	Asked event.MessageID
	Fired int64
}

func (*counter) Payloads() []any { return []any{Add{}, Sum{}, Ask{}, Die{}} }

func (c *counter) Step(ctx *machine.Context, ev event.Event) {
	switch m := ev.Body.(type) {
	case Add:
		c.N += m.By
		if ev.Kind == event.Message {
			c.Told++
			return
		}
		ctx.Reply(ev.ID, Sum{c.N})
		for _, p := range ctx.Peers() {
			ctx.Send(p, "counter", m)
		}
	case Ask:
		if ev.Kind == event.Timer {
			c.Fired++
			ctx.Reply(c.Asked, Sum{c.N})
			return
		}
		c.Asked = ev.ID
		ctx.SetTimer("ask", m.After, m)
	case Die:
		panic("asked to")
	}
}

// A second version of the counter counts in tens.
type counterTwo struct{ counter }

func (c *counterTwo) UpgradeFrom(old machine.Machine) error {
	c.counter = *old.(*counter)
	return nil
}

func (c *counterTwo) Step(ctx *machine.Context, ev event.Event) {
	switch m := ev.Body.(type) {
	case Add:
		m.By *= 10
		ev.Body = m
	case Die:
		ctx.Log("info", "not this time")
		return
	}
	c.counter.Step(ctx, ev)
}

func registry(versions int) machine.Registry {
	v := machine.Versions{1: func() machine.Machine { return &counter{} }}
	if versions > 1 {
		v[2] = func() machine.Machine { return &counterTwo{} }
	}
	return machine.Registry{"counter": v}
}

// A rig drives one loop by hand: no goroutine, a clock that moves when told, a
// memory file system. It does what outputs ask for, and keeps the rest.
type rig struct {
	t          testing.TB
	fs         vfs.FS
	j          *journal.Journal
	l          *loop.Loop
	clock      hlc.Reading
	request    uint64
	noSync     bool // don't do what sync outputs ask for
	noMaintain bool // nor Maintain
	got        []loop.Output
	cfg        func(*loop.Config)
	journal    func(*journal.Options)
	faults     *faultpoint.Set
}

var epoch = hlc.FromTime(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))

func newRig(t testing.TB, fs vfs.FS, cfg func(*loop.Config)) *rig {
	r := &rig{t: t, fs: fs, cfg: cfg, clock: hlc.Reading{Wall: epoch}}
	return r
}

// open starts the node; it may have run before.
func (r *rig) open() error {
	r.t.Helper()
	nonce := uint32(r.request)
	o := journal.Options{FS: r.fs, Dir: "n1/journal", Node: "n1", SegmentBytes: 64 << 10, Faults: r.faults,
		Durability: journal.Group, Nonce: func() uint32 { nonce++; return nonce*7919 + 1 }}
	if r.journal != nil {
		r.journal(&o)
	}
	j, err := journal.Open(o)
	if err != nil {
		return err
	}
	c := loop.Config{Journal: j, FS: r.fs, Checkpoints: "n1/checkpoints", Registry: registry(1),
		Node: "n1", Peers: []string{"n2", "n3"}, Build: "test", Arch: "any", Seed: 1, Durability: o.Durability, Faults: r.faults}
	if r.cfg != nil {
		r.cfg(&c)
	}
	r.j = j
	if r.l, err = loop.Open(c, r.clock); err != nil {
		j.Close()
	}
	return err
}

func (r *rig) mustOpen() {
	r.t.Helper()
	if err := r.open(); err != nil {
		r.t.Fatalf("open: %v", err)
	}
	r.run()
}

// tick moves both clocks.
func (r *rig) tick(d time.Duration) {
	r.clock.Wall = r.clock.Wall.Add(d)
	r.clock.Mono += d
}

// run polls until nothing more comes.
func (r *rig) run() {
	r.t.Helper()
	if err := r.poll(); err != nil {
		r.t.Fatalf("poll: %v", err)
	}
}

func (r *rig) poll() error {
	for quiet := 0; quiet < 2; {
		outs, err := r.l.Poll(r.clock)
		if err != nil {
			return err
		}
		quiet++
		for _, o := range outs {
			quiet = 0
			if err := r.do(o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rig) do(o loop.Output) error {
	switch o.Kind {
	case loop.OutputSync:
		if r.noSync {
			return nil
		}
		durable, err := r.j.Sync()
		if err != nil {
			return err
		}
		r.l.Synced(durable)
		if r.noMaintain {
			return nil
		}
		return r.j.Maintain()
	case loop.OutputCeiling:
		if err := r.j.RaiseCeiling(o.Time); err != nil {
			return err
		}
		r.l.CeilingSynced(o.Time)
	case loop.OutputCheckpoint:
		h := checkpoint.Header{Node: "n1", Boot: r.l.Boot(), Seq: o.Seq, Time: o.Time, Physical: o.Physical, Chain: o.Chain, Versions: o.Versions}
		return checkpoint.WriteWith(r.fs, "n1/checkpoints", h, o.Body, r.faults)
	default:
		r.got = append(r.got, o)
	}
	return nil
}

// diskIsBack syncs what noSync held up, and goes on.
func (r *rig) diskIsBack() {
	r.t.Helper()
	r.noSync = false
	durable, err := r.j.Sync()
	if err != nil {
		r.t.Fatal(err)
	}
	r.l.Synced(durable)
	r.run()
}

// offer appends a request and returns its id.
func (r *rig) offer(body any) event.MessageID {
	r.t.Helper()
	r.request++
	id := event.MessageID{Node: "n1.client", Boot: r.l.Boot(), Seq: r.request}
	f := frame(r.t, event.Request, id, 0, body)
	if err := r.l.Offer(&f); err != nil {
		r.t.Fatalf("offer: %v", err)
	}
	return id
}

func frame(t testing.TB, kind event.Kind, id event.MessageID, sent hlc.Timestamp, body any) record.Frame {
	t.Helper()
	return encoded(t, (&counter{}).Payloads(), kind, id, sent, body)
}

func encoded(t testing.TB, types []any, kind event.Kind, id event.MessageID, sent hlc.Timestamp, body any) record.Frame {
	t.Helper()
	codec, err := state.NewCodec(types)
	if err != nil {
		t.Fatal(err)
	}
	name, version, payload, err := codec.Encode(body)
	if err != nil {
		t.Fatal(err)
	}
	return record.Frame{Kind: kind, Machine: "counter", From: "counter", Name: name, Version: version, ID: id, Sent: sent, Payload: payload}
}

// take returns the outputs kept so far and forgets them.
func (r *rig) take() []loop.Output {
	got := r.got
	r.got = nil
	return got
}

// kinds is what outputs are, in short.
func kinds(outs []loop.Output) string {
	s := ""
	for _, o := range outs {
		if o.Kind != loop.OutputLog {
			s += fmt.Sprintf("%s ", o.Kind)
		}
	}
	return s
}

// counterOf is the machine's state.
func (r *rig) counterOf() counter {
	switch m := r.l.Stepper().Machine("counter").(type) {
	case *counter:
		return *m
	case *counterTwo:
		return m.counter
	}
	r.t.Fatalf("no counter")
	return counter{}
}
