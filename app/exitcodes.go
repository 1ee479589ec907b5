package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hindcast.dev/node"
)

// ExitInterrupted is demo's exit code after Ctrl-C, as shells have it: it gave no
// answer.
const ExitInterrupted = 130

// An ExitMeaning is what an exit code means.
type ExitMeaning struct {
	Code    int
	Command string // that it is an exit code of, "" for every one
	Meaning string
}

// ExitMeanings lists all exit codes of all commands, in their order, and what each
// means.
func ExitMeanings() []ExitMeaning {
	all := []ExitMeaning{
		{ExitHolds, "", "done; nothing that was asked for is violated. A query was answered, be it with no row"},
		{ExitFound, "check", "a property is violated"},
		{ExitFound, "demo", "a message was received before it was sent"},
		{ExitFound, "journal", "verify: a journal is damaged"},
		{ExitFound, "replay", "the replay diverged from what was recorded"},
		{ExitFound, "restore", "--last-where: the condition never held"},
		{ExitFound, "sim", "safety: a property doesn't hold"},
		{ExitFound, "snapshot", "diff: the two differ"},
		{ExitUsage, "", "usage or input: an argument, a mistake in a query, something that can't be opened; the message says what to do"},
		{ExitUndecided, "", "undecided: a bound or Ctrl-C ended it before there was an answer; what was found so far was given"},
		{ExitUndecided, "pull", "a node is missing, or its journal is in part"},
		{ExitUndecided, "query", "the recording of a node that is asked is missing in part, and with it the answer could be another"},
		{ExitUndecided, "snapshot", "a node's part is missing; diff: nothing is known of a node in one of the two"},
		{ExitUndecided, "watch", "rows were incomplete, for a node was silent"},
		{ExitInternal, "", "anything else, such as an error of the disk or a defect"},
		{ExitInternal, "watch", "the command of --on-row failed for some row, or rows went without it; the rows themselves are right"},
	}
	for _, e := range node.ExitCodes() {
		if e.Code > ExitInternal {
			all = append(all, ExitMeaning{e.Code, "serve", e.Name + ": " + e.Meaning})
		}
	}
	return append(all,
		ExitMeaning{ExitLiveness, "sim", "liveness: no progress after the faults ended, or no convergence"},
		ExitMeaning{ExitCrash, "sim", "crash: a machine panicked, or a node can't recover"},
		ExitMeaning{ExitDivergence, "sim", "divergence: replay gave something else than the run"},
		ExitMeaning{ExitNondeterminism, "sim", "non-determinism: the same seed gave another run"},
		ExitMeaning{ExitCoverage, "sim", "coverage: too little was exercised, or a 'sometimes' was never reached"},
		ExitMeaning{ExitHang, "sim", "a world hangs: one event of it wasn't over after --hang-after"},
		ExitMeaning{ExitInterrupted, "demo", "Ctrl-C ended it before there was an answer"})
}

// exitCodesTopic is the help topic of exit codes; fillExitCodes writes it.
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes of all commands mean"}
}

// fillExitCodes writes the topic of exit codes, as far as the program has the
// commands.
func fillExitCodes(root *cobra.Command) {
	topic, _, err := root.Find([]string{"exit-codes"})
	if err != nil || topic == root {
		return
	}
	has := func(name string) bool { return name == "" || hasCommand(root, name) }
	var b strings.Builder
	b.WriteString("What the exit codes of all commands mean:\n\n")
	for _, e := range slices.DeleteFunc(ExitMeanings(), func(e ExitMeaning) bool { return !has(e.Command) }) {
		fmt.Fprintf(&b, "  %3d  %-9s %s\n", e.Code, e.Command, e.Meaning)
	}
	b.WriteString("\nA line without a command is of every one.")
	topic.Long = b.String()
}

// hasCommand reports whether a command of this name is below c.
func hasCommand(c *cobra.Command, name string) bool {
	return slices.ContainsFunc(c.Commands(), func(sub *cobra.Command) bool { return sub.Name() == name || hasCommand(sub, name) })
}
