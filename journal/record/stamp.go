package record

import (
	"encoding/binary"
	"fmt"

	"hindcast.dev/hlc"
)

// A Stamp is what the consumer adds to a frame when it takes it in.
type Stamp struct {
	Time     hlc.Timestamp // when the node took it in
	Physical hlc.Timestamp // the node's own clock at that
	Seq      uint64        // the node's sequence number, from 1
	Chain    uint64        // digest chain up to the event before
	// Boot is that of the node when it stamped. A frame published before a crash is
	// stamped by the boot after it, ahead of that boot's note; and the ids of its
	// effects carry the boot.
	Boot        uint64
	Disposition Disposition
}

// A Disposition says what became of a stamped frame.
type Disposition uint8

// The dispositions. The numbers are part of the format.
const (
	Handled Disposition = 0 // stepped, or a note
	Drift   Disposition = 1 // not stepped: its Sent was too far ahead of the clock
	Skipped Disposition = 2 // not stepped: a person said so
)

var dispositionNames = [...]string{Handled: "handled", Drift: "drift", Skipped: "skipped"}

func (d Disposition) String() string {
	if int(d) < len(dispositionNames) {
		return dispositionNames[d]
	}
	return fmt.Sprintf("disposition(%d)", uint8(d))
}

// Write stamps the frame that fills b and is published at position under nonce.
func (s Stamp) Write(b []byte, position uint64, nonce uint32) {
	a := b[len(b)-StampSize:]
	le := binary.LittleEndian
	le.PutUint64(a, uint64(s.Time))
	le.PutUint64(a[8:], uint64(s.Physical))
	le.PutUint64(a[16:], s.Seq)
	le.PutUint64(a[24:], s.Chain)
	le.PutUint64(a[32:], s.Boot)
	le.PutUint32(a[40:], uint32(s.Disposition))
	le.PutUint32(a[44:], stampCRC(b, position, nonce))
}

// ReadStamp returns the stamp of the frame that fills b, and whether it is valid.
func ReadStamp(b []byte, position uint64, nonce uint32) (Stamp, bool) {
	if len(b) < SizeMin {
		return Stamp{}, false
	}
	a := b[len(b)-StampSize:]
	le := binary.LittleEndian
	s := Stamp{
		Time: hlc.Timestamp(le.Uint64(a)), Physical: hlc.Timestamp(le.Uint64(a[8:])),
		Seq: le.Uint64(a[16:]), Chain: le.Uint64(a[24:]), Boot: le.Uint64(a[32:]), Disposition: Disposition(a[40]),
	}
	ok := s.Seq > 0 && le.Uint32(a[40:]) <= 0xff && le.Uint32(a[44:]) == stampCRC(b, position, nonce)
	if !ok {
		return Stamp{}, false
	}
	return s, true
}

// stampCRC binds a stamp to the place and to the content of its frame.
func stampCRC(b []byte, position uint64, nonce uint32) uint32 {
	crc := CRC32(CRC32(CRC64(0, position), nonce), storedCRC(b))
	return CRC(crc, b[len(b)-StampSize:len(b)-4])
}
