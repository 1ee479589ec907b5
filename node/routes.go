package node

import (
	"net/http"
	"strings"

	"hindcast.dev/recording"
)

// A route is one request of the admin API. docs/admin.md is made from these.
type route struct {
	method, path string // FILE in a path is any file's name, ID what another request answered with
	scope        Scope
	handle       func(n *Node, r *http.Request) (answer any, err error)
	files        func(dirs) (dir string, is func(name string) bool)          // instead of handle: a download
	serve        func(n *Node, w http.ResponseWriter, r *http.Request)       // instead of handle
	stream       func(n *Node, w http.ResponseWriter, r *http.Request) error // instead of handle: it writes the answer, unless it fails before
	slow         bool                                                        // its work may take longer than Limits.HTTPWrite
	bodyMax      int64                                                       // bytes; 0 is adminBodyMax
	body         string                                                      // an example of what a POST takes, "" if it takes nothing
	answer       string                                                      // an example of what it answers
	what         string
}

// routes is the admin API.
func routes() []route {
	const file = `{"files":[{"name":"00000001.seg","size":67108864,"state":"live"}]}`
	const log = `{"adapter":"info","disk":"info","http":"info","loop":"debug","machine":"info","node":"info","shadow":"info","transport":"info"}`
	const fault = `{"allowed":true,"clockOffset":"0s","peers":{"n2":{"cutOut":true,"cutIn":true,"drop":0,"delay":"0s"}}}`
	return []route{
		{method: "GET", path: "/v1/health", scope: ScopeStatus, handle: (*Node).getHealth,
			answer: `{"node":"n1","healthy":true}`,
			what:   "200 while the loop and the disk work, else 503"},
		{method: "GET", path: "/v1/ready", scope: ScopeStatus, handle: (*Node).getReady,
			answer: `{"node":"n1","ready":true,"warnings":[]}`,
			what:   "200 if the node takes requests, else 503 and why"},
		{method: "GET", path: "/v1/status", scope: ScopeStatus, handle: (*Node).getStatus,
			what: "everything there is to count; an example is below"},
		{method: "GET", path: "/v1/log", scope: ScopeStatus, handle: (*Node).getLog,
			answer: log,
			what:   "the log's levels, by area"},
		{method: "POST", path: "/v1/log", scope: ScopeControl, handle: (*Node).postLog,
			body: `{"area":"loop","level":"debug"}`, answer: log,
			what: "switches the level (debug, info, warn, error) of an area, or of all"},
		{method: "GET", path: "/v1/fault", scope: ScopeStatus, handle: (*Node).getFault,
			answer: fault,
			what:   "how the fault switches stand"},
		{method: "POST", path: "/v1/fault", scope: ScopeControl, handle: (*Node).postFault,
			body: `{"kind":"cut","peer":"n2","direction":"both"}`, answer: fault,
			what: "sets a fault switch, see below"},
		{method: "GET", path: "/v1/recording", scope: ScopeJournal, handle: (*Node).getRecording,
			answer: `{"service":"kv","node":"n1","boot":1,"build":"4f1c0de5a9b3","versions":{"kv":1},"durability":"group"}`,
			what:   "what a recording has to know of this node"},
		{method: "GET", path: "/v1/history", scope: ScopeJournal, serve: (*Node).serveHistory,
			what: "what the node does, as it does it: frames of events with their changes, see below"},
		{method: "GET", path: "/v1/journal", scope: ScopeJournal, handle: (*Node).getJournal,
			answer: file,
			what:   "the journal's files"},
		{method: "GET", path: "/v1/journal/FILE", scope: ScopeJournal,
			files: func(d dirs) (string, func(string) bool) { return d.journal, recording.JournalFile },
			what:  "one of them; ranges are honoured"},
		{method: "GET", path: "/v1/checkpoints", scope: ScopeJournal, handle: (*Node).getCheckpoints,
			answer: `{"files":[]}`,
			what:   "the checkpoints' files"},
		{method: "GET", path: "/v1/checkpoints/FILE", scope: ScopeJournal,
			files: func(d dirs) (string, func(string) bool) { return d.checkpoints, recording.CheckpointFile },
			what:  "one of them; ranges are honoured"},
		{method: "POST", path: "/v1/checkpoint", scope: ScopeControl, handle: (*Node).postCheckpoint,
			answer: `{"seq":4711}`,
			what:   "takes a checkpoint and answers when it is written"},
		{method: "POST", path: "/v1/promise", scope: ScopeControl, handle: (*Node).postPromise,
			body: `{"time":"2020-01-01T00:00:00Z"}`, answer: `{"node":"n1","promised":"2020-01-01T00:00:00Z/0","time":"2026-11-21T12:00:00.000016Z/0"}`,
			what: "answers when nothing will be stamped at or below that time any more, also after a restart"},
		{method: "POST", path: "/v1/snapshot", scope: ScopeJournal, handle: (*Node).postSnapshot, slow: true,
			body: `{"time":"2020-01-01T00:00:00Z"}`, answer: `{"service":"kv","node":"n1","boot":1,"build":"4f1c0de5a9b3","versions":{"kv":1},"durability":"group","id":"4f2a91c00d1e77b3","cut":{"seq":0},"peers":["n2"],"begins":"2026-11-21T12:00:00.000016Z/0","arrivals":{"ordered":["kv"]}}`,
			what: "finds the cut at that time through the node's events, see below"},
		{method: "GET", path: "/v1/snapshot/ID", scope: ScopeJournal, stream: (*Node).snapshotEvents,
			what: "the events up to a cut, behind the one that `?after=` names"},
		{method: "POST", path: "/v1/snapshot/ID/inflight", scope: ScopeJournal, handle: (*Node).postInFlight, slow: true, bodyMax: flightsBodyMax,
			body: `{"arrivals":{"n2":{"ordered":["kv"],"last":[{"machine":"kv","id":"n1/1/17/0"}]}}}`, answer: `{"messages":[]}`,
			what: "the messages that were under way at a cut to nodes that received that"},
		{method: "DELETE", path: "/v1/snapshot/ID", scope: ScopeJournal, handle: (*Node).deleteSnapshot,
			answer: `{"id":"4f2a91c00d1e77b3"}`,
			what:   "forgets a cut; a minute after the last request it is forgotten anyway"},
		{method: "POST", path: "/v1/bundle", scope: ScopeControl, handle: (*Node).postBundle,
			body: `{"since":"5m"}`, answer: `{"dir":"/var/lib/kv/n1/bundle/20261121T120000.000Z"}`,
			what: "sets the last time (five minutes by default) aside as a recording below the node's directory"},
		{method: "POST", path: "/v1/stop", scope: ScopeControl, handle: (*Node).postStop,
			answer: `{"node":"n1","stopping":true}`,
			what:   "drains and stops the node; it answers at once"},
	}
}

// pattern is the route as http.ServeMux takes it.
func (r *route) pattern() string {
	return r.method + " " + strings.NewReplacer("FILE", "{file}", "/ID", "/{id}").Replace(r.path)
}

// paths are the routes in short.
func paths() (out []string) {
	for _, r := range routes() {
		out = append(out, r.method+" "+r.path)
	}
	return out
}
