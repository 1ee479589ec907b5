//go:build linux || darwin

package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"hindcast.dev/vfs"
)

// childEnv makes the test binary a writer of the journal in the directory it names.
const childEnv = "HINDCAST_JOURNAL_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := writeForever(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func processOptions(dir string) Options {
	return Options{FS: vfs.OS(), Dir: dir, Node: "n1", SegmentBytes: 64 << 10, RetainBytes: 1 << 20, HostBoot: "same"}
}

// writeForever appends and stamps until it is killed, and says what is stamped.
func writeForever(dir string) error {
	j, err := Open(processOptions(dir))
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(os.Stdout, 16)
	for i := int(j.LastStamp().Seq) + 1; ; i++ {
		for err = j.Append(message(i)); err == ErrFull; err = j.Append(message(i)) {
			if err := j.Maintain(); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if _, ok, err := j.Next(); !ok {
			return fmt.Errorf("no frame: %w", err)
		}
		if err := j.Stamp(stampAfter(j.LastStamp())); err != nil {
			return err
		}
		if i%64 == 0 {
			j.SetRetainFrom(uint64(i))
			fmt.Fprintln(out, i)
			out.Flush()
		}
	}
}

// Bytes that another process writes through its mapping are invisible to the race
// detector: here a reader follows a writer, never sees half an event, and after
// SIGKILL nothing that was stamped is gone.
func TestAReaderFollowsAnotherProcessUntilItIsKilled(t *testing.T) {
	dir := filepath.ToSlash(t.TempDir()) + "/journal"
	acknowledged := 0
	for round := range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(pipe)
		target := acknowledged + 3000
		var r *Reader
		for acknowledged < target && lines.Scan() {
			n, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
			if err != nil {
				t.Fatalf("the writer says %q", lines.Text())
			}
			acknowledged = n
			r = follow(t, dir, r)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it had said before it died
			if n, err := strconv.Atoi(strings.TrimSpace(lines.Text())); err == nil {
				acknowledged = n
			}
		}
		cmd.Wait() // killed
		if r != nil {
			r.Close()
		}
		if acknowledged < target {
			t.Fatalf("the writer ended by itself after %d events", acknowledged)
		}
		j := mustOpen(t, processOptions(dir))
		rec := j.Recovery()
		if rec.Ending != Killed || int(rec.Last.Seq) < acknowledged || rec.Lost != nil || j.Boot() != uint64(2*round+2) {
			t.Fatalf("round %d: %d acknowledged, %+v", round, acknowledged, rec)
		}
		stampAll(t, j)
		acknowledged = int(j.LastStamp().Seq)
		mustClose(t, j)
		if rep, err := Verify(vfs.OS(), dir, nil); err != nil || len(rep.Problems) > 0 {
			t.Fatalf("round %d: %v, %v", round, rep.Problems, err)
		}
	}
}

// follow reads what there is, from where r stands.
func follow(t *testing.T, dir string, r *Reader) *Reader {
	t.Helper()
	if r == nil {
		var err error
		if r, err = OpenReader(vfs.OS(), dir, 0); err != nil {
			t.Fatal(err)
		}
	}
	for {
		e, err := r.Next()
		var gone *RetainedError
		switch {
		case err == io.EOF:
			return r
		case errors.As(err, &gone):
			if err := r.SeekSeq(0); err != nil {
				t.Fatal(err)
			}
		case err != nil:
			t.Fatal(err)
		case string(e.Payload) != fmt.Sprintf("payload %d", e.Stamp.Seq):
			t.Fatalf("event %d is %q", e.Stamp.Seq, e.Payload)
		}
	}
}
