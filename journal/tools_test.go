package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// dumped is a journal with one frame of each sort.
func dumped(t *testing.T) vfs.FS {
	fsys := vfs.NewMem()
	j := mustOpen(t, options(fsys))
	for i, f := range []*record.Frame{
		{Kind: event.Note, Name: event.NoteBoot, Payload: []byte{0xa1, 0x00, 0xff}},
		{Kind: event.Start, Machine: "inv", Name: "StartInfo", Version: 1, Payload: []byte("{}")},
		&exampleFrame,
		{Kind: event.Request, Machine: "inv", Name: "Get", Flags: 3, ID: event.MessageID{Node: "n1.client", Boot: 1, Seq: 5},
			Payload: []byte(strings.Repeat("long ", 100))},
		{Kind: event.Timer, Machine: "inv", From: "retry", ID: event.MessageID{Node: "n1", Boot: 1, Seq: 3, Effect: 2}},
	} {
		mustAppend(t, j, f)
		if _, _, err := j.Next(); err != nil {
			t.Fatal(err)
		}
		s := record.Stamp{Seq: uint64(i + 1), Time: hlc.Timestamp(0x6720_0000_0001_0000 + i<<16), Chain: uint64(i) * 0x1234567}
		if i == 3 {
			s.Disposition, s.Physical = record.Drift, s.Time-1<<16
		}
		if err := j.Stamp(s); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, j)
	return fsys
}

func TestDumpIsTheTextTwin(t *testing.T) {
	fsys := dumped(t)
	var out strings.Builder
	for _, o := range []DumpOptions{{}, {From: 2, To: 4}, {JSON: true, From: 3}} {
		fmt.Fprintf(&out, "%+v\n----\n", o)
		if err := Dump(&out, fsys, testDir, o); err != nil {
			t.Fatal(err)
		}
		out.WriteByte('\n')
	}
	const golden = "testdata/dump.txt"
	if *rewrite {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestInfoTellsWhatIsThere(t *testing.T) {
	fsys := build(t, 100)
	if err := Skip(fsys, testDir, 100, "why"); err != nil {
		t.Fatal(err)
	}
	info, err := Info(fsys, testDir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Node != "n1" || info.Boot != 1 || !info.Clean || info.FirstSeq != 1 || info.LastSeq != 100 || info.DurableSeq != 100 ||
		len(info.Amendments) != 1 || info.Bytes != int64(len(info.Segments))*8192 || !info.Segments[0].Indexed {
		t.Errorf("%+v", info)
	}
	if _, err := Info(fsys, "nowhere"); err == nil {
		t.Error("a missing directory has an info")
	}
}

func TestRepairKeepsWhatIsSoundAndSetsTheRestAside(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, fsys vfs.FS)
		left   int
		files  int
	}{
		{"payload", func(t *testing.T, fsys vfs.FS) { flip(t, fsys, "00000003.seg", 4096+128*5+70) }, 5, 0},
		{"header", func(t *testing.T, fsys vfs.FS) { // and the frame that would confirm it
			flip(t, fsys, "00000003.seg", 20)
			flip(t, fsys, "00000003.seg", 4096)
		}, 0, 0},
		{"missing segment", func(t *testing.T, fsys vfs.FS) {
			if err := fsys.Remove(path.Join(testDir, "00000003.seg")); err != nil {
				t.Fatal(err)
			}
		}, 0, -1},
		{"short segment", func(t *testing.T, fsys vfs.FS) {
			overwrite(t, fsys, "00000003.seg", content(t, fsys, "00000003.seg")[:4500])
		}, 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys := build(t, 160)
			before := segments(t, fsys, testDir)
			c.damage(t, fsys)
			rep, err := Repair(fsys, testDir)
			if err != nil {
				t.Fatal(err)
			}
			perSegment := uint64(readFirst(t, fsys, "00000002.seg") - 1)
			want := 2*perSegment + uint64(c.left)
			if rep.Damage == nil || rep.LastSeq != want || rep.LostFrom != want+1 || rep.LostTo != 160 {
				t.Fatalf("%+v, want %d events left", rep, want)
			}
			if len(rep.Files) != len(before)-2+c.files {
				t.Errorf("aside: %v of %v", rep.Files, before)
			}
			if got := readAll(t, mustReader(t, fsys, 0)); len(got) != int(want) {
				t.Errorf("%d events are read", len(got))
			}
			o := options(fsys)
			o.SegmentBytes = 8 << 10
			j := mustOpen(t, o)
			if j.Boot() != 2 || j.LastStamp().Seq != want {
				t.Errorf("boot %d goes on after %d", j.Boot(), j.LastStamp().Seq)
			}
			fill(t, j, 1, 100)
			mustClose(t, j)
			if rep, err := Verify(fsys, testDir, nil); err != nil || len(rep.Problems) > 0 {
				t.Errorf("verify: %v, %v", rep.Problems, err)
			}
			if rep, err := Repair(fsys, testDir); err != nil || rep.Damage != nil {
				t.Errorf("a second repair: %+v, %v", rep, err)
			}
		})
	}
}

