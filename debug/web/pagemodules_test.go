package web

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the page's modules compute is tested where they run: in JavaScript.
func TestThePagesModules(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node here: the tests in pagetest aren't run")
	}
	files, err := filepath.Glob("pagetest/*.test.js")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in pagetest: %v", err)
	}
	out, err := exec.CommandContext(t.Context(), node, append([]string{"--test"}, files...)...).CombinedOutput()
	if err != nil {
		t.Errorf("node --test %s: %v\n%s", strings.Join(files, " "), err, out)
	}
	if !regexp.MustCompile(`(?m)^# pass [1-9]|^ℹ pass [1-9]`).Match(out) {
		t.Errorf("no test has run:\n%s", out)
	}
}

// No answer is unreadable: the page draws every kind of part that there is.
func TestThePageHasARendererForEveryKindOfPart(t *testing.T) {
	b, err := os.ReadFile("page/panels/parts.js")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "const renderers = {")
	table, _, _ := strings.Cut(rest, "}")
	if !ok || table == "" {
		t.Fatal("parts.js has no table of renderers")
	}
	sources, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := 0
	for _, name := range sources {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`kind\(\) string\s*\{ return "(\w+)" \}`).FindAllStringSubmatch(string(text), -1) {
			kinds++
			if !regexp.MustCompile(`\b` + m[1] + `: [A-Z]`).MatchString(table) {
				t.Errorf("parts.js has no renderer for %s, of %s", m[1], name)
			}
		}
	}
	if kinds < 15 {
		t.Errorf("found %d kinds of parts: how do they look now?", kinds)
	}
}

// What was recorded is anybody's: the page makes no markup or code of texts. Its
// policy would refuse most of it; this finds it before.
func TestThePageMakesNoMarkupOfTexts(t *testing.T) {
	refused := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|srcdoc|\beval\(|new Function|[^-]\bstyle="`)
	looked := 0
	err := filepath.WalkDir("page", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".js" || strings.Contains(path, "vendor") {
			return err
		}
		looked++
		b, err := os.ReadFile(path)
		if m := refused.Find(b); m != nil {
			t.Errorf("%s has %q", path, m)
		}
		return err
	})
	if err != nil || looked < 20 {
		t.Errorf("looked at %d modules: %v", looked, err)
	}
}
