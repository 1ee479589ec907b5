package check

import "slices"

// shrinkTriesMax bounds how often a violation is judged again to make it smaller,
// shrinkStepsMax the steps of one such judgement.
const (
	shrinkTriesMax = 2000
	shrinkStepsMax = 100_000
)

// A shrinker makes a violation smaller: less time, fewer operations.
type shrinker struct {
	all     []Operation
	model   *Model
	options *Options
	tries   int
	anyInit bool // what was before all isn't known: the object may be in any state
}

// shrink returns few of the operations on one key that are not linearizable by
// themselves, and what a search says of them. It leaves out only what may be left
// out: the rest of a good history must be good as well.
func (s *shrinker) shrink(j judgement) ([]Operation, judgement) {
	if j.conflict != nil {
		part := pick(s.all, j.conflict)
		if again, bad := s.violated(part); bad {
			return part, again
		}
		return s.all, j
	}
	kept, j := s.cutEnd(s.all, j)
	if s.model.sound == nil {
		return kept, j
	}
	kept, j = s.cutBeginning(kept, j)
	for _, unit := range []func([]Operation) [][]int{unitsByValue, unitsByProcess, unitsOfOne} {
		kept, j = s.drop(kept, j, unit)
	}
	kept, j = s.cutEnd(kept, j)
	return s.dropPairs(kept, j)
}

// cutEnd leaves out what was called after the first return that nothing explains.
func (s *shrinker) cutEnd(kept []Operation, j judgement) ([]Operation, judgement) {
	if j.at == Open {
		return kept, j
	}
	whole := s.all
	s.all = until(s.all, j.at)
	cut := until(kept, j.at)
	if again, bad := s.violated(cut); bad {
		return cut, again
	}
	s.all = whole
	return kept, j
}

// cutBeginning leaves out what had returned before a moment, the latest possible:
// whatever the object held then, the rest has no order.
func (s *shrinker) cutBeginning(kept []Operation, j judgement) ([]Operation, judgement) {
	m := *s.model
	if m.since == nil || !m.since(kept) {
		return kept, j
	}
	whole := s.all
	try := func(i int) ([]Operation, judgement, bool) {
		cut := since(kept, kept[i].Call)
		s.all = cut
		again, bad := s.violated(cut)
		return cut, again, bad
	}
	s.anyInit = true
	best, lo, hi := -1, 1, len(kept)-1
	for lo <= hi {
		mid := (lo + hi) / 2
		if _, _, bad := try(mid); bad {
			best, lo = mid, mid+1
		} else {
			hi = mid - 1
		}
	}
	if best >= 0 {
		if cut, again, bad := try(best); bad {
			return cut, again
		}
	}
	s.all, s.anyInit = whole, false
	return kept, j
}

// since is what had not returned before a moment; what had been called before it
// may have happened before, and so not any more.
func since(ops []Operation, at int64) []Operation {
	var cut []Operation
	for _, op := range ops {
		switch {
		case op.Outcome == Ok && op.Return < at:
			continue
		case op.Call < at && op.Outcome == Ok:
			op.Outcome, op.Return = Info, Open
		}
		cut = append(cut, op)
	}
	return cut
}

// drop leaves out units of operations, many at a time and then fewer.
func (s *shrinker) drop(kept []Operation, j judgement, units func([]Operation) [][]int) ([]Operation, judgement) {
	for size := (len(units(kept)) + 1) / 2; size > 0; size /= 2 {
		groups := units(kept)
		gone := make([]bool, len(kept))
		for end := len(groups); end > 0; end -= size {
			set(gone, groups[max(0, end-size):end], true)
			if again, bad := s.violated(without(kept, gone)); bad {
				j = again
			} else {
				set(gone, groups[max(0, end-size):end], false)
			}
		}
		kept = without(kept, gone)
	}
	return kept, j
}

func set(gone []bool, groups [][]int, to bool) {
	for _, g := range groups {
		for _, i := range g {
			gone[i] = to
		}
	}
}

func without(ops []Operation, gone []bool) []Operation {
	left := make([]Operation, 0, len(ops))
	for i := range ops {
		if !gone[i] {
			left = append(left, ops[i])
		}
	}
	return left
}

// unitsByValue groups operations that write, read, enqueue or dequeue one value.
func unitsByValue(ops []Operation) [][]int {
	values := newValueTable()
	return group(ops, func(op *Operation) int {
		switch verb(op.F) {
		case "read", "dequeue":
			return int(values.id(op.Output))
		}
		return int(values.id(op.Input))
	})
}

// unitsByProcess groups operations by who did them.
func unitsByProcess(ops []Operation) [][]int {
	return group(ops, func(op *Operation) int { return op.Process })
}

// unitsOfOne are the operations.
func unitsOfOne(ops []Operation) [][]int {
	n := 0
	return group(ops, func(*Operation) int { n++; return n })
}

func group(ops []Operation, by func(*Operation) int) [][]int {
	at := map[int]int{}
	var groups [][]int
	for i := range ops {
		k := by(&ops[i])
		g, ok := at[k]
		if !ok {
			g = len(groups)
			at[k] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}

// dropPairs leaves out two operations at a time, which may have to go together.
func (s *shrinker) dropPairs(kept []Operation, j judgement) ([]Operation, judgement) {
	for a := len(kept) - 1; a > 0; a-- {
		for b := a - 1; b >= 0 && a < len(kept) && len(kept) <= pairsMax; b-- {
			part := slices.Concat(kept[:b], kept[b+1:a], kept[a+1:])
			if again, bad := s.violated(part); bad {
				kept, j = part, again
				break
			}
		}
	}
	return kept, j
}

// pairsMax is up to how many operations all pairs of them are tried.
const pairsMax = 64

// violated judges a part.
func (s *shrinker) violated(part []Operation) (judgement, bool) {
	if s.tries++; len(part) == 0 || s.tries > shrinkTriesMax || s.options.stopped() {
		return judgement{}, false
	}
	if s.model.sound != nil && !s.model.sound(s.all, part) {
		return judgement{}, false
	}
	o := Options{Steps: shrinkStepsMax, Stop: s.options.Stop}
	if s.anyInit {
		j := judgeFromAny(part, s.model, newBudget(&o))
		return j, j.verdict == Violated
	}
	j := judge(part, s.model, newBudget(&o))
	return j, j.verdict == Violated
}

// until is what had been called by a moment; what had not returned has no answer.
func until(ops []Operation, at int64) []Operation {
	var cut []Operation
	for _, op := range ops {
		if op.Call > at {
			continue
		}
		if op.Return > at {
			op.Outcome, op.Return = Info, Open
		}
		cut = append(cut, op)
	}
	return cut
}

func pick(ops []Operation, indices []int) []Operation {
	var part []Operation
	for _, i := range indices {
		part = append(part, ops[i])
	}
	return part
}
