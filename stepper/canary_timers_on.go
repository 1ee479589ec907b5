//go:build canary_checkpoint

package stepper

const canaryForgetsTimers = true
