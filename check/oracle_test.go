package check_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"hindcast.dev/check"
	"hindcast.dev/event"
)

// The oracle tries all orders. It shares no code with the checks, and is right
// because it is short.

// orderExists reports whether the operations that must happen, and any of those
// that may, have an order in which no one comes before what mustBefore demands and
// apply accepts each. apply returns the next state, ok false if the answer is wrong.
func orderExists(ops []check.Operation, mustBefore func(a, b int) bool, state string, apply func(state string, op check.Operation) (string, bool)) bool {
	done := make([]bool, len(ops))
	var try func(state string) bool
	try = func(state string) bool {
		complete := true
		for i, op := range ops {
			if done[i] {
				continue
			}
			complete = complete && op.Outcome == check.Info
			free := true
			for j := range ops {
				free = free && (done[j] || j == i || !mustBefore(j, i) || ops[j].Outcome == check.Info)
			}
			if next, ok := apply(state, op); free && ok {
				done[i] = true
				if try(next) {
					return true
				}
				done[i] = false
			}
		}
		return complete
	}
	return try(state)
}

// happened are the operations that did not fail.
func happened(ops []check.Operation) []check.Operation {
	return slices.DeleteFunc(slices.Clone(ops), func(op check.Operation) bool { return op.Outcome == check.Fail })
}

// realTime is the order of linearizability.
func realTime(ops []check.Operation) func(a, b int) bool {
	return func(a, b int) bool { return ops[a].Outcome == check.Ok && ops[a].Return < ops[b].Call }
}

// oracleLinearizable judges all keys at once.
func oracleLinearizable(ops []check.Operation, apply func(string, check.Operation) (string, bool)) bool {
	byKey := map[string][]check.Operation{}
	for _, op := range happened(ops) {
		byKey[op.Key] = append(byKey[op.Key], op)
	}
	for _, part := range byKey {
		if !orderExists(part, realTime(part), "", apply) {
			return false
		}
	}
	return true
}

// applyKV is a register, CAS register and store of one key: its state is the JSON
// of the value, "" for null.
func applyKV(state string, op check.Operation) (string, bool) {
	text := func(v event.Value) string {
		if v.Type() == event.TypeNull || v.IsAbsent() {
			return ""
		}
		return v.String()
	}
	switch op.F {
	case "read":
		return state, op.Outcome != check.Ok || op.Output.IsAbsent() || text(op.Output) == state
	case "delete":
		return "", true
	case "append":
		var now string
		if state != "" {
			v, err := event.ParseValue([]byte(state))
			if err != nil {
				panic(err)
			}
			now = v.AsString()
		}
		return text(event.String(now + op.Input.AsString())), true
	case "cas":
		old, to := text(op.Input.Index(event.Int(0))), text(op.Input.Index(event.Int(1)))
		failed := op.Outcome == check.Ok && op.Output.Type() == event.TypeBool && !op.Output.AsBool()
		switch {
		case failed:
			return state, state != old
		case state == old:
			return to, true
		}
		return state, op.Outcome == check.Info
	}
	return text(op.Input), true
}

// applyQueue is a queue: its state is the JSON of its list.
func applyQueue(state string, op check.Operation) (string, bool) {
	var has []event.Value
	if state != "" {
		v, err := event.ParseValue([]byte(state))
		if err != nil {
			panic(err)
		}
		has = v.Members()
	}
	if op.F == "enqueue" {
		return event.List(append(slices.Clone(has), op.Input)...).String(), true
	}
	switch {
	case len(has) == 0:
		return state, op.Outcome == check.Info || op.Output.Type() == event.TypeNull
	case op.Outcome == check.Ok && !event.Equal(op.Output, has[0]):
		return state, false
	case len(has) == 1:
		return "", true
	}
	return event.List(slices.Clone(has[1:])...).String(), true
}

// applyList is a list that is appended to.
func applyList(state string, op check.Operation) (string, bool) {
	if op.F == "append" {
		return state + "," + op.Input.String(), true
	}
	all := ""
	for _, v := range op.Output.Members() {
		all += "," + v.String()
	}
	return state, op.Outcome != check.Ok || op.Output.IsAbsent() || all == state
}

// applyLock is a lock: its state is who holds it.
func applyLock(state string, op check.Operation) (string, bool) {
	me := fmt.Sprint("client ", op.Process)
	refused := op.Outcome == check.Ok && op.Output.Type() == event.TypeBool && !op.Output.AsBool()
	switch {
	case op.F == "acquire" && refused:
		return state, state != ""
	case op.F == "acquire" && state == "":
		return me, true
	case op.F == "release" && !refused && state == me:
		return "", true
	case op.F == "release" && refused:
		return state, state != me
	}
	return state, op.Outcome == check.Info
}

