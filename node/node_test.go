package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
	"hindcast.dev/vfs"
)

func TestANodeAnswersAndRemembersAfterACleanStop(t *testing.T) {
	o := options(t, "n1")
	n := start(t, o)
	for i := range 10 {
		if got := total(t, n, Add{"a", 1}); got != int64(i+1) {
			t.Fatalf("total %d, want %d", got, i+1)
		}
	}
	stop(t, n)
	notes := noteLog(t, vfs.OS(), n.dirs.journal)
	if want := "boot|stop"; strings.Join(notes, "|") != want {
		t.Fatalf("notes %q, want %q", notes, want)
	}

	n = start(t, o)
	if n.Boot() != 2 || n.j.Recovery().Ending != journal.Stopped {
		t.Fatalf("boot %d after an ending %v, want 2 and stopped", n.Boot(), n.j.Recovery().Ending)
	}
	if got := peek(t, n, "a"); got != 10 {
		t.Fatalf("a = %d after restart, want 10", got)
	}
	stop(t, n)
	if names, _ := vfs.OS().ReadDir(n.dirs.crashboxes); len(names) != 0 {
		t.Fatalf("crash boxes after clean stops: %v", names)
	}
}

func TestEveryDurabilityAnswers(t *testing.T) {
	for _, d := range []journal.Durability{journal.Process, journal.Group, journal.Each} {
		t.Run(d.String(), func(t *testing.T) {
			o, _ := inMemory(options(t, "n1"))
			o.Durability = d
			n := start(t, o)
			for range 5 {
				total(t, n, Add{"a", 1})
			}
			stop(t, n)
		})
	}
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	o, mem := inMemory(options(t, "n1"))
	n := start(t, o)
	for range 20 {
		total(t, n, Add{"a", 1})
	}
	abandon(t, n)

	o.FS = mem.Restart()
	n = start(t, o)
	if got := peek(t, n, "a"); got != 20 {
		t.Fatalf("a = %d after the kill, want 20", got)
	}
	if got := total(t, n, Add{"a", 1}); got != 21 {
		t.Fatalf("a = %d, want 21", got)
	}
	stop(t, n)
	notes := noteLog(t, o.FS, n.dirs.journal)
	if !hasNote(notes, "crash") {
		t.Fatalf("notes %q: no crash", notes)
	}
	boxes, err := o.FS.ReadDir(n.dirs.crashboxes)
	if err != nil || len(boxes) != 1 {
		t.Fatalf("crash boxes %v, %v: want one of the boot that was killed", boxes, err)
	}
}

func TestWhatWasAcknowledgedSurvivesAPowerLoss(t *testing.T) {
	for _, d := range []journal.Durability{journal.Group, journal.Each} {
		t.Run(d.String(), func(t *testing.T) {
			o, mem := inMemory(options(t, "n1"))
			o.Durability = d
			n := start(t, o)
			for range 20 {
				total(t, n, Add{"a", 1})
			}
			abandon(t, n)
			o.FS, o.HostBoot = mem.Crash(func(int) int { return 0 }), "another boot"
			n = start(t, o)
			if got := peek(t, n, "a"); got != 20 {
				t.Fatalf("a = %d after the power loss, want 20", got)
			}
			stop(t, n)
		})
	}
}

func TestPartialRepliesComeInOrder(t *testing.T) {
	n := start(t, options(t, "n1"))
	r := do(t, n, Parts{3})
	if got := fmt.Sprint(r.Parts, r.Body); got != "[{0} {1} {2}] {3}" {
		t.Fatalf("parts %s", got)
	}
	if r.Time == 0 {
		t.Fatal("a reply without a time")
	}
}

func TestTimersFire(t *testing.T) {
	n := start(t, options(t, "n1"))
	if got := total(t, n, Later{time.Millisecond}); got != 1 {
		t.Fatalf("the timer's reply is %d, want 1", got)
	}
}

