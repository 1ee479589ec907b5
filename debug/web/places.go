package web

import (
	"net/http"
	"strconv"
	"strings"

	"hindcast.dev/debug/timeline"
	"hindcast.dev/history"
)

// placesMax bounds how many places are asked for at once.
const placesMax = 10_000

// places answers with where places are that goto understands; null where there is
// none. Of NODE:SEQ the index knows it.
func (s *Server) places(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Places []string `json:"places"`
	}
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	if len(body.Places) > placesMax {
		return problemf(http.StatusBadRequest, "ask for the rest in another request", "more than %d places", placesMax)
	}
	t, err := s.tabs.enter(r.Context(), r)
	if err != nil {
		return err
	}
	defer t.leave()
	out := make([]map[string]any, len(body.Places))
	now := s.sight()
	for i, text := range body.Places {
		if p, ok := indexed(now.index, text); ok {
			out[i] = now.place(p)
			continue
		}
		p, err := t.session.Locate(r.Context(), text)
		if err == nil {
			out[i] = s.sight().placeOf(t.session.Source(), p) // it may be newer
		}
		if r.Context().Err() != nil {
			return r.Context().Err()
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"places": out})
	return nil
}

// indexed is the event NODE:SEQ, if that is what a text is and x has it.
func indexed(x *timeline.Index, text string) (p history.Position, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if x == nil || i <= 0 {
		return p, false
	}
	n, ok := x.Meta().NodeIndex(text[:i])
	seq, err := strconv.ParseUint(text[i+1:], 10, 64)
	if !ok || err != nil {
		return p, false
	}
	return x.Position(n, seq)
}

// A laneState is what a node does at a cut: "up", "down", "not begun", or "" where
// that isn't known; and its last event there.
type laneState struct {
	State string `json:"state"`
	Seq   uint64 `json:"seq,omitempty"`
	Time  any    `json:"timeAt,omitempty"` // coordinates
	Order any    `json:"order,omitempty"`
	Depth any    `json:"depth,omitempty"`
}

func (s *Server) lanes(w http.ResponseWriter, r *http.Request) error {
	p, now, err := s.atOfTab(r)
	if err != nil {
		return err
	}
	x := now.index
	if x == nil {
		return timeline.ErrNotLinked
	}
	out := make([]laneState, len(x.Meta().Nodes))
	for n := range out {
		last, running := x.LaneAt(p, n)
		out[n].State = string(running)
		if last == history.Begin {
			continue
		}
		at := now.place(last)
		out[n].Seq, out[n].Time, out[n].Order, out[n].Depth = last.Seq, at["timeAt"], at["order"], at["depth"]
	}
	writeJSON(w, http.StatusOK, map[string]any{"nodes": out})
	return nil
}
