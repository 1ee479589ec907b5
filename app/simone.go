package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hindcast.dev/sim"
)

// single runs one seed, and shows all of it: its options, its faults, what came
// of it.
func (f *simFlags) single(ctx context.Context, c *cobra.Command, t *simTarget) error {
	o := t.options
	w := c.OutOrStdout()
	o.Stop = func() bool { return ctx.Err() != nil }
	if f.trace {
		o.Trace = func(l sim.Line) { fmt.Fprintln(w, traceLine(l)) }
	}
	began := time.Now()
	r, err := sim.Attempt(t.subject, o)
	if err != nil {
		return Usage(err)
	}
	if err := r.CheckSet(); err != nil {
		return Usage(err)
	}
	took := time.Since(began)
	if f.verify && r.Failure == nil && !r.Stopped {
		if r.Failure, err = sim.Repeats(t.subject, o, r); err != nil {
			return err
		}
	}
	again := f.again(t.subject, &o)
	if t.report != nil {
		again = f.command + " " + shellWord(t.dir)
	}
	kept := t.dir
	if r.Failure != nil && f.keep != "" {
		kept = seedDir(f.keep, o.Seed)
		if err := f.save(ctx, t.subject, &o, r, kept, ""); err != nil {
			return err
		}
	}
	if f.record != "" {
		if err := f.save(ctx, t.subject, &o, r, f.record, ""); err != nil {
			return err
		}
	}
	if f.output == "json" {
		err = writeResultJSON(w, r, kept, again)
	} else {
		writeResult(w, r, kept, again, f.command)
		if f.record != "" {
			fmt.Fprintf(w, "recorded: %s; see it: %s debug %s\n", f.record, baseCommand(f.command), shellWord(f.record))
		}
		fmt.Fprintf(c.ErrOrStderr(), "in %.3f s: %s\n", took.Seconds(), pace(r.Simulated, took))
	}
	return errors.Join(err, f.singleExit(r))
}

func (f *simFlags) singleExit(r *sim.Result) error {
	switch {
	case r.Failure != nil:
		return failed(r.Failure)
	case r.Stopped:
		return &ExitError{Code: ExitUndecided, Err: errors.New("interrupted: nothing was decided")}
	}
	if r.Undecided != "" {
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("undecided: %s", r.Undecided)}
	}
	return nil
}

func traceLine(l sim.Line) string {
	return fmt.Sprintf("%8d %12s %-4s %s", l.N, l.At, l.Node, l.Text)
}

// writeResult shows a run: what was drawn first.
func writeResult(w io.Writer, r *sim.Result, kept, again, command string) {
	w = safeFor(w)
	fmt.Fprintf(w, "%s, seed %d\n\noptions\n", r.Subject, r.Seed)
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, d := range r.Drawn {
		from := "drawn from " + d.Range
		if d.Set {
			from = "set; drawn from " + d.Range + " otherwise"
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", d.Name, d.Value, from)
	}
	tw.Flush()
	fmt.Fprintf(w, "\nfaults\n")
	for _, fault := range r.Faults {
		fmt.Fprintf(w, "  %s\n", fault)
	}
	if len(r.Faults) == 0 {
		fmt.Fprintln(w, "  none")
	}
	fmt.Fprintf(w, "\n%s of the world, %s by nodes; %s; %s simulated\n", plural(r.Events, "event"), grouped(r.Steps),
		plural(len(r.Operations), "operation"), r.Simulated.Round(time.Millisecond))
	fmt.Fprintf(w, "took effect: %s\n", countsOf(r.Happened))
	if short := sim.DefaultFloors.Short(r); short != "" {
		fmt.Fprintf(w, "as one of many seeds it wouldn't count: %s\n", short)
	}
	fmt.Fprintf(w, "hash %016x\n", r.Hash)
	writeSilent(w, r)
	switch {
	case r.Failure != nil:
		writeFailure(w, r.Seed, r.Failure, kept, again, command)
	case r.Stopped:
		fmt.Fprintln(w, "stopped before the end")
	case r.Undecided != "":
		fmt.Fprintf(w, "undecided: %s\n", r.Undecided)
	default:
		fmt.Fprintln(w, "all holds")
	}
}

// writeSilent shows what properties can't be held for having held.
func writeSilent(w io.Writer, r *sim.Result) {
	for _, name := range slices.Sorted(maps.Keys(r.Vacuous)) {
		fmt.Fprintf(w, "said nothing: %s: %s\n", name, oneLine(r.Vacuous[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Sometimes)) {
		if !r.Sometimes[name] {
			fmt.Fprintf(w, "sometimes: %s: not in this run\n", name)
		}
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(w, "warning: %s\n", oneLine(warning))
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// failureLinesMax bounds the lines of a failure's text.
const failureLinesMax = 40

// writeFailure shows a failure, and how to go on from it.
func writeFailure(w io.Writer, seed uint64, f *sim.Failure, kept, again, command string) {
	where := ""
	if f.Event > 0 {
		where = fmt.Sprintf(" (at event %d, %s", f.Event, f.At)
		if f.Node != "" {
			where += fmt.Sprintf(", %s:%d", f.Node, f.Seq)
		}
		where += ")"
	}
	fmt.Fprintf(w, "seed %d: %s: %s%s\n", seed, f.Kind, f.Property, where)
	lines := strings.Split(strings.TrimRight(f.Text, "\n"), "\n")
	for i, line := range lines {
		if i == failureLinesMax {
			fmt.Fprintf(w, "    … %d lines more\n", len(lines)-i)
			break
		}
		fmt.Fprintf(w, "    %s\n", line)
	}
	fmt.Fprintf(w, "  again:  %s\n", again)
	if kept != "" {
		fmt.Fprintf(w, "  kept:   %s; see it: %s debug %s; make it small: %s shrink %s\n", kept, baseCommand(command), shellWord(kept), command, shellWord(kept))
	}
}

// resultJSON is a run as one object.
type resultJSON struct {
	Type      string          `json:"type"` // "seed"
	Subject   string          `json:"subject,omitempty"`
	Options   []sim.Drawn     `json:"options,omitempty"`
	Faults    []sim.Fault     `json:"faults,omitempty"`
	Coverage  map[string]int  `json:"coverage,omitempty"`
	Stopped   bool            `json:"stopped,omitempty"`
	Kept      string          `json:"kept,omitempty"`
	Again     string          `json:"again,omitempty"`
	Undecided []string        `json:"undecided,omitempty"`
	Outcome   json.RawMessage `json:"-"`
}

// writeResultJSON writes one line: what a search writes of a seed, and what only
// one run shows.
func writeResultJSON(w io.Writer, r *sim.Result, kept, again string) error {
	o := sim.OutcomeOf(r, sim.DefaultFloors)
	line := struct {
		resultJSON
		*sim.Outcome
		Undecided []string `json:"undecided,omitempty"`
	}{resultJSON{Type: "seed", Subject: r.Subject, Options: r.Drawn, Faults: r.Faults, Coverage: r.Coverage.Kinds, Stopped: r.Stopped,
		Kept: kept, Again: again}, o, o.Undecided}
	return writeLine(w, line)
}

// writeLine writes v as one line of JSON.
func writeLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
