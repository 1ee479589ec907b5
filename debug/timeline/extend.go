package timeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync/atomic"

	"hindcast.dev/history"
)

// ErrExtended says that an Index can't be extended: it was before, or that failed, or
// it was made by Build.
var ErrExtended = errors.New("the index can't be extended: begin with a new one")

// A growth is what an Index hands on to the one that it is extended to.
type growth struct {
	taken  atomic.Bool // by an Extend
	linker *linker
	end    history.Position // of the last entry, also of a base
}

// New returns an Index of nothing, to be extended.
func New() *Index {
	return &Index{meta: &history.Meta{}, linked: true, losses: &losses{}, growth: &growth{}}
}

// Extend returns an Index, linked, of a History that continues that of x: that has
// all of its entries as they were, and others only behind them. It takes time for
// these and for each node. x stays as it is, but shares memory with what it is
// extended to, and so is extended but once, also if that fails: else the error is
// ErrExtended.
func (x *Index) Extend(ctx context.Context, src history.Source) (*Index, error) {
	if x.growth == nil || !x.growth.taken.CompareAndSwap(false, true) {
		return nil, ErrExtended
	}
	meta := src.Meta()
	if meta.Events >= math.MaxUint32 {
		return nil, fmt.Errorf("%d events are more than can be laid out", meta.Events)
	}
	y := *x
	y.src, y.meta, y.lanes = src, meta, slices.Clone(x.lanes)
	y.ways, y.losses = slices.Clone(x.ways), x.losses.more()
	y.growth = &growth{linker: x.growth.linker, end: x.growth.end}
	if len(y.lanes) != len(meta.Nodes) {
		if y.growth.end != history.Begin {
			return nil, fmt.Errorf("a History of %d nodes doesn't continue one of %d", len(meta.Nodes), len(y.lanes))
		}
		y.lanes = make([]lane, len(meta.Nodes))
		y.growth.linker = newLinker(len(meta.Nodes))
	}
	if y.growth.linker != nil {
		y.growth.linker.x = &y
	}
	if err := y.take(ctx); err != nil {
		return nil, err
	}
	return &y, nil
}

// take takes in all entries behind the last one.
func (x *Index) take(ctx context.Context) error {
	lens := history.Lens{Fields: linkFields}
	isUp, ok := x.meta.VarID("node.up")
	if ok {
		lens.Vars = []history.VarID{isUp}
	}
	c, err := history.WalkThrough(ctx, x.src, x.growth.end.After(), history.End, nil, lens)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		x.growth.end = e.Position
		l := &x.lanes[e.Node]
		if ok {
			l.setUp(e, isUp)
		}
		if e.Base {
			continue
		}
		l.add(e, x.events)
		x.events++
		x.growth.linker.add(e)
	}
}
