package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/recording"
	"hindcast.dev/replay"
	"hindcast.dev/stepper"
	"hindcast.dev/termtext"
	"hindcast.dev/vfs"
)

// replayCommand turns a recording's journals into a History. Its last line of
// text is the History's directory: that is how another program, given this one by
// --exec, finds it.
func replayCommand(services []Service) *cobra.Command {
	var f openFlags
	var output string
	var walk []string
	c := &cobra.Command{
		Use:   "replay DIR",
		Short: "Replay a recording into a History, and compare it with what was recorded",
		Long: `Replay the journals of a recording through the machines in this program (or those
of --exec), write the History to DIR/history/BUILD, and print its hash: the same
journals give the same hash. What the machines do is compared with what the nodes
did, at every event. Where this build has made the History already, of the same
journals, it is reused and said to be; --again replays all the same.

The exit code is 1 if the replay diverged: the machines aren't deterministic, or
aren't those that ran. The first event that differs is named.`,
		Example:           "  hindcast replay demo\n  hindcast replay --exec ./myservice incident",
		Args:              usageArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: filesFor(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(c, output, "text", "json"); err != nil {
				return err
			}
			return runReplay(c, services, &f, args[0], output, walk)
		},
	}
	f.add(c)
	outputFlag(c, &output, "text", "json")
	c.Flags().BoolVar(&f.again, "again", false, "replay anew, also where this build's History of the recording is there")
	c.Flags().StringArrayVar(&walk, "walk", nil, "follow this variable, LOG.NAME, entry by entry, however large (a query that names it does so too)")
	return c
}

// A replayReport is what replay says.
type replayReport struct {
	Dir        string         `json:"dir,omitempty"` // of the History
	Hash       string         `json:"hash"`
	Reused     bool           `json:"reused,omitempty"` // it was there already
	Events     uint64         `json:"events"`
	Nodes      []replayedNode `json:"nodes"`
	Divergence *problem       `json:"divergence,omitempty"` // the first
}

type replayedNode struct {
	Node     string        `json:"node"`
	Events   uint64        `json:"events"`
	From     hlc.Timestamp `json:"from"`
	To       hlc.Timestamp `json:"to"`
	Base     uint64        `json:"base,omitempty"` // event of the checkpoint that replay began with
	Problems []problem     `json:"problems,omitempty"`
}

type problem struct {
	Node string `json:"node"`
	Seq  uint64 `json:"seq,omitempty"`
	Text string `json:"text"`
}

func runReplay(c *cobra.Command, services []Service, f *openFlags, what, output string, walk []string) error {
	ctx, stop := interruptible(c)
	defer stop()
	o, err := f.openForReplay(ctx, c, services, what, walk)
	if err != nil {
		return err
	}
	defer o.Close()
	for _, v := range walk {
		if _, ok := o.Source.Meta().VarID(v); !ok {
			return Usage(fmt.Errorf("--walk %s: there is no such variable; 'SHOW VARIABLES' lists those there are", v))
		}
	}
	r, err := reportReplay(ctx, o)
	if err != nil {
		return openError(err)
	}
	if output == "json" {
		err = writeJSON(c.OutOrStdout(), r)
	} else {
		err = r.write(c.OutOrStdout())
	}
	if d := r.Divergence; err == nil && d != nil {
		return &ExitError{Code: ExitFound, Err: fmt.Errorf("the replay diverged: node %s, event %d: %s", d.Node, d.Seq, d.Text)}
	}
	return err
}

// openForReplay replays with the code given or linked, also where a History of
// another build is there: that is what the user asked for.
func (f *openFlags) openForReplay(ctx context.Context, c *cobra.Command, services []Service, what string, walk []string) (*opened, error) {
	s, linked := serviceOf(services, what)
	rec, err := recording.Open(vfs.OS(), what)
	if f.exec != "" || err != nil || !linked || s.Name != rec.Manifest().Service {
		o, err := f.open(ctx, c, services, what)
		if err != nil || len(walk) == 0 {
			return o, err
		}
		if err := o.walk(ctx, walk); err != nil {
			return nil, errors.Join(err, o.Close())
		}
		return o, nil
	}
	bar := newProgress(c.ErrOrStderr())
	r, err := replay.Recording(ctx, rec, replay.Options{Service: s.Name, Registry: s.Machines, Build: BuildID(), Walk: walk, Again: f.again, Progress: replayProgress(bar)})
	bar.clear()
	if err != nil {
		return nil, openError(err)
	}
	warn(c, r.Warnings)
	return &opened{Opened: &replay.Opened{Replayed: r, What: what, Recording: rec}}, nil
}

func reportReplay(ctx context.Context, o *opened) (*replayReport, error) {
	hash, err := history.Hash(ctx, o.Source)
	if err != nil {
		return nil, err
	}
	meta := o.Source.Meta()
	r := &replayReport{Dir: o.Dir, Hash: hash, Reused: o.Reused, Events: meta.Events}
	for _, n := range meta.Nodes {
		node := replayedNode{Node: n.Name, Events: n.Events, From: n.First.Time, To: n.Last.Time}
		for _, res := range o.Results {
			if res.Node == n.Name {
				node.Base = res.Base
				node.Problems = r.problems(res)
			}
		}
		r.Nodes = append(r.Nodes, node)
	}
	return r, nil
}

func (r *replayReport) problems(res replay.Result) (out []problem) {
	for _, p := range res.Problems {
		q := problem{Node: p.Node, Seq: p.Seq, Text: p.Err.Error()}
		out = append(out, q)
		var d *stepper.DivergenceError
		if errors.As(p.Err, &d) && r.Divergence == nil {
			r.Divergence = &q
		}
	}
	return out
}

func (r *replayReport) write(w io.Writer) error {
	w = safeFor(w)
	for _, n := range r.Nodes {
		fmt.Fprintf(w, "%s  %s", termtext.Printable(n.Node), plural(n.Events, "event"))
		if n.Events > 0 {
			fmt.Fprintf(w, ", %s to %s", n.From, n.To)
		}
		if n.Base > 0 {
			fmt.Fprintf(w, ", from the checkpoint at event %d", n.Base)
		}
		fmt.Fprintln(w)
	}
	reused := ""
	if r.Reused {
		reused = "; " + replay.ReusedMark + ": --again does"
	}
	_, err := fmt.Fprintf(w, "%s, hash %s%s\n", plural(r.Events, "event"), r.Hash, reused)
	if r.Dir != "" {
		_, err = fmt.Fprintln(w, r.Dir)
	}
	return err
}
