package history

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"hindcast.dev/event"
)

// A dictionary gives strings that occur often a number.
type dictionary struct {
	ids   map[string]int
	words []string
}

func (d *dictionary) appendWord(b []byte, s string) []byte {
	id, ok := d.ids[s]
	if !ok {
		if len(d.words) >= wordsMax || len(s) > wordMax {
			return appendText(append(b, 0), s)
		}
		id = len(d.words)
		d.ids[s] = id
		d.words = append(d.words, s)
	}
	return appendCount(b, id+1)
}

// A blockEncoder gathers entries column by column.
type blockEncoder struct {
	dict  *dictionary
	cols  [columns][]byte
	bytes int // of the columns so far
	count int
	first Position
	last  Position
	vars  []varEncoder  // in the order of their first change
	index map[VarID]int // into vars
}

// A varEncoder gathers the changes of one variable.
type varEncoder struct {
	id     VarID
	paths  []byte
	values []byte
	count  int
	deep   bool // some path has a length
	other  bool // some value is no int64
}

// size is about how many bytes the block has so far.
func (b *blockEncoder) size() int { return b.bytes }

// add adds an entry, and returns how many bytes its changes took.
func (b *blockEncoder) add(e *Event) int {
	before := b.fixed()
	c := &b.cols
	c[colFlags] = append(c[colFlags], flagsOf(e))
	b.addPosition(e.Position)
	if e.Physical != 0 {
		c[colPhysical] = binary.AppendVarint(c[colPhysical], int64(e.Physical-e.Time))
	}
	c[colKind] = b.dict.appendWord(c[colKind], e.Kind)
	b.optional(colName, e.Name)
	b.optional(colMachine, e.Machine)
	b.optional(colPeer, e.Peer)
	if e.ID != "" {
		c[colID] = appendText(c[colID], e.ID)
	}
	if !e.Data.IsAbsent() {
		c[colData] = appendValue(c[colData], e.Data)
	}
	b.addEffects(e.Effects)
	b.count++
	c[colChanges] = appendCount(c[colChanges], len(e.Changes))
	n := 0
	for i := range e.Changes {
		n += b.addChange(&e.Changes[i])
	}
	b.bytes += b.fixed() - before + n
	return n
}

// fixed is how many bytes the columns have that are not those of variables.
func (b *blockEncoder) fixed() int {
	n := 0
	for i := range b.cols {
		n += len(b.cols[i])
	}
	return n
}

func (b *blockEncoder) addPosition(p Position) {
	if b.count == 0 {
		b.first, b.last = p, p
		return
	}
	c := &b.cols
	physical, logical := uint64(p.Time)>>16-uint64(b.last.Time)>>16, uint64(p.Time)&0xffff
	if physical == 0 {
		logical -= uint64(b.last.Time) & 0xffff
	}
	c[colTime] = appendUint(c[colTime], physical)
	c[colLogical] = appendUint(c[colLogical], logical)
	c[colSeq] = appendUint(c[colSeq], p.Seq-b.last.Seq)
	b.last = p
}

func (b *blockEncoder) optional(col int, s string) {
	if s != "" {
		b.cols[col] = b.dict.appendWord(b.cols[col], s)
	}
}

func flagsOf(e *Event) byte {
	var flags byte
	for i, set := range [...]bool{e.Base, e.Physical != 0, e.ID != "", !e.Data.IsAbsent(),
		e.Machine != "", e.Name != "", e.Peer != "", len(e.Effects) > 0} {
		if set {
			flags |= 1 << i
		}
	}
	return flags
}

func (b *blockEncoder) addEffects(fs []Effect) {
	if len(fs) == 0 {
		return
	}
	c := &b.cols
	c[colEffects] = appendCount(c[colEffects], len(fs))
	for i := range fs {
		f := &fs[i]
		for _, s := range [...]string{f.Kind, f.Peer, f.Name} {
			c[colEffectWords] = b.dict.appendWord(c[colEffectWords], s)
		}
		c[colEffectID] = appendText(c[colEffectID], f.ID)
		c[colEffectData] = appendValue(c[colEffectData], f.Data)
	}
}

