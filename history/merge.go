package history

import (
	"errors"
	"io"
)

// A stream gives the entries of one node one after the other, forwards or
// backwards; io.EOF after the last.
type stream interface {
	next() (*Event, error)
}

// A merger makes one walk of streams: a binary heap of each stream's next entry.
type merger struct {
	heap []head
	sign int // 1: ascending positions, -1: descending
}

type head struct {
	entry *Event
	from  stream
}

// newMerger merges streams that are each in the order asked for.
func newMerger(streams []stream, backwards bool) (*merger, error) {
	m := &merger{heap: make([]head, 0, len(streams)), sign: 1}
	if backwards {
		m.sign = -1
	}
	for _, s := range streams {
		e, err := s.next()
		if errors.Is(err, io.EOF) {
			continue
		}
		if err != nil {
			return nil, err
		}
		m.heap = append(m.heap, head{e, s})
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	return m, nil
}

// next returns the next entry of the walk, io.EOF after the last.
func (m *merger) next() (*Event, error) {
	if len(m.heap) == 0 {
		return nil, io.EOF
	}
	top := &m.heap[0]
	out := top.entry
	e, err := top.from.next()
	switch {
	case errors.Is(err, io.EOF):
		last := len(m.heap) - 1
		m.heap[0] = m.heap[last]
		m.heap[last] = head{}
		m.heap = m.heap[:last]
	case err != nil:
		return nil, err
	default:
		top.entry = e
	}
	m.sink(0)
	return out, nil
}

func (m *merger) before(i, j int) bool {
	return m.heap[i].entry.Position.Compare(m.heap[j].entry.Position)*m.sign < 0
}

// sink moves the head at i down to where it belongs.
func (m *merger) sink(i int) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(m.heap) && m.before(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		m.heap[i], m.heap[least] = m.heap[least], m.heap[i]
		i = least
	}
}
