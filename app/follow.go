package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/live"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
	"hindcast.dev/termtext"
)

// watchFlags are the flags of watch.
type watchFlags struct {
	nodes           string
	from            string
	output          string
	file            string
	onRow           string
	tokenFile       string
	bell            bool
	hold            time.Duration
	maxCombinations int
	wide            bool
	quiet           bool
}

// watchCommand asks nodes that run, and goes on.
func watchCommand() *cobra.Command {
	f := &watchFlags{}
	c := &cobra.Command{
		Use:   "watch [HOST:PORT,…] 'RQL'",
		Short: "Ask running nodes, and tell when a condition over them begins and ceases to hold",
		Long: `Ask running nodes, by their admin addresses, when a condition over their variables
begins to hold and when it ceases to: a row ENTER and a row LEAVE each, as it
happens. EMIT INTERVALS gives a row for every time it held, when that is over, EMIT CUTS one for
every cut, EMIT ENTER or LEAVE that edge alone. The query is that of hindcast
query, but for what needs an end: GROUP BY, ON TIME, POSSIBLY, SHOW, EXPLAIN.

Every node is followed by a shadow replica of its own; none is stopped. A row comes when every node
has promised that nothing earlier will come. A node that says nothing for --hold is waited for no longer: it is
unknown from there on, rows say so ("incomplete": true), and what it tells later
counts as late, until it is back.

Nodes want a token with the scope journal:read, if they want one: --token-file, or
the variable ` + tokenVariable + `. Rows go to standard output, what becomes of the nodes
and the summary at the end to standard error. Ctrl-C ends it: the exit code is 0,
3 if rows were incomplete, or 4 if the command of --on-row failed for some row. See
"help exit-codes" for those of all commands.`,
		Example: `  hindcast watch 127.0.0.1:9001,127.0.0.1:9002 'SELECT kv.items FROM kv, node WHEN NOT node.up'
  hindcast watch --nodes 127.0.0.1:9001,127.0.0.1:9002 --from NOW-5m -o jsonl \
      'SELECT kv.items[k].version FROM kv FOR EACH k IN KEYS(kv.items)
       WHEN (kv.items[k].version < MAX(kv.items[k].version)) LINK SAME_NODE FOR 200ms'
  hindcast watch 127.0.0.1:9001 --bell --on-row 'logger -t hindcast' \
      'SELECT node.disk FROM node WHEN node.disk = "full"'`,
		Args:              usageArgs(cobra.RangeArgs(0, 2)),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(c, f.output, "table", "jsonl"); err != nil {
				return err
			}
			w, err := f.watcher(c, args)
			if err != nil {
				return err
			}
			return w.run()
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.nodes, "nodes", "", "admin addresses of the nodes, HOST:PORT,…, in place of the first argument")
	fl.StringVar(&f.from, "from", "NOW", "begin at this time: NOW, NOW-5m, or a time like 2026-11-21T19:46:53Z")
	complete(c, "from", "NOW", "NOW-5m")
	outputFlag(c, &f.output, "table", "jsonl")
	fl.StringVarP(&f.file, "file", "f", "", "read the query from this file, - for standard input")
	fl.StringVar(&f.onRow, "on-row", "", "run this shell command for every row, which it gets as JSON on standard input")
	fl.BoolVar(&f.bell, "bell", false, "ring the terminal's bell for every row")
	fl.StringVar(&f.tokenFile, "token-file", "", "file that holds the admin token")
	fl.DurationVar(&f.hold, "hold", live.HoldDefault, "how long a node that says nothing holds back all rows")
	fl.IntVar(&f.maxCombinations, "max-combinations", rql.DefaultMaxCombinations, "choices of nodes and members tried at one cut")
	fl.BoolVar(&f.wide, "wide", false, "don't shorten the cells of a table")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "no summary")
	return c
}

