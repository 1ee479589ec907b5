//go:build !canary_check

package check

// canaryNoBackwardZones is a planted fault, of builds with the tag canary_check
// alone: a write that nobody read may then come between a write and its reads.
const canaryNoBackwardZones = false
