package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"hindcast.dev/journal"
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

// cutError turns an error of Cut into one of the request.
func cutError(err error) error {
	var reach *ReachError
	var drift *DriftError
	switch {
	case errors.As(err, &reach):
		return &adminError{http.StatusGone, err.Error(), "choose that time or a later one, or let the node keep more"}
	case errors.As(err, &drift):
		return &adminError{http.StatusConflict, fmt.Sprintf("snapshot at %v: that is %v ahead of this node's clock %v, and at most %v ahead is waited for",
			drift.Sent, drift.Sent.Physical().Sub(drift.Wall).Round(time.Millisecond), drift.Wall, drift.MaxDrift), "choose NOW or an earlier time"}
	}
	return goneError(err)
}

// goneError turns an error about what retention has removed into one of the
// request.
func goneError(err error) error {
	var gone *journal.RetainedError
	if errors.As(err, &gone) || errors.Is(err, fs.ErrNotExist) {
		return &adminError{http.StatusGone, err.Error(), "choose a later time, or let the node keep more"}
	}
	return err
}
