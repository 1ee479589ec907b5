package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hindcast.dev/rql/syntax"
	"hindcast.dev/sim"
	"hindcast.dev/vfs"
)

// Exit codes of sim besides ExitHolds, ExitUsage, ExitUndecided and ExitInternal;
// ExitFound is a violated safety property. Of several failures that of the lowest
// seed decides.
const (
	ExitLiveness       = 20 // no progress, or no convergence, after the faults ended
	ExitCrash          = 21 // a machine panicked, or a node couldn't recover
	ExitDivergence     = 22 // replay gave something else than the run
	ExitNondeterminism = 23 // the same seed gave another run
	ExitCoverage       = 24 // the runs didn't exercise what they must
)

// exitCodes are the exit codes of failures.
var exitCodes = map[sim.FailureKind]int{sim.Safety: ExitFound, sim.Liveness: ExitLiveness, sim.Crash: ExitCrash,
	sim.Divergence: ExitDivergence, sim.Nondeterminism: ExitNondeterminism, sim.Coverage: ExitCoverage}

// failed is the error of a command whose failure was told already; nil if there
// is none.
func failed(f *sim.Failure) error {
	if f == nil {
		return nil
	}
	code, ok := exitCodes[f.Kind]
	if !ok {
		code = ExitInternal
	}
	return &ExitError{Code: code}
}

// simFlags are the flags of sim, and those of them that its subcommands share.
type simFlags struct {
	services []Service
	command  string // this command's path, for commands to paste
	set      []string
	demands  [4][]string // by demandModes
	keep     string
	record   string
	limit    time.Duration
	workers  int

	hangAfter time.Duration
	eventsMax uint64
	output    string

	seed        string
	seeds       string
	verify      bool
	failFast    bool
	failuresMax int
	floors      string
	trace       bool

	at         string
	reseed     bool
	futures    int
	keepFaults bool
}

// demandModes are the flags that state properties.
var demandModes = [...]struct{ mode, usage string }{
	{"always", "demand that this RQL condition holds at every moment (repeatable)"},
	{"never", "demand that it holds at no moment (repeatable)"},
	{"eventually", "demand that it holds at some moment after all faults ended (repeatable)"},
	{"sometimes", "demand that it holds at some moment of some seed (repeatable)"},
}

// hangAfter is the default of --hang-after.
const hangAfter = time.Minute

// addRun adds the flags that decide a run.
func (f *simFlags) addRun(c *cobra.Command) {
	fl := c.Flags()
	fl.StringArrayVar(&f.set, "set", nil, "fix an option that is drawn otherwise, NAME=VALUE (repeatable); 'options' lists them")
	completeFlag(c, "set", f.completeSet)
	for i, d := range demandModes {
		fl.StringArrayVar(&f.demands[i], d.mode, nil, d.usage)
	}
	fl.StringVar(&f.keep, "keep", "", "directory that keeps what was found, and where the search goes on")
	fl.StringVar(&f.record, "record", "", "keep the recording of the one run in this directory, though all holds: for compare in hindcast debug")
	fl.IntVar(&f.workers, "workers", runtime.GOMAXPROCS(0), "seeds that run at the same time")
	fl.DurationVar(&f.limit, "for", 0, "end after this time (default none)")
	fl.DurationVar(&f.hangAfter, "hang-after", hangAfter, "end when one event of a world isn't over after this time; 0 is never")
	fl.Uint64Var(&f.eventsMax, "max-events", sim.DefaultEventsMax, "events that a world may have: one that has more fails")
}

const simExample = `  hindcast sim TARGET --seeds 1..100
  hindcast sim TARGET --seeds 1..10000 --for 10m --keep runs
  hindcast sim TARGET --seed 17 --set clients=2 --trace
  hindcast sim TARGET --seeds 1..20 --sometimes 'node.up = false'
  hindcast sim TARGET --seed 17 --at 12000 --reseed --futures 200
  hindcast sim shrink runs/seed-17`

