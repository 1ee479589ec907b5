//go:build unix

package app_test

import (
	"bufio"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"hindcast.dev/app"
)

// A talk is a debugger that is told commands one by one.
type talk struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	says chan string // line by line, closed at its end
}

// debugging runs hindcast debug, which has no machines.
func debugging(t *testing.T, args ...string) *talk {
	t.Helper()
	d := &talk{t: t, cmd: exec.Command("hindcast", append([]string{"debug", "--script", "-", "--keep-going"}, args...)...), says: make(chan string, 10_000)}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd.Stderr = d.cmd.Stdout
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.says)
		for s := bufio.NewScanner(out); s.Scan(); {
			d.says <- s.Text()
		}
		_ = d.cmd.Wait() // how it ended shows in ProcessState
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // it may have ended
		for range d.says {
		}
	})
	return d
}

func (d *talk) tell(line string) {
	d.t.Helper()
	if _, err := io.WriteString(d.in, line+"\n"); err != nil {
		d.t.Fatal(err)
	}
}

// hear waits for a line.
func (d *talk) hear(pattern string) []string {
	d.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.After(30 * time.Second)
	var said []string
	for {
		select {
		case line, ok := <-d.says:
			if m := re.FindStringSubmatch(line); m != nil {
				return m
			}
			if said = append(said, line); !ok {
				d.t.Fatalf("it ended without a line like %q, saying\n%s", pattern, strings.Join(said, "\n"))
			}
		case <-late:
			d.t.Fatalf("no line like %q, but\n%s", pattern, strings.Join(said, "\n"))
		}
	}
}

// until tells a command again and again until a line of what it says is heard.
func (d *talk) until(command, pattern string) {
	d.t.Helper()
	re := regexp.MustCompile(pattern)
	for begin := time.Now(); ; {
		d.tell(command)
		d.tell("help quit")
		var said []string
		for {
			line := d.hear(`.*`)[0]
			if re.MatchString(line) {
				d.hear(`end the session`)
				return
			}
			if said = append(said, line); strings.Contains(line, "end the session") {
				break
			}
		}
		if time.Since(begin) > 30*time.Second {
			d.t.Fatalf("%s never says anything like %q, at last\n%s", command, pattern, strings.Join(said, "\n"))
		}
	}
}

// A node that is killed is unknown from there on, and is followed again when it has
// come back; one that isn't there, and what is no node at all, are unknown
// throughout. The others go on.
func TestDebugFollowsNodesThatRunComeAndGo(t *testing.T) {
	dir := t.TempDir()
	n1, n2 := serving(t, dir+"/1"), serving(t, dir+"/2", "--node", "n2")
	n1.add(2)
	host := func(url string) string { return strings.TrimPrefix(url, "http://") }
	d := debugging(t, "--hold", "300ms", strings.Join([]string{host(n1.admin), host(n2.admin), "127.0.0.1:1", host(n1.http)}, ","))
	d.until("live", `^  n1  is heard`)
	d.until("live", `^  127\.0\.0\.1:1  isn't heard: .*refused`)
	d.until("live", `^  `+regexp.QuoteMeta(host(n1.http))+`  isn't heard: `)
	d.tell("goto END")
	d.until("state n1 frail.count", `^n1  frail.count = 2`)
	n1.add(1)
	d.until("next n1", `^n1:\d+ .* request Add`) // what came since it was opened
	d.until("state n1 frail.count", `^n1  frail.count = 3`)

	d.tell("follow")
	d.tell("break change n2 frail.count")
	d.tell("continue")
	d.hear(`^> continue`)
	n2.add(1)
	d.hear(`^breakpoint 1: change n2 frail.count`)
	d.hear(`^n2:\d+ .* request Add`)
	d.until("state n2 frail.count", `^n2  frail.count = 1`)

	if err := n1.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	n1.ended()
	d.until("live", `^  n1  isn't heard: `)
	d.until("nodes", `^n1 .* unknown .* the end \(`)
	d.tell("continue") // no longer following: to the end
	n2.add(1)
	d.tell("goto END")
	d.until("follow", `^n2:`)
	d.until("state n2 frail.count", `^n2  frail.count = 2`)

	again := serving(t, dir+"/1", "--admin", host(n1.admin))
	d.until("live", `^  n1  is heard`)
	again.add(1)
	d.until("follow", `^n1:`)
	d.until("state n1 frail.count", `^n1  frail.count = 4`)
	d.until("nodes", `^n1 .* unknown \S+ … 2`)
	d.tell("quit")
	for range d.says {
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestDebugSaysWhatIsWrongWithNodesThatCantBeFollowed(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"127.0.0.1:1"}, "none of the nodes could be followed: 127.0.0.1:1: "},
		{[]string{"nowhere:port:1"}, "want HOST:PORT"},
		{[]string{"--from", "tomorrow", "127.0.0.1:1"}, "--from tomorrow: want NOW"},
		{[]string{"--hold", "0s", "127.0.0.1:1"}, "--hold 0s: want a time above 0"},
		{[]string{"--keep", "1MiB", t.TempDir()}, "--keep is of use with live nodes only"},
	} {
		code, _, stderr := run(t, service(), "", append([]string{"debug"}, c.args...)...)
		if code != app.ExitUsage || !strings.Contains(stderr, c.want) {
			t.Errorf("debug %q: exit code %d: %s; want %q", c.args, code, stderr, c.want)
		}
	}
}
