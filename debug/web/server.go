// Package web serves the debugger as a page and as JSON over HTTP: the same
// sessions and commands that scripts use, and what the page draws.
package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hindcast.dev/debug"
	"hindcast.dev/debug/timeline"
	"hindcast.dev/guard"
	"hindcast.dev/history"
)

// Bounds on what a request may bring and ask for.
const (
	bodyMax    = 1 << 20
	eventsMax  = 5_000 // in one answer of /api/v1/events
	columnsMax = 8_192
)

// Options say what a Server shows, and to whom.
type Options struct {
	// Title is what is opened, for people.
	Title string
	// Token has to be known to who asks. "" lets everybody in who may connect; then
	// the Host has to be a loopback address.
	Token string
	// Session makes a session for a tab that wasn't there before.
	Session func() *debug.Session
	// Source is what the sessions look at.
	Source history.Source
	// Begin is where sessions begin, and Note why, if that isn't the beginning of all.
	Begin history.Position
	Note  string
	// Control tells the page that sessions may do more to this machine than look: what
	// they do is up to Session.
	Control bool
	// Prefix is below what path all is served, like /debug; "" is at /.
	Prefix string
	// Patience is how long an answer may take that isn't a stream; 0 is as long as it
	// needs. AtOnce is how many are worked out at once, more wait; 0 is any number. They
	// are for a page in a process that has something else to do.
	Patience time.Duration
	AtOnce   int
	// Failed is told of a panic, with the stack. May be nil.
	Failed func(text string)
	// Admit lets in who knows another secret than Token. May be nil.
	Admit func(secret string) bool
	// Live, if not nil, is what Source is a moment of, like a *live.Cluster: the page
	// follows it, and Run until its ctx ends.
	Live debug.Live
}

// A Server is an http.Handler. It is safe for concurrent use.
type Server struct {
	opts    Options
	mux     *http.ServeMux
	tabs    tabs
	survey  *debug.Survey
	states  states
	page    map[string]pageFile
	ticket  tickets
	turns   chan struct{} // holds a token for each answer that is worked out; nil: any number
	first   atomic.Uint64 // see origin
	closed  chan struct{} // when Run is over
	close   func()        // closes it
	heard   atomic.Int32  // how many listen to what grows
	exports atomic.Int32  // how many save it
}

// New returns a Server. Run builds what it draws from.
func New(o Options) *Server {
	s := &Server{opts: o, mux: http.NewServeMux(), survey: debug.NewSurvey(o.Source), page: embedded(), closed: make(chan struct{})}
	if o.Live != nil {
		s.survey = debug.NewLiveSurvey(o.Live)
	}
	s.close = sync.OnceFunc(func() { close(s.closed) })
	s.tabs.make = func() *debug.Session {
		session := o.Session()
		session.Index = s.survey.Index
		if o.Live != nil {
			session.Live, session.Waits = s.survey, false // a page would wait with it
		}
		session.MoveTo(renumbered(o.Begin, o.Source, session.Source()))
		return session
	}
	if o.AtOnce > 0 {
		s.turns = make(chan struct{}, o.AtOnce)
	}
	for _, r := range s.routes() {
		h := r.handle
		if !slices.Contains(streams, r.pattern) {
			h = s.bounded(h)
		}
		s.mux.Handle(r.pattern, answering(h))
	}
	for name := range s.page {
		if name != "" {
			s.mux.Handle("GET /"+name, answering(s.file))
		}
	}
	return s
}

// Run indexes the events and then the messages, until it is done or ctx ends.
// Until then the page waits for what needs them.
//
// Of what grows it is done when nothing comes any more; then those who listen are
// told so.
func (s *Server) Run(ctx context.Context) error {
	defer s.close()
	return s.survey.Run(ctx)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	unhurried(w, r)
	seen := &witness{ResponseWriter: w}
	defer s.survive(seen)
	if s.opts.Prefix == "" {
		s.serve(seen, r)
		return
	}
	http.StripPrefix(s.opts.Prefix, http.HandlerFunc(s.serve)).ServeHTTP(seen, r)
}

// serve answers a request whose path begins behind the prefix.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if err := s.check(r); err != nil {
		writeError(w, err)
		return
	}
	if s.enter(w, r) {
		return
	}
	_, pattern := s.mux.Handler(r)
	switch {
	case path.Clean(r.URL.Path) != r.URL.Path: // the mux would lead elsewhere, and knows no prefix
		writeError(w, nothingAt(r))
	case pattern == "":
		s.refuse(w, r)
	default:
		s.mux.ServeHTTP(w, r)
	}
}

// writeTime is how long who asked may take to read an answer.
const writeTime = time.Minute

// unhurried lets an answer take the time that the question needs: it ends when who
// asked is gone. A body has to come within the server's time all the same.
func unhurried(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	if r.Method != http.MethodPost {
		_ = c.SetReadDeadline(time.Time{}) // a writer of a test has none
	}
	_ = c.SetWriteDeadline(time.Time{})
}

// hurried begins the time for an answer to be read.
func hurried(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
}

// answering makes a handler of one that may fail.
func answering(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			writeError(w, err)
		}
	}
}

func nothingAt(r *http.Request) error {
	return problemf(http.StatusNotFound, "the page is at /, and docs/debug-http.md lists the requests", "there is nothing at %s", r.URL.Path)
}

// streams are the routes whose answers aren't worked out before they are told.
var streams = []string{"GET /api/v1/live", "GET /api/v1/export"}

// errPatience is why the context of a question ends whose time is over.
var errPatience = errors.New("the answer takes longer than it may")

