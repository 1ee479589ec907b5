package vfs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sectorsOf writes one letter per sector.
func sectorsOf(letters string) string {
	var s strings.Builder
	for _, c := range letters {
		s.WriteString(strings.Repeat(string(c), SectorSize))
	}
	return s.String()
}

// lettersOf reads what sectorsOf wrote; a sector of other content is "?".
func lettersOf(t testing.TB, fsys FS, name string) string {
	t.Helper()
	var s strings.Builder
	for sector := range slices.Chunk([]byte(contentOf(t, fsys, name)), SectorSize) {
		if bytes.Count(sector, sector[:1]) == SectorSize {
			s.WriteByte(max(sector[0], '0'))
		} else {
			s.WriteByte('?')
		}
	}
	return s.String()
}

// durableFile has the file a, of one letter per sector, all durable.
func durableFile(t testing.TB, m *Mem, name, letters string) File {
	t.Helper()
	f, err := m.Create(name)
	ok(t, err)
	write(t, f, sectorsOf(letters), 0)
	ok(t, f.Sync())
	ok(t, m.SyncDir("/"))
	return f
}

func wantLetters(t testing.TB, what string, fsys FS, name, want string) {
	t.Helper()
	if got := lettersOf(t, fsys, name); got != want {
		t.Errorf("%s: %s holds %q, want %q", what, name, got, want)
	}
}

func TestBitRotShowsWhereTheCacheIsNot(t *testing.T) {
	m := NewMem()
	f := durableFile(t, m, "a", "abcd")
	rot := func(m *Mem, sector int64) {
		ok(t, m.Damage(Damage{Kind: BitRot, File: "a", Sector: sector, Bit: 9, Bits: 3}))
	}
	rot(m, 1)
	wantLetters(t, "not mapped", m, "a", "a?cd")
	if b := contentOf(t, m, "a"); b[SectorSize+1] != 'b'^0b1110 {
		t.Errorf("the byte became %#b", b[SectorSize+1])
	}
	p, err := f.Map(4 * SectorSize)
	ok(t, err)
	rot(m, 2)
	copy(p.Bytes()[3*SectorSize:], sectorsOf("D"))
	rot(m, 3)
	wantLetters(t, "mapped", m, "a", "a?cD")
	wantLetters(t, "power loss that keeps", m.Crash(keepAll), "a", "a??D")
	wantLetters(t, "power loss that loses", m.Crash(keepNothing), "a", "a???")
	r := m.Restart()
	wantLetters(t, "restart", r, "a", "a??D")
	wantLetters(t, "power loss after it", r.Crash(keepNothing), "a", "a???")
	wantLetters(t, "clone", m.Clone(), "a", "a?cD")
	ok(t, p.Sync(3*SectorSize, 4*SectorSize))
	ok(t, p.Close())
	wantLetters(t, "unmapped", m, "a", "a??D")
	wantSpots(t, m, "a:1", "a:2")
	write(t, f, sectorsOf("BC"), SectorSize)
	ok(t, f.Sync())
	wantSpots(t, m)
	wantLetters(t, "overwritten", m.Crash(keepNothing), "a", "aBCD")
	if n := len(m.Damages()); n != 3 {
		t.Errorf("%d damages are on record", n)
	}
}

func wantSpots(t testing.TB, m *Mem, want ...string) {
	t.Helper()
	var got []string
	for _, s := range m.Spots() {
		got = append(got, fmt.Sprintf("%s:%d", s.File, s.Sector))
	}
	if !slices.Equal(got, want) {
		t.Errorf("damaged: %v, want %v", got, want)
	}
}

func TestALostWriteLeavesWhatWasThere(t *testing.T) {
	for _, mapped := range []bool{false, true} {
		m := NewMem()
		f := durableFile(t, m, "a", "abcd")
		var p Map
		if mapped {
			var err error
			p, err = f.Map(4 * SectorSize)
			ok(t, err)
		}
		ok(t, m.Damage(Damage{Kind: LostWrite, File: "a", Sector: 2}))
		ok(t, f.Sync()) // which writes nothing
		if n := len(m.Armed()); n != 1 {
			t.Fatalf("%d damages wait", n)
		}
		write(t, f, sectorsOf("BCD"), SectorSize)
		if mapped {
			ok(t, p.Sync(SectorSize, 4*SectorSize))
			wantLetters(t, "live", m, "a", "aBCD")
			ok(t, f.Sync()) // doesn't write it again
		} else {
			ok(t, f.Sync())
			wantLetters(t, "the cache is gone", m, "a", "aBcD")
		}
		wantLetters(t, "power loss", m.Crash(keepAll), "a", "aBcD")
		wantLetters(t, "restart", m.Restart(), "a", "aBcD")
		wantSpots(t, m, "a:2")
		wantSpots(t, m.Crash(keepAll), "a:2")
		if n := len(m.Armed()); n != 0 {
			t.Errorf("%d damages still wait", n)
		}
	}
}

