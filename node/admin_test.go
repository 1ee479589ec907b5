package node

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

// echoHandler adds one and tells the sum.
func echoHandler(c *Client) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply, err := c.Do(r.Context(), "tally", Add{"http", 1})
		if err != nil {
			WriteError(w, err)
			return
		}
		fmt.Fprintf(w, `{"n":%d}`, reply.Body.(Total).N)
	})
}

func TestTheAdminAPI(t *testing.T) {
	nodes := cluster(t, []string{"n1", "n2"}, func(o *Options) { o.Admin = "127.0.0.1:0" })
	n := nodes["n1"]
	url := "http://" + n.AdminAddr() + "/v1/"
	total(t, n, Add{"a", 1})
	for _, c := range []struct {
		method, path, body string
		status             int
		key                string
	}{
		{"GET", "health", "", 200, "healthy"},
		{"GET", "ready", "", 200, "ready"},
		{"GET", "status", "", 200, "seq"},
		{"GET", "recording", "", 200, "boot"},
		{"GET", "journal", "", 200, "files"},
		{"POST", "checkpoint", "", 200, "seq"},
		{"GET", "checkpoints", "", 200, "files"},
		{"POST", "log", `{"area":"loop","level":"debug"}`, 200, "loop"},
		{"POST", "log", `{"area":"nowhere","level":"debug"}`, 400, "error"},
		{"POST", "log", `{"area":"loop","level":"loud"}`, 400, "error"},
		{"POST", "log", `{"aria":"loop"}`, 400, "error"},
		{"POST", "log", `{"area":`, 400, "error"},
		{"POST", "log", `{"area":"` + strings.Repeat("x", adminBodyMax) + `"}`, 413, "error"},
		{"POST", "fault", `{"kind":"delay","peer":"n2","delay":"1ms"}`, 200, "peers"},
		{"POST", "fault", `{"kind":"heal","peer":"n2"}`, 200, "peers"},
		{"POST", "fault", `{"kind":"cut","peer":"n9"}`, 400, "error"},
		{"POST", "promise", `{"time":"` + n.reading().Wall.String() + `"}`, 200, "promised"},
		{"POST", "promise", `{"time":"2099-01-01T00:00:00Z"}`, 400, "error"},
		{"POST", "bundle", `{"since":"1m"}`, 200, "dir"},
		{"POST", "bundle", "", 200, "dir"},
		{"GET", "nonsense", "", 404, "remedy"},
		{"GET", "journal/lock", "", 404, "remedy"},
		{"GET", "journal/%2e%2e%2fmeta", "", 404, "remedy"},
		{"GET", "checkpoints/nothing.ckpt", "", 404, "remedy"},
		{"DELETE", "journal", "", 404, "remedy"},
	} {
		status, body, _ := ask(t, c.method, url+c.path, c.body)
		if status != c.status || body[c.key] == nil {
			t.Errorf("%s %s %.60s: status %d, body %v; want %d with %q", c.method, c.path, c.body, status, body, c.status, c.key)
		}
	}
	status, body, _ := ask(t, "POST", url+"stop", "")
	if status != 200 || body["stopping"] != true {
		t.Errorf("stop: %d, %v", status, body)
	}
	if err := n.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestReadinessSaysWhyNot(t *testing.T) {
	o := options(t, "n1")
	o.Admin = "127.0.0.1:0"
	n := start(t, o)
	n.pending.drain()
	status, body, _ := ask(t, "GET", "http://"+n.AdminAddr()+"/v1/ready", "")
	if status != 503 || !strings.Contains(fmt.Sprint(body["error"]), "stopping") {
		t.Fatalf("status %d, %v", status, body)
	}
	if status, _, _ := ask(t, "GET", "http://"+n.AdminAddr()+"/v1/health", ""); status != 200 {
		t.Fatalf("health %d while draining", status)
	}
}

func TestAPullOverTheAdminAPIGetsEverything(t *testing.T) {
	o := options(t, "n1")
	o.Admin = "127.0.0.1:0"
	n := start(t, o)
	for range 10 {
		total(t, n, Large{make([]byte, 10000)}) // several segments
	}
	if _, err := n.Checkpoint(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	stamped := n.j.Stamped()
	r, err := recording.Pull(within(t, patience), vfs.OS(), t.TempDir()+"/pull", []string{n.AdminAddr()}, recording.PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m := r.Manifest()
	if m.Service != "test" || len(m.Nodes) != 1 || m.Nodes[0].Missing != "" || m.Nodes[0].Versions["tally"] != 1 {
		t.Fatalf("manifest %+v", m)
	}
	if last := lastOf(t, vfs.OS(), r.JournalDir("n1")); last < stamped {
		t.Fatalf("the pull ends with event %d, %d were there", last, stamped)
	}
	files, err := recording.ListCheckpoints(vfs.OS(), r.CheckpointsDir("n1"))
	if err != nil || len(files) != 1 {
		t.Fatalf("checkpoints %v, %v", files, err)
	}
}

func TestDownloadsHaveRanges(t *testing.T) {
	o := options(t, "n1")
	o.Admin = "127.0.0.1:0"
	n := start(t, o)
	url := "http://" + n.AdminAddr() + "/v1/journal/00000001.seg"
	status, body, header := ask(t, "GET", url, "", "Range", "bytes=0-7")
	if status != http.StatusPartialContent || body["raw"] != "HCASTSEG" || !strings.HasSuffix(header.Get("Content-Range"), "/65536") {
		t.Fatalf("status %d, body %v, range %q", status, body, header.Get("Content-Range"))
	}
}

func TestTokensHaveScopes(t *testing.T) {
	const all, status, reader = "all-all-all-all-all", "status-status-status", "reader-reader-reader"
	o := options(t, "n1")
	o.Admin = "127.0.0.1:0"
	for _, text := range []string{all, status + "=status", reader + "=status,journal:read"} {
		token, err := ParseToken(text)
		if err != nil {
			t.Fatal(err)
		}
		o.Tokens = append(o.Tokens, token)
	}
	n := start(t, o)
	for _, c := range []struct {
		method, path, token string
		want                int
	}{
		{"GET", "status", "", 401},
		{"GET", "status", "wrong-wrong-wrong", 401},
		{"GET", "nonsense", "", 401},
		{"GET", "status", status, 200},
		{"GET", "journal", status, 403},
		{"GET", "journal/meta", status, 403},
		{"POST", "checkpoint", status, 403},
		{"GET", "journal", reader, 200},
		{"GET", "journal/meta", reader, 200},
		{"POST", "stop", reader, 403},
		{"POST", "checkpoint", all, 200},
	} {
		header := []string{}
		if c.token != "" {
			header = []string{"Authorization", "Bearer " + c.token}
		}
		got, _, _ := ask(t, c.method, "http://"+n.AdminAddr()+"/v1/"+c.path, "", header...)
		if got != c.want {
			t.Errorf("%s %s with %q: status %d, want %d", c.method, c.path, c.token, got, c.want)
		}
	}
	for _, bad := range []string{"short", "long-enough-for-this=root"} {
		if _, err := ParseToken(bad); err == nil {
			t.Errorf("token %q was taken", bad)
		}
	}
}

func TestWebPagesOfOthersGetNothing(t *testing.T) {
	o := options(t, "n1")
	o.Admin = "127.0.0.1:0"
	n := start(t, o)
	url := "http://" + n.AdminAddr() + "/v1/status"
	for _, c := range []struct {
		header []string
		want   int
	}{
		{nil, 200},
		{[]string{"Host", "localhost:1"}, 200},
		{[]string{"Host", "evil.example"}, 403}, // a name made to resolve to 127.0.0.1
		{[]string{"Origin", "https://evil.example"}, 403},
		{[]string{"Origin", "null"}, 403},
		{[]string{"Origin", "http://" + n.AdminAddr()}, 200},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"Sec-Fetch-Site", "same-origin"}, 200},
	} {
		if got, _, _ := ask(t, "GET", url, "", c.header...); got != c.want {
			t.Errorf("%v: status %d, want %d", c.header, got, c.want)
		}
	}
}

func TestLogLevelsAreSwitchedByArea(t *testing.T) {
	var out strings.Builder
	o := options(t, "n1")
	o.Log = textLog(&out)
	l := newAreaLogs(o.Log, "n1")
	l.in(AreaLoop).Debug("hidden")
	if err := l.set(AreaLoop, "debug"); err != nil {
		t.Fatal(err)
	}
	l.in(AreaLoop).Debug("shown")
	l.in(AreaDisk).Debug("hidden")
	if err := l.set("all", "error"); err != nil {
		t.Fatal(err)
	}
	l.in(AreaLoop).Warn("hidden")
	if got := out.String(); strings.Contains(got, "hidden") || !strings.Contains(got, "shown") || !strings.Contains(got, "area=loop") {
		t.Fatalf("log %q", got)
	}
	if got := l.current()[AreaLoop]; got != "error" {
		t.Fatalf("level %q", got)
	}
}

func TestAnErrorOfABodyShowsOneThatIsRight(t *testing.T) {
	o := options(t, "n1")
	o.Admin = "127.0.0.1:0"
	n := start(t, o)
	for _, c := range []struct{ path, body, say string }{
		{"log", `{"area":"loop","level":1}`, `field "level" is a number`},
		{"log", `{"area":"loop","level":"debug"} more`, "something follows"},
		{"log", `{"area":"loop","level":"debug"}{}`, "something follows"},
		{"log", `{"aria":"loop"}`, `unknown field "aria"`},
		{"fault", `{"kind":"nonsense"}`, "want drop, delay, cut, heal or clock"}, // although there is no peer
		{"fault", `{"kind":"drop","probability":2}`, "[0, 1]"},
		{"fault", `{"kind":"delay","delay":"-1s"}`, "not below 0"},
		{"fault", `{"kind":"delay","delay":"soon"}`, `invalid duration "soon"`},
		{"bundle", `{"since":[]}`, "array"},
		{"promise", `{"time":"now"}`, "now"},
	} {
		status, body, _ := ask(t, "POST", "http://"+n.AdminAddr()+"/v1/"+c.path, c.body)
		text, remedy := fmt.Sprint(body["error"]), fmt.Sprint(body["remedy"])
		if status != 400 || !strings.Contains(text, c.say) || !strings.Contains(remedy, "send a body like {") {
			t.Errorf("%s %s: status %d, %q, %q; want 400 with %q and a body that is right", c.path, c.body, status, text, remedy, c.say)
		}
	}
}

func TestLevelsAndFaultSwitchesAreRead(t *testing.T) {
	o := options(t, "n1")
	o.Admin, o.Peers = "127.0.0.1:0", map[string]string{"n2": "127.0.0.1:1"}
	n := start(t, o)
	url := "http://" + n.AdminAddr() + "/v1/"
	ask(t, "POST", url+"log", `{"area":"disk","level":"error"}`)
	if _, body, _ := ask(t, "GET", url+"log", ""); body["disk"] != "error" || body["loop"] != "warn" {
		t.Errorf("levels %v", body)
	}
	ask(t, "POST", url+"fault", `{"kind":"delay","peer":"n2","delay":"1ms"}`)
	ask(t, "POST", url+"fault", `{"kind":"clock","offset":"-2ms"}`)
	_, body, _ := ask(t, "GET", url+"fault", "")
	const want = "map[allowed:true clockOffset:-2ms peers:map[n2:map[cutIn:false cutOut:false delay:1ms drop:0]]]"
	if got := fmt.Sprint(body); got != want {
		t.Errorf("switches %s, want %s", got, want)
	}
}

func TestFaultsThatAreOffSayHowToAllowThemOnce(t *testing.T) {
	o := options(t, "n1")
	o.Admin, o.AllowFaults = "127.0.0.1:0", false
	n := start(t, o)
	url := "http://" + n.AdminAddr() + "/v1/fault"
	if status, body, _ := ask(t, "POST", url, `{"kind":"heal"}`); status != 403 || strings.Count(fmt.Sprint(body), "--allow-faults") != 1 {
		t.Errorf("status %d, %v", status, body)
	}
	if status, body, _ := ask(t, "GET", url, ""); status != 200 || body["allowed"] != false {
		t.Errorf("status %d, %v", status, body)
	}
}

func TestEmptyListsAreLists(t *testing.T) {
	o := options(t, "n1")
	o.Admin = "127.0.0.1:0"
	n := start(t, o)
	for path, key := range map[string]string{"checkpoints": "files", "ready": "warnings", "status": "peers"} {
		_, body, _ := ask(t, "GET", "http://"+n.AdminAddr()+"/v1/"+path, "")
		if list, ok := body[key].([]any); !ok || len(list) != 0 {
			t.Errorf("%s: %q is %v, want []", path, key, body[key])
		}
	}
}

func TestABundleIsNamedFromTheRootAndLoggedOnce(t *testing.T) {
	var log strings.Builder
	o := options(t, "n1")
	t.Chdir(o.Dir)
	o.Dir, o.Admin, o.Log = "data", "127.0.0.1:0", textLog(&log)
	n := start(t, o)
	total(t, n, Add{"a", 1})
	_, body, _ := ask(t, "POST", "http://"+n.AdminAddr()+"/v1/bundle", "")
	dir := fmt.Sprint(body["dir"])
	if _, err := recording.Open(vfs.OS(), dir); err != nil || !filepath.IsAbs(dir) {
		t.Errorf("bundle %q: %v", dir, err)
	}
	stop(t, n)
	if got := strings.Count(log.String(), "bundle"); got != strings.Count(log.String(), dir)+1 || strings.Count(log.String(), "bundle written") != 1 {
		t.Errorf("the log says\n%s", log.String())
	}
}
