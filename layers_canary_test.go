package hindcast_test

import "testing"

func TestLayersCanary(t *testing.T) {
	l, err := parseLaws()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range layerCanaries {
		t.Run(name, func(t *testing.T) {
			wantFindings(t, l.check(writeTree(t, c.archive)), c.want...)
		})
	}
}

// layerCanaries are sources that break the law, and every finding they cause.
var layerCanaries = map[string]struct {
	archive string
	want    []string
}{
	"upward": {
		"-- journal/a.go --\npackage journal\n\nimport _ \"hindcast.dev/loop\"\n",
		[]string{"journal/a.go:3: journal (level 2) imports loop (level 4): a package imports only lower levels"},
	},
	"downward is fine": {"-- loop/a.go --\npackage loop\n\nimport _ \"hindcast.dev/journal/record\"\n", nil},
	"same level": {
		"-- loop/a.go --\npackage loop\n\nimport (\n\t_ \"hindcast.dev/event\"\n\t_ \"hindcast.dev/replay\"\n)\n",
		[]string{"loop/a.go:5: loop imports replay of the same level 4: a package imports only lower levels"},
	},
	"family to the left is fine": {"-- journal/a.go --\npackage journal\n\nimport _ \"hindcast.dev/journal/record\"\n", nil},
	"family to the right": {
		"-- journal/record/a.go --\npackage record\n\nimport _ \"hindcast.dev/journal\"\n",
		[]string{"journal/record/a.go:3: journal/record imports journal: within the family journal imports go from right to left in importLaw"},
	},
	"family over levels": {
		"-- machine/a.go --\npackage machine\n\nimport _ \"hindcast.dev/machine/state\"\n",
		[]string{"machine/a.go:3: machine (level 1) imports machine/state (level 2): a package imports only lower levels"},
	},
	"siblings of a star": {
		"-- examples/kv/a.go --\npackage kv\n\nimport _ \"hindcast.dev/examples/bank\"\n",
		[]string{"examples/kv/a.go:3: examples/kv imports examples/bank of the same level 9: a package imports only lower levels"},
	},
	"unlisted": {
		"-- util/a.go --\npackage util\n-- util/b.go --\npackage util\n-- app/a.go --\npackage app\n\nimport _ \"hindcast.dev/util\"\n",
		[]string{
			"util/a.go:1: package util has no level: give it a place in importLaw (layers_test.go), or put the code where it belongs",
			"app/a.go:3: app imports util, which has no level in importLaw",
		},
	},
	"hidden by a build tag": {
		"-- vfs/a_windows.go --\n//go:build windows\n\npackage vfs\n\nimport _ \"hindcast.dev/app\"\n",
		[]string{"vfs/a_windows.go:5: vfs (level 1) imports app (level 8): a package imports only lower levels"},
	},
	"module not allowed": {
		"-- hlc/a.go --\npackage hlc\n\nimport _ \"github.com/fxamacker/cbor/v2\"\n",
		[]string{"hlc/a.go:3: hlc imports github.com/fxamacker/cbor/v2: moduleLaw (layers_test.go) doesn't allow it there"},
	},
	"module with an allowed beginning": {
		"-- vfs/a.go --\npackage vfs\n\nimport _ \"golang.org/x/system\"\n",
		[]string{"vfs/a.go:3: vfs imports golang.org/x/system: moduleLaw (layers_test.go) doesn't allow it there"},
	},
	"module below an allowed one is fine": {"-- vfs/a.go --\npackage vfs\n\nimport _ \"golang.org/x/sys/unix\"\n", nil},
	"test modules in code": {
		"-- hlc/a.go --\npackage hlc\n\nimport _ \"pgregory.net/rapid\"\n-- hlc/a_test.go --\npackage hlc\n\nimport _ \"pgregory.net/rapid\"\n",
		[]string{"hlc/a.go:3: hlc imports pgregory.net/rapid: moduleLaw (layers_test.go) doesn't allow it there"},
	},
	"tests keep to their level": {
		"-- loop/a_test.go --\npackage loop_test\n\nimport (\n\t_ \"hindcast.dev/replay\"\n\t_ \"hindcast.dev/node\"\n\t_ \"os\"\n)\n",
		[]string{"loop/a_test.go:5: loop (level 4) imports node (level 5): a package imports only lower levels"},
	},
	"impure": {
		"-- hlc/a.go --\npackage hlc\n\nimport (\n\t\"net/http\"\n\tclock \"time\"\n)\n\nfunc f() {\n\t_ = clock.Now()\n\tgo f()\n\t_ = http.StatusOK\n\t_ = clock.Second\n}\n",
		[]string{
			"hlc/a.go:4: hlc is pure: it may not import net/http",
			"hlc/a.go:9: hlc is pure: it may not use time.Now",
			"hlc/a.go:10: hlc is pure: it may not start a goroutine",
		},
	},
	"impure tests are fine": {"-- hlc/a_test.go --\npackage hlc\n\nimport (\n\t_ \"os\"\n\t\"time\"\n)\n\nvar _ = time.Now()\n", nil},
	"one impure file": {
		"-- history/merge.go --\npackage history\n\nimport _ \"sync\"\n-- history/disk.go --\npackage history\n\nimport _ \"sync\"\n",
		[]string{"history/merge.go:3: history/merge.go is pure: it may not import sync"},
	},
	"pure file gone": {
		"-- history/disk.go --\npackage history\n\ntype (\n\tx int\n)\n\ntype merger int\n\nfunc Merge() {}\n",
		[]string{
			"history/disk.go:7: merger belongs into history/merge.go, which purityLaw names and which is missing",
			"history/disk.go:9: Merge belongs into history/merge.go, which purityLaw names and which is missing",
		},
	},
	"a loop that takes time itself": {
		"-- loop/a.go --\npackage loop\n\nimport (\n\t_ \"sync\"\n\t\"time\"\n)\n\nfunc f() {\n\tgo f()\n\ttime.Sleep(1)\n}\n",
		[]string{
			"loop/a.go:9: loop is driven: it may not start a goroutine",
			"loop/a.go:10: loop is driven: it may not use time.Sleep",
		},
	},
	"unsafe": {
		"-- hlc/a.go --\npackage hlc\n\nimport _ \"unsafe\"\n-- node/a.go --\npackage node\n\nimport _ \"unsafe\"\n-- vfs/a.go --\npackage vfs\n\nimport _ \"unsafe\"\n",
		[]string{
			"hlc/a.go:3: hlc imports unsafe: only metrics, vfs, machine/state may",
			"node/a.go:3: node imports unsafe: only metrics, vfs, machine/state may",
		},
	},
	"cgo, dot, root": {
		"-- a.go --\npackage hindcast\n\nimport _ \"os\"\n-- node/a.go --\npackage node\n\nimport (\n\t_ \"C\"\n\t. \"fmt\"\n\t_ \"hindcast.dev\"\n)\n",
		[]string{
			"a.go:3: the root package holds documentation and tests only: it imports nothing",
			"node/a.go:4: cgo: the tree builds on a machine with only Go",
			"node/a.go:5: dot import of fmt: a reader must see where a name comes from",
			"node/a.go:6: node imports the root package, which holds no code",
		},
	},
	"another module is not bound": {
		"-- bench/go.mod --\nmodule bench\n-- bench/a.go --\npackage bench\n\nimport _ \"go.etcd.io/bbolt\"\n-- hlc/testdata/a.go --\npackage x\n\nimport _ \"os\"\n", nil,
	},
}
