package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hindcast.dev/debug"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/recording"
	"hindcast.dev/rql"
	"hindcast.dev/termtext"
)

// last finds the last moment at which the query of --last-where matches.
func (f *restoreFlags) last(ctx context.Context, c *cobra.Command, services []Service, rec *recording.Recording) (hlc.Timestamp, error) {
	if rec.Manifest().Snapshot != nil {
		return 0, Usage(errors.New("--last-where: a snapshot is of one moment alone; ask a recording, or live nodes"))
	}
	o, err := f.open(ctx, c, services, rec.Dir())
	if err != nil {
		return 0, err
	}
	defer o.Close()
	text := lastQuery(f.lastWhere, o.Source.Meta())
	q, err := compileQuery(ctx, c, o, statement{text: text})
	if err != nil {
		return 0, queryError(err, statement{text: text})
	}
	found, last := false, hlc.Timestamp(0)
	_, err = q.Run(ctx, o.Source, rql.Options{}, func(r *rql.Row) error {
		found = true
		if last = max(last, r.To-1); r.Open { // the run of cuts lasts until then
			last = o.Source.Meta().Last.Time
		}
		return nil
	})
	switch {
	case err != nil:
		return 0, queryError(err, statement{text: text})
	case !found:
		return 0, &ExitError{Code: ExitFound, Err: fmt.Errorf("--last-where: it never held: %s", text)}
	}
	return last, nil
}

// lastQuery is a condition as a query over all logs; a query stays as it is.
func lastQuery(text string, meta *history.Meta) string {
	if f := strings.Fields(text); len(f) > 0 && strings.EqualFold(f[0], "SELECT") {
		return text
	}
	logs := map[string]bool{"net": true, "node": true}
	for _, v := range meta.Vars {
		log, _, _ := strings.Cut(v.Name, ".")
		logs[log] = true
	}
	return "SELECT TIME() FROM " + strings.Join(slices.Sorted(maps.Keys(logs)), ", ") + " WHEN " + text
}

// differencesMax bounds what snapshot diff prints, unless told otherwise.
const differencesMax = 100

// A difference is one entry that two snapshots have in different ways.
type difference struct {
	Node     string       `json:"node"`
	Variable string       `json:"variable"` // with the way to the entry in it
	A        *event.Value `json:"a"`        // null if it is absent there
	B        *event.Value `json:"b"`
}

// snapshotDiffCommand compares two snapshots.
func snapshotDiffCommand(services []Service) *cobra.Command {
	var f openFlags
	var output string
	var limit int
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Say what differs between two snapshots, by node and variable",
		Long: `Say what differs between two snapshots, or the ends of two recordings or Histories, by
node and variable. The exit code is 1 if anything does.`,
		Example:           "  hindcast snapshot diff before after",
		Args:              usageArgs(cobra.ExactArgs(2)),
		ValidArgsFunction: filesFor(2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(c, output, "text", "json"); err != nil {
				return err
			}
			return snapshotDiff(c, services, &f, args, output, limit)
		},
	}
	f.add(c)
	outputFlag(c, &output, "text", "json")
	c.Flags().IntVar(&limit, "limit", differencesMax, "how many differences to show")
	return c
}

func snapshotDiff(c *cobra.Command, services []Service, f *openFlags, args []string, output string, limit int) error {
	ctx, stop := interruptible(c)
	defer stop()
	var ends [2]*end
	var nodes [2][]recording.Node
	for i, what := range args {
		o, err := f.open(ctx, c, services, what)
		if err != nil {
			return err
		}
		defer o.Close()
		if ends[i], err = endOf(ctx, o.Source); err != nil {
			return err
		}
		if o.Recording != nil {
			nodes[i] = o.Recording.Manifest().Nodes
		}
	}
	ends[0].names, ends[1].names = namesOf(nodes[0], nodes[1]), namesOf(nodes[1], nodes[0])
	d := &differences{limit: limit}
	d.compare(ends[0], ends[1])
	var err error
	if output == "json" {
		err = writeJSON(c.OutOrStdout(), map[string]any{"differences": append([]difference{}, d.shown...), "count": d.count, "unknown": append([]string{}, d.unknown...)})
	} else {
		err = d.write(c.OutOrStdout())
	}
	switch {
	case err != nil:
		return err
	case d.count > 0:
		return &ExitError{Code: ExitFound}
	case len(d.unknown) > 0:
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("nothing is known of %s in one of the two", strings.Join(d.unknown, ", "))}
	}
	return nil
}

