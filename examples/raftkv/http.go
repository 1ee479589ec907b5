package raftkv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"hindcast.dev/node"
)

// A Client is what Handler needs of a *node.Client.
type Client interface {
	Do(ctx context.Context, machine string, body any) (node.Reply, error)
	Peek(ctx context.Context, machine string, body any) (any, error)
}

// Headers that make a write's retries safe: see Once.
const (
	SessionHeader  = "Session"
	SequenceHeader = "Session-Sequence"
)

// Handler is the store's HTTP face:
//
//	GET    /kv/KEY                the record, 404 if there is none; ?stale=true: as this node has it
//	PUT    /kv/KEY                writes the body, which is UTF-8 text; with ?if=OLD only over that value,
//	                              with ?if-absent=true only where there is none: else 409
//	POST   /kv/KEY                appends the body
//	DELETE /kv/KEY                404 if there was none
//	GET    /status                how this node sees the cluster
//	POST   /members?change=add&node=n4    also learn, remove
//
// Answers are JSON. Errors are {"error","remedy","code","leader"}: 400 for what
// breaks a rule, 409 with the code "expired" for a session that is over, 421 with
// the leader's name where only that one will do, 429 for too much at once, 503 where
// no leader is known or none answers in time (with the code "unknown", a write may
// be done all the same), 507 for a full store or disk.
func Handler(c Client) http.Handler { return face{c} }

type face struct{ client Client }

// ServeHTTP is its own router: http.ServeMux would redirect keys like "a//b".
func (f face) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, one := strings.CutPrefix(r.URL.Path, "/kv/")
	switch {
	case one:
		f.record(w, r, key)
	case r.URL.Path == "/status" && r.Method == http.MethodGet:
		body, err := f.client.Peek(r.Context(), Name, Ask{})
		f.answer(w, r, body, err)
	case r.URL.Path == "/members" && r.Method == http.MethodPost:
		f.do(w, r, Members{r.URL.Query().Get("change"), r.URL.Query().Get("node")})
	case r.URL.Path == "/status" || r.URL.Path == "/members":
		writeProblem(w, http.StatusMethodNotAllowed, problem{Error: "method " + r.Method + " has no meaning here", Remedy: "GET /status or POST /members"})
	default:
		writeProblem(w, http.StatusNotFound, problem{Error: "there is nothing at " + r.URL.Path, Remedy: "ask for /kv/KEY, /status or /members"})
	}
}

func (f face) record(w http.ResponseWriter, r *http.Request, key string) {
	query := r.URL.Query()
	once, err := onceOf(r)
	if err != nil {
		writeProblem(w, http.StatusBadRequest, problem{Error: err.Error(), Remedy: "count a session's writes from 1", Code: Invalid})
		return
	}
	switch r.Method {
	case http.MethodGet:
		m := Get{Key: key, Stale: query.Get("stale") == "true"}
		if m.Stale {
			body, err := f.client.Peek(r.Context(), Name, m)
			f.answer(w, r, body, err)
			return
		}
		f.do(w, r, m)
	case http.MethodDelete:
		f.do(w, r, Delete{key, once})
	case http.MethodPut, http.MethodPost:
		value, ok := readValue(w, r)
		switch {
		case !ok:
		case r.Method == http.MethodPost:
			f.do(w, r, Append{key, value, once})
		case query.Has("if"), query.Get("if-absent") == "true":
			f.do(w, r, Cas{Key: key, Old: query.Get("if"), New: value, Absent: query.Get("if-absent") == "true", Once: once})
		default:
			f.do(w, r, Put{key, value, once})
		}
	default:
		w.Header().Set("Allow", "GET, PUT, POST, DELETE")
		writeProblem(w, http.StatusMethodNotAllowed, problem{Error: "method " + r.Method + " has no meaning here", Remedy: "use one of GET, PUT, POST, DELETE"})
	}
}

func onceOf(r *http.Request) (Once, error) {
	o := Once{Session: r.Header.Get(SessionHeader)}
	if o.Session == "" {
		return o, nil
	}
	var err error
	if o.Seq, err = strconv.ParseUint(r.Header.Get(SequenceHeader), 10, 64); err != nil || o.Seq == 0 {
		return o, fmt.Errorf("header %s is %q: want a number from 1 on", SequenceHeader, r.Header.Get(SequenceHeader))
	}
	return o, nil
}

func readValue(w http.ResponseWriter, r *http.Request) (string, bool) {
	value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxValue))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		writeProblem(w, http.StatusRequestEntityTooLarge, problem{Error: fmt.Sprintf("the value has more than %d bytes", MaxValue),
			Remedy: "split it over several keys", Code: Invalid})
	case err != nil:
		writeProblem(w, http.StatusBadRequest, problem{Error: "the body ends early: " + err.Error(), Remedy: "send all of it; nothing was written"})
	}
	return string(value), err == nil
}

func (f face) do(w http.ResponseWriter, r *http.Request, body any) {
	reply, err := f.client.Do(r.Context(), Name, body)
	f.answer(w, r, reply.Body, err)
}

// answer writes what the machine said.
func (f face) answer(w http.ResponseWriter, r *http.Request, body any, err error) {
	if err != nil {
		node.WriteError(w, err)
		return
	}
	switch m := body.(type) {
	case Answer:
		status := http.StatusOK
		if !m.Found {
			status = http.StatusNotFound
			if r.Method == http.MethodPut {
				status = http.StatusConflict
			}
		}
		writeJSON(w, status, record(m))
	case Status:
		writeJSON(w, http.StatusOK, m)
	case Failure:
		writeFailure(w, m)
	default:
		writeProblem(w, http.StatusInternalServerError, problem{Error: fmt.Sprintf("the machine answered with a %T", m), Remedy: "look into the node's log"})
	}
}

type record struct {
	Found bool   `json:"found"`
	Value string `json:"value"`
	Index uint64 `json:"index"`
}

type problem struct {
	Error  string `json:"error"`
	Remedy string `json:"remedy"`
	Code   Code   `json:"code,omitempty"`
	Leader string `json:"leader,omitempty"`
}

func writeFailure(w http.ResponseWriter, m Failure) {
	p := problem{Error: m.Reason, Code: m.Code, Leader: m.Leader, Remedy: "try again later"}
	status := http.StatusServiceUnavailable
	switch m.Code {
	case Invalid:
		status, p.Remedy = http.StatusBadRequest, "correct the request"
	case Expired:
		status, p.Remedy = http.StatusConflict, "begin a new session"
	case Full:
		status, p.Remedy = http.StatusInsufficientStorage, "delete something"
	case Busy:
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", "1")
	case NotLeader:
		if m.Leader != "" {
			status, p.Remedy = http.StatusMisdirectedRequest, "ask "+m.Leader
		}
	case Unknown:
		p.Remedy = "read before you write again, or write in a session and repeat it"
	}
	writeProblem(w, status, p)
}

func writeProblem(w http.ResponseWriter, status int, p problem) { writeJSON(w, status, p) }

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // these types always have a JSON form; who went away misses nothing
}
