package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"hindcast.dev/hlc"
	"hindcast.dev/recording"
	"hindcast.dev/termtext"
	"hindcast.dev/vfs"
)

// snapshotFlags are the flags of snapshot.
type snapshotFlags struct {
	nodes     string
	at        string
	outputs   []string // forms and directories alike
	tokenFile string
	every     time.Duration
	keep      int
	timeout   time.Duration
	partial   bool
	quiet     bool

	form, dir string // of outputs
}

// snapshotCommand takes consistent snapshots of running nodes.
func snapshotCommand(services []Service) *cobra.Command {
	f := &snapshotFlags{}
	c := &cobra.Command{
		Use:   "snapshot --nodes ADDR,… [--at TIME] [-o DIR]",
		Short: "Write the state of all nodes at one consistent cut, stopping none",
		Long: `Write the state of all nodes at one consistent cut, with the messages that were under
way at it, into a recording. No node is stopped: each finds the cut in its checkpoint and
journal, with a second copy of its machines.

ADDR is HOST:PORT of a node's admin API, a URL, or NAME=either. --at is NOW, NOW-10s, or any
time still in the journals. DIR must not be there; without -o it is named by the time.
If a node can't be reached, refuses, or gives no answer at all for --timeout, or if a node
knows another one of which --nodes has no address, nothing is written and the exit code
is 3. With --partial the snapshot is taken without it: what depends on it will say so. A node that answers may take its time: what is waited for
is shown. The token (--token-file, or the variable ` + tokenVariable + `) needs the scope journal:read.

With --every snapshots are taken one after the other, each below DIR and named by its time.
Each stores what came since the one before. When that has become more than a whole one, a
node that has a newer checkpoint is stored whole again. The last --keep of them are kept. A directory ~TIME there is one that isn't kept any more, but that a
later one builds on; it goes by itself. Ctrl-C ends it.

query, debug and restore take a snapshot like any recording.`,
		Example: "  hindcast snapshot --nodes 127.0.0.1:9001,127.0.0.1:9002 -o before\n  hindcast query before 'SELECT * FROM kv'",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := f.options(c)
			if err != nil {
				return Usage(err)
			}
			if f.every > 0 {
				return f.roll(c, o)
			}
			return f.one(c, o)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.nodes, "nodes", "", "the nodes' admin addresses, HOST:PORT,…")
	fl.StringVar(&f.at, "at", "NOW", "the time of the cut: NOW, NOW-DURATION or a time")
	fl.StringArrayVarP(&f.outputs, "output", "o", nil, "directory to write to; text or json is the form of the answer instead (./json is a directory)")
	fl.StringVar(&f.tokenFile, "token-file", "", "file that holds the admin token")
	fl.DurationVar(&f.every, "every", 0, "take one each time this has passed, until interrupted")
	fl.IntVar(&f.keep, "keep", 10, "of --every: how many to keep")
	fl.DurationVar(&f.timeout, "timeout", recording.SilentDefault, "how long a node may give no answer at all, not even that it lives")
	fl.BoolVar(&f.partial, "partial", false, "take it without nodes that can't be had")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "say only what goes wrong")
	c.AddCommand(snapshotDiffCommand(services))
	return c
}

func (f *snapshotFlags) options(c *cobra.Command) (o recording.SnapshotOptions, err error) {
	f.form = "text"
	for _, out := range f.outputs {
		switch {
		case out == "text" || out == "json":
			f.form = out
		case f.dir != "":
			return o, fmt.Errorf("-o %s: there is a directory already, %s", out, f.dir)
		default:
			f.dir = filepath.ToSlash(filepath.Clean(out))
		}
	}
	if f.nodes == "" {
		return o, fmt.Errorf("--nodes is missing: want admin addresses, HOST:PORT,…\nsee '%s --help'", c.CommandPath())
	}
	if o.At, err = parseAt(f.at); err != nil {
		return o, err
	}
	if f.every < 0 || f.keep < 1 || f.every > 0 && f.at != "NOW" {
		return o, errors.New("--every wants a duration above 0, --keep 1 or more, and no --at")
	}
	if o.Token, err = readToken(f.tokenFile); err != nil {
		return o, err
	}
	if f.timeout < 10*time.Millisecond {
		return o, fmt.Errorf("--timeout %v: want 10ms or more", f.timeout)
	}
	o.Silent, o.Partial = f.timeout, f.partial
	o.Tool = "hindcast " + BuildID()
	return o, nil
}

