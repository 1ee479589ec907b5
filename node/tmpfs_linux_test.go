package node

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"hindcast.dev/vfs"
)

// smallDisk, in the environment of the child, is where it mounts its disk.
const smallDisk = "HINDCAST_TEST_SMALL_DISK"

// cannotMount is the child's exit code if it may not mount.
const cannotMount = 77

// mountSmallDisk gives the child a disk of 2 MiB that nobody else sees.
func mountSmallDisk() {
	dir := os.Getenv(smallDisk)
	if dir == "" {
		return
	}
	// Private first, or the machine would see the mount too.
	err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err == nil {
		err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m")
	}
	if err != nil {
		fmt.Println("mount:", err)
		os.Exit(cannotMount)
	}
}

// TestAFullDiskForReal runs itself in a child that has a small tmpfs of its own,
// for there a write into a mapping that has no room kills the process by SIGBUS.
func TestAFullDiskForReal(t *testing.T) {
	if dir := os.Getenv(smallDisk); dir != "" {
		fullDisk(t, dir)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAFullDiskForReal$", "-test.v")
	cmd.Env = append(os.Environ(), smallDisk+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil && bytes.Contains(out, []byte("recovered")):
	case errors.Is(err, syscall.EPERM), errors.As(err, &exit) && exit.ExitCode() == cannotMount:
		t.Skipf("this machine lets nobody mount a disk of its own: %v %s", err, out)
	default:
		t.Fatalf("the child: %v\n%s", err, out)
	}
}

func fullDisk(t *testing.T, dir string) {
	o := options(t, "n1")
	o.Dir = dir + "/n1"
	n := start(t, o)
	total(t, n, Add{"a", 1})
	ballast := dir + "/ballast"
	fillFile(t, ballast)
	large := Large{make([]byte, 4000)}
	var err error
	for range 1000 {
		if _, err = n.Client().Do(within(t, patience), "tally", large); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrDiskFull) {
		t.Fatalf("a write to the full disk: %v", err)
	}
	if got := peek(t, n, "a"); got != 1 {
		t.Fatalf("a = %d on the full disk", got)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for n.disk.fullReason() != "" {
		<-n.room.wait()
	}
	if got := total(t, n, Add{"a", 1}); got != 2 {
		t.Fatalf("a = %d, want 2", got)
	}
	stop(t, n)
	notes := strings.Join(noteLog(t, vfs.OS(), n.dirs.journal), "|")
	if !strings.Contains(notes, "disk full") || !strings.Contains(notes, "disk ok") {
		t.Fatalf("notes %q", notes)
	}
	n = start(t, o)
	if got := peek(t, n, "a"); got != 2 {
		t.Fatalf("a = %d after a restart", got)
	}
	t.Log("recovered")
}

// fillFile writes until there is no room.
func fillFile(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for b := make([]byte, 4096); ; {
		if _, err := f.Write(b); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
