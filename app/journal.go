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

	"hindcast.dev/journal"
	"hindcast.dev/recording"
	"hindcast.dev/termtext"
	"hindcast.dev/vfs"
)

// journalCommand looks into one node's journal, without the code that wrote it.
func journalCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "journal",
		Short: "Look into a node's journal, check it, repair it",
		Long: `Look into a node's journal, check it, repair it.

DIR is a journal, the directory of a node, or a recording; of a recording with
several nodes --node says which, and without it info and verify take all. info, dump and verify change nothing and work on
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

// recordedNodes returns the nodes of which something is in a recording.
func recordedNodes(dir string) (rec *recording.Recording, names []string, err error) {
	if rec, err = recording.Open(vfs.OS(), dir); err != nil {
		return nil, nil, Usage(err)
	}
	for _, n := range rec.Manifest().Nodes {
		if n.Missing == "" {
			names = append(names, n.Name)
		}
	}
	return rec, names, nil
}

func recordedJournal(dir, node string) (string, error) {
	rec, names, err := recordedNodes(dir)
	if err != nil {
		return "", err
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

// A journalReport is what info or verify finds in one journal.
type journalReport struct {
	Node    string `json:"node"`
	Report  any    `json:"report"`
	dir     string
	damaged bool
	write   func(io.Writer) error
}

// journalCheck is a command over a journal or all those of a recording. It exits
// with ExitFound if one is damaged.
func journalCheck(c *cobra.Command, node *string, check func(c *cobra.Command, dir string) (journalReport, error)) *cobra.Command {
	var output string
	c.Args = usageArgs(cobra.ExactArgs(1))
	c.ValidArgsFunction = filesFor(1)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkOutput(c, output, "text", "json"); err != nil {
			return err
		}
		nodes := []string{*node}
		if dir := filepath.ToSlash(args[0]); *node == "" && recording.Is(vfs.OS(), dir) {
			rec, names, err := recordedNodes(dir)
			if err != nil {
				return err
			}
			if len(names) > 1 {
				nodes = names
			}
			for _, n := range rec.Manifest().Nodes {
				if n.Missing != "" {
					fmt.Fprintf(c.ErrOrStderr(), "nothing of node %s is in the recording: %s\n", termtext.Printable(n.Name), termtext.Printable(n.Missing))
				}
			}
		}
		var reports []journalReport
		for _, n := range nodes {
			dir, err := journalDir(args[0], n)
			if err != nil {
				return err
			}
			r, err := check(c, dir)
			if err != nil {
				return journalError(err)
			}
			r.Node, r.dir = n, dir
			reports = append(reports, r)
		}
		return writeReports(c.OutOrStdout(), reports, output)
	}
	outputFlag(c, &output, "text", "json")
	return c
}

func writeReports(w io.Writer, reports []journalReport, output string) (err error) {
	switch {
	case output == "json" && len(reports) == 1:
		err = writeJSON(w, reports[0].Report)
	case output == "json":
		err = writeJSON(w, reports)
	}
	var damaged []string
	for i, r := range reports {
		if r.damaged {
			damaged = append(damaged, r.dir)
		}
		if output == "json" || err != nil {
			continue
		}
		if len(reports) > 1 {
			_, err = fmt.Fprintf(w, "%s%s:\n", when(i > 0, "\n"), termtext.Printable(r.Node))
		}
		if err == nil {
			err = r.write(w)
		}
	}
	if err == nil && len(damaged) > 0 {
		return &ExitError{Code: ExitFound, Err: fmt.Errorf("%s is damaged", strings.Join(damaged, ", "))}
	}
	return err
}

func journalInfo(node *string) *cobra.Command {
	return journalCheck(&cobra.Command{
		Use:   "info DIR",
		Short: "Say what a journal holds: boots, events, segments, panics",
		Long: `Say what a journal holds: boots, events, segments, panics. It reads the beginnings