// addChange adds a change and returns how many bytes it takes.
func (b *blockEncoder) addChange(c *Change) int {
	i, ok := b.index[c.Var]
	if !ok {
		if b.index == nil {
			b.index = map[VarID]int{}
		}
		i = len(b.vars)
		b.index[c.Var] = i
		b.vars = append(b.vars, varEncoder{id: c.Var})
	}
	b.cols[colTargets] = appendCount(b.cols[colTargets], i)
	v := &b.vars[i]
	before := len(v.paths) + len(v.values)
	v.paths = appendPath(v.paths, c.Path)
	v.values = appendValue(v.values, c.Value)
	v.deep = v.deep || len(c.Path) > 0
	v.other = v.other || c.Value.Type() != event.TypeInt
	v.count++
	return len(v.paths) + len(v.values) - before
}

func appendPath(b []byte, path []event.Value) []byte {
	b = appendCount(b, len(path))
	for _, key := range path {
		b = appendValue(b, key)
	}
	return b
}

func appendTarget(b []byte, c *Change) []byte {
	return appendPath(appendUint(b, uint64(c.Var)), c.Path)
}

// columns returns the variable's columns.
func (v *varEncoder) columns() (paths, values []byte, form byte) {
	if v.deep {
		paths = v.paths
	}
	if v.other {
		return paths, v.values, formValues
	}
	d := decoder{b: v.values}
	values = make([]byte, 0, len(v.values))
	last := int64(0)
	for range v.count {
		n, _ := d.value(0).AsInt()
		values = binary.AppendVarint(values, n-last)
		last = n
	}
	return paths, values, formInts
}

// appendTo appends the whole block to b, head and all, and begins the next one.
func (b *blockEncoder) appendTo(out []byte, codec *compressor) ([]byte, error) {
	if b.bytes > sectionMax {
		return nil, fmt.Errorf("%d bytes in one piece, at most %d can be stored: a single event or variable is too large", b.bytes, sectionMax)
	}
	table := appendPosition(nil, b.first)
	table = appendCount(table, len(b.vars))
	raw := append([][]byte(nil), b.cols[:]...)
	for i := range b.vars {
		paths, values, form := b.vars[i].columns()
		table = append(appendUint(table, uint64(b.vars[i].id)), form)
		raw = append(raw, paths, values)
	}
	var body []byte
	for _, c := range raw {
		table, body = codec.appendColumn(table, body, c)
	}
	start := len(out)
	out = append(out, sectionBlock, codecColumns, 0, 0)
	le := binary.LittleEndian
	out = le.AppendUint32(out, uint32(len(table)+len(body)))
	out = le.AppendUint32(out, uint32(len(table)))
	out = le.AppendUint32(out, uint32(b.count))
	crc := crc32.Update(crc32.Checksum(out[start:], castagnoli), castagnoli, table)
	out = append(append(le.AppendUint32(out, crc), table...), body...)
	for i := range b.cols {
		b.cols[i] = b.cols[i][:0]
	}
	b.count, b.bytes, b.vars = 0, 0, b.vars[:0]
	clear(b.index)
	return out, nil
}

// compressMin is the length from which on compressing a column is tried.
const compressMin = 32

// appendColumn appends a column to the body and its place to the table.
func (c *compressor) appendColumn(table, body, raw []byte) (newTable, newBody []byte) {
	start, codec := len(body), byte(codecRaw)
	switch {
	case len(raw) > 1 && len(raw) <= repeatMax && repeats(raw):
		body, codec = append(body, raw[0]), codecRepeat
	case len(raw) >= compressMin:
		body, codec = c.enc.EncodeAll(raw, body), codecZstd
		if stored := len(body) - start; stored >= len(raw) || len(raw) > stored*ratioMax {
			body, codec = append(body[:start], raw...), codecRaw
		}
	default:
		body = append(body, raw...)
	}
	stored := body[start:]
	table = appendCount(append(table, codec), len(stored))
	if len(stored) > 0 {
		table = binary.LittleEndian.AppendUint32(table, crc32.Checksum(stored, castagnoli))
	}
	if codec != codecRaw {
		table = appendCount(table, len(raw))
	}
	return table, body
}

// repeats reports whether all bytes are the same.
func repeats(b []byte) bool {
	for _, c := range b {
		if c != b[0] {
			return false
		}
	}
	return true
}
