package node

import (
	"errors"
	"fmt"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
	"hindcast.dev/transport"
)

// FlagMore in a reply's frame to a native client says that others follow.
const FlagMore = 1

// Names of the Refused frame that answers a native client's request which wasn't
// taken; its payload says it in words.
const (
	RefusedBusy     = "busy"
	RefusedDiskFull = "disk full"
	RefusedStopping = "stopping"
	RefusedOther    = "refused"
)

// connect starts the transport.
func (n *Node) connect() (err error) {
	o := transport.Options{
		Service: n.o.Service, Node: n.o.Name, Boot: n.boot, Peers: n.o.Peers, TLS: n.o.NodeTLS,
		Limits: n.o.Network, Timing: n.o.Timing, AllowFaults: n.o.AllowFaults,
		Deliver: n.deliver, OnLink: n.onLink, OnDrop: n.onDrop, OnError: n.onError,
		OnClose: func(from transport.Peer) { n.pending.closed(from.Conn) },
	}
	n.net, err = transport.New(n.ln.nodes, o)
	return err
}

// send hands a frame to the transport, which reports what it drops.
func (n *Node) send(peer string, f *record.Frame) {
	if err := f.Check(); err != nil { // a name that no frame can hold
		n.onDrop(transport.Drop{Peer: peer, ID: f.ID, Name: f.Name, Sent: f.Sent, Reason: transport.DropTooLarge + ": " + err.Error()})
		return
	}
	n.net.Send(peer, record.AppendWire(nil, f), f.ID, f.Name)
}

// deliver takes a frame from a connection.
func (n *Node) deliver(from transport.Peer, f *record.Frame, _ []byte) error {
	if from.Role == transport.RoleClient {
		n.deliverRequest(from, f)
		return nil
	}
	err := n.offerSoon(f)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, journal.ErrBacklog):
		return ErrBusy
	case errors.Is(err, journal.ErrFull):
		return ErrDiskFull
	}
	return err
}

// offerSoon is like Loop.Offer, but waits for a while if the journal has no room now:
// for the loop to get on, or for the next segment to be prepared.
func (n *Node) offerSoon(f *record.Frame) error {
	err := n.loop.Offer(f)
	if !isNoRoom(err) {
		return err
	}
	late := time.NewTimer(n.o.Limits.DeliverWait)
	defer late.Stop()
	for {
		room := n.room.wait() // before the attempt, so that no notify is missed
		if errors.Is(err, journal.ErrFull) {
			if n.disk.fullReason() != "" {
				return err // waiting is of no use
			}
			n.disk.wantMaintain()
		}
		if err = n.loop.Offer(f); !isNoRoom(err) {
			return err
		}
		select {
		case <-room:
		case <-late.C:
			return err
		case <-n.loopDone:
			return ErrStopping
		}
	}
}

func isNoRoom(err error) bool {
	return errors.Is(err, journal.ErrBacklog) || errors.Is(err, journal.ErrFull)
}

// clientError turns what offerSoon returned into a Client's error.
func (n *Node) clientError(err error) error {
	if errors.Is(err, journal.ErrFull) {
		reason := n.disk.fullReason()
		if reason == "" {
			return fmt.Errorf("%w: the next journal segment isn't ready yet", ErrBusy)
		}
		n.counts.refusedFull.Add(1)
		return fmt.Errorf("%w: %s", ErrDiskFull, reason)
	}
	if errors.Is(err, journal.ErrBacklog) {
		n.counts.refusedBacklog.Add(1)
	}
	return offerError(err)
}

// deliverRequest takes a native client's request under an id of this node, and
// answers it at once if it can't be taken.
func (n *Node) deliverRequest(from transport.Peer, f *record.Frame) {
	w := &waiter{machine: f.Machine, conn: from.Conn, id: f.ID}
	mine := *f
	err := n.enter(w, &mine)
	if err == nil {
		return
	}
	name := RefusedOther
	switch {
	case errors.Is(err, ErrBusy):
		name = RefusedBusy
	case errors.Is(err, ErrDiskFull):
		name = RefusedDiskFull
	case errors.Is(err, journal.ErrClosed):
		name = RefusedStopping
	}
	n.answer(w, &record.Frame{Kind: event.Refused, From: f.Machine, Name: name, ID: f.ID, Payload: []byte(err.Error())})
}

// replyNative sends a reply to a native client: a frame of kind Result, or
// Refused, with the id of the client's request.
func (n *Node) replyNative(w *waiter, r *rawReply) {
	f := record.Frame{Kind: event.Result, From: w.machine, Name: r.name, Version: r.version, ID: w.id, Sent: r.time, Payload: r.payload}
	if r.more {
		f.Flags = FlagMore
	}
	if r.refused != "" {
		f.Kind, f.Name, f.Payload = event.Refused, RefusedOther, []byte(r.refused)
	}
	n.answer(w, &f)
}

func (n *Node) answer(w *waiter, f *record.Frame) {
	if err := n.net.Reply(w.conn, record.AppendWire(nil, f)); err != nil {
		n.pending.late()
		n.logs.in(AreaTransport).Debug("reply dropped", "id", w.id.String(), "err", err)
	}
}

func (n *Node) onLink(peer string, up bool, reason string) {
	state := "down"
	if up {
		state = "up"
	}
	n.logs.in(AreaTransport).Info("link "+state, "peer", peer, "reason", reason)
	n.note(event.NoteLink, event.NoteInfo{Peer: peer, State: state, Reason: reason})
}

// onDrop has a lost message recorded as lost.
func (n *Node) onDrop(d transport.Drop) {
	n.logs.in(AreaTransport).Debug("message dropped", "peer", d.Peer, "id", d.ID.String(), "name", d.Name, "reason", d.Reason)
	n.noteAfter(d.Sent, event.NoteDrop, event.NoteInfo{Peer: d.Peer, Message: d.ID.String(), Name: d.Name, Reason: d.Reason})
}

func (n *Node) onError(from transport.Peer, err error) {
	n.logs.in(AreaTransport).Warn("connection ended", "peer", from.Name, "addr", from.Addr, "err", err)
}
