package bench

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/examples/kv"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine/state"
	"hindcast.dev/node"
	"hindcast.dev/recording"
	"hindcast.dev/stepper"
	"hindcast.dev/transport"
	"hindcast.dev/vfs"
)

var (
	snapItems  = flag.Int("snapshot.items", 30_000, "records of 100 bytes over all nodes, each of which has a copy of a third as many")
	snapPairs  = flag.Int("snapshot.pairs", 5, "pairs of windows with and without")
	snapWindow = flag.Duration("snapshot.window", 3*time.Second, "length of a window")
	snapAlone  = flag.Bool("snapshot.alone", true, "also compare the log of messages that snapshots need with none, in two stores and without snapshots")
	snapFirst  = flag.Bool("snapshot.first", true, "also show the seconds around a first snapshot, stored whole")
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
	began time.Time
}

// newStore starts nodes with a log of messages of so many bytes at the most.
func newStore(b *testing.B, windowBytes int) *store {
	s := &store{b: b, keys: max(1, *snapItems/snapNodes)}
	s.say("%d records on each of %d nodes", s.keys, snapNodes)
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
		dir := filepath.ToSlash(filepath.Join(b.TempDir(), name))
		s.fill(dir, name, peers)
		s.say("%s is filled", name)
		// No checkpoint but the one it begins with: a node without a shadow replica takes
		// them itself, and that isn't what is measured.
		n, err := node.Start(context.Background(), node.Options{Name: name, Service: kv.Name, Dir: dir, Build: snapBuild, CheckpointEvery: 1 << 40,
			Registry: kv.Registry(), Seed: 1, Listen: peers[name], Peers: peers, Admin: "127.0.0.1:0", Durability: journal.Process,
			Limits: node.Limits{WindowBytes: windowBytes}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			n.Stop(ctx)
		})
		s.nodes, s.addrs = append(s.nodes, n), append(s.addrs, n.AdminAddr())
		s.say("%s is started", name)
	}
	for _, n := range s.nodes {
		for linked := false; !linked; time.Sleep(time.Millisecond) {
			linked = !slices.ContainsFunc(slices.Collect(maps.Values(n.Status().Network.Peers)), func(l transport.LinkStats) bool { return !l.Up })
		}
	}
	return s
}

// say tells how far it is, with the memory in use.
func (s *store) say(format string, args ...any) {
	if s.began.IsZero() {
		s.began = time.Now()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Printf("%6.1f s, heap %5.2f of %5.2f GB: %s\n", time.Since(s.began).Seconds(), float64(m.HeapAlloc)/1e9, float64(m.Sys-m.HeapReleased)/1e9,
		fmt.Sprintf(format, args...))
}

const snapBuild = "bench"

// fill makes the data directory of a node that has every record: a checkpoint, and a
// journal that goes on after it. It is what a snapshot is restored to, and takes
// seconds where writing through the nodes takes many minutes.
func (s *store) fill(dir, name string, peers map[string]string) {
	st, err := stepper.New(stepper.Options{Node: name, Registry: kv.Registry()})
	if err != nil {
		s.b.Fatal(err)
	}
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(peers)), func(n string) bool { return n == name })
	h := checkpoint.Header{Node: name, Boot: 1, Time: hlc.FromTime(time.Now().Add(-time.Hour)), Versions: map[string]uint32{kv.Name: 1}}
	step := func(ev event.Event, body any) {
		h.Seq, h.Time = h.Seq+1, h.Time+1
		ev.Machine, ev.Version, ev.Seq, ev.Time = kv.Name, 1, h.Seq, h.Time
		if ev.Payload, err = state.Marshal(body); err == nil {
			_, err = st.Step(ev, h.Boot)
		}
		if err != nil {
			s.b.Fatal(err)
		}
	}
	step(event.Event{Kind: event.Start}, event.StartInfo{Node: name, Peers: others, Build: snapBuild, Arch: runtime.GOARCH, Seed: 1, Version: 1})
	version := h.Time
	for k := 0; k < s.keys; k += kv.MaxBatch {
		var m kv.Replicate
		for i := k; i < min(k+kv.MaxBatch, s.keys); i++ {
			m.Entries = append(m.Entries, kv.Entry{Key: snapKey(i), Item: kv.Item{Value: snapValue, Version: version, Writer: "n1"}})
		}
		step(event.Event{Kind: event.Message, Name: "Replicate", ID: event.MessageID{Node: others[0], Boot: 1, Seq: h.Seq + 1}}, m)
	}
	body, err := st.Checkpoint()
	if err != nil {
		s.b.Fatal(err)
	}
	h.Physical, h.Chain = h.Time, st.Chain()
	s.write(dir, h, body)
}

func (s *store) write(dir string, h checkpoint.Header, body []byte) {
	fsys := vfs.OS()
	at := path.Join(dir, recording.CheckpointsName)
	err := vfs.MkdirSync(fsys, dir)
	if err == nil {
		err = checkpoint.Write(fsys, at, h, body)
	}
	if err != nil {
		s.b.Fatal(err)
	}
	j, err := journal.NewSeeder(journal.SeedOptions{FS: fsys, Dir: path.Join(dir, recording.JournalName), Node: h.Node, Boot: h.Boot, Durability: journal.Process,
		Before: record.Stamp{Seq: h.Seq, Time: h.Time, Physical: h.Physical, Chain: h.Chain, Boot: h.Boot}})
	if err == nil {
		err = j.Close()
	}
	if err != nil {
		s.b.Fatal(err)
	}
}

