package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hindcast.dev/debug"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
)

// queryFlags are the flags of query.
type queryFlags struct {
	openFlags
	output          string
	file            string
	timeout         time.Duration
	maxCombinations int
	wide            bool
	quiet           bool
}

// outputs are the values of query's -o.
var outputs = []string{"table", "json", "jsonl", "csv"}

// queryCommand asks a History in RQL.
func queryCommand(services []Service) *cobra.Command {
	f := &queryFlags{}
	c := &cobra.Command{
		Use:   "query WHAT 'RQL'",
		Short: "Ask a recording when and where a condition over its nodes held",
		Long: `Ask a recording, in RQL, when and where a condition over variables of its nodes
held. SHOW VARIABLES says what there is to ask about, EXPLAIN before a query how
it will be answered.

` + whatHelp + `

Rows go to standard output, a summary to standard error. The exit code is 0 when
the search came to its end, with rows or without, and 2 for a mistake in the query.
It is 3, undecided, where Ctrl-C, --timeout or --max-combinations ended the search
(the rows found so far are printed), and where the recording of a node that is
asked is missing in part and there are no rows, or rows marked incomplete: with it
the answer could be another.`,
		Example: `  hindcast query demo 'SHOW VARIABLES'
  hindcast query demo 'SELECT kv.items["item-00"].value FROM kv, node WHEN NOT node.up LIMIT 5'
  hindcast query demo 'SELECT kv.items[k].version FROM kv FOR EACH k IN KEYS(kv.items)
      WHEN (kv.items[k].version < MAX(kv.items[k].version)) LINK SAME_NODE'
  hindcast query -o jsonl -f question.rql incident`,
		Args:              usageArgs(cobra.RangeArgs(1, 2)),
		ValidArgsFunction: filesFor(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(c, f.output, outputs...); err != nil {
				return err
			}
			text, err := f.text(c, args[1:])
			if err != nil {
				return Usage(err)
			}
			return runQuery(c, services, f, args[0], text)
		},
	}
	f.add(c)
	outputFlag(c, &f.output, outputs...)
	c.Flags().StringVarP(&f.file, "file", "f", "", "read the query from this file, - for standard input")
	c.Flags().DurationVar(&f.timeout, "timeout", 0, "end the search after this time (default none)")
	c.Flags().IntVar(&f.maxCombinations, "max-combinations", rql.DefaultMaxCombinations, "choices of nodes and members tried at one cut")
	c.Flags().BoolVar(&f.wide, "wide", false, "don't shorten the cells of a table")
	c.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "no summary")
	return c
}

// text is the query, from its argument, a file or standard input.
func (f *queryFlags) text(c *cobra.Command, args []string) (string, error) {
	switch {
	case f.file != "" && len(args) > 0:
		return "", fmt.Errorf("there is a query on the command line and one in --file %s: want one of them", f.file)
	case f.file == "" && len(args) == 0:
		return "", errors.New("there is no query: give one after WHAT, or with --file; try 'SHOW VARIABLES'")
	case f.file == "":
		return args[0], nil
	}
	in := c.InOrStdin()
	if f.file != "-" {
		file, err := os.Open(f.file)
		if err != nil {
			return "", err
		}
		defer file.Close()
		in = file
	}
	b, err := io.ReadAll(io.LimitReader(in, syntax.MaxText+1))
	return strings.TrimRight(string(b), "\r\n"), err
}

func runQuery(c *cobra.Command, services []Service, f *queryFlags, what, text string) error {
	if f.maxCombinations < 1 {
		return Usage(fmt.Errorf("--max-combinations %d: want 1 or more", f.maxCombinations))
	}
	ctx, stop := interruptible(c)
	defer stop()
	o, err := f.open(ctx, c, services, what)
	if err != nil {
		return err
	}
	defer o.Close()
	q, err := compileQuery(ctx, c, o, text)
	if err != nil {
		return queryError(err, text)
	}
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	return f.run(ctx, c, o, q, text)
}

