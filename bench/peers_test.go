package bench

import (
	"testing"
	"testing/synctest"
	"time"

	"hindcast.dev/machine"
	"hindcast.dev/sim"
)

// A letter is what a bare event heap holds: when, and whose turn it is.
type letter struct {
	at int64
	n  uint64
	to int
}

func (l letter) before(o letter) bool { return l.at < o.at || l.at == o.at && l.n < o.n }

// Two players and a heap of events: what a simulator can't be faster than.
func BenchmarkHeapPingPong(b *testing.B) {
	var q heap[letter]
	var count [2]int
	q.push(letter{at: 1})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l := q.pop()
		count[l.to]++
		q.push(letter{at: l.at + 1000, n: uint64(i), to: 1 - l.to})
	}
	perSecond(b, 1)
}

// The same where a thousand others wait in the heap.
func BenchmarkHeapPingPongAmong1000(b *testing.B) {
	var q heap[letter]
	for i := range 1000 {
		q.push(letter{at: int64(i), n: uint64(i)})
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l := q.pop()
		q.push(letter{at: l.at + 1000, n: uint64(1000 + i), to: 1 - l.to})
	}
	perSecond(b, 1)
}

// Two goroutines in a bubble of testing/synctest, which send a number to and fro;
// each sleeps for a virtual millisecond before it answers. A test, for benchmarks
// have no bubbles.
func TestSynctestPingPong(t *testing.T) {
	rounds := 20_000
	if testing.Short() {
		rounds = 1000
	}
	begun, cpu := time.Now(), userTime()
	synctest.Test(t, func(*testing.T) {
		to, fro := make(chan int), make(chan int)
		go func() {
			defer close(fro)
			for n := range to {
				time.Sleep(time.Millisecond)
				fro <- n + 1
			}
		}()
		for n := 0; n < rounds; n += 2 {
			to <- n
			<-fro
			time.Sleep(time.Millisecond)
		}
		close(to)
		<-fro
	})
	took := time.Since(begun)
	t.Logf("%d messages in %v: %.0f events/s, %v of processor time an event", rounds, took,
		float64(rounds)/took.Seconds(), (userTime()-cpu)/time.Duration(rounds))
}

// The same in the simulator: bare processes, no nodes, every event hashed.
func BenchmarkSimPingPong(b *testing.B) {
	b.ReportAllocs()
	cpu := userTime()
	events := simPingPong(b, b.N)
	b.ReportMetric(float64(events)/(userTime()-cpu).Seconds(), "events/cpu-s")
	perSecond(b, float64(events)/float64(b.N))
}

func simPingPong(b *testing.B, n int) (events uint64) {
	s := &sim.Subject{Name: "pingpong", Machines: machine.Registry{}, Setup: func(w *sim.World) {
		left := n
		var ps [2]*sim.Process
		for i := range ps {
			ps[i] = w.Process(func(_ *sim.Process, body any) {
				if left--; left > 0 {
					ps[i].Send(ps[1-i], body)
				}
			})
		}
		ps[0].Send(ps[1], "ball")
	}}
	r, err := sim.Run(s, sim.Options{Seed: 1, Quick: true, Faults: []sim.Fault{}, Set: map[string]string{
		"network": "synchronous", "network.base": "50µs", "network.jitter": "10µs"}})
	if err != nil {
		b.Fatal(err)
	}
	return r.Events
}

// perSecond reports events a second, of which an iteration is so many.
func perSecond(b *testing.B, each float64) {
	b.ReportMetric(each*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
