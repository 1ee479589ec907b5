package debug

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"hindcast.dev/history"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
	"hindcast.dev/termtext"
)

// Events that rwhere looks at in one go: it begins near and widens.
const (
	chunkFirst = 256
	chunkMax   = 16 << 10
)

func runWhere(ctx context.Context, s *Session, args string) error {
	for {
		done, err := s.whereFrom(ctx, args)
		if done || err != nil {
			return err
		}
	}
}

// whereFrom goes to the next cut at which a condition begins to hold; done is false if
// there was none, and now there is more behind here, which was the end.
func (s *Session) whereFrom(ctx context.Context, args string) (done bool, err error) {
	c, err := s.condition(ctx, "where", args)
	if err != nil {
		return true, err
	}
	w, err := s.watchFrom(ctx, c, s.at)
	if err != nil {
		return true, err
	}
	defer w.Close()
	before := false
	for {
		ok, err := w.next()
		if errors.Is(err, io.EOF) {
			if more, err := s.more(ctx); more || err != nil {
				return false, err
			}
			s.notFound("later", before, w)
			s.showNotes(w, args)
			return true, s.showPlace(ctx)
		}
		if err != nil {
			return true, fmt.Errorf("where: %w", err)
		}
		if ok && !before && w.at.Compare(s.at) > 0 {
			s.at = w.at
			s.showWitness(w)
			err := s.showPlace(ctx)
			s.leave(true)
			return true, err
		}
		before = ok
	}
}

// condition compiles what stands after the command, and sees to it that what is
// in the variables which it names is there.
func (s *Session) condition(ctx context.Context, command, args string) (*rql.Condition, error) {
	if args == "" {
		return nil, commandErrorf(command, "want a condition, like: %s (inv.a > 5) LINK SAME_NODE", command)
	}
	c, err := rql.CompileCondition(s.meta, args)
	var mistake *syntax.Error
	if errors.As(err, &mistake) {
		return nil, commandErrorf(command, "%s", strings.TrimRight(mistake.Render(args), "\n"))
	}
	if err != nil {
		return nil, err
	}
	meta := s.meta
	if err := s.fill(ctx, command, c.Variables()); err != nil || s.meta == meta {
		return c, err
	}
	return rql.CompileCondition(s.meta, args)
}

// notFound says that a search ended without a cut.
func (s *Session) notFound(when string, here bool, w *watcher) {
	if here {
		s.remark("it holds from here to the end: no %s cut at which it begins to", when)
	} else {
		s.remark("no %s cut at which it holds", when)
	}
	s.showFaults(w)
}

// showFaults says what may be why a condition holds nowhere.
func (s *Session) showFaults(w *watcher) {
	for _, f := range w.ev.Errors() {
		s.remark("note: %s, %d times, first at %s:%d", f.What(), f.Count, termtext.Name(f.Node), f.Seq)
	}
}

// showNotes says what is most likely a mistake in a condition that holds nowhere.
func (s *Session) showNotes(w *watcher, text string) {
	for _, a := range w.ev.Absent() {
		s.remark("note: %s", strings.TrimSuffix(a.Note().Render(text), "\n"))
	}
	for _, u := range w.ev.Unequal() {
		s.remark("note: %s", strings.TrimSuffix(u.Note().Render(text), "\n"))
	}
}

func (s *Session) showWitness(w *watcher) {
	if chosen := witnessOf(w.ev.Witness()); chosen != nil {
		s.say(chosen)
	}
}

// A watcher follows a condition along the walk.
type watcher struct {
	cur history.Cursor
	ev  *rql.Evaluator
	at  history.Position // the cut last decided
}

// watchFrom returns a watcher whose first cut is at p, or earlier where the
// condition needs it.
func (s *Session) watchFrom(ctx context.Context, c *rql.Condition, p history.Position) (*watcher, error) {
	if c.FromBegin() {
		p = history.Begin
	}
	cur, err := s.src.Walk(ctx, p, history.End, nil)
	if err != nil {
		return nil, err
	}
	ev, err := c.Evaluator(ctx, cur.States(), rql.Options{Now: s.meta.Last.Time})
	if err != nil {
		return nil, errors.Join(err, cur.Close())
	}
	return &watcher{cur: cur, ev: ev}, nil
}

