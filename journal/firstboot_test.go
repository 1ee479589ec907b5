package journal

import (
	"errors"
	"testing"

	"hindcast.dev/faultpoint"
	"hindcast.dev/vfs"
)

// A new journal begins where it is told to, wherever its first start was cut, and
// no other does.
func TestANewJournalBeginsWithTheFirstBootThatIsGiven(t *testing.T) {
	const first = 1_795_000_000
	for _, point := range []string{faultpoint.JournalMetaCreated, faultpoint.JournalBootHalf, faultpoint.JournalBootRaised, faultpoint.JournalSegmentNamed, ""} {
		inner := vfs.NewMem()
		var left *vfs.Mem
		o := options(inner)
		o.FirstBoot = first
		o.Faults = faultpoint.New(func(name string) faultpoint.Action {
			if name == point {
				left = inner.Crash(picker(1))
				return faultpoint.Die
			}
			return faultpoint.Pass
		})
		j, err := Open(o)
		if point == "" {
			if err != nil || j.Boot() != first || j.Recovery().Boot != 0 || j.Recovery().Ending != NoBoot {
				t.Fatalf("boot %d, %+v, %v", j.Boot(), j.Recovery(), err)
			}
			fill(t, j, 1, 3)
			mustClose(t, j)
			left = inner.Restart()
		} else if !errors.Is(err, faultpoint.ErrDied) {
			t.Fatalf("%s: %v", point, err)
		}
		// Whoever starts it again needn't know how far it came.
		j = mustOpen(t, options(left.Restart()))
		if j.Boot() < first || j.Boot() > first+1 {
			t.Errorf("%s: boot %d after it", point, j.Boot())
		}
		mustClose(t, j)
		// But for the very beginning, it is no new one any more.
		o = options(left)
		o.FirstBoot = first + 5
		switch j, err := Open(o); {
		case point == faultpoint.JournalMetaCreated:
			if err != nil || j.Boot() != first+5 {
				t.Errorf("%s: %v", point, err)
			}
		case !errors.Is(err, ErrNotNew):
			t.Errorf("%s: %v", point, err)
		}
	}
}
