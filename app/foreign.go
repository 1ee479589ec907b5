package app

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hindcast.dev/history"
	"hindcast.dev/importer/shiviz"
)

// foreignFlags say how somebody else's log is to be read.
type foreignFlags struct {
	format    string
	parser    string
	delimiter string
	execution string
	state     []string
}

func (f *foreignFlags) add(c *cobra.Command) {
	var names []string
	for _, k := range shiviz.Formats {
		names = append(names, k.Name)
	}
	fl := c.Flags()
	fl.StringVar(&f.format, "log-format", "", "of a log with vector clocks, if it isn't found by itself: "+strings.Join(names, ", "))
	fl.StringVar(&f.parser, "log-parser", "", "of a log with vector clocks: regular expression with the groups host, clock and event, as for ShiViz")
	fl.StringVar(&f.delimiter, "log-delimiter", "", "with --log-parser: regular expression for the lines between executions")
	fl.StringSliceVar(&f.state, "log-state", nil, "with --log-parser: groups that are variables, as "+shiviz.Log+".NAME")
	fl.StringVar(&f.execution, "execution", "", "which execution of a log that has several: its number or its name (default the first)")
	_ = c.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
}

// read reads a log with vector clocks, and says which execution is opened if it
// has several.
func (f *foreignFlags) read(c *cobra.Command, skipBad bool) func(string, io.Reader) (*history.Mem, error) {
	return func(file string, r io.Reader) (*history.Mem, error) {
		o := shiviz.Options{SkipBad: skipBad}
		switch {
		case f.parser != "" && f.format != "":
			return nil, fmt.Errorf("there are both --log-format and --log-parser: want one of them")
		case f.parser != "":
			o.Format = shiviz.Format{Name: "given", Parser: f.parser, Executions: f.delimiter, State: f.state}
		case f.delimiter != "" || len(f.state) > 0:
			return nil, fmt.Errorf("--log-delimiter and --log-state go with --log-parser")
		case f.format != "":
			var err error
			if o.Format, err = shiviz.Named(f.format); err != nil {
				return nil, err
			}
		}
		runs, err := shiviz.Read(r, file, o)
		if errors.Is(err, shiviz.ErrEmpty) {
			return nil, err
		}
		if err != nil {
			return nil, fmt.Errorf("%w\n  (neither a History in text form, which begins with {, nor a log with vector clocks; see --log-parser)", err)
		}
		i, err := f.choose(file, runs)
		if err != nil {
			return nil, err
		}
		if len(runs) > 1 {
			fmt.Fprintf(c.ErrOrStderr(), "opened execution %d of %d in %s; choose with --execution:\n%s", i+1, len(runs), file, listed(runs))
		}
		return runs[i].History, nil
	}
}

// choose finds the execution asked for.
func (f *foreignFlags) choose(file string, runs []shiviz.Execution) (int, error) {
	if f.execution == "" {
		return 0, nil
	}
	for i, e := range runs {
		if e.Name == f.execution {
			return i, nil
		}
	}
	if n, err := strconv.Atoi(f.execution); err == nil && n >= 1 && n <= len(runs) {
		return n - 1, nil
	}
	return 0, fmt.Errorf("%s has no execution %q:\n%s", file, f.execution, strings.TrimRight(listed(runs), "\n"))
}

// listed says what executions there are.
func listed(runs []shiviz.Execution) string {
	var b strings.Builder
	for i, e := range runs {
		fmt.Fprintf(&b, "  %d  %-40s  line %d: %s of %s\n", i+1, e.Name, e.Line, plural(e.Events, "event"), plural(e.Hosts, "host"))
	}
	return b.String()
}
