//go:build !canary_stepper

package stepper

// canaryTakesDuplicates is a planted fault, of builds with the tag canary_stepper alone:
// messages that come twice, or out of order, are taken again.
const canaryTakesDuplicates = false
