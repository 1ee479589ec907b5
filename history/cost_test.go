package history_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/vfs"
)

// feedLong writes events that each set one of so many entries of a map.
func feedLong(events, entries int) func(history.Writer) error {
	return func(w history.Writer) error {
		for n := range 2 {
			nw, err := w.Node(fmt.Sprintf("n%d", n+1), "")
			if err != nil {
				return err
			}
			items := nw.Var("kv.items")
			for i := range events {
				e := &history.Event{Kind: "recv", Name: "Put", ID: fmt.Sprintf("n%d/1/%d/0", 2-n, i)}
				e.Seq, e.Time = uint64(i+1), hlc.Timestamp(1000*i+n+1)
				e.Physical = e.Time
				e.Effects = []history.Effect{{Kind: "send", ID: fmt.Sprintf("n%d/1/%d/0", n+1, i+1), Peer: "n2", Name: "Put"}}
				key := event.String(fmt.Sprintf("key%06d", i*7919%entries))
				e.Changes = []history.Change{{Var: items, Path: []event.Value{key}, Value: event.Int(int64(i))}}
				if err := nw.Append(e); err != nil {
					return err
				}
			}
			if err := nw.Close(); err != nil {
				return err
			}
		}
		return nil
	}
}

// Any moment costs reading one base and at most as much again, however long the
// History is: the bytes read don't grow with it.
func TestAMomentCostsWhatTheStateCosts(t *testing.T) {
	opts := history.DiskOptions{BlockBytes: 2 << 10, BaseBytes: 2 << 10}
	worst := map[int]int64{}
	for _, events := range []int{4000, 16000} {
		mem := vfs.NewMem()
		if err := writeDisk(mem, "h", opts, feedLong(events, 500)); err != nil {
			t.Fatal(err)
		}
		var read int64
		counting := vfs.NewFaulty(mem, func(op vfs.Op) error {
			if op.Kind == vfs.OpRead {
				read += op.Len
			}
			return nil
		})
		for i := range 40 {
			src, err := history.OpenDisk(counting, "h") // anew: nothing is cached
			if err != nil {
				t.Fatal(err)
			}
			read = 0
			c, err := src.Walk(context.Background(), history.Position{Time: hlc.Timestamp(1000 * events / 40 * i)}, history.Begin, []int{0})
			if err != nil {
				t.Fatal(err)
			}
			if s := c.States()[0]; i > 10 && s.Get(0).Len() != 500 {
				t.Fatalf("the state has %d entries, want 500", s.Get(0).Len())
			}
			worst[events] = max(worst[events], read)
			if err := src.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if worst[16000] > worst[4000]*3/2 || worst[4000] == 0 {
		t.Fatalf("a moment of 4000 events costs reading %d bytes, of 16000 %d", worst[4000], worst[16000])
	}
}

func TestManyReadersAndWritersAtOnce(t *testing.T) {
	fsys := vfs.NewMem()
	w, err := history.CreateDisk(fsys, "h", tiny)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			nw, err := w.Node(fmt.Sprintf("n%d", n), "")
			for i := 0; err == nil && i < 300; i++ {
				e := &history.Event{Kind: "recv", ID: fmt.Sprint(i)}
				e.Seq, e.Time = uint64(i+1), hlc.Timestamp(i+1)
				e.Changes = []history.Change{{Var: nw.Var("v"), Value: event.Int(int64(i))}}
				err = nw.Append(e)
			}
			if err = errors.Join(err, nw.Close()); err != nil {
				t.Errorf("node %d: %v", n, err)
			}
		})
	}
	wg.Wait()
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	src, err := history.OpenDisk(fsys, "h")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var events atomic.Int64
	for range 4 {
		wg.Go(func() {
			c, err := src.Walk(context.Background(), history.Begin, history.End, nil)
			for err == nil {
				if _, err = c.Next(); err == nil {
					events.Add(1)
				}
			}
			m, err2 := src.Message(context.Background(), "17")
			if err != io.EOF || err2 != nil || len(m.Receives) != 4 {
				t.Errorf("walk ends with %v; message %+v (%v)", err, m, err2)
			}
		})
	}
	wg.Wait()
	if events.Load() != 4*4*300 {
		t.Errorf("walked %d events, want %d", events.Load(), 4*4*300)
	}
}

