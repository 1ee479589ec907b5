package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hindcast.dev/sim"
	"hindcast.dev/vfs"
)

// stateFile is where a search keeps how far it is, in the directory of --keep.
const stateFile = "search.json"

const (
	stateEvery    = 5 * time.Second  // the state file is written so often
	plainEvery    = 30 * time.Second // a line of progress, where there is no terminal
	keptMax       = 20               // failures with the same property that are kept
	stateBytesMax = 256 << 20
)

// A searchState is the content of the state file. What identifies the search
// comes first: another search doesn't go on with it.
type searchState struct {
	Subject string      `json:"subject"`
	Build   string      `json:"build"`
	Options sim.Options `json:"options"`
	First   uint64      `json:"first"`
	Floors  sim.Floors  `json:"floors"`
	Verify  bool        `json:"verify,omitempty"`

	Seconds float64        `json:"seconds"` // that the search took
	Kept    map[string]int `json:"kept"`    // by kind and property
	Tally   sim.Tally      `json:"tally"`
}

// differs says in what two states are of different searches, "" if they aren't.
func (s *searchState) differs(o *searchState) string {
	switch {
	case s.Subject != o.Subject:
		return fmt.Sprintf("of %s, and this is one of %s", o.Subject, s.Subject)
	case s.Build != o.Build:
		return fmt.Sprintf("by build %s, and this program is build %s", o.Build, s.Build)
	case decided(&s.Options) != decided(&o.Options):
		return "with other --set or properties"
	case s.First != o.First:
		return fmt.Sprintf("from seed %d on, and this is one from %d", o.First, s.First)
	case s.Floors != o.Floors || s.Verify != o.Verify:
		return "with other --floors or --verify-determinism"
	}
	return ""
}

// A searchRun is a search under way.
type searchRun struct {
	f     *simFlags
	c     *cobra.Command
	ctx   context.Context
	t     *simTarget
	s     sim.Search
	state searchState
	bar   *progress

	began   time.Time // of this process's part
	before  float64   // seconds that earlier parts took
	runs0   int
	sim0    time.Duration
	written time.Time // the state file
	said    time.Time // a plain line
}

// search runs many seeds.
func (f *simFlags) search(ctx context.Context, c *cobra.Command, t *simTarget) error {
	r, err := f.newSearch(ctx, c, t)
	if err != nil {
		return Usage(err)
	}
	r.sayResumed()
	if f.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.limit)
		defer cancel()
	}
	collectLess()
	err = r.s.Run(ctx, &r.state.Tally)
	r.bar.clear()
	interrupted := errors.Is(err, context.Canceled)
	if errors.Is(err, context.DeadlineExceeded) || interrupted {
		err = nil
	}
	if err != nil {
		return Usage(err)
	}
	if err := r.write(); err != nil {
		return err
	}
	if err := r.summary(interrupted); err != nil {
		return err
	}
	return r.exit(interrupted)
}

// sayResumed says where a search that was kept goes on, if it does.
func (r *searchRun) sayResumed() {
	t, w := &r.state.Tally, r.c.ErrOrStderr()
	switch {
	case t.Runs == 0:
	case r.s.Last >= r.s.First && t.Next > r.s.Last:
		fmt.Fprintf(w, "%s keeps a search that is further along: seeds %d to %d are done, and what follows is of all of these; another directory keeps another search\n",
			r.f.keep, r.s.First, t.Next-1)
	default:
		fmt.Fprintf(w, "going on at seed %d\n", t.Next)
	}
}

// gcPercent is for worlds, which live for less than a second and hold little.
const gcPercent = 400

// collectLess trades memory for speed, unless whoever runs this has decided.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

func (f *simFlags) newSearch(ctx context.Context, c *cobra.Command, t *simTarget) (*searchRun, error) {
	r := &searchRun{f: f, c: c, ctx: ctx, t: t, bar: newProgress(c.ErrOrStderr()), began: time.Now()}
	r.said, r.written = r.began, r.began
	first, last, err := f.seedRange()
	if err != nil {
		return nil, err
	}
	floors, err := f.floorsOf()
	if err != nil {
		return nil, err
	}
	if f.workers < 1 || f.failuresMax < 0 {
		return nil, errors.New("--workers wants 1 or more, --max-failures 0 or more")
	}
	failuresMax := f.failuresMax
	if f.failFast {
		failuresMax = 1
	}
	r.s = sim.Search{Subject: t.subject, Options: t.options, First: first, Last: last, Workers: f.workers, FailuresMax: failuresMax,
		Floors: floors, Verify: f.verify, Done: r.done}
	r.state = searchState{Subject: t.subject.Name, Build: BuildID(), Options: t.options, First: first, Floors: floors, Verify: f.verify,
		Kept: map[string]int{}}
	if err := r.resume(); err != nil {
		return nil, err
	}
	r.before, r.runs0, r.sim0 = r.state.Seconds, r.state.Tally.Runs, r.state.Tally.Simulated
	return r, nil
}

