//go:build 386 || amd64 || arm || arm64 || loong64 || mips64le || mipsle || ppc64le || riscv64 || wasm

package vfs

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// LoadUint64 reads the little-endian word at b[off:off+8] with acquire order.
// off is a multiple of 8 and b the start of a mapping or of any slice that
// starts 8-byte aligned.
func LoadUint64(b []byte, off int) uint64 { return atomic.LoadUint64(word(b, off)) }

// StoreUint64 writes the word at b[off:off+8] with release order.
func StoreUint64(b []byte, off int, v uint64) { atomic.StoreUint64(word(b, off), v) }

// CompareAndSwapUint64 replaces the word at b[off:off+8] by v if it is old.
func CompareAndSwapUint64(b []byte, off int, old, v uint64) bool {
	return atomic.CompareAndSwapUint64(word(b, off), old, v)
}

// AddUint64 adds delta to the word at b[off:off+8] and returns the new value.
func AddUint64(b []byte, off int, delta uint64) uint64 {
	return atomic.AddUint64(word(b, off), delta)
}

// word assumes a little-endian machine, as does every format of the project; the
// build constraint above keeps these functions off big-endian ones, where what
// needs them fails to compile rather than to read.
func word(b []byte, off int) *uint64 {
	p := unsafe.Pointer(unsafe.SliceData(b[off : off+8 : off+8]))
	if uintptr(p)%8 != 0 {
		panic(fmt.Sprintf("vfs: word at offset %d is not 8-byte aligned", off))
	}
	return (*uint64)(p)
}
