package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"hindcast.dev/guard"
	"hindcast.dev/hlc"
)

// TimeHeader carries a Timestamp's text. On a request to a node's HTTP address it
// is the client's time, which the request's event will be after; on a response it
// is the time of the event that made the reply, which the client merges into its
// own, so that what clients record is ordered with what nodes record.
const TimeHeader = "Hindcast-Time"

// times are one HTTP request's Timestamps.
type times struct {
	sent hlc.Timestamp // from the request; 0 if it had none

	mu    sync.Mutex
	reply hlc.Timestamp // the highest of the replies that the handler got
}

type timesKey struct{}

// timesOf returns the Timestamps of the request that ctx belongs to, nil if none.
func timesOf(ctx context.Context) *times {
	t, _ := ctx.Value(timesKey{}).(*times)
	return t
}

func (t *times) replied(ts hlc.Timestamp) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reply = max(t.reply, ts)
}

// WithTime returns a context in which Do's request carries a sender's Timestamp,
// as a request over HTTP does by its TimeHeader.
func WithTime(ctx context.Context, sent hlc.Timestamp) context.Context {
	return context.WithValue(ctx, timesKey{}, &times{sent: sent})
}

// serviceHandler puts around the service's handler what every request gets: a
// bound on its body, and the Timestamps.
func serviceHandler(inner http.Handler, bodyMax int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := &times{}
		if text := r.Header.Get(TimeHeader); text != "" {
			sent, err := hlc.Parse(text)
			if err != nil {
				guard.WriteProblem(w, http.StatusBadRequest, fmt.Sprintf("header %s: %v", TimeHeader, err), "send what a node sent in that header, or leave it out")
				return
			}
			t.sent = sent
		}
		r.Body = http.MaxBytesReader(w, r.Body, bodyMax)
		ctx := context.WithValue(r.Context(), timesKey{}, t)
		inner.ServeHTTP(&timeWriter{ResponseWriter: w, times: t}, r.WithContext(ctx))
	})
}

// A timeWriter adds the TimeHeader when the header is written.
type timeWriter struct {
	http.ResponseWriter
	times   *times
	written bool
}

func (w *timeWriter) WriteHeader(status int) {
	if !w.written && status >= http.StatusOK {
		w.written = true
		w.times.mu.Lock()
		if w.times.reply != 0 {
			w.Header().Set(TimeHeader, w.times.reply.String())
		}
		w.times.mu.Unlock()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *timeWriter) Write(b []byte) (int, error) {
	if !w.written {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (w *timeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteError answers a request with an error of a Client as JSON
// {"error":…,"remedy":…}: 429 with Retry-After for ErrBusy, 503 for a node that
// stops, 504 for a context that ended, 507 for a full disk, 413, 422 and 400 for
// requests that can't be taken, 500 for what it doesn't know.
func WriteError(w http.ResponseWriter, err error) {
	p := problemOf(err)
	if p.retry {
		w.Header().Set("Retry-After", "1")
	}
	guard.WriteProblem(w, p.status, err.Error(), p.remedy)
}

// A server is an HTTP server with bounds.
type server struct {
	http *http.Server
	ln   net.Listener
	done chan struct{} // closed when Serve returned
}

// serve starts a server of h on ln that takes at most conns connections at
// once; more wait in the system's queue.
func serve(ln net.Listener, h http.Handler, conns int, l Limits, cfg *tls.Config, log *slog.Logger) *server {
	s := &server{ln: ln, done: make(chan struct{})}
	s.http = &http.Server{Handler: h, ReadHeaderTimeout: min(10*time.Second, l.HTTPRead), ReadTimeout: l.HTTPRead,
		WriteTimeout: l.HTTPRead + l.HTTPWrite, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	limited := guard.Limit(ln, conns)
	if cfg != nil {
		limited = tls.NewListener(limited, cfg)
	}
	go func() {
		defer close(s.done)
		s.http.Serve(limited) // returns when it is shut down
	}()
	return s
}

// addr is where the server listens, "" for none.
func (s *server) addr() string {
	if s == nil {
		return ""
	}
	return s.ln.Addr().String()
}

// stop lets requests finish until ctx is done, then cuts them off.
func (s *server) stop(ctx context.Context) error {
	if s == nil {
		return nil
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	<-s.done
	return err
}
