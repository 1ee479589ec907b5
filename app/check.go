package app

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/syntax"
)

// checkFlags are the flags of check.
type checkFlags struct {
	openFlags
	properties []string
	model      string
	isolation  string
	reads      string
	output     string
	html       string
	timeout    time.Duration
	steps      int64
}

// Names of --property that stand for several.
const (
	propertyConsistency  = "consistency"
	propertySessions     = "sessions"
	propertyTransactions = "transactions"
	propertyLinearizable = "linearizable"
)

// modelListAppend is what transactions are over: to name it asks for them.
const modelListAppend = "list-append"

// checkCommand judges what clients saw.
func checkCommand(services []Service) *cobra.Command {
	f := &checkFlags{}
	c := &cobra.Command{
		Use:   "check WHAT",
		Short: "Judge what clients saw: is there an order that explains every answer?",
		Long: `Judge the operations of clients: is there an order of them that explains every
answer? For each violation the few operations that matter are shown, with the
reason why no order explains them.

WHAT is a log of operations (lines of Jepsen's log, maps in Clojure's notation, or
JSON Lines with process, type, f, key, value and time; - is standard input), or
whatever else can be opened, whose lanes client/N are the operations:
` + strings.TrimPrefix(whatHelp, "WHAT is ") + `

Properties, for --property:
` + propertyHelp() + `
Models, for --model (linearizable):
` + modelHelp() + `
Without --property transactions are judged by transactions, all else by
linearizable, and without --model by the simplest model that knows the operations.

The exit code is 0 where every property asked for holds, 1 where one is violated, 2
for a mistake in usage or input, and 3 where one is undecided, because a bound
(--timeout, --steps, Ctrl-C) was reached before there was an answer, or because
what was recorded can't tell.`,
		Example: `  hindcast check etcd.log
  hindcast check operations.jsonl --model kv --html picture.html
  hindcast check hindcast-demo --property consistency
  hindcast check hindcast-demo --reads consistency=fresh
  hindcast check transactions.edn --isolation snapshot-isolation -o json`,
		Args:              usageArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: filesFor(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.validate(c); err != nil {
				return err
			}
			return f.run(c, services, args[0])
		},
	}
	f.add(c)
	outputFlag(c, &f.output, "text", "json")
	fl := c.Flags()
	fl.StringSliceVar(&f.properties, "property", nil, "what to judge by; may be given several times")
	fl.StringVar(&f.model, "model", "", "what the objects are: "+strings.Join(modelNames(), ", "))
	fl.StringVar(&f.isolation, "isolation", "", "the level that transactions are judged by (default the strongest)")
	fl.StringVar(&f.reads, "reads", "", "judge only reads whose FIELD has this VALUE, FIELD=VALUE; writes all count")
	fl.StringVar(&f.html, "html", "", "write the violation as a picture to this file, further ones beside it")
	fl.DurationVar(&f.timeout, "timeout", 0, "end the search after this time (default none)")
	fl.Int64Var(&f.steps, "steps", check.StepsDefault, "end the search on one object after so many steps; -1 is never")
	complete(c, "property", propertyNames()...)
	complete(c, "model", modelNames()...)
	complete(c, "isolation", isolationNames()...)
	return c
}

func modelNames() []string {
	var names []string
	for _, m := range check.Models() {
		names = append(names, m.Name)
	}
	return append(names, modelListAppend)
}

func modelHelp() string {
	var b strings.Builder
	for _, m := range check.Models() {
		fmt.Fprintf(&b, "  %-14s %s\n", m.Name, m.Doc)
	}
	fmt.Fprintf(&b, "  %-14s %s\n", modelListAppend, "lists in transactions of append and r: judged by the property transactions")
	return b.String()
}

// propertyName is a property as it is typed: without spaces.
func propertyName(check string) string { return strings.ReplaceAll(strings.ToLower(check), " ", "-") }

// propertyNames are the values of --property.
func propertyNames() []string {
	names := []string{propertyConsistency, propertySessions, propertyTransactions}
	for _, l := range check.Levels() {
		names = append(names, propertyName(l))
	}
	return names
}

