package transport

import (
	"errors"
	"fmt"
)

// A Cause says how a connection ended other than orderly. It is a counter's
// name in Stats.
type Cause string

// The causes of an Error.
const (
	CauseAccept    Cause = "accept"    // the listener failed; it goes on
	CauseHandshake Cause = "handshake" // no proper hello came in time
	CauseRefused   Cause = "refused"   // a hello that this node answered with a Refusal
	CauseCut       Cause = "cut"       // fault switch CutIn: closed without an answer
	CauseGarbage   Cause = "garbage"   // a frame that doesn't decode
	CauseTooLarge  Cause = "too large" // a frame longer than the limit
	CauseHalfSent  Cause = "half-sent" // the connection ended inside a frame
	CauseStalled   Cause = "stalled"   // a frame that had begun wasn't complete in time
	CauseIdle      Cause = "idle"      // nothing came for too long
	CauseProtocol  Cause = "protocol"  // a frame that this side may not send, or an ack out of range
	CauseSlow      Cause = "slow"      // the client doesn't read its replies
	CauseLost      Cause = "lost"      // the network's own error
	CauseReplaced  Cause = "replaced"  // the node has connected anew
)

// An Error is why a connection that came in was refused or ended. Errors of one
// connection never end another.
type Error struct {
	Cause  Cause
	Addr   string // the remote address
	Peer   string // the name it gave, "" before the handshake
	Offset uint64 // bytes read since the handshake, where the frame begins that is at fault
	Err    error
}

func (e *Error) Error() string {
	who := e.Addr
	if e.Peer != "" {
		who = fmt.Sprintf("%s (%s)", e.Peer, e.Addr)
	}
	at := ""
	switch e.Cause {
	case CauseGarbage, CauseTooLarge, CauseHalfSent, CauseStalled, CauseProtocol:
		at = fmt.Sprintf(" at offset %d", e.Offset)
	}
	return fmt.Sprintf("connection from %s: %s%s: %v", who, e.Cause, at, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// A streamError is what ends a frame stream.
type streamError struct {
	cause  Cause
	offset uint64
	err    error
}

func (e *streamError) Error() string {
	return fmt.Sprintf("%s at offset %d: %v", e.cause, e.offset, e.err)
}
func (e *streamError) Unwrap() error { return e.err }

var (
	// ErrNoConnection is returned by Reply for a connection that is gone.
	ErrNoConnection = errors.New("transport: the client's connection is gone")
	// ErrSlowClient is returned by Reply when the client doesn't read; its
	// connection is closed.
	ErrSlowClient = errors.New("transport: the client doesn't read its replies and was disconnected")
	// ErrFaultsOff is returned by SetFault without Options.AllowFaults.
	ErrFaultsOff = errors.New("transport: fault switches are off: start the node with faults allowed")
)
