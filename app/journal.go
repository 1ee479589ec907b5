package app

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hindcast.dev/debug"
	"hindcast.dev/journal"
	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

// journalCommand looks into one node's journal, without the code that wrote it.
func journalCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "journal",
		Short: "Look into a node's journal, check it, repair it",
		Long: `Look into a node's journal, check it, repair it.

DIR is a journal, the directory of a node, or a recording; of a recording with
several nodes --node says which. info, dump and verify change nothing and work on
a journal in use; repair and skip want its node stopped.`,
		Args: Subcommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var node string
	c.PersistentFlags().StringVar(&node, "node", "", "the node, of a recording")
	c.AddCommand(journalInfo(&node), journalDump(&node), journalVerify(&node), journalRepair(&node), journalSkip(&node))
	return c
}

// journalDir finds the journal that DIR means.
func journalDir(dir, node string) (string, error) {
	fsys := vfs.OS()
	dir = filepath.ToSlash(dir)
	if recording.Is(fsys, dir) {
		return recordedJournal(dir, node)
	}
	if node != "" {
		return "", Usage(fmt.Errorf("--node %s: %s is no recording, so it has only one journal", node, dir))
	}
	if info, err := os.Stat(dir); err != nil {
		return "", Usage(err)
	} else if !info.IsDir() {
		return "", Usage(fmt.Errorf("%s is a file: want the directory of a journal, a node or a recording", dir))
	}
	if sub := path.Join(dir, recording.JournalName); isDir(sub) {
		dir = sub
	}
	if !holdsJournal(dir) {
		return "", Usage(fmt.Errorf("%s holds no journal: want a directory with NUMBER.seg files", dir))
	}
	return dir, nil
}

// holdsJournal reports whether there is a file in dir that only journals have, or
// archives of them.
func holdsJournal(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return true // the journal's own error says more
	}
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return e.Name() == "meta" || strings.Contains(e.Name(), ".seg")
	})
}

func recordedJournal(dir, node string) (string, error) {
	rec, err := recording.Open(vfs.OS(), dir)
	if err != nil {
		return "", Usage(err)
	}
	var names []string
	for _, n := range rec.Manifest().Nodes {
		if n.Missing == "" {
			names = append(names, n.Name)
		}
	}
	switch {
	case node == "" && len(names) == 1:
		node = names[0]
	case node == "":
		return "", Usage(fmt.Errorf("%s is a recording of several nodes: say which with --node: %s", dir, strings.Join(names, ", ")))
	}
	j := rec.JournalDir(node)
	if !isDir(j) {
		return "", Usage(fmt.Errorf("%s has no journal of node %q; it has those of %s", dir, node, strings.Join(names, ", ")))
	}
	return j, nil
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// journalError gives what the journal's tools return its exit code: what is wrong
// with the input is told from what went wrong here.
func journalError(err error) error {
	var file *journal.FileError
	var gone *journal.RetainedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &file), errors.As(err, &gone), errors.Is(err, journal.ErrInUse), errors.Is(err, journal.ErrHandled), errors.Is(err, fs.ErrNotExist):
		return Usage(err)
	}
	return err
}

// journalTool is a command over one journal with -o.
func journalTool(c *cobra.Command, node *string, run func(c *cobra.Command, dir, output string) error) *cobra.Command {
	var output string
	c.Args = usageArgs(cobra.ExactArgs(1))
	c.ValidArgsFunction = filesFor(1)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkOutput(c, output, "text", "json"); err != nil {
			return err
		}
		dir, err := journalDir(args[0], *node)
		if err != nil {
			return err
		}
		return run(c, dir, output)
	}
	outputFlag(c, &output, "text", "json")
	return c
}

func journalInfo(node *string) *cobra.Command {
	return journalTool(&cobra.Command{
		Use:     "info DIR",
		Short:   "Say what a journal holds: boots, events, segments, panics",
		Example: "  hindcast journal info data/n1\n  hindcast journal info --node n2 incident -o json",
	}, node, func(c *cobra.Command, dir, output string) error {
		info, err := journal.Info(vfs.OS(), dir)
		if err != nil {
			return journalError(err)
		}
		if output == "json" {
			return writeJSON(c.OutOrStdout(), info)
		}
		return writeInfo(c.OutOrStdout(), &info)
	})
}