func snapKey(i int) string { return fmt.Sprintf("key-%09d", i) }

var snapValue = strings.Repeat("x", 100)

func (s *store) put(at, key int) (time.Duration, error) {
	began := time.Now()
	_, err := s.nodes[at%snapNodes].Client().Do(context.Background(), kv.Name, kv.Put{Key: snapKey(key), Value: snapValue, Consistency: kv.Eventual})
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
// each second around one first snapshot; pairs of windows, one without and one with a
// snapshot each second; and pairs of two stores, one without the log of messages that
// snapshots need. Of two pairs one begins with what the other ends with. The stores
// and their snapshots go on through all pairs.
func BenchmarkSnapshot(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(50)) // the state is most of the memory
	s := newStore(b, 0)
	full := s.drive(*snapWindow, 0)
	half := full.rate / 2
	s.say("full speed %.0f writes/s, half load %.0f", full.rate, half)
	dir := filepath.ToSlash(b.TempDir())
	if *snapFirst {
		s.aroundOne(path.Join(dir, "one"), half)
	}
	roll := s.roller(path.Join(dir, "roll"))
	b.ReportMetric(s.pairs("a snapshot each second", func(with bool) window { return s.window(half, with, roll) }), "%loss-snapshots")
	if *snapAlone {
		without := newStore(b, -1)
		without.drive(*snapWindow, half)
		b.ReportMetric(s.pairs("a log of messages", func(with bool) window {
			runtime.GC()
			if with {
				return s.drive(*snapWindow, half)
			}
			return without.drive(*snapWindow, half)
		}), "%loss-log")
	}
	b.ReportMetric(0, "ns/op")
}

// aroundOne prints the seconds before, during and after a first snapshot.
func (s *store) aroundOne(dir string, half float64) {
	began, done := time.Now(), make(chan time.Duration, 1)
	took := time.Duration(0)
	for sec, after := 0, 0; after < 4; sec++ {
		if sec == 4 {
			began = time.Now()
			go func() {
				if _, err := recording.TakeSnapshot(context.Background(), vfs.OS(), dir, s.addrs, recording.SnapshotOptions{}); err != nil {
					s.b.Error(err)
				}
				done <- time.Since(began)
			}()
		}
		w := s.drive(time.Second, half)
		phase := "before"
		if sec >= 4 && took == 0 {
			phase = "during"
			select {
			case took = <-done:
			default:
			}
		} else if sec >= 4 {
			phase, after = "after", after+1
		}
		s.say("second %2d, %s: %6.0f writes/s, p50 %v, p99 %v", sec, phase, w.rate, w.quantile(0.5), w.quantile(0.99))
	}
	s.say("the snapshot took %v", took)
	if err := os.RemoveAll(dir); err != nil {
		s.b.Error(err)
	}
}

// pairs compares windows with and without something, which goes first by turns.
func (s *store) pairs(what string, drive func(with bool) window) float64 {
	var loss, lat []float64
	for i := range *snapPairs {
		var w [2]window // without, with
		for k := range 2 {
			on := (k + i) % 2
			w[on] = drive(on == 1)
		}
		loss = append(loss, 100*(1-w[1].rate/w[0].rate))
		lat = append(lat, 100*(float64(w[1].quantile(0.5))/float64(w[0].quantile(0.5))-1))
		s.say("%s, pair %d of %d: %.0f writes/s without (p50 %v, p99 %v), %.0f with (p50 %v, p99 %v)", what, i+1, *snapPairs,
			w[0].rate, w[0].quantile(0.5), w[0].quantile(0.99), w[1].rate, w[1].quantile(0.5), w[1].quantile(0.99))
	}
	m, ci := interval(loss)
	l, lci := interval(lat)
	s.say("%s: throughput lost %.2f %% ± %.2f, median latency %+.1f %% ± %.1f (95 %%, %d pairs)", what, m, ci, l, lci, len(loss))
	return m
}

// window is one with or without a snapshot each second, of which the first stores
// what came since the last window with them and is taken before this one begins.
func (s *store) window(rate float64, on bool, take func() error) window {
	stop, done := make(chan struct{}), make(chan error, 1)
	if on {
		if err := take(); err != nil {
			s.b.Error(err)
		}
	}
	runtime.GC()
	go func() {
		turn := time.NewTicker(time.Second)
		defer turn.Stop()
		for {
			select {
			case <-stop:
				done <- nil
				return
			case <-turn.C:
			}
			if !on {
				continue
			}
			if err := take(); err != nil {
				done <- err
				return
			}
		}
	}()
	w := s.drive(*snapWindow, rate)
	close(stop)
	if err := <-done; err != nil {
		s.b.Error(err)
	}
	return w
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

// roller takes one snapshot after the other.
func (s *store) roller(dir string) func() error {
	r, err := recording.NewRoller(vfs.OS(), dir, s.addrs, 3, recording.SnapshotOptions{})
	if err != nil {
		s.b.Fatal(err)
	}
	return func() error {
		rec, err := r.Take(context.Background())
		if err == nil {
			err = rec.Trouble
		}
		return err
	}
}