func TestAMisdirectedWriteLandsElsewhere(t *testing.T) {
	m := NewMem()
	durableFile(t, m, "b", "xyz")
	f := durableFile(t, m, "a", "abcd")
	d := Damage{Kind: MisdirectedWrite, File: "a", Sector: 1, ToFile: "b", ToSector: 2}
	ok(t, m.Damage(d))
	write(t, f, sectorsOf("AB"), 0)
	ok(t, m.Rename("b", "c"))
	ok(t, f.Sync())
	wantLetters(t, "source", m, "a", "Abcd")
	wantLetters(t, "target", m, "c", "xyB")
	wantSpots(t, m, "a:1", "c:2")
	if got := m.Damages(); len(got) != 1 || got[0] != d {
		t.Errorf("on record: %v", got)
	}
	ok(t, m.Damage(Damage{Kind: MisdirectedWrite, File: "a", Sector: AnySector, ToFile: "a", ToSector: 3}))
	write(t, f, sectorsOf("C"), 2*SectorSize)
	ok(t, f.Sync())
	wantLetters(t, "in one file", m, "a", "AbcC")
	// Where it should have landed may be gone meanwhile.
	ok(t, m.Damage(Damage{Kind: MisdirectedWrite, File: "a", Sector: AnySector, ToFile: "c", ToSector: 2}))
	create(t, m, "c", "")
	syncNow(t, m, "c")
	write(t, f, sectorsOf("Z"), 0)
	ok(t, f.Sync())
	wantLetters(t, "nowhere", m, "a", "AbcC")
	wantContent(t, m, "c", "")
}

func syncNow(t testing.TB, m *Mem, name string) {
	t.Helper()
	f, err := m.OpenWrite(name)
	ok(t, err)
	ok(t, f.Sync())
	ok(t, f.Close())
}

func TestTheNextWriteOfAnyFileIsRecordedWithItsPlace(t *testing.T) {
	m := NewMem()
	ok(t, m.MkdirAll("d"))
	f := durableFile(t, m, "d/a", "abc")
	ok(t, m.Damage(Damage{Kind: LostWrite, Sector: AnySector}))
	c := m.Clone() // it waits in both
	write(t, f, sectorsOf("C"), 2*SectorSize)
	ok(t, f.Sync())
	want := Damage{Kind: LostWrite, File: "d/a", Sector: 2}
	if got := m.Damages(); len(got) != 1 || got[0] != want {
		t.Errorf("on record: %v", got)
	}
	if len(c.Armed()) != 1 || len(c.Damages()) != 0 {
		t.Errorf("the clone: %v, %v", c.Armed(), c.Damages())
	}
	c.Disarm()
	durableFile(t, c, "d/a", "xyz")
	wantLetters(t, "disarmed", c, "d/a", "xyz")
}

func TestAnUnreadableSectorIsAnErrorUntilItIsWritten(t *testing.T) {
	m := NewMem()
	f := durableFile(t, m, "a", "abcd")
	ok(t, m.Damage(Damage{Kind: ReadError, File: "a", Sector: 2}))
	b := make([]byte, SectorSize)
	_, err := f.ReadAt(b, SectorSize)
	ok(t, err)
	for _, m := range []*Mem{m, m.Restart(), m.Crash(keepAll)} {
		f, err := m.OpenWrite("a")
		ok(t, err)
		_, err = f.ReadAt(b, SectorSize+1)
		wantErr(t, err, ErrMedium)
		_, err = f.Map(4 * SectorSize)
		wantErr(t, err, ErrMedium)
		wantSpots(t, m, "a:2")
		write(t, f, sectorsOf("C"), 2*SectorSize)
		wantLetters(t, "cached", m, "a", "abCd")
		ok(t, f.Sync())
		wantSpots(t, m)
		wantLetters(t, "written", m.Crash(keepNothing), "a", "abCd")
	}
}

