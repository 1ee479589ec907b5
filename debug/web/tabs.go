package web

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"hindcast.dev/debug"
)

// tabsMax bounds the sessions that are kept: the one used longest ago goes first.
const tabsMax = 64

// tabHeader names the tab that asks, by a name that it made up.
const tabHeader = "Hindcast-Tab"

// tabNameMax bounds that name, in bytes.
const tabNameMax = 64

// tabs are the sessions, one for each tab of a browser, or script.
type tabs struct {
	make func() *debug.Session
	mu   sync.Mutex
	all  []*tab // the one used last at the end
}

// A tab is a session of which one command runs at a time.
type tab struct {
	name    string
	turn    chan struct{} // holds one token while a command runs
	session *debug.Session
}

// enter waits for a tab's turn, which ends with leave.
func (t *tabs) enter(ctx context.Context, r *http.Request) (*tab, error) {
	name := r.Header.Get(tabHeader)
	if len(name) > tabNameMax {
		return nil, problemf(http.StatusBadRequest, "", "the header %s has more than %d bytes", tabHeader, tabNameMax)
	}
	one := t.get(name)
	select {
	case one.turn <- struct{}{}:
		return one, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (t *tab) leave() { <-t.turn }

// within runs f in the tab's turn and ends that, also where f panics.
func (t *tab) within(f func()) {
	defer t.leave()
	f()
}

func (t *tabs) get(name string) *tab {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.all, func(o *tab) bool { return o.name == name })
	if i >= 0 {
		one := t.all[i]
		t.all = append(slices.Delete(t.all, i, i+1), one)
		return one
	}
	if len(t.all) == tabsMax {
		t.all = slices.Delete(t.all, 0, 1)
	}
	one := &tab{name: name, turn: make(chan struct{}, 1), session: t.make()}
	t.all = append(t.all, one)
	return one
}

// ask carries out a line where the session is, or as if it were at another place.
func (t *tab) ask(ctx context.Context, line, at string) (*debug.Answer, error) {
	if at == "" {
		return t.session.Ask(ctx, line)
	}
	p, err := t.session.Locate(ctx, at)
	if err != nil {
		return nil, problemf(http.StatusBadRequest, "", "at: %v", err)
	}
	return t.session.AskAt(ctx, p, line)
}
