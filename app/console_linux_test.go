package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
	up    = "\x1b[A"
)

// historyFile writes a History of so many events.
func historyFile(t *testing.T, events int) string {
	t.Helper()
	var b strings.Builder
	for i := range events {
		fmt.Fprintf(&b, `{"node":"n%d","ts":"%d","set":{"kv.term":%d,"kv.role":"follower"}}`+"\n", 1+i%3, uint64(i+1)<<16, i/3)
	}
	name := filepath.Join(t.TempDir(), "h.jsonl")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestThePromptAsksWhatIsTyped(t *testing.T) {
	home := t.TempDir()
	env := []string{"XDG_CACHE_HOME=" + home, "HOME=" + home}
	file := historyFile(t, 9)
	p := onTTY(t, env, "hindcast", "query", file)
	p.expect(`h\.jsonl: 9 events of 3 nodes`)
	p.expect(`^rql> `)
	p.types("SHOW LOGS;\r")
	p.expect(`^kv +2 `)
	p.expect(`^rql> `)
	// A statement over several lines, with completion of a variable.
	p.types("SELECT kv.te\t\r")
	p.expect(`SELECT kv.term$`)
	p.expect(`^\.\.\.> `)
	p.types("FROM kv EMIT CUTS LIMIT 1;\r")
	p.expect(`n1=0`)
	p.expect(`^1 row from`)
	p.expect(`^rql> `)
	// A mistake is shown where it stands, and isn't the end.
	p.types("SELECT kv.trem FROM kv;\r")
	p.expect(`^error: 1:8: the History has no variable kv\.trem\n  SELECT kv\.trem FROM kv;\n {9}\^\ndid you mean kv\.term\?`)
	p.expect(`^rql> `)
	p.types("\\set outptu csv\r")
	p.expect(`no setting outptu; did you mean output\?`)
	p.types("\\set output csv\r")
	p.expect(`^rql> `)
	p.types("SELECT role FROM kv LIMIT 1;\r")
	p.expect(`^from,to,cuts,role,witness,event,incomplete$`)
	p.types("\\set output xml\r")
	p.expect(`want table, json, jsonl, csv`)
	p.types("\\set\r")
	p.expect(`^  output +csv$`)
	p.expect(`^  timeout +none$`)
	p.types("\\hlep\r")
	p.expect(`no command \\hlep; did you mean \\help\?`)
	p.types("help\r")
	p.expect(`\\read FILE +ask the statements of a file`)
	p.expect(`^rql> `)
	// Ctrl-C drops what is typed, Ctrl-D leaves.
	p.types("SELECT nonsense\r")
	p.expect(`^\.\.\.> `)
	p.types(ctrlC)
	p.expect(`^rql> `)
	p.types(ctrlD)
	if code := p.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	// The next session finds what was typed, on one line.
	p = onTTY(t, env, "hindcast", "query", file)
	p.expect(`^rql> `)
	p.types(strings.Repeat(up, 12)) // to the first
	p.expect(`SHOW LOGS;`)
	p.types("\r")
	p.expect(`^kv +2 `)
	p.types("quit\r")
	if code := p.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	kept, err := os.ReadFile(filepath.Join(home, "hindcast", "query-history"))
	if err != nil || !strings.Contains(string(kept), "SELECT kv.term FROM kv EMIT CUTS LIMIT 1;\n") {
		t.Errorf("%v, kept:\n%s", err, kept)
	}
}

// slowFile is a History of which slow takes minutes: every event changes what 40
// nodes are multiplied with. fast finds rows from the start.
func slowFile(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, `{"node":"n%02d","ts":"%d","set":{"kv.a":%d}}`+"\n", i%40, uint64(i+1)<<16, 2+i/40)
	}
	name := filepath.Join(t.TempDir(), "slow.jsonl")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const slow = "SELECT COUNT(kv.a) AS n FROM kv WHEN COUNT(kv.a) < 40 OR EXISTS a, b, c IN kv.a : (a * b * c = 7919) EMIT CUTS"

func TestCtrlCEndsASearchAndThePromptGoesOn(t *testing.T) {
	p := onTTY(t, []string{"XDG_CACHE_HOME=" + t.TempDir()}, "hindcast", "query", "-o", "jsonl", slowFile(t))
	p.expect(`^rql> `)
	p.types(slow + ";\r")
	p.expect(`"n":39`) // rows come before the end
	p.expect(`searching: \d+%, [0-9,]+ events, [0-9.]+( [kM])?/s, 39 rows, [0-9.]+/s`)
	p.types(ctrlC)
	p.expect(`^39 rows from [0-9,]+ cuts in`)
	p.expect(`^error: interrupted: the rows are partial, those found so far$`)
	p.expect(`^rql> `)
	p.types("SHOW NODES;\r")
	p.expect(`^\{"node":"n39"`)
	p.types(ctrlD)
	if code := p.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestCtrlCEndsAQueryWithTheRowsSoFarAndExitCode3(t *testing.T) {
	p := onTTY(t, nil, "hindcast", "query", "-o", "jsonl", slowFile(t), slow)
	p.expect(`"n":39`)
	p.types(ctrlC)
	p.expect(`^error: interrupted: the rows are partial, those found so far$`)
	if code := p.ended(); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
}

// A terminal that has no size, as a CI's often hasn't, is one all the same.
func TestATerminalWithoutASizeIsTakenForOne(t *testing.T) {
	p := onTTYOf(t, 0, 0, []string{"XDG_CACHE_HOME=" + t.TempDir()}, "hindcast", "query", historyFile(t, 9))
	p.expect(`^rql> `)
	p.types("SHOW LOGS;\r")
	p.expect(`^kv +2 `)
	p.types("quit\r")
	if code := p.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p = onTTYOf(t, 0, 0, nil, "hindcast", "debug", historyFile(t, 9))
	p.types("diagram\r")
	p.expect(`^time \(UTC\) {7}n1 {19}n2 {19}n3$`) // as wide as 80 columns allow
}
