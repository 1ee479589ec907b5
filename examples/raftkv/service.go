package raftkv

import (
	"net/http"

	"hindcast.dev/app"
	"hindcast.dev/node"
)

// Service is the store as a program: see app.Main.
func Service() app.Service {
	return app.Service{Name: "raftkv", Machines: Registry(), Settings: Settings(), Sim: Subject(),
		HTTP: func(c *node.Client) http.Handler { return Handler(c) }}
}