// watcher reads what the user wants.
func (f *watchFlags) watcher(c *cobra.Command, args []string) (*watcher, error) {
	w := &watcher{f: f, c: c, begin: time.Now()}
	w.bell = &lockedWriter{w: c.ErrOrStderr()}
	w.stderr = termtext.SafeWriter(w.bell)
	nodes := f.nodes
	if nodes == "" {
		if len(args) == 0 || len(args) == 1 && f.file == "" && strings.ContainsAny(args[0], " \t\n") {
			return nil, Usage(errors.New("there are no nodes: give their admin addresses, HOST:PORT,…, before the query or with --nodes"))
		}
		nodes, args = args[0], args[1:]
	}
	if len(args) > 1 {
		return nil, Usage(fmt.Errorf("there is %q after the query: want HOST:PORT,… and one query", termtext.Clip(args[1], 40)))
	}
	for _, n := range strings.Split(nodes, ",") {
		if n = strings.TrimSpace(n); n != "" {
			w.nodes = append(w.nodes, n)
		}
	}
	switch {
	case len(args) == 0 && f.file == "":
		return nil, Usage(noWatchQuery(c, nodes))
	case f.maxCombinations < 1:
		return nil, Usage(fmt.Errorf("--max-combinations %d: want 1 or more", f.maxCombinations))
	case f.hold <= 0:
		return nil, Usage(fmt.Errorf("--hold %v: want a time above 0", f.hold))
	}
	var err error
	w.text, err = (&queryFlags{file: f.file}).text(c, args)
	switch {
	case errors.Is(err, errNoQuery), err == nil && w.text == "":
		return nil, Usage(noWatchQuery(c, nodes))
	case err != nil:
		return nil, Usage(err)
	}
	if _, err := syntax.Parse(w.text); err != nil {
		return nil, queryError(err, statement{file: f.file, text: w.text})
	}
	if w.from, err = parseFrom(f.from, w.begin); err != nil {
		return nil, Usage(err)
	}
	if w.token, err = readToken(f.tokenFile); err != nil {
		return nil, Usage(err)
	}
	return w, nil
}

// noWatchQuery says what to write where there is no query.
func noWatchQuery(c *cobra.Command, nodes string) error {
	return fmt.Errorf(`there is no query: write one after the addresses, or name its --file (- for standard input). When is a node down?
  %[1]s %[2]s 'SELECT node.up FROM node WHEN NOT node.up'
What else there is to ask about:
  %[3]s query %[2]s 'SHOW VARIABLES'`, c.CommandPath(), nodes, c.Parent().CommandPath())
}

// parseFrom is the time of --from; 0 is now.
func parseFrom(text string, now time.Time) (hlc.Timestamp, error) {
	rest, isNow := strings.CutPrefix(strings.ToUpper(text), "NOW")
	if !isNow {
		t, err := hlc.Parse(text)
		if err != nil {
			return 0, fmt.Errorf("--from %s: want NOW, NOW-5m, or a time like 2026-11-21T19:46:53Z", text)
		}
		if t.Time().After(now) {
			return 0, fmt.Errorf("--from %s: that time is still to come", text)
		}
		return t, nil
	}
	rest = strings.ToLower(strings.TrimSpace(rest))
	if rest == "" {
		return 0, nil
	}
	ago, err := time.ParseDuration(strings.TrimSpace(strings.TrimPrefix(rest, "-")))
	if err != nil || ago < 0 || rest[0] != '-' {
		return 0, fmt.Errorf("--from %s: want NOW, NOW-5m, or a time like 2026-11-21T19:46:53Z", text)
	}
	return hlc.FromTime(now.Add(-ago)), nil
}

// lagsMax bounds the rows whose lag is kept for the summary.
const lagsMax = 1 << 16

// A watcher is a live.Sink that asks a query.
type watcher struct {
	f      *watchFlags
	c      *cobra.Command
	bell   io.Writer // standard error
	stderr io.Writer // the same, for text that nodes may have made
	nodes  []string
	text   string
	token  string
	from   hlc.Timestamp
	begin  time.Time

	ctx     context.Context
	stream  *rql.Stream
	out     rowWriter
	actions *actions
	fed     bool     // an entry came
	said    []string // notes about bulky variables
	rows    uint64
	unsure  bool            // a row was incomplete
	lags    []time.Duration // between a row's event and the row, of rows since the begin
}

