//go:build !unix

package main

import (
	"os/exec"
	"testing"
)

func endWithTest(*testing.T, *exec.Cmd) {}
