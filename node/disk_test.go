package node

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"

	"hindcast.dev/journal"
	"hindcast.dev/vfs"
)

var errBroken = errors.New("the disk is broken")

// faulty is a disk in memory whose operations fail while broken says so.
func faulty(o Options, broken func(vfs.Op) bool) (Options, *vfs.Mem, *atomic.Bool) {
	on := new(atomic.Bool)
	o, mem := inMemory(o)
	o.FS = vfs.NewFaulty(mem, func(op vfs.Op) error {
		if on.Load() && broken(op) {
			return errBroken
		}
		return nil
	})
	return o, mem, on
}

func TestAFailedSyncStopsTheNodeBeforeAnyEffect(t *testing.T) {
	for name, broken := range map[string]func(vfs.Op) bool{
		"segment": func(op vfs.Op) bool { return op.Kind == vfs.OpMapSync },
		"all":     func(op vfs.Op) bool { return op.Kind == vfs.OpMapSync || op.Kind == vfs.OpSync },
	} {
		t.Run(name, func(t *testing.T) {
			o, mem, on := faulty(options(t, "n1"), broken)
			n := start(t, o)
			total(t, n, Add{"a", 1})
			on.Store(true)
			r, err := n.Client().Do(within(t, patience), "tally", Add{"a", 1})
			if !errors.Is(err, ErrUncertain) || r.Body != nil {
				t.Fatalf("a request that can't become durable: %v, %v, want ErrUncertain", r, err)
			}
			err = n.Wait()
			var sync *SyncError
			if !errors.As(err, &sync) || ExitCode(err) != ExitSync || !errors.Is(err, errBroken) {
				t.Fatalf("the node stopped with %v, exit code %d", err, ExitCode(err))
			}
			if why := strings.Join(n.NotReady(), " "); !strings.Contains(why, "failed") {
				t.Fatalf("not ready because %q", why)
			}
			// What is durable is there after a power loss, and nothing that was acknowledged lacks.
			o.FS, o.HostBoot = mem.Crash(func(int) int { return 0 }), "another boot"
			n = start(t, o)
			if got := peek(t, n, "a"); got != 1 && got != 2 {
				t.Fatalf("a = %d after the restart", got)
			}
		})
	}
}

// fill makes a disk full: nothing can grow.
func fill(t *testing.T, mem *vfs.Mem) {
	t.Helper()
	free, err := mem.Free(".")
	if err != nil {
		t.Fatal(err)
	}
	mem.SetCapacity(math.MaxInt64 - free)
}

func TestAFullDiskRefusesWritesAnswersReadsAndRecovers(t *testing.T) {
	o, mem := inMemory(options(t, "n1"))
	n := start(t, o)
	total(t, n, Add{"a", 1})
	fill(t, mem)
	large := Large{make([]byte, 4000)}
	var err error
	for range 100 { // more than the segments that are prepared hold
		if _, err = n.Client().Do(within(t, patience), "tally", large); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), "no space") {
		t.Fatalf("a write to a full disk: %v, want ErrDiskFull", err)
	}
	if p := problemOf(err); p.status != 507 {
		t.Fatalf("HTTP status %d, want 507", p.status)
	}
	if got := peek(t, n, "a"); got != 1 {
		t.Fatalf("a = %d on the full disk, want 1", got)
	}
	if why := strings.Join(n.NotReady(), " "); !strings.Contains(why, "disk full") {
		t.Fatalf("not ready because %q", why)
	}
	if _, err := n.Client().Do(within(t, patience), "tally", large); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("a second write: %v", err)
	}

	mem.SetCapacity(math.MaxInt64)
	for n.disk.fullReason() != "" { // Maintain is tried again by itself
		<-n.room.wait()
	}
	if got := total(t, n, Add{"a", 1}); got != 2 {
		t.Fatalf("a = %d, want 2", got)
	}
	if why := n.NotReady(); len(why) != 0 {
		t.Fatalf("not ready because %q", why)
	}
	stop(t, n)
	notes := strings.Join(noteLog(t, mem, n.dirs.journal), "|")
	if full, ok := strings.Index(notes, "disk full"), strings.Index(notes, "disk ok"); full < 0 || ok < full {
		t.Fatalf("notes %q: want disk full, then ok", notes)
	}
}

