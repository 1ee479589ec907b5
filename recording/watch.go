package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// SilentDefault is SnapshotOptions.Silent where that is 0.
const SilentDefault = 5 * time.Second

// A SilentError says that a node gave no answer at all, not even to say that it
// lives, while others waited for it.
type SilentError struct {
	Node string // its address, if its name isn't known
	For  time.Duration
}

func (e *SilentError) Error() string {
	return fmt.Sprintf("%s has not answered for %v: it is stopped, cut off or overloaded", e.Node, e.For.Round(time.Millisecond))
}

// A watch tells a node that works on an answer, however long, from one that gives
// none: beside the request it asks for the node's health.
type watch struct {
	api    *adminAPI
	node   func() string
	silent time.Duration // is too long
	told   func(node string, silent time.Duration)
	heard  atomic.Int64 // when the node was last heard, in nanoseconds since began
	began  time.Time
}

// hear notes that the node lives.
func (w *watch) hear() { w.heard.Store(int64(time.Since(w.began))) }

func (w *watch) quiet() time.Duration { return time.Since(w.began) - time.Duration(w.heard.Load()) }

// during calls f with a context that ends when the node has been silent for too
// long; the error is then a *SilentError.
func (w *watch) during(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	w.hear()
	go func() {
		defer close(done)
		if w.follow(ctx) {
			cancel(&SilentError{w.node(), w.silent})
		}
	}()
	err := f(ctx)
	cancel(nil)
	<-done
	var silent *SilentError
	if err != nil && errors.As(context.Cause(ctx), &silent) {
		return silent
	}
	return err
}

// follow asks until ctx ends, or the node has been silent for too long.
func (w *watch) follow(ctx context.Context) (tooLong bool) {
	turn := time.NewTicker(w.silent / 10)
	defer turn.Stop()
	answered := make(chan bool, 1)
	asking := false
	for {
		select {
		case <-ctx.Done():
			return false
		case ok := <-answered:
			if asking = false; ok {
				w.hear()
			}
		case <-turn.C:
			quiet := w.quiet()
			if quiet >= w.silent {
				return true
			}
			if w.told != nil {
				w.told(w.node(), quiet)
			}
			if !asking {
				asking = true
				go func() { answered <- w.alive(ctx) }()
			}
		}
	}
}

// alive asks for the node's health. Any answer is one.
func (w *watch) alive(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, w.silent)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.api.base+"health", nil)
	if err != nil {
		return false
	}
	if w.api.token != "" {
		req.Header.Set("Authorization", "Bearer "+w.api.token)
	}
	resp, err := w.api.client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, answerMax))
	return err == nil
}