// parseAt reads NOW, NOW-DURATION or a time; NOW is 0.
func parseAt(text string) (hlc.Timestamp, error) {
	rest, now := strings.CutPrefix(strings.ToUpper(strings.TrimSpace(text)), "NOW")
	if !now {
		// 2026-11-21 12:00:00Z is how many tools show a time.
		t, err := hlc.Parse(strings.Replace(strings.TrimSpace(text), " ", "T", 1))
		if err != nil {
			return 0, fmt.Errorf("--at: want NOW, NOW-DURATION or a time: %w", err)
		}
		return t, nil
	}
	if rest = strings.TrimSpace(rest); rest == "" {
		return 0, nil
	}
	ago, minus := strings.CutPrefix(rest, "-")
	d, err := time.ParseDuration(strings.ToLower(strings.TrimSpace(ago)))
	if !minus || err != nil || d < 0 {
		return 0, fmt.Errorf("--at %s: want NOW, NOW-DURATION or a time", text)
	}
	return hlc.FromTime(time.Now().Add(-d)), nil
}

// one takes one snapshot.
func (f *snapshotFlags) one(c *cobra.Command, o recording.SnapshotOptions) error {
	ctx, stop := interruptible(c)
	defer stop()
	if o.At == 0 {
		o.At = hlc.FromTime(time.Now())
	}
	if f.dir == "" {
		f.dir = "snapshot-" + o.At.Time().UTC().Format("20060102T150405.000000Z")
	}
	bar := newProgress(c.ErrOrStderr())
	f.watch(&o, bar)
	rec, err := recording.TakeSnapshot(ctx, vfs.OS(), f.dir, strings.Split(f.nodes, ","), o)
	bar.clear()
	if err != nil {
		return snapshotError(err)
	}
	return f.tell(c, rec)
}

// watch shows how far a snapshot is, and for whom it waits.
func (f *snapshotFlags) watch(o *recording.SnapshotOptions, bar *progress) {
	var mu sync.Mutex
	done, silent := map[string]int64{}, map[string]time.Duration{}
	count, began := strings.Count(f.nodes, ",")+1, time.Now()
	show := func(change func()) {
		mu.Lock()
		defer mu.Unlock()
		change()
		bar.show(func() string { return snapshotProgress(count, time.Since(began), done, silent) })
	}
	o.Progress = func(p recording.Progress) { show(func() { done[p.Node] = p.Done }) }
	o.Waiting = func(node string, quiet time.Duration) {
		show(func() {
			if silent[node] = quiet; quiet < f.timeout/5 {
				delete(silent, node)
			}
		})
	}
}

func snapshotError(err error) error {
	var lacks *recording.IncompleteError
	switch {
	case errors.Is(err, context.Canceled):
		return &ExitError{Code: ExitUndecided, Err: errors.New("interrupted: no snapshot was written")}
	case errors.As(err, &lacks) && len(lacks.Lacks) < lacks.Nodes:
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("%w\nname all nodes with --nodes, wait longer with --timeout, or take it without them with --partial", err)}
	case errors.As(err, &lacks):
		return &ExitError{Code: ExitUndecided, Err: err}
	}
	return Usage(err)
}

func snapshotProgress(count int, took time.Duration, done map[string]int64, silent map[string]time.Duration) string {
	var sum int64
	for _, n := range done {
		sum += n
	}
	text := fmt.Sprintf("snapshot of %s, %.0f s: %s", plural(count, "node"), took.Seconds(), bytesText(sum))
	for _, node := range slices.Sorted(maps.Keys(silent)) {
		text += fmt.Sprintf(", %s silent for %.0f s", termtext.Printable(node), silent[node].Seconds())
	}
	return text
}

// tell says what a snapshot holds, and fails if that isn't all.
func (f *snapshotFlags) tell(c *cobra.Command, rec *recording.Recording) error {
	var err error
	if f.form == "json" {
		err = writeJSON(c.OutOrStdout(), struct {
			Dir string `json:"dir"`
			recording.Manifest
		}{rec.Dir(), rec.Manifest()})
	} else if !f.quiet {
		err = writeSnapshot(c.OutOrStdout(), rec)
	}
	if lacks := rec.Incomplete(); err == nil && len(lacks) > 0 {
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("the snapshot isn't complete: %s", strings.Join(lacks, "; "))}
	}
	return err
}

