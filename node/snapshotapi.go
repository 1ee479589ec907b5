package node

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"hindcast.dev/recording"
)

// flightsBodyMax bounds what other nodes may have received, in bytes of JSON.
const flightsBodyMax = 64 << 20

func (n *Node) postSnapshot(r *http.Request) (any, error) {
	var in recording.CutRequest
	if err := body(r, &in); err != nil {
		return nil, err
	}
	a, err := n.Cut(r.Context(), in.Time)
	if err != nil {
		return nil, cutError(err)
	}
	return a, nil
}

func (n *Node) postInFlight(r *http.Request) (any, error) {
	h, err := n.snapshots.find(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	var in recording.FlightsRequest
	if err := body(r, &in); err != nil {
		return nil, err
	}
	flights, err := n.snapshots.underWay(r.Context(), h, in.Arrivals)
	if err != nil {
		return nil, err
	}
	return recording.FlightsAnswer{Messages: flights}, nil
}

func (n *Node) deleteSnapshot(r *http.Request) (any, error) {
	id := r.PathValue("id")
	if _, err := n.snapshots.find(id); err != nil {
		return nil, err
	}
	n.snapshots.forget(id)
	return map[string]any{"id": id}, nil
}

// snapshotEvents serves a cut's events. What goes wrong under way breaks the
// connection off: the length of what came says that something is missing.
func (n *Node) snapshotEvents(w http.ResponseWriter, r *http.Request) error {
	h, err := n.snapshots.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	after := uint64(0)
	if text := r.URL.Query().Get("after"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return usage(fmt.Errorf("after=%s: want the number of an event", text))
		}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	c := http.NewResponseController(w)
	begun := false
	err = n.snapshots.events(w, h, after, func() {
		begun = true
		if err := c.SetWriteDeadline(time.Now().Add(downloadTime(0))); err != nil {
			n.logs.in(AreaHTTP).Debug("write deadline", "err", err)
		}
	})
	if err != nil && begun {
		n.logs.in(AreaHTTP).Warn("a snapshot's events broke off", "err", err)
		panic(http.ErrAbortHandler)
	}
	return goneError(err)
}
