package node

import (
	"net/http"
	"slices"

	"hindcast.dev/guard"
)

// A gate lets through to the admin API who may use it.
type gate struct {
	tokens []Token
}

// allow wraps h, which needs scope.
//
// Without tokens the API listens on loopback only, and whoever has an account on
// the machine may use it; but a web page that the user's browser shows must not:
// neither by a name that it makes resolve to 127.0.0.1 (so the Host has to be a
// loopback address by name) nor by a form or script (so an Origin has to be our
// own).
func (g gate) allow(scope Scope, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if guard.Foreign(r) {
			guard.WriteProblem(w, http.StatusForbidden, "a web page of another origin asks", "use hindcast, curl, or the node's own page")
			return
		}
		if len(g.tokens) == 0 {
			if !guard.Loopback(r.Host) {
				guard.WriteProblem(w, http.StatusForbidden, "the Host "+r.Host+" isn't a loopback address", "ask for 127.0.0.1 or localhost by name, or set a token")
				return
			}
			h(w, r)
			return
		}
		switch ok, known := g.check(r, scope); {
		case ok:
			h(w, r)
		case known:
			guard.WriteProblem(w, http.StatusForbidden, "the token lacks the scope "+string(scope), "use a token that has it")
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="hindcast"`)
			guard.WriteProblem(w, http.StatusUnauthorized, "a token is needed", "send the header Authorization: Bearer TOKEN")
		}
	}
}

// check tells whether the request bears a token with the scope, or one at all.
func (g gate) check(r *http.Request, scope Scope) (ok, known bool) {
	secret, isBearer := guard.Bearer(r)
	if !isBearer {
		return false, false
	}
	return g.admits(secret, scope)
}

// admits tells whether a secret is a token's with the scope, or one's at all.
func (g gate) admits(secret string, scope Scope) (ok, known bool) {
	for _, t := range g.tokens {
		if guard.Same(secret, t.Secret) {
			known = true
			ok = ok || len(t.Scopes) == 0 || slices.Contains(t.Scopes, scope)
		}
	}
	return ok, known
}

// Admits reports whether a secret is one of Options.Tokens that has the scope. Without
// any tokens none is.
func (n *Node) Admits(secret string, scope Scope) bool {
	ok, _ := gate{n.o.Tokens}.admits(secret, scope)
	return ok
}
