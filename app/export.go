package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"hindcast.dev/debug"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// exportFlags are the flags of export.
type exportFlags struct {
	openFlags
	format   string
	from, to string
}

// exportCommand writes a History for other tools.
func exportCommand(services []Service) *cobra.Command {
	f := &exportFlags{}
	var formats, names []string
	for _, e := range debug.ExportFormats() {
		formats = append(formats, fmt.Sprintf("  %-9s %s", e.Name, e.Short))
		names = append(names, e.Name)
	}
	c := &cobra.Command{
		Use:   "export WHAT [FILE]",
		Short: "Write a recording for other tools",
		Long: `Write a recording, or a stretch of it, for other tools. The formats:

` + strings.Join(formats, "\n") + `

It goes to FILE, which isn't there yet, or to standard output.

` + whatHelp,
		Example: `  hindcast export demo trace.json --format perfetto
  hindcast export demo --format shiviz --from 2026-11-21T19:46:53Z --to 2026-11-21T19:46:54Z > log
  hindcast export incident | grep '"node":"n3"'`,
		Args:              usageArgs(cobra.RangeArgs(1, 2)),
		ValidArgsFunction: filesFor(2),
		RunE: func(c *cobra.Command, args []string) error {
			return runExport(c, services, f, args)
		},
	}
	f.add(c)
	fl := c.Flags()
	fl.StringVar(&f.format, "format", "jsonl", "one of "+strings.Join(names, ", "))
	fl.StringVar(&f.from, "from", "", "leave out what was before this time (RFC 3339, with /LOGICAL if need be)")
	fl.StringVar(&f.to, "to", "", "leave out what was after this time")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func runExport(c *cobra.Command, services []Service, f *exportFlags, args []string) error {
	format, ok := debug.Export(f.format)
	if !ok {
		return Usage(fmt.Errorf("--format %q: see '%s --help' for the formats", f.format, c.CommandPath()))
	}
	from, to, err := f.span()
	if err != nil {
		return Usage(err)
	}
	ctx, stop := interruptible(c)
	defer stop()
	o, err := f.open(ctx, c, services, args[0])
	if err != nil {
		return err
	}
	defer o.Close()
	if len(args) == 1 {
		return exportError(format.Write(ctx, c.OutOrStdout(), o.Source, from, to), "standard output")
	}
	out, err := createNew(args[1])
	if err != nil {
		return Usage(err)
	}
	return exportError(errors.Join(format.Write(ctx, out, o.Source, from, to), out.Close()), args[1])
}

func exportError(err error, file string) error {
	switch {
	case errors.Is(err, context.Canceled):
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("interrupted: %s isn't whole", file)}
	case err != nil && !errors.Is(err, io.ErrClosedPipe):
		return fmt.Errorf("%s isn't whole: %w", file, err)
	}
	return err
}

// span is the stretch that the flags ask for.
func (f *exportFlags) span() (from, to history.Position, err error) {
	from, to = history.Begin, history.End
	if f.from != "" {
		if from.Time, err = hlc.Parse(f.from); err != nil {
			return from, to, fmt.Errorf("--from: %w", err)
		}
	}
	if f.to != "" {
		t, err := hlc.Parse(f.to)
		if err != nil {
			return from, to, fmt.Errorf("--to: %w", err)
		}
		to = history.Position{Time: t + 1}
	}
	if to.Compare(from) < 0 {
		return from, to, fmt.Errorf("--to %s is before --from %s", f.to, f.from)
	}
	return from, to, nil
}
