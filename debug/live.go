package debug

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/live"
	"hindcast.dev/termtext"
)

// A Live is a History that grows while it is looked at. A *live.Cluster is one.
type Live interface {
	// Now is what there is now, as a History that doesn't change.
	Now() history.Source
	// Changed returns a channel that is closed when there is more.
	Changed() <-chan struct{}
	// Status is how far it is, and who isn't heard.
	Status() live.Status
}

// Refresh takes in what there is by now of a History that grows; every command does,
// first. The place stays where it is, or is the end while the session follows it.
func (s *Session) Refresh(ctx context.Context) error {
	if s.Live == nil {
		return nil
	}
	if src := s.Live.Now(); src != s.src {
		old := s.meta
		s.src, s.meta, s.lost = src, src.Meta(), nil
		s.renumber(old)
	}
	if s.following {
		s.at = s.meta.Last
		return nil
	}
	return s.stay(ctx)
}

// stay is at the beginning if the place is forgotten of a History that grows.
func (s *Session) stay(ctx context.Context) error {
	if s.Live == nil || s.at == history.Begin {
		return nil
	}
	e, err := s.src.Event(ctx, s.at.Node, s.at.Seq)
	if errors.Is(err, history.ErrNoEvent) || err == nil && e.Position != s.at { // a node that lost its end counts anew
		s.remark("%s is forgotten: %s are kept, from %s on, and the place is START now", s.name(s.at), countOf(s.meta.Events, "event"), s.meta.First.Time)
		s.at = history.Begin
		return nil
	}
	return err
}

// renumber gives places the numbers that nodes have now.
func (s *Session) renumber(old *history.Meta) {
	if sameNodes(old, s.meta) {
		return
	}
	move := func(p *history.Position) {
		if *p == history.Begin {
			return
		}
		n, ok := s.meta.NodeIndex(old.Nodes[p.Node].Name)
		if p.Node = n; !ok {
			*p = history.Begin
		}
	}
	move(&s.at)
	for _, views := range [][]view{s.past.undo, s.past.redo} {
		for i := range views {
			move(&views[i].at)
		}
	}
	for i := range s.hits {
		move(&s.hits[i])
	}
}

// sameNodes reports whether nodes have the same numbers in two Histories.
func sameNodes(a, b *history.Meta) bool {
	return a == b || slices.EqualFunc(a.Nodes, b.Nodes, func(x, y history.Node) bool { return x.Name == y.Name })
}

func countOf(n uint64, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// live refuses a command that is for a History that grows.
func (s *Session) live(command string) error {
	if s.Live == nil {
		return commandErrorf(command, "this is a recording, nothing is followed: hindcast debug HOST:PORT,… follows nodes that run")
	}
	return nil
}

// A LiveStatus tells how far a History that grows is.
type LiveStatus struct {
	Events    uint64        `json:"events"`
	Forgotten uint64        `json:"forgotten,omitempty"`
	Reach     hlc.Timestamp `json:"reach"` // up to then all is there of the nodes that are heard
	Following bool          `json:"following"`
	Ended     string        `json:"ended,omitempty"` // why nothing comes any more
	Nodes     []LiveNode    `json:"nodes"`
}

// A LiveNode tells whether a node is heard.
type LiveNode struct {
	Node   string `json:"node"`
	Silent string `json:"silent,omitempty"` // why it isn't heard
}

func (*LiveStatus) kind() string { return "live" }

func (l *LiveStatus) writeText(t *textForm) {
	follows := ""
	if l.Following {
		follows = "; the place follows the end"
	}
	t.line("%s, complete up to %v%s", countOf(l.Events, "event"), l.Reach, follows)
	if l.Forgotten > 0 {
		t.line("%s before them are forgotten", countOf(l.Forgotten, "event"))
	}
	if l.Ended != "" {
		t.line("nothing comes any more: %s", termtext.Printable(l.Ended))
	}
	for _, n := range l.Nodes {
		what := "is heard"
		if n.Silent != "" {
			what = "isn't heard: " + n.Silent
		}
		t.line("  %s  %s", termtext.Name(n.Node), termtext.Printable(what))
	}
}

func runLive(_ context.Context, s *Session, _ string) error {
	if err := s.live("live"); err != nil {
		return err
	}
	st := s.Live.Status()
	out := &LiveStatus{Events: s.meta.Events, Forgotten: st.Forgotten, Reach: st.Reach, Following: s.following}
	if st.Ended {
		out.Ended = "following has ended"
		if st.Err != nil {
			out.Ended = st.Err.Error()
		}
	}
	for _, n := range st.Nodes {
		out.Nodes = append(out.Nodes, LiveNode{n.Name, n.Silent})
	}
	s.say(out)
	return nil
}

func runFollow(ctx context.Context, s *Session, args string) error {
	if err := s.live("follow"); err != nil {
		return err
	}
	switch args {
	case "", "on":
		s.following = true
		s.at = s.meta.Last
		return s.showPlace(ctx)
	case "off":
		s.following = false
		return nil
	}
	return commandErrorf("follow", "%q: want on or off", args)
}

// leave ends following when a command went elsewhere, or found what it looked for at
// the end.
func (s *Session) leave(found bool) {
	if s.following && (found || s.at != s.meta.Last) {
		s.following = false
		s.remark("the place no longer follows the end")
	}
}

// more waits, at the end of what is there, until there is more behind it: if the
// session follows the end of a History that grows, and Waits. The place is then what
// was the end. Its error is that of ctx.
func (s *Session) more(ctx context.Context) (bool, error) {
	if s.Live == nil || !s.following || !s.Waits {
		return false, nil
	}
	s.at = s.meta.Last
	for {
		changed := s.Live.Changed()
		ended := s.Live.Status().Ended
		if src := s.Live.Now(); src.Meta().Last != s.meta.Last {
			old := s.meta
			s.src, s.meta, s.lost = src, src.Meta(), nil
			s.renumber(old)
			return true, nil
		}
		if ended {
			return false, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}