func TestAFileThatGoesTakesItsDamageWithIt(t *testing.T) {
	m := NewMem()
	durableFile(t, m, "a", "ab")
	ok(t, m.Damage(Damage{Kind: BitRot, File: "a", Sector: 1, Bits: SectorBits}))
	ok(t, m.Rename("a", "b"))
	wantSpots(t, m, "b:1")
	f, err := m.OpenWrite("b")
	ok(t, err)
	ok(t, f.Truncate(SectorSize))
	ok(t, f.Sync())
	wantSpots(t, m)
	ok(t, m.Damage(Damage{Kind: BitRot, File: "b", Sector: 0, Bits: 1}))
	ok(t, m.Remove("b"))
	wantSpots(t, m)
}

func TestDamageThatCanNotBeIsRefused(t *testing.T) {
	m := NewMem()
	durableFile(t, m, "a", "ab")
	for _, d := range []Damage{
		{Kind: BitRot, File: "b", Bits: 1},
		{Kind: BitRot, File: "/", Bits: 1},
		{Kind: BitRot, File: "a", Sector: 2, Bits: 1},
		{Kind: BitRot, File: "a", Sector: AnySector, Bits: 1},
		{Kind: BitRot, File: "a"},
		{Kind: BitRot, File: "a", Bit: 4090, Bits: 7},
		{Kind: ReadError, File: "a", Sector: 2},
		{Kind: LostWrite, File: "b", Sector: AnySector},
		{Kind: LostWrite, File: "a", Sector: -2},
		{Kind: MisdirectedWrite, File: "a", Sector: 1, ToFile: "a", ToSector: 2},
		{File: "a"},
	} {
		if m.Damage(d) == nil {
			t.Errorf("%v is taken", d)
		}
	}
	if len(m.Damages())+len(m.Armed())+len(m.Spots()) > 0 {
		t.Errorf("%v, %v, %v", m.Damages(), m.Armed(), m.Spots())
	}
}

