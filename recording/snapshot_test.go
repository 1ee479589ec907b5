package recording

import (
	"bytes"
	"reflect"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/vfs"
)

func someFlights() []Flight {
	return []Flight{
		{To: "n2", Machine: "bank", From: "bank", Name: "Credit", Version: 1, ID: "n1/3/17/0", Sent: 99 << 16, Payload: []byte{0xa1, 0}},
		{To: "n3", Machine: "bank", ID: "n1/3/17/1", Sent: 99 << 16, Baggage: []byte("b")},
	}
}

func TestFlightsReadBack(t *testing.T) {
	b, crc, err := encodeFlights(someFlights())
	if err != nil || len(crc) != 8 {
		t.Fatal(crc, err)
	}
	got, err := decodeFlights(b)
	if err != nil || !reflect.DeepEqual(got, someFlights()) {
		t.Fatalf("%+v, %v", got, err)
	}
	f, err := got[0].Frame()
	want := record.Frame{Kind: event.Message, Machine: "bank", From: "bank", Name: "Credit", Version: 1, Sent: 99 << 16, Payload: []byte{0xa1, 0},
		ID: event.MessageID{Node: "n1", Boot: 3, Seq: 17}}
	if err != nil || !reflect.DeepEqual(f, want) {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestAFlightThatCannotBeIsRefused(t *testing.T) {
	for _, line := range []string{`{`, `{"to":"n2"}`, `{"to":"","id":"n1/1/1/0"}`, `{"to":"n1","id":"n1/1/1/0"}`, `{"to":"n2","id":"x"}`} {
		if _, err := decodeFlights([]byte(line + "\n")); err == nil {
			t.Errorf("%s is taken", line)
		}
	}
}

func FuzzFlights(f *testing.F) {
	b, _, err := encodeFlights(someFlights())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		flights, err := decodeFlights(b)
		if err != nil {
			return
		}
		again, _, err := encodeFlights(flights)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeFlights(again)
		if err != nil || len(got) != len(flights) {
			t.Fatalf("%q: %d messages, then %d: %v", b, len(flights), len(got), err)
		}
	})
}

func someEvents() (b []byte) {
	for i := range uint64(3) {
		f := record.Frame{Kind: event.Request, Machine: "m", Name: "x", Payload: bytes.Repeat([]byte{1}, int(i)*40)}
		b = AppendEvent(b, &f, record.Stamp{Seq: i + 1, Time: hlc.Timestamp(i+1) << 16, Chain: i, Boot: 2})
	}
	return b
}

func TestEventsReadBack(t *testing.T) {
	b := someEvents()
	var d record.Decoder
	for i := range uint64(3) {
		if _, _, _, err := ReadEvent(&d, b[:40]); err == nil {
			t.Error("half an event is taken")
		}
		f, s, n, err := ReadEvent(&d, b)
		if err != nil || s.Seq != i+1 || s.Boot != 2 || len(f.Payload) != int(i)*40 {
			t.Fatalf("event %d: %+v %+v, %v", i, f, s, err)
		}
		b = b[n:]
	}
	b = someEvents()
	b[len(b)-20] ^= 1
	_, _, n, err := ReadEvent(&d, b)
	for err == nil && n < len(b) {
		b = b[n:]
		_, _, n, err = ReadEvent(&d, b)
	}
	if err == nil {
		t.Error("a damaged stamp is taken")
	}
}

func FuzzEvents(f *testing.F) {
	f.Add(someEvents())
	f.Fuzz(func(t *testing.T, b []byte) {
		var d record.Decoder
		for len(b) > 0 {
			_, _, n, err := ReadEvent(&d, b)
			if err != nil {
				return
			}
			if n <= 0 || n > len(b) {
				t.Fatalf("%d of %d bytes", n, len(b))
			}
			b = b[n:]
		}
	})
}

// A difference is read with what it is based on, wherever that has gone; and what
// claims to be based on itself, or on something elsewhere, is refused.
func TestADifferenceFindsItsBase(t *testing.T) {
	fsys := vfs.NewMem()
	make := func(name, base string, at hlc.Timestamp) *Recording {
		r, err := Create(fsys, "s/"+name, Manifest{Service: "x", Snapshot: &Snapshot{Time: at, Base: base}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	make("a", "", 1)
	make("~b", "a", 2)
	c := make("c", "b", 3)
	chain, err := c.Chain()
	if err != nil || len(chain) != 3 || chain[0].Dir() != "s/a" || chain[1].Dir() != "s/~b" {
		t.Errorf("%v, %v", chain, err)
	}
	for name, base := range map[string]string{"d": "d", "e": "../s/a", "f": "..", "g": "none"} {
		if _, err := make(name, base, 4).Chain(); err == nil {
			t.Errorf("%s is taken as based on %q", name, base)
		}
	}
}

// What a crash has left of a snapshot is removed by the next one, but not what
// another process is writing.
func TestPartsAreRemovedUnlessSomebodyWritesThem(t *testing.T) {
	fsys := vfs.NewMem()
	for _, dir := range []string{"s/~old.part", "s/~new.part", "s/~kept", "s/x"} {
		if err := fsys.MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := vfs.WriteFile(fsys, "s/~old.part/recording.json", nil); err != nil {
		t.Fatal(err)
	}
	lock, err := fsys.Lock("s/~new.part/lock")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := removeParts(fsys, "s"); err != nil {
		t.Fatal(err)
	}
	names, err := fsys.ReadDir("s")
	if want := []string{"x", "~kept", "~new.part"}; err != nil || !reflect.DeepEqual(names, want) {
		t.Errorf("%q, %v, want %q", names, err, want)
	}
}
