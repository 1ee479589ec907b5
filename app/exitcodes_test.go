package app_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"hindcast.dev/app"
	"hindcast.dev/doctest"
)

// The page of exit codes and the help topic hold the table of the code.
func TestTheDocumentedExitCodesAreThose(t *testing.T) {
	var table strings.Builder
	table.WriteString("| code | command | |\n|---|---|---|\n")
	for _, e := range app.ExitMeanings() {
		command := e.Command
		if command != "" {
			command = "`" + command + "`"
		}
		fmt.Fprintf(&table, "| %d | %s | %s |\n", e.Code, command, e.Meaning)
	}
	doctest.Section(t, "../docs/exit-codes.md", "<!-- exit codes", table.String(), *rewrite)
	if !slices.IsSortedFunc(app.ExitMeanings(), func(a, b app.ExitMeaning) int { return a.Code - b.Code }) {
		t.Error("the exit codes aren't in their order")
	}
}

// A program's topic tells of the commands that it has.
func TestHelpTellsTheExitCodesOfTheCommandsThereAre(t *testing.T) {
	help := func(root *cobra.Command) string {
		var out bytes.Buffer
		root.SetOut(&out)
		if code := app.Run(root, []string{"help", "exit-codes"}, &out); code != 0 {
			t.Fatalf("exit code %d: %s", code, out.String())
		}
		return out.String()
	}
	reads := &cobra.Command{Use: "hindcast"}
	reads.AddCommand(app.ReadCommands(nil)...)
	serves := help(app.Command(service()))
	if got := help(reads); !strings.Contains(got, "\n    4  watch     the command of --on-row failed") || strings.Contains(got, "serve ") || strings.Contains(got, "demo") {
		t.Errorf("of a program that reads:\n%s", got)
	}
	if !strings.Contains(serves, "\n   10  serve     sync failed") {
		t.Errorf("of a service's program:\n%s", serves)
	}
}
