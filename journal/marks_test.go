package journal

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"hindcast.dev/journal/record"
	"hindcast.dev/vfs"
)

func TestOnlyOneProcessWrites(t *testing.T) {
	fsys := vfs.NewMem()
	j := mustOpen(t, options(fsys))
	if _, err := Open(options(fsys)); !errors.Is(err, ErrInUse) {
		t.Errorf("a second Open: %v", err)
	}
	if _, err := Repair(fsys, testDir); !errors.Is(err, ErrInUse) {
		t.Errorf("Repair: %v", err)
	}
	if err := Skip(fsys, testDir, 1, "why not"); !errors.Is(err, ErrInUse) {
		t.Errorf("Skip: %v", err)
	}
	mustClose(t, j)
	if err := j.Close(); err != ErrClosed {
		t.Errorf("Close again: %v", err)
	}
	o := options(fsys)
	o.Node = "n2"
	if _, err := Open(o); !errors.Is(err, ErrOtherNode) || !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), `"n1"`) {
		t.Errorf("another node's journal: %v", err)
	}
}

func TestPanicsAtOneEventAreCountedAndToldApartFromKills(t *testing.T) {
	fsys := vfs.NewMem()
	for count := 1; count <= 3; count++ {
		j := mustOpen(t, options(fsys))
		if err := j.MarkPanic(7, "index out of range"); err != nil {
			t.Fatal(err)
		}
		mustClose(t, j)
		j = mustOpen(t, options(fsys))
		r := j.Recovery()
		want := &PanicMark{Boot: uint64(2*count - 1), Seq: 7, Count: count, Text: "index out of range"}
		if r.Ending != Panicked || !reflect.DeepEqual(r.Panic, want) {
			t.Errorf("%v, %+v, want %+v", r.Ending, r.Panic, want)
		}
		fsys = fsys.Restart()
	}
	j := mustOpen(t, options(fsys))
	if r := j.Recovery(); r.Ending != Killed || r.Panic == nil || r.Panic.Count != 3 {
		t.Errorf("after a kill: %v, %+v", r.Ending, r.Panic)
	}
	if err := j.MarkPanic(8, strings.Repeat("x", panicTextMax+1)); err != nil {
		t.Fatal(err)
	}
	mustClose(t, j)
	j = mustOpen(t, options(fsys))
	if p := j.Recovery().Panic; p.Count != 1 || len(p.Text) != panicTextMax {
		t.Errorf("at another event: %d, %d bytes", p.Count, len(p.Text))
	}
	mustClose(t, j)
}

