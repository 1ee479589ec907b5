package bench

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"hindcast.dev/debug"
	"hindcast.dev/debug/timeline"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/vfs"
)

var (
	debugEvents = flag.Int("debug.events", 1_000_000, "events of the History that is debugged")
	debugDir    = flag.String("debug.dir", "", "where it is kept for the next run; a temporary directory if empty")
)

const (
	debugNodes = 100
	debugVars  = 100                 // of each node
	debugStep  = 1 << 6              // ticks between two events of a node: a millisecond
	debugBegin = 1_700_000_000 << 16 // ticks
	debugPixel = 1900
)

// writeDebugHistory writes a History of debugNodes nodes with debugVars ints each.
// Every event changes one of them. Of four events of a node the first sends a
// message, which the third of another node receives.
func writeDebugHistory(dir string, events int) error {
	w, err := history.CreateDisk(vfs.OS(), dir, history.DiskOptions{})
	if err != nil {
		return err
	}
	for n := range debugNodes {
		rng := rand.New(rand.NewPCG(3, uint64(n)))
		nw, err := w.Node(fmt.Sprintf("n%02d", n), "")
		if err != nil {
			return err
		}
		vars := make([]history.VarID, debugVars)
		for i := range vars {
			vars[i] = nw.Var(fmt.Sprintf("app.v%02d", i))
		}
		for k := range events / debugNodes {
			e := &history.Event{Kind: "timer", Name: "tick", Machine: "app", Data: event.Int(int64(k))}
			e.Seq = uint64(k + 1)
			e.Time = hlc.Timestamp(debugBegin+uint64(k)*debugStep+rng.Uint64N(debugStep)) << hlc.LogicalBits
			hop := k / 4 % (debugNodes - 1)
			switch k % 4 {
			case 0:
				to := (n + 1 + hop) % debugNodes
				e.Effects = []history.Effect{{Kind: "send", ID: fmt.Sprintf("n%02d/%d", n, k), Peer: fmt.Sprintf("n%02d", to), Name: "Msg"}}
			case 2:
				from := (n - 1 - hop + debugNodes) % debugNodes
				e.Kind, e.Name, e.ID, e.Peer = "recv", "Msg", fmt.Sprintf("n%02d/%d", from, k-2), fmt.Sprintf("n%02d", from)
			}
			v := vars[rng.IntN(debugVars)]
			if k < debugVars {
				v = vars[k]
			}
			e.Changes = []history.Change{{Var: v, Value: event.Int(rng.Int64N(1000))}}
			if err := nw.Append(e); err != nil {
				return err
			}
		}
		if err := nw.Close(); err != nil {
			return err
		}
	}
	return w.Finish()
}

func debugHistory(b *testing.B) string {
	dir := *debugDir
	if dir == "" {
		dir = filepath.Join(b.TempDir(), "h")
	}
	if _, err := os.Stat(filepath.Join(dir, "manifest.json")); os.IsNotExist(err) {
		begin := time.Now()
		if err := writeDebugHistory(dir, *debugEvents); err != nil {
			b.Fatal(err)
		}
		b.Logf("%d events written in %.1f s", *debugEvents, time.Since(begin).Seconds())
	}
	return dir
}

// BenchmarkDebugger is what a person waits for who looks through a large History.
func BenchmarkDebugger(b *testing.B) {
	dir := debugHistory(b)
	ctx := context.Background()
	open := func(b *testing.B) *history.Disk {
		src, err := history.OpenDisk(vfs.OS(), filepath.ToSlash(dir))
		if err != nil {
			b.Fatal(err)
		}
		return src
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			src := open(b)
			debug.NewSession(src, io.Discard)
			src.Close()
		}
	})
	src := open(b)
	defer src.Close()
	meta := src.Meta()
	rng := rand.New(rand.NewPCG(7, 7))
	anywhere := func() hlc.Timestamp {
		return meta.First.Time + hlc.Timestamp(rng.Uint64N(uint64(meta.Last.Time-meta.First.Time)))
	}
	x, err := timeline.Build(ctx, src, nil)
	if err != nil {
		b.Fatal(err)
	}
	s := debug.NewSession(src, io.Discard)
	s.Index = func() *timeline.Index { return x }
	do := func(b *testing.B, line string) {
		if _, err := s.Ask(ctx, line); err != nil {
			b.Fatal(line, err)
		}
	}
	b.Run("jump to any time", func(b *testing.B) {
		for b.Loop() {
			do(b, fmt.Sprintf("goto %d", anywhere()))
		}
	})
	for _, line := range []string{"step", "back", "step n50", "back n50", "state", "state n50", "diff", "diagram", "cause n50 app.v07", "effects"} {
		b.Run(line+" anywhere", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				do(b, fmt.Sprintf("goto %d", anywhere()))
				b.StartTimer()
				do(b, line)
			}
		})
	}
	benchTimeline(b, src, anywhere)
}

func benchTimeline(b *testing.B, src history.Source, anywhere func() hlc.Timestamp) {
	ctx := context.Background()
	var x *timeline.Index
	var err error
	run := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(src.Meta().Events)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mevents/s")
		})
	}
	before := heapInUse()
	run("index: where the events are", func() error { x, err = timeline.Build(ctx, src, nil); return err })
	run("index: messages", func() error { x, err = x.Link(ctx, nil); return err })
	b.Logf("the index takes %.0f MiB", float64(heapInUse()-before)/(1<<20))
	for _, axis := range []timeline.Axis{timeline.Time, timeline.Order, timeline.Depth} {
		from, to, _ := x.Span(axis)
		for _, part := range []uint64{1, 10, 1000} {
			b.Run(fmt.Sprintf("frame, %v, 1∕%d of it", axis, part), func(b *testing.B) {
				for b.Loop() {
					width := (to - from) / part
					at := from
					if part > 1 {
						at += uint64(anywhere()) % (to - from - width)
					}
					if _, err := x.Frame(timeline.View{Axis: axis, From: at, To: at + width, Columns: debugPixel}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	b.Run("past and future of an event", func(b *testing.B) {
		for b.Loop() {
			if _, err := x.ConeOf(x.Cut(timeline.Time, uint64(anywhere()))); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// heapInUse is what is in use, after a collection.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