// isolationNames are the values of --isolation.
func isolationNames() []string {
	var names []string
	for _, m := range check.IsolationModels() {
		names = append(names, propertyName(m))
	}
	return names
}

func propertyHelp() string {
	levels := check.Levels()
	var typed []string
	for _, l := range levels {
		typed = append(typed, propertyName(l))
	}
	return fmt.Sprintf(`  linearizable   an order that also respects real time
  transactions   Adya's anomalies in transactions over append-only lists
  consistency    all levels for registers, weaker ones first, and which is the
                 strongest that holds:
                   %s,
                   %s
  sessions       the first four of these, or any one of these by its name
`, strings.Join(typed[:4], ", "), strings.Join(typed[4:], ", "))
}

func (f *checkFlags) validate(c *cobra.Command) error {
	if err := checkOutput(c, f.output, "text", "json"); err != nil {
		return err
	}
	for _, p := range f.properties {
		if !slices.Contains(propertyNames(), p) {
			return mistyped(c, "property", p, propertyNames())
		}
	}
	if f.model != "" && !slices.Contains(modelNames(), f.model) {
		return mistyped(c, "model", f.model, modelNames())
	}
	if f.model == modelListAppend && len(f.properties) > 0 && !slices.Equal(f.properties, []string{propertyTransactions}) {
		return Usage(fmt.Errorf("--model %s goes with --property %s alone", modelListAppend, propertyTransactions))
	}
	if f.isolation != "" && !slices.Contains(isolationNames(), propertyName(f.isolation)) {
		return mistyped(c, "isolation", f.isolation, isolationNames())
	}
	if f.steps == 0 || f.steps < -1 {
		return Usage(fmt.Errorf("--steps %d: want 1 or more, or -1 for no bound", f.steps))
	}
	if f.reads != "" && !strings.Contains(f.reads, "=") {
		return Usage(fmt.Errorf("--reads %s: want FIELD=VALUE, such as consistency=fresh", f.reads))
	}
	return nil
}

// A clientLog is operations, and how their times are written.
type clientLog struct {
	ops    []check.Operation
	format string             // "history", "jepsen", …
	time   func(int64) string // nil: as number
}

func (f *checkFlags) run(c *cobra.Command, services []Service, what string) error {
	ctx, stop := interruptible(c)
	defer stop()
	log, err := f.read(ctx, c, services, what)
	if err != nil {
		return err
	}
	if log.ops, err = f.choose(log.ops); err != nil {
		return Usage(err)
	}
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	report, err := f.judge(ctx, c, log)
	if err != nil {
		return Usage(err)
	}
	report.What, report.Format = what, log.format
	if err := f.pictures(c, report); err != nil {
		return err
	}
	if f.output == "json" {
		err = writeJSON(c.OutOrStdout(), report)
	} else {
		err = report.write(safeFor(c.OutOrStdout()))
	}
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return report.exit()
}

// read opens WHAT as what it is: a log of operations, or something that becomes a
// History.
func (f *checkFlags) read(ctx context.Context, c *cobra.Command, services []Service, what string) (*clientLog, error) {
	in, name := c.InOrStdin(), "standard input"
	if what != "-" {
		info, err := os.Stat(what)
		if err != nil || info.IsDir() {
			return f.readHistory(ctx, c, services, what)
		}
		file, err := os.Open(what)
		if err != nil {
			return nil, Usage(err)
		}
		defer file.Close()
		in, name = file, what
	}
	r := bufio.NewReaderSize(in, 64<<10)
	begin, err := r.Peek(4 << 10)
	if err != nil && !errors.Is(err, io.EOF) && len(begin) == 0 {
		return nil, Usage(fmt.Errorf("read %s: %w", name, err))
	}
	format := check.DetectFormat(begin)
	switch {
	case format != check.FormatUnknown:
		ops, err := check.ReadLog(r, format)
		if err != nil {
			return nil, Usage(fmt.Errorf("%s, as %s log: %w", name, format, err))
		}
		return &clientLog{ops: ops, format: format.String()}, nil
	case len(bytes.TrimSpace(begin)) == 0:
		return nil, Usage(fmt.Errorf("%s is empty: want a log of operations", name))
	case what != "-":
		return f.readHistory(ctx, c, services, what)
	}
	h, err := history.ReadText(r, name, history.TextOptions{SkipBad: f.skipBad})
	if err != nil {
		return nil, Usage(fmt.Errorf("%s is no log of operations (see 'hindcast check --help'), and no History: %w", name, err))
	}
	return clientLanes(ctx, h, name)
}

