package hindcast_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadmeExampleCompiles builds and tests the README's service as a user would:
// in a module of its own, with the README's replace line.
func TestReadmeExampleCompiles(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "```go\n")
	program, _, end := strings.Cut(rest, "```\n")
	if !ok || !end || !strings.Contains(program, "app.Main(") {
		t.Fatal("README.md has no Go example with app.Main")
	}
	for i, block := range strings.Split(string(readme), "```") {
		if i%2 == 0 && i > 0 && !strings.HasPrefix(block, "\n") {
			t.Fatalf("README.md: a closing fence isn't on a line of its own before %.40q", block)
		}
		if i%2 == 1 && !strings.HasSuffix(block, "\n") {
			t.Fatalf("README.md: a closing fence isn't on a line of its own after %.40q", block[max(0, len(block)-40):])
		}
	}
	if strings.Count(string(readme), "```")%2 != 0 {
		t.Fatal("README.md: a code block never ends")
	}
	if !strings.Contains(string(readme), "replace hindcast.dev => ") {
		t.Fatal("README.md doesn't name the replace line")
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	// The requirements of this module, so that nothing is looked up.
	own := strings.Replace(string(mod), "module hindcast.dev", "module example.test/counter", 1) +
		"\nrequire hindcast.dev v0.0.0\nreplace hindcast.dev => " + here + "\n"
	sum, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ = strings.Cut(rest, "```go\n")
	test, _, _ := strings.Cut(rest, "```\n")
	if !strings.Contains(test, "sim.Test(") {
		t.Fatal("README.md has no Go example with sim.Test")
	}
	dir := t.TempDir()
	for name, b := range map[string][]byte{"go.mod": []byte(own), "go.sum": sum, "main.go": []byte(program), "main_test.go": []byte(test)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"build", "-o", filepath.Join(dir, "counter"), "."}, {"test", ".", "-hindcast.runs=3"}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", args, err, out)
		}
	}
}
