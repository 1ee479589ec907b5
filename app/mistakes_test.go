package app_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindcast.dev/app"
	"hindcast.dev/node"
)

func TestAMistakeOnServesCommandLineNamesItsFlagAndEndsWith2(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := filepath.Join(t.TempDir(), "n1")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{
		{"--http", "127.0.0.1:99999"},
		{"--http", taken.Addr().String()},
		{"--admin", "127.0.0.1:x"},
		{"--admin", "0.0.0.0:0"},
		{"--listen", "bad"},
		{"--peers", "n2=bad"},
		{"--peers", "n2"},
		{"--segment-bytes", "3"},
		{"--retain-bytes", "-1"},
		{"--retain-age", "-1s"},
		{"--clock-offset", "1s"},
		{"--token", "short"},
		{"--durability", "never"},
		{"--upgrade-before", "7"},
		{"--node", "a/b"},
		{"--dir", file},
	} {
		args := append([]string{"serve", "--dir", dir}, c...)
		code, _, stderr := run(t, service(), "", args...)
		if code != app.ExitUsage || !strings.Contains(stderr, c[0]) {
			t.Errorf("%s: exit code %d\n%s", strings.Join(c, " "), code, stderr)
		}
	}
}

func TestServeWarnsOfANodeThatNobodyReaches(t *testing.T) {
	verifyNoLeak(t)
	const noClients, noPeers = "neither --http nor --admin", "--peers without --listen"
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{noClients}},
		{[]string{"--http", ":0", "--peers", "n1=127.0.0.1:1"}, nil}, // no peer but itself
		{[]string{"--http", ":0", "--peers", "n2=127.0.0.1:1"}, []string{noPeers}},
		{[]string{"--admin", ":0", "--listen", ":0", "--peers", "n2=127.0.0.1:1"}, nil},
	} {
		sv := serve(t, service(), append([]string{"--dir", filepath.Join(t.TempDir(), "n1")}, c.args...)...)
		if code := sv.end(); code != 0 {
			t.Errorf("%v: exit code %d", c.args, code)
		}
		log := sv.log.all.String()
		if got := strings.Count(log, "level=WARN"); got != len(c.want) {
			t.Errorf("%v: %d warnings in\n%s", c.args, got, log)
		}
		wantText(t, fmt.Sprint(c.args), log, c.want...)
	}
}

func TestServesHelpListsTheExitCodes(t *testing.T) {
	out, _ := mustRun(t, service(), "", "serve", "--help")
	for _, e := range node.ExitCodes() {
		wantText(t, "serve --help", out, fmt.Sprintf("%2d  %s: ", e.Code, e.Name))
	}
}

func TestServeReplacesADiskOnlyOnce(t *testing.T) {
	verifyNoLeak(t)
	dir := filepath.Join(t.TempDir(), "n1")
	if code := serve(t, service(), "--dir", dir, "--replace-disk", "--http", ":0").end(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	code, _, stderr := run(t, service(), "", "serve", "--dir", dir, "--replace-disk")
	if code != app.ExitUsage || !strings.Contains(stderr, "--replace-disk") || !strings.Contains(stderr, "not a new one") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}
