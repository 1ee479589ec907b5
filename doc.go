// Package hindcast is the root of a flight recorder and time-travelling
// debugger for distributed systems. It holds no code: its tests state and
// enforce the laws of the tree, which package may import which
// (layers_test.go) and how a file must look (tidy_test.go). Start reading at
// README.md, then ARCHITECTURE.md.
package hindcast
