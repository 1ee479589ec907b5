package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"hindcast.dev/sim"
	"hindcast.dev/vfs"
)

// shrinkFile keeps which candidates were tried, so that shrinking goes on where it
// was ended.
const shrinkFile = "shrink.json"

// A shrinkState is its content.
type shrinkState struct {
	Subject string          `json:"subject"`
	Build   string          `json:"build"`
	Options sim.Options     `json:"options"`
	Tried   map[uint64]bool `json:"tried"`
}

// shrinkCommand makes a failure small.
func (f *simFlags) shrinkCommand() *cobra.Command {
	g := &simFlags{services: f.services}
	runs := 0
	first := simulated(f.services)[0].Name
	c := &cobra.Command{
		Use:   "shrink [FAILURE | TARGET --seed N]",
		Short: "Make a failing run small, and say in words what is left",
		Long: `Make a failing run small: leave out faults, operations, clients and nodes,
shorten faults and calm options for as long as the same property fails. What is
left is told in words and kept as a failure of its own, in FAILURE-small or the
directory of --keep.

The result doesn't depend on --workers. What --for or --runs has ended, the same
command goes on with, if there is a directory.`,
		Example: `  hindcast sim shrink runs/seed-17
  hindcast sim shrink ` + first + ` --seed 17 --for 1m --keep small`,
		Args:              usageArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: g.completeTargets,
		RunE: func(c *cobra.Command, args []string) error {
			g.command = c.Parent().CommandPath()
			return g.shrink(c, args, runs)
		},
	}
	g.addRun(c)
	c.Flags().StringVar(&g.seed, "seed", "", "the seed that fails")
	c.Flags().IntVar(&runs, "runs", 0, "end after so many runs (default none)")
	outputFlag(c, &g.output, "text", "json")
	return c
}

func (f *simFlags) shrink(c *cobra.Command, args []string, runs int) error {
	if err := checkOutput(c, f.output, "text", "json"); err != nil {
		return err
	}
	t, err := f.target(args)
	if err != nil {
		return Usage(err)
	}
	if t.report == nil && f.seed == "" {
		return Usage(errors.New("what is to be shrunk? want the directory of a failure, or --seed"))
	}
	keep := filepath.ToSlash(f.keep)
	if keep == "" && t.report != nil {
		keep = t.dir + "-small"
	}
	state := shrinkState{Subject: t.subject.Name, Build: BuildID(), Options: t.options, Tried: map[uint64]bool{}}
	if err := state.resume(keep); err != nil {
		return err
	}
	ctx, stop := interruptible(c)
	defer stop()
	defer f.watch(c, t)()
	if f.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.limit)
		defer cancel()
	}
	small, err := f.doShrink(ctx, c, t, &state, keep, runs)
	if err != nil {
		return Usage(err)
	}
	return f.tellShrunk(c, t, small, keep)
}

// doShrink shrinks, and keeps how far it is.
func (f *simFlags) doShrink(ctx context.Context, c *cobra.Command, t *simTarget, state *shrinkState, keep string, runs int) (sim.Shrunk, error) {
	collectLess()
	bar := newProgress(c.ErrOrStderr())
	began, written := time.Now(), time.Now()
	var failure error
	s := &sim.Shrink{Subject: t.subject, Workers: f.workers, RunsMax: runs, Tried: state.Tried, Progress: func(now sim.Shrunk) {
		bar.show(func() string {
			operations := "operations as drawn"
			if p := now.Options.Plan; p != nil {
				operations = plural(len(p.Operations), "operation")
			}
			return fmt.Sprintf("%s; %s; %s, %s left", plural(now.Runs, "run"), now.Stage, plural(len(now.Options.Faults), "fault"), operations)
		})
		if time.Since(written) >= stateEvery {
			written = time.Now()
			failure = errors.Join(failure, state.write(keep))
		}
	}}
	var want *sim.Failure
	if t.report != nil {
		want = &t.report.Failure
	}
	small, err := s.Run(ctx, t.options, want)
	bar.clear()
	if err == nil {
		fmt.Fprintf(c.ErrOrStderr(), "%s in %.1f s\n", plural(small.Runs, "run"), time.Since(began).Seconds())
	}
	return small, errors.Join(err, failure, state.write(keep))
}

// tellShrunk says what is left, and keeps it.
func (f *simFlags) tellShrunk(c *cobra.Command, t *simTarget, small sim.Shrunk, keep string) error {
	words := small.Result.Words()
	if keep != "" {
		if err := replaceShrunk(keep, small.Result); err != nil {
			return err
		}
		if err := f.save(c.Context(), t.subject, &small.Options, small.Result, keep, words); err != nil {
			return err
		}
	}
	w := safeFor(c.OutOrStdout())
	if f.output == "json" {
		err := writeLine(c.OutOrStdout(), struct {
			Type    string       `json:"type"`
			Subject string       `json:"subject"`
			Options sim.Options  `json:"options"`
			Failure *sim.Failure `json:"failure"`
			Words   string       `json:"words"`
			Runs    int          `json:"runs"`
			Whole   bool         `json:"whole"`
			Kept    string       `json:"kept,omitempty"`
		}{"shrunk", t.subject.Name, small.Options, small.Result.Failure, words, small.Runs, small.Whole, keep})
		if err != nil {
			return err
		}
	} else {
		fmt.Fprint(w, words)
		if keep != "" {
			writeKept(w, keep, f.command)
		}
	}
	if !small.Whole {
		again := ""
		if keep != "" {
			again = ": the same command goes on"
		}
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("ended before all was tried%s", again)}
	}
	return nil
}

// replaceShrunk removes what an earlier part of this shrinking has left in its
// directory, unless that is this very run.
func replaceShrunk(dir string, r *sim.Result) error {
	old, err := sim.ReadReport(vfs.OS(), dir)
	if err != nil || old.Hash == fmt.Sprintf("%016x", r.Hash) {
		return nil // nothing is there, or nothing that is ours
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() != shrinkFile {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// writeKept says how to go on from a small failure that was kept.
func writeKept(w interface{ Write([]byte) (int, error) }, dir, command string) {
	fmt.Fprintf(w, "  again:  %s %s\n  kept:   %s; see it: %s debug %s\n", command, shellWord(dir), dir, baseCommand(command), shellWord(dir))
}

// resume takes over what was tried before, if it was the same.
func (s *shrinkState) resume(dir string) error {
	if dir == "" {
		return nil
	}
	b, err := vfs.ReadFile(vfs.OS(), path.Join(dir, shrinkFile), stateBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			return Usage(fmt.Errorf("%s isn't empty, and isn't what shrinking has left: choose another directory with --keep", dir))
		}
		return nil
	}
	if err != nil {
		return err
	}
	var old shrinkState
	same := json.Unmarshal(b, &old) == nil && old.Subject == s.Subject && decided(&old.Options) == decided(&s.Options) && old.Tried != nil
	if !same {
		return Usage(fmt.Errorf("%s is what shrinking of another run has left: choose another directory with --keep, or remove it", dir))
	}
	if old.Build == s.Build { // else it is tried anew: the code is another
		s.Tried = old.Tried
	}
	return nil
}

// write writes the state.
func (s *shrinkState) write(dir string) error {
	if dir == "" {
		return nil
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := vfs.OS().MkdirAll(dir); err != nil {
		return err
	}
	return vfs.WriteFile(vfs.OS(), path.Join(dir, shrinkFile), append(b, '\n'))
}
