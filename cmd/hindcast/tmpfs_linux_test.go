package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ownDisk, in the environment of the child that runs the test once more, says
// that it may mount a disk which nobody else sees.
const ownDisk = "HINDCAST_TEST_OWN_DISK"

// TestAFullDiskStopsNoReader has a real node run out of disk: its writes are
// refused over HTTP with what is wrong and what to do, its reads go on, and when
// there is space it goes on as before. Where it writes through mappings, a disk
// that is full in the wrong moment would kill it by SIGBUS.
func TestAFullDiskStopsNoReader(t *testing.T) {
	if os.Getenv(ownDisk) != "" {
		runOutOfDisk(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAFullDiskStopsNoReader$", "-test.v")
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, selfEnv+"=") }), ownDisk+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM), bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("this machine lets nobody mount a disk of its own: %v\n%s", err, out)
	case err != nil || !bytes.Contains(out, []byte("recovered")):
		t.Fatalf("the child: %v\n%s", err, out)
	}
}

// mountSmall gives this process and its children a disk of some bytes.
func mountSmall(t *testing.T, dir, size string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// Private first, or the machine would see the mount too.
	err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err == nil {
		err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size)
	}
	if err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func runOutOfDisk(t *testing.T) {
	c, err := newCluster(t.TempDir(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := c.members[0]
	mountSmall(t, m.dir, "64m")
	begin := func() {
		t.Helper()
		if err := c.start(m); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.kill(m) })
	}
	begin()
	mustBeReady(t, c, m)
	if status, body := store(t, m, "PUT", "first", "small"); status != 200 {
		t.Fatalf("the first write: %d %v", status, body)
	}
	ballast := filepath.Join(m.dir, "ballast")
	fillDisk(t, ballast)
	wanted := writeUntilFull(t, m, 32<<10)
	wanted = append(wanted, writeUntilFull(t, m, 1)...) // what was left of the last segment
	// A read's event is shorter than a write's: a few may still fit.
	for reads := 0; ; reads++ {
		status, body := store(t, m, "GET", "first", "")
		if status != 200 || body["value"] != "small" || reads == 100 {
			t.Fatalf("a read on the full disk: %d %v after %d others", status, body, reads)
		}
		if body["consistency"] == "degraded" {
			break
		}
	}
	if err := c.call(t.Context(), "GET", m, "/v1/ready", nil); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("readiness on the full disk: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	mustBeReady(t, c, m)
	if status, body := store(t, m, "PUT", "first", "again"); status != 200 || body["consistency"] != "fresh" {
		t.Errorf("a write with space again: %d %v", status, body)
	}

	// Killed on a full disk, and started on one.
	fillDisk(t, ballast)
	wanted = append(wanted, writeUntilFull(t, m, 32<<10)...)
	if err := c.kill(m); err != nil {
		t.Fatal(err)
	}
	begin()
	saysFull(t, c, m)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := c.kill(m); err != nil {
		t.Fatal(err)
	}
	begin()
	mustBeReady(t, c, m)
	for _, key := range append(wanted, "first") {
		if status, _ := store(t, m, "GET", key, ""); status != 200 {
			t.Errorf("%s was acknowledged and is gone: %d", key, status)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := c.stop(ctx); err != nil {
		t.Error(err)
	}
	if !t.Failed() {
		fmt.Println("recovered")
	}
}

// saysFull waits until a node that was started on a full disk says so: that it
// isn't ready, or, if there is no room for its boot at all, at its end.
func saysFull(t *testing.T, c *cluster, m *member) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		err := c.call(ctx, "GET", m, "/v1/ready", nil)
		if err != nil && strings.Contains(err.Error(), "disk full") {
			return
		}
		select {
		case <-m.done:
			if text := tail(m.logName(c)); !strings.Contains(text, "no space") || m.cmd.ProcessState.ExitCode() <= 0 {
				t.Errorf("the start on a full disk ended with %s; its log:\n%s", m.cmd.ProcessState, text)
			}
			return
		case <-ctx.Done():
			t.Fatalf("a node on a full disk doesn't say so: %v; its log:\n%s", err, tail(m.logName(c)))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func mustBeReady(t *testing.T, c *cluster, m *member) {
	t.Helper()
	if err := c.ready(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// store asks a node's store.
func store(t *testing.T, m *member, method, key, value string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+m.http+"/kv/"+key, strings.NewReader(value))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, key, err)
	}
	defer resp.Body.Close()
	body := map[string]any{}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatalf("%s %s: %v", method, key, err)
	}
	return resp.StatusCode, body
}

// writeUntilFull writes values of a size until the node refuses, which it has to do with 507, an
// error and a remedy, and returns the keys that it acknowledged.
func writeUntilFull(t *testing.T, m *member, size int) (acked []string) {
	t.Helper()
	value := strings.Repeat("x", size)
	for i := range 10000 {
		key := fmt.Sprintf("%d-%d", time.Now().UnixNano(), i)
		status, body := store(t, m, "PUT", key, value)
		switch status {
		case http.StatusOK:
			acked = append(acked, key)
		case http.StatusTooManyRequests: // the next segment isn't ready yet
		case http.StatusInsufficientStorage:
			text, _ := body["error"].(string)
			remedy, _ := body["remedy"].(string)
			if !strings.Contains(text, "disk is full") || !strings.Contains(remedy, "free space") {
				t.Errorf("507 says %v", body)
			}
			return acked
		default:
			t.Fatalf("a write on a disk that fills: %d %v", status, body)
		}
	}
	t.Fatal("the disk doesn't fill")
	return nil
}

// fillDisk writes until there is no room.
func fillDisk(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4096} {
		for b := make([]byte, size); ; {
			if _, err := f.Write(b); errors.Is(err, syscall.ENOSPC) {
				break
			} else if err != nil && err != io.ErrShortWrite {
				t.Fatal(err)
			}
		}
	}
}
