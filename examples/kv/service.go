package kv

import (
	"net/http"

	"hindcast.dev/app"
	"hindcast.dev/node"
)

// Service is the store as a program: see app.Main.
func Service() app.Service {
	return app.Service{Name: Name, Machines: Registry(), Sim: Sim(),
		HTTP: func(c *node.Client) http.Handler { return Handler(c) }}
}
