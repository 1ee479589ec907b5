package record

import (
	"encoding/binary"
	"hash/crc32"

	"hindcast.dev/event"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC is the CRC-32C of b, continued from crc, which is 0 at the start.
func CRC(crc uint32, b []byte) uint32 { return crc32.Update(crc, castagnoli, b) }

// CRC64 continues a CRC-32C by the 8 little-endian bytes of v, CRC32 by the 4 of
// v. They don't go by a slice: it would escape to the heap.
func CRC64(crc uint32, v uint64) uint32 {
	crc = ^crc
	for range 8 {
		crc = castagnoli[byte(crc)^byte(v)] ^ crc>>8
		v >>= 8
	}
	return ^crc
}

// CRC32 is like CRC64.
func CRC32(crc uint32, v uint32) uint32 {
	crc = ^crc
	for range 4 {
		crc = castagnoli[byte(crc)^byte(v)] ^ crc>>8
		v >>= 8
	}
	return ^crc
}

// frameCRC is the CRC that belongs at offCRC of the frame that fills b.
func frameCRC(b []byte, position uint64) uint32 {
	crc := CRC64(CRC32(0, uint32(len(b))), position)
	if event.Kind(b[offKind]) == event.Padding {
		return CRC(crc, b[offKind:PaddingMin])
	}
	return CRC(crc, b[offKind:len(b)-StampSize])
}

func storedCRC(b []byte) uint32 { return binary.LittleEndian.Uint32(b[offCRC:]) }
