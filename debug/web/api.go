package web

import (
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"hindcast.dev/debug"
	"hindcast.dev/debug/timeline"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// aboutNode is a node in the answer of about, by its number in all other answers.
type aboutNode struct {
	Name    string       `json:"name"`
	Events  uint64       `json:"events"`
	Unknown [][2]float64 `json:"unknown,omitempty"` // from, to, along the axis of time
	Reason  string       `json:"reason,omitempty"`
}

type aboutSpan struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// about says what is opened. Coordinates along time are HLC time since the first
// event: JavaScript's numbers hold those of 24 days to the unit.
func (s *Server) about(w http.ResponseWriter, _ *http.Request) error {
	now := s.sight()
	meta := now.src.Meta()
	type answer struct {
		Title     string               `json:"title"`
		Events    uint64               `json:"events"`
		First     hlc.Timestamp        `json:"first"`
		Last      hlc.Timestamp        `json:"last"`
		Second    uint64               `json:"second"` // units of the axis of time
		Nodes     []aboutNode          `json:"nodes"`
		Variables []string             `json:"variables"`
		Warnings  []string             `json:"warnings,omitempty"`
		Spans     map[string]aboutSpan `json:"spans"` // of the axes that can be asked for
		Index     map[string]any       `json:"index"`
		Begin     map[string]any       `json:"begin"`          // where sessions begin
		Note      string               `json:"note,omitempty"` // why there
		Control   bool                 `json:"control"`        // sessions may do more than look
		Live      bool                 `json:"live,omitempty"` // it grows: GET /api/v1/live
	}
	a := answer{Title: s.opts.Title, Events: meta.Events, First: s.origin(), Last: meta.Last.Time, Second: hlc.TicksPerSecond << hlc.LogicalBits,
		Warnings: meta.Warnings, Spans: map[string]aboutSpan{}, Index: s.building(), Begin: now.placeOf(s.opts.Source, s.opts.Begin), Note: s.opts.Note, Control: s.opts.Control, Live: s.opts.Live != nil}
	for i := range meta.Nodes {
		n := &meta.Nodes[i]
		out := aboutNode{Name: n.Name, Events: n.Events, Reason: n.Reason}
		for _, u := range n.Unknown {
			out.Unknown = append(out.Unknown, [2]float64{s.offset(u.From), s.offset(u.To)})
		}
		a.Nodes = append(a.Nodes, out)
	}
	for i := range meta.Vars {
		a.Variables = append(a.Variables, meta.Vars[i].Name)
	}
	if x := now.index; x != nil {
		for _, axis := range []timeline.Axis{timeline.Time, timeline.Order, timeline.Depth} {
			if from, to, ok := x.Span(axis); ok {
				a.Spans[axis.String()] = aboutSpan{s.outward(axis, from), s.outward(axis, to)}
			}
		}
	}
	writeJSON(w, http.StatusOK, a)
	return nil
}

// building says how far the index is.
func (s *Server) building() map[string]any {
	p := s.survey.Progress()
	out := map[string]any{"state": p.Step, "done": p.Done}
	if p.Err != nil {
		out["error"] = p.Err.Error()
	}
	return out
}

// offset is a time on the axis of time, ±∞ cut down to what JSON has.
func (s *Server) offset(t hlc.Timestamp) float64 {
	if t == hlc.Max {
		return math.MaxFloat64
	}
	first := s.origin()
	if t < first {
		return -float64(first - t)
	}
	return float64(t - first) // a time alone has more digits than a float64
}

// outward is a coordinate as it is told, inward as it is asked for.
func (s *Server) outward(a timeline.Axis, at uint64) uint64 {
	if a == timeline.Time {
		at -= min(at, uint64(s.origin()))
	}
	return at
}

func (s *Server) inward(a timeline.Axis, at uint64) uint64 {
	if a == timeline.Time {
		return at + min(uint64(s.origin()), math.MaxUint64-at)
	}
	return at
}

func (s *Server) commands(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, debug.Commands())
	return nil
}

