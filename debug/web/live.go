package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

const (
	liveEvery = 250 * time.Millisecond // how often a listener is told of more, at most
	liveBeat  = 15 * time.Second       // and that the connection stands, at least
	liveMax   = 64                     // listeners
)

// source is what there is now.
func (s *Server) source() history.Source { return s.survey.Now() }

// renumbered is a place of one History in another, where nodes may have other numbers
// because one became known; history.Begin if there is no such node.
func renumbered(p history.Position, from, to history.Source) history.Position {
	if p == history.Begin || from == to {
		return p
	}
	n, ok := to.Meta().NodeIndex(from.Meta().Nodes[p.Node].Name)
	if !ok {
		return history.Begin
	}
	p.Node = n
	return p
}

// here is where a tab's session is.
func (s *Server) here(t *tab) map[string]any {
	return s.sight().placeOf(t.session.Source(), t.session.Position())
}

// origin is the time from which coordinates are counted: that of the first event,
// also when what grows has forgotten it.
func (s *Server) origin() hlc.Timestamp {
	first := s.source().Meta().First.Time
	if s.opts.Live == nil || first == 0 {
		return first
	}
	s.first.CompareAndSwap(0, uint64(first))
	return hlc.Timestamp(s.first.Load())
}

// A liveNode tells whether a node is heard.
type liveNode struct {
	Node   int    `json:"node"`
	Silent string `json:"silent,omitempty"` // why it isn't
}

// A liveState is what a listener is told.
type liveState struct {
	Events    uint64        `json:"events"`
	Forgotten uint64        `json:"forgotten,omitempty"` // before them
	Reach     hlc.Timestamp `json:"reach"`               // up to then all is there of the nodes that are heard
	Nodes     []liveNode    `json:"nodes"`
	Ended     bool          `json:"ended"` // nothing comes any more
}

func (s *Server) liveState() liveState {
	st, meta := s.survey.Status(), s.source().Meta()
	out := liveState{Events: st.Events, Forgotten: st.Forgotten, Reach: st.Reach, Nodes: []liveNode{}, Ended: st.Ended}
	for i := range meta.Nodes {
		n := liveNode{Node: i}
		for _, m := range st.Nodes {
			if m.Name == meta.Nodes[i].Name {
				n.Silent = m.Silent
			}
		}
		out.Nodes = append(out.Nodes, n)
	}
	return out
}

// live tells who listens what there is, whenever there is more, until nothing comes
// any more or the server ends.
func (s *Server) live(w http.ResponseWriter, r *http.Request) error {
	defer s.heard.Add(-1)
	if s.heard.Add(1) > liveMax {
		return problemf(http.StatusServiceUnavailable, "close a tab", "%d listen already, as many as may", liveMax)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	pace, beat := time.NewTicker(liveEvery), time.NewTicker(liveBeat)
	defer pace.Stop()
	defer beat.Stop()
	told := ""
	for {
		changed := s.survey.Changed()
		now := s.liveState()
		b, err := json.Marshal(now)
		if err != nil {
			return err
		}
		if text := string(b); text != told {
			told = text
			if !tellLive(w, "data: "+text) {
				return nil
			}
		}
		if now.Ended || !s.more(w, r, changed, pace.C, beat.C) {
			return nil
		}
	}
}

// tellLive writes a message; it reports whether who listens is there.
func tellLive(w http.ResponseWriter, text string) bool {
	hurried(w)
	_, err := fmt.Fprintf(w, "%s\n\n", text)
	return err == nil && http.NewResponseController(w).Flush() == nil
}

// more waits until there is more, and it is time to tell.
func (s *Server) more(w http.ResponseWriter, r *http.Request, changed <-chan struct{}, pace, beat <-chan time.Time) bool {
	for {
		select {
		case <-changed:
			changed = nil
		case <-pace:
			if changed == nil {
				return true
			}
		case <-beat:
			if !tellLive(w, ":") {
				return false
			}
		case <-r.Context().Done():
			return false
		case <-s.closed:
			return s.survey.Status().Ended
		}
	}
}
