//go:build canary_journal

package journal

import "hindcast.dev/journal/record"

// A canaryRecovery is where history ended before its last event.
type canaryRecovery struct {
	end   uint64
	seg   *mapped
	last  record.Stamp
	stamp []byte
}

func (rc *recovering) beforeLast(s *mapped, it item) {
	if it.padding || it.frame.Kind == 0 {
		return
	}
	end := it.off + int64(it.n)
	rc.canary = canaryRecovery{s.Base + uint64(it.off), s, rc.r.Last, s.b[end-record.StampSize : end]}
}

func (rc *recovering) dropLast() {
	if c := rc.canary; c.seg != nil && c.seg == rc.stampSeg {
		rc.stampEnd, rc.r.Last = c.end, c.last
		rc.unstamped = append(rc.unstamped, c.stamp)
		rc.r.Unstamped++
	}
}
