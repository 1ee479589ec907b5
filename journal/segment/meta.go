package segment

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"hindcast.dev/hlc"
)

// Places in the meta file.
const (
	SlotSize   = 512
	SlotStride = 4096
	MetaSize   = 2 * SlotStride
)

const magicMeta = "HCASTMET"

// A Meta is what a journal knows of itself beside its segments.
type Meta struct {
	Generation uint64
	Clean      bool  // closed in order
	Repaired   bool  // a repair changed the journal since
	Anew       bool  // a repair made meta anew: how the boot ended isn't known
	Durability uint8 // of the writer
	Node       string
	HostBoot   string        // the machine's boot, "" if unknown
	Boot       uint64        // the node's
	Ceiling    hlc.Timestamp // no stamp of this boot is above it
	Durable    uint64        // position up to which all is durable
	DurableSeq uint64        // last sequence number below Durable
	StampedSeq uint64        // last one stamped when this was written
}

// Encode returns the SlotSize bytes of m.
func (m *Meta) Encode() []byte { return m.EncodeTo(make([]byte, SlotSize)) }

// EncodeTo is Encode into b, which has SlotSize bytes.
func (m *Meta) EncodeTo(b []byte) []byte {
	clear(b)
	le := binary.LittleEndian
	copy(b, magicMeta)
	le.PutUint32(b[8:], Version)
	for i, set := range m.flags() {
		if *set {
			b[12] |= 1 << i
		}
	}
	b[13] = m.Durability
	b[14] = byte(len(m.Node))
	b[15] = byte(len(m.HostBoot))
	le.PutUint64(b[16:], m.Generation)
	le.PutUint64(b[24:], m.Boot)
	le.PutUint64(b[32:], uint64(m.Ceiling))
	le.PutUint64(b[40:], m.Durable)
	le.PutUint64(b[48:], m.DurableSeq)
	le.PutUint64(b[56:], m.StampedSeq)
	copy(b[64:64+NodeMax], m.Node)
	copy(b[192:192+HostBootMax], m.HostBoot)
	return sumUp(b)
}

// flags are in the order of their bits.
func (m *Meta) flags() [3]*bool { return [...]*bool{&m.Clean, &m.Repaired, &m.Anew} }

// DecodeMeta reads one slot.
func DecodeMeta(b []byte) (Meta, error) {
	if err := check(b, magicMeta, SlotSize); err != nil {
		return Meta{}, fmt.Errorf("meta slot: %w", err)
	}
	le := binary.LittleEndian
	m := Meta{
		Durability: b[13], Generation: le.Uint64(b[16:]), Boot: le.Uint64(b[24:]),
		Ceiling: hlc.Timestamp(le.Uint64(b[32:])), Durable: le.Uint64(b[40:]),
		DurableSeq: le.Uint64(b[48:]), StampedSeq: le.Uint64(b[56:]),
	}
	for i, set := range m.flags() {
		*set = b[12]>>i&1 == 1
	}
	node, host := int(b[14]), int(b[15])
	if node > NodeMax || host > HostBootMax || m.Generation == 0 || m.Durable > 1<<63 {
		return Meta{}, fmt.Errorf("meta slot: %w: a field is out of range", ErrCorrupt)
	}
	m.Node, m.HostBoot = string(b[64:64+node]), string(b[192:192+host])
	if again := m.Encode(); !bytes.Equal(again, b[:SlotSize]) {
		return Meta{}, fmt.Errorf("meta slot: %w: bytes that are zero are not", ErrCorrupt)
	}
	return m, nil
}
