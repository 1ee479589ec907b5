package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"

	"hindcast.dev/history"
	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

// A Replayed is a recording as a History.
type Replayed struct {
	Source  history.Source
	Dir     string   // of the History, "" if it is in memory
	Reused  bool     // it was there already, made by the same build of the same journals
	Results []Result // of each node that has a journal, by name
	// Warnings say in sentences what wasn't as it should be, problems included.
	Warnings []string
}

// Divergence returns the first divergence, nil if there is none.
func (r *Replayed) Divergence() error {
	for i := range r.Results {
		if d := r.Results[i].Divergence(); d != nil {
			return d
		}
	}
	return nil
}

// Recording replays all nodes of a recording, and adds its clients' lanes. With
// Options.Memory the History is in memory; else it is written to the recording's
// history directory, or taken from there if this build has made it of the same
// journals. A node that is missing is one of which all is unknown.
//
// A recording of another service than Options.Service is an error.
func Recording(ctx context.Context, rec *recording.Recording, o Options) (*Replayed, error) {
	m := rec.Manifest()
	if o.Service != "" && m.Service != "" && o.Service != m.Service {
		return nil, fmt.Errorf("%s is a recording of service %q, the machines here are those of %q", rec.Dir(), m.Service, o.Service)
	}
	in := inputOf(rec)
	if o.Memory {
		return in.inMemory(ctx, o)
	}
	return in.onDisk(ctx, rec, o)
}

// An input is what a History is made of.
type input struct {
	fs         vfs.FS
	what       string // for messages
	journals   []Journal
	missing    []recording.Node // nothing is there of these
	operations []string         // files of clients' lanes
	warnings   []string
}

// inputOf lists what a recording holds.
func inputOf(rec *recording.Recording) *input {
	in := &input{fs: rec.FS(), what: rec.Dir()}
	for _, n := range rec.Manifest().Nodes {
		_, err := in.fs.Stat(rec.JournalDir(n.Name))
		if n.Missing != "" || err != nil {
			if n.Missing == "" {
				n.Missing = "its journal isn't in the recording"
			}
			in.missing = append(in.missing, n)
			continue
		}
		j := Journal{Node: n.Name, Build: n.Build, FS: in.fs, Dir: rec.JournalDir(n.Name), Checkpoints: rec.CheckpointsDir(n.Name),
			snapshot: snapshotOf(rec, &n)}
		for _, g := range n.Gaps {
			gap := Gap{Reason: g.Reason}
			if g.From != 0 || g.To != 0 {
				gap.Span = untilEnd(g.From)
			}
			if g.To != 0 {
				gap.Span.To = g.To
			}
			j.Gaps = append(j.Gaps, gap)
		}
		in.journals = append(in.journals, j)
	}
	files, err := rec.OperationFiles()
	if err != nil {
		in.warnings = append(in.warnings, err.Error())
	}
	in.operations = files
	return in
}

func (in *input) inMemory(ctx context.Context, o Options) (*Replayed, error) {
	o.begin()
	b := history.NewBuilder()
	out, err := in.write(ctx, b, o)
	if err != nil {
		return nil, err
	}
	src, err := b.Build()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.what, err)
	}
	out.Source = src
	return out, nil
}

// write writes all nodes, several at once.
func (in *input) write(ctx context.Context, w history.Writer, o Options) (*Replayed, error) {
	if len(in.journals) > 0 && len(o.Registry) == 0 {
		return nil, fmt.Errorf("%s: there are no machines to replay it with", in.what)
	}
	out := &Replayed{Warnings: slices.Clone(in.warnings)}
	lanes, err := in.writeLanes(ctx, w)
	if err != nil {
		return nil, err
	}
	out.Warnings = append(out.Warnings, lanes...)
	for _, n := range in.missing {
		if err := writeMissing(w, n); err != nil {
			return nil, err
		}
	}
	if out.Results, err = in.replayAll(ctx, w, o); err != nil {
		return nil, err
	}
	for _, r := range out.Results {
		for _, p := range r.Problems {
			out.Warnings = append(out.Warnings, p.String())
		}
	}
	return out, nil
}

