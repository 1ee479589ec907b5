package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
	"hindcast.dev/vfs"
)

// A journal that was seeded opens like one that was closed in order: its events
// are read back, and what was published without a stamp is handed out, once.
func TestASeededJournalOpensLikeOneThatWasClosed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fsys := vfs.NewMem()
		first := rapid.Uint64Range(0, 1000).Draw(t, "before")
		o := journal.SeedOptions{FS: fsys, Dir: "j", Node: "n1", Boot: 3, SegmentBytes: 16 << 10}
		if first > 0 {
			o.Before = record.Stamp{Seq: first, Time: hlc.Timestamp(first) << 16, Chain: first * 7, Boot: 2}
		}
		s, err := journal.NewSeeder(o)
		if err != nil {
			t.Fatal(err)
		}
		n, loose := rapid.IntRange(0, 20).Draw(t, "events"), rapid.IntRange(0, 5).Draw(t, "loose")
		frame := func(i int) record.Frame {
			size := rapid.SampledFrom([]int{0, 10, 1000, 5000, 20000}).Draw(t, "size")
			return record.Frame{Kind: event.Message, Machine: "m", Name: fmt.Sprint(i), Payload: bytes.Repeat([]byte{byte(i)}, size)}
		}
		var want []record.Frame
		for i := range n {
			f := frame(i)
			st := record.Stamp{Seq: first + 1 + uint64(i), Time: hlc.Timestamp(first+1+uint64(i)) << 16, Boot: 3}
			if err := s.Stamped(&f, st); err != nil {
				t.Fatal(err)
			}
			want = append(want, f)
		}
		for i := range loose {
			f := frame(n + i)
			if err := s.Published(&f); err != nil {
				t.Fatal(err)
			}
			want = append(want, f)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if r, err := journal.Verify(fsys, "j", nil); err != nil || len(r.Problems) > 0 || r.Events != uint64(n) || r.Unstamped != uint64(loose) {
			t.Fatalf("verify: %+v, %v", r, err)
		}
		checkSeeded(t, fsys, first, n, want)
	})
}

func checkSeeded(t *rapid.T, fsys vfs.FS, first uint64, n int, want []record.Frame) {
	j, err := journal.Open(journal.Options{FS: fsys, Dir: "j", Node: "n1", SegmentBytes: 64 << 10, HostBoot: "h"})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	rec := j.Recovery()
	if j.Boot() != 4 || rec.Ending != journal.Stopped || rec.Lost != nil || rec.Torn != nil || rec.Last.Seq != first+uint64(n) {
		t.Fatalf("boot %d, recovery %+v", j.Boot(), rec)
	}
	rd, err := j.NewReader(first + 1)
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	for i := range n {
		e, err := rd.Next()
		if err != nil || e.Name != want[i].Name || !bytes.Equal(e.Payload, want[i].Payload) {
			t.Fatalf("event %d: %v, %v", i, e.Name, err)
		}
	}
	if _, err := rd.Next(); !errors.Is(err, io.EOF) {
		t.Fatalf("an event too many, or %v", err)
	}
	for i := n; i < len(want); i++ {
		f, ok, err := j.Next()
		if err != nil || !ok || f.Name != want[i].Name || !bytes.Equal(f.Payload, want[i].Payload) {
			t.Fatalf("frame %d: %v %v, %v", i, f.Name, ok, err)
		}
		if err := j.Stamp(record.Stamp{Seq: j.LastStamp().Seq + 1, Time: j.LastStamp().Time + 1}); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok, err := j.Next(); ok || err != nil {
		t.Fatalf("a frame too many, or %v", err)
	}
	f := record.Frame{Kind: event.Request, Machine: "m", Name: "later"}
	if err := j.Append(&f); err != nil {
		t.Fatal(err)
	}
}

func TestASeederRefusesADirectoryThatIsNotEmpty(t *testing.T) {
	fsys := vfs.NewMem()
	o := journal.SeedOptions{FS: fsys, Dir: "j", Node: "n1"}
	s, err := journal.NewSeeder(o)
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := journal.NewSeeder(o); !errors.Is(err, journal.ErrNotNew) {
		t.Errorf("a second one: %v", err)
	}
}
