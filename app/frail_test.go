package app_test

import (
	"fmt"
	"net/http"
	"time"

	"hindcast.dev/app"
	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/node"
)

// What the frail service takes.
type (
	Slow struct{ After time.Duration } // is answered later
	Die  struct{}                      // kills it
)

// Frail counts, and dies when asked to.
type Frail struct {
	Count   int64
	Waiting machine.Map[string, event.MessageID] // by timer
}

func (*Frail) Payloads() []any { return []any{Add{}, Count{}, Slow{}, Die{}} }

func (f *Frail) Step(ctx *machine.Context, ev event.Event) {
	switch m := ev.Body.(type) {
	case Add:
		f.Count++
		ctx.Reply(ev.ID, Count{f.Count})
	case Slow:
		if ev.Kind == event.Request {
			f.Waiting.Put(ev.ID.String(), ev.ID)
			ctx.SetTimer(ev.ID.String(), m.After, m)
			return
		}
		id, _ := f.Waiting.Get(ev.From)
		f.Waiting.Delete(ev.From)
		ctx.Reply(id, Count{f.Count})
	case Die:
		panic("asked to die")
	}
}

func frailService() app.Service {
	bodies := map[string]any{"/add": Add{}, "/slow": Slow{2 * time.Second}, "/die": Die{}}
	return app.Service{Name: "frail", Machines: frail(),
		HTTP: func(c *node.Client) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reply, err := c.Do(r.Context(), "frail", bodies[r.URL.Path])
				if err != nil {
					node.WriteError(w, err)
					return
				}
				fmt.Fprint(w, reply.Body.(Count).N)
			})
		}}
}

func frail() machine.Registry {
	return machine.Registry{"frail": {1: func() machine.Machine { return &Frail{} }}}
}