func TestPeekSeesTheStateAndCannotHaveEffects(t *testing.T) {
	n := start(t, options(t, "n1"))
	total(t, n, Add{"a", 7})
	if got := peek(t, n, "a"); got != 7 {
		t.Fatalf("a = %d, want 7", got)
	}
	before := n.j.Stamped()
	_, err := n.Client().Peek(within(t, patience), "tally", Add{"a", 1})
	if err == nil || !strings.Contains(err.Error(), "no effects") {
		t.Fatalf("a query with an effect: %v", err)
	}
	if _, err := n.Client().Peek(within(t, patience), "nobody", Read{}); !errors.Is(err, ErrNoQuery) {
		t.Fatalf("a query of no machine: %v", err)
	}
	if after := n.j.Stamped(); after != before {
		t.Fatalf("queries were journaled: %d events before, %d after", before, after)
	}
}

func TestRequestsThatNoMachineTakesAreRefused(t *testing.T) {
	n := start(t, options(t, "n1"))
	var refused *RefusedError
	for _, body := range []any{struct{ X int }{1}, []byte("raw")} {
		if _, err := n.Client().Do(within(t, patience), "tally", body); !errors.As(err, &refused) {
			t.Errorf("Do(%#v): %v, want a *RefusedError", body, err)
		}
	}
	if _, err := n.Client().Do(within(t, patience), "nobody", Add{}); !errors.As(err, &refused) {
		t.Errorf("Do of no machine: %v, want a *RefusedError", err)
	}
	ahead := WithTime(within(t, patience), n.reading().Wall.Add(time.Hour))
	var drift *DriftError
	if _, err := n.Client().Do(ahead, "tally", Add{"a", 1}); !errors.As(err, &drift) {
		t.Errorf("Do an hour ahead: %v, want a *DriftError", err)
	}
	if got := peek(t, n, "a"); got != 0 {
		t.Errorf("a = %d after nothing but refusals", got)
	}
}

func TestRepliesComeAfterTheTimeOfTheRequest(t *testing.T) {
	n := start(t, options(t, "n1"))
	sent := n.reading().Wall.Add(200 * time.Millisecond)
	r, err := n.Client().Do(WithTime(within(t, patience), sent), "tally", Add{"a", 1})
	if err != nil || r.Time <= sent {
		t.Fatalf("reply at %v to a request of %v, %v", r.Time, sent, err)
	}
}

func TestAClientThatGaveUpGetsNothingAndFreesItsPlace(t *testing.T) {
	o := options(t, "n1")
	o.Limits.InFlight = 1
	n := start(t, o)
	ctx, cancel := context.WithCancel(within(t, patience))
	got := make(chan error)
	go func() {
		_, err := n.Client().Do(ctx, "tally", Hold{})
		got <- err
	}()
	eventually(t, n, "the request", func() bool { return n.Status().Requests.Taken == 1 && n.j.Waiting() == 0 })
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Fatalf("a Do that was cancelled: %v", err)
	}
	total(t, n, Release{})
	if s := n.Status().Requests; s.RepliesDropped != 1 || s.InFlight != 0 {
		t.Fatalf("replies dropped %d, in flight %d: want 1 and 0", s.RepliesDropped, s.InFlight)
	}
}

func TestAdaptersAnswerCalls(t *testing.T) {
	o := options(t, "n1")
	o.Adapters = map[string]Adapter{"echo": AdapterFunc(func(_ context.Context, body any) (any, error) {
		switch text := body.(Outside).Text; text {
		case "fail":
			return nil, errors.New("no luck")
		case "panic":
			panic("adapter")
		default:
			return Word{"echo " + text}, nil
		}
	})}
	n := start(t, o)
	for text, want := range map[string]string{"x": "echo x", "fail": "refused: no luck", "panic": "refused: adapter echo panicked: adapter"} {
		if got := do(t, n, Outside{text}).Body; got != any(Word{want}) {
			t.Errorf("Outside(%s) = %v, want %q", text, got, want)
		}
	}
}

func TestACallOfNoAdapterIsRefused(t *testing.T) {
	n := start(t, options(t, "n1"))
	got, ok := do(t, n, Outside{"x"}).Body.(Word)
	if !ok || !strings.Contains(got.Text, `no adapter "echo"`) {
		t.Fatalf("got %v", got)
	}
}