func (f *checkFlags) readHistory(ctx context.Context, c *cobra.Command, services []Service, what string) (*clientLog, error) {
	o, err := f.open(ctx, c, services, what)
	if err != nil {
		if _, statErr := os.Stat(what); errors.Is(statErr, fs.ErrNotExist) || ctx.Err() != nil {
			return nil, err
		}
		return nil, Usage(fmt.Errorf("%w\n(it is no log of operations either: those are lines of Jepsen's log, maps in Clojure's notation, or JSON Lines with process, type and f)", err))
	}
	defer o.Close()
	return clientLanes(ctx, o.Source, what)
}

// clientLanes reads the operations of a History. Times are told from the first on.
func clientLanes(ctx context.Context, src history.Source, what string) (*clientLog, error) {
	ops, err := check.FromHistory(ctx, src)
	if err != nil {
		return nil, Usage(fmt.Errorf("%s: %w", what, err))
	}
	if len(ops) == 0 {
		return nil, Usage(fmt.Errorf("%s has no operations of clients: they are events of kinds invoke, ok, fail and info on lanes client/0, client/1 and so on, as the demo and the simulator record them", what))
	}
	first := ops[0].Call
	since := func(t int64) string {
		return fmt.Sprintf("+%.6fs", hlc.Timestamp(t).Sub(hlc.Timestamp(first)).Seconds())
	}
	return &clientLog{ops: ops, format: "history", time: since}, nil
}

// choose leaves out the reads that --reads doesn't ask for.
func (f *checkFlags) choose(ops []check.Operation) ([]check.Operation, error) {
	field, value, asked := strings.Cut(f.reads, "=")
	if !asked {
		return ops, nil
	}
	has := map[string]bool{}
	chosen := slices.DeleteFunc(slices.Clone(ops), func(op check.Operation) bool {
		if op.F != "read" && op.F != "get" {
			return false
		}
		v := op.Extra.Field(field)
		text := v.String()
		if v.Type() == event.TypeString {
			text = v.AsString()
		}
		has[text] = true
		return text != value
	})
	if !has[value] {
		var there []string
		for v := range has {
			there = append(there, v)
		}
		slices.Sort(there)
		return nil, fmt.Errorf("--reads %s: no read has it; their %s is %s", f.reads, field, strings.Join(there, ", "))
	}
	return chosen, nil
}

// judge judges by every property asked for.
func (f *checkFlags) judge(ctx context.Context, c *cobra.Command, log *clientLog) (*checkReport, error) {
	bar := newProgress(c.ErrOrStderr())
	defer bar.clear()
	begin, now, done := time.Now(), "", ""
	o := check.Options{Steps: f.steps, Isolation: f.isolation, Time: log.time,
		Progress: func(n, of int) { done = fmt.Sprintf(", %s of %s operations", grouped(uint64(n)), grouped(uint64(of))) }}
	o.Stop = func() bool {
		bar.show(func() string { return fmt.Sprintf("judging: %s%s, %.0f s", now, done, time.Since(begin).Seconds()) })
		return ctx.Err() != nil
	}
	r := &checkReport{Operations: len(log.ops)}
	for _, p := range f.asked(log.ops) {
		now, done = p, ""
		from := time.Now()
		results, strongest, err := f.property(p, log.ops, o)
		if err != nil {
			return nil, err
		}
		for i := range results {
			r.Results = append(r.Results, newCheckResult(&results[i], time.Since(from)/time.Duration(len(results))))
		}
		r.Strongest = cmp.Or(r.Strongest, strongest)
	}
	return r, nil
}

