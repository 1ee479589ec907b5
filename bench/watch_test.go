package bench

import (
	"context"
	"fmt"

	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hindcast.dev/examples/kv"
	"hindcast.dev/history"
	"hindcast.dev/journal"
	"hindcast.dev/live"
	"hindcast.dev/node"
	"hindcast.dev/rql"
)

// realNodes starts three kv nodes on loopback, with real files and sockets.
func realNodes(b *testing.B, skew time.Duration) (nodes []*node.Node, admins []string) {
	peers := map[string]string{}
	var listen []string
	for i := range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		listen = append(listen, l.Addr().String())
		peers[fmt.Sprint("n", i+1)] = listen[i]
		l.Close()
	}
	for i := range 3 {
		name := fmt.Sprint("n", i+1)
		others := map[string]string{}
		for k, v := range peers {
			if k != name {
				others[k] = v
			}
		}
		n, err := node.Start(context.Background(), node.Options{Name: name, Service: kv.Name, Dir: b.TempDir(), Registry: kv.Registry(),
			Listen: listen[i], Admin: "127.0.0.1:0", Peers: others, Durability: journal.Group, AllowFaults: true,
			ClockOffset: time.Duration(i-1) * skew, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			n.Stop(ctx)
		})
		nodes, admins = append(nodes, n), append(admins, n.AdminAddr())
	}
	return nodes, admins
}

// A ruler is a live.Sink that asks a query and measures how long after its event
// each row comes.
type ruler struct {
	text   string
	s      *rql.Stream
	begun  chan struct{}
	mu     sync.Mutex
	lags   []time.Duration
	events atomic.Uint64
}

func (r *ruler) Grow(meta *history.Meta) error {
	if r.s != nil {
		return r.s.Grow(meta)
	}
	q, err := rql.Compile(meta, r.text)
	if err != nil {
		return err
	}
	r.s, err = q.Stream(context.Background(), meta, rql.Options{}, func(row *rql.Row) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lags = append(r.lags, time.Since(row.From.Time()))
		return nil
	})
	close(r.begun)
	return err
}

func (r *ruler) Feed(ev *history.Event) error {
	r.events.Add(1)
	return r.s.Feed(ev)
}

func (r *ruler) Gap(node int, span history.Span) { r.s.Gap(node, span) }

func (r *ruler) rows() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lags)
}

// follow asks until stop is called.
func follow(b *testing.B, admins []string, text string, lean bool) (r *ruler, stop func() live.Stats) {
	r = &ruler{text: text, begun: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan live.Stats, 1)
	go func() {
		s, err := live.Follow(ctx, admins, live.Options{Lean: lean}, r)
		if err != nil {
			b.Error(err)
		}
		done <- s
	}()
	<-r.begun
	return r, func() live.Stats { cancel(); return <-done }
}

// load has clients write as fast as they are answered until stop is called, and
// counts what was acknowledged.
func load(nodes []*node.Node, clients int) (acked *atomic.Uint64, stop func()) {
	acked = &atomic.Uint64{}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := nodes[c%len(nodes)].Client().Do(ctx, kv.Name, kv.Put{Key: fmt.Sprint("key/", i*7919%1000), Value: "a value of some bytes"}); err == nil {
					acked.Add(1)
				}
			}
		})
	}
	return acked, func() { cancel(); wg.Wait() }
}

// How long after its event a row comes, on loopback: a key is switched every 30 ms,
// on three nodes whose clocks differ by ±skew, idle and under load.
func BenchmarkWatchRowsBehindEvents(b *testing.B) {
	for _, bc := range []struct {
		name    string
		skew    time.Duration
		clients int
	}{{"idle", 0, 0}, {"idle, clocks 25 ms apart", 25 * time.Millisecond, 0}, {"under load", 0, 6}} {
		b.Run(bc.name, func(b *testing.B) {
			nodes, admins := realNodes(b, bc.skew)
			do := func(value string) {
				if _, err := nodes[0].Client().Do(context.Background(), kv.Name, kv.Put{Key: "x", Value: value}); err != nil {
					b.Fatal(err)
				}
			}
			do("off")
			r, stop := follow(b, admins, `SELECT TIME() AS t FROM kv WHEN kv.items["x"].value = "on" EMIT ENTER`, true)
			_, unload := load(nodes, bc.clients)
			tick := time.NewTicker(30 * time.Millisecond)
			b.ResetTimer()
			for i := range b.N {
				<-tick.C
				do([]string{"on", "off"}[i%2])
			}
			<-time.After(500 * time.Millisecond)
			b.StopTimer()
			unload()
			tick.Stop()
			stats := stop()
			slices.Sort(r.lags)
			n := len(r.lags)
			if n < b.N/4 {
				b.Fatalf("%d rows of %d switches, %+v", n, b.N, stats)
			}
			ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
			b.ReportMetric(ms(r.lags[n/2]), "p50-ms")
			b.ReportMetric(ms(r.lags[n*99/100]), "p99-ms")
			b.ReportMetric(ms(r.lags[n-1]), "max-ms")
			b.ReportMetric(float64(stats.Late), "late")
			b.ReportMetric(float64(stats.Events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// What a watch costs the nodes: acknowledged writes of 12 clients, half a second with
// and half a second without one, by turns. The watch runs in the same process, on the
// same cores.
func BenchmarkWatchCost(b *testing.B) {
	nodes, admins := realNodes(b, 0)
	acked, unload := load(nodes, 12)
	defer unload()
	measure := func() float64 {
		before, begin := acked.Load(), time.Now()
		<-time.After(500 * time.Millisecond)
		return float64(acked.Load()-before) / time.Since(begin).Seconds()
	}
	measure()
	var ratios [2][]float64 // of a watch that is told all, and of a lean one, by turns
	var plain []float64
	b.ResetTimer()
	for i := range 2 * b.N {
		without := measure()
		_, stop := follow(b, admins, `SELECT kv.items["key/1"].value FROM kv WHEN kv.items["key/1"].value = "none"`, i%2 == 1)
		measure() // until it has caught up with what there was
		with := measure()
		stop()
		ratios[i%2], plain = append(ratios[i%2], with/without), append(plain, without)
	}
	b.StopTimer()
	for i, name := range []string{"with/without", "with/without-lean"} {
		slices.Sort(ratios[i])
		b.ReportMetric(ratios[i][len(ratios[i])/2], name)
	}
	slices.Sort(plain)
	b.ReportMetric(plain[len(plain)/2], "acks/s")
}