// An end is what holds at the end of a History.
type end struct {
	meta   *history.Meta
	states []*history.State
	names  map[string]string // of nodes that go by their address → by their name
}

// namesOf finds the names of nodes that weren't reached and so are known by their
// addresses alone, among others that have these addresses.
func namesOf(nodes, others []recording.Node) map[string]string {
	names := map[string]string{}
	for _, n := range nodes {
		for _, o := range others {
			if n.Name == n.Address && o.Address == n.Address {
				names[n.Name] = o.Name
			}
		}
	}
	return names
}

func endOf(ctx context.Context, src history.Source) (*end, error) {
	cur, err := src.Walk(ctx, history.End, history.End, nil)
	if err != nil {
		return nil, err
	}
	return &end{meta: src.Meta(), states: cur.States()}, cur.Close()
}

// variables are those of a node by name; nil if nothing is known of it.
func (e *end) variables(node string) map[string]event.Value {
	i, ok := e.meta.NodeIndex(node)
	if !ok || e.states[i] == nil {
		return nil
	}
	out := map[string]event.Value{}
	for _, id := range e.states[i].Vars() {
		if v := e.states[i].Get(id); !v.IsAbsent() {
			out[e.meta.Vars[id].Name] = v
		}
	}
	return out
}

type differences struct {
	limit   int
	shown   []difference
	count   int
	unknown []string // nodes
}

func (d *differences) compare(a, b *end) {
	names := map[string]bool{}
	for _, e := range []*end{a, b} {
		for _, n := range e.meta.Nodes {
			names[cmp.Or(e.names[n.Name], n.Name)] = true
		}
	}
	for _, node := range slices.Sorted(maps.Keys(names)) {
		was, is := a.variables(node), b.variables(node)
		if was == nil || is == nil {
			d.unknown = append(d.unknown, node)
			continue
		}
		all := maps.Clone(was)
		maps.Copy(all, is)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			d.value(node, name, nil, was[name], is[name])
		}
	}
}

func (d *differences) value(node, name string, path []event.Value, a, b event.Value) {
	switch {
	case event.Equal(a, b):
		return
	case a.Type() == event.TypeMap && b.Type() == event.TypeMap:
		for k, v := range a.AsMap().All() {
			d.value(node, name, append(path[:len(path):len(path)], k), v, b.AsMap().Get(k))
		}
		for k, v := range b.AsMap().All() {
			if a.AsMap().Get(k).IsAbsent() {
				d.value(node, name, append(path[:len(path):len(path)], k), event.Absent, v)
			}
		}
		return
	}
	if d.count++; len(d.shown) < d.limit {
		d.shown = append(d.shown, difference{node, event.PathString(name, path), present(a), present(b)})
	}
}

func present(v event.Value) *event.Value {
	if v.IsAbsent() {
		return nil
	}
	return &v
}

// differenceColumns is how much is shown of a value in text.
const differenceColumns = 200

func (d *differences) write(w io.Writer) error {
	show := func(v *event.Value) string {
		if v == nil {
			return "absent"
		}
		return termtext.Printable(termtext.Clip(debug.FormatValue(*v), differenceColumns))
	}
	for _, x := range d.shown {
		if _, err := fmt.Fprintf(w, "%s  %s: %s → %s\n", termtext.Printable(x.Node), termtext.Printable(x.Variable), show(x.A), show(x.B)); err != nil {
			return err
		}
	}
	if n := d.count - len(d.shown); n > 0 {
		if _, err := fmt.Fprintf(w, "and %s more (--limit)\n", plural(n, "difference")); err != nil {
			return err
		}
	}
	var err error
	if d.count == 0 {
		_, err = fmt.Fprintln(w, "no difference")
	}
	for _, n := range d.unknown {
		_, err = fmt.Fprintf(w, "%s  unknown in one of the two\n", termtext.Printable(n))
	}
	return err
}
