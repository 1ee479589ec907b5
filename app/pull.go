package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hindcast.dev/recording"
	"hindcast.dev/termtext"
	"hindcast.dev/vfs"
)

// tokenVariable holds the token for admin APIs, where the list of processes
// doesn't show it.
const tokenVariable = "HINDCAST_TOKEN"

// pullCommand copies a recording from nodes that run.
func pullCommand() *cobra.Command {
	var tokenFile, output string
	c := &cobra.Command{
		Use:   "pull ADDR,… DIR",
		Short: "Copy the recording of running nodes into a directory",
		Long: `Copy journals and checkpoints of running nodes, over their admin APIs, into a
recording. ADDR is HOST:PORT, a URL, or NAME=either.

Run again on the same directory it gets what is new, and goes on with what was
cut short. A node that can't be reached or refuses stands in the recording as
missing: what depends on it will say so, and the exit code is 3.

A token comes from --token-file or the variable ` + tokenVariable + `.`,
		Example: "  hindcast pull 127.0.0.1:9001,127.0.0.1:9002 incident\n  hindcast query incident 'SHOW NODES'",
		Args:    usageArgs(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(c, output, "text", "json"); err != nil {
				return err
			}
			token, err := readToken(tokenFile)
			if err != nil {
				return Usage(err)
			}
			return pull(c, strings.Split(args[0], ","), args[1], token, output)
		},
	}
	c.Flags().StringVar(&tokenFile, "token-file", "", "file that holds the admin token")
	outputFlag(c, &output, "text", "json")
	return c
}

func readToken(file string) (string, error) {
	if file == "" {
		return os.Getenv(tokenVariable), nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

func pull(c *cobra.Command, addrs []string, dir, token, output string) error {
	ctx, stop := interruptible(c)
	defer stop()
	bar := newProgress(c.ErrOrStderr())
	nodes := map[string]recording.Progress{}
	rec, err := recording.Pull(ctx, vfs.OS(), dir, addrs, recording.PullOptions{Token: token,
		Manifest: recording.Manifest{Origin: "pull", Tool: "hindcast " + BuildID()},
		Progress: func(p recording.Progress) {
			nodes[p.Node] = p
			bar.show(func() string { return pullProgress(nodes) })
		}})
	bar.clear()
	switch {
	case errors.Is(err, context.Canceled):
		return &ExitError{Code: ExitUndecided, Err: err}
	case err != nil:
		return Usage(err)
	}
	if output == "json" {
		err = writeJSON(c.OutOrStdout(), rec.Manifest())
	} else {
		err = writePulled(c.OutOrStdout(), rec.Manifest(), nodes, dir)
	}
	if missing := missingNodes(rec.Manifest()); err == nil && missing > 0 {
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("%s missing, or here only in part; pull again to get the rest", plural(missing, "node"))}
	}
	return err
}

func pullProgress(nodes map[string]recording.Progress) string {
	var done, total int64
	for _, p := range nodes {
		done, total = done+p.Done, total+p.Total
	}
	return fmt.Sprintf("pulling %s: %s of %s", plural(len(nodes), "node"), bytesText(done), bytesText(total))
}

func writePulled(w io.Writer, m recording.Manifest, pulled map[string]recording.Progress, dir string) error {
	for _, n := range m.Nodes {
		state := "nothing new"
		if p, ok := pulled[n.Name]; ok {
			state = bytesText(p.Done)
		}
		if n.Missing != "" {
			state = "missing: " + n.Missing
		}
		for _, g := range n.Gaps {
			state += "; incomplete: " + g.Reason
		}
		if _, err := fmt.Fprintf(w, "%s  %s\n", termtext.Printable(n.Name), termtext.Printable(state)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "recording in %s; ask it: hindcast query %s 'SHOW NODES'\n", dir, dir)
	return err
}

// missingNodes counts the nodes of which something could not be pulled. What
// retention has removed isn't counted: that is gone for good.
func missingNodes(m recording.Manifest) (n int) {
	for _, node := range m.Nodes {
		failed := func(g recording.Gap) bool { return strings.HasPrefix(g.Reason, recording.PullFailed) }
		if node.Missing != "" || slices.ContainsFunc(node.Gaps, failed) {
			n++
		}
	}
	return n
}
