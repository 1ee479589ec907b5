package web

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"hindcast.dev/history"
)

const (
	progressEvery = 250 * time.Millisecond
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

// tell says from time to time how many of the events of a Source are read, until stop
// is called.
func (l *lines) tell(s *history.Counted) (stop func()) {
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
				l.say("progress", map[string]uint64{"read": s.Read(), "of": total}, true)
			}
		}
	}()
	return func() {
		close(end)
		<-over
	}
}