func flip(t *testing.T, fsys vfs.FS, name string, at int) {
	t.Helper()
	b := content(t, fsys, name)
	b[at] ^= 1
	overwrite(t, fsys, name, b)
}

func readFirst(t *testing.T, fsys vfs.FS, name string) uint64 {
	t.Helper()
	h, err := segment.DecodeHeader(content(t, fsys, name))
	if err != nil {
		t.Fatal(err)
	}
	o, ok := segment.DecodeOpening(content(t, fsys, name)[segment.OpeningOffset:], &h)
	if !ok {
		t.Fatal("no opening")
	}
	return o.Seq
}

func TestRepairMakesMetaAnewWithoutUsingABootTwice(t *testing.T) {
	for _, damage := range []func(fsys vfs.FS){
		func(fsys vfs.FS) { fsys.Remove(path.Join(testDir, "meta")) },
		func(fsys vfs.FS) { overwrite(t, fsys, "meta", make([]byte, 100)) },
	} {
		fsys := build(t, 100)
		damage(fsys)
		rep, err := Repair(fsys, testDir)
		if err != nil || !rep.Meta || rep.LastSeq != 100 || rep.Damage != nil {
			t.Fatalf("%+v, %v", rep, err)
		}
		j := mustOpen(t, options(fsys))
		if j.Boot() <= bootsSkipped || j.LastStamp().Seq != 100 || j.Ceiling() != j.LastStamp().Time {
			t.Errorf("boot %d, event %d", j.Boot(), j.LastStamp().Seq)
		}
		mustClose(t, j)
	}
	if _, err := Repair(vfs.NewMem(), testDir); err == nil {
		t.Error("nothing was repaired")
	}
}

func TestRepairLeavesOtherVersionsAndForeignFilesAlone(t *testing.T) {
	fsys := build(t, 100)
	b := content(t, fsys, "00000001.seg")
	b[8] = 9
	overwrite(t, fsys, "00000001.seg", b)
	if _, err := Repair(fsys, testDir); !errors.Is(err, ErrVersion) {
		t.Errorf("%v", err)
	}
	if got := content(t, fsys, "00000001.seg"); string(got) != string(b) {
		t.Error("it was changed")
	}
}

func TestAFileErrorIsJSON(t *testing.T) {
	b, err := json.Marshal(&FileError{Problem: ErrTorn, File: "f", Offset: 3, Detail: "d"})
	if err != nil || string(b) != `{"problem":"torn tail","file":"f","offset":3,"detail":"d"}` {
		t.Errorf("%s, %v", b, err)
	}
}