func TestADamageIsWordsAndData(t *testing.T) {
	for want, d := range map[string]Damage{
		"bit rot: bit 3 of byte 2 flipped in sector 1 of a (bytes 512 to 1023)":                         {Kind: BitRot, File: "a", Sector: 1, Bit: 19, Bits: 1},
		"bit rot: bits 8 to 15 flipped in sector 0 of a (bytes 0 to 511)":                               {Kind: BitRot, File: "a", Bit: 8, Bits: 8},
		"bit rot: all bits flipped in sector 0 of a (bytes 0 to 511)":                                   {Kind: BitRot, File: "a", Bits: SectorBits},
		"lost write: of whatever sector is written next, whose sync returned nil":                       {Kind: LostWrite, Sector: AnySector},
		"misdirected write: of the sector of a that is written next, to sector 0 of b (bytes 0 to 511)": {Kind: MisdirectedWrite, File: "a", Sector: AnySector, ToFile: "b"},
		"read error: in sector 0 of a (bytes 0 to 511), until it is written":                            {Kind: ReadError, File: "a"},
	} {
		if d.String() != want {
			t.Errorf("%q, want %q", d, want)
		}
		b, err := json.Marshal(d)
		ok(t, err)
		var got Damage
		if err := json.Unmarshal(b, &got); err != nil || got != d {
			t.Errorf("%s became %+v, %v", b, got, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"kind":"worm"}`), new(Damage)); err == nil {
		t.Error("an unknown kind is taken")
	}
	b, err := json.Marshal(Spot{File: "b", Damage: Damage{Kind: ReadError, File: "a"}})
	if ok(t, err); !strings.Contains(string(b), `"text":"sector 0 of b (bytes 0 to 511): read error: in sector 0 of a`) {
		t.Errorf("%s", b)
	}
}

func TestFilesListsWhatIsOnTheMedium(t *testing.T) {
	m := NewMem()
	ok(t, m.MkdirAll("d/e"))
	f := durableFile(t, m, "d/e/b", "ab")
	ok(t, f.Preallocate(9*SectorSize))
	ok(t, f.Sync())
	_, err := f.Map(9 * SectorSize)
	ok(t, err)
	create(t, m, "d/a", "not durable")
	want := []Extent{{Name: "d/a", Size: 11}, {Name: "d/e/b", Size: 9 * SectorSize, Sectors: 2, Mapped: true}}
	if got := m.Files(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// modelSector is a slow, obvious cache over a medium: what the file shows, what
// the cache believes to be written, and what is.
type modelSector struct{ now, believed, medium byte }

// TestDamageIsAsACacheOverAMediumWouldShowIt compares one mapped file with that model.
func TestDamageIsAsACacheOverAMediumWouldShowIt(t *testing.T) {
	const n = 4
	rapid.Check(t, func(rt *rapid.T) {
		m := NewMem()
		f := durableFile(t, m, "a", "aaaa")
		p, err := f.Map(n * SectorSize)
		ok(t, err)
		model := slices.Repeat([]modelSector{{'a', 'a', 'a'}}, n)
		lose := map[int]bool{}
		for range rapid.IntRange(0, 20).Draw(rt, "steps") {
			i := rapid.IntRange(0, n-1).Draw(rt, "sector")
			s := &model[i]
			switch rapid.SampledFrom([]string{"write", "write", "sync", "lose", "rot"}).Draw(rt, "op") {
			case "write":
				s.now = rapid.SampledFrom([]byte("abc")).Draw(rt, "letter")
				copy(p.Bytes()[i*SectorSize:], sectorsOf(string(s.now)))
			case "sync":
				ok(t, p.Sync(i*SectorSize+1, (i+1)*SectorSize))
				if s.now == s.believed {
					break
				}
				if s.believed = s.now; lose[i] {
					delete(lose, i)
				} else {
					s.medium = s.now
				}
			case "lose":
				if !lose[i] {
					lose[i] = true
					ok(t, m.Damage(Damage{Kind: LostWrite, File: "a", Sector: int64(i)}))
				}
			case "rot":
				s.medium ^= 1 << 5
				// Every byte's bit 5, so that it stays a letter.
				for b := range SectorSize {
					ok(t, m.Damage(Damage{Kind: BitRot, File: "a", Sector: int64(i), Bit: 8*b + 5, Bits: 1}))
				}
			}
		}
		var now, kept, lost []byte
		for _, s := range model {
			now = append(now, s.now)
			lost = append(lost, s.medium)
			if s.now != s.believed {
				kept = append(kept, s.now)
			} else {
				kept = append(kept, s.medium)
			}
		}
		wantLetters(t, "now", m, "a", string(now))
		wantLetters(t, "restart", m.Restart(), "a", string(kept))
		wantLetters(t, "power loss that keeps", m.Crash(keepAll), "a", string(kept))
		wantLetters(t, "power loss that loses", m.Crash(keepNothing), "a", string(lost))
	})
}

// TestMemsThatShareMemoryDontShareChanges does things to several Mems that came of
// each other, and holds each against plain bytes.
func TestMemsThatShareMemoryDontShareChanges(t *testing.T) {
	type disk struct {
		m         *Mem
		f         File
		p         Map
		now, kept []byte // what Crash must keep is not followed: all is synced before
	}
	const size = 3 * 4096
	rapid.Check(t, func(rt *rapid.T) {
		m := NewMem()
		f, err := m.Create("a")
		ok(t, err)
		ok(t, f.Preallocate(size))
		ok(t, f.Sync())
		ok(t, m.SyncDir("/"))
		disks := []*disk{{m: m, f: f, now: make([]byte, size), kept: make([]byte, size)}}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			d := rapid.SampledFrom(disks).Draw(rt, "disk")
			at := rapid.IntRange(0, size-1).Draw(rt, "at")
			b := byte(rapid.IntRange(1, 255).Draw(rt, "byte"))
			switch rapid.SampledFrom([]string{"write", "mapwrite", "map", "unmap", "sync", "sync", "clone", "restart", "crash"}).Draw(rt, "op") {
			case "write":
				write(t, d.f, string([]byte{b}), int64(at))
				d.now[at] = b
			case "mapwrite":
				if d.p != nil {
					d.p.Bytes()[at] = b
					d.now[at] = b
				}
			case "map":
				if d.p == nil {
					d.p, err = d.f.Map(size)
					ok(t, err)
				}
			case "unmap":
				if d.p != nil {
					ok(t, d.p.Close())
					d.p = nil
				}
			case "sync":
				ok(t, d.f.Sync())
				copy(d.kept, d.now)
			default:
				var to *Mem
				now, kept := bytes.Clone(d.now), bytes.Clone(d.kept)
				if rapid.Bool().Draw(rt, "lose") {
					to, now = d.m.Crash(keepNothing), bytes.Clone(kept)
				} else if to = d.m.Restart(); rapid.Bool().Draw(rt, "keep") {
					to, kept = d.m.Crash(keepAll), bytes.Clone(now)
				}
				f, err := to.OpenWrite("a")
				ok(t, err)
				disks = append(disks, &disk{m: to, f: f, now: now, kept: kept})
			}
			for i, d := range disks {
				if got := contentOf(t, d.m, "a"); got != string(d.now) {
					rt.Fatalf("disk %d isn't what was written to it", i)
				}
				if got := contentOf(t, d.m.Crash(keepNothing), "a"); got != string(d.kept) {
					rt.Fatalf("disk %d doesn't keep what was synced", i)
				}
			}
		}
	})
}
