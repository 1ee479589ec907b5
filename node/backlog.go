package node

// A backlog is a queue that uses its memory again: what items returns is valid until
// the next add.
type backlog[T any] struct {
	buf   []T
	first int // of buf that isn't forgotten
}

func (b *backlog[T]) items() []T { return b.buf[b.first:] }

func (b *backlog[T]) add(v T) {
	if len(b.buf) == cap(b.buf) && b.first > len(b.buf)/2 {
		b.buf, b.first = b.buf[:copy(b.buf, b.buf[b.first:])], 0
	}
	b.buf = append(b.buf, v)
}

// forget forgets the first n.
func (b *backlog[T]) forget(n int) { b.first += n }
