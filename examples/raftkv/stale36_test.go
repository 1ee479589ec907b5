//go:build raft36

package raftkv

const staleReads = true