// run asks, and prints rows as they come.
func (f *queryFlags) run(ctx context.Context, c *cobra.Command, o *opened, q *rql.Query, text string) error {
	bar := newProgress(c.ErrOrStderr())
	src := &watchedSource{Source: o.Source, bar: bar}
	out := newRowWriter(c.OutOrStdout(), f, q, text)
	begin := time.Now()
	incomplete := false
	sum, err := q.Run(ctx, src, rql.Options{MaxCombinations: f.maxCombinations, Now: hlc.FromTime(begin)}, func(r *rql.Row) error {
		bar.clear()
		src.rows.Add(1)
		incomplete = incomplete || r.Incomplete
		return out.row(r)
	})
	bar.clear()
	s := newSummary(sum, time.Since(begin), err)
	s.query = text
	if err := out.end(s); err != nil {
		return fmt.Errorf("write the rows: %w", err)
	}
	if !f.quiet {
		s.write(c.ErrOrStderr())
	}
	if err != nil {
		return queryError(err, text)
	}
	if len(s.Incomplete) > 0 && (s.Rows == 0 || incomplete) {
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("undecided: the recording of %s is missing in part, and the answer could depend on it", strings.Join(s.Incomplete, ", "))}
	}
	return nil
}

// queryError gives what went wrong with a query its exit code, and shows a
// mistake in its text by a caret.
func queryError(err error, text string) error {
	var mistake *syntax.Error
	var many *rql.CombinationsError
	switch {
	case errors.As(err, &mistake):
		return Usage(errors.New(strings.TrimRight(debug.PrintableText(mistake.Render(text)), "\n")))
	case errors.As(err, &many):
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("%w; the rows are those found before: raise --max-combinations, or ask more narrowly", err)}
	case errors.Is(err, context.DeadlineExceeded):
		return &ExitError{Code: ExitUndecided, Err: errors.New("--timeout ended the search: the rows are those found so far")}
	case errors.Is(err, context.Canceled):
		return &ExitError{Code: ExitUndecided, Err: errors.New("interrupted: the rows are those found so far")}
	}
	return err
}

// A summary is what is said after the rows.
type summary struct {
	Cuts       uint64       `json:"cuts"`
	Rows       uint64       `json:"rows"`
	Seconds    float64      `json:"seconds"`
	Errors     []queryFault `json:"errors,omitempty"`
	Incomplete []string     `json:"incomplete,omitempty"` // nodes whose recording is missing somewhere
	Partial    string       `json:"partial,omitempty"`    // why there may be more rows, "" if there are none
	Absent     []queryNote  `json:"absent,omitempty"`     // paths that no cut had
	Unequal    []queryNote  `json:"unequal,omitempty"`    // = and != between types that never met

	query string
}

// A queryNote says what is most likely a mistake in a query, though it runs.
type queryNote struct {
	Note     string `json:"note"`
	Position string `json:"position"` // in the query
	Hint     string `json:"hint,omitempty"`
	at       *syntax.Error
}

func newQueryNote(e *syntax.Error) queryNote {
	return queryNote{e.Msg, e.Pos.String(), e.Hint, e}
}

type queryFault struct {
	Fault    string        `json:"error"`
	Count    uint64        `json:"count"`
	Position string        `json:"position"` // in the query
	Node     string        `json:"node"`     // whose event was the first
	Seq      uint64        `json:"seq"`
	Time     hlc.Timestamp `json:"time"`
}

func newSummary(sum rql.Summary, took time.Duration, err error) *summary {
	s := &summary{Cuts: sum.Cuts, Rows: sum.Rows, Seconds: took.Seconds(), Incomplete: sum.Incomplete}
	for _, e := range sum.Errors {
		s.Errors = append(s.Errors, queryFault{string(e.Fault), e.Count, e.Pos.String(), e.Node, e.Seq, e.Time})
	}
	for _, a := range sum.Absent {
		s.Absent = append(s.Absent, newQueryNote(a.Note()))
	}
	for _, u := range sum.Unequal {
		s.Unequal = append(s.Unequal, newQueryNote(u.Note()))
	}
	if err != nil {
		s.Partial = err.Error()
	}
	return s
}

func (s *summary) write(w io.Writer) {
	w = debug.SafeWriter(w)
	from := ""
	if s.Cuts > 0 || s.Partial != "" { // SHOW and EXPLAIN walk through nothing
		from = " from " + plural(s.Cuts, "cut")
	}
	fmt.Fprintf(w, "%s%s in %.3f s\n", plural(s.Rows, "row"), from, s.Seconds)
	for _, n := range slices.Concat(s.Absent, s.Unequal) {
		fmt.Fprintf(w, "note: %s", n.at.Render(s.query))
	}
	for _, e := range s.Errors {
		fmt.Fprintf(w, "note: %s, %s, first by %s:%d (place %s in the query)\n", e.Fault, plural(e.Count, "time"), e.Node, e.Seq, e.Position)
	}
	if len(s.Incomplete) > 0 {
		fmt.Fprintf(w, "note: the recording of %s is missing in part: rows that this could change are marked incomplete\n", strings.Join(s.Incomplete, ", "))
	}
}
