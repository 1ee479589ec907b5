package app

import (
	"context"
	"fmt"
	"sync/atomic"

	"hindcast.dev/history"
)

// eventsPerLook is how many events go by between looks at the context and the
// clock.
const eventsPerLook = 1024

// A watchedSource is a Source whose walks show how far they are, and end with
// their context.
type watchedSource struct {
	history.Source
	bar  *progress
	rows atomic.Uint64
}

// Walk implements history.Source.
func (s *watchedSource) Walk(ctx context.Context, from, to history.Position, nodes []int) (history.Cursor, error) {
	c, err := s.Source.Walk(ctx, from, to, nodes)
	if err != nil {
		return nil, err
	}
	return &watchedCursor{Cursor: c, ctx: ctx, src: s}, nil
}

type watchedCursor struct {
	history.Cursor
	ctx   context.Context
	src   *watchedSource
	count uint64
}

// Next implements history.Cursor.
func (c *watchedCursor) Next() (*history.Event, error) {
	if c.count%eventsPerLook == 0 {
		if err := c.ctx.Err(); err != nil {
			return nil, err
		}
		c.src.bar.show(func() string {
			return fmt.Sprintf("searching: %s of %s events, %s", grouped(c.count), grouped(c.src.Meta().Events), plural(c.src.rows.Load(), "row"))
		})
	}
	c.count++
	return c.Cursor.Next()
}
