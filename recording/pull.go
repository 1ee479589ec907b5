package recording

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"

	"hindcast.dev/vfs"
)

// Bounds on what another machine may make a pull take.
const (
	answerMax = 8 << 20 // bytes of an answer that isn't a file
	filesMax  = 1 << 20 // files in a list
	pullsMax  = 8       // nodes pulled at once
)

// PullOptions say how to pull. The zero value works.
type PullOptions struct {
	// Token goes to nodes that want one.
	Token string
	// Manifest is that of a recording that isn't there yet; its Service is found out.
	Manifest Manifest
	// Progress is told how far each node is, by one goroutine at a time. May be nil.
	Progress func(Progress)
	// Client makes the requests; nil is http.DefaultClient. It says how long a node
	// may keep silent.
	Client *http.Client
}

// Pull copies journals and checkpoints of nodes over their admin APIs into the
// recording in dir, which is made if there is none. An address is HOST:PORT, a
// URL, or NAME=either. What an earlier pull got is not got again, and a file that
// it left half-copied is gone on with.
//
// Only one pull at a time goes into a recording.
//
// A node that can't be reached or refuses isn't an error: it stands in the
// manifest as missing, or, if some of it is there already, with a gap that says
// why. An error is what concerns the recording itself, a manifest that can't be
// written or a context that has ended; and that no node at all could be reached.
// What was pulled until then is kept.
func Pull(ctx context.Context, fsys vfs.FS, dir string, addrs []string, o PullOptions) (*Recording, error) {
	if len(addrs) == 0 {
		return nil, errors.New("pull: no address of a node's admin API is given: want HOST:PORT,…")
	}
	rec, err := openOrCreate(fsys, dir, o.Manifest)
	if err != nil {
		return nil, err
	}
	lock, err := rec.lockPull()
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	// Read it only now: another pull may have changed it until it let go of the lock.
	if rec, err = Open(fsys, dir); err != nil {
		return nil, err
	}
	p := &puller{rec: rec, opts: o, busy: map[string]*sync.Mutex{}}
	got := p.all(ctx, addrs)
	if err := rec.Save(); err != nil {
		return rec, err
	}
	if err := ctx.Err(); err != nil {
		return rec, fmt.Errorf("pull: %w; run it again to go on from here", err)
	}
	if got == 0 {
		return rec, fmt.Errorf("pull: none of %s could be pulled: %w", strings.Join(addrs, ", "), p.first)
	}
	return rec, nil
}

func openOrCreate(fsys vfs.FS, dir string, m Manifest) (*Recording, error) {
	rec, err := Open(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Create(fsys, dir, m)
	}
	return rec, err
}

// pullLockName is beside the nodes' directories, none of which has a tilde in its
// name: it would be escaped.
const pullLockName = "~lock"

// lockPull keeps others from writing the manifest with less in it than this pull
// got. A system without locks goes without.
func (r *Recording) lockPull() (io.Closer, error) {
	dir := path.Join(r.dir, nodesName)
	if err := vfs.MkdirSync(r.fs, dir); err != nil {
		return nil, fmt.Errorf("pull into %s: %w", r.dir, err)
	}
	lock, err := r.fs.Lock(path.Join(dir, pullLockName))
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return io.NopCloser(nil), nil
	case errors.Is(err, vfs.ErrLocked):
		return nil, fmt.Errorf("another process pulls into %s: wait until that is done, then try again: %w", r.dir, err)
	case err != nil:
		return nil, fmt.Errorf("pull into %s: %w", r.dir, err)
	}
	return lock, nil
}

type puller struct {
	opts PullOptions

	mu    sync.Mutex // guards all below
	rec   *Recording
	busy  map[string]*sync.Mutex // by node: held while it is copied, so that a second address of it waits
	first error                  // why the first node that failed did
}