// command carries out a line, with "at" as if the session were there and leaving it
// where it is. What it said before it failed is told beside the error.
func (s *Server) command(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Line string `json:"line"`
		At   string `json:"at"`
	}
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	t, err := s.tabs.enter(r.Context(), r)
	if err != nil {
		return err
	}
	defer t.leave()
	a, err := t.ask(r.Context(), body.Line, body.At)
	if a != nil {
		a.Shorten()
	}
	var c *debug.CommandError
	switch {
	case errors.As(err, &c) && r.Context().Err() == nil:
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": err.Error(), "answer": a, "at": s.here(t)})
		return nil
	case errors.Is(err, debug.ErrQuit):
		return problemf(http.StatusBadRequest, "close the tab", "a page isn't quit")
	case err != nil:
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"answer": a, "at": s.here(t)})
	return nil
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Line string `json:"line"`
		Pos  int    `json:"pos"`
	}
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	t, err := s.tabs.enter(r.Context(), r)
	if err != nil {
		return err
	}
	defer t.leave()
	head, candidates, tail := t.session.Complete(body.Line, body.Pos)
	writeJSON(w, http.StatusOK, map[string]any{"head": head, "candidates": candidates, "tail": tail})
	return nil
}

// view reads ?axis=&from=&to=&columns=&lanes=0,1,2&rest=1&merge=1.
func (s *Server) view(q url.Values) (x *timeline.Index, v timeline.View, err error) {
	if x = s.survey.Index(); x == nil {
		return nil, v, timeline.ErrNotLinked
	}
	if v.Axis, err = timeline.ParseAxis(q.Get("axis")); err != nil {
		return nil, v, problemf(http.StatusBadRequest, "", "%v", err)
	}
	var numbers [3]uint64
	for i, name := range []string{"from", "to", "columns"} {
		text := q.Get(name)
		if text == "" && name == "columns" {
			text = "1"
		}
		if numbers[i], err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, v, problemf(http.StatusBadRequest, "coordinates are whole numbers, from 0 on", "%s=%q: %v", name, text, err)
		}
	}
	v.From, v.To, v.Columns = s.inward(v.Axis, numbers[0]), s.inward(v.Axis, numbers[1]), int(min(numbers[2], columnsMax+1))
	if v.Columns > columnsMax {
		return nil, v, problemf(http.StatusBadRequest, "", "more than %d columns", columnsMax)
	}
	for part := range strings.SplitSeq(q.Get("lanes"), ",") {
		if part == "" {
			continue
		}
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, v, problemf(http.StatusBadRequest, "lanes are numbers of nodes, like lanes=0,2", "lanes: %v", err)
		}
		v.Lanes = append(v.Lanes, n)
	}
	if v.Merged = q.Get("merge") != ""; q.Get("rest") != "" {
		v.Lanes = restOf(v.Lanes, len(x.Meta().Nodes))
	}
	return x, v, nil
}

// restOf are the nodes of n that lanes doesn't name.
func restOf(lanes []int, n int) []int {
	named := make(map[int]bool, len(lanes))
	for _, l := range lanes {
		named[l] = true
	}
	rest := []int{}
	for l := range n {
		if !named[l] {
			rest = append(rest, l)
		}
	}
	return rest
}

// frameMagic begins a frame, whose form docs/debug-http.md tells.
const frameMagic = "HCF1"

// frame answers with cells: magic, u32 columns, u32 lanes, u32 events; for each lane
// u32 cells and for each that isn't empty u16 column, u16 class, u32 count, then u32
// stretches and for each in which the node is down u16 from, u16 to. All
// little-endian.
func (s *Server) frame(w http.ResponseWriter, r *http.Request) error {
	x, v, err := s.view(r.URL.Query())
	if err != nil {
		return err
	}
	f, err := x.Frame(v)
	if errors.Is(err, timeline.ErrNotLinked) {
		return err
	}
	if err != nil {
		return problemf(http.StatusBadRequest, "", "%v", err)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	hurried(w)
	_, _ = w.Write(appendFrame(nil, f)) // who asked may be gone
	return nil
}

func appendFrame(b []byte, f *timeline.Frame) []byte {
	le := binary.LittleEndian
	b = append(b, frameMagic...)
	b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, uint32(f.Columns)), uint32(len(f.Cells))), uint32(f.Events))
	for i := range f.Cells {
		at := len(b)
		b = le.AppendUint32(b, 0)
		n := uint32(0)
		for column, c := range f.Cells[i] {
			if c.Count > 0 {
				n++
				b = le.AppendUint32(le.AppendUint16(le.AppendUint16(b, uint16(column)), uint16(c.Class)), c.Count)
			}
		}
		le.PutUint32(b[at:], n)
		b = le.AppendUint32(b, uint32(len(f.Down[i])))
		for _, d := range f.Down[i] {
			b = le.AppendUint16(le.AppendUint16(b, uint16(d.From)), uint16(d.To))
		}
	}
	return b
}

