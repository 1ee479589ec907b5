//go:build !linux

package main

import "os/exec"

// startChild starts a process.
func startChild(cmd *exec.Cmd) error { return cmd.Start() }
