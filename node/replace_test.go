package node

import (
	"errors"
	"path"
	"strings"
	"testing"

	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/vfs"
)

// TestAReplacedNodeIsHeardByItsPeers wipes a node's disk. Started as if nothing had
// happened, its messages are taken for those of its first boot; replaced, they are
// heard.
func TestAReplacedNodeIsHeardByItsPeers(t *testing.T) {
	var lost Options
	nodes := cluster(t, []string{"n1", "n2"}, func(o *Options) {
		if o.Name == "n1" {
			*o, _ = inMemory(*o)
			lost = *o
		}
	})
	n1, n2 := nodes["n1"], nodes["n2"]
	for range 3 {
		total(t, n1, Pass{To: "n2", Key: "before", By: 1})
	}
	eventually(t, n2, "messages", func() bool { return peek(t, n2, "before") == 3 })
	stop(t, n1)

	lost.FS = vfs.NewMem()
	n1 = start(t, lost)
	if n1.Boot() != 1 {
		t.Fatalf("a node on an empty disk begins with boot %d", n1.Boot())
	}
	linked(t, n1)
	known := n2.Status().Loop.Duplicates
	total(t, n1, Pass{To: "n2", Key: "unheard", By: 1})
	eventually(t, n2, "the duplicate", func() bool { return n2.Status().Loop.Duplicates > known })
	if got := peek(t, n2, "unheard"); got != 0 {
		t.Fatalf("%d of the wiped node's messages were heard: this test proves nothing", got)
	}
	stop(t, n1)

	lost.FS, lost.ReplaceDisk = vfs.NewMem(), true
	n1 = start(t, lost)
	first := n1.Boot()
	if first < 1<<30 {
		t.Fatalf("the replaced node begins with boot %d", first)
	}
	linked(t, n1)
	total(t, n1, Pass{To: "n2", Key: "heard", By: 1})
	eventually(t, n2, "the replaced node's message", func() bool { return peek(t, n2, "heard") == 1 })
	stop(t, n1)

	lost.ReplaceDisk = false
	if n1 = start(t, lost); n1.Boot() != first+1 {
		t.Errorf("boot %d after boot %d", n1.Boot(), first)
	}
}

func TestADiskThatIsNotNewIsNoReplacement(t *testing.T) {
	o, mem := inMemory(options(t, "n1"))
	stop(t, start(t, o))
	wantNotReplaced := func(what string, is error) {
		t.Helper()
		n, err := Start(within(t, patience), o)
		if err == nil {
			stop(t, n)
		}
		var option *OptionError
		if !errors.As(err, &option) || option.Option != "ReplaceDisk" || ExitCode(err) != ExitUsage || is != nil && !errors.Is(err, is) {
			t.Errorf("%s: %v", what, err)
		}
	}
	o.ReplaceDisk = true
	wantNotReplaced("a journal", journal.ErrNotNew)
	o.FS = vfs.NewMem()
	if err := checkpoint.Write(o.FS, path.Join(o.Dir, "checkpoints"), checkpoint.Header{Node: "n1", Seq: 1}, nil); err != nil {
		t.Fatal(err)
	}
	wantNotReplaced("a checkpoint", nil)
	o.FS, o.ReplaceDisk = mem, false
	stop(t, start(t, o))
}

func TestADiskThatCanNotBeReadNamesTheRemedy(t *testing.T) {
	o, mem := inMemory(options(t, "n1"))
	n := start(t, o)
	total(t, n, Add{"a", 1})
	stop(t, n)
	if err := mem.Damage(vfs.Damage{Kind: vfs.ReadError, File: "data/journal/00000001.seg", Sector: 8}); err != nil {
		t.Fatal(err)
	}
	n, err := Start(within(t, patience), o)
	if err == nil {
		stop(t, n)
	}
	if !errors.Is(err, vfs.ErrMedium) || ExitCode(err) != ExitCorrupt || !strings.Contains(err.Error(), "--replace-disk") {
		t.Errorf("%v, exit code %d", err, ExitCode(err))
	}
}
