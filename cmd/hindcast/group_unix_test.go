//go:build unix

package main

import (
	"os/exec"
	"syscall"
	"testing"
)

// endWithTest has what a command starts end with the test, also in the background.
func endWithTest(t *testing.T, cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	t.Cleanup(func() {
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // most have ended
		}
	})
}
