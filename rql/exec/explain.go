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
		lines = append(lines, s.blockLine(b))
	}
	parts, dull := 0, 0
	for _, j := range s.jobs {
		if j.dull {
			dull++
		} else {
			parts++
		}
	}
	switch {
	case why != "":
		lines = append(lines, "search: one walk, for "+why)
	case dull > 0:
		lines = append(lines, fmt.Sprintf("search: %d parts, %d at a time; between them %d stretches in which the condition can't hold are passed over", parts, opt.parallel(), dull))
	case opt.parallel() == 1:
		lines = append(lines, "search: one walk, for --parallel is 1")
	case parts == 1:
		lines = append(lines, "search: one walk, for the events are few")
	default:
		lines = append(lines, fmt.Sprintf("search: %d parts, %d at a time", parts, opt.parallel()))
	}
	return lines, nil
}

// blockLine tells which blocks are read, of all that there are: those in the time
// asked, but for those that lie in parts which are passed over.
func (s *search) blockLine(blocks history.Blocked) string {
	from, to := s.parts.Range()
	vars, all := s.q.Variables(), len(s.q.Shown()) > 0
	total, inTime, read, changing, bytes := 0, 0, 0, 0, 0
	for n := range s.src.Meta().Nodes {
		asked := s.parts.Nodes() == nil || slices.Contains(s.parts.Nodes(), n)
		for b := range blocks.Blocks(n) {
			total++
			if !asked || b.Last.Time < from || b.First.Time > to {
				continue
			}
			inTime++
			if s.passed(&b) {
				continue
			}
			read++
			bytes += b.Bytes
			if all || b.More || slices.ContainsFunc(b.Stats, func(v history.VarStat) bool { return slices.Contains(vars, v.Var) }) {
				changing++
			}
		}
	}
	return fmt.Sprintf("blocks: %d in all, %d in the time asked, %d to read (%d KiB); %d of these change a variable of the query, of the others only the events' times are read",
		total, inTime, read, (bytes+1023)/1024, changing)
}

// passed reports whether a block lies in a part that is passed over.
func (s *search) passed(b *history.Block) bool {
	return slices.ContainsFunc(s.jobs, func(j *job) bool {
		return j.dull && b.Bases == 0 && b.First.Time >= j.from.Time && b.Last.Time < j.to.Time
	})
}