func TestACheckpointThatCannotBeWrittenStopsNobody(t *testing.T) {
	o, _, on := faulty(options(t, "n1"), func(op vfs.Op) bool {
		return op.Kind == vfs.OpCreate && strings.Contains(op.Name, "checkpoints/")
	})
	n := start(t, o)
	total(t, n, Add{"a", 1})
	on.Store(true)
	if _, err := n.Checkpoint(within(t, patience)); !errors.Is(err, errBroken) {
		t.Fatalf("checkpoint: %v", err)
	}
	total(t, n, Add{"a", 1})
	on.Store(false)
	if _, err := n.Checkpoint(within(t, patience)); err != nil {
		t.Fatalf("checkpoint on the mended disk: %v", err)
	}
	if s := n.Status().Disk; s.Checkpoints != 1 || s.CheckpointsFailed != 1 {
		t.Fatalf("%d checkpoints, %d failed", s.Checkpoints, s.CheckpointsFailed)
	}
}

func TestRetentionGoesUpToTheOldestCheckpointKept(t *testing.T) {
	o, mem := inMemory(options(t, "n1"))
	o.RetainBytes, o.Checkpoints = 1, 1
	n := start(t, o)
	segments := func() int {
		names, err := mem.ReadDir(n.dirs.journal)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, name := range names {
			if strings.HasPrefix(name, "0") && strings.HasSuffix(name, ".seg") {
				count++
			}
		}
		return count
	}
	large := Large{make([]byte, 8000)}
	for range 40 {
		total(t, n, large)
	}
	before := segments()
	if _, err := n.Checkpoint(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	eventually(t, n, "retention", func() bool {
		total(t, n, Add{"a", 1})
		return segments() <= 3 && segments() < before
	})
	stop(t, n)
	n = start(t, o)
	if got := peek(t, n, "a"); got == 0 {
		t.Fatal("nothing is left after retention")
	}
}

func TestAFullDiskAtTheStartIsSaid(t *testing.T) {
	o, mem := inMemory(options(t, "n1"))
	for _, capacity := range []int64{0, 10 << 10} {
		mem.SetCapacity(capacity)
		if err := refusedStart(t, o); !errors.Is(err, vfs.ErrNoSpace) || ExitCode(err) != ExitFull {
			t.Fatalf("start on a full disk: %v, exit code %d", err, ExitCode(err))
		}
	}
}

func TestADiskTooSmallForTheSegmentsNamesTheirSizeAndTheFlag(t *testing.T) {
	o, mem := inMemory(options(t, "n1"))
	o.SegmentBytes = 0 // the default
	for _, capacity := range []int64{journal.SegmentBytesDefault / 2, journal.SegmentBytesDefault * 3 / 2} {
		mem.SetCapacity(capacity)
		var text string
		if n, err := Start(context.Background(), o); err != nil {
			text = err.Error()
		} else { // there is room for the first segment
			eventually(t, n, "the full disk", func() bool { return len(n.NotReady()) > 0 })
			text = strings.Join(n.NotReady(), " ")
			stop(t, n)
		}
		for _, want := range []string{"64 MiB", "2 of them", "--segment-bytes"} {
			if !strings.Contains(text, want) {
				t.Errorf("with %d bytes: %q isn't in %q", capacity, want, text)
			}
		}
	}
}

func TestADamagedJournalIsSaid(t *testing.T) {
	o, mem := inMemory(options(t, "n1"))
	n := start(t, o)
	for range 10 {
		total(t, n, Add{"a", 1})
	}
	stop(t, n)
	f, err := mem.OpenWrite(n.dirs.journal + "/00000001.seg")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("damage"), 4096+200); err != nil {
		t.Fatal(err)
	}
	f.Close()
	_, err = Start(context.Background(), o)
	if !errors.Is(err, journal.ErrCorrupt) || ExitCode(err) != ExitCorrupt {
		t.Fatalf("start: %v, exit code %d", err, ExitCode(err))
	}
}
