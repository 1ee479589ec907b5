package debug

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql"
	"hindcast.dev/termtext"
)

// breaksMax bounds the breakpoints of a session.
const breaksMax = 100

// A Breakpoint is a set of events, or of cuts: continue goes to the next of those
// of all breakpoints, rewind to the last one before here.
type Breakpoint struct {
	Number int    `json:"number"`
	On     string `json:"on"`   // a key of breakKinds
	Text   string `json:"text"` // what follows it
}

func (*Breakpoint) kind() string { return "breakpoint" }

func (b *Breakpoint) writeText(t *textForm) {
	t.line("%3d  %s %s", b.Number, b.On, termtext.Printable(b.Text))
}

// A catcher tells of one walk, entry by entry, at which a breakpoint stops.
type catcher interface {
	// begin takes what was before the first entry.
	begin(states []*history.State) error
	catches(e *history.Event) (bool, error)
}

// breakKinds make the catcher of a breakpoint.
var breakKinds = []struct {
	on, want string
	make     func(ctx context.Context, s *Session, text string) (catcher, error)
}{
	{"where", "a condition, like: break where MAX(kv.count) > 5", catchCondition},
	{"kind", "a kind of event: recv, request, timer, note, …", catchKind},
	{"node", "a node", catchNode},
	{"message", "the name of a message's payload", catchMessage},
	{"change", `a variable or a part of one, of all nodes or one, like: break change n2 kv.items["x"]`, catchChange},
}

func breakHelp() string {
	var kinds []string
	for _, k := range breakKinds {
		kinds = append(kinds, k.on)
	}
	return strings.Join(kinds, ", ")
}

func (s *Session) catcher(ctx context.Context, on, text string) (catcher, error) {
	for _, k := range breakKinds {
		switch {
		case k.on != on:
		case text == "":
			return nil, commandErrorf("break", "%s: want %s", on, k.want)
		default:
			return k.make(ctx, s, text)
		}
	}
	return nil, commandErrorf("break", "%q: a breakpoint is one of %s; help break shows examples", on, breakHelp())
}

// eventCatcher catches events by what they are.
type eventCatcher func(e *history.Event) bool

func (eventCatcher) begin([]*history.State) error { return nil }

func (c eventCatcher) catches(e *history.Event) (bool, error) { return !e.Base && c(e), nil }

func catchKind(_ context.Context, _ *Session, text string) (catcher, error) {
	return eventCatcher(func(e *history.Event) bool { return e.Kind == text }), nil
}

func catchNode(_ context.Context, s *Session, text string) (catcher, error) {
	n, err := s.nodeArg("break", text)
	return eventCatcher(func(e *history.Event) bool { return e.Node == n }), err
}

// catchMessage catches a message where it is sent and where it arrives.
func catchMessage(_ context.Context, _ *Session, text string) (catcher, error) {
	return eventCatcher(func(e *history.Event) bool {
		return e.Name == text && e.Kind != event.Note.String() || slices.ContainsFunc(e.Effects, func(f history.Effect) bool {
			return f.Kind == "send" && f.Name == text
		})
	}), nil
}

// changeCatcher catches changes of what a path leads to.
type changeCatcher struct {
	s      *Session
	node   int // -1: all
	v      history.VarID
	path   string
	states []*history.State // with that variable alone
}

func catchChange(ctx context.Context, s *Session, text string) (catcher, error) {
	c := &changeCatcher{s: s, node: -1, path: text}
	if n, path, ok := s.cutNode(text); ok && path != "" {
		c.node, c.path = n, path
	}
	if _, _, err := event.ParsePath(c.path); err != nil {
		return nil, commandErrorf("break", "%s: %v", c.path, err)
	}
	v, ok := s.variable(c.path)
	if !ok {
		return nil, commandErrorf("break", "%q is no variable%s", c.path, s.hint(c.path))
	}
	c.v = v
	return c, s.fill(ctx, "break", []history.VarID{v})
}

func (c *changeCatcher) begin(states []*history.State) error {
	c.states = make([]*history.State, len(states))
	for n, st := range states {
		c.states[n] = history.NewState()
		if st != nil {
			c.states[n].Set(c.v, st.Get(c.v))
		}
	}
	return nil
}

func (c *changeCatcher) catches(e *history.Event) (bool, error) {
	touched := false
	for i := range e.Changes {
		touched = touched || e.Changes[i].Var == c.v
	}
	if !touched || c.node >= 0 && e.Node != c.node {
		return false, nil
	}
	st := c.states[e.Node]
	before, err := c.s.lookupPath(st, c.path)
	if err != nil {
		return false, err
	}
	for i := range e.Changes {
		if e.Changes[i].Var == c.v {
			st.Apply(&e.Changes[i])
		}
	}
	now, err := c.s.lookupPath(st, c.path)
	return !e.Base && !event.Equal(before, now), err
}

