package node

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/vfs"
)

// refusedStart is the error of a start that can't be.
func refusedStart(t *testing.T, o Options) error {
	t.Helper()
	n, err := Start(context.Background(), o)
	if err == nil {
		n.Stop(ended())
		t.Fatal("it started")
	}
	return err
}

func TestAnAddressThatCannotBeIsSaidBeforeTheJournalIsTouched(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	used := taken.Addr().String()
	for _, c := range []struct {
		option string
		set    func(*Options)
		say    string
	}{
		{"HTTP", func(o *Options) { o.HTTP = "127.0.0.1:99999" }, "HOST:PORT"},
		{"HTTP", func(o *Options) { o.HTTP = used }, "another process"},
		{"Admin", func(o *Options) { o.Admin = used }, "another process"},
		{"Admin", func(o *Options) { o.Admin = "localhost:nonsense" }, "HOST:PORT"},
		{"Listen", func(o *Options) { o.Listen = "bad" }, "HOST:PORT"},
		{"Listen", func(o *Options) { o.Listen = used }, "another process"},
		{"Listen", func(o *Options) { o.Listen = "192.0.2.1:0" }, "HOST:PORT"}, // not this machine's
		{"Peers", func(o *Options) { o.Peers = map[string]string{"n2": "bad"} }, "HOST:PORT"},
		{"Peers", func(o *Options) { o.Peers = map[string]string{"n2": "127.0.0.1:0"} }, "HOST:PORT"},
		{"Peers", func(o *Options) { o.Peers = map[string]string{"n2": "127.0.0.1:70000"} }, "HOST:PORT"},
		{"SegmentBytes", func(o *Options) { o.SegmentBytes = 3 }, "a multiple of 4096"},
		{"SegmentBytes", func(o *Options) { o.SegmentBytes = 12<<10 + 1 }, "a multiple of 4096"},
		{"SegmentBytes", func(o *Options) { o.SegmentBytes = journal.SegmentBytesMax + 4096 }, "a multiple of 4096"},
		{"RetainBytes", func(o *Options) { o.RetainBytes = -1 }, "below 0"},
		{"RetainAge", func(o *Options) { o.RetainAge = -1 }, "below 0"},
		{"Name", func(o *Options) { o.Name = strings.Repeat("x", 1000) }, "bytes"},
	} {
		o, mem := inMemory(options(t, "n1"))
		o.Handler = echoHandler
		c.set(&o)
		err := refusedStart(t, o)
		var option *OptionError
		if !errors.As(err, &option) || option.Option != c.option || !strings.Contains(option.Reason, c.say) || ExitCode(err) != ExitUsage {
			t.Errorf("%s: %v, exit code %d, want an *OptionError with %q", c.option, err, ExitCode(err), c.say)
		}
		if _, err := mem.Stat(o.Dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the start left %s behind: %v", c.option, o.Dir, err)
		}
	}
}

func TestStartsThatWereRefusedLeaveNoTrace(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o, mem := inMemory(options(t, "n1"))
	o.Handler = echoHandler
	for range 2 {
		bad := o
		bad.HTTP = taken.Addr().String()
		refusedStart(t, bad)
	}
	var log strings.Builder
	o.Log, o.Listen, o.HTTP, o.Admin = textLog(&log), "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	n := start(t, o)
	if n.Boot() != 1 {
		t.Errorf("the first good start is boot %d", n.Boot())
	}
	stop(t, n)
	if strings.Contains(log.String(), "refused") || strings.Contains(log.String(), "1970") {
		t.Errorf("the log says\n%s", log.String())
	}
	boots := 0
	for _, note := range noteLog(t, mem, n.dirs.journal) {
		if strings.HasPrefix(note, "boot") {
			boots++
		}
	}
	if boots != 1 {
		t.Errorf("%d boots are in the journal: %v", boots, noteLog(t, mem, n.dirs.journal))
	}
}

