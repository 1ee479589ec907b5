package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hindcast.dev/history"
	"hindcast.dev/replay"
	"hindcast.dev/rql"
	"hindcast.dev/termtext"
)

// walk replaces the History by one in which variables are walked too.
func (o *opened) walk(ctx context.Context, names []string) error {
	n, err := o.Opened.Walk(ctx, names)
	if err != nil {
		return openError(err)
	}
	old := o.Opened
	o.Opened = n
	return old.Close()
}

// compileQuery compiles a query. If it names variables whose contents were too
// large to be compared, the History becomes one that has them.
func compileQuery(ctx context.Context, c *cobra.Command, o *opened, s statement) (*rql.Query, error) {
	q, err := rql.CompileAt(o.Source.Meta(), s.text, s.at)
	if err != nil {
		return nil, err
	}
	if names := bulkyNames(o.Source.Meta(), q.Variables()); len(names) > 0 {
		if err := o.walk(ctx, names); err != nil {
			return nil, err
		}
		if q, err = rql.CompileAt(o.Source.Meta(), s.text, s.at); err != nil {
			return nil, err
		}
		if still := bulkyNames(o.Source.Meta(), q.Variables()); len(still) > 0 {
			return nil, Usage(&replay.WalkError{Variables: still, Err: errors.New("the program that replayed it didn't walk them: give one of this version of hindcast")})
		}
	}
	if left := bulkyBelow(o.Source.Meta(), q.Shown()); len(left) > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "note: * leaves out %s: too large to be compared after every event, name what you want to have it\n", printableList(left))
	}
	return q, nil
}

// sayWalked says why a recording is replayed once more.
func sayWalked(c *cobra.Command, walked []string) {
	if len(walked) > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "note: replaying again, to follow %s entry by entry\n", printableList(walked))
	}
}

func printableList(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = termtext.Printable(n)
	}
	return strings.Join(out, ", ")
}

// bulkyNames are the names of those variables whose contents changes leave out
// somewhere.
func bulkyNames(meta *history.Meta, vars []history.VarID) []string {
	var names []string
	for _, v := range vars {
		if len(meta.Vars[v].Bulky) > 0 {
			names = append(names, meta.Vars[v].Name)
		}
	}
	slices.Sort(names)
	return names
}

// bulkyBelow is bulkyNames of all variables of logs.
func bulkyBelow(meta *history.Meta, logs []string) []string {
	var vars []history.VarID
	for i := range meta.Vars {
		if log, _, _ := strings.Cut(meta.Vars[i].Name, "."); slices.Contains(logs, log) {
			vars = append(vars, history.VarID(i))
		}
	}
	return bulkyNames(meta, vars)
}
