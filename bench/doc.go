// Package bench measures Hindcast against what its targets name. It is a module
// of its own, so that the peers it measures against stay out of Hindcast's; it
// holds benchmarks and nothing else. RESULTS.md tells what was measured.
package bench
