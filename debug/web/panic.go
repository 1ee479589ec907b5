package web

import (
	"fmt"
	"net/http"
	"runtime/debug"
)

// A witness sees whether an answer has begun.
type witness struct {
	http.ResponseWriter
	begun bool
}

// WriteHeader implements http.ResponseWriter.
func (w *witness) WriteHeader(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *witness) Write(b []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// survive answers where a handler panicked, so that one question that the debugger
// doesn't bear ends neither it nor the page. What has begun is broken off.
func (s *Server) survive(w *witness) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	if s.opts.Failed != nil {
		s.opts.Failed(fmt.Sprintf("%v\n%s", p, debug.Stack()))
	}
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	writeError(w, problemf(http.StatusInternalServerError, "this is a mistake in hindcast; what it printed where it was started says where", "the debugger failed: %v", p))
}
