//go:build !linux

package node

func mountSmallDisk() {}