// Whatever stands where frames should be, a scan ends with a gap or the end.
func FuzzScan(f *testing.F) {
	good := content(f, build(f, 10), "00000001.seg")
	f.Add(good[segment.DataOffset:], uint64(0))
	f.Fuzz(func(t *testing.T, frames []byte, seed uint64) {
		file := append([]byte(nil), good[:segment.DataOffset]...)
		file = append(file, frames...)
		file = append(file, make([]byte, max(0, len(good)-len(file)))...)[:len(good)]
		h, err := readHead(mapReader(file), "f", 1, int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		sc := newScanner(mapReader(file), h)
		for at := sc.off; ; at = sc.off {
			_, err := sc.next(h.End())
			var gap *gapError
			if err == errSegmentEnd || errors.As(err, &gap) {
				break
			}
			if err != nil || sc.off <= at {
				t.Fatalf("at %d: %v", at, err)
			}
		}
		fsys := vfs.NewMem()
		if err := fsys.MkdirAll(testDir); err != nil {
			t.Fatal(err)
		}
		if err := createMeta(fsys, testDir, segment.Meta{Node: "n1"}); err != nil {
			t.Fatal(err)
		}
		overwrite(t, fsys, "00000001.seg", file)
		if rep, err := Verify(fsys, testDir, nil); err != nil {
			t.Fatalf("%+v, %v", rep, err)
		}
		var fe *FileError
		if err := reopen(fsys); err != nil && !errors.As(err, &fe) {
			t.Fatal(err)
		}
	})
}

func FuzzMarks(f *testing.F) {
	f.Add([]byte(`[{"seq":3,"reason":"why"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := vfs.NewMem()
		if err := fsys.MkdirAll(testDir); err != nil {
			t.Fatal(err)
		}
		overwrite(t, fsys, skipName, b)
		var fe *FileError
		if _, err := Amendments(fsys, testDir); err != nil && !errors.As(err, &fe) {
			t.Fatal(err)
		}
	})
}

func benchmarkOptions(b *testing.B) Options {
	o := options(vfs.OS())
	o.Dir, o.SegmentBytes = b.TempDir()+"/journal", 16<<20
	o.RetainBytes = 64 << 20
	return o
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{0, 256, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			j := mustOpen(b, benchmarkOptions(b))
			defer mustClose(b, j)
			f := &record.Frame{Kind: event.Message, Machine: "inv", Name: "Put", Payload: make([]byte, size)}
			b.SetBytes(int64(f.Size()))
			b.ReportAllocs()
			for b.Loop() {
				if err := j.Append(f); err != nil {
					drainAndMaintain(b, j)
					mustAppend(b, j, f)
				}
			}
		})
	}
}

// drainAndMaintain makes room, untimed.
func drainAndMaintain(b *testing.B, j *Journal) {
	b.StopTimer()
	stampAll(b, j)
	j.SetRetainFrom(j.Stamped())
	mustMaintain(b, j)
	b.StartTimer()
}

func BenchmarkAppendNextStamp(b *testing.B) {
	j := mustOpen(b, benchmarkOptions(b))
	defer mustClose(b, j)
	f := &record.Frame{Kind: event.Message, Machine: "inv", Name: "Put", Payload: make([]byte, 256)}
	b.SetBytes(int64(f.Size()))
	b.ReportAllocs()
	stamp := j.LastStamp()
	for b.Loop() {
		if err := j.Append(f); err != nil {
			drainAndMaintain(b, j)
			mustAppend(b, j, f)
		}
		if _, ok, err := j.Next(); !ok || err != nil {
			b.Fatal(ok, err)
		}
		stamp = stampAfter(stamp)
		if err := j.Stamp(stamp); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendParallel(b *testing.B) {
	o := benchmarkOptions(b)
	o.Backlog = 1 << 20
	j := mustOpen(b, o)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // consumer and disk in one
		defer close(done)
		for n := 0; ; n++ {
			stampAll(b, j)
			j.SetRetainFrom(j.Stamped())
			mustMaintain(b, j)
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	f := record.Frame{Kind: event.Message, Machine: "inv", Name: "Put", Payload: make([]byte, 256)}
	b.SetBytes(int64(f.Size()))
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		f := f
		for p.Next() {
			for j.Append(&f) != nil {
			}
		}
	})
	close(stop)
	<-done
	mustClose(b, j)
}

func BenchmarkRead(b *testing.B) {
	fsys := vfs.NewMem()
	j := mustOpen(b, options(fsys))
	fill(b, j, 1, 10000)
	mustClose(b, j)
	r := mustReader(b, fsys, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			if err := r.SeekSeq(0); err != nil {
				b.Fatal(err)
			}
		}
	}
}
