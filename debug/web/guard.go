package web

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"sync"
	"time"

	"hindcast.dev/guard"
)

// Token is what lets in; "" if nothing has to.
func (s *Server) Token() string { return s.opts.Token }

// Ticket is a token that lets in once, within a minute: for a browser's command line,
// which others on the machine can see.
func (s *Server) Ticket() string { return s.ticket.issue(time.Now()) }

// Bounds of tickets.
const (
	ticketsMax = 16 // that weren't used; the oldest is forgotten first
	ticketTime = time.Minute
)

// tickets are those that weren't used yet.
type tickets struct {
	mu   sync.Mutex
	open []openTicket
}

type openTicket struct {
	text string
	end  time.Time
}

func (t *tickets) issue(now time.Time) string {
	text := rand.Text()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) == ticketsMax {
		t.open = slices.Delete(t.open, 0, 1)
	}
	t.open = append(t.open, openTicket{text, now.Add(ticketTime)})
	return text
}

// redeem reports whether a ticket lets in; it doesn't again.
func (t *tickets) redeem(text string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = slices.DeleteFunc(t.open, func(o openTicket) bool { return !now.Before(o.end) })
	i := slices.IndexFunc(t.open, func(o openTicket) bool { return guard.Same(o.text, text) })
	if i < 0 {
		return false
	}
	t.open = slices.Delete(t.open, i, i+1)
	return true
}

// check lets a request through to whom the page is for. A page of another origin
// gets nothing: neither by a name that it makes resolve to a loopback address, so
// the Host has to be one by name, or the address that was asked for with a token;
// nor by a form or script, so an Origin has to be our own. Only the page itself may be
// asked for from anywhere, so that permalinks can be followed.
func (s *Server) check(r *http.Request) error {
	open := s.opts.Token == "" && s.opts.Admit == nil
	switch {
	case guard.Foreign(r) && !followed(r):
		return problemf(http.StatusForbidden, "open the page's own address", "a web page of another origin asks")
	case !guard.Loopback(r.Host) && (open || !guard.Numeric(r.Host)):
		return problemf(http.StatusForbidden, "ask for 127.0.0.1 or localhost, or for the machine's address in numbers", "the Host %s isn't a loopback address", r.Host)
	case open || entrance(r) || s.knows(r):
		return nil
	}
	return problemf(http.StatusUnauthorized, "open the URL that was printed, or send the header Authorization: Bearer TOKEN", "a token is needed")
}

// Admits reports whether a request would be answered, by who asks: for a handler that
// has work to do before.
func (s *Server) Admits(r *http.Request) bool { return s.check(r) == nil }

// followed reports whether somebody follows a link, which may come from anywhere:
// what it opens is the page, and that tells the one who linked nothing.
func followed(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return (site == "same-site" || site == "cross-site") && r.Method == http.MethodGet &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") != "iframe" &&
		r.URL.Path == "/" && r.Header.Get("Origin") == ""
}

// knows reports whether the request has the token, in the cookie or as a bearer
// token.
func (s *Server) knows(r *http.Request) bool {
	if bearer, ok := guard.Bearer(r); ok && s.admits(bearer) {
		return true
	}
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return false
	}
	secret, err := base64.RawURLEncoding.DecodeString(c.Value)
	return err == nil && s.admits(string(secret))
}

// admits reports whether a secret lets in.
func (s *Server) admits(secret string) bool {
	return s.opts.Token != "" && guard.Same(secret, s.opts.Token) || s.opts.Admit != nil && s.opts.Admit(secret)
}

// cookieName is the cookie that holds the token once the page was opened by the URL
// that has it. A browser sends a machine's cookies to all of its ports, so the port is
// in the name.
func cookieName(r *http.Request) string { return "hindcast-debug-" + guard.Port(r.Host) }

// entrance reports whether the request comes with a token in its URL.
func entrance(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == "/" && r.URL.Query().Has("token")
}

// enter turns the token in the page's URL into a cookie, so that it stands neither
// in the history of the browser nor in a permalink. It reports whether it answered.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) bool {
	if !entrance(r) {
		return false
	}
	q := r.URL.Query()
	secret := q.Get("token")
	if s.ticket.redeem(secret, time.Now()) {
		secret = s.opts.Token
	} else if !s.admits(secret) && (s.opts.Token != "" || s.opts.Admit != nil) {
		writeError(w, problemf(http.StatusUnauthorized, "open the URL that was printed", "this isn't the token"))
		return true
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName(r), Value: base64.RawURLEncoding.EncodeToString([]byte(secret)), Path: s.opts.Prefix + "/",
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil})
	q.Del("token")
	to := s.opts.Prefix + "/"
	if len(q) > 0 {
		to += "?" + q.Encode()
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusSeeOther)
	return true
}
