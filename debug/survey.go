package debug

import (
	"context"
	"sync"
	"sync/atomic"

	"hindcast.dev/debug/timeline"
	"hindcast.dev/history"
	"hindcast.dev/live"
)

// A Survey is what takes a walk through a whole History to know: where its events
// are, which messages they sent and received, and why some were lost. It is made
// in the background by Run, one thing after the other; whoever needs one asks for
// it and does without as long as it isn't there. Of a History that grows it is kept
// up at the cost of what is new. Safe for concurrent use.
type Survey struct {
	live   Live // nil: it doesn't grow
	seen   atomic.Pointer[seen]
	done   atomic.Uint64 // of the present step, in millionths
	failed atomic.Pointer[error]

	mu      sync.Mutex
	changed chan struct{} // closed when there is more; nil if nobody waits for that
}

// A seen is a History and where its events are, as far as that is known.
type seen struct {
	src    history.Source
	index  *timeline.Index
	status live.Status
}

// A Surveyed says how far a Survey is: what is being looked for, how much of it is
// done, of 1, and what went wrong if it ended early.
type Surveyed struct {
	Step SurveyStep
	Done float64
	Err  error
}

// A SurveyStep is what a Survey looks for.
type SurveyStep string

// The steps of a Survey, in order. With the last there is nothing more to do.
const (
	SurveyEvents   SurveyStep = "events"
	SurveyMessages SurveyStep = "messages"
	SurveyReady    SurveyStep = "ready"
)

// NewSurvey returns a Survey that knows nothing yet.
func NewSurvey(src history.Source) *Survey {
	v := &Survey{}
	meta := src.Meta()
	v.seen.Store(&seen{src: src, status: live.Status{Events: meta.Events, Reach: meta.Last.Time, Ended: true}})
	return v
}

// Run makes the survey, until it is done or ctx ends. That of a History that grows is
// done when nothing comes any more.
func (v *Survey) Run(ctx context.Context) error {
	err := v.run(ctx)
	if err != nil && ctx.Err() == nil {
		v.failed.Store(&err)
	}
	return err
}

func (v *Survey) run(ctx context.Context) error {
	if v.live != nil {
		return v.follow(ctx)
	}
	tell := func(part float64) { v.done.Store(uint64(part * 1e6)) }
	now := *v.seen.Load()
	src := now.src
	x, err := timeline.Build(ctx, src, tell)
	if err != nil {
		return err
	}
	v.seen.Store(&seen{src, x, now.status})
	tell(0)
	if x, err = x.Link(ctx, tell); err != nil {
		return err
	}
	v.seen.Store(&seen{src, x, now.status})
	return nil
}

// Index is where the events are, and their messages if it is linked; nil as long as
// that isn't known.
func (v *Survey) Index() *timeline.Index { return v.seen.Load().index }

// Seen is a History with its Index, which is nil as long as that isn't known.
func (v *Survey) Seen() (history.Source, *timeline.Index) {
	at := v.seen.Load()
	return at.src, at.index
}

// Progress says how far it is.
func (v *Survey) Progress() Surveyed {
	p := Surveyed{Step: SurveyReady, Done: float64(v.done.Load()) / 1e6}
	switch x := v.Index(); {
	case x == nil:
		p.Step = SurveyEvents
	case !x.Linked():
		p.Step = SurveyMessages
	}
	if err := v.failed.Load(); err != nil {
		p.Err = *err
	}
	return p
}
