package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// cookieName holds the token once the page was opened by the URL that has it.
const cookieName = "hindcast-debug"

// check lets a request through to whom the page is for. A page of another origin
// gets nothing: neither by a name that it makes resolve to a loopback address, so
// the Host has to be one by name, or the address that was asked for with a token;
// nor by a form or script, so an Origin has to be our own. The cookie isn't sent
// with requests of other sites.
func (s *Server) check(r *http.Request) error {
	switch {
	case foreign(r):
		return problemf(http.StatusForbidden, "open the page's own address", "a web page of another origin asks")
	case !loopback(r.Host) && (s.opts.Token == "" || !numeric(r.Host)):
		return problemf(http.StatusForbidden, "ask for 127.0.0.1 or localhost, or for the machine's address in numbers", "the Host %s isn't a loopback address", r.Host)
	case s.opts.Token == "" || s.knows(r):
		return nil
	}
	return problemf(http.StatusUnauthorized, "open the URL that was printed, or send the header Authorization: Bearer TOKEN", "a token is needed")
}

// knows reports whether the request has the token: in its URL, in the cookie, or as
// a bearer token.
func (s *Server) knows(r *http.Request) bool {
	given := []string{r.URL.Query().Get("token")}
	if c, err := r.Cookie(cookieName); err == nil {
		given = append(given, c.Value)
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		given = append(given, bearer)
	}
	want := sha256.Sum256([]byte(s.opts.Token))
	known := false
	for _, g := range given {
		sum := sha256.Sum256([]byte(g))
		known = subtle.ConstantTimeCompare(sum[:], want[:]) == 1 || known
	}
	return known
}

// enter turns the token in the page's URL into a cookie, so that it stands neither
// in the history of the browser nor in a permalink. It reports whether it answered.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	if r.Method != http.MethodGet || r.URL.Path != "/" || !q.Has("token") {
		return false
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: q.Get("token"), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	q.Del("token")
	to := "/"
	if len(q) > 0 {
		to += "?" + q.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return true
}

// foreign reports whether a browser says that a page of another origin asks.
func foreign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	case "same-site", "cross-site":
		// A link that somebody follows may come from anywhere; what it opens is the page.
		if r.Method != http.MethodGet || r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.URL.Path != "/" {
			return true
		}
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

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// loopback reports whether a Host is a loopback address, by name or in numbers.
func loopback(host string) bool {
	name := hostname(host)
	if strings.EqualFold(name, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(name)
	return err == nil && a.IsLoopback()
}

// numeric reports whether a Host is an address in numbers, which no name server can
// have made up.
func numeric(host string) bool {
	_, err := netip.ParseAddr(hostname(host))
	return err == nil
}
