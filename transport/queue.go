package transport

import (
	"time"

	"hindcast.dev/event"
)

// A letter is one frame on its way to a peer.
type letter struct {
	frame  []byte
	id     event.MessageID
	name   string
	queued time.Time // when Send took it
	due    time.Time // not to be sent before: queued, or later by a delay fault
}

// A queue is first in, first out; it never looks behind its head, so a delayed
// letter delays those behind it and order is kept. Its owner locks it.
type queue struct {
	letters []letter // letters[head:] are queued
	head    int
	bytes   int
}

func (q *queue) len() int { return len(q.letters) - q.head }

// push queues l unless a limit is reached.
func (q *queue) push(l letter, framesMax, bytesMax int) bool {
	if q.len() >= framesMax || q.bytes+len(l.frame) > bytesMax {
		return false
	}
	if q.head > 64 && q.head > len(q.letters)/2 {
		n := copy(q.letters, q.letters[q.head:])
		clear(q.letters[n:])
		q.letters, q.head = q.letters[:n], 0
	}
	q.letters = append(q.letters, l)
	q.bytes += len(l.frame)
	return true
}

// first returns the head, nil if there is none.
func (q *queue) first() *letter {
	if q.len() == 0 {
		return nil
	}
	return &q.letters[q.head]
}

// pop removes the head, which is there, and returns it.
func (q *queue) pop() letter {
	l := q.letters[q.head]
	q.letters[q.head] = letter{}
	q.head++
	q.bytes -= len(l.frame)
	if q.head == len(q.letters) {
		q.letters, q.head = q.letters[:0], 0
	}
	return l
}

// popBefore removes the letters at the head that were queued before t.
func (q *queue) popBefore(t time.Time) []letter {
	var out []letter
	for l := q.first(); l != nil && l.queued.Before(t); l = q.first() {
		out = append(out, q.pop())
	}
	return out
}

// popAll empties the queue.
func (q *queue) popAll() []letter {
	out := append([]letter(nil), q.letters[q.head:]...)
	*q = queue{}
	return out
}
