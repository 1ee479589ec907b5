package history

import (
	"encoding/binary"
	"hash/crc32"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// Flags of an entry in a block.
const (
	flagBase = 1 << iota
	flagPhysical
	flagID
	flagData
	flagMachine
	flagName
	flagPeer
	flagEffects
)

// Columns of a block, in their order. Behind them stand two for each variable
// that changes in it.
const (
	colFlags = iota
	colTime
	colLogical
	colSeq
	colChanges
	colTargets
	colPhysical
	colKind
	colName
	colMachine
	colPeer
	colID
	colData
	colEffects
	colEffectWords
	colEffectID
	colEffectData
	columns
)

// Forms of a column of values.
const (
	formValues = 0
	formInts   = 1 // differences
)

// blockEntriesMax bounds the entries of a block.
const blockEntriesMax = 1 << 16

// wordsMax bounds the dictionary of a run, and wordMax the length of what is in
// it; other strings are written where they occur.
const (
	wordsMax = 1 << 16
	wordMax  = 256
)

// word reads a word; the string may be one of the dictionary.
func (d *decoder) word(words []string) string {
	n := d.uint()
	if n == 0 {
		return d.text()
	}
	if n > uint64(len(words)) {
		d.fail(errNumber)
		return ""
	}
	return words[n-1]
}

// A blockTable says what the columns of a block are.
type blockTable struct {
	count int // entries
	first Position
	vars  []blockVar
	cols  []column
	body  []byte // the stored columns
}

// A blockVar is a variable that changes in a block.
type blockVar struct {
	id   VarID // the run's
	form byte
}

// A column says where one lies.
type column struct {
	codec  byte
	at     int // in blockTable.body
	stored int
	raw    int
	crc    uint32
	crcAt  int // where the checksum stands in the table
}

// varColumns are the columns of a block's variable number i.
func varColumns(i int) (paths, values int) { return columns + 2*i, columns + 2*i + 1 }

// decodeTable reads a block's table, behind which the body stands.
func decodeTable(table, body []byte, count, vars int) (*blockTable, error) {
	d := &decoder{b: table}
	t := &blockTable{count: count, body: body}
	t.first = d.position()
	for range d.count(2) {
		v := d.uint()
		form := d.byte()
		if v >= uint64(vars) || form > formInts {
			d.fail(errNumber)
		}
		t.vars = append(t.vars, blockVar{VarID(v), form})
	}
	at, raw := 0, 0
	for range columns + 2*len(t.vars) {
		c := d.column(at, len(body))
		at += c.stored
		if raw += c.raw; raw > sectionMax {
			d.fail(errNumber)
		}
		if d.err != nil {
			break
		}
		t.cols = append(t.cols, c)
	}
	if at != len(body) {
		d.fail(errOverrun)
	}
	return t, d.end()
}

// column reads the place of a column that begins at at in a body so long.
func (d *decoder) column(at, end int) column {
	c := column{codec: d.byte(), at: at}
	n := d.uint()
	if n > uint64(end-at) || c.codec > codecRepeat {
		d.fail(errNumber)
		return c
	}
	c.stored, c.raw = int(n), int(n)
	if c.stored == 0 {
		return c
	}
	c.crcAt = d.pos
	c.crc = d.fixed32()
	if c.codec == codecRaw {
		return c
	}
	raw := d.uint()
	if raw > sectionMax || c.codec == codecZstd && raw > n*ratioMax || c.codec == codecRepeat && (n != 1 || raw > repeatMax) {
		d.fail(errNumber)
	}
	c.raw = int(raw)
	return c
}

func (d *decoder) fixed32() uint32 {
	if d.left() < 4 {
		d.fail(errShort)
		return 0
	}
	d.pos += 4
	return binary.LittleEndian.Uint32(d.b[d.pos-4:])
}

// sum is a column's checksum as its bytes are.
func (t *blockTable) sum(c *column) uint32 {
	return crc32.Checksum(t.body[c.at:c.at+c.stored], castagnoli)
}

// batchEntries is how many entries are placed in time at once.
const batchEntries = 256

// A timeline decodes the columns that say when: each entry follows from the one
// before. It does so for a batch of entries at once.
type timeline struct {
	at    Position // of the last entry placed; of the first one before any is
	begun bool
	left  int // entries of the block that aren't placed yet
	next  int // place in the batch of the next entry to be handed out
	count int // entries of the batch
	times [batchEntries]hlc.Timestamp
	seqs  [batchEntries]uint64
}

// begin begins a block whose first entry is at a position.
func (l *timeline) begin(first Position, entries int) {
	l.at, l.begun, l.left, l.next, l.count = first, false, entries, 0, 0
}

// peek returns the next entry's position.
func (l *timeline) peek(cols []decoder) Position {
	if l.next == l.count {
		l.fill(cols)
	}
	return Position{Time: l.times[l.next], Node: l.at.Node, Seq: l.seqs[l.next]}
}

// take is peek, and goes on.
func (l *timeline) take(cols []decoder) Position {
	p := l.peek(cols)
	l.next++
	return p
}

// fill places the next batch.
func (l *timeline) fill(cols []decoder) {
	var physical, logical [batchEntries]uint64
	l.next, l.count = 0, max(min(l.left, batchEntries), 1)
	l.left -= l.count
	from := 0
	if !l.begun {
		l.begun = true
		l.times[0], l.seqs[0] = l.at.Time, l.at.Seq
		from = 1
	}
	cols[colTime].uints(physical[from:l.count])
	cols[colLogical].uints(logical[from:l.count])
	cols[colSeq].uints(l.seqs[from:l.count])
	t, seq := uint64(l.at.Time), l.at.Seq
	bad := false
	for i := from; i < l.count; i++ {
		low := logical[i]
		if physical[i] == 0 {
			low += t & 0xffff
		}
		now, more := t&^0xffff+physical[i]<<16+low, l.seqs[i]
		bad = bad || low > 0xffff || physical[i] >= 1<<48 || now < t || seq+more < seq || now == t && more == 0
		t, seq = now, seq+more
		l.times[i], l.seqs[i] = hlc.Timestamp(t), seq
	}
	if bad {
		cols[colTime].fail(errNumber)
	}
	l.at.Time, l.at.Seq = hlc.Timestamp(t), seq
}

// A blockDecoder reads a block's entries from its columns. Of those that weren't
// loaded it tells nothing.
type blockDecoder struct {
	words   []string  // dictionary
	vars    []VarID   // by variable of the block: the History's, noVar if it isn't wanted
	cols    []decoder // by column
	ints    []int64   // by variable of the block: the last value of one in differences
	forms   []byte
	line    timeline
	changes bool // whether columns of changes are loaded
	fields  Fields
	reuse   bool // entries are gone when the next is read into the same place
}

// entry reads the next entry. effects and changes are where what it has of them
// is put, if there is room.
func (b *blockDecoder) entry(e *Event, effects *[]Effect, changes *[]Change) {
	c := b.cols
	flags := c[colFlags].byte()
	e.Position = b.line.take(c)
	e.Base = flags&flagBase != 0
	if b.fields != 0 {
		b.details(e, flags, effects)
	}
	if e.Changes = nil; b.changes {
		e.Changes = b.takeChanges(changes)
	}
}

// details reads what isn't position and changes.
func (b *blockDecoder) details(e *Event, flags byte, effects *[]Effect) {
	c := b.cols
	if b.fields&FieldPhysical != 0 {
		if e.Physical = 0; flags&flagPhysical != 0 {
			e.Physical = e.Time + hlc.Timestamp(c[colPhysical].varint())
		}
	}
	if b.fields&FieldKind != 0 {
		e.Kind = c[colKind].word(b.words)
		e.Name = b.optional(colName, flags&flagName)
		e.Machine = b.optional(colMachine, flags&flagMachine)
	}
	if b.fields&FieldMessage != 0 {
		e.Peer = b.optional(colPeer, flags&flagPeer)
		if e.ID = ""; flags&flagID != 0 {
			e.ID = c[colID].text()
		}
	}
	if b.fields&FieldData != 0 {
		if e.Data = event.Absent; flags&flagData != 0 {
			e.Data = c[colData].value(0)
		}
	}
	if b.fields&FieldEffects != 0 {
		if e.Effects = nil; flags&flagEffects != 0 {
			e.Effects = b.takeEffects(effects)
		}
	}
}

func (b *blockDecoder) optional(col int, flag byte) string {
	if flag == 0 {
		return ""
	}
	return b.cols[col].word(b.words)
}

func (b *blockDecoder) takeEffects(into *[]Effect) []Effect {
	n := b.cols[colEffects].countIn(&b.cols[colEffectData])
	out := room(into, n, b.reuse)
	for i := range out {
		w := &b.cols[colEffectWords]
		out[i] = Effect{Kind: w.word(b.words), Peer: w.word(b.words), Name: w.word(b.words),
			ID: b.cols[colEffectID].text(), Data: b.cols[colEffectData].value(0)}
	}
	return out
}

// room takes n elements off the beginning of what is left of one slice for all,
// or lends them.
func room[T any](into *[]T, n int, lend bool) []T {
	if len(*into) < n {
		size := max(n, 256)
		if lend {
			size = max(n, 4)
		}
		*into = make([]T, size)
	}
	out := (*into)[:n:n]
	if !lend {
		*into = (*into)[n:]
	}
	return out
}

func (b *blockDecoder) takeChanges(into *[]Change) []Change {
	targets := &b.cols[colTargets]
	n := b.cols[colChanges].countIn(targets)
	if n == 0 {
		return nil
	}
	out := room(into, n, b.reuse)
	kept := 0
	for range n {
		i := targets.uint()
		if i >= uint64(len(b.vars)) {
			targets.fail(errNumber)
			return nil
		}
		if b.vars[i] != noVar {
			b.change(&out[kept], int(i))
			kept++
		}
	}
	return out[:kept]
}

// change reads the next change of the block's variable number i.
func (b *blockDecoder) change(c *Change, i int) {
	p, v := varColumns(i)
	c.Var, c.Path = b.vars[i], nil
	if paths := &b.cols[p]; len(paths.b) > 0 {
		c.Path = paths.path()
	}
	values := &b.cols[v]
	if b.forms[i] == formInts {
		if values.left() == 0 {
			values.fail(errShort)
		}
		b.ints[i] += values.varint()
		c.Value = event.Int(b.ints[i])
		return
	}
	c.Value = values.value(0)
}

// path reads a path.
func (d *decoder) path() []event.Value {
	n := d.count(1)
	if n == 0 {
		return nil
	}
	path := make([]event.Value, 0, min(n, 64))
	for range n {
		path = append(path, d.value(0))
	}
	return path
}

// end makes sure that all that was loaded was read.
func (b *blockDecoder) end() error {
	for i := range b.cols {
		if err := b.cols[i].end(); err != nil {
			return err
		}
	}
	return nil
}

// countIn reads how many things follow in another column.
func (d *decoder) countIn(other *decoder) int {
	n := d.uint()
	if n > uint64(other.left()) {
		d.fail(errShort)
		return 0
	}
	return int(n)
}

// target reads a Change of a base but for its value.
func (d *decoder) target(vars []VarID) Change {
	id := d.uint()
	if id >= uint64(len(vars)) {
		d.fail(errNumber)
		return Change{}
	}
	return Change{Var: vars[id], Path: d.path()}
}
