//go:build linux || darwin

package vfs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// helperEnv makes the test binary another process: what to do, then a file.
const helperEnv = "VFS_TEST_HELPER"

func TestMain(m *testing.M) {
	helpers := map[string]func(name string) error{"lock": holdLock, "words": shareWords}
	if what, name, isHelper := strings.Cut(os.Getenv(helperEnv), " "); isHelper {
		if err := helpers[what](name); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// holdLock takes the lock, says so, and holds it until it is killed or its input
// ends.
func holdLock(name string) error {
	if _, err := OS().Lock(name); err != nil {
		return err
	}
	fmt.Println("locked")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// startHelper starts the other process and returns its first line of output.
func startHelper(t *testing.T, what, name string) (*exec.Cmd, string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+what+" "+name)
	stdin, err := cmd.StdinPipe()
	ok(t, err)
	stdout, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	t.Cleanup(func() { stdin.Close() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	ok(t, err)
	return cmd, line
}

const (
	sharedAdds = 200_000
	pattern    = 0x5555_aaaa_0f0f_c3c3 // no two of its halves, or its inverse's, are alike
)

// shareWords counts in one word of a mapping and flips all bits of another.
func shareWords(name string) error {
	f, err := OS().OpenWrite(name)
	if err != nil {
		return err
	}
	m, err := f.Map(4096)
	if err != nil {
		return err
	}
	fmt.Println("counting")
	return countAndFlip(m.Bytes())
}

func countAndFlip(b []byte) error {
	value := uint64(pattern)
	for range sharedAdds {
		AddUint64(b, 0, 1)
		for {
			old := LoadUint64(b, 8)
			if CompareAndSwapUint64(b, 8, old, old+1) {
				break
			}
		}
		if got := LoadUint64(b, 16); got != pattern && got != ^uint64(pattern) {
			return fmt.Errorf("torn read: %#x", got)
		}
		value = ^value
		StoreUint64(b, 16, value)
	}
	return nil
}

func TestWordsSharedByProcessesAreNeitherLostNorTorn(t *testing.T) {
	name := filepath.ToSlash(t.TempDir()) + "/words"
	f, err := OS().Create(name)
	ok(t, err)
	ok(t, f.Preallocate(4096))
	m, err := f.Map(4096)
	ok(t, err)
	ok(t, f.Close())
	StoreUint64(m.Bytes(), 16, pattern)
	other, line := startHelper(t, "words", name)
	if line != "counting\n" {
		t.Fatal(line)
	}
	ok(t, countAndFlip(m.Bytes()))
	ok(t, other.Wait())
	for _, off := range []int{0, 8} {
		if got := LoadUint64(m.Bytes(), off); got != 2*sharedAdds {
			t.Errorf("word at %d counted %d of %d", off, got, 2*sharedAdds)
		}
	}
	ok(t, m.Close())
}

func TestLockExcludesOtherProcessesUntilTheyDie(t *testing.T) {
	name := filepath.ToSlash(t.TempDir()) + "/lock"
	holder, line := startHelper(t, "lock", name)
	if line != "locked\n" {
		t.Fatal(line)
	}
	_, err := OS().Lock(name)
	wantErr(t, err, ErrLocked)
	ok(t, holder.Process.Kill())
	if err := holder.Wait(); err == nil {
		t.Error("the holder ended by itself")
	}
	lock, err := OS().Lock(name)
	ok(t, err)
	second, line := startHelper(t, "lock", name)
	if want := "lock " + name + ": locked by another process: stop the process that uses this directory first\n"; line != want {
		t.Errorf("second holder says %q, want %q", line, want)
	}
	wantErr(t, second.Wait(), nil)
	ok(t, lock.Close())
}

func TestPreallocateByWritingKeepsWhatIsThere(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	ok(t, err)
	defer f.Close()
	ok(t, f.Truncate(5000))
	_, err = f.WriteAt([]byte("text"), 3000)
	ok(t, err)
	const size = 1<<20 + 10_000
	ok(t, preallocateByWriting(f, size))
	ok(t, preallocateByWriting(f, 100))
	got, err := os.ReadFile(f.Name())
	ok(t, err)
	want := make([]byte, size)
	copy(want[3000:], "text")
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes, text at %d", len(got), bytes.Index(got, []byte("text")))
	}
	info, err := f.Stat()
	ok(t, err)
	if blocks := info.Sys().(*syscall.Stat_t).Blocks; blocks*512 < size {
		t.Skipf("the file system below %s compresses or delays: %d blocks reserved", f.Name(), blocks)
	}
}

func TestSpaceErrors(t *testing.T) {
	for _, errno := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		err := spaceError(&os.PathError{Op: "write", Path: "f", Err: errno})
		if !errors.Is(err, ErrNoSpace) || !errors.Is(err, errno) {
			t.Errorf("%v", err)
		}
	}
	if err := spaceError(syscall.EIO); errors.Is(err, ErrNoSpace) || !errors.Is(err, syscall.EIO) {
		t.Errorf("EIO became %v", err)
	}
	ok(t, spaceError(nil))
}

func TestWhatIsNoFileIsRefusedAndNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	ok(t, unix.Mkfifo(dir+"/pipe", 0o600))
	ok(t, os.Symlink("/dev/zero", dir+"/zero"))
	for _, name := range []string{dir + "/pipe", dir + "/zero"} {
		if _, err := OS().Open(name); err == nil || !strings.Contains(err.Error(), "no regular file") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := ReadFile(OS(), name, 100); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OS().Open(dir + "/none"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none") {
		t.Errorf("%v", err)
	}
}