of the segments and the end of history: verify reads all. What it finds damaged
it lists, after what is sound, and the exit code is 1.`,
		Example: "  hindcast journal info data/n1\n  hindcast journal info --node n2 incident -o json",
	}, node, func(_ *cobra.Command, dir string) (journalReport, error) {
		info, err := journal.Info(vfs.OS(), dir)
		return journalReport{Report: info, damaged: len(info.Problems) > 0,
			write: func(w io.Writer) error { return writeInfo(w, &info) }}, err
	})
}

func writeInfo(w io.Writer, r *journal.InfoReport) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "node        %s\n", termtext.Printable(cmp.Or(r.Node, "unknown")))
	fmt.Fprintf(b, "boot        %s\n", bootText(r))
	fmt.Fprintf(b, "durability  %s\n", cmp.Or(r.Durability, "unknown"))
	if r.LastSeq >= r.FirstSeq && r.LastSeq > 0 {
		fmt.Fprintf(b, "events      %d to %d, durable to %d\n", r.FirstSeq, r.LastSeq, r.DurableSeq)
		fmt.Fprintf(b, "time        %s to %s\n", r.FirstTime, r.LastTime)
	} else {
		fmt.Fprintf(b, "events      none%s\n", when(r.DurableSeq > 0, fmt.Sprintf(" left; %d were durable", r.DurableSeq)))
	}
	fmt.Fprintf(b, "segments    %d, %s\n", len(r.Segments), bytesText(r.Bytes))
	for _, s := range r.Segments {
		if s.Damaged {
			fmt.Fprintf(b, "  %s  damaged\n", s.File)
			continue
		}
		fmt.Fprintf(b, "  %s  %9s  boot %d%s%s%s\n", s.File, bytesText(int64(s.Size)), s.Boot,
			when(s.FirstSeq > 0, "  from event "+strconv.FormatUint(s.FirstSeq, 10)), when(s.Indexed, "  indexed"), when(s.Archived, "  archived"))
	}
	if p := r.Panic; p != nil {
		fmt.Fprintf(b, "panic       event %d, %s, in boot %d: %s\n", p.Seq, plural(p.Count, "time"), p.Boot, termtext.Printable(firstLine(p.Text)))
	}
	for _, a := range r.Amendments {
		fmt.Fprintf(b, "amendment   event %d is skipped: %s\n", a.Seq, termtext.Printable(a.Reason))
	}
	for _, p := range r.Problems {
		fmt.Fprintf(b, "damaged     %v\n", p)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// bootText says which boot was the last and how it ended.
func bootText(r *journal.InfoReport) string {
	switch {
	case r.Boot == 0:
		return "unknown"
	case r.EndingUnknown:
		return fmt.Sprintf("%d, made anew by a repair: how the boot before ended isn't known", r.Boot)
	case r.Clean:
		return fmt.Sprintf("%d, ended with a stop%s", r.Boot, when(r.Repaired, "; repaired since"))
	}
	return fmt.Sprintf("%d, ended without a stop, or goes on%s", r.Boot, when(r.Repaired, "; repaired since"))
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
	return journalCheck(&cobra.Command{
		Use:   "verify DIR",
		Short: "Check every byte of a journal that means something",
		Long: `Check every byte of a journal that means something, and change nothing. The exit
code is 0 if it is sound (a torn tail after a crash is), 1 if it is damaged.`,
		Example: "  hindcast journal verify data/n1",
	}, node, func(c *cobra.Command, dir string) (journalReport, error) {
		bar := newProgress(c.ErrOrStderr())
		r, err := journal.Verify(vfs.OS(), dir, func(done, total int64) {
			bar.show(func() string { return fmt.Sprintf("verifying: %s of %s", bytesText(done), bytesText(total)) })
		})
		bar.clear()
		return journalReport{Report: r, damaged: len(r.Problems) > 0,
			write: func(w io.Writer) error { return writeVerify(w, &r) }}, err
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
		Long: `Make a damaged journal one that opens: what the rest
confirms (a segment's header, its opening, its size) is made good, else history is
cut at the first damaged place. A directory aside-N keeps everything from there on,
and each file that was mended as it was. A sound journal is left alone but for
missing or bad indexes. The node must be stopped.`,
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
		for _, m := range r.Mended {
			fmt.Fprintf(b, "mended: %s\n", m)
		}
		fmt.Fprintf(b, "history now ends at event %d\n", r.LastSeq)
		fmt.Fprintf(b, "set aside in %s: %s\n", r.Aside, strings.Join(r.Files, ", "))
	}
	if r.LostFrom > 0 {
		fmt.Fprintf(b, "lost: from event %d on, %s\n", r.LostFrom,
			cmp.Or(when(r.LostTo > 0, fmt.Sprintf("to %d at least", r.LostTo)), "if there were any"))
	} else if r.Damage != nil {
		fmt.Fprintln(b, "lost: nothing")
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
	_, err = fmt.Fprintf(w, "event %d of node %s is skipped from the next start on: %s\n", seq, termtext.Printable(info.Node), termtext.Printable(reason))
	return err
}
