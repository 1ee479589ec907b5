package app

import (
	"strings"
	"testing"

	"hindcast.dev/rql"
)

// A command that doesn't end is ended with the watch: what it left undone is told
// in a line, and not as so many failures of the command.
func TestRowsThatWentWithoutTheirCommandAreCounted(t *testing.T) {
	var stderr strings.Builder
	a := newActions("exec sleep 600", &lockedWriter{w: &stderr})
	a.grace = 0
	const rows = actionsMax + 5
	for range rows {
		a.row(&rql.Row{})
	}
	a.end()
	if a.failures() != rows || !strings.Contains(stderr.String(), "9 rows went without the command") || strings.Contains(stderr.String(), "exec sleep") {
		t.Errorf("%d rows without success, want %d; said\n%s", a.failures(), rows, stderr.String())
	}
}
