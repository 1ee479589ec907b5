package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"hindcast.dev/debug"
	"hindcast.dev/debug/web"
	"hindcast.dev/guard"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/live"
	"hindcast.dev/node"
)

const (
	// pageIdle is how long nobody asks before nodes are followed no more: following
	// costs each a second copy of its machines.
	pageIdle = 5 * time.Minute
	// pagePast is how much of what was is shown, if it is still there.
	pagePast = time.Minute
	// pageWait is how long the nodes may take to tell where they are.
	pageWait = 10 * time.Second
	// pageBytes is about how much of what the nodes tell is kept, pagePatience how long
	// one answer may take and pageAtOnce how many are worked out at once: the node has
	// something else to do.
	pageBytes    = 64 << 20
	pagePatience = 30 * time.Second
	pageAtOnce   = 2
)

// A nodePage is the debugger's page at a node's admin address. It follows nodes that
// run, its own first, as long as somebody looks. It is safe for concurrent use.
type nodePage struct {
	ctx   context.Context // ends when the node does
	addrs []string        // of the nodes that are followed
	token string          // for them
	opts  web.Options     // but for what is followed
	code  *codePlaces
	door  *web.Server // answers what needs no nodes, and those who may not ask
	idle  time.Duration

	mu     sync.Mutex
	open   *followed // nil while nobody looks
	askers int       // requests that are being answered
	nobody *time.Timer
	ended  bool
	gone   chan struct{} // closed when it is ended, and nothing runs any more
}

// followed is nodes that are followed, and the page over them.
type followed struct {
	cluster *live.Cluster
	page    *web.Server
	stop    context.CancelFunc // ends the page's work
	done    chan struct{}      // closed when that has ended
}

// pageOf makes the page of a node that is started with o, see node.Options.Page. nodes
// are the admin addresses of those that it follows beside its own, as live.Open takes
// them.
func pageOf(s Service, o node.Options, nodes []string) func(context.Context, *node.Node) http.Handler {
	return func(ctx context.Context, n *node.Node) http.Handler {
		own := ownAddress(n.AdminAddr())
		others := slices.DeleteFunc(slices.Clone(nodes), func(a string) bool {
			name, addr, named := strings.Cut(a, "=")
			return name == o.Name || !named && (a == own || a == o.Admin) || addr == own
		})
		p := &nodePage{ctx: ctx, idle: pageIdle, gone: make(chan struct{}), addrs: append([]string{o.Name + "=" + own}, others...), code: newCodePlaces(s.Machines),
			opts: web.Options{Title: s.Name + ", as it runs", Prefix: strings.TrimSuffix(node.PagePath, "/"), Patience: pagePatience, AtOnce: pageAtOnce}}
		for _, t := range o.Tokens {
			if p.token == "" && n.Admits(t.Secret, node.ScopeJournal) {
				p.token = t.Secret
			}
		}
		if len(o.Tokens) > 0 {
			p.opts.Admit = func(secret string) bool { return n.Admits(secret, node.ScopeJournal) }
		}
		nobody := p.opts
		nobody.Source = history.NewTail(0).Now()
		p.door = web.New(nobody)
		context.AfterFunc(ctx, p.end)
		return p
	}
}

// ownAddress is how a node reaches itself at what it listens on.
func ownAddress(listens string) string {
	host, port, err := net.SplitHostPort(listens)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listens
}

// ServeHTTP implements http.Handler.
func (p *nodePage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, node.PagePath+"api/") || !p.door.Admits(r) {
		p.door.ServeHTTP(w, r)
		return
	}
	f, err := p.enter()
	if err != nil {
		guard.WriteProblem(w, http.StatusServiceUnavailable, fmt.Sprintf("the nodes can't be followed: %v", err), "see that the node runs, and has a token with the scope journal:read if others want one")
		return
	}
	defer p.leave()
	f.page.ServeHTTP(w, r)
}

// enter is what is followed, for a request, which ends with leave.
func (p *nodePage) enter() (*followed, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return nil, node.ErrStopping
	}
	if p.open == nil {
		f, err := p.follow()
		if err != nil {
			return nil, err
		}
		p.open = f
	}
	if p.nobody != nil {
		p.nobody.Stop()
		p.nobody = nil
	}
	p.askers++
	return p.open, nil
}

func (p *nodePage) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.askers--; p.askers == 0 && !p.ended {
		p.nobody = time.AfterFunc(p.idle, p.rest)
	}
}

// follow begins to follow the nodes.
func (p *nodePage) follow() (*followed, error) {
	ctx, cancel := context.WithTimeout(p.ctx, pageWait)
	defer cancel()
	c, err := live.Open(ctx, p.addrs, live.ClusterOptions{Token: p.token, Bytes: pageBytes, From: hlc.FromTime(time.Now().Add(-pagePast))})
	if err != nil {
		return nil, err
	}
	f := &followed{cluster: c, done: make(chan struct{})}
	o := p.opts
	o.Source, o.Live = c.Now(), c
	o.Session = func() *debug.Session {
		session := debug.NewSession(c.Now(), io.Discard)
		session.Code = p.code.of
		return session
	}
	f.page = web.New(o)
	ctx, f.stop = context.WithCancel(p.ctx)
	go func() {
		defer close(f.done)
		_ = f.page.Run(ctx) // the page says what went wrong
	}()
	return f, nil
}

// rest ends following, if nobody looks.
func (p *nodePage) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.askers == 0 {
		p.close()
	}
}

// end ends it all: streams, too.
func (p *nodePage) end() {
	p.mu.Lock()
	p.ended = true
	if p.nobody != nil {
		p.nobody.Stop()
	}
	p.close()
	p.mu.Unlock()
	close(p.gone)
}

// close ends what is followed.
func (p *nodePage) close() {
	if p.open == nil {
		return
	}
	p.open.stop()
	<-p.open.done
	_ = p.open.cluster.Close() // it has no error of its own
	p.open = nil
}

// errNodes is what is wrong with --debug-nodes.
var errNodes = errors.New("want admin addresses of nodes, HOST:PORT,… or NAME=HOST:PORT,…")

// debugNodes reads --debug-nodes.
func debugNodes(text string) (nodes []string, err error) {
	for a := range strings.SplitSeq(text, ",") {
		if a = strings.TrimSpace(a); a == "" {
			continue
		}
		_, addr, named := strings.Cut(a, "=")
		if !named {
			addr = a
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return nil, fmt.Errorf("--debug-nodes %s: %w: %w", a, err, errNodes)
		}
		nodes = append(nodes, a)
	}
	return nodes, nil
}
