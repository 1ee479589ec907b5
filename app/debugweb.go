package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"hindcast.dev/debug"
	"hindcast.dev/debug/web"
	"hindcast.dev/guard"
	"hindcast.dev/termtext"
)

// Bounds of the page's server.
const (
	webHeaderTime = 10 * time.Second // for a request's header to come
	webReadTime   = time.Minute      // for all of a request
	webIdleTime   = 2 * time.Minute  // between requests
	webStopTime   = 2 * time.Second  // for answers to be finished at the end
	webHeaderMax  = 32 << 10         // bytes
	webConnsMax   = 256              // at once; more wait
)

// webFlags are the flags of debug --web.
type webFlags struct {
	web          bool
	listen       string
	browse       bool
	allowControl bool
	output       string
}

func (f *webFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.BoolVar(&f.web, "web", false, "serve the debugger as a web page, and print its URL")
	fl.StringVar(&f.listen, "listen", "127.0.0.1:0", "with --web: the address to serve at, HOST:PORT; port 0 is any free one")
	fl.BoolVar(&f.browse, "open", false, "with --web: open the page in the browser, too")
	fl.BoolVar(&f.allowControl, "allow-control", false, "with --web: let the page write files, run programs and pull from live nodes")
	outputFlag(c, &f.output, "text", "json")
}

// checkWeb refuses flags that don't go together.
func (f *debugFlags) checkWeb(c *cobra.Command) error {
	if err := checkOutput(c, f.output, "text", "json"); err != nil {
		return err
	}
	if f.web && f.script != "" {
		return Usage(errors.New("--web and --script: want one of them"))
	}
	for _, name := range []string{"listen", "open", "allow-control", "output"} {
		if c.Flags().Changed(name) && !f.web {
			return Usage(fmt.Errorf("--%s is of use with --web only\nsee '%s --help'", name, c.CommandPath()))
		}
	}
	return nil
}

// serveWeb serves the page until Ctrl-C.
func (f *debugFlags) serveWeb(c *cobra.Command, services []Service, what string) error {
	ctx, stop := interruptible(c)
	defer stop()
	ln, err := net.Listen("tcp", f.listen)
	if err != nil {
		return Usage(fmt.Errorf("--listen %s: %w: want HOST:PORT, an address of this machine and a port that is free, such as 127.0.0.1:0", f.listen, err))
	}
	defer ln.Close() // a second time, where it was served
	d, begin, err := f.openDesk(ctx, c, services, what)
	if err != nil {
		return err
	}
	defer d.Close()
	_, open := reachable(ln.Addr())
	d.many, d.looks, d.remote = true, !f.allowControl, open
	page := web.New(web.Options{Title: what, Token: rand.Text(), Source: d.o.Source, Begin: begin.at, Note: begin.note, Control: f.allowControl, Live: d.o.grows(),
		Failed:  func(text string) { fmt.Fprintln(c.ErrOrStderr(), "error:", termtext.PrintableText(text)) },
		Session: func() *debug.Session { return d.session(io.Discard) }})
	if err := f.announce(c, page, ln.Addr()); err != nil {
		return err
	}
	return servePage(ctx, ln, page)
}

// servePage serves until ctx ends: then streams end, and other answers are given a
// moment.
func servePage(ctx context.Context, ln net.Listener, page *web.Server) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var indexing sync.WaitGroup
	defer indexing.Wait()
	indexing.Go(func() { _ = page.Run(ctx) }) // the page says what went wrong
	srv := &http.Server{Handler: page, ReadHeaderTimeout: webHeaderTime, ReadTimeout: webReadTime, IdleTimeout: webIdleTime,
		MaxHeaderBytes: webHeaderMax, ErrorLog: log.New(io.Discard, "", 0),
		BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(guard.Limit(ln, webConnsMax)) }()
	select {
	case err := <-ended:
		cancel()
		return fmt.Errorf("the page is served no more: %w", err)
	case <-ctx.Done():
	}
	moment, done := context.WithTimeout(context.Background(), webStopTime)
	defer done()
	if srv.Shutdown(moment) != nil {
		_ = srv.Close() // who is still answered is cut off
	}
	<-ended
	return nil
}

// announce says where the page is.
func (f *webFlags) announce(c *cobra.Command, page *web.Server, at net.Addr) error {
	where, open := reachable(at)
	if open {
		fmt.Fprintf(c.ErrOrStderr(), "warning: %s can be reached from other machines: whoever has the token sees what was recorded, and what is sent isn't encrypted\n", at)
	}
	url := "http://" + where + "/?token="
	if f.output == "json" {
		if err := writeJSON(c.OutOrStdout(), map[string]string{"url": url + page.Token()}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.OutOrStdout(), "%s\n", url+page.Token())
		fmt.Fprintf(c.ErrOrStderr(), "whoever has this URL sees what was recorded; Ctrl-C ends it\n")
	}
	if !f.browse {
		return nil
	}
	// What a program is started with others on this machine can see: so the browser
	// gets a token that is good for one time.
	if err := browse(url + page.Ticket()); err != nil {
		fmt.Fprintf(c.ErrOrStderr(), "warning: no browser was opened: %s\n", termtext.Printable(err.Error()))
	}
	return nil
}

// reachable is HOST:PORT for a URL of what listens at an address, and whether it can
// be reached from other machines.
func reachable(at net.Addr) (where string, open bool) {
	a, err := netip.ParseAddrPort(at.String())
	if err != nil {
		return at.String(), true
	}
	host := a.Addr().Unmap()
	open = !host.IsLoopback()
	if host.IsUnspecified() {
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(host, a.Port()).String(), open
}

// browse opens a URL in the user's browser.
func browse(url string) error {
	name, args := "xdg-open", []string{url}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", url}
	}
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // what becomes of the browser is the user's
	return nil
}
