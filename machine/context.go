package machine

import (
	"fmt"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// A Host is what a Context needs of the stepper that runs the machine.
type Host interface {
	// Encode returns the canonical form of a body of a registered type. It panics
	// for a type that the machine doesn't name in Payloads, which is a programmer's
	// error. A []byte body is taken as it is, under the name "".
	Encode(body any) (name string, version uint32, payload []byte)
	// Effect takes one effect, fills in its id and returns it. It panics when the
	// Step has reached the bound on effects.
	Effect(e event.Effect) event.MessageID
}

// A Context is what a Step may know and ask for besides its state and event. It
// is valid during one Step.
type Context struct {
	Host    Host            // the stepper
	Machine string          // the machine's name on its node
	Time    hlc.Timestamp   // of the event
	Start   event.StartInfo // node, peers, configuration
	Random  *Rand           // the node's generator
}

// Now is the event's Timestamp: the only clock a machine has.
func (c *Context) Now() hlc.Timestamp { return c.Time }

// Rand is the node's random source; its state is part of the checkpoint.
func (c *Context) Rand() *Rand { return c.Random }

// Node is the name of the node the machine runs on.
func (c *Context) Node() string { return c.Start.Node }

// Peers are the names of the other nodes, sorted. The slice is shared.
func (c *Context) Peers() []string { return c.Start.Peers }

// Config returns a value of the node's configuration, "" if it isn't set.
func (c *Context) Config(key string) string { return c.Start.Config[key] }

// Send asks for a message to a machine; node may be this one. Nothing says
// whether it arrives.
func (c *Context) Send(node, machine string, body any) event.MessageID {
	e := event.Effect{Kind: event.EffectSend, Node: node, To: machine}
	return c.effect(e, body)
}

// Reply answers the request with the given id, for the last time.
func (c *Context) Reply(request event.MessageID, body any) {
	c.effect(event.Effect{Kind: event.EffectReply, ID: request}, body)
}

// ReplyMore answers a request in part; Reply ends it.
func (c *Context) ReplyMore(request event.MessageID, body any) {
	c.effect(event.Effect{Kind: event.EffectReply, ID: request, More: true}, body)
}

// Call asks an adapter of the node for something outside: HTTP, a database, a
// file. A Result event with the returned id tells what came of it; after a crash
// it may never come.
func (c *Context) Call(adapter string, body any) event.MessageID {
	return c.effect(event.Effect{Kind: event.EffectCall, To: adapter}, body)
}

// SetTimer asks for a Timer event with this body after d, at the earliest. A
// timer of the same name that is still pending is replaced.
func (c *Context) SetTimer(name string, d time.Duration, body any) {
	e := event.Effect{Kind: event.EffectSetTimer, Timer: name, At: c.Time.Add(max(d, 0))}
	c.effect(e, body)
}

// CancelTimer makes sure that the timer doesn't fire, also if it is due.
func (c *Context) CancelTimer(name string) {
	e := event.Effect{Kind: event.EffectCancelTimer, Machine: c.Machine, Timer: name}
	c.Host.Effect(e)
}

// Log writes a line to the node's log, and to the History. level is one of
// debug, info, warn, error.
func (c *Context) Log(level, format string, args ...any) {
	e := event.Effect{Kind: event.EffectLog, Machine: c.Machine, Name: level}
	e.Payload = fmt.Appendf(nil, format, args...)
	c.Host.Effect(e)
}

func (c *Context) effect(e event.Effect, body any) event.MessageID {
	e.Machine = c.Machine
	e.Name, e.Version, e.Payload = c.Host.Encode(body)
	return c.Host.Effect(e)
}