func writeInfo(w io.Writer, r *journal.InfoReport) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "node        %s\n", debug.Printable(r.Node))
	fmt.Fprintf(b, "boot        %d, ended %s\n", r.Boot, map[bool]string{true: "with a stop", false: "without a stop, or goes on"}[r.Clean])
	fmt.Fprintf(b, "durability  %s\n", cmp.Or(r.Durability, "unknown"))
	if r.LastSeq >= r.FirstSeq && r.LastSeq > 0 {
		fmt.Fprintf(b, "events      %d to %d, durable to %d\n", r.FirstSeq, r.LastSeq, r.DurableSeq)
		fmt.Fprintf(b, "time        %s to %s\n", r.FirstTime, r.LastTime)
	} else {
		fmt.Fprintf(b, "events      none\n")
	}
	fmt.Fprintf(b, "segments    %d, %s\n", len(r.Segments), bytesText(r.Bytes))
	for _, s := range r.Segments {
		fmt.Fprintf(b, "  %s  %9s  boot %d%s%s%s\n", s.File, bytesText(int64(s.Size)), s.Boot,
			when(s.FirstSeq > 0, "  from event "+strconv.FormatUint(s.FirstSeq, 10)), when(s.Indexed, "  indexed"), when(s.Archived, "  archived"))
	}
	if p := r.Panic; p != nil {
		fmt.Fprintf(b, "panic       event %d, %s, in boot %d: %s\n", p.Seq, plural(p.Count, "time"), p.Boot, debug.Printable(firstLine(p.Text)))
	}
	for _, a := range r.Amendments {
		fmt.Fprintf(b, "amendment   event %d is skipped: %s\n", a.Seq, debug.Printable(a.Reason))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func when(ok bool, s string) string {
	if ok {
		return s
	}
	return ""
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

func journalDump(node *string) *cobra.Command {
	var o journal.DumpOptions
	c := &cobra.Command{
		Use:   "dump DIR",
		Short: "Print a journal's events, one a line",
		Example: `  hindcast journal dump data/n1 --from 100 --to 120
  hindcast journal dump data/n1 --json | jq 'select(.kind == "request")'`,
		Args:              usageArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: filesFor(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := journalDir(args[0], *node)
			if err != nil {
				return err
			}
			return journalError(journal.Dump(safeFor(c.OutOrStdout()), vfs.OS(), dir, o))
		},
	}
	c.Flags().BoolVar(&o.JSON, "json", false, "one JSON object a line")
	c.Flags().BoolVar(&o.Full, "full", false, "don't cut payloads")
	c.Flags().Uint64Var(&o.From, "from", 0, "the first event, by sequence number")
	c.Flags().Uint64Var(&o.To, "to", 0, "the event to stop before")
	return c
}

func journalVerify(node *string) *cobra.Command {
	return journalTool(&cobra.Command{
		Use:   "verify DIR",
		Short: "Check every byte of a journal that means something",
		Long: `Check every byte of a journal that means something, and change nothing. The exit
code is 0 if it is sound (a torn tail after a crash is), 1 if it is damaged.`,
		Example: "  hindcast journal verify data/n1",
	}, node, func(c *cobra.Command, dir, output string) error {
		bar := newProgress(c.ErrOrStderr())
		r, err := journal.Verify(vfs.OS(), dir, func(done, total int64) {
			bar.show(func() string { return fmt.Sprintf("verifying: %s of %s", bytesText(done), bytesText(total)) })
		})
		bar.clear()
		if err != nil {
			return journalError(err)
		}
		if output == "json" {
			err = writeJSON(c.OutOrStdout(), r)
		} else {
			err = writeVerify(c.OutOrStdout(), &r)
		}
		if err == nil && len(r.Problems) > 0 {
			return &ExitError{Code: ExitFound, Err: fmt.Errorf("%s is damaged", dir)}
		}
		return err
	})
}

func writeVerify(w io.Writer, r *journal.VerifyReport) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s in %s, %s", plural(r.Events, "event"), plural(r.Segments, "segment"), bytesText(r.Bytes))
	if r.Events > 0 {
		fmt.Fprintf(b, ": %d to %d", r.FirstSeq, r.LastSeq)
	}
	if r.Unstamped > 0 {
		fmt.Fprintf(b, "; %s behind them not handled yet", plural(r.Unstamped, "frame"))
	}
	fmt.Fprintln(b)
	if r.Torn != nil {
		fmt.Fprintf(b, "after a crash: %v\n", r.Torn)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(b, "damaged: %v\n", p)
	}
	if len(r.Problems) == 0 {
		fmt.Fprintln(b, "sound")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func journalRepair(node *string) *cobra.Command {
	return journalTool(&cobra.Command{
		Use:   "repair DIR",
		Short: "Make a damaged journal one that opens, and keep the damaged part aside",
		Long: `Make a damaged journal one that opens: history is cut at the first damaged place,
and everything from there on is kept in a directory aside-N. A sound journal is
left alone but for missing or bad indexes. The node must be stopped.`,
		Example: "  hindcast journal verify data/n1; hindcast journal repair data/n1",
	}, node, func(c *cobra.Command, dir, output string) error {
		r, err := journal.Repair(vfs.OS(), dir)
		if err != nil {
			return journalError(err)
		}
		if output == "json" {
			return writeJSON(c.OutOrStdout(), r)
		}
		return writeRepair(c.OutOrStdout(), &r)
	})
}

func writeRepair(w io.Writer, r *journal.RepairReport) error {
	b := &strings.Builder{}
	if r.Damage == nil && !r.Meta && len(r.Indexes) == 0 {
		fmt.Fprintln(b, "sound: nothing to repair")
	}
	if r.Damage != nil {
		fmt.Fprintf(b, "damage: %v\n", r.Damage)
		fmt.Fprintf(b, "history now ends at event %d\n", r.LastSeq)
		fmt.Fprintf(b, "set aside in %s: %s\n", r.Aside, strings.Join(r.Files, ", "))
	}
	if r.LostFrom > 0 {
		lost := fmt.Sprintf("from event %d on", r.LostFrom)
		if r.LostTo > 0 {
			lost += fmt.Sprintf(", to %d at least", r.LostTo)
		}
		fmt.Fprintf(b, "lost: %s\n", lost)
	}
	if r.Meta {
		fmt.Fprintln(b, "the meta file was made anew")
	}
	for _, i := range r.Indexes {
		fmt.Fprintf(b, "the index of segment %d was made anew\n", i)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(b, "note: %s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func journalSkip(node *string) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "skip --reason TEXT DIR SEQ",
		Short: "Have the event that stops a node left out from its next start on",
		Long: `Have the event that stops a node left out from its next start on: it stays in the
journal, and no machine handles it. That, and the reason, is recorded: replay
leaves it out too. The node must be stopped. The other way on is a new version of
the machine that can handle it: start with --upgrade-before SEQ.`,
		Example:           "  hindcast journal skip --reason 'negative amount, see the post-mortem' data/n1 4711",
		Args:              usageArgs(cobra.ExactArgs(2)),
		ValidArgsFunction: filesFor(1),
		RunE: func(c *cobra.Command, args []string) error {
			seq, err := strconv.ParseUint(args[1], 10, 64)
			if err != nil || seq == 0 {
				return Usage(fmt.Errorf("%q is no sequence number: want one from 1 on", args[1]))
			}
			if reason == "" {
				return Usage(errors.New("--reason is missing: whoever replays this will want to know why"))
			}
			dir, err := journalDir(args[0], *node)
			if err != nil {
				return err
			}
			return skip(c.OutOrStdout(), dir, seq, reason)
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why it is left out; recorded")
	return c
}

func skip(w io.Writer, dir string, seq uint64, reason string) error {
	info, err := journal.Info(vfs.OS(), dir)
	if err != nil {
		return journalError(err)
	}
	if seq < info.FirstSeq || seq > info.LastSeq+1 {
		return Usage(fmt.Errorf("%s has events %d to %d: %d can't be skipped", dir, info.FirstSeq, info.LastSeq, seq))
	}
	if err := journal.Skip(vfs.OS(), dir, seq, reason); err != nil {
		return journalError(err)
	}
	_, err = fmt.Fprintf(w, "event %d of node %s is skipped from the next start on: %s\n", seq, debug.Printable(info.Node), debug.Printable(reason))
	return err
}
