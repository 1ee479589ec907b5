package replay

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/loop"
	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		os.Exit(program())
	}
	goleak.VerifyTestMain(m)
}

// What the store takes and gives.
type (
	Put  struct{ Key, Value string }
	Done struct{ N int }
	Seen struct{ Key string }
	Die  struct{}
)

// store keeps values and tells its peers; it counts in an index on its own node,
// and sweeps now and then.
type store struct {
	Items  machine.Map[string, string]
	N      int
	Sweeps int
}

func (*store) Payloads() []any { return []any{Put{}, Done{}, Seen{}, Die{}} }

func (s *store) Step(ctx *machine.Context, ev event.Event) {
	switch b := ev.Body.(type) {
	case event.StartInfo:
		ctx.SetTimer("sweep", time.Second, nil)
	case Put:
		s.N++
		s.Items.Put(b.Key, b.Value)
		if ev.Kind == event.Request {
			ctx.Reply(ev.ID, Done{s.N})
			for _, p := range ctx.Peers() {
				ctx.Send(p, "store", b)
			}
			ctx.Send(ctx.Node(), "index", Seen{b.Key})
			ctx.Call("mail", Done{s.N})
		}
	case Die:
		panic("asked to")
	}
	if ev.Kind == event.Timer {
		s.Sweeps++
		ctx.Log("info", "swept %d items", s.Items.Len())
		ctx.SetTimer("sweep", time.Second, nil)
	}
}

// storeTwo writes in capitals.
type storeTwo struct{ store }

func (s *storeTwo) UpgradeFrom(old machine.Machine) error {
	s.store = *old.(*store)
	return nil
}

func (s *storeTwo) Step(ctx *machine.Context, ev event.Event) {
	if b, ok := ev.Body.(Put); ok {
		b.Value = strings.ToUpper(b.Value)
		ev.Body = b
	}
	s.store.Step(ctx, ev)
}

type index struct {
	Keys machine.Set[string]
}

func (*index) Payloads() []any { return []any{Seen{}} }

func (x *index) Step(_ *machine.Context, ev event.Event) {
	if b, ok := ev.Body.(Seen); ok {
		x.Keys.Add(b.Key)
	}
}

func registry(versions int) machine.Registry {
	r := machine.Registry{
		"store": {1: func() machine.Machine { return &store{} }},
		"index": {1: func() machine.Machine { return &index{} }},
	}
	if versions > 1 {
		r["store"][2] = func() machine.Machine { return &storeTwo{} }
	}
	return r
}

// A rig is a node that is driven by hand: no goroutine, no disk, a clock that
// moves when told.
type rig struct {
	t     testing.TB
	name  string
	peers []string
	fs    *vfs.Mem
	reg   machine.Registry
	jopts func(*journal.Options)
	every uint64 // events between checkpoints

	j     *journal.Journal
	l     *loop.Loop
	clock hlc.Reading
	next  uint64 // request
	nonce uint32
	sent  []loop.Output
	logs  map[uint64][]string // by sequence number
}

var epoch = hlc.FromTime(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))

func newRig(t testing.TB, name string, peers ...string) *rig {
	return &rig{t: t, name: name, peers: peers, fs: vfs.NewMem(), reg: registry(1), every: 1 << 40,
		clock: hlc.Reading{Wall: epoch}, logs: map[uint64][]string{}}
}

