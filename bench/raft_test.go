package bench

import (
	"io"
	"log"
	"strconv"
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/examples/raftkv"
	"hindcast.dev/sim"
)

// raftSubject is raftkv on three nodes, with so many writes a simulated second.
func raftSubject(perSecond int) *sim.Subject {
	return &sim.Subject{Name: "raftkv", Machines: raftkv.Registry(), Setup: func(w *sim.World) {
		w.Setting("tick", "100ms")
		w.Cluster(3)
		if perSecond == 0 {
			return
		}
		const clients = 50
		n, leader := 0, ""
		w.Clients(sim.Workload{Clients: clients, Think: clients * time.Second / time.Duration(perSecond), Timeout: 5 * time.Second,
			Next: func(c *sim.Client) sim.Op {
				n++
				key := "key/" + strconv.Itoa(c.Rand.IntN(1000))
				return sim.Op{F: "write", Key: key, Input: event.Int(int64(n)), Node: leader, Machine: raftkv.Name,
					Body: raftkv.Put{Key: key, Value: "a value of some bytes"}}
			},
			Found: func(_ *sim.Client, _ *sim.Op, a sim.Answer) sim.Finding {
				f, failed := a.Body.(raftkv.Failure)
				switch {
				case failed && f.Code == raftkv.NotLeader:
					leader = f.Leader
					return sim.Finding{Again: true, After: 50 * time.Millisecond, Node: leader}
				case failed || a.Refused != "":
					return sim.Finding{Outcome: check.Fail}
				}
				leader = a.Node
				return sim.Finding{Outcome: check.Ok}
			}})
	}}
}

// raftkv in the simulator: 2000 writes a run, 1000 a simulated second.
func BenchmarkSimRaftKV(b *testing.B) {
	asTheCommand(b)
	k := work{cpu: userTime()}
	b.ReportAllocs()
	for i := range b.N {
		k.run(b, raftSubject(1000), quiet(uint64(i), map[string]string{"operations": "2000"}))
	}
	k.report(b)
}

// raftkv with nobody who wants anything: ten simulated minutes a run.
func BenchmarkSimRaftKVIdle(b *testing.B) {
	asTheCommand(b)
	k := work{cpu: userTime()}
	b.ReportAllocs()
	for i := range b.N {
		k.run(b, raftSubject(0), quiet(uint64(i), nil))
	}
	k.report(b)
}

var discard = log.New(io.Discard, "", 0)

// A bare node is the library's, with its storage in memory.
type bareNode struct {
	*raft.RawNode
	storage *raft.MemoryStorage
	applied int
}

// A bareEvent is what happens in the bare loop: a message arrives, or a tick.
type bareEvent struct {
	at int64
	n  uint64
	to int
	m  *raftpb.Message // nil for a tick
}

func (e bareEvent) before(o bareEvent) bool { return e.at < o.at || e.at == o.at && e.n < o.n }

// bareLoop is three RawNodes in virtual time and nothing else: no journal, no disk,
// no hash, no codec. perSecond proposals are made by the first that leads.
type bareLoop struct {
	nodes  [3]*bareNode
	queue  heap[bareEvent]
	now    int64
	count  uint64
	events uint64
}

const tickEvery = int64(100 * time.Millisecond)

func newBareLoop(b *testing.B) *bareLoop {
	l := &bareLoop{}
	for i := range l.nodes {
		s := raft.NewMemoryStorage()
		conf := raftpb.EnsureConfState(&raftpb.ConfState{Voters: []uint64{1, 2, 3}})
		if err := s.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: conf, Index: proto.Uint64(1), Term: proto.Uint64(1)}}); err != nil {
			b.Fatal(err)
		}
		n, err := raft.NewRawNode(&raft.Config{ID: uint64(i + 1), ElectionTick: 10, HeartbeatTick: 1, Storage: s, MaxSizePerMsg: 1 << 16,
			MaxInflightMsgs: 256, CheckQuorum: true, PreVote: true, Applied: 1, Logger: &raft.DefaultLogger{Logger: discard}})
		if err != nil {
			b.Fatal(err)
		}
		l.nodes[i] = &bareNode{RawNode: n, storage: s}
		l.push(bareEvent{at: int64(i + 1), to: i})
	}
	return l
}

func (l *bareLoop) push(e bareEvent) {
	l.count++
	e.n = l.count
	l.queue.push(e)
}

// step lets the next thing happen.
func (l *bareLoop) step(b *testing.B) {
	e := l.queue.pop()
	l.now = e.at
	n := l.nodes[e.to]
	if e.m == nil {
		n.Tick()
		l.push(bareEvent{at: e.at + tickEvery, to: e.to})
	} else if err := n.Step(e.m); err != nil {
		b.Fatal(err)
	}
	l.settle(b, n)
}

func (l *bareLoop) settle(b *testing.B, n *bareNode) {
	l.events++
	for n.HasReady() {
		rd := n.Ready()
		if err := n.storage.Append(rd.Entries); err != nil {
			b.Fatal(err)
		}
		for _, m := range rd.Messages {
			l.push(bareEvent{at: l.now + int64(time.Millisecond/2), to: int(m.GetTo()) - 1, m: m})
		}
		n.applied += len(rd.CommittedEntries)
		if len(rd.CommittedEntries) > 0 {
			last := rd.CommittedEntries[len(rd.CommittedEntries)-1].GetIndex()
			if last%10_000 == 0 {
				if err := n.storage.Compact(last - 5000); err != nil {
					b.Fatal(err)
				}
			}
		}
		n.Advance(rd)
	}
}

// runUntil goes on to a time; every is between proposals, 0 for none.
func (l *bareLoop) runUntil(b *testing.B, end, every int64) {
	next := l.now
	for l.queue[0].at <= end {
		if every > 0 && next <= l.queue[0].at {
			l.now = next
			next += every
			for _, n := range l.nodes {
				if n.BasicStatus().RaftState == raft.StateLeader {
					if err := n.Propose([]byte("put key/123 a value of some bytes")); err != nil {
						b.Fatal(err)
					}
					l.settle(b, n)
					break
				}
			}
			continue
		}
		l.step(b)
	}
	l.now = end
}

func benchmarkBare(b *testing.B, every int64, each time.Duration) {
	l := newBareLoop(b)
	l.runUntil(b, int64(30*time.Second), 0)
	b.ReportAllocs()
	begun, cpu := l.events, userTime()
	b.ResetTimer()
	for range b.N {
		l.runUntil(b, l.now+int64(each), every)
	}
	used := (userTime() - cpu).Seconds()
	simulated := float64(b.N) * each.Seconds()
	b.ReportMetric(float64(l.events-begun)/used, "events/cpu-s")
	b.ReportMetric(simulated/used, "x-real-time-of-cpu")
	b.ReportMetric(simulated/b.Elapsed().Seconds(), "x-real-time")
	if every > 0 && l.nodes[0].applied < b.N {
		b.Fatalf("%d entries applied", l.nodes[0].applied)
	}
}

// The library alone with 1000 proposals a simulated second: a second each.
func BenchmarkBareRaft(b *testing.B) { benchmarkBare(b, int64(time.Millisecond), time.Second) }

// The library alone, idle: ten minutes each.
func BenchmarkBareRaftIdle(b *testing.B) { benchmarkBare(b, 0, 10*time.Minute) }
