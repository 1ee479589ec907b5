package app

import (
	"strings"
	"testing"

	"hindcast.dev/sim"
)

func TestAnInterruptedSearchDoesNotSayThatAllHolds(t *testing.T) {
	last := func(interrupted bool) string {
		var b strings.Builder
		writeTally(&b, "kv", &sim.Tally{Runs: 3, Counted: 3}, sim.Floors{}, interrupted)
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		return lines[len(lines)-1]
	}
	if got := last(true); got != "interrupted: no failure in 3 seeds, the others were not run" {
		t.Errorf("interrupted it ends with %q", got)
	}
	if got := last(false); got != "all holds" {
		t.Errorf("it ends with %q", got)
	}
}
