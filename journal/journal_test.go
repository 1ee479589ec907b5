package journal

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/vfs"
)

const testDir = "n1/journal"

// options are those of a small journal with nonces that can be repeated.
func options(fsys vfs.FS) Options {
	var nonce uint32
	return Options{FS: fsys, Dir: testDir, Node: "n1", SegmentBytes: 16 << 10, HostBoot: "host-1",
		Nonce: func() uint32 { nonce += 0x9e3779b9; return nonce }}
}

func mustOpen(t testing.TB, o Options) *Journal {
	t.Helper()
	j, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func mustClose(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// message is the i-th frame of a test.
func message(i int) *record.Frame {
	return &record.Frame{Kind: event.Message, Machine: "inv", From: "web", Name: "Put", Version: 1,
		ID: event.MessageID{Node: "n2", Boot: 1, Seq: uint64(i)}, Payload: fmt.Appendf(nil, "payload %d", i)}
}

func mustAppend(t testing.TB, j *Journal, f *record.Frame) {
	t.Helper()
	if err := j.Append(f); err != nil {
		t.Fatal(err)
	}
}

// stampAfter is the stamp that follows s in tests.
func stampAfter(s record.Stamp) record.Stamp {
	return record.Stamp{Time: s.Time + 1<<16, Physical: s.Time, Seq: s.Seq + 1, Chain: s.Chain*31 + 1}
}

// mustStamp stamps the next frame and returns it.
func mustStamp(t testing.TB, j *Journal) record.Frame {
	t.Helper()
	f, ok, err := j.Next()
	if err != nil || !ok {
		t.Fatalf("Next: %v, %v", ok, err)
	}
	if err := j.Stamp(stampAfter(j.LastStamp())); err != nil {
		t.Fatal(err)
	}
	return f
}

// stampAll stamps all that Next returns and returns how many.
func stampAll(t testing.TB, j *Journal) int {
	t.Helper()
	for n := 0; ; n++ {
		if _, ok, err := j.Next(); err != nil {
			t.Fatal(err)
		} else if !ok {
			return n
		}
		mustStamp(t, j)
	}
}

func mustSync(t testing.TB, j *Journal) uint64 {
	t.Helper()
	seq, err := j.Sync()
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func mustMaintain(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Maintain(); err != nil {
		t.Fatal(err)
	}
}

// fill appends and stamps n messages from the i-th on, with maintenance.
func fill(t testing.TB, j *Journal, i, n int) {
	t.Helper()
	for k := range n {
		if err := j.Append(message(i + k)); errors.Is(err, ErrFull) {
			mustMaintain(t, j)
			mustAppend(t, j, message(i+k))
		} else if err != nil {
			t.Fatal(err)
		}
		mustStamp(t, j)
	}
	mustMaintain(t, j)
}

// readAll returns the payloads and checks that the sequence has no gap.
func readAll(t testing.TB, r *Reader) []string {
	t.Helper()
	var got []string
	var last uint64
	for {
		e, err := r.Next()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		if last != 0 && e.Stamp.Seq != last+1 {
			t.Fatalf("event %d after event %d", e.Stamp.Seq, last)
		}
		last = e.Stamp.Seq
		got = append(got, string(e.Payload))
	}
}

func mustReader(t testing.TB, fsys vfs.FS, from uint64) *Reader {
	t.Helper()
	r, err := OpenReader(fsys, testDir, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestWhatIsStampedIsReadAcrossSegmentsAndRestarts(t *testing.T) {
	fsys := vfs.NewMem()
	j := mustOpen(t, options(fsys))
	if r := j.Recovery(); r.Ending != NoBoot || j.Boot() != 1 {
		t.Errorf("boot %d after %v", j.Boot(), r.Ending)
	}
	const n = 1000
	fill(t, j, 1, n)
	live, err := j.NewReader(0)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if got := readAll(t, live); len(got) != n || got[n-1] != "payload 1000" {
		t.Fatalf("live: %d events, last %q", len(got), got[len(got)-1])
	}
	if got := readAll(t, mustReader(t, fsys, 990)); len(got) != 11 || got[0] != "payload 990" {
		t.Fatalf("from 990: %q", got)
	}
	r := mustReader(t, fsys, 0)
	if err := r.SeekTime(hlc.Timestamp(500 << 16)); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, r); got[0] != "payload 500" {
		t.Fatalf("from time 500: %q", got[0])
	}
	last := j.LastStamp()
	mustClose(t, j)
	j = mustOpen(t, options(fsys))
	rec := j.Recovery()
	if rec.Ending != Stopped || rec.Boot != 1 || j.Boot() != 2 || rec.Lost != nil || rec.Torn != nil || j.LastStamp() != last {
		t.Errorf("reopened in boot %d: %+v", j.Boot(), rec)
	}
	fill(t, j, n+1, 10)
	if got := readAll(t, r); len(got) != 10 {
		t.Errorf("the reader that stood at the end sees %d new events", len(got))
	}
	mustClose(t, j)
}

func TestUnstampedFramesComeAgainAfterAKill(t *testing.T) {
	fsys := vfs.NewMem()
	j := mustOpen(t, options(fsys))
	for i := range 5 {
		mustAppend(t, j, message(i+1))
	}
	mustStamp(t, j)
	mustStamp(t, j)
	out, err := j.Claim(200) // never published
	if err != nil || len(out.Bytes()) != 208 {
		t.Fatalf("claim of %d bytes, %v", len(out.Bytes()), err)
	}
	mustAppend(t, j, message(99)) // behind the claim: lost
	fsys = fsys.Restart()
	j = mustOpen(t, options(fsys))
	r := j.Recovery()
	if r.Ending != Killed || r.Last.Seq != 2 || r.Unstamped != 3 || r.Lost != nil || r.MachineDown || !errors.Is(r.Torn, ErrTorn) {
		t.Fatalf("%+v", r)
	}
	for i := 3; i <= 5; i++ {
		if f := mustStamp(t, j); string(f.Payload) != fmt.Sprintf("payload %d", i) {
			t.Fatalf("event %d is %q", i, f.Payload)
		}
	}
	if _, ok, err := j.Next(); ok || err != nil {
		t.Fatalf("a frame behind the claim came back: %v", err)
	}
	mustClose(t, j)
}

// A seek in the segment that is being stamped goes by what the consumer has indexed of
// it so far, also of one that an earlier boot began.
func TestASeekIntoTheLiveSegmentFindsItsPlace(t *testing.T) {
	fsys := vfs.NewMem()
	o := options(fsys)
	o.SegmentBytes = 1 << 20
	j := mustOpen(t, o)
	const n = 2000
	fill(t, j, 1, n)
	mustClose(t, j)
	j = mustOpen(t, o)
	defer mustClose(t, j)
	fill(t, j, n+1, n)
	s := j.entered.Load()
	if places := s.places.Load(); s.Number != 1 || places == nil || len(*places) < 3 {
		t.Fatalf("segment %d, places %v: the test shows nothing", s.Number, places)
	}
	for seq := uint64(1); seq <= 2*n; seq += 97 {
		r, err := j.NewReader(seq)
		if err != nil {
			t.Fatal(err)
		}
		bySeq, err1 := r.Next()
		err2 := r.SeekTime(bySeq.Stamp.Time)
		byTime, err3 := r.Next()
		if err := errors.Join(err1, err2, err3, r.Close()); err != nil {
			t.Fatal(err)
		}
		if bySeq.Stamp.Seq != seq || byTime.Stamp.Seq != seq {
			t.Errorf("event %d: by its number %d, by its time %d", seq, bySeq.Stamp.Seq, byTime.Stamp.Seq)
		}
	}
}