// conditionCatcher catches the cuts at which a condition begins to hold.
type conditionCatcher struct {
	ctx   context.Context
	s     *Session
	c     *rql.Condition
	ev    *rql.Evaluator
	holds bool
}

func catchCondition(ctx context.Context, s *Session, text string) (catcher, error) {
	c, err := s.condition(ctx, "break where", text)
	return &conditionCatcher{ctx: ctx, s: s, c: c}, err
}

func (c *conditionCatcher) begin(states []*history.State) (err error) {
	own := make([]*history.State, len(states))
	for n, st := range states {
		if st != nil {
			own[n] = st.Clone()
		}
	}
	c.ev, err = c.c.Evaluator(c.ctx, own, rql.Options{Now: c.s.meta.Last.Time})
	return err
}

func (c *conditionCatcher) catches(e *history.Event) (bool, error) {
	ok, err := c.ev.Feed(e)
	if e.Base || err != nil {
		return false, err
	}
	begins := ok && !c.holds
	c.holds = ok
	return begins, nil
}

// trap is a walk with all breakpoints set.
type trap struct {
	cur      history.Cursor
	catchers []catcher
	breaks   []*Breakpoint
	at       history.Position
	hit      []int // of breaks, at at
}

// catchers makes those of all breakpoints; whole says that one of them must see
// the walk from its beginning.
func (s *Session) catchers(ctx context.Context) (cs []catcher, whole bool, err error) {
	for _, b := range s.breaks {
		c, err := s.catcher(ctx, b.On, b.Text)
		if err != nil {
			return nil, false, err
		}
		if cond, ok := c.(*conditionCatcher); ok {
			whole = whole || cond.c.FromBegin()
		}
		cs = append(cs, c)
	}
	return cs, whole, nil
}

// trapFrom begins a walk with the entry at p: only from the second on it is known
// whether a condition begins to hold.
func (s *Session) trapFrom(ctx context.Context, cs []catcher, p history.Position) (*trap, error) {
	cur, err := s.src.Walk(ctx, p, history.End, nil)
	if err != nil {
		return nil, err
	}
	states := cur.States()
	for _, c := range cs {
		if err := c.begin(states); err != nil {
			return nil, errors.Join(err, cur.Close())
		}
	}
	return &trap{cur: cur, catchers: cs, breaks: s.breaks}, nil
}

// next goes to the next event and tells in hit which breakpoints stop there.
func (t *trap) next() error {
	for {
		e, err := t.cur.Next()
		if err != nil {
			return err
		}
		t.hit = t.hit[:0]
		for i, c := range t.catchers {
			ok, err := c.catches(e)
			if err != nil {
				return err
			}
			if ok {
				t.hit = append(t.hit, i)
			}
		}
		if !e.Base {
			t.at = e.Position
			return nil
		}
	}
}

func (s *Session) breaksSet(command string) error {
	if len(s.breaks) == 0 {
		return commandErrorf(command, "there are no breakpoints: break sets one, like: break kind timer; or %s goes to a condition",
			map[string]string{"continue": "where", "rewind": "rwhere"}[command])
	}
	return nil
}

func runContinue(ctx context.Context, s *Session, _ string) error {
	if err := s.breaksSet("continue"); err != nil {
		return err
	}
	from := s.at
	for {
		found, err := s.runTo(ctx, from)
		if found {
			s.leave(true)
		}
		if found || err != nil {
			return err
		}
		more, err := s.more(ctx)
		if err != nil {
			return err
		}
		if !more {
			s.at = s.meta.Last
			s.remark("no breakpoint stops before the end")
			return s.showPlace(ctx)
		}
		from = s.at
	}
}

// runTo goes to the next breakpoint behind a place, if there is one.
func (s *Session) runTo(ctx context.Context, from history.Position) (found bool, err error) {
	cs, whole, err := s.catchers(ctx)
	if err != nil {
		return false, err
	}
	p := from
	if whole {
		p = history.Begin
	}
	t, err := s.trapFrom(ctx, cs, p)
	if err != nil {
		return false, err
	}
	defer t.cur.Close()
	for {
		err := t.next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("continue: %w", err)
		}
		if len(t.hit) > 0 && t.at.Compare(from) > 0 {
			return true, s.stop(ctx, t.at, t.hit, t.catchers)
		}
	}
}

