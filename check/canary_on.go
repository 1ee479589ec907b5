//go:build canary_check

package check

const canaryNoBackwardZones = true
