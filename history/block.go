package history

import (
	"encoding/binary"

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

// Columns of a block, in their order.
const (
	colFlags = iota
	colTime
	colSeq
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
	colChanges
	colTargets
	colValues
	columns
)

// blockEntriesMax bounds the entries of a block.
const blockEntriesMax = 1 << 16

// wordsMax bounds the dictionary of a run, and wordMax the length of what is in
// it; other strings are written where they occur.
const (
	wordsMax = 1 << 16
	wordMax  = 256
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

// A blockEncoder gathers entries column by column.
type blockEncoder struct {
	dict  *dictionary
	cols  [columns][]byte
	count int
	last  Position
}

// size is about how many bytes the block has so far.
func (b *blockEncoder) size() int {
	n := 0
	for i := range b.cols {
		n += len(b.cols[i])
	}
	return n
}

// add adds an entry, and returns how many bytes its changes took.
func (b *blockEncoder) add(e *Event) int {
	c := &b.cols
	c[colFlags] = append(c[colFlags], flagsOf(e))
	c[colTime] = appendUint(c[colTime], uint64(e.Time-b.last.Time))
	c[colSeq] = appendUint(c[colSeq], e.Seq-b.last.Seq)
	b.last = e.Position
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
	return b.addChanges(e.Changes)
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

func (b *blockEncoder) addChanges(cs []Change) int {
	c := &b.cols
	before := len(c[colTargets]) + len(c[colValues])
	c[colChanges] = appendCount(c[colChanges], len(cs))
	for i := range cs {
		c[colTargets] = appendTarget(c[colTargets], &cs[i])
		c[colValues] = appendValue(c[colValues], cs[i].Value)
	}
	return len(c[colTargets]) + len(c[colValues]) - before
}

func appendTarget(b []byte, c *Change) []byte {
	b = appendUint(b, uint64(c.Var))
	b = appendCount(b, len(c.Path))
	for _, key := range c.Path {
		b = appendValue(b, key)
	}
	return b
}

// finish returns the block's raw bytes and begins the next.
func (b *blockEncoder) finish() []byte {
	raw := make([]byte, 0, b.size()+columns*3)
	for i := range b.cols {
		raw = append(appendCount(raw, len(b.cols[i])), b.cols[i]...)
		b.cols[i] = b.cols[i][:0]
	}
	b.count, b.last = 0, Position{}
	return raw
}

// A blockDecoder reads a block's entries.
type blockDecoder struct {
	node  int      // given to every position
	words []string // dictionary
	vars  []VarID  // the run's variables → the History's
	cols  [columns]decoder

	effects []Effect // what is left of one slice for all
	changes []Change
}

// decode returns the count entries of a block.
func (b *blockDecoder) decode(raw []byte, count int) ([]Event, error) {
	d := decoder{b: raw}
	for i := range b.cols {
		n := d.count(1)
		d.pos += n
		b.cols[i] = decoder{b: raw[d.pos-n : d.pos]}
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	if len(b.cols[colFlags].b) != count || count > blockEntriesMax {
		return nil, errNumber
	}
	out := make([]Event, count)
	last := Position{Node: b.node}
	for i := range out {
		b.entry(&out[i], last, i == 0)
		last = out[i].Position
	}
	for i := range b.cols {
		if err := b.cols[i].end(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (b *blockDecoder) entry(e *Event, last Position, first bool) {
	c := &b.cols
	flags := c[colFlags].byte()
	dt, ds := c[colTime].uint(), c[colSeq].uint()
	e.Position = Position{Time: last.Time + hlc.Timestamp(dt), Node: b.node, Seq: last.Seq + ds}
	if e.Time < last.Time || e.Seq < last.Seq || !first && dt == 0 && ds == 0 {
		c[colTime].fail(errNumber)
	}
	e.Base = flags&flagBase != 0
	if flags&flagPhysical != 0 {
		e.Physical = e.Time + hlc.Timestamp(c[colPhysical].varint())
	}
	e.Kind = c[colKind].word(b.words)
	if flags&flagName != 0 {
		e.Name = c[colName].word(b.words)
	}
	if flags&flagMachine != 0 {
		e.Machine = c[colMachine].word(b.words)
	}
	if flags&flagPeer != 0 {
		e.Peer = c[colPeer].word(b.words)
	}
	if flags&flagID != 0 {
		e.ID = c[colID].text()
	}
	if flags&flagData != 0 {
		e.Data = c[colData].value(0)
	}
	if flags&flagEffects != 0 {
		e.Effects = b.takeEffects()
	}
	e.Changes = b.takeChanges()
}

func (b *blockDecoder) takeEffects() []Effect {
	n := b.cols[colEffects].countIn(&b.cols[colEffectData])
	if len(b.effects) < n {
		b.effects = make([]Effect, max(n, 256))
	}
	out := b.effects[:n:n]
	b.effects = b.effects[n:]
	for i := range out {
		w := &b.cols[colEffectWords]
		out[i] = Effect{Kind: w.word(b.words), Peer: w.word(b.words), Name: w.word(b.words),
			ID: b.cols[colEffectID].text(), Data: b.cols[colEffectData].value(0)}
	}
	return out
}

func (b *blockDecoder) takeChanges() []Change {
	n := b.cols[colChanges].countIn(&b.cols[colValues])
	if n == 0 {
		return nil
	}
	if len(b.changes) < n {
		b.changes = make([]Change, max(n, 256))
	}
	out := b.changes[:n:n]
	b.changes = b.changes[n:]
	for i := range out {
		out[i] = b.cols[colTargets].target(b.vars)
		out[i].Value = b.cols[colValues].value(0)
	}
	return out
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

// target reads a Change but for its value.
func (d *decoder) target(vars []VarID) Change {
	id := d.uint()
	if id >= uint64(len(vars)) {
		d.fail(errNumber)
		return Change{}
	}
	c := Change{Var: vars[id]}
	if n := d.count(1); n > 0 {
		c.Path = make([]event.Value, 0, min(n, 64))
		for range n {
			c.Path = append(c.Path, d.value(0))
		}
	}
	return c
}