// stop arrives at a breakpoint.
func (s *Session) stop(ctx context.Context, at history.Position, hit []int, cs []catcher) error {
	s.at = at
	for _, i := range hit {
		s.say(&Stop{*s.breaks[i]})
		if c, ok := cs[i].(*conditionCatcher); ok {
			if w := witnessOf(c.ev.Witness()); w != nil {
				s.say(w)
			}
		}
	}
	return s.showPlace(ctx)
}

// A Stop says which breakpoint stopped.
type Stop struct {
	Breakpoint
}

func (*Stop) kind() string { return "stop" }

func (b *Stop) writeText(t *textForm) {
	t.line("breakpoint %d: %s %s", b.Number, b.On, termtext.Printable(b.Text))
}

// runRewind looks at stretches of the walk, the nearest first, each of which
// begins with the last event of the one before it.
func runRewind(ctx context.Context, s *Session, _ string) error {
	if err := s.breaksSet("rewind"); err != nil {
		return err
	}
	cs, whole, err := s.catchers(ctx)
	if err != nil {
		return err
	}
	end, n := s.at, chunkFirst
	for end != history.Begin {
		start := history.Begin
		if !whole {
			es, err := s.src.Before(ctx, end, n, nil)
			if err != nil {
				return err
			}
			if len(es) == n {
				start = es[0].Position
			}
		}
		at, found, err := s.lastStop(ctx, cs, start, end)
		if err != nil {
			return fmt.Errorf("rewind: %w", err)
		}
		if found {
			return s.rewindTo(ctx, at, start)
		}
		end, n = start, min(2*n, chunkMax)
		if start != history.Begin {
			end = start.After()
		}
	}
	s.at = history.Begin
	s.remark("no breakpoint stops before here")
	return s.showPlace(ctx)
}

// lastStop is the last event in (start, end), or [Begin, end), at which a
// breakpoint stops.
func (s *Session) lastStop(ctx context.Context, cs []catcher, start, end history.Position) (at history.Position, found bool, err error) {
	err = s.stopsIn(ctx, cs, start, end, func(t *trap) bool {
		at, found = t.at, true
		return true
	})
	return at, found, err
}

// stopsIn calls f at every stop in (start, end), or [Begin, end), until it returns
// false.
func (s *Session) stopsIn(ctx context.Context, cs []catcher, start, end history.Position, f func(*trap) bool) error {
	for _, c := range cs {
		if cond, ok := c.(*conditionCatcher); ok {
			cond.holds = false
		}
	}
	t, err := s.trapFrom(ctx, cs, start)
	if err != nil {
		return err
	}
	defer t.cur.Close()
	for {
		err := t.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || t.at.Compare(end) >= 0 {
			return err
		}
		if len(t.hit) > 0 && (t.at != start || start == history.Begin) && !f(t) {
			return nil
		}
	}
}

// rewindTo arrives at a stop and says which breakpoints it is of.
func (s *Session) rewindTo(ctx context.Context, at, start history.Position) error {
	cs, _, err := s.catchers(ctx)
	if err != nil {
		return err
	}
	var arrived error
	err = s.stopsIn(ctx, cs, start, at.After(), func(t *trap) bool {
		if t.at == at {
			arrived = s.stop(ctx, at, t.hit, t.catchers)
		}
		return t.at != at
	})
	return errors.Join(err, arrived)
}

func runBreak(ctx context.Context, s *Session, args string) error {
	if args == "" {
		for _, b := range s.breaks {
			s.say(b)
		}
		if len(s.breaks) == 0 {
			s.remark("no breakpoints; help break shows how one is set")
		}
		return nil
	}
	on, text, _ := strings.Cut(args, " ")
	text = strings.TrimSpace(text)
	if _, err := s.catcher(ctx, on, text); err != nil {
		return err
	}
	if len(s.breaks) >= breaksMax {
		return commandErrorf("break", "there are %d breakpoints, as many as there can be: delete some", breaksMax)
	}
	b := &Breakpoint{Number: 1, On: on, Text: text}
	if n := len(s.breaks); n > 0 {
		b.Number = s.breaks[n-1].Number + 1
	}
	s.breaks = append(slices.Clip(s.breaks), b)
	s.version++
	s.say(b)
	return nil
}

func runDelete(_ context.Context, s *Session, args string) error {
	if strings.EqualFold(args, "all") {
		s.breaks = nil
		s.version++
		return nil
	}
	n, err := strconv.Atoi(args)
	i := slices.IndexFunc(s.breaks, func(b *Breakpoint) bool { return b.Number == n })
	if err != nil || i < 0 {
		return commandErrorf("delete", "no breakpoint %q; break lists them, delete all removes them all", args)
	}
	s.breaks = slices.Delete(slices.Clone(s.breaks), i, i+1)
	s.version++
	return nil
}
