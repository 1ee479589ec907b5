package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestReadmeCommandsPrintWhatItShows(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the commands make a failure small, which takes seconds; go test without -short runs them")
	}
	runPage(t, "../../README.md", 4, func(s string) string { return s })
}

// The page of the store starts nodes; here they have free ports.
func TestCommandsOfTheStoresPagePrintWhatItShows(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: three processes live for seconds; go test without -short runs them")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skipf("the commands need curl: %v", err)
	}
	ports := map[string]string{}
	for _, p := range freePorts(t, 9) {
		ports[":"+string("789"[len(ports)/3])+"00"+string("123"[len(ports)%3])] = ":" + p
	}
	runPage(t, "../../examples/kv/README.md", 6, func(s string) string {
		return regexp.MustCompile(`:[789]00[123]\b`).ReplaceAllStringFunc(s, func(p string) string { return ports[p] })
	})
}

func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // when all are chosen
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	return ports
}

// runPage runs a page's blocks of sh, at least so many, one after the other in one
// directory, and compares the block that follows, both as edit gives them: its
// lines must come in this order, … is anything.
func runPage(t *testing.T, page string, least int, edit func(string) string) {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skipf("the commands need a shell: %v", err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	bin, dir := t.TempDir(), t.TempDir()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "hindcast")); err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split("\n"+string(text), "\n```")
	ran := 0
	for i := 1; i < len(blocks); i += 2 {
		script, isShell := strings.CutPrefix(blocks[i], "sh\n")
		if !isShell {
			continue
		}
		ran++
		cmd := exec.Command(sh, "-c", edit(script))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
		endWithTest(t, cmd)
		out, err := cmd.CombinedOutput()
		if strings.Contains(string(out), "error: ") {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		if i+2 >= len(blocks) || !strings.HasPrefix(blocks[i+2], "\n") {
			continue
		}
		rest := string(out)
		for want := range strings.Lines(edit(blocks[i+2][1:])) {
			want = strings.TrimRight(want, "\n")
			at := regexp.MustCompile(`(?m)^` + strings.ReplaceAll(regexp.QuoteMeta(want), "…", `.*`)).FindStringIndex(rest)
			if at == nil {
				t.Fatalf("%s: no line %q, after those before it, in\n%s", script, want, out)
			}
			rest = rest[at[1]:]
		}
	}
	if ran < least {
		t.Errorf("%d blocks of sh ran", ran)
	}
}
