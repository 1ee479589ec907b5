package history

import (
	"errors"
	"io"
	"math"

	"hindcast.dev/hlc"
)

// A stream gives the entries of one node one after the other, forwards or
// backwards; io.EOF after the last.
type stream interface {
	next() (*Event, error)
}

// A merger makes one walk of streams.
type merger struct {
	race    race
	streams []stream // in the order of their nodes, or backwards
	heads   []*Event // the next entry of each
	flip    uint64   // all ones if the walk goes backwards
}

// newMerger merges streams that are each in the order asked for, of nodes one after
// the other.
func newMerger(streams []stream, backwards bool) (*merger, error) {
	m := &merger{streams: streams, heads: make([]*Event, len(streams))}
	if backwards {
		m.flip = math.MaxUint64
	}
	var failed error
	m.race = newRace(len(streams), func(i int) (hlc.Timestamp, bool) {
		e, err := m.from(i).next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				failed = errors.Join(failed, err)
			}
			return 0, false
		}
		m.heads[i] = e
		return m.time(e), true
	})
	if failed != nil {
		return nil, failed
	}
	return m, nil
}

// from is the stream with a number in the race: backwards the last node is first.
func (m *merger) from(i int) stream {
	if m.flip != 0 {
		return m.streams[len(m.streams)-1-i]
	}
	return m.streams[i]
}

func (m *merger) time(e *Event) hlc.Timestamp { return e.Time ^ hlc.Timestamp(m.flip) }

// next returns the next entry of the walk, io.EOF after the last.
func (m *merger) next() (*Event, error) {
	if m.race.left == 0 {
		return nil, io.EOF
	}
	i := m.race.first()
	out := m.heads[i]
	e, err := m.from(i).next()
	switch {
	case errors.Is(err, io.EOF):
		m.heads[i] = nil
		m.race.end()
	case err != nil:
		return nil, err
	default:
		m.heads[i] = e
		m.race.advance(m.time(e))
	}
	return out, nil
}
