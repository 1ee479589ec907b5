//go:build !canary_loop

package loop

// canaryReleasesUnsynced is a planted fault, of builds with the tag canary_loop alone:
// effects are performed before what caused them is durable.
const canaryReleasesUnsynced = false
