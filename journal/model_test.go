package journal

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine"
	"hindcast.dev/vfs"
)

// picker chooses what a crash leaves: nothing unsynced for the seed 0, else at
// random.
func picker(seed uint64) func(n int) int {
	if seed == 0 {
		return func(int) int { return 0 }
	}
	return machine.NewRand(seed).IntN
}

// A slot is what the model knows of one claim, in the order of claims.
type slot struct {
	payload string
	claim   *Claim // not nil while it isn't published
	aborted bool
}

// world is a journal beside its model: a slice of claims, of which a prefix is
// stamped, of which a prefix is durable.
type world struct {
	fsys    *vfs.Mem
	j       *Journal
	slots   []slot
	stamps  []record.Stamp // of the first frames that aren't aborted
	durable int            // of stamps
	boot    uint64
	ceiling hlc.Timestamp
	host    int
	n       int // frames so far
}

func (w *world) open(t *rapid.T) {
	o := options(w.fsys)
	o.SegmentBytes = 8 << 10
	o.Durability = Group
	o.HostBoot = fmt.Sprint("host-", w.host)
	j, err := Open(o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if j.Boot() <= w.boot {
		t.Fatalf("boot %d after %d", j.Boot(), w.boot)
	}
	if j.Ceiling() < w.ceiling {
		t.Fatalf("ceiling %v after %v", j.Ceiling(), w.ceiling)
	}
	w.j, w.boot = j, j.Boot()
}

// published returns the payloads that the consumer may see: up to the first claim
// that isn't published.
func (w *world) published() []string {
	var out []string
	for _, s := range w.slots {
		if s.claim != nil {
			break
		}
		if !s.aborted {
			out = append(out, s.payload)
		}
	}
	return out
}

func (w *world) frame(t *rapid.T) *record.Frame {
	w.n++
	payload := fmt.Sprintf("%d:", w.n)
	if extra := rapid.IntRange(0, 40).Draw(t, "extra"); extra == 40 { // now and then a large one
		payload += string(make([]byte, 3000))
	} else {
		payload += string(make([]byte, extra*8))
	}
	return &record.Frame{Kind: event.Message, Machine: "m", Name: "Put", Payload: []byte(payload)}
}

// refused reports whether a claim was refused for a lawful reason.
func (w *world) refused(t *rapid.T, err error) bool {
	if err != nil && err != ErrBacklog && err != ErrFull {
		t.Fatal(err)
	}
	return err != nil
}

func (w *world) append(t *rapid.T) {
	f := w.frame(t)
	if !w.refused(t, w.j.Append(f)) {
		w.slots = append(w.slots, slot{payload: string(f.Payload)})
	}
}

func (w *world) claim(t *rapid.T) {
	f := w.frame(t)
	c, err := w.j.Claim(f.Size() + 16*rapid.IntRange(0, 9).Draw(t, "more"))
	if !w.refused(t, err) {
		w.slots = append(w.slots, slot{payload: string(f.Payload), claim: &c})
	}
}

// settle publishes or aborts an outstanding claim.
func (w *world) settle(t *rapid.T) {
	var out []*slot
	for i := range w.slots {
		if w.slots[i].claim != nil {
			out = append(out, &w.slots[i])
		}
	}
	if len(out) == 0 {
		t.Skip("no claim is out")
	}
	s := rapid.SampledFrom(out).Draw(t, "claim")
	f := &record.Frame{Kind: event.Message, Machine: "m", Name: "Put", Payload: []byte(s.payload)}
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		s.claim.Abort()
		s.aborted = true
	case 1:
		s.claim.Put(f)
	default:
		wire := record.AppendWire(nil, f)
		copy(s.claim.Bytes(), wire)
		if n, err := s.claim.Publish(len(wire)); n != len(wire) || err != nil {
			t.Fatal(n, err)
		}
	}
	s.claim = nil
}

func (w *world) stamp(t *rapid.T) {
	f, ok, err := w.j.Next()
	if err != nil {
		t.Fatal(err)
	}
	want := w.published()[len(w.stamps):]
	if ok != (len(want) > 0) {
		t.Fatalf("Next: %v, the model has %d", ok, len(want))
	}
	if !ok {
		t.Skip("nothing to stamp")
	}
	if string(f.Payload) != want[0] {
		t.Fatalf("Next: %.10q, the model has %.10q", f.Payload, want[0])
	}
	if rapid.Bool().Draw(t, "only look") {
		return
	}
	if err := w.j.Stamp(stampAfter(w.j.LastStamp())); err != nil {
		t.Fatal(err)
	}
	w.stamps = append(w.stamps, w.j.LastStamp())
}

