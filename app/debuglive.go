package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hindcast.dev/debug"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/live"
	"hindcast.dev/replay"
	"hindcast.dev/termtext"
)

// caughtUpMax is how long opening waits for nodes to have told what was before.
const caughtUpMax = 10 * time.Second

// liveFlags are the flags of debug for nodes that run.
type liveFlags struct {
	from string
	keep byteSize
	hold time.Duration
}

func (f *liveFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.from, "from", "NOW-5m", "of live nodes: begin at this time: NOW, NOW-5m, or a time like 2026-11-21T19:46:53Z")
	complete(c, "from", "NOW", "NOW-5m", "NOW-1h")
	f.keep = history.TailBytes
	fl.Var(&f.keep, "keep", "of live nodes: about how much memory what they tell may take; what is oldest is forgotten")
	fl.DurationVar(&f.hold, "hold", live.HoldDefault, "of live nodes: how long one that says nothing holds back all others")
}

// checkLive refuses flags that are of use with live nodes only, and bad ones.
func (f *debugFlags) checkLive(c *cobra.Command, what string) error {
	if f.follows(what) {
		if f.hold <= 0 {
			return Usage(fmt.Errorf("--hold %v: want a time above 0", f.hold))
		}
		return nil
	}
	for _, name := range []string{"from", "keep", "hold"} {
		if c.Flags().Changed(name) {
			return Usage(fmt.Errorf("--%s is of use with live nodes only, HOST:PORT,…, without --exec\nsee '%s --help'", name, c.CommandPath()))
		}
	}
	return nil
}

// follows reports whether WHAT is nodes that run, and are to be followed. With --exec
// their journals are pulled and replayed.
func (f *debugFlags) follows(what string) bool {
	_, err := os.Stat(what)
	return f.exec == "" && what != standardInput && strings.Contains(what, ":") && errors.Is(err, fs.ErrNotExist)
}

// openLive begins to follow nodes, and waits until they have told what was before.
func (f *debugFlags) openLive(ctx context.Context, c *cobra.Command, services []Service, what string) (*opened, error) {
	now := time.Now()
	from, err := parseFrom(f.from, now)
	if err != nil {
		return nil, Usage(err)
	}
	token, err := readToken(f.tokenFile)
	if err != nil {
		return nil, Usage(err)
	}
	var addrs []string
	for a := range strings.SplitSeq(what, ",") {
		if a = strings.TrimSpace(a); a != "" {
			addrs = append(addrs, a)
		}
	}
	cluster, err := live.Open(ctx, addrs, live.ClusterOptions{Token: token, From: from, Hold: f.hold, Bytes: int(f.keep)})
	if err != nil {
		return nil, openError(err)
	}
	bar := newProgress(c.ErrOrStderr())
	waiting, done := context.WithTimeout(ctx, caughtUpMax)
	defer done()
	err = cluster.Wait(waiting, func(s live.Status) bool {
		bar.show(func() string {
			return fmt.Sprintf("following: %s events, up to %v", grouped(s.Events), s.Reach)
		})
		return s.Reach >= hlc.FromTime(now)
	})
	bar.clear()
	if ctx.Err() != nil {
		return nil, openError(errors.Join(err, cluster.Close()))
	}
	o := &opened{Opened: &replay.Opened{Replayed: &replay.Replayed{Source: cluster.Now()}, What: what}, cluster: cluster}
	if s, ok := liveService(ctx, services, what, token); ok {
		o.service = s
	}
	return o, nil
}

// attach has a session follow what its History is a moment of, if it grows.
func (o *opened) attach(s *debug.Session) {
	if o.cluster == nil {
		return
	}
	s.Live, s.Waits = o.cluster, true
	s.Walk = func(_ context.Context, variables []string) (history.Source, error) {
		return nil, fmt.Errorf("%s: nodes that run leave out what is in it, because that is too much to be compared after every event: hindcast pull %s DIR, then hindcast debug DIR",
			strings.Join(variables, ", "), o.What)
	}
}

// grows is what the History is a moment of; nil if it doesn't grow.
func (o *opened) grows() debug.Live {
	if o.cluster == nil {
		return nil
	}
	return o.cluster
}

// beginLive is where sessions over nodes that run begin: where the nodes are.
func beginLive(o *opened) beginning {
	var said []string
	st := o.cluster.Status()
	for _, n := range st.Nodes {
		if n.Silent != "" {
			said = append(said, fmt.Sprintf("%s isn't heard: %s", termtext.Printable(n.Name), termtext.Printable(n.Silent)))
		}
	}
	said = append(said, fmt.Sprintf("live: complete up to %v; follow keeps the place at the end, live tells who is heard", st.Reach))
	return beginning{at: o.Source.Meta().Last, note: strings.Join(said, "\n")}
}
