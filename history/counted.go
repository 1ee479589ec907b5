package history

import (
	"context"
	"sync/atomic"
)

// lookEvery is how many events go by between a Counted walk's looks at its context.
const lookEvery = 64

// A Counted is a Source that knows about how many events its cursors have read, and
// whose cursors end with the context of their walk. It is safe for concurrent use.
type Counted struct {
	Source
	read atomic.Uint64
}

// NewCounted returns a Counted around another Source.
func NewCounted(src Source) *Counted { return &Counted{Source: src} }

// Read is how many events were read, all but the last few of each cursor.
func (s *Counted) Read() uint64 { return s.read.Load() }

// Walk implements Source.
func (s *Counted) Walk(ctx context.Context, from, to Position, nodes []int) (Cursor, error) {
	return s.counted(ctx)(s.Source.Walk(ctx, from, to, nodes))
}

// WalkThrough implements Narrow.
func (s *Counted) WalkThrough(ctx context.Context, from, to Position, nodes []int, lens Lens) (Cursor, error) {
	return s.counted(ctx)(WalkThrough(ctx, s.Source, from, to, nodes, lens))
}

// Unwrap implements Wrapper.
func (s *Counted) Unwrap() Source { return s.Source }

func (s *Counted) counted(ctx context.Context) func(Cursor, error) (Cursor, error) {
	return func(c Cursor, err error) (Cursor, error) {
		if err != nil {
			return nil, err
		}
		return &countedCursor{Cursor: c, ctx: ctx, src: s}, nil
	}
}

type countedCursor struct {
	Cursor
	ctx   context.Context
	src   *Counted
	count uint64
}

// Next implements Cursor.
func (c *countedCursor) Next() (*Event, error) {
	if c.count%lookEvery == 0 {
		if err := c.ctx.Err(); err != nil {
			return nil, err
		}
		if c.count > 0 {
			c.src.read.Add(lookEvery)
		}
	}
	c.count++
	return c.Cursor.Next()
}