func writeSnapshot(w io.Writer, rec *recording.Recording) error {
	m := rec.Manifest()
	for _, n := range m.Nodes {
		state := "missing: " + n.Missing
		switch {
		case n.Cut != nil && n.Cut.Seq == 0:
			state = "it hadn't begun by then"
		case n.Cut != nil:
			state = fmt.Sprintf("event %d, %s under way", n.Cut.Seq, plural(n.Cut.InFlight, "message"))
		}
		if _, err := fmt.Fprintf(w, "%s  %s\n", termtext.Printable(n.Name), termtext.Printable(state)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "snapshot at %v in %s; go on from it: hindcast restore %s --dir DIR\n", m.Snapshot.Time, rec.Dir(), rec.Dir())
	return err
}

// roll takes snapshots until it is interrupted. One that fails is told, and the
// next one tried.
func (f *snapshotFlags) roll(c *cobra.Command, o recording.SnapshotOptions) error {
	ctx, stop := interruptible(c)
	defer stop()
	if f.dir == "" {
		f.dir = "snapshots"
	}
	r, err := recording.NewRoller(vfs.OS(), f.dir, strings.Split(f.nodes, ","), f.keep, o)
	if err != nil {
		return Usage(err)
	}
	turn := time.NewTicker(f.every)
	defer turn.Stop()
	var failed error
	for ctx.Err() == nil {
		rec, err := r.Take(ctx)
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			err = errors.Join(f.tellRolled(c, rec), rec.Trouble)
		}
		if failed = err; err != nil {
			fmt.Fprintln(c.ErrOrStderr(), "warning:", termtext.PrintableText(err.Error()))
		}
		select {
		case <-turn.C:
		case <-ctx.Done():
		}
	}
	if failed != nil {
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("the last one: %w", failed)}
	}
	return nil
}

// A rolledLine is what is said of a rolling snapshot, in JSON.
type rolledLine struct {
	Time     hlc.Timestamp `json:"time"`
	Dir      string        `json:"dir"`
	Base     string        `json:"base,omitempty"`
	Bytes    int64         `json:"bytes"`
	InFlight int           `json:"inflight"`
	Missing  []string      `json:"missing,omitempty"`
}

// tellRolled says in one line what a snapshot of --every holds.
func (f *snapshotFlags) tellRolled(c *cobra.Command, rec *recording.Rolled) error {
	m := rec.Manifest()
	l := rolledLine{Time: m.Snapshot.Time, Dir: rec.Dir(), Base: m.Snapshot.Base, Bytes: rec.Bytes}
	for _, n := range m.Nodes {
		if n.Missing != "" {
			l.Missing = append(l.Missing, n.Name)
		} else {
			l.InFlight += n.Cut.InFlight
		}
	}
	if f.form == "json" {
		return json.NewEncoder(c.OutOrStdout()).Encode(l)
	}
	if f.quiet {
		return nil
	}
	kind := "whole"
	if l.Base != "" {
		kind = "since the last"
	}
	text := fmt.Sprintf("%s  %s, %s under way, %s %s", l.Dir, plural(len(m.Nodes)-len(l.Missing), "node"), plural(l.InFlight, "message"), bytesText(l.Bytes), kind)
	if len(l.Missing) > 0 {
		text += ", without " + strings.Join(l.Missing, ", ")
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), termtext.Printable(text))
	return err
}

// restoreFlags are the flags of restore.
type restoreFlags struct {
	openFlags
	dir, at, lastWhere, output string
}

// restoreCommand makes data directories of a snapshot.
func restoreCommand(services []Service) *cobra.Command {
	f := &restoreFlags{}
	c := &cobra.Command{
		Use:   "restore WHAT --dir DIR",
		Short: "Make data directories from which all nodes go on at one moment",
		Long: `Make data directories from which a whole system goes on at one consistent cut: a
distributed reset. All its nodes are to be stopped and started from them.

WHAT is a snapshot; or a recording, or the admin addresses of live nodes, HOST:PORT,…,
with the time: --at, or the last moment at which a condition of RQL held, --last-where.
DIR gets one directory for each node; one that holds anything is refused. Messages that
were under way at the cut are delivered once, when the nodes start.`,
		Example: "  hindcast restore before --dir data2\n  hindcast restore incident --last-where 'SELECT * FROM kv WHEN COUNT(kv.items) = 3' --dir data2",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(c, f.output, "text", "json"); err != nil {
				return err
			}
			return f.run(c, services, args[0])
		},
		ValidArgsFunction: filesFor(1),
	}
	f.add(c)
	outputFlag(c, &f.output, "text", "json")
	c.Flags().StringVar(&f.dir, "dir", "", "the directory for the nodes' directories")
	c.Flags().StringVar(&f.at, "at", "", "the time to go on from; a snapshot has its own")
	c.Flags().StringVar(&f.lastWhere, "last-where", "", "go on from the last moment at which this RQL query matches, or condition holds")
	return c
}

func (f *restoreFlags) run(c *cobra.Command, services []Service, what string) error {
	if f.dir == "" || f.at != "" && f.lastWhere != "" {
		return Usage(fmt.Errorf("want --dir, and one of --at and --last-where at most\nsee '%s --help'", c.CommandPath()))
	}
	ctx, stop := interruptible(c)
	defer stop()
	rec, done, err := f.recording(ctx, c, what)
	if err != nil {
		return openError(err)
	}
	defer done()
	at, err := f.time(ctx, c, services, rec)
	if err != nil {
		return err
	}
	nodes, err := rec.Restore(filepath.ToSlash(filepath.Clean(f.dir)), at)
	if err != nil {
		return Usage(err)
	}
	return f.tell(c, services, rec, nodes)
}