// A start that fails after its listeners were opened gives them back.
func TestAStartThatFailsLetsGoOfItsAddresses(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	o, mem := inMemory(options(t, "n1"))
	o.Admin = addr
	if err := mem.MkdirAll("data/journal"); err != nil {
		t.Fatal(err)
	}
	lock, err := mem.Lock("data/journal/lock")
	if err != nil {
		t.Fatal(err)
	}
	if err := refusedStart(t, o); !errors.Is(err, journal.ErrInUse) || ExitCode(err) != ExitUsage {
		t.Fatalf("a journal in use: %v, exit code %d", err, ExitCode(err))
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, o)
}

func TestADirectoryThatCannotBeUsedIsTheUsersMistake(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(t, "n1")
	o.Dir = file
	failing := func(kind vfs.OpKind, with error) Options {
		o, mem := inMemory(options(t, "n1"))
		o.FS = vfs.NewFaulty(mem, func(op vfs.Op) error {
			if op.Kind == kind {
				return with
			}
			return nil
		})
		return o
	}
	for name, o := range map[string]Options{
		"a file":              o,
		"not to be made":      failing(vfs.OpMkdirAll, syscall.EACCES),
		"not to be written":   failing(vfs.OpLock, syscall.EACCES),
		"mounted for reading": failing(vfs.OpLock, syscall.EROFS),
	} {
		err := refusedStart(t, o)
		var option *OptionError
		if !errors.As(err, &option) || option.Option != "Dir" || ExitCode(err) != ExitUsage {
			t.Errorf("%s: %v, exit code %d, want an *OptionError of Dir", name, err, ExitCode(err))
		}
	}
}

func TestWhatIsWrongWithAJournalHasItsExitCode(t *testing.T) {
	for _, c := range []struct {
		name   string
		file   string
		change func(b []byte) []byte
		option func(*Options)
		want   int
	}{
		{"of another node", "", nil, func(o *Options) { o.Name = "n2" }, ExitUsage},
		{"of an unknown version", "00000001.seg", func(b []byte) []byte { b[8] = 9; return b }, nil, ExitUsage},
		{"truncated", "00000001.seg", func(b []byte) []byte { return b[:100] }, nil, ExitCorrupt},
		{"foreign", "00000001.seg", func(b []byte) []byte { return []byte(strings.Repeat("%PDF-1.7", 100)) }, nil, ExitCorrupt},
		{"with a flipped bit", "00000001.seg", func(b []byte) []byte { b[30] ^= 1; return b }, nil, ExitCorrupt},
		{"with an empty meta", "meta", func([]byte) []byte { return nil }, nil, ExitCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, mem := inMemory(options(t, "n1"))
			stop(t, start(t, o))
			if c.change != nil {
				file := path.Join(o.Dir, "journal", c.file)
				b, err := vfs.ReadFile(mem, file, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				if err := vfs.WriteFile(mem, file, c.change(b)); err != nil {
					t.Fatal(err)
				}
			}
			if c.option != nil {
				c.option(&o)
			}
			err := refusedStart(t, o)
			if ExitCode(err) != c.want {
				t.Errorf("%v: exit code %d, want %d", err, ExitCode(err), c.want)
			}
		})
	}
}

func TestAnEventToUpgradeBeforeThatIsNotTheLastIsTheUsersMistake(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	n := start(t, o)
	total(t, n, Add{"a", 1})
	stop(t, n)
	o.UpgradeBefore = 1
	err := refusedStart(t, o)
	var option *OptionError
	if !errors.As(err, &option) || option.Option != "UpgradeBefore" || !errors.Is(err, journal.ErrHandled) || ExitCode(err) != ExitUsage {
		t.Fatalf("%v, exit code %d", err, ExitCode(err))
	}
}

func TestALineOfTheLoopHasNoTimeOf1970(t *testing.T) {
	var log strings.Builder
	n := &Node{logs: newAreaLogs(textLog(&log), "n1")}
	n.logEffect(&event.Effect{Name: "warn", Payload: []byte("refused")})
	n.logEffect(&event.Effect{Name: "warn", Payload: []byte("said"), Machine: "tally", Sent: hlc.FromTime(time.Unix(1, 0))})
	lines := strings.Split(log.String(), "\n")
	if strings.Contains(lines[0], "1970") || strings.Contains(lines[0], "machine=") || !strings.Contains(lines[1], "time=1970-01-01T00:00:01") {
		t.Errorf("the log says\n%s", log.String())
	}
}