// next decides the next cut; io.EOF after the last one.
func (w *watcher) next() (bool, error) {
	for {
		e, err := w.cur.Next()
		if err != nil {
			return false, err
		}
		ok, err := w.ev.Feed(e)
		if e.Base && err == nil {
			continue
		}
		w.at = e.Position
		return ok, err
	}
}

// Close closes the cursor.
func (w *watcher) Close() error { return w.cur.Close() }

// runRWhere looks for the last cut of the last run of matching cuts that is
// over before here. It decides stretches of the walk, the nearest first:
//
//	…│ · · ■ ■ ■ │ · · ■ │ ■ ■ here
//	          ▲       └──────────── the run that here is in
func runRWhere(ctx context.Context, s *Session, args string) error {
	c, err := s.condition(ctx, "rwhere", args)
	if err != nil {
		return err
	}
	if s.at == history.Begin {
		return commandErrorf("rwhere", "before the first event there is no earlier cut: goto END, or a time, comes first")
	}
	end, inRun, n := s.at.After(), true, chunkFirst
	for {
		start, err := s.chunk(ctx, c, end, n)
		if err != nil {
			return err
		}
		r, err := s.runsBetween(ctx, c, start, end, inRun)
		if err != nil {
			return fmt.Errorf("rwhere: %w", err)
		}
		if r.found {
			return s.arrive(ctx, c, r.last)
		}
		if start == history.Begin {
			s.notFound("earlier", false, r.w)
			return s.showPlace(ctx)
		}
		end, inRun, n = start, r.throughout, min(2*n, chunkMax)
	}
}

// arrive goes to a cut at which a condition holds and says by which nodes.
func (s *Session) arrive(ctx context.Context, c *rql.Condition, p history.Position) error {
	w, err := s.watchFrom(ctx, c, p)
	if err != nil {
		return err
	}
	defer w.Close()
	for w.at != p {
		if _, err := w.next(); err != nil {
			return fmt.Errorf("rwhere: %w", err)
		}
	}
	s.at = p
	s.showWitness(w)
	return s.showPlace(ctx)
}

// chunk returns where a stretch of n events before end begins: Begin if there
// are no events before it.
func (s *Session) chunk(ctx context.Context, c *rql.Condition, end history.Position, n int) (history.Position, error) {
	if c.FromBegin() {
		return history.Begin, nil
	}
	es, err := s.src.Before(ctx, end, n, nil)
	if err != nil || len(es) < n {
		return history.Begin, err
	}
	return es[0].Position, nil
}

// A stretch is what is known of the cuts of a part of the walk.
type stretch struct {
	found      bool
	last       history.Position // of the last run that is over, if found
	throughout bool             // it holds at all of the cuts that belong to the run behind
	w          *watcher
}

// runsBetween decides the cuts in [start, end). If inRun, the run that reaches
// the end is the one behind, which isn't looked for.
func (s *Session) runsBetween(ctx context.Context, c *rql.Condition, start, end history.Position, inRun bool) (stretch, error) {
	w, err := s.watchFrom(ctx, c, start)
	if err != nil {
		return stretch{}, err
	}
	defer w.Close()
	r := stretch{w: w, throughout: inRun}
	holds := false           // at the cut before
	var prev, of stretchMark // the last cut at which it held; the same before the present run
	for {
		ok, err := w.next()
		if errors.Is(err, io.EOF) || err == nil && w.at.Compare(end) >= 0 {
			break
		}
		if err != nil {
			return r, err
		}
		switch {
		case ok:
			if !holds {
				of = prev
			}
			prev = stretchMark{w.at, true}
		default:
			r.throughout = false
		}
		holds = ok
	}
	if holds && inRun {
		prev = of
	}
	r.found, r.last = prev.ok, prev.at
	return r, nil
}

type stretchMark struct {
	at history.Position
	ok bool
}