// simCommand runs simulated worlds.
func simCommand(services []Service) *cobra.Command {
	f := &simFlags{services: services}
	first := simulated(services)[0].Name
	c := &cobra.Command{
		Use:               "sim [TARGET | FAILURE]",
		Short:             "Run a system under simulated faults, seed by seed, and judge it",
		Long:              simLong(services),
		Example:           strings.ReplaceAll(simExample, "TARGET", first),
		Args:              usageArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: f.completeTargets,
		RunE:              func(c *cobra.Command, args []string) error { f.command = c.CommandPath(); return f.run(c, args) },
	}
	f.addRun(c)
	fl := c.Flags()
	fl.StringVar(&f.seeds, "seeds", "", "seeds to run, A..B; A.. has no end (default 1..100, with --for 1..)")
	fl.StringVar(&f.seed, "seed", "", "run this seed alone, and show it")
	fl.BoolVar(&f.verify, "verify-determinism", false, "run every seed twice, and compare the two event by event")
	fl.BoolVar(&f.failFast, "fail-fast", false, "end with the first failing seed")
	fl.IntVar(&f.failuresMax, "max-failures", 10, "end after so many failing seeds; 0 is never")
	fl.StringVar(&f.floors, "floors", "", "what a seed must exercise to count (default operations=2000,faults=3,events=50000)")
	fl.BoolVar(&f.trace, "trace", false, "print every event of the seed's world")
	fl.StringVar(&f.at, "at", "", "with --reseed: the moment, a number of an event of the world or NODE:SEQ (default: a grid of moments)")
	fl.BoolVar(&f.reseed, "reseed", false, "let other seeds decide from a moment on: how likely is a failure from there?")
	fl.IntVar(&f.futures, "futures", 50, "with --reseed: how many, for each moment")
	fl.BoolVar(&f.keepFaults, "keep-faults", false, "with --reseed: the faults still to come stay")
	outputFlag(c, &f.output, "text", "json")
	c.AddCommand(f.shrinkCommand(), f.optionsCommand())
	return c
}

func simLong(services []Service) string {
	var b strings.Builder
	b.WriteString(`Run a whole system, nodes, network, disks, clocks and clients, in a simulated
world that one seed decides: a failure is one line to paste. Every seed draws its
options, has faults happen while clients work, then ends them and demands progress,
and judges what the clients saw.

Targets:
`)
	subjects := simulated(services)
	width := 0
	for _, name := range subjectNames(subjects) {
		width = max(width, len(name))
	}
	for _, s := range subjects {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, s.Name, s.Doc)
	}
	b.WriteString(`
FAILURE is a directory that --keep has left. With --keep the same command goes on
where it was ended.

The exit code is 0 if all holds, 1 for a violated safety property, 20 for liveness,
21 for a crash, 22 for divergence, 23 for non-determinism, 24 for coverage (too
little was exercised, or a 'sometimes' was never reached); of several failures, the
lowest seed's. It is 25 if an event of a world wasn't over after --hang-after: then
the search is ended, and says where that world hangs. It is 2 for usage and 3 if the search was interrupted, or a check
came to no verdict, with no failure found.`)
	return b.String()
}

// simulated are the services that can be simulated.
func simulated(services []Service) []*sim.Subject {
	var subjects []*sim.Subject
	for _, s := range services {
		if s.Sim != nil {
			subjects = append(subjects, s.Sim)
		}
	}
	return subjects
}

func (f *simFlags) completeTargets(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range simulated(f.services) {
		names = append(names, cobra.CompletionWithDesc(s.Name, s.Doc))
	}
	return names, cobra.ShellCompDirectiveDefault
}