// recording opens what is to be restored; live nodes are pulled.
func (f *restoreFlags) recording(ctx context.Context, c *cobra.Command, what string) (rec *recording.Recording, done func(), err error) {
	if _, err := os.Stat(what); err == nil || !strings.Contains(what, ":") {
		rec, err := recording.Open(vfs.OS(), filepath.ToSlash(filepath.Clean(what)))
		return rec, func() {}, err
	}
	token, err := readToken(f.tokenFile)
	if err != nil {
		return nil, nil, err
	}
	temp, err := os.MkdirTemp(filepath.Dir(f.dir), "hindcast-pull-") // of the same file system
	if err != nil {
		return nil, nil, err
	}
	done = func() {
		if err := os.RemoveAll(temp); err != nil {
			fmt.Fprintln(c.ErrOrStderr(), "warning:", err)
		}
	}
	rec, err = recording.Pull(ctx, vfs.OS(), filepath.ToSlash(temp), strings.Split(what, ","), recording.PullOptions{Token: token,
		Manifest: recording.Manifest{Origin: "pull", Tool: "hindcast " + BuildID()}})
	if err != nil {
		done()
	}
	return rec, done, err
}

// time is the cut's time; 0 is a snapshot's own.
func (f *restoreFlags) time(ctx context.Context, c *cobra.Command, services []Service, rec *recording.Recording) (hlc.Timestamp, error) {
	switch {
	case f.lastWhere != "":
		return f.last(ctx, c, services, rec)
	case f.at != "":
		if rec.Manifest().Snapshot != nil {
			return 0, Usage(errors.New("--at: a snapshot is of one moment alone"))
		}
		t, err := parseAt(f.at)
		now := hlc.FromTime(time.Now())
		switch {
		case err == nil && t == 0:
			t = now
		case err == nil && t > now:
			err = fmt.Errorf("--at %s is %v ahead of now: want a time that is over", f.at, t.Sub(now).Round(time.Millisecond))
		}
		return t, Usage(err)
	case rec.Manifest().Snapshot == nil:
		return 0, Usage(errors.New("the recording isn't a snapshot: say with --at or --last-where from which moment to go on"))
	}
	return 0, nil
}

func (f *restoreFlags) tell(c *cobra.Command, services []Service, rec *recording.Recording, nodes []recording.Restored) (err error) {
	service := rec.Manifest().Service
	commands := recording.StartCommands(serveCommand(c, services, service), nodes)
	if f.output == "json" {
		err = writeJSON(c.OutOrStdout(), map[string]any{"service": service, "nodes": nodes, "commands": commands})
	} else {
		w := c.OutOrStdout()
		for _, n := range nodes {
			state := fmt.Sprintf("goes on after event %d (%v), with %s to take in first", n.Seq, n.Time, plural(n.InFlight, "message"))
			switch {
			case n.Missing != "":
				state = "missing: " + n.Missing
			case n.Seq == 0:
				state = "begins anew: it hadn't begun by then"
			}
			fmt.Fprintf(w, "%s  %s\n", termtext.Printable(n.Node), termtext.Printable(state))
		}
		fmt.Fprintln(w, "start all nodes from here, with the addresses and settings that they had:")
		for _, line := range commands {
			_, err = fmt.Fprintln(w, "  "+termtext.Printable(line))
		}
	}
	missing := slices.ContainsFunc(nodes, func(n recording.Restored) bool { return n.Missing != "" })
	if err == nil && missing {
		return &ExitError{Code: ExitUndecided, Err: errors.New("a node is missing: start it with an empty directory, if the service bears that")}
	}
	return err
}

// serveCommand is the command that serves a node of a service: that of this program,
// or of one below it; else of a program that is called like the service.
func serveCommand(c *cobra.Command, services []Service, service string) string {
	for at := c.Parent(); at != nil; at = at.Parent() {
		if serve := subcommand(at, "serve"); serve != nil && len(services) == 1 && services[0].Name == service {
			return serve.CommandPath()
		}
		if of := subcommand(at, service); of != nil && subcommand(of, "serve") != nil {
			return of.CommandPath() + " serve"
		}
	}
	if service == "" || strings.ContainsAny(service, " /") {
		service = "service"
	}
	return "./" + service + " serve"
}

func subcommand(c *cobra.Command, name string) *cobra.Command {
	for _, sub := range c.Commands() {
		if sub.Name() == name {
			return sub
		}
	}
	return nil
}
