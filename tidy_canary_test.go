package hindcast_test

import (
	"slices"
	"strings"
	"testing"
)

func TestTidyCanary(t *testing.T) {
	for name, rule := range tidyRules {
		c, ok := tidyCanaries[name]
		if !ok {
			t.Errorf("rule %q has no canary", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			wantFindings(t, rule(writeTree(t, c.archive)), c.want...)
		})
	}
}

// A function of exactly the limit passes, one line more doesn't, and a test may
// be as long as it likes.
var seventyLines = strings.Repeat("\n", functionLinesMax-2)

// tidyCanaries are trees that break a rule, by the rule's name, and every
// finding they cause.
var tidyCanaries = map[string]struct {
	archive string
	want    []string
}{
	"formatted": {
		"-- a/a.go --\npackage a\n\nvar  x = 1\n-- a/b.go --\npackage a\n\nvar y = 1\n-- a/testdata/c.go --\npackage  a\n",
		[]string{"a/a.go:3: not formatted: run gofmt -w"},
	},
	"short functions": {
		"-- a/a.go --\npackage a\n\nfunc Fits() {" + seventyLines + "\n}\n\nfunc (t *T[K]) Long() {" + seventyLines + "\n\n}\n" +
			"-- a/a_test.go --\npackage a\n\nfunc testing() {" + seventyLines + "\n\n}\n",
		[]string{"a/a.go:74: T.Long has 71 lines, the most is 70: let the parent decide and the leaves compute"},
	},
	"documented": {
		"-- a/a.go --\npackage a\n\nfunc F() {}\n\n// G does.\nfunc G() {}\n\ntype T struct{}\n\nfunc (T) M() {}\n\nfunc (T) String() string { return \"\" }\n\n" +
			"type u struct{}\n\nfunc (u) M() {}\n\n// Group.\nconst (\n\tA = 1\n)\n\nvar (\n\tB = 1 // behind\n\tC = 1\n)\n" +
			"-- a/a_test.go --\npackage a\n\nfunc TestF() {}\n",
		[]string{
			"a/a.go:3: exported F has no doc comment",
			"a/a.go:8: exported T has no doc comment",
			"a/a.go:10: exported M has no doc comment",
			"a/a.go:25: exported C has no doc comment",
		},
	},
	"packages documented": {
		"-- a/a.go --\npackage a\n-- a/b.go --\npackage a\n-- b/a.go --\npackage b\n-- b/b.go --\n// Package b is.\npackage b\n",
		[]string{"a/a.go:1: package a has no package comment"},
	},
	"no sleep in tests": {
		"-- a/a_test.go --\npackage a\n\nfunc f() {\n\ttime.Sleep(1)\n}\n-- a/a.go --\npackage a\n\nfunc f() {\n\ttime.Sleep(1)\n}\n",
		[]string{"a/a_test.go:4: time.Sleep in a test: use virtual time, testing/synctest, or wait for the condition"},
	},
	"no banned text": {
		"-- a.md --\nTO" + "DO: more\nTO" + "DOS is fine, and ho" + "me/x/ too\nsee /wo" + "rk/x\n-- .ci/run --\nexport GO" + "PROXY=x\n-- b.bin --\n\x00TO" + "DO\n" +
			"-- .gitignore --\n/ignored\n*.prof\n-- ignored/a.md --\nTO" + "DO\n-- sub/b.prof --\nTO" + "DO\n-- sub/ignored/a.md --\nFIX" + "ME\n",
		[]string{
			`a.md:1: "TO` + `DO": unfinished work belongs into the issue tracker`,
			`a.md:3: "/wo` + `rk/": an absolute path of somebody's machine`,
			`.ci/run:1: "GO` + `PROXY": where modules come from is the machine's business`,
			`sub/ignored/a.md:1: "FIX` + `ME": unfinished work belongs into the issue tracker`,
		},
	},
	"licensed": {
		"-- a.md --\nApache License\n",
		[]string{"LICENSE: the Apache License 2.0 is missing"},
	},
}

func TestIgnoredKnowsEveryPatternInUse(t *testing.T) {
	tr, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(tr.texts, func(f textFile) bool { return f.path == ".gitignore" })
	if i < 0 {
		t.Fatal("no .gitignore in the tree")
	}
	for _, p := range strings.Fields(string(tr.texts[i].src)) {
		name := strings.NewReplacer("*", "x").Replace(strings.Trim(p, "/"))
		if strings.Contains(p, "**") || strings.HasPrefix(p, "!") || strings.HasPrefix(p, "#") || !ignored(p, name) {
			t.Errorf(".gitignore: pattern %s is of a form that ignored() doesn't know", p)
		}
	}
}