// applyKeys is a store of several keys.
func applyKeys(state string, op check.Operation) (string, bool) {
	m := map[string]string{}
	keys := []string{}
	if state != "" {
		v, err := event.ParseValue([]byte(state))
		if err != nil {
			panic(err)
		}
		for k, x := range v.AsMap().All() {
			m[k.AsString()] = x.AsString()
			keys = append(keys, k.AsString())
		}
	}
	next, ok := applyKV(m[op.Key], op)
	if _, there := m[op.Key]; !there {
		keys = append(keys, op.Key)
	}
	m[op.Key] = next
	var entries []event.Entry
	for _, k := range keys {
		entries = append(entries, event.Entry{Key: event.String(k), Value: event.String(m[k])})
	}
	return event.MapOf(event.NewMap(entries...)).String(), ok
}

// processOrder is each client's order; what has no answer comes after what its
// client did before, and before nothing.
func processOrder(ops []check.Operation) func(a, b int) bool {
	return func(a, b int) bool {
		return ops[a].Process == ops[b].Process && ops[a].Call < ops[b].Call && ops[a].Outcome == check.Ok
	}
}

// oracleSequential tries all orders that keep each client's.
func oracleSequential(ops []check.Operation) bool {
	ops = happened(ops)
	return orderExists(ops, processOrder(ops), "", applyKeys)
}

// oracleClients tries for each client all orders of all writes and its reads: for
// PRAM those that keep each client's order, for causal memory those that keep what
// follows from it and from what was read.
func oracleClients(ops []check.Operation, causal bool) bool {
	ops = happened(ops)
	n := len(ops)
	before := make([][]bool, n)
	order := processOrder(ops)
	for a := range n {
		before[a] = make([]bool, n)
		for b := range n {
			wr := ops[a].F == "write" && ops[b].F == "read" && ops[b].Outcome == check.Ok && ops[a].Key == ops[b].Key && event.Equal(ops[a].Input, ops[b].Output)
			before[a][b] = a != b && (order(a, b) || causal && wr)
		}
	}
	for k := range n {
		for a := range n {
			for b := range n {
				before[a][b] = before[a][b] || before[a][k] && before[k][b]
			}
		}
	}
	clients := map[int]bool{}
	for a := range n {
		if before[a][a] {
			return false
		}
		clients[ops[a].Process] = true
	}
	for c := range clients {
		var mine []check.Operation
		var at []int
		for i, op := range ops {
			if op.F == "write" || op.Process == c {
				mine, at = append(mine, op), append(at, i)
			}
		}
		// A write without an answer that is read did happen, and comes before what
		// follows from that read.
		for i := range mine {
			for _, op := range ops {
				if mine[i].F == "write" && op.F == "read" && op.Outcome == check.Ok && op.Key == mine[i].Key && event.Equal(op.Output, mine[i].Input) {
					mine[i].Outcome = check.Ok
				}
			}
		}
		if !orderExists(mine, func(a, b int) bool { return before[at[a]][at[b]] }, "", applyKeys) {
			return false
		}
	}
	return true
}

// randomHistory makes a small one: clients that do one operation after the other,
// each writing new values where unique is set, reading anything that is written
// somewhere.
func randomHistory(r *rand.Rand, keys int, unique bool, fs ...string) []check.Operation {
	var ops []check.Operation
	clients, n := 1+r.IntN(3), 2+r.IntN(6)
	now := make([]int64, clients)
	for i := range n {
		p := r.IntN(clients)
		call := now[p] + int64(r.IntN(4))
		ret := call + int64(r.IntN(8))
		now[p] = ret + 1
		op := check.Operation{Process: p, F: fs[r.IntN(len(fs))], Key: string(rune('x' + r.IntN(keys))), Call: call, Return: ret, Outcome: check.Ok, Ref: fmt.Sprint("op ", i)}
		value := func() event.Value { return event.Int(int64(1 + r.IntN(3))) }
		if unique {
			value = func() event.Value { return event.Int(int64(i + 1)) }
		}
		any := func() event.Value {
			if k := r.IntN(n + 1); k > 0 && unique {
				return event.Int(int64(k))
			} else if k > 0 {
				return value()
			}
			return event.Null()
		}
		switch op.F {
		case "read":
			op.Output = any()
		case "dequeue":
			op.Output = any()
		case "cas":
			op.Input = event.List(any(), value())
			if r.IntN(3) == 0 {
				op.Output = event.Bool(false)
			}
		case "append":
			op.Input = event.String(string(rune('a' + r.IntN(3))))
		case "acquire", "release":
			if r.IntN(4) == 0 {
				op.Output = event.Bool(false)
			}
		case "write", "enqueue":
			op.Input = value()
		}
		switch r.IntN(6) {
		case 0:
			op.Outcome, op.Return, op.Output = check.Info, check.Open, event.Absent
		case 1:
			op.Outcome, op.Output = check.Fail, event.Absent
		}
		ops = append(ops, op)
	}
	slices.SortStableFunc(ops, func(a, b check.Operation) int { return int(a.Call - b.Call) })
	return ops
}
