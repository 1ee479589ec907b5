package bench

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hindcast.dev/examples/kv"
	"hindcast.dev/journal"
	"hindcast.dev/node"
	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

var (
	snapItems  = flag.Int("snapshot.items", 30_000, "records of 100 bytes over all nodes, each of which has a copy of a third as many")
	snapPairs  = flag.Int("snapshot.pairs", 5, "pairs of windows with and without")
	snapWindow = flag.Duration("snapshot.window", 3*time.Second, "length of a window")
)

const (
	snapNodes   = 3
	snapWorkers = 4 // of each node
)

// A store is kv on three nodes in this process, with journals on disk.
type store struct {
	b     *testing.B
	nodes []*node.Node
	addrs []string
	keys  int
}

func newStore(b *testing.B) *store {
	s := &store{b: b, keys: max(1, *snapItems/snapNodes)}
	peers := map[string]string{}
	for i := range snapNodes {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		peers[fmt.Sprint("n", i+1)] = ln.Addr().String()
		ln.Close()
	}
	for i := range snapNodes {
		name := fmt.Sprint("n", i+1)
		n, err := node.Start(context.Background(), node.Options{Name: name, Service: kv.Name, Dir: filepath.ToSlash(filepath.Join(b.TempDir(), name)),
			Registry: kv.Registry(), Seed: 1, Listen: peers[name], Peers: peers, Admin: "127.0.0.1:0", Durability: journal.Process,
			Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			n.Stop(ctx)
		})
		s.nodes, s.addrs = append(s.nodes, n), append(s.addrs, n.AdminAddr())
	}
	s.load()
	return s
}

// load writes every record once.
func (s *store) load() {
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for k := w; k < s.keys; k += 16 {
				for {
					if _, err := s.put(w, k); err == nil {
						break
					}
				}
			}
		})
	}
	wg.Wait()
}

var snapValue = strings.Repeat("x", 100)

func (s *store) put(at, key int) (time.Duration, error) {
	began := time.Now()
	_, err := s.nodes[at%snapNodes].Client().Do(context.Background(), kv.Name, kv.Put{Key: fmt.Sprintf("key-%09d", key), Value: snapValue, Consistency: kv.Eventual})
	return time.Since(began), err
}

// A window is what was done in some time.
type window struct {
	rate float64 // operations a second
	lats []time.Duration
}

func (w *window) quantile(q float64) time.Duration {
	if len(w.lats) == 0 {
		return 0
	}
	slices.Sort(w.lats)
	return w.lats[min(len(w.lats)-1, int(q*float64(len(w.lats))))]
}

// drive writes for a while: as fast as it goes, or at a rate. An operation that
// comes late begins at once, and its latency counts from when it was due.
func (s *store) drive(d time.Duration, rate float64) window {
	workers := snapNodes * snapWorkers
	var mu sync.Mutex
	var out window
	var wg sync.WaitGroup
	begin := time.Now()
	for w := range workers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), uint64(begin.UnixNano())))
			var lats []time.Duration
			for i := 0; ; i++ {
				due := time.Now()
				if rate > 0 {
					due = begin.Add(time.Duration((float64(i*workers+w) / rate) * float64(time.Second)))
					time.Sleep(time.Until(due))
				}
				if due.Sub(begin) >= d {
					break
				}
				if _, err := s.put(w, r.IntN(s.keys)); err == nil {
					lats = append(lats, time.Since(due))
				}
			}
			mu.Lock()
			out.lats = append(out.lats, lats...)
			mu.Unlock()
		})
	}
	wg.Wait()
	out.rate = float64(len(out.lats)) / time.Since(begin).Seconds()
	return out
}

// BenchmarkSnapshot prints what snapshots cost a store at half of its full speed:
// each second around one snapshot; and pairs of windows, one without and one with a
// snapshot each second, or with the replicas alone.
func BenchmarkSnapshot(b *testing.B) {
	s := newStore(b)
	full := s.drive(*snapWindow, 0)
	half := full.rate / 2
	fmt.Printf("%d records on each of %d nodes; full speed %.0f writes/s, half load %.0f\n", s.keys, snapNodes, full.rate, half)
	dir := filepath.ToSlash(b.TempDir())
	took := make(chan time.Duration, 1)
	for sec := range 12 {
		if sec == 4 {
			go func() {
				began := time.Now()
				if _, err := recording.TakeSnapshot(context.Background(), vfs.OS(), path.Join(dir, "one"), s.addrs, recording.SnapshotOptions{}); err != nil {
					b.Error(err)
				}
				took <- time.Since(began)
			}()
		}
		w := s.drive(time.Second, half)
		fmt.Printf("second %2d: %6.0f writes/s, p50 %v, p99 %v\n", sec, w.rate, w.quantile(0.5), w.quantile(0.99))
	}
	fmt.Printf("a snapshot was asked for at second 4 and took %v\n", <-took)
	rolled := s.pairs("a snapshot each second", half, func(stop <-chan struct{}) error { return s.roll(path.Join(dir, "roll"), stop) })
	replicas := s.pairs("replicas without snapshots", half, func(stop <-chan struct{}) error { return s.warm(dir, stop) })
	b.ReportMetric(rolled, "%loss-snapshots")
	b.ReportMetric(replicas, "%loss-replicas")
	b.ReportMetric(0, "ns/op")
}

// pairs compares windows with and without something, which goes first by turns.
func (s *store) pairs(what string, rate float64, with func(stop <-chan struct{}) error) float64 {
	var loss, lat []float64
	for i := range *snapPairs {
		var w [2]window // without, with
		for k := range 2 {
			on := (k + i) % 2
			stop, done := make(chan struct{}), make(chan error, 1)
			if on == 1 {
				go func() { done <- with(stop) }()
			} else {
				done <- nil
			}
			w[on] = s.drive(*snapWindow, rate)
			close(stop)
			if err := <-done; err != nil {
				s.b.Error(err)
			}
		}
		loss = append(loss, 100*(1-w[1].rate/w[0].rate))
		lat = append(lat, 100*(float64(w[1].quantile(0.5))/float64(w[0].quantile(0.5))-1))
	}
	m, ci := interval(loss)
	l, lci := interval(lat)
	fmt.Printf("%s: throughput lost %.2f %% ± %.2f, median latency %+.1f %% ± %.1f (95 %%, %d pairs)\n", what, m, ci, l, lci, len(loss))
	return m
}

// interval is the mean and half of its 95 % interval.
func interval(x []float64) (mean, half float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	v := 0.0
	for _, y := range x {
		v += (y - mean) * (y - mean)
	}
	if len(x) > 1 {
		half = 1.96 * math.Sqrt(v/float64(len(x)-1)/float64(len(x)))
	}
	return mean, half
}

func (s *store) roll(dir string, stop <-chan struct{}) error {
	r, err := recording.NewRoller(vfs.OS(), dir, s.addrs, 3, recording.SnapshotOptions{Keep: 5 * time.Second})
	if err != nil {
		return err
	}
	turn := time.NewTicker(time.Second)
	defer turn.Stop()
	for {
		select {
		case <-stop:
			return nil
		case <-turn.C:
		}
		if _, err := r.Take(context.Background()); err != nil {
			return err
		}
	}
}

// warm has the replicas follow and takes no snapshot that counts.
func (s *store) warm(dir string, stop <-chan struct{}) error {
	_, err := recording.TakeSnapshot(context.Background(), vfs.OS(), path.Join(dir, fmt.Sprint("warm", rand.Uint64())), s.addrs,
		recording.SnapshotOptions{Keep: *snapWindow})
	<-stop
	return err
}
