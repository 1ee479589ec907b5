package replay

import (
	"context"
	"fmt"
	"io"

	"hindcast.dev/history"
)

// A Causality says whether Timestamps respect happened-before over all messages
// of a History.
type Causality struct {
	Messages uint64 // sent and received, each receive counted
	Lost     uint64 // sent, and not received in this History
	Unsent   uint64 // received, but not sent in it: the sender isn't recorded, or they are duplicates
	// Violations are the receives whose Timestamp is not after their send's; of more
	// than ViolationsMax the first ones.
	Violations []Violation
}

// ViolationsMax bounds Causality.Violations.
const ViolationsMax = 1000

// A Violation is a message whose receive is not after its send.
type Violation struct {
	ID         string
	Send, Recv history.Position
}

func (v Violation) String() string {
	return fmt.Sprintf("message %s was sent at %v and received at %v", v.ID, v.Send.Time, v.Recv.Time)
}

// CheckCausality walks through a whole History and compares the Timestamps of
// every message's send and receives. It remembers messages under way, lost ones
// to the end.
func CheckCausality(ctx context.Context, src history.Source) (*Causality, error) {
	cur, err := src.Walk(ctx, history.Begin, history.End, nil)
	if err != nil {
		return nil, err
	}
	defer cur.Close()
	c := &causality{sent: map[string]flight{}, early: map[string][]history.Position{}}
	for {
		e, err := cur.Next()
		if err == io.EOF {
			return c.done(), nil
		}
		if err != nil {
			return nil, err
		}
		c.take(e)
	}
}

type causality struct {
	Causality
	sent  map[string]flight
	early map[string][]history.Position // received, not sent yet
}

type flight struct {
	at       history.Position
	received bool
}

func (c *causality) take(e *history.Event) {
	if e.Base {
		return
	}
	if e.Kind == "recv" && e.ID != "" {
		c.receive(e)
	}
	for i := range e.Effects {
		if f := &e.Effects[i]; f.Kind == "send" && f.ID != "" {
			c.send(f.ID, e.Position)
		}
	}
}

func (c *causality) receive(e *history.Event) {
	f, ok := c.sent[e.ID]
	if !ok {
		c.early[e.ID] = append(c.early[e.ID], e.Position)
		return
	}
	c.Messages++
	c.check(e.ID, f.at, e.Position)
	f.received = true
	c.sent[e.ID] = f
}

func (c *causality) send(id string, at history.Position) {
	f := flight{at: at}
	for _, recv := range c.early[id] {
		c.Messages++
		c.check(id, at, recv)
		f.received = true
	}
	delete(c.early, id)
	c.sent[id] = f
}

func (c *causality) check(id string, send, recv history.Position) {
	if send.Time < recv.Time || len(c.Violations) >= ViolationsMax {
		return
	}
	c.Violations = append(c.Violations, Violation{ID: id, Send: send, Recv: recv})
}

func (c *causality) done() *Causality {
	for _, f := range c.sent {
		if !f.received {
			c.Lost++
		}
	}
	for _, recvs := range c.early {
		c.Unsent += uint64(len(recvs))
	}
	return &c.Causality
}