// resume takes over the state of --keep, if there is one.
func (r *searchRun) resume() error {
	if r.f.keep == "" {
		return nil
	}
	name := path.Join(filepath.ToSlash(r.f.keep), stateFile)
	b, err := vfs.ReadFile(vfs.OS(), name, stateBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(r.f.keep, 0o755)
	}
	if err != nil {
		return err
	}
	var old searchState
	if err := json.Unmarshal(b, &old); err != nil {
		return fmt.Errorf("%s isn't the state of a search: %w\nuse another directory for --keep, or remove that file", name, err)
	}
	if why := r.state.differs(&old); why != "" {
		return fmt.Errorf("%s keeps a search %s\nuse another directory for --keep, or remove %s", r.f.keep, why, name)
	}
	if old.Kept == nil {
		old.Kept = map[string]int{}
	}
	r.state = old
	return nil
}

// write writes the state file.
func (r *searchRun) write() error {
	r.state.Seconds = r.before + time.Since(r.began).Seconds()
	r.written = time.Now()
	if r.f.keep == "" {
		return nil
	}
	b, err := json.Marshal(&r.state)
	if err != nil {
		return err
	}
	return vfs.WriteFile(vfs.OS(), path.Join(filepath.ToSlash(r.f.keep), stateFile), append(b, '\n'))
}

// done is told of every seed, in order.
func (r *searchRun) done(o *sim.Outcome, result *sim.Result) error {
	r.bar.show(r.line)
	kept, again := "", ""
	if o.Failure != nil {
		options := r.t.options
		options.Seed = o.Seed
		again = r.f.again(r.t.subject, &options)
		var err error
		if kept, err = r.keep(&options, result); err != nil {
			return err
		}
	}
	r.bar.clear()
	w := r.c.OutOrStdout()
	if r.f.output == "json" {
		err := writeLine(w, struct {
			Type string `json:"type"`
			*sim.Outcome
			Kept  string `json:"kept,omitempty"`
			Again string `json:"again,omitempty"`
		}{"seed", o, kept, again})
		if err != nil {
			return err
		}
	} else if o.Failure != nil {
		writeFailure(safeFor(w), o.Seed, o.Failure, kept, again, r.f.command)
	}
	return r.periodic()
}

// keep keeps a failing run, if there is a place for it and not too many already.
func (r *searchRun) keep(o *sim.Options, result *sim.Result) (string, error) {
	what := string(result.Failure.Kind) + ": " + result.Failure.Property
	if r.f.keep == "" || r.state.Kept[what] >= keptMax {
		return "", nil
	}
	dir := seedDir(r.f.keep, o.Seed)
	if err := r.f.save(r.ctx, r.t.subject, o, result, dir, ""); err != nil {
		return "", fmt.Errorf("keep seed %d: %w", o.Seed, err)
	}
	r.state.Kept[what]++
	return dir, nil
}

// periodic writes the state file and a plain line, each when it is time.
func (r *searchRun) periodic() error {
	now := time.Now()
	if r.bar.w == nil && now.Sub(r.said) >= plainEvery {
		r.said = now
		fmt.Fprintln(r.c.ErrOrStderr(), r.line())
	}
	if now.Sub(r.written) >= stateEvery {
		return r.write()
	}
	return nil
}

// line says how far the search is.
func (r *searchRun) line() string {
	t := &r.state.Tally
	took := time.Since(r.began)
	seeds := plural(t.Runs, "seed")
	if r.s.Last >= r.s.First {
		seeds = grouped(uint64(t.Runs)) + " of " + plural(r.s.Last-r.s.First+1, "seed")
	}
	return fmt.Sprintf("%s, %.1f/s; %s; %s failing; coverage %d", seeds, float64(t.Runs-r.runs0)/took.Seconds(),
		pace(t.Simulated-r.sim0, took), grouped(uint64(t.Failing)), len(t.Coverage))
}

// pace is simulated time, and how much faster than real time it went by.
func pace(simulated, took time.Duration) string {
	return fmt.Sprintf("%s simulated, %.0f × real time", shortDuration(simulated), simulated.Seconds()/took.Seconds())
}

// shortDuration is a duration with two or three digits that matter.
func shortDuration(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f d", d.Hours()/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.1f min", d.Minutes())
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
}

// exit is the exit code of the whole.
func (r *searchRun) exit(interrupted bool) error {
	t := &r.state.Tally
	switch f := t.Verdict(); {
	case t.First != nil:
		return failed(f)
	case interrupted:
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("interrupted after %s%s", plural(t.Runs, "seed"), r.goOn())}
	case f != nil:
		return failed(f)
	case t.Undecided > 0:
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("undecided: a check came to no verdict in %s", plural(t.Undecided, "seed"))}
	case t.Runs == 0:
		return &ExitError{Code: ExitUndecided, Err: errors.New("no seed was done in time")}
	}
	return nil
}

func (r *searchRun) goOn() string {
	if r.f.keep == "" {
		return ""
	}
	return ": the same command goes on from there"
}

