package bank

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"hindcast.dev/app"
	"hindcast.dev/node"
)

// Service is the bank as a program: see app.Main.
func Service() app.Service {
	return app.Service{Name: Name, Machines: Registry(), Sim: Sim(),
		HTTP: func(c *node.Client) http.Handler { return Handler(c) }}
}

// A Client is what Handler needs of a *node.Client.
type Client interface {
	Do(ctx context.Context, machine string, body any) (node.Reply, error)
	Peek(ctx context.Context, machine string, body any) (any, error)
}

// Handler is the bank's HTTP face:
//
//	POST /transfer?from=ACCOUNT&to=ACCOUNT&amount=N    from an account of this node
//	GET  /accounts                                     those of this node
//
// Answers are JSON; a transfer that can't be made is {"error"} with status 409.
func Handler(c Client) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /transfer", func(w http.ResponseWriter, r *http.Request) {
		amount, err := strconv.ParseInt(r.FormValue("amount"), 10, 64)
		if err != nil {
			write(w, http.StatusBadRequest, map[string]string{"error": "amount: " + err.Error()})
			return
		}
		reply, err := c.Do(r.Context(), Name, Transfer{From: r.FormValue("from"), To: r.FormValue("to"), Amount: amount})
		if err != nil {
			node.WriteError(w, err)
			return
		}
		if no, denied := reply.Body.(Denied); denied {
			write(w, http.StatusConflict, map[string]string{"error": no.Reason})
			return
		}
		write(w, http.StatusOK, reply.Body)
	})
	mux.HandleFunc("GET /accounts", func(w http.ResponseWriter, r *http.Request) {
		sheet, err := c.Peek(r.Context(), Name, Look{})
		if err != nil {
			node.WriteError(w, err)
			return
		}
		write(w, http.StatusOK, sheet)
	})
	return mux
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // these types always have a JSON form; who went away misses nothing
}
