package replay

import (
	"flag"
	"runtime"
	"testing"
	"time"

	"hindcast.dev/journal"
	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

// eventsFlag makes the test below as long as it is wanted: a million, say.
var eventsFlag = flag.Int("events", 50_000, "events in the journal of the long replay")

func TestLongJournalReplayedTwiceGivesTheSameHash(t *testing.T) {
	r := newRig(t, "n1", "n2")
	r.jopts = func(o *journal.Options) { o.SegmentBytes = 1 << 20 }
	r.open()
	for int(r.l.Seq()) < *eventsFlag {
		for range 64 {
			r.offer(Put{string(rune('a' + r.next%26)), string(rune('a' + r.next%23))})
		}
		r.tick(time.Millisecond).run()
		r.sent, r.logs = nil, map[uint64][]string{}
	}
	r.stop()
	dir := t.TempDir()
	rec, err := recording.Create(vfs.OS(), dir, recording.Manifest{Service: "store"})
	if err != nil {
		t.Fatal(err)
	}
	if err := rec.CopyNode(t.Context(), recording.Node{Name: "n1"}, r.fs, "n1", recording.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	var hashes []string
	for range 2 {
		// Without a Build nothing is reused.
		out, err := Recording(t.Context(), rec, Options{Registry: r.reg})
		if err != nil {
			t.Fatal(err)
		}
		if out.Reused || out.Divergence() != nil || out.Source.Meta().Events < uint64(*eventsFlag) {
			t.Fatalf("%+v, %d events", out, out.Source.Meta().Events)
		}
		hashes = append(hashes, hash(t, out.Source))
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		t.Logf("%d events, %d MiB of heap from the system", out.Source.Meta().Events, m.HeapSys>>20)
		if err := out.Source.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if hashes[0] != hashes[1] {
		t.Errorf("%s, then %s", hashes[0], hashes[1])
	}
}
