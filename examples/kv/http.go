package kv

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

// Handler is the store's HTTP face:
//
//	PUT    /kv/KEY    writes the body, which is UTF-8 text
//	GET    /kv/KEY    404 if there is none
//	DELETE /kv/KEY    also if there is none
//	GET    /kv?prefix=P&limit=N&from=KEY    some records in order, and what from to go on with
//
// all with ?consistency=fresh (the default), eventual or strict. Answers are
// JSON. Errors are {"error","remedy","code"}: 400 and 413 for what breaks a rule
// or bound, 405, 429 for too much at once, 503 for a strict operation without
// its primary (with the code "uncertain", a write may have been done all the
// same) and 507 for a full disk, on which reads go on as degraded.
func Handler(c Client) http.Handler { return face{c} }

type face struct{ client Client }

// ServeHTTP is its own router: http.ServeMux would redirect keys like "a//b".
func (f face) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	consistency := Consistency(query.Get("consistency"))
	key, one := strings.CutPrefix(r.URL.Path, "/kv/")
	switch {
	case one && r.Method == http.MethodGet:
		f.do(w, r, Get{Key: key, Consistency: consistency})
	case one && r.Method == http.MethodPut:
		f.put(w, r, Put{Key: key, Consistency: consistency})
	case one && r.Method == http.MethodDelete:
		f.do(w, r, Delete{Key: key, Consistency: consistency})
	case one:
		notAllowed(w, r, "GET, PUT, DELETE")
	case r.URL.Path != "/kv":
		writeProblem(w, http.StatusNotFound, "", "there is nothing at "+r.URL.Path, "ask for /kv/KEY or /kv?prefix=")
	case r.Method != http.MethodGet:
		notAllowed(w, r, "GET")
	default:
		limit, err := strconv.Atoi("0" + query.Get("limit"))
		if err != nil {
			writeProblem(w, http.StatusBadRequest, Invalid, fmt.Sprintf("limit %q", query.Get("limit")), fmt.Sprintf("give a number from 1 to %d", MaxBatch))
			return
		}
		f.do(w, r, Scan{Prefix: query.Get("prefix"), From: query.Get("from"), Limit: limit, Consistency: consistency})
	}
}

func (f face) put(w http.ResponseWriter, r *http.Request, m Put) {
	value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxValue))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		writeProblem(w, http.StatusRequestEntityTooLarge, Invalid, fmt.Sprintf("the value has more than %d bytes", MaxValue), "split it over several keys")
	case err != nil:
		writeProblem(w, http.StatusBadRequest, Invalid, "the body ends early: "+err.Error(), "send all of it; nothing was written")
	default:
		m.Value = string(value)
		f.do(w, r, m)
	}
}

// do asks the machine and writes its answer. Reads go on when the disk is full,
// from the local copy.
func (f face) do(w http.ResponseWriter, r *http.Request, body any) {
	reply, err := f.client.Do(r.Context(), Name, body)
	if errors.Is(err, node.ErrDiskFull) && r.Method == http.MethodGet && r.URL.Query().Get("consistency") != string(Strict) {
		reply.Body, err = f.client.Peek(r.Context(), Name, body)
	}
	if err != nil {
		node.WriteError(w, err)
		return
	}
	switch m := reply.Body.(type) {
	case Answer:
		status := http.StatusOK
		if !m.Found && r.Method == http.MethodGet {
			status = http.StatusNotFound
		}
		writeJSON(w, status, recordOf(m))
	case Listing:
		l := listing{Records: []record{}, Consistency: m.Consistency, Next: m.Next}
		for _, a := range m.Answers {
			l.Records = append(l.Records, recordOf(a))
		}
		writeJSON(w, http.StatusOK, l)
	case Failure:
		writeFailure(w, m)
	default:
		writeProblem(w, http.StatusInternalServerError, "", fmt.Sprintf("the machine answered with a %T", m), "look into the node's log")
	}
}

func writeFailure(w http.ResponseWriter, m Failure) {
	switch m.Code {
	case Invalid:
		writeProblem(w, http.StatusBadRequest, m.Code, m.Reason, "correct the request")
	case Busy:
		w.Header().Set("Retry-After", "1")
		writeProblem(w, http.StatusTooManyRequests, m.Code, m.Reason, "try again after the time in Retry-After")
	case Uncertain:
		writeProblem(w, http.StatusServiceUnavailable, m.Code, m.Reason, "read before you write again, or don't ask for consistency=strict")
	default:
		writeProblem(w, http.StatusServiceUnavailable, m.Code, m.Reason, "try again later, or don't ask for consistency=strict")
	}
}

// A record is an Answer as JSON.
type record struct {
	Key         string      `json:"key"`
	Found       bool        `json:"found"`
	Value       *string     `json:"value,omitempty"`
	Version     string      `json:"version,omitempty"` // also of a tombstone
	Writer      string      `json:"writer,omitempty"`
	Consistency Consistency `json:"consistency"`
	Age         float64     `json:"age,omitempty"` // seconds
}

type listing struct {
	Records     []record    `json:"records"`
	Consistency Consistency `json:"consistency"`
	Next        string      `json:"next,omitempty"`
}

func recordOf(a Answer) record {
	r := record{Key: a.Key, Found: a.Found, Writer: a.Item.Writer, Consistency: a.Consistency, Age: a.Age.Seconds()}
	if a.Item.Version != 0 {
		r.Version = a.Item.Version.String()
	}
	if a.Found {
		r.Value = &a.Item.Value
	}
	return r
}

func notAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	writeProblem(w, http.StatusMethodNotAllowed, "", "method "+r.Method+" has no meaning here", "use one of "+allow)
}

func writeProblem(w http.ResponseWriter, status int, code Code, text, remedy string) {
	writeJSON(w, status, struct {
		Error  string `json:"error"`
		Remedy string `json:"remedy"`
		Code   Code   `json:"code,omitempty"`
	}{text, remedy, code})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // these types always have a JSON form; who went away misses nothing
}
