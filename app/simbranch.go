package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"hindcast.dev/sim"
)

// How a scan looks for the moment at which a failure becomes inevitable.
const (
	scanGrid     = 10 // moments, at equal distances of events
	scanHalvings = 8  // then, of the interval in which it does
)

// branch explores other futures of a run, from a moment or from a grid of them.
func (f *simFlags) branch(ctx context.Context, c *cobra.Command, t *simTarget) error {
	switch {
	case !f.reseed:
		return Usage(errors.New("--at is a moment to branch at: want --reseed too"))
	case f.seed == "" && t.report == nil:
		return Usage(errors.New("--reseed branches one run: want --seed, or the directory of a failure"))
	case f.futures < 1 || f.workers < 1:
		return Usage(errors.New("--futures and --workers want 1 or more"))
	}
	if f.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.limit)
		defer cancel()
	}
	collectLess()
	bar := newProgress(c.ErrOrStderr())
	var done atomic.Int64
	b := &sim.Branch{Subject: t.subject, Options: t.options, Futures: f.futures, Workers: f.workers, KeepFaults: f.keepFaults,
		Progress: func() {
			n := done.Add(1)
			bar.show(func() string { return plural(n, "future") })
		}}
	base, err := sim.Attempt(t.subject, t.options)
	if err != nil {
		return Usage(err)
	}
	b.Want = base.Failure
	if err := f.explore(ctx, c, b, bar); err != nil {
		bar.clear()
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("ended after %s: the moments above are complete", plural(done.Load(), "future"))}
		}
		return Usage(err)
	}
	return nil
}

func (f *simFlags) explore(ctx context.Context, c *cobra.Command, b *sim.Branch, bar *progress) error {
	w := c.OutOrStdout()
	if f.at != "" {
		node, number, err := parseMoment(f.at)
		if err != nil {
			return err
		}
		m, err := sim.Find(b.Subject, b.Options, node, number)
		if err != nil {
			return err
		}
		chance, err := b.At(ctx, m)
		bar.clear()
		if err != nil {
			return err
		}
		return f.tellChances(w, b, []sim.Chance{chance}, nil)
	}
	var chances []sim.Chance
	from, ok, err := b.Scan(ctx, scanGrid, scanHalvings, func(c sim.Chance) { chances = append(chances, c) })
	bar.clear()
	slices.SortFunc(chances, func(a, b sim.Chance) int { return cmp.Compare(a.Event, b.Event) })
	if err != nil {
		return errors.Join(f.tellChances(w, b, chances, nil), err)
	}
	if !ok {
		return f.tellChances(w, b, chances, nil)
	}
	return f.tellChances(w, b, chances, &from)
}

// parseMoment reads an event's number, or NODE:SEQ.
func parseMoment(text string) (node string, number uint64, err error) {
	node, digits, ok := cutLast(text)
	if !ok {
		node, digits = "", text
	}
	if number, err = strconv.ParseUint(digits, 10, 64); err != nil {
		return "", 0, fmt.Errorf("--at %s: want the number of an event, or NODE:SEQ", text)
	}
	return node, number, nil
}

func cutLast(text string) (before, after string, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// barWidth is how wide a certain failure is drawn.
const barWidth = 30

// tellChances prints the table of moments.
func (f *simFlags) tellChances(w io.Writer, b *sim.Branch, chances []sim.Chance, from *sim.Chance) error {
	if f.output == "json" {
		for _, c := range chances {
			err := writeLine(w, struct {
				Type string  `json:"type"`
				P    float64 `json:"p"`
				sim.Chance
			}{"chance", c.P(), c})
			if err != nil {
				return err
			}
		}
		return nil
	}
	what := "any failure"
	if b.Want != nil {
		what = string(b.Want.Kind) + ": " + b.Want.Property
	}
	fmt.Fprintf(w, "how likely is it that %s, if other seeds decide after an event?\n", "\""+what+"\"")
	fmt.Fprintf(w, "%10s  %12s  %5s  %-13s\n", "event", "time", "p", "95 %")
	for _, c := range chances {
		bar := strings.Repeat("#", int(c.P()*barWidth+0.5))
		line := fmt.Sprintf("%10d  %10.3f s  %5.2f  %.2f … %.2f  %-*s", c.Event, c.At.Seconds(), c.P(), c.Low, c.High, barWidth, bar)
		if c.Others > 0 {
			line += fmt.Sprintf("  %d failed otherwise", c.Others)
		}
		if c.Undecided > 0 {
			line += fmt.Sprintf("  %d undecided", c.Undecided)
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
	switch {
	case from != nil && from.Event == 0:
		fmt.Fprintln(w, "it is inevitable from the beginning: the options alone decide it")
	case from != nil:
		fmt.Fprintf(w, "it becomes inevitable (90 %%) at about event %d, %.3f s\n", from.Event, from.At.Seconds())
	case f.at == "":
		fmt.Fprintln(w, "it never becomes inevitable before it happens")
	}
	return nil
}
