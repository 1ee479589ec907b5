package recording

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A part is a node's part of a snapshot.
type part struct {
	addr  string // as given, without a name
	node  Node
	api   *adminAPI
	watch *watch
	ans   CutAnswer
	err   error // why it is missing
}

// An IncompleteError says of which nodes a snapshot couldn't be had.
type IncompleteError struct {
	Nodes int // that were asked
	Lacks []string
	errs  []error
}

func (e *IncompleteError) Error() string {
	if len(e.Lacks) == 1 {
		return fmt.Sprintf("1 of %d nodes can't be had: %s", e.Nodes, e.Lacks[0])
	}
	return fmt.Sprintf("%d of %d nodes can't be had:\n%s", len(e.Lacks), e.Nodes, strings.Join(e.Lacks, "\n"))
}

// Unwrap returns why, by node.
func (e *IncompleteError) Unwrap() []error { return e.errs }

// incomplete is the error of a snapshot that lacks nodes; nil if it may, or doesn't.
func (t *taker) incomplete(parts []*part) error {
	e := &IncompleteError{Nodes: len(parts)}
	for _, p := range parts {
		if p.err == nil {
			continue
		}
		text := p.err.Error()
		if !strings.Contains(text, p.node.Name) {
			text = p.node.Name + ": " + text
		}
		e.Lacks, e.errs = append(e.Lacks, text), append(e.errs, p.err)
	}
	if n := len(e.Lacks); n == 0 || t.o.Partial && n < len(parts) {
		return nil
	}
	return e
}

// cuts asks all nodes at once for their cuts.
func (t *taker) cuts(ctx context.Context, addrs []string) []*part {
	parts := make([]*part, len(addrs))
	var wg sync.WaitGroup
	for i, a := range addrs {
		p := &part{addr: a}
		name, host, named := strings.Cut(a, "=")
		if named {
			p.addr = host
		} else {
			name = t.known(a)
		}
		p.node.Name, p.node.Address = name, p.addr
		parts[i] = p
		wg.Go(func() {
			if p.err = t.cut(ctx, p, named); p.node.Name == "" {
				p.node.Name = p.addr
			}
		})
	}
	wg.Wait()
	return parts
}

// unasked are parts of the nodes that others know as peers and nobody gave an address
// of: without them the snapshot isn't whole. Where as many didn't answer whose names
// aren't known, it is these.
func unasked(parts []*part) (out []*part) {
	asked, nameless := map[string]bool{}, 0
	for _, p := range parts {
		asked[p.node.Name] = true
		if p.err != nil && p.node.Name == p.addr {
			nameless++
		}
	}
	for _, p := range parts {
		for _, peer := range p.ans.Peers {
			if !asked[peer] {
				asked[peer] = true
				out = append(out, &part{node: Node{Name: peer}, err: fmt.Errorf("%s, which %s knows: no address of it is given", peer, p.ans.Node)})
			}
		}
	}
	if len(out) <= nameless {
		return nil
	}
	return out
}

// known is what the base calls the node of an address, "" if that isn't known.
func (t *taker) known(addr string) string {
	if t.o.Base != nil {
		for _, n := range t.o.Base.manifest.Nodes {
			if n.Address == addr {
				return n.Name
			}
		}
	}
	return ""
}

// cut asks a node for its cut. That it has the name it is known by is required if
// the caller named it.
func (t *taker) cut(ctx context.Context, p *part, named bool) (err error) {
	if p.api, err = newAPI(p.addr, PullOptions{Token: t.o.Token, Client: t.o.Client}); err != nil {
		return err
	}
	name := p.node.Name
	p.watch = &watch{api: p.api, silent: t.o.Silent, told: t.o.Waiting, began: time.Now(), node: func() string { return cmp.Or(name, p.addr) }}
	in := CutRequest{Time: t.o.At}
	err = p.watch.during(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, t.o.Wait)
		defer cancel()
		err := p.api.post(ctx, "snapshot", in, &p.ans)
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%s: it hasn't found the cut within %v", p.api.base, t.o.Wait)
		}
		return err
	})
	if err != nil {
		return err
	}
	a := &p.ans
	switch {
	case a.Node == "" || a.ID == "":
		return fmt.Errorf("%s: it doesn't say which node it is: is this an admin API?", p.api.base)
	case named && name != a.Node:
		return fmt.Errorf("%s: it is node %s, not %s", p.api.base, a.Node, name)
	case a.Cut.Time > t.o.At || a.Cut.From > a.Cut.Seq || a.Cut.InFlight != 0:
		return fmt.Errorf("%s: its cut at event %d (%v), from a checkpoint at %d, isn't one at %v", p.api.base, a.Cut.Seq, a.Cut.Time, a.Cut.From, t.o.At)
	}
	name = a.Node
	p.node = a.Info.node()
	p.node.Address = p.addr
	return nil
}

// service returns the one that all nodes run, and finds out which nodes are named
// twice.
func (t *taker) service(parts []*part) (service string, err error) {
	seen := map[string]*part{}
	for _, p := range parts {
		if p.err != nil {
			continue
		}
		if service == "" {
			service = p.ans.Service
		}
		other := seen[p.ans.Node]
		switch {
		case p.ans.Service != service:
			return "", fmt.Errorf("%s runs service %q, others run %q: take a snapshot of each", p.addr, p.ans.Service, service)
		case other != nil:
			return "", fmt.Errorf("%s and %s are the same node %s: name it once", other.addr, p.addr, p.ans.Node)
		}
		seen[p.ans.Node] = p
	}
	return service, nil
}

// release lets the nodes forget their cuts; what doesn't get there is forgotten
// after a minute.
func (t *taker) release(parts []*part) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	each(parts, func(p *part) {
		if p.ans.ID != "" {
			_ = p.api.do(ctx, http.MethodDelete, "snapshot/"+p.ans.ID, nil, nil)
		}
	})
}

// before is the error of a time at which nothing had happened yet on any node.
func (t *taker) before(parts []*part) error {
	var begins []string
	for _, p := range parts {
		if p.err == nil && p.ans.Cut.Seq > 0 {
			return nil
		}
		if p.err == nil && p.ans.Begins > 0 {
			begins = append(begins, fmt.Sprintf("%s at %v", p.ans.Node, p.ans.Begins))
		}
	}
	return fmt.Errorf("nothing had happened by %v: the journals begin later, %s; choose a later time", t.o.At, strings.Join(begins, ", "))
}
