package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/guard"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/recording"
)

// adminBodyMax bounds the body of a request to the admin API, in bytes.
const adminBodyMax = 64 << 10

// adminHandler is the whole admin API.
func (n *Node) adminHandler() http.Handler {
	mux := http.NewServeMux()
	g := gate{n.o.Tokens}
	for _, r := range routes() {
		var h http.HandlerFunc
		switch {
		case r.handle != nil:
			h = n.answering(r)
		case r.stream != nil:
			h = n.streaming(r)
		case r.serve != nil:
			h = func(w http.ResponseWriter, req *http.Request) { r.serve(n, w, req) }
		default:
			h = n.download(r.files)
		}
		mux.HandleFunc(r.pattern(), g.allow(r.scope, h))
	}
	if n.o.Page != nil {
		var ctx context.Context
		ctx, n.endPage = context.WithCancel(context.Background())
		mux.Handle(PagePath, n.o.Page(ctx, n))
	}
	mux.HandleFunc("/", g.allow(ScopeStatus, func(w http.ResponseWriter, r *http.Request) {
		guard.WriteProblem(w, http.StatusNotFound, "no "+r.Method+" "+r.URL.Path+" here", "the paths are "+strings.Join(paths(), ", "))
	}))
	return mux
}

// answering serves a route that answers in JSON.
func (n *Node) answering(r route) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		req.Body = http.MaxBytesReader(w, req.Body, max(r.bodyMax, adminBodyMax))
		if r.slow {
			n.unhurried(w)
		}
		answer, err := r.handle(n, req)
		var a *adminError
		if errors.As(err, &a) && a.status == http.StatusBadRequest && r.body != "" {
			a.remedy = "send a body like " + r.body + "; docs/admin.md says more"
		}
		n.answerAdmin(w, req, answer, err)
	}
}

// unhurried takes the server's bounds on a request's time away.
func (n *Node) unhurried(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	if err := errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{})); err != nil {
		n.logs.in(AreaHTTP).Debug("deadlines", "err", err)
	}
}

// streaming serves a route that writes its answer itself.
func (n *Node) streaming(r route) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		req.Body = http.MaxBytesReader(w, req.Body, adminBodyMax)
		if err := r.stream(n, w, req); err != nil {
			n.answerAdmin(w, req, nil, err)
		}
	}
}

// An adminError is an error with its HTTP status and remedy.
type adminError struct {
	status int
	text   string
	remedy string
}

func (e *adminError) Error() string { return e.text }

func (n *Node) answerAdmin(w http.ResponseWriter, r *http.Request, answer any, err error) {
	log := n.logs.in(AreaHTTP)
	if err == nil {
		log.Debug("admin", "method", r.Method, "path", r.URL.Path)
		guard.WriteJSON(w, http.StatusOK, answer)
		return
	}
	log.Info("admin request refused", "method", r.Method, "path", r.URL.Path, "err", err)
	var a *adminError
	switch {
	case errors.As(err, &a):
		guard.WriteProblem(w, a.status, a.text, a.remedy)
	case errors.Is(err, ErrFaultsOff):
		guard.WriteProblem(w, http.StatusForbidden, err.Error(), "start it with --allow-faults")
	default:
		WriteError(w, err)
	}
}

// body reads a request's JSON; an empty one leaves v alone.
func body(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows the JSON object")
		}
	}
	var long *http.MaxBytesError
	if err == nil || errors.As(err, &long) {
		return err
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		text = fmt.Sprintf("field %q is a %s", kind.Field, kind.Value)
	}
	return usage(fmt.Errorf("the body: %s", text))
}

// usage makes an error the request's fault; the route adds the remedy.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return &adminError{http.StatusBadRequest, err.Error(), "correct the request"}
}

func (n *Node) getHealth(*http.Request) (any, error) {
	if err := n.failedWith(); err != nil {
		return nil, &adminError{http.StatusServiceUnavailable, err.Error(), "the node stops; start it again"}
	}
	return map[string]any{"node": n.o.Name, "healthy": true}, nil
}

func (n *Node) getReady(r *http.Request) (any, error) {
	if why := n.NotReady(); len(why) > 0 {
		return nil, &adminError{http.StatusServiceUnavailable, "not ready: " + strings.Join(why, "; "), "wait, or ask for /v1/status"}
	}
	loop := n.askLoop(r.Context())
	return map[string]any{"node": n.o.Name, "ready": true, "warnings": orEmpty(loop.warnings())}, nil
}

func (n *Node) getStatus(*http.Request) (any, error) { return n.Status(), nil }

func (n *Node) getLog(*http.Request) (any, error) { return n.logs.current(), nil }

func (n *Node) getFault(*http.Request) (any, error) { return n.faults(), nil }

func (n *Node) postLog(r *http.Request) (any, error) {
	var in struct {
		Area  string `json:"area"`
		Level string `json:"level"`
	}
	if err := body(r, &in); err != nil {
		return nil, err
	}
	if err := n.SetLog(in.Area, in.Level); err != nil {
		return nil, usage(err)
	}
	return n.logs.current(), nil
}

