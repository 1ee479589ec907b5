package bench

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkDebuggerServer runs hindcast debug --web over the large History, in a
// process of its own, asks it what a page asks, and tells how much memory it took.
func BenchmarkDebuggerServer(b *testing.B) {
	dir := debugHistory(b)
	binary := filepath.Join(b.TempDir(), "hindcast")
	if out, err := exec.Command("go", "build", "-o", binary, "hindcast.dev/cmd/hindcast").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	s := startDebugServer(b, binary, dir)
	b.Logf("while it is indexed %d MiB", s.memory(b, "VmHWM"))
	n := 0
	for b.Loop() {
		at := fmt.Sprintf("n%02d:%d", n*37%debugNodes, 1+n*7919%(*debugEvents/debugNodes))
		for _, path := range []string{"state?at=" + at, "cone?at=" + at, "lanes?at=" + at} {
			s.get(b, path)
		}
		for axis, span := range s.spans(b) {
			width := (span[1] - span[0]) / []uint64{1, 10, 1000}[n%3]
			s.get(b, fmt.Sprintf("frame?axis=%s&from=%d&to=%d&columns=%d", axis, span[0], span[0]+width, debugPixel))
		}
		for _, line := range []string{"goto " + at, "diff", "effects", "diagram", "cause"} {
			s.command(b, line)
		}
		n++
	}
	b.ReportMetric(float64(s.memory(b, "VmHWM")), "MiB-most")
	b.ReportMetric(float64(s.memory(b, "VmRSS")), "MiB-now")
}

type debugServer struct {
	base, token string
	pid         int
}

// startDebugServer waits until everything is indexed.
func startDebugServer(b *testing.B, binary, dir string) *debugServer {
	c := exec.Command(binary, "debug", "--web", dir)
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	u, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		b.Fatal(err)
	}
	s := &debugServer{base: "http://" + u.Host + "/api/v1/", token: u.Query().Get("token"), pid: c.Process.Pid}
	begin := time.Now()
	for len(s.spans(b)) < 3 { // depth comes last
		time.Sleep(50 * time.Millisecond)
	}
	b.Logf("ready after %.1f s", time.Since(begin).Seconds())
	return s
}

func (s *debugServer) do(b *testing.B, method, path, body string) []byte {
	r, err := http.NewRequest(method, s.base+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Hindcast-Tab", "bench")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		b.Fatal(err)
	}
	if a.StatusCode != http.StatusOK && method == http.MethodGet {
		b.Fatalf("%s: %s: %s", path, a.Status, text)
	}
	return text
}

func (s *debugServer) get(b *testing.B, path string) []byte {
	return s.do(b, http.MethodGet, path, "")
}

// command carries one out: that an event has no cause is an answer too.
func (s *debugServer) command(b *testing.B, line string) {
	s.do(b, http.MethodPost, "command", fmt.Sprintf(`{"line":%q}`, line))
}

var spanText = regexp.MustCompile(`"(time|order|depth)":\{"from":(\d+),"to":(\d+)\}`)

// spans are those of the axes that can be asked for.
func (s *debugServer) spans(b *testing.B) map[string][2]uint64 {
	out := map[string][2]uint64{}
	for _, m := range spanText.FindAllStringSubmatch(string(s.get(b, "about")), -1) {
		from, _ := strconv.ParseUint(m[2], 10, 64)
		to, _ := strconv.ParseUint(m[3], 10, 64)
		out[m[1]] = [2]uint64{from, to}
	}
	return out
}

// memory is that of the process, in MiB.
func (s *debugServer) memory(b *testing.B, what string) (mib int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, what+":"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				b.Fatal(err)
			}
			return kib >> 10
		}
	}
	b.Fatalf("no %s in\n%s", what, text)
	return 0
}
