package node

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A guard lets through to the admin API who may use it.
type guard struct {
	tokens []Token
}

// allow wraps h, which needs scope.
//
// Without tokens the API listens on loopback only, and whoever has an account on
// the machine may use it; but a web page that the user's browser shows must not:
// neither by a name that it makes resolve to 127.0.0.1 (so the Host has to be a
// loopback address by name) nor by a form or script (so an Origin has to be our
// own).
func (g guard) allow(scope Scope, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if foreign(r) {
			writeProblem(w, http.StatusForbidden, "a web page of another origin asks", "use hindcast, curl, or the node's own page")
			return
		}
		if len(g.tokens) == 0 {
			host := r.Host
			if name, _, err := net.SplitHostPort(host); err == nil {
				host = name
			}
			if !loopbackHost(host) {
				writeProblem(w, http.StatusForbidden, "the Host "+r.Host+" isn't a loopback address", "ask for 127.0.0.1 or localhost by name, or set a token")
				return
			}
			h(w, r)
			return
		}
		switch ok, known := g.check(r, scope); {
		case ok:
			h(w, r)
		case known:
			writeProblem(w, http.StatusForbidden, "the token lacks the scope "+string(scope), "use a token that has it")
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="hindcast"`)
			writeProblem(w, http.StatusUnauthorized, "a token is needed", "send the header Authorization: Bearer TOKEN")
		}
	}
}

// check tells whether the request bears a token with the scope, or one at all.
func (g guard) check(r *http.Request, scope Scope) (ok, known bool) {
	secret, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !isBearer {
		return false, false
	}
	given := sha256.Sum256([]byte(secret))
	for _, t := range g.tokens {
		want := sha256.Sum256([]byte(t.Secret))
		if subtle.ConstantTimeCompare(given[:], want[:]) == 1 {
			known = true
			ok = ok || len(t.Scopes) == 0 || slices.Contains(t.Scopes, scope)
		}
	}
	return ok, known
}

// foreign tells whether a browser says that a page of another origin asks.
func foreign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || u.Host == "" || u.Host != r.Host
}
