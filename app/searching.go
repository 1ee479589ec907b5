package app

import (
	"fmt"
	"sync/atomic"
	"time"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/syntax"
)

// A watchedSource is a Source whose walks show how far they are, and end with
// their context. Several may go on at once.
type watchedSource struct {
	*history.Counted
	bar   *progress
	begin time.Time
	total uint64 // events that are read if nothing ends the search; an estimate
	rows  atomic.Uint64
}

// watchSource watches a search for the rows of a statement.
func watchSource(src history.Source, bar *progress, text string, now time.Time) *watchedSource {
	return &watchedSource{Counted: history.NewCounted(src), bar: bar, begin: now, total: eventsToRead(src.Meta(), text, now)}
}

// show shows how far the search is until stop is called.
func (s *watchedSource) show() (stop func()) {
	if s.bar.w == nil {
		return func() {}
	}
	end, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(progressInterval)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				s.bar.show(func() string {
					return searchLine(s.Read(), s.total, s.rows.Load(), time.Since(s.begin))
				})
			}
		}
	}()
	return func() {
		close(end)
		<-over
		s.bar.clear()
	}
}

// eventsToRead estimates how many events a statement reads: those of ON TIME, as
// if events came evenly, and all of them once more where FOR EACH looks for its
// members first.
func eventsToRead(meta *history.Meta, text string, now time.Time) uint64 {
	total := meta.Events
	st, err := syntax.Parse(text)
	if err != nil {
		return total
	}
	var on *syntax.Range
	members := false
	switch st := st.(type) {
	case *syntax.Query:
		on, members = st.OnTime, st.ForEach != nil
	case *syntax.EventQuery:
		on = st.OnTime
	case *syntax.Show:
		on = st.OnTime
	}
	if on != nil {
		from := timeOf(on.From, meta, now)
		to := from
		if on.To != nil {
			to = timeOf(on.To, meta, now)
		}
		total = uint64(float64(total) * part(from, to, meta))
	}
	if members {
		total += meta.Events
	}
	return max(total, 1)
}

// timeOf is a time of a query, as far as it can be told without asking it.
func timeOf(t *syntax.Time, meta *history.Meta, now time.Time) hlc.Timestamp {
	base := t.At
	switch t.Base {
	case syntax.BaseStart:
		base = meta.First.Time
	case syntax.BaseEnd:
		base = meta.Last.Time
	case syntax.BaseNow:
		base = hlc.FromTime(now)
	}
	return base.Add(t.Offset)
}

// part is which part of a History's time is between two moments.
func part(from, to hlc.Timestamp, meta *history.Meta) float64 {
	from, to = max(from, meta.First.Time), min(to, meta.Last.Time)
	whole := meta.Last.Time - meta.First.Time
	if whole == 0 || to <= from {
		return 0
	}
	return float64(to-from) / float64(whole)
}

// estimateAfter is how long a search must have gone on before it is said how long
// it will: the beginning tells little.
const estimateAfter = 2 * time.Second

// searchLine is what is shown of a search that goes on.
func searchLine(read, total, rows uint64, took time.Duration) string {
	done := min(float64(read)/float64(total), 0.99) // total is an estimate
	perSecond := func(n uint64) float64 { return float64(n) / max(took.Seconds(), 1e-3) }
	line := fmt.Sprintf("searching: %d%%, %s events, %s/s, %s, %s/s", int(100*done), grouped(read), rateText(perSecond(read)),
		plural(rows, "row"), rateText(perSecond(rows)))
	if took < estimateAfter || done < 0.01 {
		return line
	}
	left := time.Duration(float64(took) * (1 - done) / done)
	return line + ", about " + roughly(left) + " left"
}

// rateText is a number per second in few characters.
func rateText(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1f M", n/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.0f k", n/1e3)
	case n >= 10 || n == 0:
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.1f", n)
}

// roughly is a duration as one says it.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()+0.5))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()+0.5))
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}
