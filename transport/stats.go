package transport

import (
	"maps"
	"time"
)

// Stats is a snapshot of a Transport's counters. They begin at 0 with it.
type Stats struct {
	Peers    map[string]LinkStats `json:"peers"`
	Clients  int                  `json:"clients"`  // connected now
	Pending  int                  `json:"pending"`  // in the handshake now
	Accepted uint64               `json:"accepted"` // connections that came in
	Errors   map[Cause]uint64     `json:"errors"`   // connections refused or ended other than orderly
}

// LinkStats is what goes on between this node and one peer.
type LinkStats struct {
	Addr string `json:"addr"`
	// The link to the peer.
	Up          bool      `json:"up"`
	Since       time.Time `json:"since,omitzero"`   // when it last went up or down
	Reason      string    `json:"reason,omitempty"` // why it isn't up
	PeerBoot    uint64    `json:"peerBoot"`         // of the last connection
	Connects    uint64    `json:"connects"`         // handshakes done; the first is no reconnect
	Queued      int       `json:"queued"`           // frames
	QueuedBytes int       `json:"queuedBytes"`
	Unacked     int       `json:"unacked"` // frames sent and not acknowledged
	Sent        uint64    `json:"sent"`    // frames; in a connection, perhaps not on the wire
	SentBytes   uint64    `json:"sentBytes"`
	Acked       uint64    `json:"acked"` // frames that the peer has taken
	// What comes from the peer.
	Inbound       bool      `json:"inbound"` // it is connected
	InboundSince  time.Time `json:"inboundSince,omitzero"`
	InboundBoot   uint64    `json:"inboundBoot"` // the highest seen
	Received      uint64    `json:"received"`    // frames, dropped ones included
	ReceivedBytes uint64    `json:"receivedBytes"`
	// Both.
	Dropped map[string]uint64 `json:"dropped"` // by reason, Drop*
	Fault   Fault             `json:"fault,omitzero"`
}

// Stats returns a snapshot of the counters.
func (t *Transport) Stats() Stats {
	s := Stats{Peers: map[string]LinkStats{}}
	for name, l := range t.links {
		s.Peers[name] = l.snapshot()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Clients, s.Pending, s.Accepted, s.Errors = t.clients, t.pending, t.accepted, maps.Clone(t.errors)
	for name, p := range s.Peers {
		p.InboundBoot = t.boots[name]
		if r := t.nodes[name]; r != nil {
			p.Inbound, p.InboundSince = true, r.since
		}
		s.Peers[name] = p
	}
	return s
}

func (l *link) snapshot() LinkStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Dropped = maps.Clone(s.Dropped)
	s.Queued, s.QueuedBytes, s.Unacked, s.Fault = l.queue.len(), l.queue.bytes, l.unacked.len(), l.fault
	return s
}