func (w *world) sync(t *rapid.T) {
	seq, err := w.j.Sync()
	if err != nil || seq != uint64(len(w.stamps)) {
		t.Fatalf("Sync: %d, %v, %d are stamped", seq, err, len(w.stamps))
	}
	w.durable = len(w.stamps)
}

func (w *world) raise(t *rapid.T) {
	ts := w.ceiling + hlc.Timestamp(rapid.IntRange(0, 1<<20).Draw(t, "by"))
	if err := w.j.RaiseCeiling(ts); err != nil {
		t.Fatal(err)
	}
	w.ceiling = ts
}

func (w *world) maintain(t *rapid.T) {
	if err := w.j.Maintain(); err != nil {
		t.Fatal(err)
	}
	w.durable = max(w.durable, int(w.j.Durable()))
}

// read compares all that is stamped.
func (w *world) read(t *rapid.T) {
	from := rapid.IntRange(0, len(w.stamps)+1).Draw(t, "from")
	r, err := w.j.NewReader(uint64(from))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	published := w.published()
	for i := max(from, 1) - 1; i < len(w.stamps); i++ {
		e, err := r.Next()
		if err != nil || e.Stamp != w.stamps[i] || string(e.Payload) != published[i] {
			t.Fatalf("event %d: %+v %.10q, %v, want %+v %.10q", i+1, e.Stamp, e.Payload, err, w.stamps[i], published[i])
		}
	}
	if _, err := r.Next(); err == nil {
		t.Fatal("the reader goes past the stamped end")
	}
}

// reopen checks what recovery kept against the model, and takes it over.
func (w *world) reopen(t *rapid.T, atLeast int) {
	published := w.published()
	stamps := w.stamps
	w.open(t)
	handled, kept := int(w.j.LastStamp().Seq), w.j.Recovery().Unstamped
	if handled < atLeast || handled > len(stamps) || handled > 0 && w.j.LastStamp() != stamps[handled-1] {
		t.Fatalf("%d events are left, %d were stamped, %d durable", handled, len(stamps), atLeast)
	}
	if handled+kept > len(published) {
		t.Fatalf("%d handled and %d published frames are left, there were %d", handled, kept, len(published))
	}
	w.stamps, w.durable = stamps[:handled], handled
	w.slots = nil
	for _, p := range published[:handled+kept] {
		w.slots = append(w.slots, slot{payload: p})
	}
}

func (w *world) kill(t *rapid.T) {
	published, stamped := len(w.published()), len(w.stamps)
	w.fsys = w.fsys.Restart()
	w.reopen(t, stamped)
	if r := w.j.Recovery(); len(w.slots) != published || r.Ending != Killed || r.Lost != nil {
		t.Fatalf("after a kill %d of %d published frames are left: %+v", len(w.slots), published, r)
	}
}

func (w *world) crash(t *rapid.T) {
	w.fsys = w.fsys.Crash(picker(rapid.Uint64().Draw(t, "sectors")))
	w.host++
	w.reopen(t, w.durable)
}

func (w *world) close(t *rapid.T) {
	if err := w.j.Close(); err != nil {
		t.Fatal(err)
	}
	if w.j.Append(message(1)) != ErrClosed {
		t.Fatal("a closed journal takes a frame")
	}
	w.reopen(t, len(w.stamps))
	if r := w.j.Recovery(); r.Ending != Stopped || r.Lost != nil {
		t.Fatalf("after Close: %+v", r)
	}
}

func TestTheJournalIsASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{fsys: vfs.NewMem()}
		w.open(t)
		defer func() {
			if err := w.j.Close(); err != nil && !errors.Is(err, ErrClosed) {
				t.Fatal(err)
			}
		}()
		t.Repeat(map[string]func(*rapid.T){
			"append": w.append, "append2": w.append, "append3": w.append, "stamp": w.stamp, "stamp2": w.stamp, "stamp3": w.stamp,
			"claim": w.claim, "settle": w.settle, "settle2": w.settle, "sync": w.sync, "raise": w.raise,
			"maintain": w.maintain, "maintain2": w.maintain, "read": w.read, "kill": w.kill, "crash": w.crash, "close": w.close,
		})
	})
}
