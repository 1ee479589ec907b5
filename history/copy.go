package history

import (
	"context"
	"errors"
	"io"
)

// Copy writes all of a Source into w, node by node.
func Copy(ctx context.Context, w Writer, src Source) error {
	meta := src.Meta()
	for i := range meta.Nodes {
		if err := copyNode(ctx, w, src, i); err != nil {
			return err
		}
	}
	return nil
}

func copyNode(ctx context.Context, w Writer, src Source, node int) error {
	meta := src.Meta()
	n := &meta.Nodes[node]
	out, err := w.Node(n.Name, n.Build)
	if err != nil {
		return err
	}
	ids := make([]VarID, len(meta.Vars))
	for i := range ids {
		ids[i] = noVar
	}
	for _, s := range n.Unknown {
		if err := out.Unknown(s, n.Reason); err != nil {
			return err
		}
	}
	for i := range meta.Vars {
		for _, b := range meta.Vars[i].Bulky {
			if b.Node != node {
				continue
			}
			ids[i] = out.Var(meta.Vars[i].Name)
			if err := out.Bulky(ids[i], b.From); err != nil {
				return err
			}
		}
	}
	c, err := src.Walk(ctx, Begin, End, []int{node})
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return out.Close()
		}
		if err != nil {
			return err
		}
		if err := copyEntry(out, meta, e, ids); err != nil {
			return err
		}
	}
}

// noVar is the place of a variable that the copy doesn't have yet.
const noVar VarID = 1<<32 - 1

func copyEntry(out NodeWriter, meta *Meta, e *Event, ids []VarID) error {
	kept := *e
	kept.Changes = make([]Change, 0, len(e.Changes))
	for _, c := range e.Changes {
		if e.Base && c.Value.IsAbsent() {
			continue // follows from what the base doesn't hold
		}
		if ids[c.Var] == noVar {
			ids[c.Var] = out.Var(meta.Vars[c.Var].Name)
		}
		c.Var = ids[c.Var]
		kept.Changes = append(kept.Changes, c)
	}
	if e.Base {
		return out.Base(e.Seq, e.Time, kept.Changes)
	}
	return out.Append(&kept)
}
