package loop_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/loop"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// A cluster is three loops driven by hand from one seed: clocks that are wrong
// and are set, a network that loses, doubles and reorders, disks that are slow,
// kills between any two outputs, and power losses.
type cluster struct {
	t          *testing.T
	rnd        *rand.Rand
	o          clusterOptions
	members    []*member
	mono       time.Duration
	flying     []letter
	lost       int
	kills      int
	powerLoss  int
	nonces     uint32
	requestSeq uint64
}

type clusterOptions struct {
	durability journal.Durability
	loss, kill float64 // probabilities of a message and of a step
	power      bool    // of the kills, half are power losses
}

type letter struct {
	to    string
	wire  []byte
	after time.Duration // mono
}

type member struct {
	c     *cluster
	name  string
	fs    *vfs.Mem
	j     *journal.Journal
	l     *loop.Loop
	off   time.Duration // of the wall clock
	disk  []loop.Output // asked of the disk, not done yet
	acked int64
	asks  map[uint64]bool // requests that aren't Adds
}

var names = []string{"n1", "n2", "n3"}

func newCluster(t *testing.T, seed uint64, o clusterOptions) *cluster {
	c := &cluster{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), o: o}
	for _, name := range names {
		m := &member{c: c, name: name, fs: vfs.NewMem(), off: c.skew(), asks: map[uint64]bool{}}
		c.members = append(c.members, m)
		m.start()
	}
	return c
}

func (c *cluster) skew() time.Duration { return time.Duration(c.rnd.IntN(400)-200) * time.Millisecond }

func (m *member) reading() hlc.Reading {
	return hlc.Reading{Wall: epoch.Add(m.c.mono + m.off), Mono: m.c.mono}
}

func (m *member) start() {
	c := m.c
	c.t.Helper()
	j, err := journal.Open(journal.Options{FS: m.fs, Dir: "journal", Node: m.name, SegmentBytes: 16 << 10, Durability: c.o.durability,
		Nonce: func() uint32 { c.nonces++; return c.nonces*7919 + 1 }})
	if err != nil {
		c.t.Fatalf("%s: %v", m.name, err)
	}
	cfg := loop.Config{Journal: j, FS: m.fs, Checkpoints: "checkpoints", Registry: registry(1), Node: m.name, Build: "test", Arch: "any",
		Peers:      slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == m.name }),
		Durability: c.o.durability, CheckpointEvery: 50}
	m.j, m.disk = j, nil
	if m.l, err = loop.Open(cfg, m.reading()); err != nil {
		c.t.Fatalf("%s, boot %d: %v", m.name, j.Boot(), err)
	}
}

// kill ends the process, and perhaps the machine, and starts it again.
func (m *member) kill() {
	c := m.c
	c.kills++
	c.mono += time.Duration(25+c.rnd.IntN(100)) * time.Millisecond // to start takes time
	if m.fs = m.fs.Restart(); c.o.power && c.rnd.IntN(2) == 0 {
		c.powerLoss++
		m.fs = m.fs.Crash(c.rnd.IntN)
	}
	m.start()
}

// turn is one Poll and what it gave, in order, until perhaps a kill.
func (m *member) turn() {
	c := m.c
	outs, err := m.l.Poll(m.reading())
	if err != nil {
		c.t.Fatalf("%s: %v", m.name, err)
	}
	for i := range outs {
		if c.rnd.Float64() < c.o.kill {
			m.kill()
			return
		}
		m.perform(&outs[i])
	}
	for len(m.disk) > 0 && c.rnd.IntN(3) > 0 {
		m.diskDoes(m.disk[0])
		m.disk = m.disk[1:]
	}
}

func (m *member) perform(o *loop.Output) {
	switch o.Kind {
	case loop.OutputSync, loop.OutputCeiling, loop.OutputCheckpoint:
		m.disk = append(m.disk, *o)
	case loop.OutputSend:
		m.c.send(o.Node, record.AppendWire(nil, &o.Frame))
	case loop.OutputReply:
		if o.Effect.ID.Boot == m.l.Boot() && !m.asks[o.Effect.ID.Seq] {
			m.acked++
		}
	}
}