func (w *watcher) run() error {
	ctx, stop := interruptible(w.c)
	defer stop()
	w.ctx = ctx
	if w.f.onRow != "" {
		w.actions = newActions(w.f.onRow, w.stderr)
	}
	stats, err := live.Follow(ctx, w.nodes, live.Options{Token: w.token, From: w.from, Hold: w.f.hold, Told: w.told, Lean: leanQuery(w.text)}, w)
	var sum rql.Summary
	if w.stream != nil {
		var closed error
		if sum, closed = w.stream.Close(); err == nil {
			err = closed
		}
	}
	w.actions.end()
	if w.out != nil {
		if oerr := w.out.end(nil); err == nil && oerr != nil {
			err = fmt.Errorf("write the rows: %w", oerr)
		}
	}
	if !w.f.quiet && w.stream != nil {
		w.summary(sum, stats)
	}
	var refused *live.RefusedError
	switch {
	case errors.As(err, &refused), err != nil && w.stream == nil && !errors.As(err, new(*syntax.Error)):
		return Usage(err)
	case err != nil:
		return queryError(err, statement{file: w.f.file, text: w.text})
	case w.stream == nil:
		return &ExitError{Code: ExitUndecided, Err: errors.New("interrupted before every node had said where it is: nothing was asked")}
	case w.unsure || w.rows == 0 && len(sum.Incomplete) > 0:
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("undecided: the history of %s is missing in part, and the answer could depend on it", strings.Join(sum.Incomplete, ", "))}
	case w.actions.failures() > 0:
		return &ExitError{Code: ExitInternal, Err: fmt.Errorf("--on-row failed for %s", plural(w.actions.failures(), "row"))}
	}
	return nil
}

// told says what becomes of a node.
func (w *watcher) told(n live.Notice) {
	clock := func(t time.Time) string { return t.UTC().Format("15:04:05.000Z") }
	waits := fmt.Sprintf("rows wait for it until %s (--hold %v), then its part is unknown", clock(n.Heard.Add(w.f.hold)), w.f.hold)
	if time.Since(n.Heard) > w.f.hold {
		waits = "rows come without it"
	}
	switch n.Change {
	case live.NodeLost:
		what := "is lost, and tried again: " + n.Err.Error()
		if silent := (*live.SilentError)(nil); errors.As(n.Err, &silent) {
			what = fmt.Sprintf("(%s) is connected, but has said nothing since %s (is its process stopped?)", silent.Addr, clock(n.Heard))
		}
		fmt.Fprintf(w.stderr, "node %s %s; %s\n", n.Node, what, waits)
	case live.NodeUnknown:
		fmt.Fprintf(w.stderr, "node %s is unknown from %s on, silent for %v: rows that it could change are marked incomplete\n", n.Node, n.From, w.f.hold)
	case live.NodeBack:
		fmt.Fprintf(w.stderr, "node %s is back, after %v\n", n.Node, time.Since(n.Heard).Round(100*time.Millisecond))
	case live.NodeKnown:
		fmt.Fprintf(w.stderr, "node %s is known again from %s on\n", n.Node, n.From)
	}
}

// Grow implements live.Sink.
func (w *watcher) Grow(meta *history.Meta) error {
	q, err := rql.Compile(meta, w.text)
	if err != nil {
		return err
	}
	w.bulky(q, meta)
	if w.stream != nil {
		return w.stream.Grow(meta)
	}
	opt := rql.Options{MaxCombinations: w.f.maxCombinations, Now: hlc.FromTime(w.begin)}
	// Interrupted, it gives the rows that it has.
	s, err := q.Stream(context.WithoutCancel(w.ctx), meta, opt, w.row)
	if err != nil {
		return err
	}
	w.stream = s
	w.out = newRowWriter(w.c.OutOrStdout(), &queryFlags{output: w.f.output, wide: w.f.wide}, q, w.text)
	if t, ok := w.out.(*tableRows); ok {
		if st, _ := syntax.Parse(w.text); st.(*syntax.Query).Emit == syntax.EmitDefault {
			t.columns = append([]string{"edge"}, t.columns...)
		}
		t.live = true
	}
	if !w.f.quiet {
		var names []string
		for i := range meta.Nodes {
			names = append(names, meta.Nodes[i].Name)
		}
		fmt.Fprintf(w.stderr, "watching %s; Ctrl-C ends it\n", strings.Join(names, ", "))
	}
	return nil
}

