package sim

import (
	"fmt"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
)

// An Adapter is the outside as a simulated machine's Call sees it. It gives what
// comes of a call, and how long that takes; body and result are of types that the
// calling machine registered, or bytes. An error comes as a Refused event.
type Adapter func(n *Node, body any) (result any, took time.Duration, err error)

// Adapter has calls to the adapter of this name answered. It is called in Setup;
// a call to one that isn't there is refused, as in production.
func (w *World) Adapter(name string, a Adapter) {
	if w.adapters == nil {
		w.adapters = map[string]Adapter{}
	}
	w.adapters[name] = a
}

// adapt makes a machine's call to the outside. Its result is lost with the
// process, as one that is under way is.
func (w *World) adapt(n *Node, e *event.Effect) {
	f := record.Frame{Kind: event.Result, Machine: e.Machine, From: e.To, ID: e.ID}
	took := time.Duration(0)
	err := fmt.Errorf("this node has no adapter %q", e.To)
	if adapter := w.adapters[e.To]; adapter != nil {
		took, err = w.perform(n, adapter, e, &f)
	}
	if err != nil {
		f = record.Frame{Kind: event.Refused, Machine: e.Machine, From: e.To, Name: e.Name, Version: e.Version, ID: e.ID, Payload: []byte(err.Error())}
	}
	life := n.life
	w.After(took, func() {
		if n.life == life && n.up {
			n.take(waiting{m: &message{from: n, to: n, boot: n.boot, frame: f}, until: w.now + int64(time.Hour)})
		}
	})
}

// perform calls an adapter and puts its result into f.
func (w *World) perform(n *Node, adapter Adapter, e *event.Effect, f *record.Frame) (took time.Duration, err error) {
	body, err := w.codecs.decode(e.Machine, e)
	if err != nil {
		return 0, err
	}
	result, took, err := adapter(n, body)
	if err != nil {
		return took, err
	}
	if b, raw := result.([]byte); raw {
		f.Payload = b
		return took, nil
	}
	codec := w.codecs[e.Machine]
	if codec == nil {
		return took, fmt.Errorf("adapter %s: machine %s takes bytes, this is a %T", e.To, e.Machine, result)
	}
	f.Name, f.Version, f.Payload, err = codec.Encode(result)
	return took, err
}
