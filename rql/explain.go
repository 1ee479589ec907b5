package rql

import "hindcast.dev/event"

// explain gives the plan as rows of one column, line by line.
func explain(lines []string, emit func(*Row) error) (Summary, error) {
	var sum Summary
	for _, line := range lines {
		sum.Rows++
		if err := emit(&Row{Columns: []Field{{"plan", event.String(line)}}}); err != nil {
			return sum, err
		}
	}
	return sum, nil
}
