package web

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"hindcast.dev/history"
)

const (
	progressEvery = 250 * time.Millisecond
	eventsPerLook = 64 // events that go by between looks at the context
	linesPerFlush = 64
)

// Lines are an answer that comes while it is looked for: a JSON value on each line,
// an object of one key, its kind. Safe for concurrent use.
type lines struct {
	w     http.ResponseWriter
	mu    sync.Mutex
	wrote int // since the last flush
}

func newLines(w http.ResponseWriter) *lines {
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Cache-Control", "no-store")
	return &lines{w: w}
}

// say writes a line. Who asked may be gone, or not read: then the context ends what is
// going on.
func (l *lines) say(kind string, v any, now bool) {
	b, err := json.Marshal(map[string]any{kind: v})
	if err != nil {
		b = []byte(`{"error":{"error":"a part of the answer has no JSON form"}}`)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	hurried(l.w)
	_, _ = l.w.Write(append(b, '\n'))
	if l.wrote++; now || l.wrote >= linesPerFlush {
		l.wrote = 0
		_ = http.NewResponseController(l.w).Flush()
	}
}

// A walked Source counts the events that are read, and ends walks with their
// context.
type walked struct {
	history.Source
	read atomic.Uint64
}

// Walk implements history.Source.
func (s *walked) Walk(ctx context.Context, from, to history.Position, nodes []int) (history.Cursor, error) {
	return s.counted(ctx)(s.Source.Walk(ctx, from, to, nodes))
}

// WalkThrough implements history.Narrow.
func (s *walked) WalkThrough(ctx context.Context, from, to history.Position, nodes []int, lens history.Lens) (history.Cursor, error) {
	return s.counted(ctx)(history.WalkThrough(ctx, s.Source, from, to, nodes, lens))
}

// Unwrap implements history.Wrapper.
func (s *walked) Unwrap() history.Source { return s.Source }

func (s *walked) counted(ctx context.Context) func(history.Cursor, error) (history.Cursor, error) {
	return func(c history.Cursor, err error) (history.Cursor, error) {
		if err != nil {
			return nil, err
		}
		return &walkedCursor{Cursor: c, ctx: ctx, src: s}, nil
	}
}

type walkedCursor struct {
	history.Cursor
	ctx   context.Context
	src   *walked
	count uint64
}

// Next implements history.Cursor.
func (c *walkedCursor) Next() (*history.Event, error) {
	if c.count%eventsPerLook == 0 {
		if err := c.ctx.Err(); err != nil {
			return nil, err
		}
		if c.count > 0 {
			c.src.read.Add(eventsPerLook)
		}
	}
	c.count++
	return c.Cursor.Next()
}

// tell says from time to time how many of the events are read, until stop is
// called.
func (s *walked) tell(l *lines) (stop func()) {
	end, over := make(chan struct{}), make(chan struct{})
	total := s.Source.Meta().Events
	go func() {
		defer close(over)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				l.say("progress", map[string]uint64{"read": s.read.Load(), "of": total}, true)
			}
		}
	}()
	return func() {
		close(end)
		<-over
	}
}
