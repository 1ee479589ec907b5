package history

import (
	"encoding/binary"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// A directory says what is in a run and where. It is all of a run that is kept
// in memory.
type directory struct {
	node   Node // Events, First and Last are the run's
	words  []string
	vars   []runVar
	blocks []blockRef
	bases  []baseRef
	refs   []refSequence
	bulky  []runBulky // by variable
}

// A runVar is what a run knows of a variable.
type runVar struct {
	name    string
	types   uint64 // bit n: type n was seen
	changes uint64
}

// A runBulky says from when on a run leaves out what is in a variable.
type runBulky struct {
	v    VarID // the run's
	from hlc.Timestamp
}

// A blockRef says where a block lies and what it holds.
type blockRef struct {
	offset      int64
	size        int
	entries     int
	first, last Position
	base        int    // index into bases, -1 if the run's beginning is the base
	number      uint64 // of its first entry in the run; not stored
	bases       int    // among the entries
	stats       []blockStat
	more        bool // other variables than those of stats change in it too
}

// A baseRef says where a base lies, and before which block.
type baseRef struct {
	offset   int64
	sections int
	size     int64
	block    int
}

// A refSequence is a list of references sorted by hash, in pages.
type refSequence []refPage

type refPage struct {
	offset int64
	size   int
	first  uint64 // hash
}

func appendPosition(b []byte, p Position) []byte {
	return appendUint(appendUint(b, uint64(p.Time)), p.Seq)
}

func (d *directory) encode() []byte {
	b := appendText(nil, d.node.Name)
	b = appendText(b, d.node.Build)
	b = appendText(b, d.node.Reason)
	b = appendCount(b, len(d.node.Unknown))
	for _, s := range d.node.Unknown {
		b = appendUint(appendUint(b, uint64(s.From)), uint64(s.To))
	}
	b = appendUint(b, d.node.Events)
	b = appendPosition(appendPosition(b, d.node.First), d.node.Last)
	b = appendCount(b, len(d.words))
	for _, w := range d.words {
		b = appendText(b, w)
	}
	b = appendCount(b, len(d.vars))
	for _, v := range d.vars {
		b = appendUint(appendUint(appendText(b, v.name), v.types), v.changes)
	}
	b = appendCount(b, len(d.blocks))
	for _, r := range d.blocks {
		b = appendCount(appendCount(appendUint(b, uint64(r.offset)), r.size), r.entries)
		b = appendPosition(appendPosition(b, r.first), r.last)
		b = appendCount(b, r.base+1)
	}
	b = appendCount(b, len(d.bases))
	for _, r := range d.bases {
		b = appendCount(appendUint(b, uint64(r.offset)), r.sections)
		b = appendCount(appendUint(b, uint64(r.size)), r.block)
	}
	b = appendCount(b, len(d.refs))
	for _, seq := range d.refs {
		b = appendCount(b, len(seq))
		for _, p := range seq {
			b = appendCount(appendUint(b, uint64(p.offset)), p.size)
			b = binary.LittleEndian.AppendUint64(b, p.first)
		}
	}
	for i := range d.blocks {
		b = d.blocks[i].appendStats(b)
	}
	if len(d.bulky) > 0 {
		b = appendCount(b, len(d.bulky))
	}
	for _, v := range d.bulky {
		b = appendUint(appendUint(b, uint64(v.v)), uint64(v.from))
	}
	return b
}

func (d *decoder) position() Position {
	t := d.uint()
	return Position{Time: hlc.Timestamp(t), Seq: d.uint()}
}

// place reads the offset and length of something before end.
func (d *decoder) place(end int64) (offset, size int64) {
	o := d.uint()
	return d.placeAt(o, d.uint(), end)
}

func (d *decoder) placeAt(o, n uint64, end int64) (offset, size int64) {
	if o < headerSize || o > uint64(end) || n > uint64(end)-o {
		d.fail(errNumber)
		return 0, 0
	}
	return int64(o), int64(n)
}

// decodeDirectory reads a directory, of which everything else in the file ends
// before end.
func decodeDirectory(raw []byte, end int64) (*directory, error) {
	d := &decoder{b: raw}
	dir := &directory{}
	dir.node = Node{Name: d.text(), Build: d.text(), Reason: d.text()}
	for range d.count(2) {
		from := hlc.Timestamp(d.uint())
		dir.node.Unknown = append(dir.node.Unknown, Span{from, hlc.Timestamp(d.uint())})
	}
	dir.node.Events = d.uint()
	dir.node.First, dir.node.Last = d.position(), d.position()
	for range d.count(1) {
		dir.words = append(dir.words, d.text())
	}
	for range d.count(3) {
		dir.vars = append(dir.vars, runVar{name: d.text(), types: d.uint(), changes: d.uint()})
	}
	dir.decodeBlocks(d, end)
	for range d.count(4) {
		o := d.uint()
		sections := d.uint()
		offset, size := d.placeAt(o, d.uint(), end)
		if sections > uint64(size/headSize) {
			d.fail(errNumber)
		}
		block := d.uint()
		if block > uint64(len(dir.blocks)) {
			d.fail(errNumber)
		}
		dir.bases = append(dir.bases, baseRef{offset, int(sections), size, int(block)})
	}
	for range d.count(1) {
		var seq refSequence
		for range d.count(10) {
			offset, size := d.place(end)
			seq = append(seq, refPage{offset, int(size), d.fixed64()})
		}
		dir.refs = append(dir.refs, seq)
	}
	for i := range dir.blocks {
		dir.blocks[i].decodeStats(d, len(dir.vars))
	}
	dir.decodeBulky(d)
	if err := d.end(); err != nil {
		return nil, err
	}
	return dir, dir.check()
}

// decodeBulky reads the last list, which is there only if it has members.
func (dir *directory) decodeBulky(d *decoder) {
	if d.err != nil || d.left() == 0 {
		return
	}
	n := d.count(2)
	if n == 0 {
		d.fail(errNumber)
	}
	next := uint64(0) // the least that may come
	for range n {
		v := d.uint()
		if v < next || v >= uint64(len(dir.vars)) {
			d.fail(errNumber)
			return
		}
		next = v + 1
		dir.bulky = append(dir.bulky, runBulky{VarID(v), hlc.Timestamp(d.uint())})
	}
}

func (dir *directory) decodeBlocks(d *decoder, end int64) {
	number := uint64(0)
	for range d.count(8) {
		offset, size := d.place(end)
		r := blockRef{offset: offset, size: int(size), entries: int(min(d.uint(), blockEntriesMax+1)), number: number}
		r.first, r.last = d.position(), d.position()
		base := d.uint()
		if r.entries == 0 || r.entries > blockEntriesMax || base > uint64(len(d.b)) {
			d.fail(errNumber)
		}
		r.base = int(base) - 1
		number += uint64(r.entries)
		dir.blocks = append(dir.blocks, r)
	}
}

// check makes sure that the parts of a directory go together.
func (dir *directory) check() error {
	last := Position{}
	for i, r := range dir.blocks {
		if r.base >= len(dir.bases) || r.base >= 0 && dir.bases[r.base].block > i {
			return errNumber
		}
		if r.last.Compare(r.first) < 0 || r.last.Seq < r.first.Seq || i > 0 && r.first.Compare(last) <= 0 || r.first.Seq < last.Seq {
			return errNumber
		}
		last = r.last
	}
	for i, s := range dir.node.Unknown {
		if s.From >= s.To || i > 0 && s.From <= dir.node.Unknown[i-1].To {
			return errNumber
		}
	}
	if dir.node.Name == "" {
		return errValue
	}
	return nil
}

// typeBit is the bit that stands for a type in runVar.types.
func typeBit(t event.Type) uint64 {
	if t == event.TypeUint {
		t = event.TypeInt
	}
	if t == event.TypeAbsent {
		return 0
	}
	return 1 << t
}
