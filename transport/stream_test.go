package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
)

// message is the seq-th message of node n1, boot 1, in wire form.
func message(seq uint64, payload []byte) []byte {
	return messageOf("n1", 1, seq, payload)
}

func messageOf(node string, boot, seq uint64, payload []byte) []byte {
	f := record.Frame{Kind: event.Message, Machine: "m", From: "m", Name: "Put", Payload: payload,
		ID: event.MessageID{Node: node, Boot: boot, Seq: seq}}
	return record.AppendWire(nil, &f)
}

// chunks is a source that gives its bytes in pieces, then err.
type chunks struct {
	pieces [][]byte
	err    error
}

func (c *chunks) SetReadDeadline(time.Time) error { return nil }

func (c *chunks) Read(b []byte) (int, error) {
	if len(c.pieces) == 0 {
		return 0, c.err
	}
	n := copy(b, c.pieces[0])
	if c.pieces[0] = c.pieces[0][n:]; len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	return n, nil
}

// readAll returns the frames as bytes, and the error that ended them.
func readAll(src source, frameMax int) ([][]byte, *stream, error) {
	s := newStream(src, frameMax, time.Minute, time.Minute)
	var out [][]byte
	for {
		_, wire, err := s.next()
		if err != nil {
			return out, s, err
		}
		out = append(out, bytes.Clone(wire))
	}
}

func TestFramesDontDependOnHowTheyAreChunked(t *testing.T) {
	sizes := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, 300), rapid.IntRange(30<<10, 200<<10))
	rapid.Check(t, func(t *rapid.T) {
		var want [][]byte
		var all []byte
		for i, n := range rapid.SliceOfN(sizes, 0, 12).Draw(t, "payloads") {
			want = append(want, message(uint64(i), bytes.Repeat([]byte{byte(i)}, n)))
			all = append(all, want[i]...)
		}
		src := &chunks{err: io.EOF}
		for rest := all; len(rest) > 0; {
			n := min(len(rest), rapid.OneOf(rapid.IntRange(1, 200), rapid.IntRange(1, 100<<10)).Draw(t, "chunk"))
			src.pieces, rest = append(src.pieces, rest[:n]), rest[n:]
		}
		got, s, err := readAll(src, 1<<20)
		if err != io.EOF || !reflect.DeepEqual(got, want) {
			t.Fatalf("%d frames, %v; want %d", len(got), err, len(want))
		}
		if s.offset != uint64(len(all)) {
			t.Fatalf("offset %d after %d bytes", s.offset, len(all))
		}
	})
}

func TestAStreamThatGoesWrongSaysWhere(t *testing.T) {
	one := message(1, []byte("hello"))
	long := message(2, make([]byte, 5000))
	flipped := bytes.Clone(one)
	flipped[60] ^= 1
	n := uint64(len(one))
	for name, c := range map[string]struct {
		b     []byte
		end   error
		want  Cause
		at    uint64
		whole int
	}{
		"garbage":              {append(bytes.Clone(one), "GET / HTTP/1.1\r\n"...), io.EOF, CauseGarbage, n, 1},
		"flipped bit":          {append(bytes.Clone(one), flipped...), io.EOF, CauseGarbage, n, 1},
		"too long":             {append(bytes.Clone(one), long...), io.EOF, CauseTooLarge, n, 1},
		"half":                 {append(bytes.Clone(one), one[:50]...), io.EOF, CauseHalfSent, n, 1},
		"half a head":          {one[:3], io.EOF, CauseHalfSent, 0, 0},
		"stalled in a frame":   {one[:50], os.ErrDeadlineExceeded, CauseStalled, 0, 0},
		"idle between frames":  {one, os.ErrDeadlineExceeded, CauseIdle, n, 1},
		"lost":                 {one, errors.New("reset"), CauseLost, n, 1},
		"a reader without end": {nil, nil, CauseLost, 0, 0},
	} {
		src := &chunks{pieces: [][]byte{c.b}, err: c.end}
		if c.b == nil {
			src.pieces = nil
		}
		got, _, err := readAll(src, 4096)
		var bad *streamError
		if !errors.As(err, &bad) || bad.cause != c.want || bad.offset != c.at || len(got) != c.whole {
			t.Errorf("%s: %d frames, %v; want %d, %s at %d", name, len(got), err, c.whole, c.want, c.at)
		}
	}
}

func TestAFrameAtTheLimitPassesAndOneBeyondDoesNot(t *testing.T) {
	f := message(1, make([]byte, 1000))
	if got, _, err := readAll(&chunks{[][]byte{f}, io.EOF}, len(f)); err != io.EOF || len(got) != 1 {
		t.Errorf("at the limit: %d frames, %v", len(got), err)
	}
	_, _, err := readAll(&chunks{[][]byte{f}, io.EOF}, len(f)-1)
	if want := fmt.Sprintf("a frame of %d bytes, the most is %d", len(f), len(f)-1); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("beyond: %v, want %q", err, want)
	}
}

func TestMemoryFollowsWhatHasComeAndNotWhatIsClaimed(t *testing.T) {
	f := message(1, make([]byte, 8<<20))
	_, s, err := readAll(&chunks{[][]byte{f[:100<<10]}, io.EOF}, 16<<20)
	var bad *streamError
	if !errors.As(err, &bad) || bad.cause != CauseHalfSent {
		t.Fatal(err)
	}
	if len(s.buf) > 4*100<<10 {
		t.Errorf("%d bytes held after 100 KiB of a frame of 8 MiB", len(s.buf))
	}
}

func TestTheBufferOfALongFrameIsGivenBack(t *testing.T) {
	src := &chunks{pieces: [][]byte{message(1, make([]byte, 1<<20))}, err: io.EOF}
	got, s, err := readAll(src, 16<<20)
	if err != io.EOF || len(got) != 1 || len(s.buf) != streamBufferBytes {
		t.Errorf("%d frames, %v, a buffer of %d bytes", len(got), err, len(s.buf))
	}
}

func TestReadingSmallFramesAllocatesNothing(t *testing.T) {
	one := message(7, []byte("hello"))
	src := &chunks{pieces: [][]byte{bytes.Repeat(one, 1000)}, err: io.EOF}
	s := newStream(src, 1<<20, time.Minute, time.Minute)
	if n := testing.AllocsPerRun(500, func() {
		if _, _, err := s.next(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

func FuzzStream(f *testing.F) {
	two := append(message(1, []byte("hello")), message(2, nil)...)
	f.Add(two, uint16(7))
	f.Add(append(two, two[:30]...), uint16(100))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint16(3))
	f.Fuzz(func(t *testing.T, b []byte, chunk uint16) {
		whole, _, err1 := readAll(&chunks{[][]byte{b}, io.EOF}, 1<<16)
		src := &chunks{err: io.EOF}
		for rest := b; len(rest) > 0; {
			n := min(len(rest), int(chunk)+1)
			src.pieces, rest = append(src.pieces, rest[:n]), rest[n:]
		}
		cut, _, err2 := readAll(src, 1<<16)
		if !reflect.DeepEqual(whole, cut) || err1.Error() != err2.Error() {
			t.Fatalf("whole: %d frames, %v; in pieces of %d: %d frames, %v", len(whole), err1, int(chunk)+1, len(cut), err2)
		}
	})
}
