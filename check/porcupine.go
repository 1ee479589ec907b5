package check

import (
	"fmt"
	"io"

	"github.com/anishathalye/porcupine"
)

// porcupineBytesMax bounds the memory of a search by porcupine, which keeps the
// set of what has happened for every step.
const porcupineBytesMax = 512 << 20

// runPorcupine lets porcupine search for an order. Out of budget, no step is
// possible any more, so that its search ends at once.
func runPorcupine(s spec, entries []entry, b *budget) (Verdict, string) {
	b.left = min(b.left, porcupineBytesMax/int64(len(entries)/8+128))
	exhausted := false
	m := porcupineModel(s)
	step := m.Step
	m.Step = func(state, input, output any) (bool, any) {
		if exhausted || !b.spend(1) {
			exhausted = true
			return false, state
		}
		return step(state, input, output)
	}
	switch holds := porcupine.CheckOperations(m, porcupineOperations(entries, nil)); {
	case holds:
		return Holds, ""
	case exhausted:
		return Undecided, b.bound()
	}
	return Violated, ""
}

func porcupineModel(s spec) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return s.init() },
		Step: func(state, input, _ any) (bool, any) {
			next, ok := s.step(state.(int32), input.(int))
			return ok, next
		},
		Hash: func(state any) uint64 { return uint64(uint32(state.(int32))) },
	}
}

// porcupineOperations are the entries in porcupine's form; ops, where given, are
// those that they stand for.
func porcupineOperations(entries []entry, ops []Operation) []porcupine.Operation {
	clients := map[int]int{}
	out := make([]porcupine.Operation, len(entries))
	for i, e := range entries {
		out[i] = porcupine.Operation{Input: e.op, Call: e.call, Return: e.ret}
		if ops == nil {
			continue
		}
		op := &ops[e.op]
		n, ok := clients[op.Process]
		if !ok {
			n = len(clients)
			clients[op.Process] = n
		}
		out[i].ClientId, out[i].Metadata = n, op.Ref
	}
	return out
}

// orderHTML writes porcupine's page for operations on one key. With anyInit what
// is there at first isn't known until it is read.
func orderHTML(w io.Writer, ops []Operation, m *Model, anyInit bool) error {
	s, entries := m.compile(ops)
	pm := porcupineModel(s)
	if reg, ok := s.(*registerSpec); ok && anyInit {
		pm = anyModel(anyRegister{reg})
	}
	pm.DescribeOperation = func(input, _ any) string { return ops[input.(int)].who() + ": " + ops[input.(int)].what() }
	if pm.DescribeState == nil {
		pm.DescribeState = func(state any) string { return s.text(state.(int32)) }
	}
	_, info := porcupine.CheckOperationsVerbose(pm, porcupineOperations(entries, ops), 0)
	if err := porcupine.Visualize(pm, info, w); err != nil {
		return fmt.Errorf("write the picture: %w", err)
	}
	return nil
}

// anyModel is a register that may hold anything at first, as a set of states.
func anyModel(s anyRegister) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any {
			var all []any
			for _, state := range s.inits() {
				all = append(all, state)
			}
			return all
		},
		Step: func(state, input, _ any) []any {
			if next, ok := s.step(state.(int32), input.(int)); ok {
				return []any{next}
			}
			return nil
		},
		DescribeState: func(state any) string { return s.text(state.(int32)) },
	}
	return m.ToModel()
}
