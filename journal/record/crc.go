package record

import (
	"encoding/binary"
	"hash/crc32"

	"hindcast.dev/event"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC is the CRC-32C of b, continued from crc, which is 0 at the start.
func CRC(crc uint32, b []byte) uint32 { return crc32.Update(crc, castagnoli, b) }

// sliced[i] is the table for a byte that i others follow, so that the bytes of a
// word are looked up side by side and not one after the other.
var sliced = func() (t [8][256]uint32) {
	t[0] = *castagnoli
	for i := 1; i < len(t); i++ {
		for b, crc := range t[i-1] {
			t[i][b] = castagnoli[byte(crc)] ^ crc>>8
		}
	}
	return t
}()

// CRC64 continues a CRC-32C by the 8 little-endian bytes of v, CRC32 by the 4 of
// v. They don't go by a slice: it would escape to the heap.
func CRC64(crc uint32, v uint64) uint32 {
	v ^= uint64(^crc)
	return ^(sliced[7][byte(v)] ^ sliced[6][byte(v>>8)] ^ sliced[5][byte(v>>16)] ^ sliced[4][byte(v>>24)] ^
		sliced[3][byte(v>>32)] ^ sliced[2][byte(v>>40)] ^ sliced[1][byte(v>>48)] ^ sliced[0][byte(v>>56)])
}

// CRC32 is like CRC64.
func CRC32(crc uint32, v uint32) uint32 {
	v ^= ^crc
	return ^(sliced[3][byte(v)] ^ sliced[2][byte(v>>8)] ^ sliced[1][byte(v>>16)] ^ sliced[0][byte(v>>24)])
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
