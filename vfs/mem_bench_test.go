package vfs

import (
	"fmt"
	"testing"
)

// The disk of a simulated node: BenchmarkMem measures what a simulator does with
// one, of segments like a simulated journal's.
const benchSegment = 64 << 10

// benchDisk has so many full segments that are sealed, one that is mapped and half
// full, and one that is prepared.
func benchDisk(b *testing.B, sealed int) (*Mem, Map) {
	b.Helper()
	m := NewMem()
	ok(b, MkdirSync(m, "n1/journal"))
	for i := range sealed {
		p := benchMap(b, m, fmt.Sprintf("n1/journal/%08x.seg", i))
		fillMap(b, p, benchSegment)
		ok(b, p.Close())
	}
	p := benchMap(b, m, "n1/journal/active.seg")
	fillMap(b, p, benchSegment/2)
	benchMap(b, m, "n1/journal/next.seg")
	return m, p
}

func benchMap(b *testing.B, m *Mem, name string) Map {
	f, err := m.Create(name + ".tmp")
	ok(b, err)
	ok(b, f.Preallocate(benchSegment))
	_, err = f.WriteAt(make([]byte, 4096), 0)
	ok(b, err)
	ok(b, f.Sync())
	p, err := f.Map(benchSegment)
	ok(b, err)
	ok(b, f.Close())
	ok(b, m.Rename(name+".tmp", name))
	ok(b, m.SyncDir("n1/journal"))
	return p
}

func fillMap(b *testing.B, p Map, size int) {
	for i := range size {
		p.Bytes()[i] = byte(i)
	}
	ok(b, p.Sync(0, size))
}

func BenchmarkMem(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ok(b, MkdirSync(NewMem(), "n1/journal"))
		}
	})
	b.Run("segment", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m := NewMem()
			ok(b, MkdirSync(m, "n1/journal"))
			ok(b, benchMap(b, m, "n1/journal/1.seg").Close())
		}
	})
	b.Run("mapsync-200B", func(b *testing.B) {
		_, p := benchDisk(b, 0)
		b.ReportAllocs()
		at := benchSegment / 2
		for b.Loop() {
			if at+200 > benchSegment {
				at = benchSegment / 2
			}
			p.Bytes()[at]++
			ok(b, p.Sync(at, at+200))
			at += 200
		}
	})
	b.Run("meta-write+sync", func(b *testing.B) {
		m := NewMem()
		f, err := m.Create("meta")
		ok(b, err)
		_, err = f.WriteAt(make([]byte, 8192), 0)
		ok(b, err)
		slot := make([]byte, 512)
		b.ReportAllocs()
		for b.Loop() {
			slot[7]++
			_, err = f.WriteAt(slot, 4096)
			ok(b, err)
			ok(b, f.Sync())
		}
	})
	for _, sealed := range []int{2, 20} {
		b.Run(fmt.Sprintf("restart-%d", sealed), func(b *testing.B) {
			m, _ := benchDisk(b, sealed)
			b.ReportAllocs()
			for b.Loop() {
				m.Restart()
			}
		})
		b.Run(fmt.Sprintf("crash-%d", sealed), func(b *testing.B) {
			m, _ := benchDisk(b, sealed)
			b.ReportAllocs()
			for b.Loop() {
				m.Crash(keepNothing)
			}
		})
	}
}
