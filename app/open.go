package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hindcast.dev/history"
	"hindcast.dev/live"
	"hindcast.dev/recording"
	"hindcast.dev/replay"
	"hindcast.dev/sim"
	"hindcast.dev/termtext"
	"hindcast.dev/vfs"
)

// whatHelp is what every command that takes WHAT says of it.
const whatHelp = `WHAT is a recording (of a demo, a pull, a bundle, a crash box), a History file, a
node's data directory, a log with vector clocks (GoVector, ShiViz), or the admin
addresses of live nodes, HOST:PORT,….

Journals are replayed by the code that is found first: --exec; a History in the
recording that the recorded build has made; the machines in this program.`

// warningsMax bounds the warnings that are printed.
const warningsMax = 10

// openFlags are the flags of commands that take WHAT.
type openFlags struct {
	exec      string
	tokenFile string
	skipBad   bool
	foreign   foreignFlags
	again     bool // set by replay alone
}

func (f *openFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.exec, "exec", "", "the service's program, to replay with: it runs 'PROGRAM replay DIR'")
	fl.StringVar(&f.tokenFile, "token-file", "", "file that holds the admin token, for live nodes")
	fl.BoolVar(&f.skipBad, "skip-bad", false, "leave out malformed lines of a History file or of a log, and count them")
	f.foreign.add(c)
}

// opened is a WHAT that was opened.
type opened struct {
	*replay.Opened
	temp    string        // directory to remove, "" if there is none
	service Service       // that this program would replay it with; zero if none
	cluster *live.Cluster // what the History is a moment of; nil if it doesn't grow
}

// Close closes the History and removes what was made for it.
func (o *opened) Close() error {
	err := o.Opened.Close()
	if o.cluster != nil {
		err = errors.Join(err, o.cluster.Close())
	}
	if o.temp != "" {
		err = errors.Join(err, os.RemoveAll(o.temp))
	}
	return err
}

// open opens WHAT, replaying it if need be, and says on standard error what
// wasn't as it should be.
func (f *openFlags) open(ctx context.Context, c *cobra.Command, services []Service, what string) (*opened, error) {
	o := replay.Options{Build: BuildID(), Exec: f.exec, SkipBad: f.skipBad, Again: f.again, Command: c.CommandPath()}
	var err error
	if o.Token, err = readToken(f.tokenFile); err != nil {
		return nil, Usage(err)
	}
	s, ok := serviceOf(services, what) // the zero Service if it isn't known here
	if _, err := os.Stat(what); !ok && errors.Is(err, fs.ErrNotExist) && strings.Contains(what, ":") {
		s, ok = liveService(ctx, services, what, o.Token)
	}
	if ok {
		o.Service, o.Registry = s.Name, s.Machines
	}
	o.Foreign = f.foreign.read(c, f.skipBad)
	bar := newProgress(c.ErrOrStderr())
	o.Progress = replayProgress(bar)
	o.Begin = func(walked []string) { sayWalked(c, walked) }
	temp, err := pullDir(&o, what)
	if err != nil {
		return nil, err
	}
	src, err := replay.Open(ctx, what, o)
	bar.clear()
	if err != nil {
		if temp != "" {
			err = errors.Join(err, os.RemoveAll(temp))
		}
		return nil, openError(err)
	}
	if f.exec != "" && src.Recording == nil {
		return nil, errors.Join(Usage(fmt.Errorf("--exec %s: %s is a History already, there is nothing to replay", f.exec, what)), src.Close())
	}
	warn(c, src.Warnings)
	return &opened{src, temp, s, nil}, nil
}

// openError gives what replay.Open returned its exit code: what can't be opened
// is input.
func openError(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("interrupted while opening: %w", err)}
	}
	if bad := (*history.TextError)(nil); errors.As(err, &bad) {
		err = fmt.Errorf("%w\n  (--skip-bad leaves out lines that can't be read, and counts them)", err)
	}
	return Usage(err)
}

// serviceOf chooses the service to replay WHAT with: that of the recording, or
// the only one there is. What was simulated ran the machines of its Sim, which may
// have versions that aren't served.
func serviceOf(services []Service, what string) (Service, bool) {
	rec, err := recording.Open(vfs.OS(), filepath.ToSlash(filepath.Clean(what)))
	if err == nil {
		m := rec.Manifest()
		for _, s := range services {
			if m.Origin == sim.Origin && s.Sim != nil && s.Sim.Name == m.Service {
				s.Name, s.Machines = m.Service, s.Sim.Machines
				return s, true
			}
			if s.Name == m.Service {
				return s, true
			}
		}
	}
	if len(services) == 1 {
		return services[0], true
	}
	return Service{}, false
}

// liveService is the service that the first node to answer runs.
func liveService(ctx context.Context, services []Service, what, token string) (Service, bool) {
	for addr := range strings.SplitSeq(what, ",") {
		ctx, cancel := context.WithTimeout(ctx, recording.SilentDefault)
		info, err := recording.Ask(ctx, addr, recording.PullOptions{Token: token})
		cancel()
		if err != nil {
			continue // that it isn't there is said when it is to be pulled
		}
		i := slices.IndexFunc(services, func(s Service) bool { return s.Name == info.Service })
		if i < 0 {
			break
		}
		return services[i], true
	}
	return Service{}, false
}

// pullDir makes a directory for the recording of live nodes; "" if what is there
// is on disk.
func pullDir(o *replay.Options, what string) (string, error) {
	if _, err := os.Stat(what); err == nil {
		return "", nil
	}
	dir, err := os.MkdirTemp("", "hindcast-pull-")
	o.PullTo = filepath.ToSlash(dir)
	return dir, err
}

// replayProgress shows how far each node's replay is.
func replayProgress(bar *progress) func(replay.Progress) {
	nodes := map[string]replay.Progress{}
	return func(p replay.Progress) {
		nodes[p.Node] = p
		bar.show(func() string {
			var done, total uint64
			for p := range maps.Values(nodes) {
				done, total = done+p.Done, total+max(p.Total, p.Done)
			}
			return fmt.Sprintf("replaying: %s of %s events", grouped(done), grouped(total))
		})
	}
}

// warn prints warnings, a bounded number of them.
func warn(c *cobra.Command, warnings []string) {
	for i, w := range warnings {
		if i == warningsMax {
			fmt.Fprintf(c.ErrOrStderr(), "warning: %d more of these\n", len(warnings)-i)
			return
		}
		fmt.Fprintf(c.ErrOrStderr(), "warning: %s\n", termtext.Printable(w))
	}
}
