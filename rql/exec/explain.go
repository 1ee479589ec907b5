package exec

import (
	"context"
	"fmt"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql"
)

// explain gives the plan of a query, and how its walk would be searched.
func explain(ctx context.Context, q *rql.Query, src history.Source, opt Options, emit func(*rql.Row) error) (rql.Summary, error) {
	sum, err := q.Run(ctx, src, opt.Options, emit)
	if err != nil {
		return sum, err
	}
	lines, err := searchLines(ctx, q, src, opt)
	for _, l := range lines {
		if err != nil {
			break
		}
		sum.Rows++
		err = emit(&rql.Row{Columns: []rql.Field{{Name: "plan", Value: event.String(l)}}})
	}
	return sum, err
}

// searchLines say what would be read of the History and in how many parts.
func searchLines(ctx context.Context, q *rql.Query, src history.Source, opt Options) ([]string, error) {
	asked, why := q.Explained(src.Meta())
	if asked == nil {
		return nil, nil
	}
	p, err := asked.Parts(ctx, src, opt.Options, []*rql.Gathered{}, nil)
	if err != nil {
		return nil, err
	}
	s := &search{ctx: ctx, q: asked, src: src, opt: opt, parts: p}
	s.divide()
	var lines []string
	if b, ok := history.Unwrap(src).(history.Blocked); ok {
		lines = append(lines, blockLine(asked, p, src, b))
	}
	switch {
	case why != "":
		lines = append(lines, "search: one walk, for "+why)
	case opt.parallel() == 1:
		lines = append(lines, "search: one walk, for --parallel is 1")
	case len(s.jobs) == 1:
		lines = append(lines, "search: one walk, for the events are few")
	default:
		lines = append(lines, fmt.Sprintf("search: %d parts, %d at a time", len(s.jobs), opt.parallel()))
	}
	return lines, nil
}

// blockLine tells which blocks are read, of all that there are.
func blockLine(q *rql.Query, p *rql.Parts, src history.Source, blocks history.Blocked) string {
	from, to := p.Range()
	vars, all := q.Variables(), len(q.Shown()) > 0
	total, inTime, changing, bytes := 0, 0, 0, 0
	for n := range src.Meta().Nodes {
		asked := p.Nodes() == nil || slices.Contains(p.Nodes(), n)
		for b := range blocks.Blocks(n) {
			total++
			if !asked || b.Last.Time < from || b.First.Time > to {
				continue
			}
			inTime++
			bytes += b.Bytes
			if all || b.More || slices.ContainsFunc(b.Stats, func(v history.VarStat) bool { return slices.Contains(vars, v.Var) }) {
				changing++
			}
		}
	}
	return fmt.Sprintf("blocks: %d of %d lie in the time asked (%d KiB); %d of them change a variable of the query, of the others only the events' times are read",
		inTime, total, (bytes+1023)/1024, changing)
}
