package web

import (
	"hindcast.dev/debug/timeline"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// A sight is what there is at a moment, and where its events are. What belongs
// together in an answer is of one: what grows may number its nodes anew at any time.
type sight struct {
	s     *Server
	src   history.Source
	index *timeline.Index // nil as long as that isn't known
}

// sight is what there is now.
func (s *Server) sight() sight {
	src, x := s.survey.Seen()
	return sight{s, src, x}
}

// placeOf is place, of a cut of another History.
func (v sight) placeOf(of history.Source, p history.Position) map[string]any {
	return v.place(renumbered(p, of, v.src))
}

// place is a cut, with where it is along the axes that are known.
func (v sight) place(p history.Position) map[string]any {
	if p == history.Begin {
		return map[string]any{"begin": true}
	}
	out := map[string]any{"node": p.Node, "name": v.src.Meta().Nodes[p.Node].Name, "seq": p.Seq, "time": p.Time.String()}
	if x := v.index; x != nil {
		for _, a := range []timeline.Axis{timeline.Time, timeline.Order, timeline.Depth} {
			if at, ok := x.Coordinate(a, p); ok {
				out[coordinateNames[a]] = v.s.outward(a, at)
			}
		}
	}
	return out
}

// placeAt is the cut at a time.
func (v sight) placeAt(t hlc.Timestamp) map[string]any {
	if x := v.index; x != nil {
		return v.place(x.Cut(timeline.Time, uint64(t)))
	}
	return map[string]any{"time": t.String(), "timeAt": v.s.offset(t)}
}