func (m *member) diskDoes(o loop.Output) {
	var err error
	switch o.Kind {
	case loop.OutputSync:
		var seq uint64
		if seq, err = m.j.Sync(); err == nil {
			m.l.Synced(seq)
			err = m.j.Maintain()
		}
	case loop.OutputCeiling:
		if err = m.j.RaiseCeiling(o.Time); err == nil {
			m.l.CeilingSynced(o.Time)
		}
	case loop.OutputCheckpoint:
		h := checkpoint.Header{Node: m.name, Boot: m.l.Boot(), Seq: o.Seq, Time: o.Time, Physical: o.Physical, Chain: o.Chain, Versions: o.Versions}
		err = checkpoint.Write(m.fs, "checkpoints", h, o.Body)
	}
	if err != nil {
		m.c.t.Fatalf("%s: %s: %v", m.name, o.Kind, err)
	}
}

func (c *cluster) send(to string, wire []byte) {
	if c.rnd.Float64() < c.o.loss {
		c.lost++
		return
	}
	l := letter{to: to, wire: wire}
	if c.o.loss > 0 { // else in order
		l.after = c.mono + time.Duration(c.rnd.IntN(20))*time.Millisecond
	}
	c.flying = append(c.flying, l)
	if c.o.loss > 0 && c.rnd.IntN(20) == 0 {
		l.after += time.Duration(c.rnd.IntN(50)) * time.Millisecond
		c.flying = append(c.flying, l)
	}
}

// deliver offers what has arrived.
func (c *cluster) deliver() {
	rest := c.flying[:0]
	for _, l := range c.flying {
		if l.after > c.mono {
			rest = append(rest, l)
			continue
		}
		f, _, err := record.DecodeWire(l.wire)
		if err != nil {
			c.t.Fatal(err)
		}
		m := c.members[slices.Index(names, l.to)]
		if err := m.l.Offer(&f); err != nil {
			if !errors.Is(err, journal.ErrBacklog) && !errors.Is(err, journal.ErrFull) {
				c.t.Fatal(err)
			}
			if c.o.loss == 0 && c.o.kill == 0 {
				rest = append(rest, l)
				continue
			}
			c.lost++
		}
	}
	c.flying = rest
}

// step is one thing that happens.
func (c *cluster) step() {
	m := c.members[c.rnd.IntN(len(c.members))]
	switch c.rnd.IntN(10) {
	case 0, 1, 2:
		c.requestSeq++
		f := frame(c.t, event.Request, event.MessageID{Node: m.name + ".client", Boot: m.l.Boot(), Seq: c.requestSeq}, 0, Add{1})
		if c.rnd.IntN(10) == 0 {
			m.asks[c.requestSeq] = true
			f = frame(c.t, event.Request, f.ID, 0, Ask{After: time.Duration(c.rnd.IntN(50)) * time.Millisecond})
		}
		_ = m.l.Offer(&f) // refused if there is no room
	case 3:
		c.mono += time.Duration(c.rnd.IntN(20)) * time.Millisecond
	case 4:
		if c.rnd.IntN(50) == 0 {
			m.off = c.skew() // the wall clock is set
		}
	case 5:
		c.deliver()
	default:
		m.turn()
	}
}

// settle lets everything come to rest, without further kills.
func (c *cluster) settle() {
	c.o.kill = 0
	for quiet := 0; quiet < 3; {
		quiet++
		c.mono += 100 * time.Millisecond
		c.deliver()
		for _, m := range c.members {
			before := m.l.Seq()
			for range 20 {
				m.turn()
			}
			if m.l.Seq() != before || len(m.disk) > 0 || m.l.Stats().Held > 0 || len(c.flying) > 0 {
				quiet = 0
			}
		}
	}
}

// A received is a handled message in a journal.
type received struct {
	id   event.MessageID
	sent hlc.Timestamp
	at   record.Stamp
}

