//go:build !canary_kv

package kv

// canaryLastComerWins is a planted fault, of builds with the tag canary_kv alone:
// a copy takes what comes last, whichever version that is.
const canaryLastComerWins = false
