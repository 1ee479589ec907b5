package checkpoint

import (
	"bytes"
	"errors"
	"math"
	"path"
	"reflect"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"hindcast.dev/hlc"
	"hindcast.dev/vfs"
)

const dir = "n1/checkpoints"

func header(seq uint64) Header {
	return Header{Node: "n1", Boot: 3, Seq: seq, Time: 77 << 16, Physical: 76 << 16, Chain: 0xabcdef,
		Versions: map[string]uint32{"inv": 2, "kv": 1}}
}

func mustWrite(t testing.TB, fsys vfs.FS, h Header, body string) {
	t.Helper()
	if err := Write(fsys, dir, h, []byte(body)); err != nil {
		t.Fatal(err)
	}
}

func TestACheckpointComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z]{0,9}`)
		h := Header{Node: name.Draw(t, "node"), Boot: rapid.Uint64().Draw(t, "boot"), Seq: rapid.Uint64().Draw(t, "seq"),
			Time: hlc.Timestamp(rapid.Uint64().Draw(t, "time")), Chain: rapid.Uint64().Draw(t, "chain")}
		if m := rapid.MapOf(name, rapid.Uint32()).Draw(t, "versions"); len(m) > 0 {
			h.Versions = m
		}
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		fsys := vfs.NewMem()
		if err := Write(fsys, dir, h, body); err != nil {
			t.Fatal(err)
		}
		got, gotBody, skipped, err := Latest(fsys, dir, math.MaxUint64)
		if err != nil || skipped != nil || !reflect.DeepEqual(got, h) || !bytes.Equal(gotBody, body) {
			t.Fatalf("%+v, %x, %v, %v\nwant %+v, %x", got, gotBody, skipped, err, h, body)
		}
	})
}

func TestTheNewestSoundCheckpointWins(t *testing.T) {
	fsys := vfs.NewMem()
	if _, _, _, err := Latest(fsys, dir, 100); err != ErrNone {
		t.Errorf("without a directory: %v", err)
	}
	for _, seq := range []uint64{5, 300, 20} {
		mustWrite(t, fsys, header(seq), "state")
	}
	h, _, _, err := Latest(fsys, dir, math.MaxUint64)
	if err != nil || h.Seq != 300 {
		t.Errorf("latest of all: %d, %v", h.Seq, err)
	}
	if h, _, _, err = Latest(fsys, dir, 299); err != nil || h.Seq != 20 {
		t.Errorf("latest up to 299: %d, %v", h.Seq, err)
	}
	f, err := fsys.OpenWrite(path.Join(dir, Name(300)))
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte("x"), 130)
	f.Close()
	h, _, skipped, err := Latest(fsys, dir, math.MaxUint64)
	if err != nil || h.Seq != 20 || len(skipped) != 1 || !errors.Is(skipped[0], ErrCorrupt) {
		t.Errorf("with a damaged one: %d, %v, %v", h.Seq, skipped, err)
	}
	half := path.Join(dir, Name(400)+tempExt) // a crash in the middle of Write
	if c, err := fsys.Create(half); err != nil || c.Close() != nil {
		t.Fatal(err)
	}
	oldest, err := Prune(fsys, dir, 2)
	if err != nil || oldest != 20 {
		t.Errorf("pruned: %d, %v", oldest, err)
	}
	if seqs, _ := List(fsys, dir); !reflect.DeepEqual(seqs, []uint64{20, 300}) {
		t.Errorf("left: %v", seqs)
	}
	if _, err := fsys.Stat(half); err == nil {
		t.Errorf("%s is left", half)
	}
	aside, err := SetAside(fsys, dir, 20)
	if seqs, _ := List(fsys, dir); err != nil || len(aside) != 1 || !reflect.DeepEqual(seqs, []uint64{20}) {
		t.Errorf("set aside %v, %v, left %v", aside, err, seqs)
	}
}

func TestEveryDamageIsSeen(t *testing.T) {
	h := header(7)
	whole, err := encode(&h, []byte("the state"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(whole) * 8 {
		whole[i/8] ^= 1 << (i % 8)
		_, _, err := Decode(whole)
		var e *FileError
		if !errors.As(err, &e) {
			t.Errorf("bit %d of byte %d flipped: %v", i%8, i/8, err)
		}
		whole[i/8] ^= 1 << (i % 8)
	}
	for n := range whole {
		if _, _, err := Decode(whole[:n]); !errors.Is(err, ErrUnexpectedEnd) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if _, _, err := Decode(append(bytes.Clone(whole), 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("one byte too many: %v", err)
	}
	other := bytes.Clone(whole)
	other[8] = 9
	if _, _, err := Decode(other); !errors.Is(err, ErrVersion) {
		t.Errorf("version 9: %v", err)
	}
	if _, _, err := Decode(bytes.Repeat([]byte("foreign "), 10)); !errors.Is(err, ErrForeign) {
		t.Errorf("foreign: %v", err)
	}
}

// After a power loss at any step there is the new checkpoint or the one before,
// whole; the new one for certain once Write has returned.
func TestPowerLossAtEveryStepLeavesAWholeCheckpoint(t *testing.T) {
	for step := int64(1); ; step++ {
		for pick := range 2 {
			inner := vfs.NewMem()
			mustWrite(t, inner, header(1), "old")
			off := errors.New("power off")
			fsys := vfs.NewFaulty(inner, func(op vfs.Op) error {
				if op.N >= step {
					return off
				}
				return nil
			})
			err := Write(fsys, dir, header(2), []byte("new"))
			after := inner.Crash(func(n int) int { return pick % n })
			h, body, skipped, lerr := Latest(after, dir, math.MaxUint64)
			if lerr != nil || skipped != nil || (h.Seq != 1 || string(body) != "old") && (h.Seq != 2 || string(body) != "new") {
				t.Fatalf("step %d: %d %q, %v, %v", step, h.Seq, body, skipped, lerr)
			}
			if err == nil && h.Seq != 2 {
				t.Fatalf("step %d: Write returned nil, but the checkpoint is gone", step)
			}
			if err == nil {
				if step < 5 {
					t.Fatalf("only %d steps", step)
				}
				return
			}
		}
	}
}

// mustCopyAlike compares Copy with Decode.
func mustCopyAlike(t *testing.T, b []byte) {
	t.Helper()
	want, _, wanted := Decode(b)
	var out bytes.Buffer
	h, err := Copy(&out, iotest.OneByteReader(bytes.NewReader(b)))
	var e *FileError
	switch {
	case (err == nil) != (wanted == nil), err != nil && !errors.As(err, &e):
		t.Fatalf("% x: Copy says %v, Decode %v", b, err, wanted)
	case err == nil && (!bytes.Equal(out.Bytes(), b) || !reflect.DeepEqual(h, want)):
		t.Fatalf("copied\n% x\nas\n% x, %+v", b, out.Bytes(), h)
	}
}

func TestACopyIsCheckedAsItIsMade(t *testing.T) {
	h := header(7)
	whole, err := encode(&h, []byte("the state"))
	if err != nil {
		t.Fatal(err)
	}
	mustCopyAlike(t, whole)
	mustCopyAlike(t, append(bytes.Clone(whole), 0))
	for i := range whole {
		mustCopyAlike(t, whole[:i])
		b := bytes.Clone(whole)
		b[i] ^= 0x40
		mustCopyAlike(t, b)
	}
}

func FuzzDecode(f *testing.F) {
	h := header(7)
	whole, _ := encode(&h, []byte("the state"))
	f.Add(whole)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, body, err := Decode(b)
		mustCopyAlike(t, b)
		var e *FileError
		if err != nil {
			if !errors.As(err, &e) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if again, err := encode(&h, body); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("encodes to\n% x, was\n% x (%v)", again, b, err)
		}
	})
}
