package live

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

const (
	// quietMax is how long a connection may say nothing before another is made: a
	// node says something every second.
	quietMax = 3 * time.Second
	// backOffMin and backOffMax bound the time between two attempts.
	backOffMin = 50 * time.Millisecond
	backOffMax = time.Second
	// refusalMax bounds what a refusal may say, in bytes.
	refusalMax = 64 << 10
)

// A RefusedError is what a node answers in place of its history.
type RefusedError struct {
	Addr   string
	Status int    // of HTTP
	Text   string // what it says, with its remedy
}

func (e *RefusedError) Error() string {
	text := e.Text
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		text += "; following a node needs a token with the scope journal:read"
	case http.StatusNotFound:
		text = "it has no GET /v1/history: is it the admin address of a node, of a build that can be followed?"
	}
	return fmt.Sprintf("%s: %d %s: %s", e.Addr, e.Status, http.StatusText(e.Status), text)
}

// final reports whether asking again is of no use.
func (e *RefusedError) final() bool {
	switch e.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return true
	}
	return false
}

// An EndedError says why a node ended its answer.
type EndedError struct {
	Addr string
	End  End
}

func (e *EndedError) Error() string { return e.Addr + ": " + e.End.Reason }

// A SilentError says that a connection stands and nothing comes through it: the
// process is stopped, or the network drops what it sends.
type SilentError struct {
	Addr string
	For  time.Duration // how long it was listened
}

func (e *SilentError) Error() string {
	return fmt.Sprintf("%s: connected, but it has said nothing for %v", e.Addr, e.For)
}

// A message is a frame from a node, or what became of its connection.
type message struct {
	from  int
	frame any
	err   error
}

// A conn follows one node, connection by connection.
type conn struct {
	index int
	addr  string // as given, without a name
	base  string // URL of the API, ends in a slash
	token string
	from  hlc.Timestamp // 0 is now
	lean  bool
	// promise is how long the node may go without one; 0 is as it likes.
	promise time.Duration
	// patient: where the node's journal doesn't reach back to from, it is asked from a
	// later time.
	patient bool
	client  *http.Client
	out     chan<- message
	gate    chan struct{} // one token: the next frame may be given

	last  history.Position // of the last entry given
	based bool
}

// parseAddr takes NAME=HOST:PORT, HOST:PORT or a URL.
func parseAddr(text string) (name, base string, err error) {
	addr := text
	if before, after, ok := strings.Cut(text, "="); ok && !strings.ContainsAny(before, ":/") {
		name, addr = before, after
	}
	base = addr
	if !strings.Contains(addr, "://") {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return "", "", fmt.Errorf("%q: want HOST:PORT, the admin address of a node, or a URL: %w", text, err)
		}
		base = "http://" + addr
	}
	if u, err := url.Parse(base); err != nil || u.Host == "" {
		return "", "", fmt.Errorf("%q: want HOST:PORT, the admin address of a node, or a URL", text)
	}
	return name, strings.TrimSuffix(base, "/") + "/v1/", nil
}

// run connects again and again until ctx ends.
func (c *conn) run(ctx context.Context) {
	wait := backOffMin
	for ctx.Err() == nil {
		had := c.last
		err := c.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if c.last != had {
			wait = backOffMin
		}
		c.give(ctx, message{from: c.index, err: err})
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, backOffMax)
	}
}

func (c *conn) give(ctx context.Context, m message) error {
	select {
	case c.out <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// query is what is asked for: to go on, or to begin.
func (c *conn) query() string {
	q := url.Values{}
	switch {
	case c.based && c.last.Seq > 0:
		q.Set("after", strconv.FormatUint(c.last.Seq, 10))
		q.Set("at", c.last.Time.String())
	case c.from != 0:
		q.Set("from", c.from.String())
	}
	if c.lean {
		q.Set("lean", "true")
	}
	if c.promise != 0 {
		q.Set("promise", c.promise.String())
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// once makes one connection and gives its frames.
func (c *conn) once(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := &SilentError{Addr: c.addr, For: quietMax}
	quiet := time.AfterFunc(quietMax, func() { cancel(silent) })
	defer quiet.Stop()
	err := c.read(ctx, quiet)
	if context.Cause(ctx) == error(silent) {
		return silent
	}
	return err
}

// read gives the frames of one connection, while quiet runs whenever it waits for
// the node.
func (c *conn) read(ctx context.Context, quiet *time.Timer) error {
	resp, err := c.request(ctx)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	r := NewReader(bufio.NewReaderSize(resp.Body, 64<<10))
	for {
		f, err := r.Next()
		if err != nil {
			return c.broken(err)
		}
		if end, ok := f.(*End); ok {
			return &EndedError{Addr: c.addr, End: *end}
		}
		quiet.Stop() // while nobody wants the frame the node may well be silent
		c.note(f)
		if err := c.give(ctx, message{from: c.index, frame: f}); err != nil {
			return err
		}
		select {
		case <-c.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
		quiet.Reset(quietMax)
	}
}

func (c *conn) broken(err error) error {
	var bad *FrameError
	if errors.As(err, &bad) {
		return fmt.Errorf("%s: %w", c.addr, err)
	}
	return fmt.Errorf("%s: the connection broke: %w", c.addr, err)
}

// note remembers where the next connection goes on.
func (c *conn) note(f any) {
	switch f := f.(type) {
	case *Base:
		if f.Last {
			c.based, c.last = true, history.Position{Time: f.Time, Seq: f.Seq}
		}
	case *Block:
		if n := len(f.Events); n > 0 && f.Events[n-1].Seq > c.last.Seq {
			c.last = f.Events[n-1].Position
		}
	}
}

func (c *conn) request(ctx context.Context) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"history"+c.query(), nil)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, fmt.Errorf("%s: %w", c.addr, err)
	}
	if resp.StatusCode == http.StatusOK && strings.HasPrefix(resp.Header.Get("Content-Type"), ContentType) {
		return resp, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusBadRequest && c.promise != 0 {
		c.promise = 0 // a node of an older build doesn't know it
		return c.request(ctx)
	}
	refused := &RefusedError{Addr: c.addr, Status: resp.StatusCode, Text: said(resp)}
	if resp.StatusCode == http.StatusOK {
		refused.Status = http.StatusNotFound
	}
	if refused.Status == http.StatusConflict || refused.Status == http.StatusGone && c.based {
		c.based, c.from = false, 0 // what was there is gone: begin anew
	} else if refused.Status == http.StatusGone && c.patient {
		c.from = later(c.from, hlc.FromTime(time.Now()))
	}
	return nil, refused
}

// later is a time half as far back; 0, which is now, where that is of no use.
func later(from, now hlc.Timestamp) hlc.Timestamp {
	if from == 0 || from >= now || now.Sub(from) < time.Second {
		return 0
	}
	return from + (now-from)/2
}

// said is what a refusal says.
func said(resp *http.Response) string {
	var p struct {
		Error  string `json:"error"`
		Remedy string `json:"remedy"`
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, refusalMax))
	switch {
	case err != nil || json.Unmarshal(b, &p) != nil || p.Error == "":
		return "no reason given"
	case p.Remedy != "":
		return p.Error + "; " + p.Remedy
	}
	return p.Error
}
