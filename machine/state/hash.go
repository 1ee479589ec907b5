// Package state sees into the state of machines and the payloads they exchange:
// accessor plans that are compiled once per type, digests, changes, values for
// people and queries, and the canonical encodings.
package state

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// A Hash is a 64-bit digest being built, the same on every platform. It is not
// for adversaries: it tells an accident, not an attack.
type Hash uint64

// Word folds in a number.
func (h Hash) Word(w uint64) Hash {
	// Two rounds of multiply and fold; the constants are the fractional parts of
	// the golden ratio and of √3, made odd.
	hi, lo := bits.Mul64(uint64(h)^0x9e3779b97f4a7c15, w^0xbb67ae8584caa73b)
	z := hi ^ lo ^ bits.RotateLeft64(w, 29) ^ uint64(h)
	z = (z ^ z>>32) * 0x9e3779b97f4a7c15
	return Hash(z ^ z>>29)
}

// Text folds in a string and its length.
func (h Hash) Text(s string) Hash {
	h = h.Word(uint64(len(s)))
	for len(s) >= 8 {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		h, s = h.Word(w), s[8:]
	}
	var w uint64
	for i := range len(s) {
		w |= uint64(s[i]) << (8 * i)
	}
	return h.Word(w)
}

// Bytes folds in b as Text does a string.
func (h Hash) Bytes(b []byte) Hash {
	h = h.Word(uint64(len(b)))
	for len(b) >= 8 {
		h, b = h.Word(binary.LittleEndian.Uint64(b)), b[8:]
	}
	var w uint64
	for i := range len(b) {
		w |= uint64(b[i]) << (8 * i)
	}
	return h.Word(w)
}

// Float folds in a number; every NaN is the same.
func (h Hash) Float(f float64) Hash {
	if f != f {
		f = math.NaN()
	}
	return h.Word(math.Float64bits(f))
}
