//go:build !linux && !darwin

package vfs

import (
	"errors"
	"fmt"
	"os"
)

// errRecording is what every call returns that only a recorder needs.
var errRecording = fmt.Errorf("recording is supported on Linux, this system can only read: %w", errors.ErrUnsupported)

func preallocate(*os.File, int64) error   { return errRecording }
func mapFile(*os.File, int) (Map, error)  { return nil, errRecording }
func lockFile(*os.File) error             { return errRecording }
func unlockFile(*os.File) error           { return errRecording }
func freeBytes(dir string) (int64, error) { return 0, errRecording }

// syncDir has no call to make on Windows; NTFS journals names by itself.
func syncDir(string) error { return nil }
