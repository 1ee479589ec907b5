package web

import (
	"bufio"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"hindcast.dev/debug"
	"hindcast.dev/guard"
	"hindcast.dev/history"
)

const secret = "a-secret-token"

// bearer is the header that lets in.
const bearer = "Authorization: Bearer " + secret

// cookieOf is the header of a browser that was let in.
func cookieOf(hs *httptest.Server, value string) string {
	return "Cookie: hindcast-debug-" + guard.Port(strings.TrimPrefix(hs.URL, "http://")) + "=" + base64.RawURLEncoding.EncodeToString([]byte(value))
}

func TestOnlyWhoHasTheTokenIsAnswered(t *testing.T) {
	hs := serve(t, secret)
	cookie := cookieOf(hs, secret)
	for _, c := range []struct {
		what    string
		path    string
		headers []string
		want    int
	}{
		{"nothing", "/api/v1/about", nil, 401},
		{"nothing, for the page", "/", nil, 401},
		{"nothing, for a file", "/app.js", nil, 401},
		{"nothing, for what isn't there", "/nothing", nil, 401},
		{"another token", "/api/v1/about", []string{"Authorization: Bearer a-secret-toke"}, 401},
		{"another case", "/api/v1/about", []string{"Authorization: Bearer A-secret-token"}, 401},
		{"another scheme", "/api/v1/about", []string{"Authorization: Basic " + secret}, 401},
		{"the token", "/api/v1/about", []string{bearer}, 200},
		{"the token in another URL than the page's", "/api/v1/about?token=" + secret, nil, 401},
		{"another token in the page's URL", "/?token=nonsense", nil, 401},
		{"an empty token in the page's URL", "/?token=", nil, 401},
		{"the cookie", "/api/v1/about", []string{cookie}, 200},
		{"another cookie", "/api/v1/about", []string{cookieOf(hs, "nonsense")}, 401},
		{"a cookie as it isn't written", "/api/v1/about", []string{strings.Replace(cookie, "=", "==", 1)}, 401},
		{"the cookie of another port", "/api/v1/about", []string{strings.Replace(cookie, "debug-", "debug-1", 1)}, 401},
		{"the cookie, from another page", "/api/v1/about", []string{cookie, "Origin: http://evil.example"}, 403},
		{"the cookie, from a page without an origin", "/api/v1/about", []string{cookie, "Origin: null"}, 403},
		{"the cookie, from a page of another port", "/api/v1/about", []string{cookie, "Sec-Fetch-Site: same-site"}, 403},
		{"the cookie, from a script of another page", "/", []string{cookie, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"}, 403},
		{"the cookie, in a frame of another page", "/", []string{cookie, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, 403},
		{"the cookie, by a link of another page", "/", []string{cookie, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 200},
		{"the cookie, by a link that isn't to the page", "/api/v1/about", []string{cookie, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 403},
		{"the cookie, by a name that was made to lead here", "/api/v1/about", []string{cookie, "Host: evil.example"}, 403},
		{"the token, by a name that was made to lead here", "/api/v1/about", []string{bearer, "Host: evil.example:80"}, 403},
		{"the cookie, of our own page", "/api/v1/about", []string{cookie, "Origin: " + hs.URL, "Sec-Fetch-Site: same-origin"}, 200},
		{"the address in numbers", "/api/v1/about", []string{bearer, "Host: 192.0.2.7:80"}, 200},
	} {
		if res, b := ask(t, hs, "GET", c.path, "", c.headers...); res.StatusCode != c.want {
			t.Errorf("%s: %d %s, want %d", c.what, res.StatusCode, b, c.want)
		}
	}
	without := serve(t, "")
	for host, want := range map[string]int{"127.0.0.1:1": 200, "localhost": 200, "[::1]:9": 200, "evil.example": 403, "192.0.2.7": 403, "localhost.evil.example": 403} {
		if res, _ := ask(t, without, "GET", "/api/v1/about", "", "Host: "+host); res.StatusCode != want {
			t.Errorf("without a token, Host %s: %d, want %d", host, res.StatusCode, want)
		}
	}
}

// What is asked by a page of another origin isn't carried out either.
func TestAForeignPageMovesNothing(t *testing.T) {
	hs := serve(t, secret)
	for _, h := range []string{"Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Host: evil.example"} {
		if res, _ := ask(t, hs, "POST", "/api/v1/command", `{"line":"goto END"}`, cookieOf(hs, secret), h); res.StatusCode != 403 {
			t.Errorf("%s: %d", h, res.StatusCode)
		}
	}
	var place struct{ Answer struct{ Place debug.Place } }
	if read(t, hs, "POST", "/api/v1/command", `{"line":""}`, &place, bearer); place.Answer.Place != (debug.Place{}) {
		t.Errorf("the session is at %v", place.Answer.Place)
	}
}

func TestTheTokenLeavesTheURL(t *testing.T) {
	hs := serve(t, secret)
	res, b := ask(t, hs, "GET", "/?token="+secret+"&x=1", "")
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/?x=1" || strings.Contains(string(b), secret) {
		t.Fatalf("%d to %s: %s", res.StatusCode, res.Header.Get("Location"), b)
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%v", res.Header)
	}
	cookies := res.Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].Path != "/" {
		t.Fatalf("cookies %v", cookies)
	}
	if res, _ := ask(t, hs, "GET", "/", "", "Cookie: "+cookies[0].Name+"="+cookies[0].Value); res.StatusCode != 200 {
		t.Errorf("with the cookie: %d", res.StatusCode)
	}
}

func TestATicketLetsInOnce(t *testing.T) {
	s := New(Options{Token: secret, Source: source(t)})
	hs := httptest.NewServer(s)
	t.Cleanup(hs.Close)
	ticket := s.Ticket()
	if res, _ := ask(t, hs, "GET", "/api/v1/about", "", "Authorization: Bearer "+ticket); res.StatusCode != 401 {
		t.Errorf("a ticket as a token: %d", res.StatusCode)
	}
	res, _ := ask(t, hs, "GET", "/?token="+ticket, "")
	if res.StatusCode != http.StatusSeeOther || len(res.Cookies()) != 1 {
		t.Fatalf("%d, cookies %v", res.StatusCode, res.Cookies())
	}
	if c := res.Cookies()[0]; "Cookie: "+c.Name+"="+c.Value != cookieOf(hs, secret) {
		t.Errorf("the cookie is %s", c)
	}
	if res, _ := ask(t, hs, "GET", "/?token="+ticket, ""); res.StatusCode != 401 {
		t.Errorf("a second time: %d", res.StatusCode)
	}
	var all tickets
	begin := time.Unix(0, 0)
	first := all.issue(begin)
	if all.redeem(first, begin.Add(ticketTime)) {
		t.Error("a ticket lets in after its time")
	}
	first = all.issue(begin)
	for range ticketsMax {
		all.issue(begin)
	}
	if len(all.open) != ticketsMax || all.redeem(first, begin) {
		t.Errorf("%d tickets are kept", len(all.open))
	}
}

func TestEveryAnswerHasThePolicy(t *testing.T) {
	hs := serve(t, secret)
	for _, c := range []struct {
		method, path, body string
		want               int
		header             string
	}{
		{"GET", "/", "", 200, bearer},
		{"GET", "/app.js", "", 200, bearer},
		{"GET", "/style.css", "", 200, bearer},
		{"HEAD", "/", "", 200, bearer},
		{"GET", "/?token=" + secret, "", 303, bearer},
		{"GET", "/nothing", "", 404, bearer},
		{"GET", "//evil.example", "", 404, bearer},
		{"GET", "/x/../api/v1/about", "", 404, bearer},
		{"GET", "/api/v1/about", "", 200, bearer},
		{"GET", "/api/v1/about", "", 401, "X: y"},
		{"GET", "/api/v1/about", "", 403, "Origin: null"},
		{"GET", "/api/v1/frame?axis=time&from=0&to=9", "", 200, bearer},
		{"GET", "/api/v1/frame", "", 400, bearer},
		{"GET", "/api/v1/command", "", 405, bearer},
		{"POST", "/api/v1/about", "", 405, bearer},
		{"PUT", "/api/v1/command", "", 405, bearer},
		{"DELETE", "/", "", 405, bearer},
		{"OPTIONS", "/api/v1/command", "", 405, bearer},
		{"POST", "/api/v1/command", `{"line":"setp"}`, 400, bearer},
		{"POST", "/api/v1/command", `{"line":"` + strings.Repeat(" ", bodyMax) + `"}`, 413, bearer},
		{"POST", "/api/v1/complete", `{"line":"` + strings.Repeat(" ", bodyMax) + `"}`, 413, bearer},
	} {
		res, b := ask(t, hs, c.method, c.path, c.body, c.header)
		what := fmt.Sprintf("%s %s, %s", c.method, c.path, c.header)
		if res.StatusCode != c.want {
			t.Errorf("%s: %d %s, want %d", what, res.StatusCode, b, c.want)
		}
		h := res.Header
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: policy %q", what, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Access-Control-Allow-Origin": ""} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s %q, want %q", what, name, got, want)
			}
		}
		if c.want >= 400 && h.Get("Content-Type") != "application/json" {
			t.Errorf("%s: an error as %s", what, h.Get("Content-Type"))
		}
		if c.want == 405 && h.Get("Allow") == "" {
			t.Errorf("%s: which methods are allowed isn't said", what)
		}
	}
}