// run is the command: a list of targets, a search, a run, or a branch.
func (f *simFlags) run(c *cobra.Command, args []string) error {
	if err := checkOutput(c, f.output, "text", "json"); err != nil {
		return err
	}
	if len(args) == 0 && c.Flags().NFlag() == 0 {
		return c.Help()
	}
	if f.seed != "" && f.seeds != "" {
		return Usage(errors.New("--seed and --seeds: want one of them"))
	}
	t, err := f.target(args)
	if err != nil {
		return Usage(err)
	}
	ctx, stop := interruptible(c)
	defer stop()
	defer f.watch(c, t)()
	switch {
	case f.reseed || f.at != "":
		return f.branch(ctx, c, t)
	case f.seed != "" || t.report != nil:
		return f.single(ctx, c, t)
	case f.trace:
		return Usage(errors.New("--trace prints one run: want --seed"))
	case f.record != "":
		return Usage(errors.New("--record keeps one run: want --seed, or a failure that was kept"))
	}
	return f.search(ctx, c, t)
}

// A simTarget is what is to be run.
type simTarget struct {
	subject *sim.Subject
	options sim.Options
	report  *sim.Report // nil if the target isn't a failure
	dir     string      // of the failure
}

// target finds the subject or the failure that the arguments name.
func (f *simFlags) target(args []string) (*simTarget, error) {
	subjects := simulated(f.services)
	name := ""
	t := &simTarget{}
	switch {
	case len(args) == 0 && len(subjects) == 1:
		name = subjects[0].Name
	case len(args) == 0:
		return nil, fmt.Errorf("no target: want one of %s", strings.Join(subjectNames(subjects), ", "))
	default:
		name = args[0]
	}
	i := slices.IndexFunc(subjects, func(s *sim.Subject) bool { return s.Name == name })
	if i < 0 {
		t.dir = filepath.ToSlash(filepath.Clean(name))
		report, err := sim.ReadReport(vfs.OS(), t.dir)
		if errors.Is(err, sim.ErrNoReport) {
			return nil, noTarget(name, subjectNames(subjects))
		}
		if err != nil {
			return nil, err
		}
		if i = slices.IndexFunc(subjects, func(s *sim.Subject) bool { return s.Name == report.Subject }); i < 0 {
			return nil, fmt.Errorf("%s is a failure of %s, which isn't in this program (here are %s)%s", name, report.Subject,
				strings.Join(subjectNames(subjects), ", "), elsewhere(report))
		}
		t.report, t.options = report, report.Options
	}
	t.subject = subjects[i]
	return t, f.override(&t.options)
}

// elsewhere says where a failure can be had again whose machines aren't here.
func elsewhere(r *sim.Report) string {
	switch {
	case strings.HasPrefix(r.Command, "go test ") && !strings.Contains(r.Command, " -hindcast.shrink"):
		return fmt.Sprintf("\nit is a test's: again by %s\nand small by the same with -hindcast.shrink", r.Command)
	case r.Command != "":
		return "\nit was had by: " + r.Command
	}
	return ""
}

func noTarget(name string, names []string) error {
	hint := ""
	if near, ok := syntax.Nearest(name, names); ok {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return fmt.Errorf("%s is neither a target nor the directory of a failure%s\ntargets are %s", name, hint, strings.Join(names, ", "))
}

func subjectNames(subjects []*sim.Subject) []string {
	names := make([]string, len(subjects))
	for i, s := range subjects {
		names[i] = s.Name
	}
	return names
}

// override puts what the flags say over the options of a failure.
func (f *simFlags) override(o *sim.Options) error {
	set := maps.Clone(o.Set)
	for _, s := range f.set {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return fmt.Errorf("--set %s: want NAME=VALUE", s)
		}
		if set == nil {
			set = map[string]string{}
		}
		set[name] = value
	}
	o.Set = set
	if f.eventsMax != sim.DefaultEventsMax {
		o.EventsMax = f.eventsMax
	}
	for i, d := range demandModes {
		for _, rql := range f.demands[i] {
			o.Properties = append(slices.Clone(o.Properties), sim.Property{Mode: sim.Mode(d.mode), RQL: rql})
		}
	}
	if f.seed != "" {
		seed, err := strconv.ParseUint(f.seed, 10, 64)
		if err != nil {
			return fmt.Errorf("--seed %s: want a number from 0 to %d", f.seed, uint64(math.MaxUint64))
		}
		o.Seed = seed
	}
	return nil
}

