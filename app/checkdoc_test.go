package app_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"hindcast.dev/app"
)

// checkDoc is the page whose examples are run: blocks "file NAME" are written, and
// in blocks "console" each line that begins with "$ hindcast" is run and must give
// what stands below it, and its exit code.
const checkDoc = "../docs/check.md"

func TestExamplesOfTheCheckPage(t *testing.T) {
	text, err := os.ReadFile(checkDoc)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	commands := 0
	for i, part := range strings.Split(string(text), "\n```") {
		if i%2 == 0 {
			continue
		}
		info, body, _ := strings.Cut(part, "\n")
		if name, ok := strings.CutPrefix(info, "file "); ok {
			if err := os.WriteFile(name, []byte(body+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if info != "console" {
			continue
		}
		for _, example := range strings.Split("\n"+body+"\n", "\n$ hindcast ")[1:] {
			commands++
			line, want, _ := strings.Cut(example, "\n")
			if got := checkOutput(t, strings.Fields(line)); strings.TrimRight(got, "\n") != strings.TrimRight(want, "\n") {
				t.Errorf("hindcast %s gives\n%s\nand not\n%s", line, got, want)
			}
		}
	}
	if commands < 6 {
		t.Errorf("%d commands on %s: want more", commands, filepath.Base(checkDoc))
	}
}

// checkOutput runs hindcast, and returns its standard output and its exit code.
func checkOutput(t *testing.T, args []string) string {
	t.Helper()
	var out, errs bytes.Buffer
	root := &cobra.Command{Use: "hindcast"}
	root.AddCommand(app.ReadCommands(nil)...)
	root.SetOut(&out)
	root.SetErr(&errs)
	code := app.Run(root, args, &errs)
	if errs.Len() > 0 {
		t.Logf("hindcast %s says: %s", strings.Join(args, " "), errs.String())
	}
	return fmt.Sprintf("%sexit %d\n", out.String(), code)
}
