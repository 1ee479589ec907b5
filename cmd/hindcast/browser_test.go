package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// pictures is where the tests in a browser leave what they saw:
// `go test ./cmd/hindcast -run InTheBrowser -pictures /tmp/pictures`.
var pictures = flag.String("pictures", "", "a directory for screenshots of the page")

// browserWait bounds how long a page may take to show something; it is for machines
// with much else to do, and no measure of how fast the page is.
const browserWait = time.Minute

// browserNames are the commands under which a browser may be installed.
var browserNames = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

func findBrowser(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: a browser takes seconds; go test without -short starts one")
	}
	for _, name := range browserNames {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("there is no browser: none of %s is installed (Debian: apt-get install chromium)", strings.Join(browserNames, ", "))
	return ""
}

// A pageServer is a debugger that serves its page, as a process of its own.
type pageServer struct {
	URL  string
	cmd  *exec.Cmd
	errs bytes.Buffer
}

// servePage starts `hindcast debug --web` with more arguments.
func servePage(t *testing.T, args ...string) *pageServer {
	t.Helper()
	s := &pageServer{cmd: exec.Command(os.Args[0], append([]string{"debug", "--web", "-o", "json"}, args...)...)}
	s.cmd.Stderr = &s.errs
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	var told struct{ URL string }
	if err := json.NewDecoder(out).Decode(&told); err != nil || told.URL == "" {
		s.kill()
		t.Fatalf("debug --web printed no URL (%v); standard error:\n%s", err, &s.errs)
	}
	s.URL = told.URL
	go func() { _, _ = io.Copy(io.Discard, out) }() // until it ends
	return s
}

// kill ends it as a power cut does. It may be called again.
func (s *pageServer) kill() {
	_ = s.cmd.Process.Kill() // ended already: all the same
	_ = s.cmd.Wait()
}

// A tab is a tab of a browser. Its methods fail the test.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	faults []string // what the page threw, or the browser complained of
}

// openTab opens an address in a browser of its own, so wide and high.
func openTab(t *testing.T, url string, width, height int64) *tab {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(findBrowser(t)), chromedp.WSURLReadTimeout(browserWait))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // as root there is none
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	b := &tab{t: t}
	b.ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(b.ctx) // waits for the browser's end
		cancel()
	})
	if err := chromedp.Listen(b.ctx, b.listen); err != nil { // starts the browser
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(width, height), chromedp.Navigate(url))
	return b
}

func (b *tab) listen(ev any) {
	text := ""
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		text = ev.ExceptionDetails.Text
		if x := ev.ExceptionDetails.Exception; x != nil {
			text += ": " + x.Description
		}
	case *log.EventEntryAdded:
		// That a command is refused is an answer.
		refused := ev.Entry.Source == log.EntrySourceNetwork && strings.Contains(ev.Entry.Text, "status of 400")
		if ev.Entry.Level == log.EntryLevelError && !refused {
			text = fmt.Sprintf("%s: %s %s", ev.Entry.Source, ev.Entry.Text, ev.Entry.URL)
		}
	}
	if text != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.faults = append(b.faults, text)
	}
}

// do carries out actions of the browser's.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserWait)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("in the browser: %v\nthe page says: %s\nand complains of: %q", err, b.text(), b.faults)
	}
}

// text is all that the page shows as text, "" if it shows nothing any more.
func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, browserWait)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText.slice(0, 4000) : ""`))
	if err != nil {
		return err.Error()
	}
	return s
}

// until waits for an expression of JavaScript to become true.
func (b *tab) until(expr string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 2*browserWait)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void](expr, chromedp.WithPollingTimeout(browserWait))); err != nil {
		b.t.Fatalf("%s doesn't become true: %v\nthe page says: %s\nand complains of: %q", expr, err, b.text(), b.faults)
	}
}

// press presses keys, one after the other.
func (b *tab) press(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// over goes to a field, so that what is typed replaces what stands there.
func (b *tab) over(selector string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`(f => { f.focus(); f.select() })(document.querySelector(` + js(selector) + `))`))
}

// leave goes out of the field, so that keys are the page's again.
func (b *tab) leave() {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
}

// eval is the value of an expression of JavaScript.
func eval[T any](b *tab, expr string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserWait)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expr))
	if err != nil {
		b.t.Fatalf("%s: %v", expr, err)
	}
	return v
}

// picture keeps a screenshot, if they are wanted.
func (b *tab) picture(name string) {
	b.t.Helper()
	if *pictures == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, browserWait)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(*pictures, name+".png"), png, 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// sound fails the test if the page threw something, or broke its own policy.
func (b *tab) sound() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		b.t.Errorf("the page: %s", f)
	}
}
