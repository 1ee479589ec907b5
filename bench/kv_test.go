package bench

import (
	"fmt"
	"testing"
	"time"

	"hindcast.dev/examples/kv"
)

func kvCluster(b testing.TB, every time.Duration) *cluster {
	return newCluster(b, clusterOptions{registry: kv.Registry(), machine: kv.Name, every: every,
		delay: time.Millisecond, disk: 200 * time.Microsecond,
		request: func(n uint64) any {
			key := fmt.Sprint("key/", n*2654435761%1000)
			if n%2 == 0 {
				return kv.Get{Key: key}
			}
			return kv.Put{Key: key, Value: "a value of some bytes"}
		}})
}

// The kv store on three loops, 1000 client operations a second, journals in
// memory that are synced before effects are performed.
func BenchmarkKVLoops(b *testing.B) {
	c := kvCluster(b, time.Millisecond)
	c.run(20_000)
	b.ReportAllocs()
	start, cpu := c.mono, userTime()
	b.ResetTimer()
	c.run(uint64(b.N))
	b.StopTimer()
	used := userTime() - cpu
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/event")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric((c.mono-start).Seconds()/b.Elapsed().Seconds(), "x-real-time")
	if c.replies == 0 {
		b.Fatal("nobody was answered")
	}
}

// Three kv nodes of which nobody wants anything.
func BenchmarkKVIdle(b *testing.B) {
	c := kvCluster(b, 0)
	c.runFor(time.Minute)
	b.ReportAllocs()
	start := c.mono
	b.ResetTimer()
	for range b.N {
		c.runFor(time.Second)
	}
	b.ReportMetric((c.mono-start).Seconds()/b.Elapsed().Seconds(), "x-real-time")
}