func (n *Node) postFault(r *http.Request) (any, error) {
	var in struct {
		Kind        FaultKind `json:"kind"`
		Peer        string    `json:"peer"`
		Direction   string    `json:"direction"`
		Delay       duration  `json:"delay"`
		Probability float64   `json:"probability"`
		Offset      duration  `json:"offset"`
	}
	if err := body(r, &in); err != nil {
		return nil, err
	}
	f := Fault{Kind: in.Kind, Peer: in.Peer, Direction: in.Direction, Delay: time.Duration(in.Delay),
		Probability: in.Probability, Offset: time.Duration(in.Offset)}
	if err := n.SetFault(f); errors.Is(err, ErrFaultsOff) {
		return nil, err
	} else if err != nil {
		return nil, usage(err)
	}
	return n.faults(), nil
}

// A duration in JSON is "1.5s", or a number of nanoseconds.
type duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *duration) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		v, err := time.ParseDuration(text)
		*d = duration(v)
		return err
	}
	return json.Unmarshal(b, (*int64)(d))
}

func (n *Node) postCheckpoint(r *http.Request) (any, error) {
	seq, err := n.Checkpoint(r.Context())
	if err != nil {
		return nil, err
	}
	return map[string]any{"seq": seq}, nil
}

// Checkpoint takes a checkpoint of the node as it is now and returns its sequence
// number when it is written.
func (n *Node) Checkpoint(ctx context.Context) (seq uint64, err error) {
	err = n.control(ctx, func() {
		seq = n.loop.Seq()
		n.loop.WantCheckpoint()
		signal(n.wake)
	})
	if err != nil {
		return 0, err
	}
	select {
	case err = <-n.disk.waitCheckpoint(seq):
		return seq, err
	case <-n.loopDone:
		return 0, ErrStopping
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (n *Node) postPromise(r *http.Request) (any, error) {
	var in struct {
		Time hlc.Timestamp `json:"time"`
	}
	if err := body(r, &in); err != nil {
		return nil, err
	}
	now, err := n.Promise(r.Context(), in.Time)
	if err != nil {
		return nil, err
	}
	return map[string]any{"node": n.o.Name, "promised": in.Time, "time": now}, nil
}

// Promise returns when the node will never again stamp at or below ts, also not
// after a restart, with the Timestamp of its last event then.
func (n *Node) Promise(ctx context.Context, ts hlc.Timestamp) (hlc.Timestamp, error) {
	if err := n.checkDrift(ts); err != nil {
		return 0, err
	}
	f := record.Frame{Kind: event.Control, Name: event.ControlPromise, Sent: ts}
	if err := n.offerSoon(&f); err != nil {
		return 0, n.clientError(err)
	}
	for {
		var now hlc.Timestamp
		var seq uint64
		if err := n.control(ctx, func() { now, seq = n.loop.Now(), n.loop.Seq() }); err != nil {
			return 0, err
		}
		if now > ts {
			return now, nil
		}
		if err := n.j.Wait(ctx, seq); err != nil {
			return 0, err
		}
	}
}

func (n *Node) postBundle(r *http.Request) (any, error) {
	in := struct {
		Since duration `json:"since"`
	}{duration(BundleSince)}
	if err := body(r, &in); err != nil {
		return nil, err
	}
	dir, err := n.Bundle(r.Context(), time.Duration(in.Since))
	if err != nil {
		return nil, err
	}
	return map[string]any{"dir": dir}, nil
}

func (n *Node) postStop(*http.Request) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), n.o.Limits.Drain)
	context.AfterFunc(ctx, cancel)
	n.askStop(ctx)
	return map[string]any{"node": n.o.Name, "stopping": true}, nil
}

func (n *Node) getJournal(*http.Request) (any, error) {
	files, err := recording.ListJournal(n.o.FS, n.dirs.journal)
	return recording.FileList{Files: orEmpty(files)}, err
}

func (n *Node) getCheckpoints(*http.Request) (any, error) {
	files, err := recording.ListCheckpoints(n.o.FS, n.dirs.checkpoints)
	return recording.FileList{Files: orEmpty(files)}, err
}

func (n *Node) getRecording(*http.Request) (any, error) {
	return n.info(), nil
}

func (n *Node) info() recording.Info {
	return recording.Info{Service: n.o.Service, Node: n.o.Name, Boot: n.boot, Build: n.o.Build,
		Versions: n.versions(), Durability: n.o.Durability.String()}
}

// download serves the files of a directory that is takes, by ranges too.
func (n *Node) download(files func(dirs) (dir string, is func(name string) bool)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		dir, is := files(n.dirs)
		name := r.PathValue("file")
		if !is(name) {
			guard.WriteProblem(w, http.StatusNotFound, fmt.Sprintf("no file %q here", name), "ask for the list")
			return
		}
		f, err := n.o.FS.Open(path.Join(dir, name))
		if err != nil {
			guard.WriteProblem(w, http.StatusNotFound, err.Error(), "ask for the list again: retention may have removed it")
			return
		}
		defer f.Close()
		size, err := f.Size()
		if err != nil {
			WriteError(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		// A download of many bytes is allowed its time.
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(downloadTime(size))); err != nil {
			n.logs.in(AreaHTTP).Debug("write deadline", "err", err)
		}
		http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(f, 0, size))
	}
}

// downloadTime allows a slow line 256 KiB a second.
func downloadTime(size int64) time.Duration {
	return time.Minute + time.Duration(size>>18)*time.Second
}
