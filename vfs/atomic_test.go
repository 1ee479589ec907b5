package vfs

import (
	"encoding/binary"
	"testing"
)

func TestWordsAreLittleEndianAndAtomic(t *testing.T) {
	b := pageAligned(32)
	StoreUint64(b, 8, 0x0102030405060708)
	if got := binary.LittleEndian.Uint64(b[8:]); got != 0x0102030405060708 {
		t.Errorf("stored %#x", got)
	}
	if CompareAndSwapUint64(b, 8, 1, 2) || !CompareAndSwapUint64(b, 8, 0x0102030405060708, 5) {
		t.Error("compare and swap")
	}
	if AddUint64(b, 8, 3) != 8 || LoadUint64(b, 8) != 8 || LoadUint64(b, 0) != 0 || LoadUint64(b, 16) != 0 {
		t.Errorf("add: % x", b)
	}
}

func TestUnalignedAndOutsideWordsPanic(t *testing.T) {
	b := pageAligned(16)
	for _, off := range []int{-8, 1, 4, 9, 16} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("offset %d didn't panic", off)
				}
			}()
			LoadUint64(b, off)
		}()
	}
}
