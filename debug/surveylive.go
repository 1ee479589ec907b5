package debug

import (
	"context"
	"time"

	"hindcast.dev/debug/timeline"
	"hindcast.dev/history"
	"hindcast.dev/live"
)

// surveyEvery is how often a Survey is kept up at most.
const surveyEvery = 100 * time.Millisecond

// A follower is a Source that may continue an earlier one.
type follower interface {
	Continues(earlier history.Source) bool
}

// NewLiveSurvey returns a Survey of what grows. It is a Live too: what there is Now is
// what its Index is of.
func NewLiveSurvey(l Live) *Survey {
	v := &Survey{live: l, changed: make(chan struct{})}
	st := l.Status()
	src := l.Now()
	st.Events, st.Ended = src.Meta().Events, false
	v.seen.Store(&seen{src: src, status: st})
	return v
}

// follow keeps the survey up until nothing comes any more, or ctx ends.
func (v *Survey) follow(ctx context.Context) error {
	pace := time.NewTimer(0)
	defer pace.Stop()
	for {
		changed := v.live.Changed()
		st := v.live.Status() // what it says is there is in what is there after it
		if err := v.extend(ctx, v.live.Now(), st); err != nil {
			return err
		}
		v.tell()
		if st.Ended {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pace.C:
		}
		pace.Reset(surveyEvery)
	}
}

// extend takes in what src has more than what was seen.
func (v *Survey) extend(ctx context.Context, src history.Source, st live.Status) error {
	old, x := v.seen.Load(), timeline.New()
	if f, ok := history.Unwrap(src).(follower); ok && old.index != nil && f.Continues(old.src) {
		x = old.index
	}
	x, err := x.Extend(ctx, src)
	if err != nil {
		return err
	}
	st.Events = src.Meta().Events
	v.seen.Store(&seen{src, x, st})
	return nil
}

// tell tells who waits that there is more.
func (v *Survey) tell() {
	v.mu.Lock()
	defer v.mu.Unlock()
	close(v.changed)
	v.changed = make(chan struct{})
}

// Now implements Live.
func (v *Survey) Now() history.Source { return v.seen.Load().src }

// Changed implements Live.
func (v *Survey) Changed() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.changed
}

// Status implements Live: it is that of what the Survey has seen.
func (v *Survey) Status() live.Status { return v.seen.Load().status }
