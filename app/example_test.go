package app_test

import (
	"fmt"
	"net/http"

	"hindcast.dev/app"
	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/node"
)

type Add struct{ Key string }
type Count struct{ N int64 }

// Counter counts by key. Its exported fields are what a recording can be asked
// about: here counter.counts.
type Counter struct{ Counts machine.Map[string, int64] }

func (*Counter) Payloads() []any { return []any{Add{}, Count{}} }

func (c *Counter) Step(ctx *machine.Context, ev event.Event) {
	if add, ok := ev.Body.(Add); ok {
		n, _ := c.Counts.Get(add.Key)
		c.Counts.Put(add.Key, n+1)
		ctx.Reply(ev.ID, Count{n + 1})
	}
}

func handler(c *node.Client) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply, err := c.Do(r.Context(), "counter", Add{r.URL.Path})
		fmt.Fprintln(w, reply.Body, err)
	})
}

var counter = machine.Versions{1: func() machine.Machine { return &Counter{} }}

// A service is its machines and, if it has clients, their HTTP face. Main makes a
// program of it that serves, replays, queries and debugs.
func Example() {
	app.Main(app.Service{Name: "counter", HTTP: handler, Machines: machine.Registry{"counter": counter}})
}
