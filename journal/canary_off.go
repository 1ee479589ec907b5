//go:build !canary_journal

package journal

// A canaryRecovery is a planted fault, of builds with the tag canary_journal
// alone: recovery takes the last event that was stamped for one that wasn't.
type canaryRecovery struct{}

func (rc *recovering) beforeLast(*mapped, item) {}

func (rc *recovering) dropLast() { _ = rc.canary }
