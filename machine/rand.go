package machine

import "math/bits"

// A Rand is a small random generator whose whole state is its two exported
// words, so that a checkpoint can hold it. Not for secrets; not safe for
// concurrent use.
//
// Source: Steele, Vigna, "LXM: better splittable pseudorandom number generators"
// (OOPSLA 2021) for the mixing function; the state is a 128-bit linear
// congruential generator as in O'Neill, "PCG" (2014), its high word mixed.
type Rand struct {
	Hi, Lo uint64
}

// NewRand returns a generator for the seed; different seeds give unrelated
// sequences.
func NewRand(seed uint64) *Rand {
	r := &Rand{Hi: mix(seed), Lo: mix(seed + 0x9e3779b97f4a7c15)}
	r.Uint64()
	return r
}

// Uint64 returns a number uniform in [0, 2⁶⁴).
func (r *Rand) Uint64() uint64 {
	// The multiplier and the odd increment of PCG's 128-bit generator.
	const mulHi, mulLo = 2549297995355413924, 4865540595714422341
	const incHi, incLo = 6364136223846793005, 1442695040888963407
	hi, lo := bits.Mul64(r.Lo, mulLo)
	hi += r.Hi*mulLo + r.Lo*mulHi
	lo, carry := bits.Add64(lo, incLo, 0)
	hi, _ = bits.Add64(hi, incHi, carry)
	r.Hi, r.Lo = hi, lo
	return mix(hi ^ bits.RotateLeft64(lo, 32))
}

// Uint64N returns a number uniform in [0, n). It panics if n is 0.
func (r *Rand) Uint64N(n uint64) uint64 {
	if n == 0 {
		panic("machine: Rand.Uint64N(0)")
	}
	hi, lo := bits.Mul64(r.Uint64(), n)
	for lo < -n%n { // the few values that would be drawn more often than others
		hi, lo = bits.Mul64(r.Uint64(), n)
	}
	return hi
}

// IntN returns a number uniform in [0, n). It panics if n <= 0.
func (r *Rand) IntN(n int) int {
	if n <= 0 {
		panic("machine: Rand.IntN of a number that isn't positive")
	}
	return int(r.Uint64N(uint64(n)))
}

// Float64 returns a number uniform in [0, 1).
func (r *Rand) Float64() float64 { return float64(r.Uint64()>>11) / (1 << 53) }

// mix is the finalizer of SplitMix64.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
