// Package checkpoint stores a node's checkpoints: files that are whole or not
// there.
package checkpoint
