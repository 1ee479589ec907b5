package plan

import "slices"

// Functions are the names of all functions, sorted.
func Functions() []string { return keys(functions) }

// BuiltinVariables are the variables that every History has, log.name, sorted.
func BuiltinVariables() []string {
	var all []string
	for _, vars := range builtin {
		all = append(all, vars...)
	}
	slices.Sort(all)
	return all
}
