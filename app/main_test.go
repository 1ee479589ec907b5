package app_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"hindcast.dev/app"
	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine"
	"hindcast.dev/node"
	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts give into them")

// service is the Counter of the example.
func service() app.Service {
	return app.Service{Name: "counter", HTTP: handler, Machines: machine.Registry{"counter": counter}}
}

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		// hindcast reads, and has no machines; counter is the example's program.
		"hindcast": func() {
			root := &cobra.Command{Use: "hindcast", Args: app.Subcommand, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
			root.AddCommand(app.ReadCommands(nil)...)
			root.AddCommand(bare())
			os.Exit(app.Run(root, os.Args[1:], os.Stderr))
		},
		"counter": func() { app.Main(service()) },
		"frail":   func() { app.Main(frailService()) },
		"depot":   func() { app.Main(depotService()) },
		// tally is a program that can be simulated.
		"tally": func() { app.Main(tallyService()) },
	})
}

// bare is a command that leaves its arguments and flags to cobra.
func bare() *cobra.Command {
	c := &cobra.Command{Use: "bare", Args: cobra.NoArgs, Hidden: true,
		RunE: func(*cobra.Command, []string) error { return errors.New("of its own") }}
	c.Flags().Bool("must", false, "")
	if err := c.MarkFlagRequired("must"); err != nil {
		panic(err)
	}
	return c
}

// TestScripts runs testdata/script/*.txtar. Besides the commands of testscript
// they have:
//
//	exits CODE PROGRAM ARGS…   run a program, which must end with this exit code
//	mkjournal DIR EVENTS       make the journal of node n1 with so many events
//	mkrecording DIR            record three requests to service counter, build b1
//	mkdepot DIR ITEMS          record a service with a plain map of so many entries, by this build
//	damage FILE OFFSET         turn the bits of a byte round
//	truncate FILE SIZE         keep the first bytes of a file
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *rewrite,
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "mkjournal": mkjournal, "mkrecording": mkrecording, "mkdepot": mkdepot, "damage": damage,
			"truncate": truncate,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

func mkjournal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mkjournal DIR EVENTS")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(writeJournal(ts.MkAbs(args[0]), n))
}

// writeJournal makes a journal of 64 KiB segments with n events, a second apart.
func writeJournal(dir string, n int) error {
	var nonce uint32
	j, err := journal.Open(journal.Options{FS: vfs.OS(), Dir: dir, Node: "n1", SegmentBytes: 64 << 10,
		Nonce: func() uint32 { nonce += 0x9e3779b9; return nonce }})
	if err != nil {
		return err
	}
	begin, err := hlc.Parse("2026-01-01T00:00:00Z")
	if err != nil {
		return err
	}
	for i := range n {
		f := record.Frame{Kind: event.Message, Machine: "inv", From: "web", Name: "Put", Version: 1,
			ID: event.MessageID{Node: "n2", Boot: 1, Seq: uint64(i + 1)}, Payload: fmt.Appendf(nil, "payload %d", i+1)}
		if err := j.Append(&f); err != nil {
			return err
		}
		if _, ok, err := j.Next(); err != nil || !ok {
			return fmt.Errorf("event %d: not there: %w", i+1, err)
		}
		ts := begin + hlc.Timestamp(uint64(i)*hlc.TicksPerSecond)<<hlc.LogicalBits
		if err := j.Stamp(record.Stamp{Time: ts, Physical: ts, Seq: uint64(i + 1), Chain: uint64(i)}); err != nil {
			return err
		}
		if i%50 == 0 {
			if _, err := j.Sync(); err != nil {
				return err
			}
			if err := j.Maintain(); err != nil {
				return err
			}
		}
	}
	return j.Close()
}

func mkrecording(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: mkrecording DIR")
	}
	ts.Check(record3(ts.MkAbs(args[0])))
}

// record3 runs a node, and copies what it recorded into dir.
func record3(dir string) (err error) {
	ctx, data := context.Background(), dir+".n1"
	n, err := node.Start(ctx, node.Options{Name: "n1", Service: "counter", Dir: data, Registry: service().Machines, Build: "b1",
		SegmentBytes: 64 << 10, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	for range 3 {
		if _, err := n.Client().Do(ctx, "counter", Add{"/x"}); err != nil {
			return errors.Join(err, n.Stop(ctx))
		}
	}
	if err := n.Stop(ctx); err != nil {
		return err
	}
	rec, err := recording.Create(vfs.OS(), dir, recording.Manifest{Service: "counter"})
	if err != nil {
		return err
	}
	if err := rec.CopyNode(ctx, recording.Node{Name: "n1", Build: "b1"}, vfs.OS(), data, recording.CopyOptions{}); err != nil {
		return err
	}
	return rec.Save()
}

func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: damage FILE OFFSET")
	}
	off, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	defer f.Close()
	b := []byte{0}
	_, err = f.ReadAt(b, off)
	ts.Check(err)
	_, err = f.WriteAt([]byte{^b[0]}, off)
	ts.Check(err)
}

func truncate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: truncate FILE SIZE")
	}
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), size))
}