// asked are the properties to judge by.
func (f *checkFlags) asked(ops []check.Operation) []string {
	if len(f.properties) > 0 {
		return f.properties
	}
	if f.isolation != "" || f.model == modelListAppend || !slices.ContainsFunc(ops, func(op check.Operation) bool { return op.F != "txn" }) {
		return []string{propertyTransactions}
	}
	return []string{propertyLinearizable}
}

// property judges by one. strongest says which levels hold, where that was asked.
func (f *checkFlags) property(p string, ops []check.Operation, o check.Options) (results []check.Result, strongest string, err error) {
	switch p {
	case propertyConsistency:
		all := check.Consistency(ops, o)
		return all.Results, all.String(), nil
	case propertySessions:
		return check.Sessions(ops, o), "", nil
	case propertyTransactions:
		if err := check.AcceptsTransactions(ops); err != nil {
			return nil, "", err
		}
		r := check.Transactions(ops, o)
		if r.Isolation != nil {
			strongest = r.Isolation.String()
		}
		return []check.Result{r}, strongest, nil
	case propertyLinearizable:
		m, ok := check.ModelByName(f.model)
		if !ok {
			m, ok = check.GuessModel(ops)
		}
		if !ok {
			return nil, "", noModel(ops)
		}
		if err := m.Accepts(ops); err != nil {
			return nil, "", err
		}
		return []check.Result{check.Linearizable(ops, m, o)}, "", nil
	}
	for _, l := range check.Levels() {
		if propertyName(l) == p {
			return []check.Result{check.Level(ops, l, o)}, "", nil
		}
	}
	return nil, "", fmt.Errorf("no property %s", p)
}

// noModel says which operations no model knows, or knows together.
func noModel(ops []check.Operation) error {
	unknown, names := map[string]string{}, map[string]bool{}
	for i := range ops {
		names[ops[i].F] = true
		if _, ok := check.GuessModel(ops[i : i+1]); !ok && unknown[ops[i].F] == "" {
			unknown[ops[i].F] = fmt.Sprintf("%q (%s)", ops[i].F, ops[i].Ref)
		}
	}
	for _, f := range slices.Sorted(maps.Keys(unknown)) {
		return fmt.Errorf("no model has an operation %s: rename it to what it does, one of those of 'hindcast check --help', or leave it out", unknown[f])
	}
	return fmt.Errorf("no model has all of %s: choose with --model, one of %s", strings.Join(slices.Sorted(maps.Keys(names)), ", "), strings.Join(modelNames(), ", "))
}

// mistyped is an error about a value that isn't among those that there are.
func mistyped(c *cobra.Command, flag, value string, all []string) error {
	hint := ""
	if near, ok := syntax.Nearest(value, all); ok {
		hint = fmt.Sprintf("did you mean %s?\n", near)
	}
	return Usage(fmt.Errorf("--%s %s: want %s\n%ssee '%s --help'", flag, value, strings.Join(all, ", "), hint, c.CommandPath()))
}

// pictures writes the violations as pages: FILE, and FILE with -2, -3 and so on
// before its extension.
func (f *checkFlags) pictures(c *cobra.Command, r *checkReport) error {
	if f.html == "" {
		return nil
	}
	n := 0
	for i := range r.Results {
		for j := range r.Results[i].violations {
			n++
			name := f.html
			if n > 1 {
				ext := filepath.Ext(name)
				name = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), n, ext)
			}
			var page bytes.Buffer
			if err := r.Results[i].violations[j].HTML(&page); err != nil {
				return err
			}
			if err := os.WriteFile(name, page.Bytes(), 0o644); err != nil {
				return Usage(fmt.Errorf("--html: %w", err))
			}
			r.Pictures = append(r.Pictures, name)
		}
	}
	if n == 0 {
		fmt.Fprintf(c.ErrOrStderr(), "note: nothing is violated, so there is no picture in %s\n", f.html)
	}
	return nil
}