// summary says what the search came to.
func (r *searchRun) summary(interrupted bool) error {
	t := &r.state.Tally
	took := time.Since(r.began)
	if r.f.output == "json" {
		return writeLine(r.c.OutOrStdout(), struct {
			Type        string       `json:"type"`
			Subject     string       `json:"subject"`
			Build       string       `json:"build"`
			Interrupted bool         `json:"interrupted,omitempty"`
			Seconds     float64      `json:"seconds"`
			Verdict     *sim.Failure `json:"verdict,omitempty"`
			*sim.Tally
		}{"summary", r.state.Subject, r.state.Build, interrupted, r.state.Seconds, t.Verdict(), t})
	}
	w := safeFor(r.c.OutOrStdout())
	writeTally(w, r.t.subject.Name, t, r.state.Floors, interrupted)
	if t.Runs == r.runs0 {
		return nil // all was done before
	}
	fmt.Fprintf(r.c.ErrOrStderr(), "%s in %.1f s: %.1f seeds/s, %s, %s events/s\n", plural(t.Runs-r.runs0, "seed"), took.Seconds(),
		float64(t.Runs-r.runs0)/took.Seconds(), pace(t.Simulated-r.sim0, took), grouped(uint64(float64(t.Events)/r.state.Seconds)))
	if r.s.FailuresMax > 0 && t.Failing >= r.s.FailuresMax && !r.f.failFast {
		fmt.Fprintf(r.c.ErrOrStderr(), "ended after %s: --max-failures\n", plural(t.Failing, "failing seed"))
	}
	return nil
}

// writeTally shows a tally. There are no times in it: the same seeds of the same
// build give the same text.
func writeTally(w io.Writer, subject string, t *sim.Tally, floors sim.Floors, interrupted bool) {
	fmt.Fprintf(w, "%s: %s: %s; %s of the world, %s by nodes; %s simulated\n", subject, plural(t.Runs, "seed"),
		plural(t.Operations, "operation"), plural(t.Events, "event"), grouped(t.Steps), shortDuration(t.Simulated))
	fmt.Fprintf(w, "counted: %s of %s (≥ %s operations, ≥ %d kinds of fault", grouped(uint64(t.Counted)), grouped(uint64(t.Runs)),
		grouped(uint64(floors.Operations)), floors.FaultKinds)
	if floors.Events > 0 && floors.Events < math.MaxInt64 {
		fmt.Fprintf(w, ", ≤ %s events", grouped(floors.Events))
	}
	fmt.Fprint(w, ")")
	if reasons := t.Reasons(); reasons != "" {
		fmt.Fprintf(w, "; %s", reasons)
	}
	if t.Failing > 0 {
		fmt.Fprintf(w, "; %d failed", t.Failing)
	}
	fmt.Fprintf(w, "\nfaults that took effect: %s\n", countsOf(t.Happened))
	fmt.Fprintf(w, "coverage: %s of (state × fault × message)\n", plural(len(t.Coverage), "kind"))
	for _, name := range slices.Sorted(maps.Keys(t.Sometimes)) {
		fmt.Fprintf(w, "sometimes: %s: in %s\n", name, plural(t.Sometimes[name], "seed"))
	}
	writeRanges(w, t)
	for _, name := range slices.Sorted(maps.Keys(t.Kinds)) {
		fmt.Fprintf(w, "failed: %s: %s\n", name, plural(t.Kinds[name], "seed"))
	}
	switch v := t.Verdict(); {
	case v == nil && t.Undecided > 0:
		fmt.Fprintf(w, "undecided: a check came to no verdict in %s\n", plural(t.Undecided, "seed"))
	case v == nil && t.Runs == 0:
		fmt.Fprintln(w, "nothing was judged")
	case v == nil && interrupted:
		fmt.Fprintf(w, "interrupted: no failure in %s, the others were not run\n", plural(t.Runs, "seed"))
	case v == nil:
		fmt.Fprintln(w, "all holds")
	case t.First == nil:
		fmt.Fprintf(w, "%s: %s: %s\n", v.Kind, v.Property, v.Text)
	}
}

func writeRanges(w io.Writer, t *sim.Tally) {
	if len(t.Options) == 0 {
		return
	}
	fmt.Fprintln(w, "options")
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(t.Options)) {
		r := t.Options[name]
		drawn := r.Min
		if r.Max != r.Min {
			drawn += " … " + r.Max
		}
		if len(r.Values) > 0 {
			drawn = countsOf(r.Values)
		}
		if r.Set {
			drawn += ", set"
		}
		if r.Runs != t.Runs {
			drawn += fmt.Sprintf(", in %s", plural(r.Runs, "seed"))
		}
		fmt.Fprintf(tw, "  %s\t%s\tfrom %s\n", name, drawn, r.From)
	}
	tw.Flush()
}

// countsOf lists names with their counts, the most frequent first.
func countsOf[K ~string](counts map[K]int) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b K) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	words := make([]string, len(names))
	for i, k := range names {
		words[i] = fmt.Sprintf("%s %s", k, grouped(uint64(counts[k])))
	}
	return cmp.Or(strings.Join(words, ", "), "none")
}
