package main

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// startChild starts a process in a group of its own, so that a Ctrl-C in the
// terminal doesn't reach it: the parent stops it when the recording is safe. If
// the parent dies first, however it does, the child gets SIGTERM.
func startChild(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	parent.once.Do(func() {
		parent.start = make(chan func())
		go keepThread(parent.start)
	})
	done := make(chan error)
	parent.start <- func() { done <- cmd.Start() }
	return <-done
}

// keepThread runs functions on one thread, for as long as the process lives: to
// the kernel the parent is the thread that started the child.
func keepThread(start <-chan func()) {
	runtime.LockOSThread()
	for f := range start {
		f()
	}
}

// parent is the thread that starts children.
var parent struct {
	once  sync.Once
	start chan func()
}
