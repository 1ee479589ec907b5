package sim

import "hindcast.dev/machine"

// Delays, losses and the like are drawn by place and time, and not one after the
// other from a single source: what happens to a message depends on its link and on
// when it is sent. So a run with one operation or one fault less is the same in
// all that has nothing to do with it, and a failure can be shrunk.

// A weather is what decides chance at one place: a link, a disk, a client's way to
// a node.
type weather struct {
	spell int64  // the time, in units of spellBits
	count uint64 // draws in it
}

// spellBits is the length of a spell, a power of two of nanoseconds: about 4 ms.
const spellBits = 22

// places of weathers; the lower bits are whose.
const (
	placeLink  = 1 << 32
	placeDisk  = 2 << 32
	placeAsk   = 3 << 32
	placeReply = 4 << 32
)

// set makes r the source of what is drawn here and now.
func (x *weather) set(r *machine.Rand, w *World, place uint64) {
	spell := w.now >> spellBits
	if spell != x.spell {
		x.spell, x.count = spell, 0
	}
	x.count++
	h := scramble(w.seed*0x9e3779b97f4a7c15^place*0xbf58476d1ce4e5b9) + uint64(spell)
	h = scramble(h) + x.count
	*r = machine.Rand{Hi: scramble(h), Lo: scramble(h + 0x9e3779b97f4a7c15)}
}

// scramble is the finalizer of SplitMix64.
func scramble(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
