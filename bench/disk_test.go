package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/rql/exec"
	"hindcast.dev/vfs"
)

var (
	diskEvents = flag.Int("disk.events", 1_000_000, "events of the History on disk that is searched")
	diskDir    = flag.String("disk.dir", "", "where it is kept for the next run; a temporary directory if empty")
)

const diskNodes = 10

// diskRate is how many events of all nodes there are in a second.
const diskRate = 50_000

// writeDiskHistory writes a History of diskNodes nodes that in all have so many
// events, each of which changes one of three ints.
func writeDiskHistory(dir string, events int) error {
	w, err := history.CreateDisk(vfs.OS(), dir, history.DiskOptions{})
	if err != nil {
		return err
	}
	for n := range diskNodes {
		rng := rand.New(rand.NewPCG(1, uint64(n)))
		nw, err := w.Node(fmt.Sprintf("n%d", n), "")
		if err != nil {
			return err
		}
		vars := []history.VarID{nw.Var("inv.a"), nw.Var("inv.b"), nw.Var("inv.c")}
		now := uint64(1_700_000_000) << 16
		e := &history.Event{Changes: make([]history.Change, 1)}
		for i := range events / diskNodes {
			now += uint64(rng.ExpFloat64() * 65536 * diskNodes / diskRate)
			at := hlc.Timestamp(now << 16)
			if at <= e.Time {
				at = e.Time + 1
			}
			e.Time, e.Seq = at, uint64(i+1)
			e.Changes[0] = history.Change{Var: vars[rng.IntN(3)], Value: event.Int(int64(rng.IntN(1000)))}
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

// diskHistory returns the directory of the History, written if it isn't there.
func diskHistory(b *testing.B) string {
	dir := *diskDir
	if dir == "" {
		dir = filepath.Join(b.TempDir(), "h")
	}
	if _, err := os.Stat(filepath.Join(dir, "manifest.json")); errors.Is(err, fs.ErrNotExist) {
		begin := time.Now()
		if err := writeDiskHistory(dir, *diskEvents); err != nil {
			b.Fatal(err)
		}
		b.Logf("written in %v", time.Since(begin).Round(time.Millisecond))
	}
	return dir
}

func openDiskHistory(b *testing.B, dir string) *history.Disk {
	d, err := history.OpenDisk(vfs.OS(), dir)
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// peak returns the most memory that the process had resident since forget.
func peak() (mib float64) {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.Atoi(strings.Fields(rest)[0])
			return float64(kib) / 1024
		}
	}
	return 0
}

func forget() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // Linux; elsewhere the peak is of all runs
}

// askDisk runs a query and returns when its first row came.
func askDisk(b *testing.B, src history.Source, text string, parallel int) (first time.Duration, sum rql.Summary) {
	q, err := rql.Compile(src.Meta(), text)
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	sum, err = exec.Run(context.Background(), q, src, exec.Options{Parallel: parallel}, func(*rql.Row) error {
		if first == 0 {
			first = time.Since(begin)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return first, sum
}

// BenchmarkDisk searches a History on disk: -disk.events 50000000 -disk.dir D.
func BenchmarkDisk(b *testing.B) {
	dir := diskHistory(b)
	size := int64(0)
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if info, err2 := e.Info(); err == nil && err2 == nil && !e.IsDir() {
			size += info.Size()
		}
		return err
	})
	b.Run("window of 1 s, first row", func(b *testing.B) {
		forget()
		first, least := time.Duration(0), time.Hour
		for b.Loop() {
			begin := time.Now()
			d := openDiskHistory(b, dir)
			opening := time.Since(begin)
			m := d.Meta()
			from := m.First.Time + (m.Last.Time-m.First.Time)/2
			row, sum := askDisk(b, d, fmt.Sprintf("SELECT inv.a FROM inv WHEN MAX(inv.a) - MIN(inv.a) >= 950 ON TIME %d TO %d", from, from.Add(time.Second)), 1)
			if first = opening + row; row == 0 || sum.Cuts < 100 {
				b.Fatalf("first row after %v, %d cuts", row, sum.Cuts)
			}
			least = min(least, first)
			_ = d.Close()
		}
		b.ReportMetric(float64(least.Microseconds())/1000, "ms/first-row")
		b.ReportMetric(peak(), "MiB-peak")
	})
	for _, q := range []struct{ name, text string }{
		{"one node", "SELECT inv.a FROM inv WHEN (inv.a + inv.b + inv.c > 2990) LINK SAME_NODE"},
		{"max - min", "SELECT inv.a FROM inv WHEN MAX(inv.a) - MIN(inv.a) >= 999"},
		{"what no block can hold", "SELECT inv.a FROM inv WHEN inv.a + inv.b > 5000"},
	} {
		for _, parallel := range []int{1, 2} {
			b.Run(fmt.Sprintf("scan, %s, parallel=%d", q.name, parallel), func(b *testing.B) {
				forget()
				cuts, rows, cpu := uint64(0), uint64(0), userTime()
				for b.Loop() {
					d := openDiskHistory(b, dir)
					_, sum := askDisk(b, d, q.text, parallel)
					cuts += sum.Cuts
					rows = sum.Rows
					_ = d.Close()
				}
				b.ReportMetric(float64(cuts)/b.Elapsed().Seconds()/1e6, "Mcuts/s")
				b.ReportMetric(float64((userTime()-cpu).Nanoseconds())/float64(cuts), "cpu-ns/cut")
				b.ReportMetric(float64(rows), "rows")
				b.ReportMetric(peak(), "MiB-peak")
				b.ReportMetric(float64(size)/float64(cuts/uint64(b.N)), "bytes/event")
			})
		}
	}
	b.Run("walk, one variable", func(b *testing.B) {
		events := 0
		for b.Loop() {
			d := openDiskHistory(b, dir)
			v, _ := d.Meta().VarID("inv.a")
			c, err := d.WalkThrough(context.Background(), history.Begin, history.End, nil, history.Lens{Vars: []history.VarID{v}})
			for err == nil {
				_, err = c.Next()
				events++
			}
			_ = d.Close()
		}
		b.ReportMetric(float64(events)/b.Elapsed().Seconds()/1e6, "Mevents/s")
	})
}
