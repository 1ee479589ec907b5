//go:build !canary_checkpoint

package stepper

// canaryForgetsTimers is a planted fault, of builds with the tag
// canary_checkpoint alone: what is restored has no timers.
const canaryForgetsTimers = false
