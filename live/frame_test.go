package live

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"hindcast.dev/event"
	"hindcast.dev/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// frames is one of each kind.
func frames() []any {
	return []any{
		&Hello{Version: Version, Node: "n1", Service: "kv", Build: "b", Boot: 3, Resumed: true},
		&Base{Names: Names{Names: []string{"kv.a", "kv.m"}}, Bulky: []Bulky{{1, 7}}, Seq: 5, Time: 50,
			Changes: []history.Change{{Var: 1, Path: []event.Value{event.String("x")}, Value: event.Int(-1)}}, Last: true},
		&Block{Names: Names{From: 2, Names: []string{"node.up"}}, Promise: 70, Events: []history.Event{
			{Position: history.Position{Time: 60, Seq: 6}, Physical: 59, Kind: "recv", Name: "Put", Machine: "kv", ID: "n2/1", Peer: "n2",
				Data:    event.MapOf(event.NewMap(event.Entry{Key: event.String("k"), Value: event.Float(0.5)})),
				Effects: []history.Effect{{Kind: "send", ID: "n1/6", Peer: "n2", Name: "Ack", Data: event.Null()}},
				Changes: []history.Change{{Var: 2, Value: event.Bool(true)}}},
			{Position: history.Position{Time: 61, Seq: 7}, Kind: "timer"}}},
		&Block{Promise: 99},
		&End{Code: EndSlow, Reason: "too slow"},
	}
}

func stream(fs []any) (b []byte) {
	for _, f := range fs {
		b = f.(interface{ Append([]byte) []byte }).Append(b)
	}
	return b
}

// read reads a stream to its end.
func read(b []byte) (out []any, err error) {
	r := NewReader(bytes.NewReader(b))
	for {
		f, err := r.Next()
		if err != nil {
			return out, err
		}
		out = append(out, f)
	}
}

func TestFramesComeBackAsTheyWere(t *testing.T) {
	want := frames()
	got, err := read(stream(want))
	if err != io.EOF {
		t.Fatal(err)
	}
	for i := range want {
		if a, b := fmt.Sprintf("%+v", got[i]), fmt.Sprintf("%+v", want[i]); a != b {
			t.Errorf("frame %d\n got %s\nwant %s", i, a, b)
		}
	}
}

func TestEveryCutOfAStreamIsAnError(t *testing.T) {
	b := stream(frames())
	whole := 0
	for n := range len(b) {
		_, err := read(b[:n])
		var bad *FrameError
		switch {
		case err == io.EOF:
			whole++ // between two frames
		case !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &bad):
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
	if whole != len(frames()) {
		t.Errorf("%d cuts are between frames, want %d", whole, len(frames()))
	}
}

func TestFramesThatLieAreRefused(t *testing.T) {
	huge := binary.LittleEndian.AppendUint32(nil, FrameMax+1)
	for what, b := range map[string][]byte{
		"want 1 to":                 append(huge, 1),
		"doesn't know":              {1, 0, 0, 0, 99},
		"version 2":                 (&Hello{Version: 2, Node: "n"}).Append(nil),
		"whose name didn't come":    (&Base{Changes: []history.Change{{Var: 0, Value: event.Int(1)}}}).Append(nil),
		"names of variables begin":  (&Block{Names: Names{From: 3, Names: []string{"a.b"}}}).Append(nil),
		"bulky variable":            (&Block{Bulky: []Bulky{{0, 1}}}).Append(nil),
		"Timestamps don't ascend":   (&Block{Promise: 9, Events: []history.Event{{Position: history.Position{Time: 9, Seq: 2}}, {Position: history.Position{Time: 9, Seq: 3}}}}).Append(nil),
		"a variable has the name":   (&Block{Names: Names{Names: []string{""}}}).Append(nil),
		"Timestamps don't ascend, ": (&Block{Promise: 8, Events: []history.Event{{Position: history.Position{Time: 9, Seq: 2}}}}).Append(nil),
	} {
		var bad *FrameError
		if _, err := read(b); !errors.As(err, &bad) || !strings.Contains(err.Error(), strings.TrimSuffix(what, ", ")) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// FuzzFrames: whatever comes, reading ends with an error or io.EOF, and what was
// read is written and read again as it was.
func FuzzFrames(f *testing.F) {
	f.Add(stream(frames()))
	f.Add([]byte{255, 255, 255, 3, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := read(b)
		var bad *FrameError
		if err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &bad) {
			t.Fatalf("%v", err)
		}
		again, err := read(stream(got))
		if err != io.EOF || fmt.Sprintf("%+v", deref(got)) != fmt.Sprintf("%+v", deref(again)) {
			t.Fatalf("written and read again: %v\n%+v\n%+v", err, deref(got), deref(again))
		}
	})
}

func deref(fs []any) (out []any) {
	for _, f := range fs {
		out = append(out, reflect.ValueOf(f).Elem().Interface())
	}
	return out
}
