package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/rql/exec"
	"hindcast.dev/rql/syntax"
	"hindcast.dev/termtext"
)

// queryFlags are the flags of query.
type queryFlags struct {
	openFlags
	output          string
	file            string
	timeout         time.Duration
	maxMemory       byteSize
	maxCombinations int
	parallel        int
	wide            bool
	quiet           bool
	lead            string // members that an object of -o json begins with
}

// outputs are the values of query's -o.
var outputs = []string{"table", "json", "jsonl", "csv"}

// queryCommand asks a History in RQL.
func queryCommand(services []Service) *cobra.Command {
	f := &queryFlags{}
	c := &cobra.Command{
		Use:   "query WHAT ['RQL']",
		Short: "Ask a recording when and where a condition over its nodes held",
		Long: `Ask a recording, in RQL, when and where a condition over variables of its nodes
held. SHOW VARIABLES says what there is to ask about, EXPLAIN before a query how
it will be answered. Without a query it asks for some at a prompt, where TAB
completes what the recording has, and \help tells more; where standard input is no
terminal it is read from there.

There may be several statements, with a semicolon after each: they are answered in
turn, each under its own heading, once none of them has a mistake.

` + whatHelp + `

Rows go to standard output, a summary to standard error. The exit code is 0 when
the search came to its end, with rows or without, and 2 for a mistake in the query.
It is 3, undecided, where Ctrl-C, --timeout, --max-memory or --max-combinations
ended the search (the rows found so far are printed), and where the recording of a node that is
asked is missing in part and there are no rows, or rows marked incomplete: with it
the answer could be another.`,
		Example: `  hindcast query demo 'SHOW VARIABLES'
  hindcast query demo 'SELECT kv.items["item-00"].value FROM kv, node WHEN NOT node.up LIMIT 5'
  hindcast query demo 'SELECT kv.items[k].version FROM kv FOR EACH k IN KEYS(kv.items)
      WHEN (kv.items[k].version < MAX(kv.items[k].version)) LINK SAME_NODE'
  hindcast query -o jsonl -f question.rql incident
  hindcast query demo`,
		Args:              usageArgs(cobra.RangeArgs(1, 2)),
		ValidArgsFunction: completeQuery,
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(c, f.output, outputs...); err != nil {
				return err
			}
			all, err := f.statements(c, args[1:])
			if err != nil {
				return Usage(err)
			}
			return runQuery(c, services, f, args[0], all)
		},
	}
	f.add(c)
	outputFlag(c, &f.output, outputs...)
	c.Flags().StringVarP(&f.file, "file", "f", "", "read the query, or several, from this file, - for standard input")
	c.Flags().DurationVar(&f.timeout, "timeout", 0, "end the search after this time (default none)")
	c.Flags().Var(&f.maxMemory, "max-memory", "end the search when the program's heap holds more than this, such as 2GiB (default none)")
	c.Flags().IntVar(&f.maxCombinations, "max-combinations", rql.DefaultMaxCombinations, "choices of nodes and members tried at one cut")
	c.Flags().IntVar(&f.parallel, "parallel", runtime.GOMAXPROCS(0), "parts of a long History to search at once; 1 walks from beginning to end")
	c.Flags().BoolVar(&f.wide, "wide", false, "don't shorten the cells of a table")
	c.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "no summary")
	return c
}

