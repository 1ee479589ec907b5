package check

// PorcupineVerdict judges by porcupine alone, for comparison.
func PorcupineVerdict(ops []Operation, m *Model) Verdict {
	all := Holds
	for _, obj := range byKey(ops) {
		s, entries := m.compile(obj.ops)
		if v, _ := runPorcupine(s, entries, newBudget(&Options{})); v != Holds {
			all = v
		}
	}
	return all
}

// SearchVerdict judges by the search alone, without the ways around it.
func SearchVerdict(ops []Operation, m *Model) Verdict {
	all := Holds
	for _, obj := range byKey(ops) {
		s, entries := m.compile(obj.ops)
		if r := search(s, entries, newBudget(&Options{})); r.verdict != Holds {
			all = r.verdict
		}
	}
	return all
}
