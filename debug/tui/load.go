package tui

import (
	"context"
	"io"
	"slices"

	tea "charm.land/bubbletea/v2"

	"hindcast.dev/debug"
	"hindcast.dev/event"
	"hindcast.dev/history"
)

// A nearby is what there is around a cut: read whenever the place changes, and no
// more of it than the screen has room for.
type nearby struct {
	at    history.Position
	meta  *history.Meta
	rows  []history.Event
	event *debug.Event // nil at the beginning
	cause *debug.Event // what caused it; nil if nothing recorded did
	lost  map[string]string
	err   error
	deep  int  // how many events were asked for on either side
	full  bool // there were as many behind the cut
	stale bool // another is wanted
}

// A global is the state of all nodes at a cut, and what the event there changed.
type global struct {
	at     history.Position
	meta   *history.Meta
	states []*history.State
	was    *history.State // of the event's node, before it
	diff   []debug.Part
	err    error
	stale  bool
}

type (
	nearLoaded   nearby
	globalLoaded global
)

// load reads what is wanted and not being read yet.
func (m *model) load() tea.Cmd {
	var cmds []tea.Cmd
	if deep := max(m.h, 24); deep > m.nearby.deep {
		m.nearby.stale, m.nearby.deep = true, deep
	}
	if m.nearby.stale && !m.loading[0] {
		m.loading[0], m.nearby.stale = true, false
		cmds = append(cmds, m.work.loadNear(m.survey, m.at, m.nearby.deep))
	}
	if m.global.stale && !m.loading[1] {
		m.loading[1], m.global.stale = true, false
		cmds = append(cmds, m.work.loadGlobal(m.survey, m.at))
	}
	return tea.Batch(cmds...)
}

// viewer is a session beside the one that is moved.
func viewer(ctx context.Context, src history.Source, survey *debug.Survey, at history.Position) (*debug.Session, error) {
	s := debug.NewSession(src, io.Discard)
	s.Index = survey.Index
	if at == history.Begin {
		return s, nil
	}
	found, err := s.GoTo(ctx, src.Meta().Nodes[at.Node].Name, at.Seq)
	if err == nil && !found {
		err = history.ErrNoEvent
	}
	return s, err
}

func (w *workshop) loadNear(survey *debug.Survey, at history.Position, deep int) tea.Cmd {
	return w.do(func(ctx context.Context) tea.Msg {
		n := nearby{at: at, deep: deep, lost: map[string]string{}}
		w.reading(func(src history.Source) {
			n.meta = src.Meta()
			n.err = n.read(ctx, src, survey)
		})
		return nearLoaded(n)
	})
}

// read reads what is around the cut.
func (n *nearby) read(ctx context.Context, src history.Source, survey *debug.Survey) error {
	s, err := viewer(ctx, src, survey, n.at)
	if err != nil {
		return err
	}
	if n.rows, err = s.Nearby(ctx, n.deep, n.deep); err != nil {
		return err
	}
	here, _ := slices.BinarySearchFunc(n.rows, n.at, func(e history.Event, p history.Position) int { return e.Position.Compare(p) })
	n.full = len(n.rows)-here > n.deep
	drops := survey.Index().Losses
	if n.lost, err = debug.Lost(ctx, src, n.rows, drops); err != nil {
		return err
	}
	if n.at == history.Begin {
		return nil
	}
	if n.event, err = wholeEvent(ctx, s); err != nil {
		return err
	}
	if err := n.fates(ctx, src, drops); err != nil {
		return err
	}
	return n.findCause(ctx, src)
}

// wholeEvent is all that the session tells of the event where it is.
func wholeEvent(ctx context.Context, s *debug.Session) (*debug.Event, error) {
	a, err := s.Ask(ctx, "event")
	if err != nil {
		return nil, err
	}
	for _, p := range a.Parts {
		if e, ok := p.(*debug.Event); ok {
			return e, nil
		}
	}
	return nil, history.ErrNoEvent
}