// completeQuery completes WHAT, a file name, and the beginnings of a statement.
func completeQuery(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return nil, cobra.ShellCompDirectiveDefault
	case 1:
		var out []string
		for _, s := range []string{"SHOW VARIABLES", "SHOW LOGS", "SHOW NODES", "SHOW EVENTS", "SELECT ", "EXPLAIN SELECT ", "FROM "} {
			if strings.HasPrefix(s, strings.ToUpper(word)) {
				out = append(out, s)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// statements are what is to be asked, checked for mistakes; none where it is to be
// asked for at the prompt.
func (f *queryFlags) statements(c *cobra.Command, args []string) ([]statement, error) {
	text, err := f.text(c, args)
	if err != nil || text == "" {
		return nil, err
	}
	return statementsOf(f.file, text)
}

// text is the query, from its argument, a file or standard input; "" where it is
// to be asked for at the prompt.
func (f *queryFlags) text(c *cobra.Command, args []string) (string, error) {
	switch {
	case f.file != "" && len(args) > 0:
		return "", fmt.Errorf("there is a query on the command line and one in --file %s: want one of them", f.file)
	case f.file == "" && len(args) > 0:
		if strings.TrimSpace(args[0]) == "" {
			return "", errNoQuery
		}
		return args[0], nil
	case f.file == "" && interactive(c):
		return "", nil
	}
	in := c.InOrStdin()
	if f.file != "" && f.file != "-" {
		file, err := os.Open(f.file)
		if err != nil {
			return "", err
		}
		defer file.Close()
		in = file
	}
	b, err := io.ReadAll(io.LimitReader(in, syntax.MaxText+1))
	text := strings.TrimRight(string(b), "\r\n")
	if err == nil && strings.TrimSpace(text) == "" {
		err = errNoQuery
	}
	return text, err
}

// errNoQuery is where a query should be and isn't.
var errNoQuery = errors.New("there is no query: give one after WHAT, with --file, or on standard input; try 'SHOW VARIABLES'")

// interactive reports whether one who reads the answers can type the questions.
func interactive(c *cobra.Command) bool {
	_, in := terminal(c.InOrStdin())
	_, out := terminal(c.OutOrStdout())
	return in && out
}

// runQuery opens WHAT and asks it; without statements, whatever is typed at the
// prompt.
func runQuery(c *cobra.Command, services []Service, f *queryFlags, what string, all []statement) error {
	if err := f.check(); err != nil {
		return Usage(err)
	}
	ctx, stop := interruptible(c)
	defer stop()
	o, err := f.open(ctx, c, services, what)
	if err != nil {
		return err
	}
	defer o.Close()
	if len(all) == 0 {
		stop() // Ctrl-C is the prompt's from here on: it ends a query, not the program
		return runConsole(c, f, o, what)
	}
	return f.askAll(ctx, c, o, all)
}

// check refuses bounds that can't be kept.
func (f *queryFlags) check() error {
	switch {
	case f.maxCombinations < 1:
		return fmt.Errorf("--max-combinations %d: want 1 or more", f.maxCombinations)
	case f.parallel < 1:
		return fmt.Errorf("--parallel %d: want 1 or more", f.parallel)
	case f.timeout < 0:
		return fmt.Errorf("--timeout %v: want a time to search for, or 0 for no bound", f.timeout)
	}
	return nil
}

// ask compiles a statement and runs it within its bounds.
func (f *queryFlags) ask(ctx context.Context, c *cobra.Command, o *opened, s statement) error {
	q, err := compileQuery(ctx, c, o, s)
	if err != nil {
		return queryError(err, s)
	}
	ctx, stop := f.bounded(ctx)
	defer stop()
	return f.run(ctx, c, o, q, s)
}

// run asks, and prints rows as they come.
func (f *queryFlags) run(ctx context.Context, c *cobra.Command, o *opened, q *rql.Query, asked statement) error {
	bar := newProgress(c.ErrOrStderr())
	begin := time.Now()
	src := watchSource(o.Source, bar, asked.text, begin)
	out := newRowWriter(c.OutOrStdout(), f, q, asked.text)
	stop := src.show()
	incomplete := false
	opt := exec.Options{Parallel: f.parallel, Options: rql.Options{MaxCombinations: f.maxCombinations, Now: hlc.FromTime(begin)}}
	give := func(r *rql.Row) error {
		bar.clear()
		src.rows.Add(1)
		incomplete = incomplete || r.Incomplete
		return out.row(r)
	}
	opt.Partial = give
	sum, err := exec.Run(ctx, q, src, opt, give)
	stop()
	if err != nil {
		err = endedBy(ctx, err)
	}
	s := newSummary(sum, time.Since(begin), err)
	s.query = asked.text
	if err := out.end(s); err != nil {
		return fmt.Errorf("write the rows: %w", err)
	}
	if !f.quiet && !errors.As(err, new(*syntax.Error)) {
		s.write(c.ErrOrStderr())
	}
	if err != nil {
		return queryError(err, asked)
	}
	if len(s.Incomplete) > 0 && (s.Rows == 0 || incomplete) {
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("undecided: the recording of %s is missing in part, and the answer could depend on it", strings.Join(s.Incomplete, ", "))}
	}
	return nil
}

// queryError gives what went wrong with a query its exit code, and shows a
// mistake in its text by a caret.
func queryError(err error, s statement) error {
	var mistake *syntax.Error
	var many *rql.CombinationsError
	switch {
	case errors.As(err, &mistake):
		said := strings.TrimRight(termtext.PrintableText(mistake.Render(s.text)), "\n")
		if s.file != "" && s.file != "-" && mistake.Pos.IsValid() {
			said = s.file + ":" + said
		}
		return Usage(errors.New(said))
	case errors.As(err, &many):
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("%w; the rows are partial, those found before", err)}
	case errors.As(err, new(*rql.EventsError)), errors.As(err, new(*rql.LatticeError)), errors.As(err, new(*memoryError)), errors.Is(err, errTimeout), errors.Is(err, errInterrupted):
		return &ExitError{Code: ExitUndecided, Err: err}
	case errors.Is(err, context.Canceled):
		return &ExitError{Code: ExitUndecided, Err: errors.New("interrupted before the search")}
	}
	return err
}
