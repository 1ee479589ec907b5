package sim

import (
	"errors"
	"fmt"
	"slices"
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
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// Directories on a node's disk, as in a recording.
const (
	journalDir     = "journal"
	checkpointsDir = "checkpoints"
)

// Waits of a node, as package node has them.
const (
	deliverWait = time.Second            // how long a message waits for room in the journal
	idleMax     = time.Second            // a loop is polled at least so often
	overdueWait = 20 * time.Millisecond  // while a timer is due that the journal has no room for
	restartWait = 500 * time.Millisecond // until a start that failed is tried again
)

// A Node is a process of the simulated system: production's loop, journal and
// machines, driven by the world as package node drives them.
type Node struct {
	w     *World
	name  string
	index int
	peers []string

	fs     vfs.FS // disk.mem, or that with faults
	disk   disk
	clock  clock
	points *faultpoint.Set
	arms   []arm     // points where something is to happen
	fault  FaultKind // that is about this node now, the latest; "" for none

	shadow *replica // nil in a run without

	archived []*vfs.Mem // disks that it had before

	up     bool
	life   uint64 // counts starts and deaths: what was meant for another life is stale
	boot   uint64
	j      *journal.Journal
	l      *loop.Loop
	rest   time.Duration // between something to do and the poll that does it
	turns  bool          // a turn is to come
	wakeAt int64         // the wake that counts
	paused int64         // until then it does nothing

	versions  map[string]uint32 // run these; nil is the latest
	replaced  uint64            // above 0: the first boot of the new disk
	asked     uint64            // requests taken in so far
	calls     []*call           // that wait for an answer
	waiting   []waiting         // messages that find no room, in order
	retryAt   int64             // when they are offered again: one turn is to come for it
	retryLife uint64            // in this life
	dieAfter  int               // so many outputs more; below 0: never
	dieBy     *machine.Rand     // the power goes too, if set
	stays     string            // why it doesn't start by itself any more, "" if it does

	moments []moment // in order of time
	looked  uint64   // the last event when it was last looked at whether all is at rest
}

// A waiting message finds no room in the journal, or its node is paused.
type waiting struct {
	m     *message
	call  *call
	until int64
}

// Name is the node's name.
func (n *Node) Name() string { return n.name }

// Up reports whether the node's process runs.
func (n *Node) Up() bool { return n.up }

// Machine is a machine as it is now, nil while the node is down. It is the
// node's own: to be looked at, not changed, and not kept.
func (n *Node) Machine(name string) machine.Machine {
	if !n.up {
		return nil
	}
	return n.l.Stepper().Machine(name)
}

// Seq is the sequence number of the last event, 0 while the node is down.
func (n *Node) Seq() uint64 {
	if !n.up {
		return 0
	}
	return n.l.Seq()
}

// Time is the Timestamp of the node's last event, 0 while it is down.
func (n *Node) Time() hlc.Timestamp {
	if !n.up {
		return 0
	}
	return n.l.Now()
}

// Checkpoints is how many checkpoints are on the node's disk.
func (n *Node) Checkpoints() int {
	seqs, err := checkpoint.List(n.fs, checkpointsDir)
	if err != nil {
		return 0
	}
	return len(seqs)
}

// Cluster makes nodes n1, n2…, all of them peers, that run all of the subject's
// machines, and starts them at virtual time 0. It is called once, in Setup.
func (w *World) Cluster(n int) []*Node {
	if len(w.nodes) > 0 {
		w.misuse("World.Cluster is called twice")
		return nil
	}
	for i := range n {
		w.addNode(fmt.Sprintf("n%d", i+1))
	}
	for _, node := range w.nodes {
		for _, p := range w.nodes {
			if p != node {
				node.peers = append(node.peers, p.name)
			}
		}
		slices.Sort(node.peers)
	}
	w.net.links = make([]link, n*n)
	return w.nodes
}

func (w *World) addNode(name string) {
	n := &Node{w: w, name: name, index: len(w.nodes), dieAfter: -1}
	n.disk = newDisk(n)
	n.rest = time.Duration(w.Rand("node").IntN(100)) * time.Microsecond
	w.nodes = append(w.nodes, n)
	w.byName[name] = n
}

// start brings the process up, after what a crash left.
func (n *Node) start(life uint64) {
	if life != n.life || n.up || n.stays != "" || n.w.misused != nil {
		return
	}
	n.points = faultpoint.New(n.decide)
	err := n.open()
	var clock *loop.ClockError
	switch {
	case n.points.Died() != nil:
		n.cannotStart(n.points.Died())
		return
	case err == nil:
	case errors.As(err, &clock):
		excess := clock.Remembered.Sub(clock.Wall) - clock.MaxDrift
		n.life++
		n.disk.died() // its process ended, and holds the journal no more
		n.startIn(excess + time.Millisecond)
		return
	default:
		n.cannotStart(err)
		return
	}
	n.up, n.boot, n.wakeAt = true, n.j.Boot(), 0
	if err := n.openShadow(); err != nil && !n.disk.isInjected(err) && !n.disk.explains(err) {
		n.judge(err, 0, "has a shadow replica that doesn't start")
		return
	}
	n.w.mix(n.boot, n.life)
	n.turnSoon()
}

// startIn has the node start after a while.
func (n *Node) startIn(d time.Duration) {
	n.w.queue.put(n.w.now+int64(d), happening{kind: happensStart, node: n, tag: n.life})
}

func (n *Node) open() error {
	w := n.w
	o := journal.Options{FS: n.fs, Dir: journalDir, Node: n.name, SegmentBytes: w.phases.segmentBytes, FirstBoot: n.replaced,
		Durability: w.phases.durability, Nonce: n.disk.nonce, WantMaintain: n.disk.wantMaintain, Faults: n.points}
	j, err := journal.Open(o)
	if errors.Is(err, journal.ErrNotNew) { // it died in the middle of its first start
		o.FirstBoot = 0
		j, err = journal.Open(o)
	}
	if err != nil {
		return err
	}
	every := w.phases.checkpointEvery
	if w.phases.shadows {
		every = ^uint64(0)
	}
	l, err := loop.Open(loop.Config{Journal: j, FS: n.fs, Checkpoints: checkpointsDir, Registry: w.subject.Machines,
		Versions: n.versions, Node: n.name, Peers: n.peers, Settings: w.phases.settings, Build: simulatedBuild, Arch: simulatedBuild,
		Seed: w.Rand("node " + n.name).Uint64(), Durability: w.phases.durability, CheckpointEvery: every, Faults: n.points,
		Stepper: stepper.Options{Stack: w.phases.stack}}, n.clock.reading(w.now))
	if err != nil {
		return err // the journal is left as a dead process leaves it
	}
	n.j, n.l = j, l
	n.disk.opened()
	return nil
}

// turnSoon has the loop polled.
func (n *Node) turnSoon() {
	if n.turns || !n.up {
		return
	}
	n.turns = true
	n.w.queue.put(max(n.w.now+int64(n.rest), n.paused), happening{kind: happensTurn, node: n, tag: n.life})
}

// woken is a turn because it is time.
func (n *Node) woken(tag uint64) {
	if !n.up || tag != n.life || n.wakeAt > n.w.now {
		return
	}
	n.wakeAt = 0
	n.turnNow()
}

// turnNow polls the loop at once, unless a turn is to come anyway.
func (n *Node) turnNow() {
	if !n.turns {
		n.turn(n.life)
	}
}

// turn is one Poll of the loop with what belongs to it.
func (n *Node) turn(life uint64) {
	if !n.up || life != n.life {
		return
	}
	if n.paused > n.w.now {
		n.turns = true
		n.w.queue.put(n.paused, happening{kind: happensTurn, node: n, tag: life})
		return
	}
	n.turns = false
	n.offerWaiting()
	before := n.l.Seq()
	outs, err := n.l.Poll(n.clock.reading(n.w.now))
	if n.gone() {
		return
	}
	for i := range outs {
		if n.dieAfter == 0 {
			n.dieNow(n.dieBy)
			return
		}
		n.dieAfter--
		n.perform(&outs[i])
		if n.life != life {
			return
		}
	}
	n.dieAfter = max(n.dieAfter, -1)
	n.w.mix(uint64(n.l.Now()), n.l.Stepper().Chain())
	if err != nil {
		n.stopped(err)
		return
	}
	if after := n.l.Seq(); after != before {
		n.w.steps(n, after-before)
		n.shadowSoon()
		if n.j.Waiting() > 0 || !n.l.Begun() {
			n.turnSoon() // there is more than one batch
		}
	}
	n.setWake()
}

// setWake has the node polled when the next timer is due.
func (n *Node) setWake() {
	if n.turns {
		return
	}
	wait := int64(idleMax)
	if at, ok := n.l.NextDue(); ok {
		wall := n.clock.reading(n.w.now).Wall
		if at <= wall {
			wait = int64(overdueWait)
		} else if d := at.Sub(wall) + hlc.TicksDuration(1); d < idleMax {
			wait = n.clock.world(d)
		}
	}
	at := n.w.now + wait
	if n.wakeAt > n.w.now && n.wakeAt <= at {
		return // it comes first; and then looks again
	}
	n.wakeAt = at
	n.w.queue.put(at, happening{kind: happensWake, node: n, tag: n.life})
}

func (n *Node) perform(o *loop.Output) {
	switch o.Kind {
	case loop.OutputSend:
		to := n.w.byName[o.Node]
		if to == nil {
			return // nobody of this name: the message is never received
		}
		n.w.send(n, to, &o.Frame)
	case loop.OutputReply:
		n.reply(&o.Effect, "")
	case loop.OutputRefusal:
		n.reply(&o.Effect, o.Reason)
	case loop.OutputCall:
		n.w.adapt(n, &o.Effect)
	case loop.OutputSync, loop.OutputCeiling, loop.OutputCheckpoint:
		n.disk.wantOutput(o)
	}
}

// deliver takes a message from the network.
func (n *Node) deliver(m *message) {
	if !n.up {
		if m.from.boot == m.boot {
			m.from.dropped(n, &m.frame, "the peer is down")
		}
		n.w.over(m)
		return
	}
	n.w.cover.message(n, m)
	n.take(waiting{m: m, until: n.w.now + int64(deliverWait)})
}

// take offers something to the loop, behind what waits already.
func (n *Node) take(x waiting) {
	if len(n.waiting) > 0 || n.paused > n.w.now || !n.offer(x) {
		n.waiting = append(n.waiting, x)
	}
	n.turnSoon()
}

// offer reports whether a message or request found room, or never will.
func (n *Node) offer(x waiting) bool {
	var f *record.Frame
	if x.m != nil {
		f = &x.m.frame
	} else {
		if x.call.over {
			return true
		}
		asked := x.call.frame(n)
		f = &asked
	}
	err := n.l.Offer(f)
	noRoom := errors.Is(err, journal.ErrBacklog) || errors.Is(err, journal.ErrFull)
	switch {
	case err == nil && x.call != nil:
		n.calls = append(n.calls, x.call)
	case err == nil:
	case noRoom && n.w.now < x.until:
		n.disk.wantMaintain()
		return false
	case x.m != nil:
		x.m.from.dropped(n, f, err.Error())
	default:
		x.call.answer(n, Answer{Refused: err.Error(), Node: n.name})
	}
	if x.m != nil {
		n.w.over(x.m)
	}
	return true
}

// offerWaiting offers what waits, in order, as far as there is room.
func (n *Node) offerWaiting() {
	done := 0
	for done < len(n.waiting) && n.offer(n.waiting[done]) {
		done++
	}
	n.waiting = slices.Delete(n.waiting, 0, done)
	if len(n.waiting) > 0 && (n.retryAt <= n.w.now || n.retryLife != n.life) {
		n.retryAt, n.retryLife = n.w.now+int64(overdueWait), n.life
		n.w.queue.put(n.retryAt, happening{kind: happensTurn, node: n, tag: n.life})
	}
}

// request takes a client's request.
func (n *Node) request(c *call) {
	if !n.up {
		c.answer(n, Answer{Refused: n.name + " is down", Node: n.name})
		return
	}
	n.w.cover.request(n, c)
	n.take(waiting{call: c, until: n.w.now + int64(deliverWait)})
}

// reply hands an answer to the client who waits for it.
func (n *Node) reply(e *event.Effect, refused string) {
	if e.More || e.ID.Boot != n.boot {
		return
	}
	i := slices.IndexFunc(n.calls, func(c *call) bool { return c.id == e.ID })
	if i < 0 {
		return
	}
	c := n.calls[i]
	n.calls = slices.Delete(n.calls, i, i+1)
	a := Answer{Refused: refused, Node: n.name}
	if refused == "" {
		body, err := n.w.codecs.decode(c.op.Machine, e)
		if err != nil {
			n.w.fail(&Failure{Kind: Safety, Property: "replies decode", Text: fmt.Sprintf("%s answers %s with what its client can't decode: %v", n.name, c, err), Node: n.name, Seq: n.l.Seq()})
			return
		}
		a.Body = body
	}
	c.sent = e.Sent
	c.answer(n, a)
}

// die ends the process, as SIGKILL does.
func (n *Node) die() {
	if !n.up {
		return
	}
	n.up, n.turns, n.dieAfter, n.dieBy = false, false, -1, nil
	n.life++
	n.disk.died()
	for _, c := range n.calls {
		c.answer(n, Answer{Lost: true, Node: n.name})
	}
	for _, x := range n.waiting {
		if x.call != nil {
			x.call.answer(n, Answer{Lost: true, Node: n.name})
		}
	}
	n.j, n.l, n.calls, n.waiting, n.points, n.shadow = nil, nil, nil, nil, nil, nil
	n.w.mix(n.life, n.boot)
}

// stopped ends the process because of an error of its own.
func (n *Node) stopped(err error) {
	seq := n.l.Seq()
	n.die()
	switch {
	case n.rolledBack(err): // the upgrade was in the journal, and not stamped yet
		n.startIn(restartWait)
	case n.disk.isInjected(err):
		n.startIn(restartWait)
	default:
		n.judge(err, seq, "stopped")
	}
}

// rolledBack reports whether a lower version than the state's was refused, and
// then has the operator take it back.
func (n *Node) rolledBack(err error) bool {
	var rollback *stepper.RollbackError
	if n.versions == nil || !errors.As(err, &rollback) {
		return false
	}
	n.pin(0)
	return true
}

// judge says what an error of a node means that no fault explains.
func (n *Node) judge(err error, seq uint64, did string) {
	f := &Failure{Kind: Crash, Property: "no node fails by itself", Text: fmt.Sprintf("%s %s: %v", n.name, did, err), Node: n.name, Seq: seq}
	var panicked *stepper.PanicError
	var diverged *stepper.DivergenceError
	switch {
	case errors.As(err, &panicked):
		f.Property, f.Seq = "no machine panics", panicked.Seq
	case errors.As(err, &diverged):
		f.Kind, f.Property, f.Seq = Divergence, "recovery repeats what happened", diverged.Seq
	}
	n.w.fail(f)
}

// cannotStart is about a start that failed.
func (n *Node) cannotStart(err error) {
	n.life++
	n.disk.died()
	switch {
	case n.rolledBack(err):
		n.startIn(restartWait)
	case n.disk.isInjected(err):
		n.startIn(restartWait)
	case n.disk.explains(err):
		n.disk.lost(err.Error())
	default:
		n.judge(err, 0, "doesn't start")
	}
}

// note has a fact journaled, if the node is up.
func (n *Node) note(sent hlc.Timestamp, name string, info event.NoteInfo) {
	if n.up && n.l.NoteAfter(sent, name, info) == nil {
		n.turnSoon()
	}
}

// codecs turn bodies into payloads and back, by machine.
type codecs map[string]*state.Codec

func newCodecs(r machine.Registry) (codecs, error) {
	c := codecs{}
	for name, versions := range r {
		typed, ok := versions[versions.Latest()]().(machine.Typed)
		if !ok {
			continue
		}
		codec, err := state.NewCodec(typed.Payloads())
		if err != nil {
			return nil, fmt.Errorf("machine %s: %w", name, err)
		}
		c[name] = codec
	}
	return c, nil
}

func (c codecs) decode(machine string, e *event.Effect) (any, error) {
	codec := c[machine]
	if codec == nil {
		return slices.Clone(e.Payload), nil
	}
	return codec.Decode(e.Name, e.Version, e.Payload)
}