// bounded keeps a question within Patience and AtOnce.
func (s *Server) bounded(h func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		if s.opts.Patience > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, s.opts.Patience, errPatience)
			defer cancel()
		}
		err := s.inTurn(ctx, func() error { return h(w, r.WithContext(ctx)) })
		if err != nil && errors.Is(context.Cause(ctx), errPatience) {
			return problemf(http.StatusServiceUnavailable, "ask for less; or hindcast debug HOST:PORT, which works it out elsewhere, gives it all the time that it needs", "the answer takes more than %v", s.opts.Patience)
		}
		return err
	}
}

// inTurn waits until fewer than AtOnce answers are worked out.
func (s *Server) inTurn(ctx context.Context, answer func() error) error {
	if s.turns == nil {
		return answer()
	}
	select {
	case s.turns <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.turns }()
	return answer()
}

// refuse answers what nothing is served for, by another method or at all.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request) {
	var methods []string
	for _, m := range []string{http.MethodGet, http.MethodPost} {
		other := *r
		other.Method = m
		if _, pattern := s.mux.Handler(&other); pattern != "" {
			methods = append(methods, m)
		}
	}
	if len(methods) == 0 {
		writeError(w, nothingAt(r))
		return
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	writeError(w, problemf(http.StatusMethodNotAllowed, "use "+strings.Join(methods, " or "), "%s isn't for %s", r.URL.Path, r.Method))
}

// A route is one of the API.
type route struct {
	pattern string
	what    string // for the documentation
	handle  func(w http.ResponseWriter, r *http.Request) error
}

func (s *Server) routes() []route {
	return []route{
		{"GET /{$}", "the page; its files lie beside it", s.file},
		{"GET /api/v1/about", "what is opened: nodes, variables, times, how far the index is", s.about},
		{"POST /api/v1/command", "carries out a command of the session: `{\"line\":\"step\"}`; with `\"at\":\"NODE:SEQ\"` as if it were there, and it stays where it is", s.command},
		{"GET /api/v1/commands", "the table of commands", s.commands},
		{"POST /api/v1/complete", "what a line may go on with: `{\"line\":\"go\",\"pos\":2}`", s.complete},
		{"GET /api/v1/frame", "how many events of each node fall in each column, as binary cells: `?axis=time&from=A&to=B&columns=N`, of `&lanes=0,2` or with `&rest=1` of all others, and with `&merge=1` together", s.frame},
		{"GET /api/v1/events", "the events of a stretch and their messages, if there are few: `?axis=time&from=A&to=B`", s.events},
		{"POST /api/v1/query", "asks a statement of RQL, answers line by line: `{\"statement\":\"SHOW NODES\"}`", s.query},
		{"POST /api/v1/query/complete", "what a statement may go on with: `{\"statement\":\"SEL\",\"pos\":3}`", s.completeQuery},
		{"POST /api/v1/search", "the events with a text in them, or where a condition begins to hold, line by line: `{\"text\":\"Put\"}`, `{\"where\":\"…\"}`", s.search},
		{"GET /api/v1/state/search", "what has a text in its path or value, at a cut: `?at=NODE:SEQ&text=x`", s.searchState},
		{"GET /api/v1/state", "the variables of all nodes at a cut: `?at=NODE:SEQ`", s.state},
		{"GET /api/v1/cone", "the causal past and future of an event: `?at=NODE:SEQ`", s.cone},
		{"GET /api/v1/cut", "the cut at a coordinate, or a node's event nearest to it: `?axis=time&at=A&node=N`", s.cut},
		{"GET /api/v1/lanes", "what each node does at a cut, and its last event: `?at=NODE:SEQ`", s.lanes},
		{"GET /api/v1/live", "what grows, while it does, as Server-Sent Events: how many events there are, up to when, and which nodes aren't heard", s.live},
		{"POST /api/v1/places", "where places are along the axes: `{\"places\":[\"n1:3\"]}`", s.places},
		{"GET /api/v1/export", "the History, or a stretch of it, as a file to keep: `?format=jsonl&from=A&to=B`", s.export},
	}
}

// A problem is an error with a status and a remedy.
type problem struct {
	status       int
	text, remedy string
}

func (p *problem) Error() string { return p.text }

func problemf(status int, remedy, format string, args ...any) error {
	return &problem{status, fmt.Sprintf(format, args...), remedy}
}

// writeError answers with what went wrong.
func writeError(w http.ResponseWriter, err error) {
	var p *problem
	var c *debug.CommandError
	status, body := http.StatusInternalServerError, map[string]string{"error": err.Error()}
	switch {
	case errors.As(err, &p):
		status = p.status
		if p.remedy != "" {
			body["remedy"] = p.remedy
		}
	case errors.As(err, &c):
		status = http.StatusBadRequest
	case errors.Is(err, context.Canceled):
		status = 499 // the asker is gone
	case errors.Is(err, timeline.ErrNotLinked):
		status, body["remedy"] = http.StatusServiceUnavailable, "ask again; GET /api/v1/about says how far it is"
	}
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Cache-Control", "no-store")
	hurried(w)
	guard.WriteJSON(w, status, v)
}

// readBody reads a body in JSON.
func readBody(w http.ResponseWriter, r *http.Request, v any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			return problemf(http.StatusRequestEntityTooLarge, "", "the body has more than %d bytes", long.Limit)
		}
		return problemf(http.StatusBadRequest, "GET /api/v1/commands and docs/debug.md show what is understood", "the body: %v", err)
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return nil
}