// seedRange is what --seeds says; last below first is no end.
func (f *simFlags) seedRange() (first, last uint64, err error) {
	if f.seeds == "" && f.limit > 0 {
		return 1, 0, nil
	}
	text := f.seeds
	if text == "" {
		text = "1..100"
	}
	from, to, isRange := strings.Cut(text, "..")
	first, err1 := strconv.ParseUint(from, 10, 64)
	last, err2 := strconv.ParseUint(to, 10, 64)
	switch {
	case !isRange:
		last, err2 = first, nil
	case to == "" && first > 0:
		last, err2 = 0, nil
	case err2 == nil && last < first:
		err2 = strconv.ErrRange
	}
	if err1 != nil || err2 != nil {
		return 0, 0, fmt.Errorf("--seeds %s: want A..B with A <= B, or A.. with A >= 1", f.seeds)
	}
	return first, last, nil
}

// floorsOf is what --floors says.
func (f *simFlags) floorsOf() (sim.Floors, error) {
	floors := sim.DefaultFloors
	if f.floors == "" {
		return floors, nil
	}
	for part := range strings.SplitSeq(f.floors, ",") {
		name, value, _ := strings.Cut(part, "=")
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return floors, fmt.Errorf("--floors %s: want operations=N, faults=N or events=N, with commas between", f.floors)
		}
		switch name {
		case "operations":
			floors.Operations = int(n)
		case "faults":
			floors.FaultKinds = int(n)
		case "events":
			floors.Events = n
		default:
			return floors, fmt.Errorf("--floors %s: no floor %q; there are operations, faults and events", f.floors, name)
		}
	}
	if floors == (sim.Floors{}) {
		floors.Events = math.MaxInt64 // none at all; what is zero stands for those of always
	}
	return floors, nil
}

// again is the command that runs a seed again.
func (f *simFlags) again(s *sim.Subject, o *sim.Options) string {
	words := []string{f.command, shellWord(s.Name), "--seed", strconv.FormatUint(o.Seed, 10)}
	for _, name := range slices.Sorted(maps.Keys(o.Set)) {
		words = append(words, "--set", shellWord(name+"="+o.Set[name]))
	}
	if o.EventsMax != 0 {
		words = append(words, "--max-events", strconv.FormatUint(o.EventsMax, 10))
	}
	for _, p := range o.Properties {
		words = append(words, "--"+string(p.Mode), shellWord(p.RQL))
	}
	return strings.Join(words, " ")
}

// baseCommand is the program's command that has debug beside sim.
func baseCommand(command string) string { return strings.TrimSuffix(command, " sim") }

// shellWord quotes a word for a POSIX shell, if it needs that.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./=:,+%@", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// save keeps a failing run in a directory; one that is kept there already stays.
func (f *simFlags) save(ctx context.Context, s *sim.Subject, o *sim.Options, r *sim.Result, dir, words string) error {
	kept, err := sim.ReadReport(vfs.OS(), dir)
	if err == nil && kept.Subject == r.Subject && kept.Hash == fmt.Sprintf("%016x", r.Hash) {
		return nil
	}
	return r.Save(ctx, vfs.OS(), dir, sim.SaveOptions{Command: f.again(s, o), Build: BuildID(), Words: words, Replace: words != ""})
}

// seedDir is where a seed is kept.
func seedDir(keep string, seed uint64) string {
	return path.Join(filepath.ToSlash(keep), fmt.Sprintf("seed-%d", seed))
}

// decided are the options that decide a run, as text: two are the same run if
// these are.
func decided(o *sim.Options) string {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // plain data: a programmer's error
	}
	return string(b)
}
