//go:build canary_stepper

package stepper

const canaryTakesDuplicates = true
