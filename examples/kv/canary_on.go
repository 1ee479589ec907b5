//go:build canary_kv

package kv

const canaryLastComerWins = true