// fates finds out what became of the messages, timers and calls of the event.
func (n *nearby) fates(ctx context.Context, src history.Source, lost func(message string) []debug.Drop) error {
	for _, f := range n.event.Effects {
		began := slices.Contains([]string{event.EffectSend.String(), event.EffectSetTimer.String(), event.EffectCall.String()}, f.Kind)
		if !began || f.ID == "" {
			continue
		}
		msg, err := src.Message(ctx, f.ID)
		if err != nil {
			return err
		}
		fate := &debug.Fate{}
		for _, p := range msg.Receives {
			fate.Received = append(fate.Received, n.place(p))
		}
		drops := lost(f.ID)
		if len(msg.Receives) == 0 && len(drops) > 0 {
			fate.Dropped = debug.Why(drops)
			for _, d := range drops {
				fate.Notes = append(fate.Notes, debug.DropNote{Node: n.meta.Nodes[d.Node].Name, Seq: d.Seq, Reason: d.Reason})
			}
		}
		if len(msg.Receives) > 0 || f.Kind == event.EffectSend.String() {
			f.Fate = fate
		}
	}
	return nil
}

// findCause looks for the event that sent what the event came of.
func (n *nearby) findCause(ctx context.Context, src history.Source) error {
	if n.event.ID == "" {
		return nil
	}
	msg, err := src.Message(ctx, n.event.ID)
	if err != nil || !msg.Sent || msg.Send == n.at {
		return err
	}
	e, err := src.Event(ctx, msg.Send.Node, msg.Send.Seq)
	if err != nil {
		return err
	}
	n.cause = &debug.Event{Place: n.place(msg.Send), Kind: e.Kind, Name: e.Name, Peer: e.Peer}
	return nil
}

func (n *nearby) place(p history.Position) debug.Place {
	return debug.Place{Node: n.meta.Nodes[p.Node].Name, Seq: p.Seq, Time: p.Time}
}

func (w *workshop) loadGlobal(survey *debug.Survey, at history.Position) tea.Cmd {
	return w.do(func(ctx context.Context) tea.Msg {
		g := global{at: at}
		w.reading(func(src history.Source) {
			g.meta = src.Meta()
			g.err = g.read(ctx, src, survey)
		})
		return globalLoaded(g)
	})
}

// read reads the states just after the event, and of its node just before.
func (g *global) read(ctx context.Context, src history.Source, survey *debug.Survey) (err error) {
	if g.states, err = statesAt(ctx, src, g.at.After(), nil); err != nil || g.at == history.Begin {
		return err
	}
	before, err := statesAt(ctx, src, g.at, []int{g.at.Node})
	if err != nil {
		return err
	}
	if g.was = before[g.at.Node]; g.was == nil {
		g.was = history.NewState()
	}
	s, err := viewer(ctx, src, survey, g.at)
	if err != nil {
		return err
	}
	a, err := s.Ask(ctx, "diff")
	g.diff = a.Parts
	return err
}

func statesAt(ctx context.Context, src history.Source, at history.Position, nodes []int) ([]*history.State, error) {
	c, err := history.WalkThrough(ctx, src, at, at, nodes, history.Lens{All: true})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.States(), nil
}

// nearLoaded and globalLoaded take in what was read, unless another is wanted
// already and this one failed.
func (m *model) nearLoaded(n nearby) {
	n.stale, n.deep = n.stale || m.nearby.stale, max(n.deep, m.nearby.deep)
	if n.err != nil && m.work.ctx.Err() == nil {
		m.message = message{"reading failed: " + firstLine(n.err.Error()), true}
	}
	if n.err != nil && n.rows == nil {
		n.rows, n.meta = m.nearby.rows, m.nearby.meta
	}
	m.nearby = n
	m.diagram.stale = true
	m.staleSides(paneEvent, paneList)
}

func (m *model) globalLoaded(g global) {
	g.stale = m.global.stale
	m.global = g
	m.tree.stale = true
	m.staleSides(paneState, paneDiff)
	if g.err != nil && m.work.ctx.Err() == nil {
		m.message = message{"reading the state failed: " + firstLine(g.err.Error()), true}
	}
}