// at reads ?at=NODE:SEQ, or whatever else goto understands: a place in what there is
// now.
func (s *Server) at(r *http.Request, t *tab) (history.Position, sight, error) {
	p := t.session.Position()
	if text := r.URL.Query().Get("at"); text != "" {
		var err error
		if p, err = t.session.Locate(r.Context(), text); err != nil {
			return p, sight{}, problemf(http.StatusBadRequest, "", "at: %v", err)
		}
	}
	now := s.sight()
	return renumbered(p, t.session.Source(), now.src), now, nil
}

// atOfTab is at, in the session of the tab that asks.
func (s *Server) atOfTab(r *http.Request) (history.Position, sight, error) {
	t, err := s.tabs.enter(r.Context(), r)
	if err != nil {
		return history.Position{}, sight{}, err
	}
	defer t.leave()
	return s.at(r, t)
}

// coneEnd is where an event's past ends on a node, and its future begins.
type coneEnd struct {
	Past     *uint64        `json:"past,omitempty"` // sequence numbers
	Future   *uint64        `json:"future,omitempty"`
	PastAt   map[string]any `json:"pastAt,omitempty"` // places
	FutureAt map[string]any `json:"futureAt,omitempty"`
}

func (s *Server) cone(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tabs.enter(r.Context(), r)
	if err != nil {
		return err
	}
	defer t.leave()
	p, now, err := s.at(r, t)
	if err != nil {
		return err
	}
	x := now.index
	if x == nil {
		return timeline.ErrNotLinked
	}
	c, err := x.ConeOf(p)
	if errors.Is(err, history.ErrNoEvent) {
		return problemf(http.StatusBadRequest, "", "there is no event here: before the first event nothing is caused")
	}
	if err != nil {
		return err
	}
	ends := make([]coneEnd, len(x.Meta().Nodes))
	for n := range ends {
		e := x.Ends(c, n)
		if e.Past != nil {
			ends[n].Past, ends[n].PastAt = &e.Past.Seq, now.place(*e.Past)
		}
		if e.Future != nil {
			ends[n].Future, ends[n].FutureAt = &e.Future.Seq, now.place(*e.Future)
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"nodes": ends})
	return nil
}

// cut answers with the place at a coordinate: the cut, or of one node the nearest
// event.
func (s *Server) cut(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	q.Set("from", q.Get("at"))
	q.Set("to", q.Get("at"))
	x, v, err := s.view(q)
	if err != nil {
		return err
	}
	var p history.Position
	switch {
	case q.Get("node") != "":
		n, err := strconv.Atoi(q.Get("node"))
		var ok bool
		if p, ok = x.Nearest(v.Axis, n, v.From); err != nil || !ok {
			return problemf(http.StatusBadRequest, "", "node %s has no event", q.Get("node"))
		}
	case v.Axis == timeline.Depth:
		return problemf(http.StatusBadRequest, "give a node, too", "along the axis of depth there is no cut")
	default:
		p = x.Cut(v.Axis, v.From)
	}
	writeJSON(w, http.StatusOK, sight{s, x.Source(), x}.place(p))
	return nil
}

// coordinateNames are the keys of a place's coordinates: its time is text.
var coordinateNames = map[timeline.Axis]string{timeline.Time: "timeAt", timeline.Order: "order", timeline.Depth: "depth"}
