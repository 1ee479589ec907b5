package bench

import (
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/examples/kv"
	"hindcast.dev/sim"
)

// kvSubject is kv on three nodes with so many client operations a simulated
// second, and nothing that judges them.
func kvSubject(perSecond int) *sim.Subject {
	return &sim.Subject{Name: "kv", Machines: kv.Registry(), Setup: func(w *sim.World) {
		w.Cluster(3)
		const clients = 20
		n := 0
		w.Clients(sim.Workload{Clients: clients, Think: clients * time.Second / time.Duration(perSecond), Timeout: time.Second,
			Next: func(c *sim.Client) sim.Op {
				n++
				key := "key/" + strconv.Itoa(c.Rand.IntN(1000))
				if n%2 == 0 {
					return sim.Op{F: "read", Key: key, Machine: kv.Name, Body: kv.Get{Key: key}}
				}
				return sim.Op{F: "write", Key: key, Input: event.Int(int64(n)), Machine: kv.Name, Body: kv.Put{Key: key, Value: "a value of some bytes"}}
			},
			Found: func(_ *sim.Client, _ *sim.Op, a sim.Answer) sim.Finding {
				if _, failed := a.Body.(kv.Failure); failed || a.Refused != "" {
					return sim.Finding{Outcome: check.Fail}
				}
				return sim.Finding{Outcome: check.Ok}
			}})
	}}
}

// quiet are options without faults: a network and disks of middling speed.
func quiet(seed uint64, more map[string]string) sim.Options {
	set := map[string]string{"network": "synchronous", "network.base": "500µs", "network.jitter": "200µs", "durability": "group",
		"disk.base": "100µs", "disk.jitter": "100µs", "checkpointEvery": "5000", "shadows": "false"}
	for k, v := range more {
		set[k] = v
	}
	return sim.Options{Seed: seed, Quick: true, Faults: []sim.Fault{}, Set: set}
}

// asTheCommand has the collector run as seldom as `hindcast sim` has it run.
func asTheCommand(b *testing.B) {
	if os.Getenv("GOGC") != "" {
		return
	}
	before := debug.SetGCPercent(400)
	b.Cleanup(func() { debug.SetGCPercent(before) })
}

// A work is what runs came to.
type work struct {
	events, steps uint64
	operations    int
	simulated     time.Duration
	cpu           time.Duration // that the process had used before
}

func (k *work) run(t testing.TB, s *sim.Subject, o sim.Options) {
	r, err := sim.Run(s, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Failure != nil {
		t.Fatal(r.Failure)
	}
	k.events += r.Events
	k.steps += r.Steps
	k.operations += len(r.Operations)
	k.simulated += r.Simulated
}

func (k *work) report(b *testing.B) {
	wall, cpu := b.Elapsed().Seconds(), (userTime() - k.cpu).Seconds()
	b.ReportMetric(float64(k.events)/cpu, "events/cpu-s")
	b.ReportMetric(float64(k.steps)/cpu, "loop-events/cpu-s")
	b.ReportMetric(k.simulated.Seconds()/cpu, "x-real-time-of-cpu")
	b.ReportMetric(float64(k.events)/wall, "events/s")
	b.ReportMetric(float64(k.steps)/wall, "loop-events/s")
	b.ReportMetric(k.simulated.Seconds()/wall, "x-real-time")
	b.ReportMetric(float64(k.events)/float64(max(k.operations, 1)), "events/operation")
}

// kv in the simulator: 2000 client operations a run, 1000 a simulated second.
func BenchmarkSimKV(b *testing.B) {
	asTheCommand(b)
	k := work{cpu: userTime()}
	b.ReportAllocs()
	for i := range b.N {
		k.run(b, kvSubject(1000), quiet(uint64(i), map[string]string{"operations": "2000"}))
	}
	k.report(b)
}

// kv with the faults of its seed.
func BenchmarkSimKVUnderFaults(b *testing.B) {
	asTheCommand(b)
	k := work{cpu: userTime()}
	b.ReportAllocs()
	for i := range b.N {
		r, err := sim.Run(kvSubject(1000), sim.Options{Seed: uint64(i), Quick: true})
		if err != nil {
			b.Fatal(err)
		}
		k.events, k.steps, k.simulated = k.events+r.Events, k.steps+r.Steps, k.simulated+r.Simulated
		k.operations += len(r.Operations)
	}
	k.report(b)
}

// BenchmarkSimKVWorkers runs the same seeds by one worker on one core, by one worker
// that has another core for its collector, and by two workers; by turns, so that the
// ratios are of the same moments.
func BenchmarkSimKVWorkers(b *testing.B) {
	asTheCommand(b)
	var alone, one, two []float64
	for b.Loop() {
		before := runtime.GOMAXPROCS(1)
		a := eventsPerSecond(b, 1)
		runtime.GOMAXPROCS(before)
		alone = append(alone, a)
		one = append(one, eventsPerSecond(b, 1))
		two = append(two, eventsPerSecond(b, 2))
	}
	b.ReportMetric(median(alone), "events/s-one-core")
	b.ReportMetric(median(one), "events/s-one-worker")
	b.ReportMetric(median(two), "events/s-two-workers")
	b.ReportMetric(median(ratios(two, alone)), "x-one-core")
	b.ReportMetric(median(ratios(two, one)), "x-one-worker")
}

// eventsPerSecond runs twenty seeds by so many workers.
func eventsPerSecond(b *testing.B, workers int) float64 {
	const seeds = 20
	begun := time.Now()
	works := make([]work, workers)
	var wait sync.WaitGroup
	for w := range works {
		wait.Go(func() {
			for i := w; i < seeds; i += workers {
				works[w].run(b, kvSubject(1000), quiet(uint64(i), map[string]string{"operations": "2000"}))
			}
		})
	}
	wait.Wait()
	var events uint64
	for _, w := range works {
		events += w.events
	}
	return float64(events) / time.Since(begun).Seconds()
}

func ratios(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] / b[i]
	}
	return out
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}
