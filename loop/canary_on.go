//go:build canary_loop

package loop

const canaryReleasesUnsynced = true