func TestAmendmentsAreThereAtTheNextStart(t *testing.T) {
	fsys := vfs.NewMem()
	j := mustOpen(t, options(fsys))
	mustClose(t, j)
	if err := Skip(fsys, testDir, 9, "it panics"); err != nil {
		t.Fatal(err)
	}
	if err := Skip(fsys, testDir, 0, "it panics"); err == nil {
		t.Error("event 0 is skipped")
	}
	if err := Skip(fsys, testDir, 9, ""); err == nil {
		t.Error("skipped without a reason")
	}
	j = mustOpen(t, options(fsys))
	up := Amendment{Seq: 4, Reason: "fixed in 2"}
	if err := j.Amend(up); err != nil {
		t.Fatal(err)
	}
	mustClose(t, j)
	j = mustOpen(t, options(fsys))
	if got, want := j.Amendments(), []Amendment{up, {Seq: 9, Reason: "it panics"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if reason, skip := j.Skip(9); !skip || reason != "it panics" {
		t.Errorf("Skip(9): %q, %v", reason, skip)
	}
	if _, skip := j.Skip(5); skip {
		t.Error("an event that nobody named is skipped")
	}
	mustClose(t, j)
}

func TestOnlyTheLastEventCanBeSkipped(t *testing.T) {
	fsys := vfs.NewMem()
	j := mustOpen(t, options(fsys))
	for i := range 3 {
		mustAppend(t, j, message(i))
		mustStamp(t, j)
	}
	mustClose(t, j)
	for seq, can := range map[uint64]bool{1: false, 2: false, 3: true, 4: true} {
		if err := Skip(fsys, testDir, seq, "it panics"); (err == nil) != can || !can && !errors.Is(err, ErrHandled) {
			t.Errorf("event %d of 3: %v", seq, err)
		}
	}
}

func TestTheBoundsHoldAtTheLimitAndOnePastIt(t *testing.T) {
	fsys := vfs.NewMem()
	o := options(fsys)
	o.SegmentBytes, o.Backlog = 8<<10, 2048
	j := mustOpen(t, o)
	defer mustClose(t, j)
	frame := func(n int) *record.Frame { return &record.Frame{Kind: 1, Payload: make([]byte, n-record.SizeMin)} }
	mustAppend(t, j, frame(1024))
	mustAppend(t, j, frame(1024))
	if err := j.Append(frame(112)); err != ErrBacklog || j.Counts().Backlog != 1 || j.Waiting() != 2048 {
		t.Errorf("above the backlog: %v, %d waiting", err, j.Waiting())
	}
	mustStamp(t, j)
	mustAppend(t, j, frame(1024))
	stampAll(t, j)
	if err := j.Append(frame(2048 + 16)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a frame above the backlog: %v", err)
	}
	mustAppend(t, j, frame(2048))
	if err := j.Append(&record.Frame{Kind: 1, Payload: make([]byte, record.MaxFrame)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a frame above the limit: %v", err)
	}
	if _, err := j.Claim(record.MaxFrame + 1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a claim above the limit: %v", err)
	}
	stampAll(t, j)

	o = options(vfs.NewMem())
	o.SegmentBytes, o.Backlog = 8<<10, 1<<20
	k := mustOpen(t, o)
	mustAppend(t, k, frame(4096))
	if err := k.Append(frame(4096 + 16)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a frame above the segment: %v", err)
	}
	mustClose(t, k)
}

func TestOptionsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no FS": func(o *Options) { o.FS = nil }, "no Dir": func(o *Options) { o.Dir = "" },
		"no Node": func(o *Options) { o.Node = "" }, "long Node": func(o *Options) { o.Node = strings.Repeat("n", 129) },
		"small segment": func(o *Options) { o.SegmentBytes = 4096 }, "odd segment": func(o *Options) { o.SegmentBytes = 8193 },
		"large segment": func(o *Options) { o.SegmentBytes = 2 << 30 }, "negative": func(o *Options) { o.RetainAge = -1 },
		"durability": func(o *Options) { o.Durability = 3 }, "long HostBoot": func(o *Options) { o.HostBoot = strings.Repeat("n", 65) },
	} {
		o := options(vfs.NewMem())
		change(&o)
		if _, err := Open(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for d := Process; d <= Each; d++ {
		if got, err := ParseDurability(d.String()); got != d || err != nil {
			t.Errorf("%v: %v, %v", d, got, err)
		}
	}
	if _, err := ParseDurability("always"); err == nil {
		t.Error("durability always is accepted")
	}
}

func TestAClaimOfWireFramesIsPublishedAtOnceAndBadOnesAreNot(t *testing.T) {
	j := mustOpen(t, options(vfs.NewMem()))
	defer mustClose(t, j)
	var wire []byte
	for i := range 40 {
		wire = record.AppendWire(wire, message(i+1))
	}
	whole := len(wire)
	wire = record.AppendWire(wire, message(41))
	wire[whole+70] ^= 1
	c, err := j.Claim(len(wire) + 500)
	if err != nil {
		t.Fatal(err)
	}
	copy(c.Bytes(), wire)
	n, err := c.Publish(len(wire))
	if n != whole || !errors.Is(err, record.ErrCorrupt) {
		t.Errorf("%d of %d bytes published, %v", n, whole, err)
	}
	mustAppend(t, j, message(99))
	if got := stampAll(t, j); got != 41 {
		t.Errorf("%d frames", got)
	}
	c, err = j.Claim(300)
	if err != nil {
		t.Fatal(err)
	}
	copy(c.Bytes(), wire[:100])
	if n, err := c.Publish(100); n != 0 || err != record.ErrShort {
		t.Errorf("half a frame: %d, %v", n, err)
	}
	if got := stampAll(t, j); got != 0 {
		t.Errorf("half a frame is %d frames", got)
	}
}

func TestWaitWakesWithoutPolling(t *testing.T) {
	j := mustOpen(t, options(vfs.NewMem()))
	woken := make(chan error)
	go func() { woken <- j.Wait(context.Background(), 1) }()
	mustAppend(t, j, message(1))
	mustAppend(t, j, message(2))
	mustStamp(t, j)
	mustStamp(t, j)
	if err := <-woken; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { woken <- j.Wait(ctx, 2) }()
	cancel()
	if err := <-woken; err != context.Canceled {
		t.Error(err)
	}
	go func() { woken <- j.Wait(context.Background(), 2) }()
	mustClose(t, j)
	if err := <-woken; err != ErrClosed {
		t.Error(err)
	}
}

func TestAppendAndStampAllocateNothing(t *testing.T) {
	o := options(vfs.NewMem())
	o.SegmentBytes = 1 << 20
	j := mustOpen(t, o)
	defer mustClose(t, j)
	f := message(1)
	stamp := j.LastStamp()
	step := func() {
		if err := j.Append(f); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := j.Next(); !ok || err != nil {
			t.Fatal(ok, err)
		}
		stamp = stampAfter(stamp)
		if err := j.Stamp(stamp); err != nil {
			t.Fatal(err)
		}
	}
	step()
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations for each event", n)
	}
}