// follow replays a member's journal from its beginning: no divergence, and the
// state it ends in is the live one. It returns stamps by sequence number and the
// messages that were handled.
func (m *member) follow() (stamps map[uint64]record.Stamp, handled []received, adds int64) {
	t := m.c.t
	st, err := stepper.New(stepper.Options{Node: m.name, Registry: registry(1)})
	if err != nil {
		t.Fatal(err)
	}
	rd, err := m.j.NewReader(1)
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	f := stepper.NewFollower(st)
	stamps = map[uint64]record.Stamp{}
	for {
		e, err := rd.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		out, err := f.Follow(&e.Frame, e.Stamp)
		if err != nil {
			t.Fatalf("replay of %s: %v", m.name, err)
		}
		stamps[e.Stamp.Seq] = e.Stamp
		if out.Stepped && e.Kind == event.Message && !out.Outcome.Duplicate && out.Outcome.Refused == "" {
			handled = append(handled, received{e.ID, e.Sent, e.Stamp})
		}
		if out.Stepped && e.Kind == event.Request && e.Name == "Add" {
			adds++
		}
	}
	if got, want := st.Chain(), m.l.Stepper().Chain(); got != want {
		t.Fatalf("%s: replay ends at chain %x, the live node at %x", m.name, got, want)
	}
	return stamps, handled, adds
}

// check is what must hold of the journals of a cluster at rest.
func (c *cluster) check() (messages int) {
	t := c.t
	stamps, handled, adds := map[string]map[uint64]record.Stamp{}, map[string][]received{}, map[string]int64{}
	for _, m := range c.members {
		stamps[m.name], handled[m.name], adds[m.name] = m.follow()
		if adds[m.name] < m.acked {
			t.Fatalf("%s acknowledged %d, its journal has %d", m.name, m.acked, adds[m.name])
		}
	}
	for _, m := range c.members {
		last := map[string]event.MessageID{}
		for _, r := range handled[m.name] {
			messages++
			s, ok := stamps[r.id.Node][r.id.Seq]
			switch {
			case !ok || s.Boot != r.id.Boot:
				t.Fatalf("%s handled %s, whose sender has no such event: boot %d", m.name, r.id, s.Boot)
			case s.Time != r.sent || s.Time >= r.at.Time:
				t.Fatalf("%s was sent at %s (it says %s) and handled at %s", r.id, s.Time, r.sent, r.at.Time)
			}
			if l, ok := last[r.id.Node]; ok && (r.id.Boot < l.Boot || r.id.Boot == l.Boot && !l.Less(r.id)) {
				t.Fatalf("%s handled %s after %s", m.name, r.id, l)
			}
			last[r.id.Node] = r.id
		}
		n := m.l.Stepper().Machine("counter").(*counter).N
		if want := adds[m.name] + int64(len(handled[m.name])); n != want {
			t.Fatalf("%s: N = %d, its journal has %d", m.name, n, want)
		}
		if total := adds["n1"] + adds["n2"] + adds["n3"]; c.lost == 0 && c.kills == 0 && n != total {
			t.Fatalf("nothing was lost, and %s has %d of %d", m.name, n, total)
		}
	}
	return messages
}

func TestThreeLoopsKeepTheirPromisesWhateverHappens(t *testing.T) {
	seeds, steps := uint64(25), 3000
	if testing.Short() {
		seeds = 4
	}
	for _, o := range []clusterOptions{
		{durability: journal.Process},
		{durability: journal.Group, loss: 0.1},
		{durability: journal.Process, loss: 0.1, kill: 0.01},
		{durability: journal.Group, loss: 0.1, kill: 0.01, power: true},
		{durability: journal.Each, loss: 0.05, kill: 0.005, power: true},
	} {
		t.Run(fmt.Sprintf("%s,loss=%g,kill=%g,power=%v", o.durability, o.loss, o.kill, o.power), func(t *testing.T) {
			messages, kills, powers, lost := 0, 0, 0, 0
			for seed := range seeds {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					c := newCluster(t, seed, o)
					for range steps {
						c.step()
					}
					c.settle()
					messages += c.check()
					kills, powers, lost = kills+c.kills, powers+c.powerLoss, lost+c.lost
				})
			}
			t.Logf("%d messages handled, %d lost, %d kills, %d of them power losses", messages, lost, kills, powers)
			if messages < int(seeds)*100 || o.kill > 0 && kills == 0 || o.power && powers == 0 || o.loss > 0 && lost == 0 {
				t.Error("the runs exercise too little")
			}
		})
	}
}