func TestStopAnswersWhatIsInFlightAndRefusesTheRest(t *testing.T) {
	n := start(t, options(t, "n1"))
	held := make(chan error, 1)
	go func() {
		_, err := n.Client().Do(within(t, patience), "tally", Hold{})
		held <- err
	}()
	eventually(t, n, "the request", func() bool { return n.Status().Requests.Taken == 1 && n.j.Waiting() == 0 })
	stopped := make(chan error, 1)
	n.askStop(within(t, patience))
	go func() { stopped <- n.Wait() }()
	soon(t, "the drain", func() bool { return n.pending.stopping() })
	peek(t, n, "a")
	if _, err := n.Client().Do(within(t, patience), "tally", Add{"a", 1}); !errors.Is(err, ErrStopping) {
		t.Fatalf("Do while draining: %v, want ErrStopping", err)
	}
	if why := n.NotReady(); len(why) != 1 || why[0] != "stopping" {
		t.Fatalf("not ready because %q", why)
	}
	// A request that was in flight before still gets its answer.
	f := frameOf(t, n, Release{})
	if err := n.loop.Offer(&f); err != nil {
		t.Fatal(err)
	}
	if err := <-held; err != nil {
		t.Fatalf("the request in flight: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Fatalf("stop: %v", err)
	}
	if _, err := n.Client().Peek(within(t, patience), "tally", Read{}); !errors.Is(err, ErrStopping) {
		t.Fatalf("Peek after the stop: %v", err)
	}
}

func TestStopDoesNotWaitForEver(t *testing.T) {
	n := start(t, options(t, "n1"))
	held := make(chan error, 1)
	go func() {
		_, err := n.Client().Do(within(t, patience), "tally", Hold{})
		held <- err
	}()
	eventually(t, n, "the request", func() bool { return n.Status().Requests.Taken == 1 && n.j.Waiting() == 0 })
	if err := n.Stop(ended()); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if err := <-held; !errors.Is(err, ErrUncertain) {
		t.Fatalf("the request in flight: %v, want ErrUncertain", err)
	}
}

func TestTheEndOfTheContextStopsTheNode(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	n, err := Start(ctx, options(t, "n1"))
	if err != nil {
		t.Fatal(err)
	}
	total(t, n, Add{"a", 1})
	cancel()
	if err := n.Wait(); err != nil {
		t.Fatalf("stopped with %v", err)
	}
	if !hasNote(noteLog(t, vfs.OS(), n.dirs.journal), "stop") {
		t.Fatal("no stop note")
	}
}

func TestTwoNodesCannotHaveOneDirectory(t *testing.T) {
	o := options(t, "n1")
	start(t, o)
	n, err := Start(context.Background(), o)
	if err == nil {
		n.Stop(ended())
		t.Fatal("a second node started in the same directory")
	}
	if !errors.Is(err, journal.ErrInUse) || ExitCode(err) != ExitUsage {
		t.Fatalf("error %v, exit code %d", err, ExitCode(err))
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no name":       {func(o *Options) { o.Name = "" }, "option Name"},
		"no service":    {func(o *Options) { o.Service = "" }, "option Service"},
		"no machine":    {func(o *Options) { o.Registry = nil }, "option Registry"},
		"wrong version": {func(o *Options) { o.Versions = map[string]uint32{"tally": 9} }, "option Versions"},
		"open admin":    {func(o *Options) { o.Admin = "0.0.0.0:0" }, "set a token"},
		"open admin 6":  {func(o *Options) { o.Admin = "[::]:0" }, "set a token"},
		"short token":   {func(o *Options) { o.Tokens = []Token{{Secret: "short"}} }, "at least 16"},
		"clock":         {func(o *Options) { o.AllowFaults = false; o.ClockOffset = time.Second }, "option ClockOffset"},
		"no handler":    {func(o *Options) { o.HTTP = "127.0.0.1:0" }, "option HTTP"},
		"limit":         {func(o *Options) { o.Limits.InFlight = -1 }, "option Limits"},
	} {
		o := options(t, "n1")
		c.change(&o)
		n, err := Start(context.Background(), o)
		if err == nil {
			n.Stop(ended())
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || ExitCode(err) != ExitUsage {
			t.Errorf("%s: error %v, exit code %d, want %q", name, err, ExitCode(err), c.want)
		}
	}
}

func TestAnAddressWithoutAHostIsLoopback(t *testing.T) {
	for in, want := range map[string]string{":80": "127.0.0.1:80", "0.0.0.0:80": "0.0.0.0:80", "": "", "[::1]:80": "[::1]:80"} {
		if got := loopbackUnlessTold(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestPromiseBindsTheClock(t *testing.T) {
	n := start(t, options(t, "n1"))
	ts := n.reading().Wall.Add(100 * time.Millisecond)
	now, err := n.Promise(within(t, patience), ts)
	if err != nil || now <= ts {
		t.Fatalf("promised %v, is at %v, %v", ts, now, err)
	}
	if r := do(t, n, Add{"a", 1}); r.Time <= ts {
		t.Fatalf("stamped %v after the promise of %v", r.Time, ts)
	}
	if _, err := n.Promise(within(t, patience), n.reading().Wall.Add(time.Hour)); err == nil {
		t.Fatal("a promise an hour ahead was made")
	}
}

func TestHTTPCarriesTimesAndErrors(t *testing.T) {
	o := options(t, "n1")
	o.HTTP = "127.0.0.1:0"
	o.Limits.RequestBytes = 1000
	o.Handler = func(c *Client) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var body any = Add{"a", 1}
			if r.URL.Path == "/none" {
				body = Die{}
				_, err := c.Do(r.Context(), "nobody", body)
				WriteError(w, err)
				return
			}
			if r.URL.Path == "/body" {
				b := make([]byte, 2000)
				if _, err := r.Body.Read(b); err != nil {
					WriteError(w, err)
				}
				for {
					if _, err := r.Body.Read(b); err != nil {
						WriteError(w, err)
						return
					}
				}
			}
			reply, err := c.Do(r.Context(), "tally", body)
			if err != nil {
				WriteError(w, err)
				return
			}
			fmt.Fprintf(w, `{"n":%d}`, reply.Body.(Total).N)
		})
	}
	n := start(t, o)
	url := "http://" + n.HTTPAddr()
	sent := n.reading().Wall.Add(100 * time.Millisecond)
	status, body, header := ask(t, "GET", url+"/", "", TimeHeader, sent.String())
	ts, err := hlc.Parse(header.Get(TimeHeader))
	if status != 200 || body["n"] != 1.0 || err != nil || ts <= sent {
		t.Fatalf("status %d, body %v, time %v after %v, %v", status, body, ts, sent, err)
	}
	for _, c := range []struct {
		path, body string
		header     []string
		want       int
	}{
		{"/", "", []string{TimeHeader, "yesterday"}, 400},
		{"/", "", []string{TimeHeader, n.reading().Wall.Add(time.Hour).String()}, 400},
		{"/none", "", nil, 422},
		{"/body", strings.Repeat("x", 1001), nil, 413},
	} {
		status, body, _ := ask(t, "POST", url+c.path, c.body, c.header...)
		if status != c.want || body["error"] == nil || body["remedy"] == nil {
			t.Errorf("%s %v: status %d, body %v, want %d with error and remedy", c.path, c.header, status, body, c.want)
		}
	}
}

func TestAClockThatIsFarAheadIsRefusedAtTheNextStart(t *testing.T) {
	o := options(t, "n1")
	o.ClockOffset = time.Hour
	n := start(t, o)
	total(t, n, Add{"a", 1})
	stop(t, n)
	o.ClockOffset = 0
	n, err := Start(context.Background(), o)
	if err == nil {
		n.Stop(ended())
	}
	if err == nil || ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), "MaxDrift") {
		t.Fatalf("error %v, exit code %d", err, ExitCode(err))
	}
}

func frameOf(t *testing.T, n *Node, body any) (f frame) {
	t.Helper()
	name, version, payload, err := n.codecs["tally"].encode(body)
	if err != nil {
		t.Fatal(err)
	}
	return frame{Kind: event.Request, Machine: "tally", Name: name, Version: version, Payload: payload,
		ID: event.MessageID{Node: n.clientName, Boot: n.boot, Seq: 1 << 40}}
}

type frame = record.Frame