// open starts the node.
func (r *rig) open() *rig {
	r.t.Helper()
	o := journal.Options{FS: r.fs, Dir: r.name + "/journal", Node: r.name, SegmentBytes: 64 << 10, HostBoot: "host",
		Nonce: func() uint32 { r.nonce++; return r.nonce * 7919 }}
	if r.jopts != nil {
		r.jopts(&o)
	}
	j, err := journal.Open(o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.j = j
	r.l, err = loop.Open(loop.Config{Journal: j, FS: r.fs, Checkpoints: r.name + "/checkpoints", Registry: r.reg,
		Node: r.name, Peers: r.peers, Build: "b1", Arch: "any", Seed: 1, CheckpointEvery: r.every}, r.clock)
	if err != nil {
		r.t.Fatal(err)
	}
	r.run()
	return r
}

func (r *rig) tick(d time.Duration) *rig {
	r.clock.Wall, r.clock.Mono = r.clock.Wall.Add(d), r.clock.Mono+d
	return r
}

// run polls until nothing comes any more.
func (r *rig) run() {
	r.t.Helper()
	if err := r.poll(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) poll() error {
	for quiet := 0; quiet < 3; quiet++ {
		outs, err := r.l.Poll(r.clock)
		if err != nil {
			return err
		}
		for i := range outs {
			quiet = 0
			if err := r.do(&outs[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rig) do(o *loop.Output) error {
	switch o.Kind {
	case loop.OutputSync:
		durable, err := r.j.Sync()
		if err != nil {
			return err
		}
		r.l.Synced(durable)
		return r.j.Maintain()
	case loop.OutputCeiling:
		if err := r.j.RaiseCeiling(o.Time); err != nil {
			return err
		}
		r.l.CeilingSynced(o.Time)
	case loop.OutputCheckpoint:
		h := checkpoint.Header{Node: r.name, Boot: r.l.Boot(), Seq: o.Seq, Time: o.Time, Physical: o.Physical, Chain: o.Chain, Versions: o.Versions}
		if err := checkpoint.Write(r.fs, r.name+"/checkpoints", h, o.Body); err != nil {
			return err
		}
		r.j.SetRetainFrom(o.Seq + 1)
		return r.j.Maintain()
	case loop.OutputSend:
		o.Frame.Payload = append([]byte(nil), o.Frame.Payload...)
		r.sent = append(r.sent, *o)
	case loop.OutputLog:
		r.logs[o.Seq] = append(r.logs[o.Seq], string(o.Effect.Payload))
	}
	return nil
}

func encode(t testing.TB, body any) (name string, version uint32, payload []byte) {
	t.Helper()
	codec, err := state.NewCodec((&store{}).Payloads())
	if err != nil {
		t.Fatal(err)
	}
	name, version, payload, err = codec.Encode(body)
	if err != nil {
		t.Fatal(err)
	}
	return name, version, payload
}

// ask offers a request and runs.
func (r *rig) ask(body any) *rig {
	r.t.Helper()
	r.offer(body)
	r.run()
	return r
}

func (r *rig) offer(body any) {
	r.t.Helper()
	r.next++
	name, version, payload := encode(r.t, body)
	f := record.Frame{Kind: event.Request, Machine: "store", Name: name, Version: version, Payload: payload,
		ID: event.MessageID{Node: r.name + ".client", Boot: r.l.Boot(), Seq: r.next}}
	for range 3 {
		err := r.l.Offer(&f)
		if err == nil {
			return
		}
		if err := r.j.Maintain(); err != nil {
			r.t.Fatal(err)
		}
	}
	r.t.Fatal("the journal takes nothing")
}

// put asks for n Puts.
func (r *rig) put(n int) *rig {
	r.t.Helper()
	for range n {
		r.tick(time.Millisecond).ask(Put{fmt.Sprintf("k%d", r.next%7), fmt.Sprintf("v%d", r.next)})
	}
	return r
}

func (r *rig) note(name string, info event.NoteInfo) *rig {
	r.t.Helper()
	if err := r.l.Note(name, info); err != nil {
		r.t.Fatal(err)
	}
	r.run()
	return r
}

// stop ends the node in order, kill as SIGKILL does.
func (r *rig) stop() *rig {
	r.t.Helper()
	r.note(event.NoteStop, event.NoteInfo{Boot: r.l.Boot()})
	if _, err := r.j.Sync(); err != nil {
		r.t.Fatal(err)
	}
	if err := r.j.Close(); err != nil {
		r.t.Fatal(err)
	}
	return r
}

func (r *rig) kill() *rig {
	old := r.j
	r.fs = r.fs.Restart()
	if err := old.Close(); err != nil { // its files are no longer those of r.fs
		r.t.Fatal(err)
	}
	return r
}

// source is the node's journal as what replay reads.
func (r *rig) source() Journal {
	return Journal{Node: r.name, Build: "b1", FS: r.fs, Dir: r.name + "/journal", Checkpoints: r.name + "/checkpoints"}
}

// replayed replays the node alone in memory.
func (r *rig) replayed(o Options) (*history.Mem, Result) {
	r.t.Helper()
	if o.Registry == nil {
		o.Registry = r.reg
	}
	b := history.NewBuilder()
	w, err := b.Node(r.name, "b1")
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := Node(r.t.Context(), r.source(), w, o)
	if err != nil {
		r.t.Fatal(err)
	}
	m, err := b.Build()
	if err != nil {
		r.t.Fatal(err)
	}
	return m, res
}

// deliver hands over what nodes sent one another; lost may drop a message.
func deliver(t testing.TB, rigs []*rig, lost func(o *loop.Output) bool) {
	t.Helper()
	for again := true; again; {
		again = false
		for _, from := range rigs {
			sent := from.sent
			from.sent = nil
			for i := range sent {
				again = true
				if lost != nil && lost(&sent[i]) {
					from.note(event.NoteDrop, event.NoteInfo{Peer: sent[i].Node, Message: sent[i].Frame.ID.String(), Name: sent[i].Frame.Name, Reason: "link cut"})
					continue
				}
				for _, to := range rigs {
					if to.name != sent[i].Node {
						continue
					}
					if err := to.l.Offer(&sent[i].Frame); err != nil {
						t.Fatal(err)
					}
					to.run()
				}
			}
		}
	}
}

// record copies nodes into a recording.
func recordRigs(t testing.TB, fsys vfs.FS, rigs ...*rig) *recording.Recording {
	t.Helper()
	rec, err := recording.Create(fsys, "rec", recording.Manifest{Service: "store", Tool: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rigs {
		n := recording.Node{Name: r.name, Build: "b1", Boot: 1}
		if err := rec.CopyNode(t.Context(), n, r.fs, r.name, recording.CopyOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := rec.Save(); err != nil {
		t.Fatal(err)
	}
	return rec
}

// at returns the value of a variable on a node after the event seq.
func at(t testing.TB, src history.Source, node string, seq uint64, variable string) event.Value {
	t.Helper()
	i, ok := src.Meta().NodeIndex(node)
	if !ok {
		t.Fatalf("no node %s", node)
	}
	id, ok := src.Meta().VarID(variable)
	if !ok {
		t.Fatalf("no variable %s", variable)
	}
	e, err := src.Event(t.Context(), i, seq)
	if err != nil {
		t.Fatal(err)
	}
	p := e.Position
	p.Seq++
	c, err := src.Walk(t.Context(), p, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.States()[i].Get(id)
}

// events returns all events of a History in walk order.
func allEvents(t testing.TB, src history.Source) []history.Event {
	t.Helper()
	n := int(src.Meta().Events)
	out, err := src.Before(t.Context(), history.End, n, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// find returns the events of a kind and name.
func find(events []history.Event, kind, name string) []history.Event {
	var out []history.Event
	for _, e := range events {
		if e.Kind == kind && e.Name == name {
			out = append(out, e)
		}
	}
	return out
}

func hash(t testing.TB, src history.Source) string {
	t.Helper()
	h, err := history.Hash(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var recordingCopyAll = recording.CopyOptions{}

func contextWithCancel(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

func frameOf(id event.MessageID, name string, version uint32, payload []byte) record.Frame {
	return record.Frame{Kind: event.Message, Machine: "store", From: "store", Name: name, Version: version, ID: id, Payload: payload}
}