func writeMissing(w history.Writer, n recording.Node) error {
	nw, err := w.Node(n.Name, n.Build)
	if err == nil {
		err = nw.Unknown(untilEnd(0), n.Missing)
	}
	if err == nil {
		err = nw.Close()
	}
	return err
}

// replayAll replays the journals, each in a goroutine, a bounded number at once.
func (in *input) replayAll(ctx context.Context, w history.Writer, o Options) ([]Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.Progress = serialized(o.Progress)
	results := make([]Result, len(in.journals))
	errs := make([]error, len(in.journals))
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	slots := make(chan struct{}, workers)
	var wg sync.WaitGroup
	for i, j := range in.journals {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			nw, err := w.Node(j.Node, j.Build)
			if err == nil {
				results[i], err = Node(ctx, j, nw, o)
			}
			if err != nil {
				errs[i] = err
				cancel() // the others' work would be thrown away
			}
		})
	}
	wg.Wait()
	return results, firstCause(errs)
}

// firstCause returns the first error that isn't merely that of having been
// called off because of another.
func firstCause(errs []error) error {
	var called error
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		called = errors.Join(called, err)
	}
	return called
}

func serialized(f func(Progress)) func(Progress) {
	if f == nil {
		return nil
	}
	var mu sync.Mutex
	return func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		f(p)
	}
}

// writeLanes adds the clients' lanes. A line cut short, as a recorder that was
// killed leaves it, is passed over; the warnings say so.
func (in *input) writeLanes(ctx context.Context, w history.Writer) (warnings []string, err error) {
	taken := map[string]bool{}
	for _, j := range in.journals {
		taken[j.Node] = true
	}
	for _, file := range in.operations {
		src, err := readText(in.fs, file, true)
		if err != nil {
			return nil, err
		}
		if n := src.Meta().Skipped; n > 0 {
			warnings = append(warnings, src.Meta().Warnings...)
		}
		for _, n := range src.Meta().Nodes {
			if taken[n.Name] {
				return nil, fmt.Errorf("%s: lane %s is in the recording already: a lane is in one file, and no node has its name", file, n.Name)
			}
			taken[n.Name] = true
		}
		if err := copyNodes(ctx, w, src); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return warnings, nil
}

// readText reads a History file.
func readText(fsys vfs.FS, file string, skipBad bool) (*history.Mem, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	return history.ReadText(io.NewSectionReader(f, 0, size), file, history.TextOptions{SkipBad: skipBad})
}

// copyNodes adds all nodes of src to w.
func copyNodes(ctx context.Context, w history.Writer, src history.Source) error {
	for i, n := range src.Meta().Nodes {
		nw, err := w.Node(n.Name, n.Build)
		if err != nil {
			return err
		}
		if err := copyNode(ctx, nw, src, i); err != nil {
			return err
		}
		for _, s := range n.Unknown {
			if err := nw.Unknown(s, n.Reason); err != nil {
				return err
			}
		}
		for _, v := range src.Meta().Vars {
			for _, b := range v.Bulky {
				if b.Node != i {
					continue
				}
				if err := nw.Bulky(nw.Var(v.Name), b.From); err != nil {
					return err
				}
			}
		}
		if err := nw.Close(); err != nil {
			return err
		}
	}
	return nil
}

func copyNode(ctx context.Context, w history.NodeWriter, src history.Source, node int) error {
	c, err := src.Walk(ctx, history.Begin, history.End, []int{node})
	if err != nil {
		return err
	}
	defer c.Close()
	vars := src.Meta().Vars
	for {
		e, err := c.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		own := *e
		own.Changes = slices.Clone(e.Changes)
		for i := range own.Changes {
			own.Changes[i].Var = w.Var(vars[own.Changes[i].Var].Name)
		}
		if e.Base {
			present := slices.DeleteFunc(own.Changes, func(c history.Change) bool { return c.Value.IsAbsent() })
			err = w.Base(e.Seq, e.Time, present)
		} else {
			err = w.Append(&own)
		}
		if err != nil {
			return err
		}
	}
}
