package segment

import (
	"encoding/binary"
	"fmt"
	"sort"

	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
)

const (
	magicIndex      = "HCASTIDX"
	indexHeaderSize = 64
	indexEntrySize  = 24

	// IndexSizeMax bounds an index's file: an entry for every smallest frame of the
	// largest segment would not be longer.
	IndexSizeMax = indexHeaderSize + 4 + (1<<30)/record.SizeMin*indexEntrySize
)

// An Index says where in a sealed segment a sequence number or time is.
type Index struct {
	Nonce     uint32 // of the segment
	Number    uint64 // of the segment
	FirstSeq  uint64
	LastSeq   uint64
	FirstTime hlc.Timestamp
	LastTime  hlc.Timestamp
	Entries   []IndexEntry // ascending in all three; sparse
}

// An IndexEntry is the place of one stamped frame.
type IndexEntry struct {
	Seq    uint64
	Time   hlc.Timestamp
	Offset uint64 // in the file
}

// Encode returns the bytes of x.
func (x *Index) Encode() []byte {
	b := make([]byte, indexHeaderSize+len(x.Entries)*indexEntrySize+4)
	le := binary.LittleEndian
	copy(b, magicIndex)
	le.PutUint32(b[8:], Version)
	le.PutUint32(b[12:], x.Nonce)
	le.PutUint64(b[16:], x.Number)
	le.PutUint64(b[24:], x.FirstSeq)
	le.PutUint64(b[32:], x.LastSeq)
	le.PutUint64(b[40:], uint64(x.FirstTime))
	le.PutUint64(b[48:], uint64(x.LastTime))
	le.PutUint32(b[56:], uint32(len(x.Entries)))
	for i, e := range x.Entries {
		p := b[indexHeaderSize+i*indexEntrySize:]
		le.PutUint64(p, e.Seq)
		le.PutUint64(p[8:], uint64(e.Time))
		le.PutUint64(p[16:], e.Offset)
	}
	return sumUp(b)
}

// DecodeIndex reads what Encode wrote.
func DecodeIndex(b []byte) (Index, error) {
	if err := check(b, magicIndex, max(len(b), indexHeaderSize+4)); err != nil {
		return Index{}, fmt.Errorf("index: %w", err)
	}
	le := binary.LittleEndian
	x := Index{
		Nonce: le.Uint32(b[12:]), Number: le.Uint64(b[16:]),
		FirstSeq: le.Uint64(b[24:]), LastSeq: le.Uint64(b[32:]),
		FirstTime: hlc.Timestamp(le.Uint64(b[40:])), LastTime: hlc.Timestamp(le.Uint64(b[48:])),
	}
	n := int(le.Uint32(b[56:]))
	if len(b) != indexHeaderSize+n*indexEntrySize+4 || le.Uint32(b[60:]) != 0 {
		return Index{}, fmt.Errorf("index: %w: %d bytes for %d entries", ErrCorrupt, len(b), n)
	}
	var last IndexEntry
	for i := range n {
		p := b[indexHeaderSize+i*indexEntrySize:]
		e := IndexEntry{Seq: le.Uint64(p), Time: hlc.Timestamp(le.Uint64(p[8:])), Offset: le.Uint64(p[16:])}
		if e.Offset < DataOffset || e.Offset <= last.Offset || e.Seq <= last.Seq || e.Time < last.Time {
			return Index{}, fmt.Errorf("index: %w: entry %d is not above the one before", ErrCorrupt, i)
		}
		x.Entries = append(x.Entries, e)
		last = e
	}
	return x, nil
}

// SeekSeq returns the last entry at or below seq, false if there is none.
func (x *Index) SeekSeq(seq uint64) (IndexEntry, bool) {
	return x.before(func(e IndexEntry) bool { return e.Seq > seq })
}

// SeekTime returns the last entry before ts, false if there is none.
func (x *Index) SeekTime(ts hlc.Timestamp) (IndexEntry, bool) {
	return x.before(func(e IndexEntry) bool { return e.Time >= ts })
}

// before returns the entry before the first that is above.
func (x *Index) before(above func(IndexEntry) bool) (IndexEntry, bool) {
	i := sort.Search(len(x.Entries), func(i int) bool { return above(x.Entries[i]) })
	if i == 0 {
		return IndexEntry{}, false
	}
	return x.Entries[i-1], true
}