func TestACancelledWalkEnds(t *testing.T) {
	for _, open := range []func(func(history.Writer) error) (history.Source, error){openMem, openDisk(history.DiskOptions{})} {
		src, err := open(feedLong(3000, 10))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		c, err := src.Walk(ctx, history.Begin, history.End, nil)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		n := 0
		for ; err == nil; n++ {
			_, err = c.Next()
		}
		if !errors.Is(err, context.Canceled) || n > 2000 {
			t.Errorf("%T: after %d events: %v", src, n, err)
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkHistory(b *testing.B) {
	const events = 50_000
	mem, err := openMem(feedLong(events, 10_000))
	if err != nil {
		b.Fatal(err)
	}
	fsys := vfs.NewMem()
	b.Run("write disk", func(b *testing.B) {
		for b.Loop() {
			fsys = vfs.NewMem()
			if err := writeDisk(fsys, "h", history.DiskOptions{}, feedLong(events, 10_000)); err != nil {
				b.Fatal(err)
			}
		}
		info, _ := fsys.Stat("h/run-000001")
		b.ReportMetric(float64(info.Size())/events, "bytes/event")
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*events*b.N), "ns/event")
	})
	disk, err := history.OpenDisk(fsys, "h")
	if err != nil {
		b.Fatal(err)
	}
	for name, src := range map[string]history.Source{"mem": mem, "disk": disk} {
		b.Run("walk "+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c, err := src.Walk(context.Background(), history.Begin, history.End, nil)
				for err == nil {
					_, err = c.Next()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*events*b.N), "ns/event")
		})
		b.Run("state "+name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				c, err := src.Walk(context.Background(), history.Position{Time: hlc.Timestamp(1000 * (i * 7919 % events))}, history.End, nil)
				if err != nil || len(c.States()) != 2 {
					b.Fatal(err)
				}
			}
		})
		b.Run("hash "+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := history.Hash(context.Background(), src); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*events*b.N), "ns/event")
		})
	}
}

// A walk through a History in memory is at most what an engine's step costs: the
// queries' benchmarks rest on it.
func BenchmarkMemWalk(b *testing.B) {
	for _, nodes := range []int{10, 1000} {
		const events = 1_000_000
		src, err := openMem(func(w history.Writer) error {
			for n := range nodes {
				nw, err := w.Node(fmt.Sprintf("n%04d", n), "")
				if err != nil {
					return err
				}
				a := nw.Var("inv.a")
				for i := range events / nodes {
					e := &history.Event{}
					e.Seq, e.Time = uint64(i+1), hlc.Timestamp((i+1)*nodes+n*7919%nodes)<<16
					e.Changes = []history.Change{{Var: a, Value: event.Int(int64(i % 10))}}
					if err := nw.Append(e); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			b.ReportAllocs()
			sum := 0
			for b.Loop() {
				c, err := src.Walk(context.Background(), history.Begin, history.End, nil)
				for err == nil {
					var e *history.Event
					if e, err = c.Next(); err == nil {
						sum += int(e.Seq) + len(e.Changes) + int(e.Changes[0].Var)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events*b.N), "ns/event")
		})
	}
}

func BenchmarkText(b *testing.B) {
	const events = 20_000
	mem, err := openMem(feedLong(events, 1000))
	if err != nil {
		b.Fatal(err)
	}
	text := writeText(b, mem)
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			writeText(b, mem)
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			readText(b, text)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*events*b.N), "ns/event")
	})
}