// all pulls every node and returns how many could be.
func (p *puller) all(ctx context.Context, addrs []string) int {
	slots := make(chan struct{}, pullsMax)
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := 0
	for _, a := range addrs {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if p.one(ctx, a) {
				mu.Lock()
				got++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return got
}

// one pulls one node, and reports whether all of it came.
func (p *puller) one(ctx context.Context, addr string) bool {
	name, host, named := strings.Cut(addr, "=")
	if !named {
		name, host = "", addr
	}
	api, err := newAPI(host, p.opts)
	if err != nil {
		p.failed(name, host, err)
		return false
	}
	info, err := p.greet(ctx, api, name)
	if err != nil {
		p.failed(name, host, err)
		return false
	}
	busy := p.turn(info.Node)
	busy.Lock()
	defer busy.Unlock()
	c := &copier{fs: p.rec.fs, from: api, to: p.rec.NodeDir(info.Node), node: info.Node, report: p.progress}
	if err := c.run(ctx); err != nil {
		p.failed(info.Node, host, err)
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := info.node()
	n.Address = host
	p.rec.AddNode(n)
	p.rec.endGaps(n.Name)
	return true
}

// Ask asks a node who it is, by the address of its admin API: HOST:PORT, a URL, or
// NAME=either. Of o it needs Token and Client.
func Ask(ctx context.Context, addr string, o PullOptions) (info Info, err error) {
	if _, host, named := strings.Cut(addr, "="); named {
		addr = host
	}
	api, err := newAPI(addr, o)
	if err == nil {
		err = api.get(ctx, "recording", &info)
	}
	return info, err
}

// turn returns what is held while a node is copied.
func (p *puller) turn(node string) *sync.Mutex {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy[node] == nil {
		p.busy[node] = new(sync.Mutex)
	}
	return p.busy[node]
}

// greet asks a node who it is, and whether it belongs here.
func (p *puller) greet(ctx context.Context, api *adminAPI, name string) (Info, error) {
	var info Info
	if err := api.get(ctx, "recording", &info); err != nil {
		return info, err
	}
	switch {
	case info.Node == "":
		return info, fmt.Errorf("%s: it doesn't say which node it is: is this an admin API?", api.base)
	case name != "" && name != info.Node:
		return info, fmt.Errorf("%s: it is node %s, not %s", api.base, info.Node, name)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.rec.manifest
	if m.Service == "" {
		m.Service = info.Service
	}
	if m.Service != info.Service {
		return info, fmt.Errorf("%s: it runs service %q, this is a recording of %q: pull it into a directory of its own", api.base, info.Service, m.Service)
	}
	return info, nil
}

func (p *puller) progress(pr Progress) {
	if p.opts.Progress == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opts.Progress(pr)
}

// PullFailed begins the reason of a gap that the next pull may fill.
const PullFailed = "pull failed: "

// endGaps removes the gaps that failed pulls have left.
func (r *Recording) endGaps(node string) {
	for i := range r.manifest.Nodes {
		if n := &r.manifest.Nodes[i]; n.Name == node {
			n.Gaps = slices.DeleteFunc(n.Gaps, func(g Gap) bool { return strings.HasPrefix(g.Reason, PullFailed) })
		}
	}
}

// failed notes why a node, or the rest of it, is missing.
func (p *puller) failed(name, addr string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first == nil {
		p.first = err
	}
	known := p.known(name, addr)
	known.Address = addr
	if p.hasJournal(known.Name) {
		known.Missing = "" // not all of it is, any more
		p.rec.AddNode(known)
		p.rec.AddGap(known.Name, Gap{Reason: PullFailed + err.Error()})
		return
	}
	known.Missing = err.Error()
	p.rec.AddNode(known)
}

// known is what the manifest says of a node: of the one with this name, or, where
// that isn't known, of the one that had this address.
func (p *puller) known(name, addr string) Node {
	for _, n := range p.rec.manifest.Nodes {
		if n.Name == name || name == "" && n.Address == addr {
			return n
		}
	}
	return Node{Name: cmp.Or(name, addr)}
}

// hasJournal reports whether some of a node's journal was copied before.
func (p *puller) hasJournal(name string) bool {
	files, err := ListJournal(p.rec.fs, p.rec.JournalDir(name))
	if err != nil {
		return false
	}
	for _, f := range files {
		if segmentName.MatchString(f.Name) {
			return true
		}
	}
	return false
}

// An adminAPI is a node's admin API as an origin.
type adminAPI struct {
	base   string // of the API, ends in a slash
	token  string
	client *http.Client
}

func newAPI(addr string, o PullOptions) (*adminAPI, error) {
	base := addr
	if !strings.Contains(base, "://") {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return nil, fmt.Errorf("%q: want HOST:PORT or a URL: %w", addr, err)
		}
		base = "http://" + addr
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q: want HOST:PORT or a URL", addr)
	}
	a := &adminAPI{base: strings.TrimSuffix(base, "/") + "/v1/", token: o.Token, client: o.Client}
	if a.client == nil {
		a.client = http.DefaultClient
	}
	return a, nil
}

func (a *adminAPI) list(ctx context.Context, sub string) ([]File, error) {
	var l FileList
	if err := a.get(ctx, sub, &l); err != nil {
		return nil, err
	}
	if len(l.Files) > filesMax {
		return nil, fmt.Errorf("%s%s: lists %d files, the most is %d", a.base, sub, len(l.Files), filesMax)
	}
	return l.Files, nil
}

// get asks for something in JSON.
func (a *adminAPI) get(ctx context.Context, what string, into any) error {
	resp, err := a.request(ctx, what, 0)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return a.decode(what, resp.Body, answerMax, into)
}

// decode reads an answer in JSON of so many bytes at most.
func (a *adminAPI) decode(what string, body io.Reader, most int64, into any) error {
	b, err := io.ReadAll(io.LimitReader(body, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("the answer is longer than %d bytes", most)
	}
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return fmt.Errorf("%s%s: %w", a.base, what, err)
	}
	return nil
}

func (a *adminAPI) open(ctx context.Context, sub, name string, off int64) (io.ReadCloser, int64, error) {
	resp, err := a.request(ctx, sub+"/"+url.PathEscape(name), off)
	if err != nil {
		return nil, 0, err
	}
	if resp.StatusCode != http.StatusPartialContent {
		return resp.Body, 0, nil
	}
	var at int64
	if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &at); err != nil {
		resp.Body.Close()
		return nil, 0, fmt.Errorf("%s%s/%s: Content-Range %q: want bytes FROM-TO/SIZE", a.base, sub, name, resp.Header.Get("Content-Range"))
	}
	return resp.Body, at, nil
}

// request makes a GET request, for the bytes from off on. The error of an answer
// 404 or 410 wraps fs.ErrNotExist.
func (a *adminAPI) request(ctx context.Context, what string, off int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+what, nil)
	if err != nil {
		return nil, err
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	if off > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", off))
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, a.refusal(what, resp)
}

// refusal is the error of an answer that isn't what was asked for.
func (a *adminAPI) refusal(what string, resp *http.Response) error {
	var said struct {
		Error  string `json:"error"`
		Remedy string `json:"remedy"`
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil && json.Unmarshal(b, &said) == nil && said.Error != "" {
		if said.Remedy != "" {
			said.Error += "; " + said.Remedy
		}
	} else {
		said.Error = "no reason given"
	}
	err = fmt.Errorf("%s%s: %s: %s", a.base, what, resp.Status, said.Error)
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
		return fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	return err
}
