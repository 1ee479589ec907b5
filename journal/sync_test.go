package journal

import (
	"testing"

	"hindcast.dev/vfs"
)

// A Stamp moves the position and then the sequence number; a sync may come
// between the two. The next sync has nothing to write, but somebody waits to hear
// of the event.
func TestASyncThatCameBetweenTheStepsOfAStampHidesNoEvent(t *testing.T) {
	j := mustOpen(t, options(vfs.NewMem()))
	defer mustClose(t, j)
	mustAppend(t, j, message(1))
	mustStamp(t, j)
	j.stamped.Store(0) // as it is between the two
	if got := mustSync(t, j); got != 0 {
		t.Fatalf("durable up to %d before the event's number is known", got)
	}
	j.stamped.Store(1)
	if got := mustSync(t, j); got != 1 || j.Durable() != 1 {
		t.Fatalf("durable up to %d, on record %d, want 1", got, j.Durable())
	}
}
