package history

import (
	"bytes"
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
		if head[0] == sectionBlock {
			resealBlock(head[:headSize+stored])
		} else {
			directory = crc32.Update(crc32.Checksum(head[:16], castagnoli), castagnoli, head[headSize:headSize+stored])
			le.PutUint32(head[16:], directory)
		}
		at += headSize + stored
	}
	le.PutUint32(b[end+28:], crc32.Checksum(b[end:end+28], castagnoli))
	return directory
}

// resealBlock makes the checksums of a block right again.
func resealBlock(b []byte) {
	le := binary.LittleEndian
	body := b[headSize:]
	n := int64(le.Uint32(b[8:]))
	if n > int64(len(body)) {
		return
	}
	table, body := body[:n], body[n:]
	if t, err := decodeTable(table, body, int(le.Uint32(b[12:])), 1<<30); err == nil {
		for i := range t.cols {
			if c := &t.cols[i]; c.stored > 0 {
				le.PutUint32(table[c.crcAt:], t.sum(c))
			}
		}
	}
	le.PutUint32(b[16:], crc32.Update(crc32.Checksum(b[:16], castagnoli), castagnoli, table))
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
	for _, lens := range []Lens{{}, {Vars: []VarID{0}}, {All: true, Fields: FieldEffects}} {
		for _, from := range []Position{Begin, {Time: 5}} {
			c, err := d.WalkThrough(ctx, from, End, nil, lens)
			for err == nil {
				_, err = c.Next()
			}
			if err != io.EOF {
				note(err)
			}
		}
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

// blockRun is a run that is one block, of variables a and b.
func blockRun(t testing.TB, block []byte, words []string) *diskRun {
	dec, err := newDecompressor()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dec.Close)
	ref := blockRef{size: len(block)}
	if len(block) >= headSize {
		le := binary.LittleEndian
		ref.entries = int(le.Uint32(block[12:]))
		d := decoder{b: block[headSize:]}
		ref.first = d.position()
	}
	return &diskRun{runFile: &runFile{name: "r", f: bytes.NewReader(block), size: int64(len(block)), dec: dec},
		dir: &directory{words: words, blocks: []blockRef{ref}}, vars: []VarID{0, 1}}
}

// decodeAll reads the only block of a run through a lens.
func decodeAll(r *diskRun, l *look) ([]Event, error) {
	var scratch []byte
	b, err := r.reader(0, l, nil, &scratch)
	if err != nil {
		return nil, err
	}
	b.dec.reuse = false
	out := make([]Event, b.table.count)
	var effects []Effect
	var changes []Change
	for i := range out {
		b.dec.entry(&out[i], &effects, &changes)
	}
	return out, b.dec.end()
}

func FuzzDecodeBlock(f *testing.F) {
	codec, err := newCompressor()
	if err != nil {
		f.Fatal(err)
	}
	words := []string{"k", "send"}
	encode := func(t testing.TB, entries []Event) ([]byte, []string) {
		enc := blockEncoder{dict: &dictionary{ids: map[string]int{"k": 0, "send": 1}, words: words}}
		for i := range entries {
			enc.add(&entries[i])
		}
		b, err := enc.appendTo(nil, codec)
		if err != nil {
			t.Fatal(err)
		}
		return b, enc.dict.words
	}
	var some []Event
	for i := range 40 {
		some = append(some, Event{Position: Position{Time: hlc.Timestamp(5 + i<<20), Seq: uint64(i + 1)}, Physical: 7, Kind: "k", ID: "i", Data: event.List(event.Null()),
			Effects: []Effect{{Kind: "send", ID: "j"}}, Changes: []Change{{Path: []event.Value{event.Int(1)}, Value: event.MapOf(nil)}, {Var: 1, Value: event.Int(int64(i))}}})
	}
	for _, n := range []int{1, 3, 40} {
		b, _ := encode(f, some[:n])
		f.Add(b)
	}
	meta := &Meta{Vars: []Var{{Name: "a"}, {Name: "b"}}}
	f.Fuzz(func(t *testing.T, block []byte) {
		block = bytes.Clone(block)
		if len(block) >= headSize {
			resealBlock(block)
		}
		run := blockRun(t, block, words)
		entries, err := decodeAll(run, &look{fields: AllFields})
		if err != nil {
			return
		}
		narrow, err := decodeAll(run, &look{want: []bool{false, true}})
		if err != nil || len(narrow) != len(entries) {
			t.Fatalf("what was decoded can't be through a lens: %v", err)
		}
		again, all := encode(t, entries)
		back, err := decodeAll(blockRun(t, again, all), &look{fields: AllFields})
		if err != nil || len(back) != len(entries) {
			t.Fatalf("what was decoded doesn't encode: %v", err)
		}
		for i := range back {
			if x, y := appendHashed(nil, meta, &entries[i]), appendHashed(nil, meta, &back[i]); string(x) != string(y) {
				t.Fatalf("entry %d: %+v comes back as %+v", i, entries[i], back[i])
			}
			less := Event{Position: entries[i].Position, Base: entries[i].Base}
			for _, c := range entries[i].Changes {
				if c.Var == 1 {
					less.Changes = append(less.Changes, c)
				}
			}
			if x, y := appendHashed(nil, meta, &less), appendHashed(nil, meta, &narrow[i]); string(x) != string(y) {
				t.Fatalf("entry %d: %+v is %+v through a lens", i, entries[i], narrow[i])
			}
		}
	})
}

func FuzzDecodeDirectory(f *testing.F) {
	d := directory{node: Node{Name: "n", Unknown: []Span{{1, 2}}}, words: []string{"w"}, vars: []runVar{{"v", 3, 4}},
		blocks: []blockRef{{offset: 20, size: 30, entries: 2, base: 0}}, bases: []baseRef{{offset: 16, sections: 1, size: 24}},
		refs: []refSequence{{{offset: 50, size: 20, first: 9}}}}
	d.blocks[0].stats = []blockStat{{id: 0, changes: 2, types: 1 | 1<<event.TypeInt, least: event.Int(-3), max: event.Uint(1 << 63)}}
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
	m := manifest{Format: manifestFormat, Version: runVersion, Runs: []manifestRun{{"run-000001", "n", 5, 6}}}
	f.Add(m.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := decodeManifest("m", b)
		var bad *FileError
		if err != nil && (!errors.As(err, &bad) || bad.Offset > int64(len(b))) {
			t.Fatalf("%v", err)
		}
	})
}