// inline is what a page may not do that shows what was recorded, if all that shows it
// is to be text.
var inline = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML|createContextualFragment|\beval\(|new Function\(|javascript:|\.srcdoc`)

func TestThePageHasNothingInline(t *testing.T) {
	err := fs.WalkDir(pageFiles, "page", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(pageFiles, name)
		if err != nil {
			return err
		}
		if path.Ext(name) == ".html" {
			for _, wrong := range inlineIn(string(b)) {
				t.Errorf("%s: %s", name, wrong)
			}
		}
		if at := inline.FindString(string(b)); at != "" && path.Ext(name) == ".js" && !strings.HasPrefix(name, "page/vendor/") {
			t.Errorf("%s: %s", name, at)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	bad := `<html><head><script>x()</script><style>b{}</style><link rel="stylesheet" href="//evil.example/a.css"></head><body onload="x()"><p style="color:red"><a href="javascript:x()">x</a><script src="/app.js"></script></p></body></html>`
	if got := inlineIn(bad); len(got) != 7 {
		t.Errorf("of a bad page was found %q", got)
	}
}

// inlineIn is what a strict policy would keep from running in a page, and what asks
// for anything but the page's own files, by names that work below any path.
func inlineIn(html string) (wrong []string) {
	d := xml.NewDecoder(strings.NewReader(html))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	within := ""
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return wrong
		}
		if err != nil {
			return append(wrong, err.Error())
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			within = strings.ToLower(tok.Name.Local)
			for _, a := range tok.Attr {
				name := strings.ToLower(a.Name.Local)
				switch {
				case name == "style", strings.HasPrefix(name, "on"):
					wrong = append(wrong, name+"="+a.Value)
				case (name == "src" || name == "href" || name == "action") && (strings.HasPrefix(a.Value, "/") || strings.Contains(a.Value, ":")):
					wrong = append(wrong, name+"="+a.Value)
				}
			}
		case xml.EndElement:
			within = ""
		case xml.CharData:
			if (within == "script" || within == "style") && strings.TrimSpace(string(tok)) != "" {
				wrong = append(wrong, within+": "+string(tok))
			}
		}
	}
}

// hostile is a recording whose texts want to be something else.
const hostile = `{"node":"n<img src=x onerror=alert(1)>","ts":"2026-01-01T00:00:01Z","kind":"request","id":"\u001b[2J","name":"</script><script>alert(1)</script>","data":{"\u001b]0;x\u0007":"\u2028\u2029<!--"},"set":{"kv.a":"\u001b[31m<b>\u0000"}}
`

func TestWhatWasRecordedStaysText(t *testing.T) {
	src, err := history.ReadText(strings.NewReader(hostile), "hostile", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Title: "<script>", Source: src, Session: func() *debug.Session { return debug.NewSession(src, io.Discard) }})
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(s)
	t.Cleanup(hs.Close)
	for _, c := range [][3]string{{"GET", "/api/v1/about", ""}, {"POST", "/api/v1/command", `{"line":"step"}`}, {"POST", "/api/v1/command", `{"line":"event"}`},
		{"POST", "/api/v1/command", `{"line":"state"}`}, {"POST", "/api/v1/command", `{"line":"find <b>"}`}, {"POST", "/api/v1/command", `{"line":"goto <b>"}`},
		{"POST", "/api/v1/command", `{"line":"query SELECT kv.a FROM kv"}`}, {"POST", "/api/v1/command", `{"line":"diagram"}`},
		{"GET", "/api/v1/events?axis=time&from=0&to=9", ""}, {"GET", "/api/v1/state?at=END", ""}, {"GET", "/<script>", ""}, {"GET", "/api/v1/state?at=<b>", ""}} {
		res, b := ask(t, hs, c[0], c[1], c[2])
		if res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v: %s", c, res.Header.Get("Content-Type"))
		}
		if i := strings.IndexFunc(strings.TrimSuffix(string(b), "\n"), func(r rune) bool { return r < ' ' || r == 0x7f || r == '<' || r == '>' || r == 0x2028 || r == 0x2029 }); i >= 0 {
			t.Errorf("%v: at %d of %q", c, i, b)
		}
	}
	var a struct {
		Answer struct {
			Parts []struct {
				Event struct{ ID, Name string }
			}
		}
	}
	read(t, hs, "POST", "/api/v1/command", `{"line":"event"}`, &a, "Hindcast-Tab: new")
	read(t, hs, "POST", "/api/v1/command", `{"line":"step"}`, &a, "Hindcast-Tab: new")
	if len(a.Answer.Parts) == 0 || a.Answer.Parts[0].Event.ID != "\x1b[2J" || a.Answer.Parts[0].Event.Name != "</script><script>alert(1)</script>" {
		t.Errorf("what was recorded isn't told as it was: %+v", a)
	}
}

// hurry is a server of s that gives a request little time, as that of a node does.
func hurry(t *testing.T, s *Server) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const little = 50 * time.Millisecond
	hs := &http.Server{Handler: s, ReadHeaderTimeout: little, ReadTimeout: little, WriteTimeout: little}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = hs.Serve(ln) // until it is closed
	}()
	t.Cleanup(func() {
		hs.Close()
		<-done
	})
	return ln.Addr().String()
}

// dial opens a connection and writes to it.
func dial(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnAnswerMayTakeLongAndARequestMayNot(t *testing.T) {
	src := source(t)
	s := New(Options{Source: src, Session: func() *debug.Session { return debug.NewSession(src, io.Discard) }})
	addr := hurry(t, s)
	// Something else runs in the tab; who asks waits.
	busy := s.tabs.get("a")
	busy.turn <- struct{}{}
	get := dial(t, addr, "GET /api/v1/state?at=END HTTP/1.1\r\nHost: localhost\r\nHindcast-Tab: a\r\n\r\n")
	post := dial(t, addr, "POST /api/v1/command HTTP/1.1\r\nHost: localhost\r\nHindcast-Tab: a\r\nContent-Length: 15\r\n\r\n{\"line\":\"step\"}")
	// Meanwhile two that don't finish what they ask are cut off, when their time is over.
	for _, text := range []string{"GET / HTTP/1.1\r\nHost: loc", "POST /api/v1/command HTTP/1.1\r\nHost: localhost\r\nHindcast-Tab: b\r\nContent-Length: 15\r\n\r\n{\"line\":"} {
		b, err := io.ReadAll(dial(t, addr, text))
		if err != nil || strings.Contains(string(b), "200 OK") {
			t.Errorf("%q: %s, %v", text, b, err)
		}
	}
	<-busy.turn
	for _, c := range []net.Conn{get, post} {
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 {
			t.Errorf("%d %s, %v", res.StatusCode, b, err)
		}
	}
}
