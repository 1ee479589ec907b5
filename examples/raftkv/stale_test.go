//go:build !raft36

package raftkv

// staleReads is whether the library answers some reads with what is old: see
// docs/sim-raft.md.
const staleReads = false
