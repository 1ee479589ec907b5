// Package transport carries frames between the nodes of a service, and between
// native clients and a node, over TCP. It knows of frames only that they have a
// wire form (package journal/record), a kind and an id: what they mean is the
// node's business. PROTOCOL.md beside this file is the format.
//
// What it promises a receiver is, per boot of a sender, the order of sending,
// with gaps, without duplicates. What it promises a sender is that Send never
// blocks and that every frame that may not arrive is reported: dropped, for a
// stated reason, or in doubt. Everything is bounded.
package transport

import (
	"hindcast.dev/event"
	"hindcast.dev/journal/record"
)

// kindControl is the kind of the frames that the two ends of a connection
// exchange for themselves. It is never journaled.
const kindControl event.Kind = 254

// Names of control frames.
const (
	controlPing = "ping"
	controlAck  = "ack"
)

// frameBytesMax is the longest frame that the wire form can have.
const frameBytesMax = record.MaxFrame

// appendControl appends a control frame.
func appendControl(dst []byte, name string, count uint64) []byte {
	f := record.Frame{Kind: kindControl, Name: name, ID: event.MessageID{Seq: count}}
	return record.AppendWire(dst, &f)
}
