// Package live follows nodes that run: each tells, over GET /v1/history, what it
// handles and what every event changed, from a shadow replica of its own, so that
// who asks needs none of its code. The frames are here, for both sides; the
// asker's connections, which are resumed where they broke; and the Merger, which
// makes one walk of all nodes, in the order of their Timestamps, as far as every
// node has promised that nothing earlier will come.
package live
