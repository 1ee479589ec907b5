//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// ownProcessGroup keeps a Ctrl-C in the terminal from reaching the child: the
// parent stops it when the recording is safe.
func ownProcessGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
