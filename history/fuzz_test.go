package history

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/vfs"
)

// tinyRun is a run of one node with several blocks, bases and references.
func tinyRun(t interface{ Fatal(...any) }) (vfs.FS, []byte) {
	fsys := vfs.NewMem()
	w, err := CreateDisk(fsys, "h", DiskOptions{BlockBytes: 60, BaseBytes: 40, Refs: 4})
	if err != nil {
		t.Fatal(err)
	}
	nw, err := w.Node("n1", "b")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		e := &Event{Kind: kindRecv, ID: "x", Name: "N", Peer: "n2", Data: event.Float(1.5), Effects: []Effect{{Kind: kindSend, ID: "y"}}}
		e.Seq, e.Time = uint64(i+1), hlc.Timestamp(i+1)
		e.Changes = []Change{{Var: nw.Var("kv.a"), Path: []event.Value{event.Int(int64(i % 3))}, Value: event.Set(event.Int(1), event.String("s"))}}
		if err := nw.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := nw.Bulky(nw.Var("kv.b"), 5); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	b, err := vfs.ReadFile(fsys, "h/run-000001", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return fsys, b
}

// reseal makes the checksums of a run right again, as far as its lengths lead,
// so that fuzzing reaches what stands behind them.
func reseal(b []byte) (directory uint32) {
	le := binary.LittleEndian
	if len(b) < headerSize+trailerSize {
		return 0
	}
	le.PutUint32(b[12:], crc32.Checksum(b[:12], castagnoli))
	end := len(b) - trailerSize
	for at := headerSize; at+headSize <= end; {
		head := b[at:end]
		stored := int(le.Uint32(head[4:]))
		if stored > len(head)-headSize {
			break
		}
		directory = crc32.Update(crc32.Checksum(head[:16], castagnoli), castagnoli, head[headSize:headSize+stored])
		le.PutUint32(head[16:], directory)
		at += headSize + stored
	}
	le.PutUint32(b[end+28:], crc32.Checksum(b[end:end+28], castagnoli))
	return directory
}

// readEverything reads a run in every way and returns the first error.
func readEverything(d *Disk) error {
	ctx := context.Background()
	var errs []error
	note := func(err error) {
		if err != nil && !errors.Is(err, ErrNoEvent) {
			errs = append(errs, err)
		}
	}
	c, err := d.Walk(ctx, Begin, End, nil)
	for err == nil {
		var e *Event
		if e, err = c.Next(); err == nil {
			_, err2 := d.Walk(ctx, e.Position, e.Position, nil)
			note(err2)
			_, err2 = d.Event(ctx, e.Node, e.Seq)
			note(err2)
		}
	}
	if err != io.EOF {
		note(err)
	}
	_, err = d.Before(ctx, End, 3, nil)
	note(err)
	for _, id := range []string{"x", "y", "z"} {
		_, err := d.Message(ctx, id)
		note(err)
	}
	note(d.findViolations(&manifest{}))
	return errors.Join(errs...)
}

func FuzzOpenDisk(f *testing.F) {
	_, run := tinyRun(f)
	f.Add(run, true)
	f.Add(run, false)
	f.Add([]byte(runMagic), false)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		b = append([]byte(nil), b...)
		m := manifest{Format: manifestFormat, Version: runVersion, Runs: []manifestRun{{File: "run-000001", Node: "n1", Bytes: int64(len(b))}}}
		if seal {
			m.Runs[0].Directory = reseal(b)
		}
		fsys := vfs.NewMem()
		for name, data := range map[string][]byte{"run-000001": b, manifestName: m.encode()} {
			if err := vfs.WriteFile(fsys, name, data); err != nil {
				t.Fatal(err)
			}
		}
		d, err := OpenDisk(fsys, ".")
		if err == nil {
			err = readEverything(d)
			if err2 := d.Close(); err2 != nil {
				t.Fatal(err2)
			}
		}
		var bad *FileError
		if err != nil && !errors.As(err, &bad) {
			t.Fatalf("an error that isn't a FileError: %v", err)
		}
	})
}

func TestResealedRunIsWhole(t *testing.T) {
	_, run := tinyRun(t)
	again := append([]byte(nil), run...)
	reseal(again)
	if string(again) != string(run) {
		t.Fatal("sealing a good run again changes it: the fuzz target seals wrongly")
	}
}

func FuzzDecodeBlock(f *testing.F) {
	b := blockEncoder{dict: &dictionary{ids: map[string]int{}}}
	for i := range 3 {
		b.add(&Event{Position: Position{Time: 5, Seq: uint64(i + 1)}, Physical: 7, Kind: "k", ID: "i", Data: event.List(event.Null()),
			Effects: []Effect{{Kind: "send", ID: "j"}}, Changes: []Change{{Path: []event.Value{event.Int(1)}, Value: event.MapOf(nil)}}})
	}
	f.Add(b.finish(), 3)
	f.Fuzz(func(t *testing.T, raw []byte, count int) {
		d := blockDecoder{words: []string{"k", "send"}, vars: []VarID{0}}
		entries, err := d.decode(raw, count)
		if err != nil {
			return
		}
		enc := blockEncoder{dict: &dictionary{ids: map[string]int{"k": 0, "send": 1}, words: []string{"k", "send"}}}
		for i := range entries {
			enc.add(&entries[i])
		}
		again := blockDecoder{words: enc.dict.words, vars: []VarID{0}}
		back, err := again.decode(enc.finish(), len(entries))
		if err != nil || len(back) != len(entries) {
			t.Fatalf("what was decoded doesn't encode: %v", err)
		}
		meta := &Meta{Vars: []Var{{Name: "v"}}}
		for i := range back {
			if x, y := appendHashed(nil, meta, &entries[i]), appendHashed(nil, meta, &back[i]); string(x) != string(y) {
				t.Fatalf("entry %d: %+v comes back as %+v", i, entries[i], back[i])
			}
		}
	})
}

func FuzzDecodeDirectory(f *testing.F) {
	d := directory{node: Node{Name: "n", Unknown: []Span{{1, 2}}}, words: []string{"w"}, vars: []runVar{{"v", 3, 4}},
		blocks: []blockRef{{offset: 20, size: 30, entries: 2, base: 0}}, bases: []baseRef{{offset: 16, sections: 1, size: 24}},
		refs: []refSequence{{{offset: 50, size: 20, first: 9}}}}
	f.Add(d.encode(), int64(1000))
	f.Fuzz(func(t *testing.T, raw []byte, end int64) {
		d, err := decodeDirectory(raw, end)
		if err != nil {
			return
		}
		again, err := decodeDirectory(d.encode(), end)
		if err != nil || string(again.encode()) != string(d.encode()) {
			t.Fatalf("what was decoded doesn't encode: %v", err)
		}
	})
}

func FuzzDecodeManifest(f *testing.F) {
	m := manifest{Format: manifestFormat, Version: 1, Runs: []manifestRun{{"run-000001", "n", 5, 6}}}
	f.Add(m.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := decodeManifest("m", b)
		var bad *FileError
		if err != nil && (!errors.As(err, &bad) || bad.Offset > int64(len(b))) {
			t.Fatalf("%v", err)
		}
	})
}