// bulky says, once each, of which variables of the query nodes leave out what is in
// them.
func (w *watcher) bulky(q *rql.Query, meta *history.Meta) {
	for _, id := range q.Variables() {
		for _, b := range meta.Vars[id].Bulky {
			text := fmt.Sprintf("note: what is in %s is left out by node %s from %v on: it is a large plain Go map or slice, not a machine.Map\n",
				meta.Vars[id].Name, meta.Nodes[b.Node].Name, b.From)
			if !slices.Contains(w.said, text) {
				w.said = append(w.said, text)
				fmt.Fprint(w.stderr, text)
			}
		}
	}
}

// Feed implements live.Sink.
func (w *watcher) Feed(ev *history.Event) error {
	if !w.fed {
		w.fed = true
		if !w.f.quiet && !ev.Base && ev.Time > w.from && w.from != 0 {
			fmt.Fprintf(w.stderr, "note: --from %s is before anything was recorded: rows are there from %v on, the first event\n", w.f.from, ev.Time)
		}
	}
	return w.stream.Feed(ev)
}

// Gap implements live.Sink.
func (w *watcher) Gap(node int, span history.Span) {
	if w.stream != nil {
		w.stream.Gap(node, span)
	}
}

// row takes a row as it comes.
func (w *watcher) row(r *rql.Row) error {
	w.rows++
	w.unsure = w.unsure || r.Incomplete
	if at := r.From.Time(); at.After(w.begin) && len(w.lags) < lagsMax {
		w.lags = append(w.lags, time.Since(at))
	}
	if err := w.out.row(r); err != nil {
		return fmt.Errorf("write the rows: %w", err)
	}
	if w.f.bell {
		fmt.Fprint(w.bell, "\a")
	}
	w.actions.row(r)
	return nil
}

// summary says what there was.
func (w *watcher) summary(sum rql.Summary, stats live.Stats) {
	fmt.Fprintf(w.stderr, "%s from %s of %s in %.1f s, %d late\n", plural(sum.Rows, "row"), plural(stats.Events, "event"),
		plural(uint64(len(stats.Nodes)), "node"), time.Since(w.begin).Seconds(), stats.Late)
	if n := len(w.lags); n > 0 {
		slices.Sort(w.lags)
		ms := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
		fmt.Fprintf(w.stderr, "rows came %v (p50), %v (p99), %v (most) after their event, by this machine's clock\n",
			ms(w.lags[n/2]), ms(w.lags[n*99/100]), ms(w.lags[n-1]))
	}
	for _, n := range stats.Nodes {
		if n.Late > 0 {
			fmt.Fprintf(w.stderr, "note: of node %s %s came late\n", n.Name, plural(n.Late, "event"))
		}
		if n.Silent {
			fmt.Fprintf(w.stderr, "note: node %s was silent at the end\n", n.Name)
		}
	}
	s := newSummary(sum, time.Since(w.begin), nil)
	s.query = w.text
	s.notes(w.stderr)
}

// leanQuery reports whether a query looks at nothing that events carry: its logs are
// those of machines, and it walks cut by cut.
func leanQuery(text string) bool {
	st, err := syntax.Parse(text)
	q, ok := st.(*syntax.Query)
	return err == nil && ok && (q.When == nil || q.When.Modality == syntax.Observed) && !slices.ContainsFunc(q.From, func(log *syntax.Ident) bool { return strings.EqualFold(log.Name, "net") })
}
