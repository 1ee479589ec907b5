// Package guard is what servers on a user's own machine need to tell the user from a
// web page that the user's browser happens to show: who asks, by which name, and with
// which secret. It also has the bounds and the form of errors that they share.
package guard

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Foreign reports whether a browser says that a page of another origin asks, be it by
// a script, a form, or a link. Programs that are no browsers say nothing of it.
func Foreign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return true
	}
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return false
	}
	u, err := url.Parse(origins[0])
	return err != nil || len(origins) > 1 || u.Host == "" || !strings.EqualFold(u.Host, r.Host)
}

// Loopback reports whether a Host, HOST or HOST:PORT, is a loopback address, by the
// name localhost or in numbers. Any other name may be made to resolve to one by whoever
// owns it: that is what DNS rebinding does.
func Loopback(host string) bool {
	name := Hostname(host)
	if strings.EqualFold(name, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(name)
	return err == nil && a.Unmap().IsLoopback()
}

// Numeric reports whether a Host is an address in numbers, which no name server can
// have made up.
func Numeric(host string) bool {
	_, err := netip.ParseAddr(Hostname(host))
	return err == nil
}

// Hostname is a Host without its port, and without the brackets of IPv6.
func Hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// Port is the port of a Host, "" if it names none.
func Port(host string) string {
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		return ""
	}
	return port
}

// Bearer returns the secret that a request bears; ok is false if it bears none.
func Bearer(r *http.Request) (secret string, ok bool) {
	if secret, ok = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !ok {
		return "", false
	}
	return secret, true
}

// Same compares secrets, in a time that tells nothing about them.
func Same(given, want string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// WriteProblem answers with an error as JSON: {"error":…,"remedy":…}, the remedy if
// there is one.
func WriteProblem(w http.ResponseWriter, status int, text, remedy string) {
	WriteJSON(w, status, struct {
		Error  string `json:"error"`
		Remedy string `json:"remedy,omitempty"`
	}{text, remedy})
}

// WriteJSON answers with v, which a browser takes for nothing but JSON.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":"the answer has no JSON form"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(b, '\n')) // who went away misses nothing
}
