package history

import (
	"math"
	"math/bits"

	"hindcast.dev/hlc"
)

// A race finds which of several streams, each in order, has the next entry: a
// tournament in which every place but the top keeps the loser of its match. The
// winner's next entry plays once on each level, and a match is arithmetic without a
// branch, for nobody can foretell its outcome.
//
//	      0               the winner
//	      1               the loser of the last match
//	 2         3
//	A  B     C  D         streams, which play first in 2 and 3
type race struct {
	top  runner
	lost []runner // by place; as many as there are streams, rounded up to a power of two
	left int      // streams that aren't at their end
}

// A runner is a stream's next entry. Of equal times the stream with the lower
// number comes first.
type runner struct{ time, stream uint64 }

// ended is behind every entry.
var ended = runner{math.MaxUint64, math.MaxUint64}

// newRace begins with the times of the streams' first entries; has is false for a
// stream that has none.
func newRace(n int, first func(stream int) (t hlc.Timestamp, has bool)) race {
	size := 1
	for size < n {
		size *= 2
	}
	r := race{lost: make([]runner, size)}
	won := make([]runner, 2*size)
	for i := range size {
		won[size+i] = ended
		if i >= n {
			continue
		}
		if t, has := first(i); has {
			won[size+i] = runner{uint64(t), uint64(i)}
			r.left++
		}
	}
	for i := size - 1; i > 0; i-- {
		won[i], r.lost[i] = won[2*i], won[2*i+1]
		if r.lost[i].before(won[i]) == 1 {
			won[i], r.lost[i] = r.lost[i], won[i]
		}
	}
	r.top = won[1]
	return r
}

// first is the stream that has the next entry; there must be one.
func (r *race) first() int { return int(r.top.stream) }

// advance gives the winner's stream its next entry.
func (r *race) advance(t hlc.Timestamp) { r.play(runner{uint64(t), r.top.stream}) }

// end takes the winner's stream out.
func (r *race) end() {
	r.left--
	r.play(ended)
}

// play has the matches of the winner's stream played again.
func (r *race) play(x runner) {
	lost := r.lost
	for at := (len(lost) + int(r.top.stream)) / 2; at > 0 && at < len(lost); at /= 2 {
		o := &lost[at]
		swap := -o.before(x)
		time, stream := (o.time^x.time)&swap, (o.stream^x.stream)&swap
		o.time, x.time = o.time^time, x.time^time
		o.stream, x.stream = o.stream^stream, x.stream^stream
	}
	r.top = x
}

// before is 1 if x comes before o, else 0.
func (x runner) before(o runner) uint64 {
	_, less := bits.Sub64(x.stream, o.stream, 0)
	_, less = bits.Sub64(x.time, o.time, less)
	return less
}
