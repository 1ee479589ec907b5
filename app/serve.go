package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hindcast.dev/journal"
	"hindcast.dev/node"
)

// serveFlags are the flags of serve as they come from the command line.
type serveFlags struct {
	node.Options
	peers, tokens, set []string
	durability         string
	bundle             time.Duration
	logLevel           string
	debugNodes         string
}

// ServeCommand returns the command that runs one node of a service.
func ServeCommand(s Service) *cobra.Command {
	f := &serveFlags{}
	c := &cobra.Command{
		Use:   "serve --node NAME --dir DIR [flags]",
		Short: "Run one node of " + s.Name,
		Long: "Run one node of " + s.Name + `.

The node journals every input under --dir before it handles it. After a crash it
recovers from there; replay, query and debug read it. The debugger's page is at the
admin address, ` + node.PagePath + `: it follows the nodes while somebody looks.

Signals: SIGTERM and SIGINT drain and stop; SIGUSR1 writes a bundle of the last
minutes (--bundle) for hindcast debug.

Exit codes:
` + exitCodeHelp(),
		Example: `  hindcast serve --node n1 --dir data/n1 --http 127.0.0.1:8080
  hindcast serve --node n1 --dir data/n1 --listen :7001 --http :8001 --admin :9001 \
      --peers n1=127.0.0.1:7001,n2=127.0.0.1:7002,n3=127.0.0.1:7003`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return serve(c, s, f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.Name, "node", "n1", "this node's name, unique in the service")
	fl.StringVar(&f.Dir, "dir", "", "directory of the journal and checkpoints (default ./"+s.Name+"-NODE)")
	fl.StringVar(&f.Listen, "listen", "", "address for other nodes, HOST:PORT")
	fl.StringVar(&f.HTTP, "http", "", "address for clients, HOST:PORT")
	fl.StringVar(&f.Admin, "admin", "", "address of the admin API, HOST:PORT")
	fl.StringSliceVar(&f.peers, "peers", nil, "the other nodes, NAME=HOST:PORT,…; this node among them is ignored")
	fl.StringVar(&f.debugNodes, "debug-nodes", "", "admin addresses of the nodes that the page at --admin, "+node.PagePath+", follows, [NAME=]HOST:PORT,… (default this node alone)")
	fl.StringArrayVar(&f.tokens, "token", nil, "who may use the admin API: SECRET or SECRET=SCOPE,… (status, journal:read, control), or @FILE with one a line")
	fl.StringArrayVar(&f.set, "set", nil, "a setting that machines see, KEY=VALUE")
	fl.StringVar(&f.durability, "durability", "group", "what an answer waits for: process, group or each")
	fl.IntVar(&f.SegmentBytes, "segment-bytes", 0, "size of a journal segment (default 64 MiB)")
	fl.Int64Var(&f.RetainBytes, "retain-bytes", 0, "bytes of journal to keep, beyond what recovery needs (default all)")
	fl.DurationVar(&f.RetainAge, "retain-age", 0, "age of journal to keep, beyond what recovery needs (default all)")
	fl.StringVar(&f.Archive, "archive", "", "directory where segments go, compressed, before they are removed")
	fl.Uint64Var(&f.CheckpointEvery, "checkpoint-every", 0, "events between checkpoints (default 100000)")
	fl.BoolVar(&f.ShadowCheckpoints, "shadow-checkpoints", false, "let a second copy of the machines take the checkpoints")
	fl.DurationVar(&f.MaxDrift, "max-drift", 0, "how far ahead of this node's clock another's may be (default 500ms)")
	fl.BoolVar(&f.AllowFaults, "allow-faults", false, "make the fault switches of the admin API work: for tests")
	fl.DurationVar(&f.ClockOffset, "clock-offset", 0, "added to the clock; needs --allow-faults")
	fl.Uint64Var(&f.UpgradeBefore, "upgrade-before", 0, "have this event, which stopped the node, handled anew by the latest version")
	fl.BoolVar(&f.ReplaceDisk, "replace-disk", false, "this node has lost its disk: begin in an empty directory above all its earlier boots, for the first start only")
	fl.DurationVar(&f.bundle, "bundle", 5*time.Minute, "how much SIGUSR1 sets aside")
	fl.StringVar(&f.logLevel, "log", "info", "log level: debug, info, warn or error")
	complete(c, "durability", "process", "group", "each")
	complete(c, "log", "debug", "info", "warn", "error")
	return c
}

// exitCodeHelp is the table of exit codes as --help shows it.
func exitCodeHelp() string {
	var b strings.Builder
	for _, e := range node.ExitCodes() {
		fmt.Fprintf(&b, "  %2d  %s: %s\n", e.Code, e.Name, e.Meaning)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (f *serveFlags) options(s Service, stderr io.Writer) (node.Options, error) {
	o := f.Options
	o.Service, o.Registry, o.Handler, o.Adapters = s.Name, s.Machines, s.HTTP, s.Adapters
	o.Build = BuildID()
	if o.Dir == "" {
		o.Dir = s.Name + "-" + o.Name
	}
	var err error
	if o.Peers, err = pairs("--peers", f.peers); err != nil {
		return o, err
	}
	if o.Settings, err = pairs("--set", f.set); err != nil {
		return o, err
	}
	for k, v := range s.Settings {
		if _, ok := o.Settings[k]; !ok {
			o.Settings[k] = v
		}
	}
	if o.Tokens, err = tokens(f.tokens); err != nil {
		return o, err
	}
	if o.Durability, err = journal.ParseDurability(f.durability); err != nil {
		return o, fmt.Errorf("--durability: %w", err)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return o, fmt.Errorf("--log %q: want debug, info, warn or error", f.logLevel)
	}
	nodes, err := debugNodes(f.debugNodes)
	if err != nil {
		return o, err
	}
	o.Page = pageOf(s, o, nodes)
	o.Log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	return o, nil
}

func serve(c *cobra.Command, s Service, f *serveFlags) error {
	o, err := f.options(s, c.ErrOrStderr())
	if err != nil {
		return Usage(err)
	}
	ctx, stop := interruptible(c)
	defer stop()
	signals, ignore := bundleSignals() // first: until somebody listens, the signal ends the process
	defer ignore()
	for _, w := range lonely(&o) {
		o.Log.Warn(w, "node", o.Name)
	}
	n, err := node.Start(ctx, o)
	if err != nil {
		return nodeError(o.Name, err)
	}
	o.Log.Info("serving", "node", o.Name, "dir", o.Dir, "http", n.HTTPAddr(), "admin", n.AdminAddr(), "listen", n.Addr())
	done := make(chan struct{})
	defer close(done)
	go bundleOnSignal(ctx, n, f.bundle, o.Log, signals, done)
	return nodeError(o.Name, n.Wait())
}

// lonely says who can't reach the node although somebody may want to.
func lonely(o *node.Options) (warnings []string) {
	if o.HTTP == "" && o.Admin == "" {
		warnings = append(warnings, "neither --http nor --admin is given: no HTTP client reaches this node, and nobody can pull its recording or ask for its status")
	}
	others := len(o.Peers)
	if _, self := o.Peers[o.Name]; self {
		others--
	}
	if others > 0 && o.Listen == "" {
		warnings = append(warnings, "--peers without --listen: this node sends to its peers, but none of them can reach it")
	}
	return warnings
}

// bundleOnSignal writes a bundle at every signal until done is closed.
func bundleOnSignal(ctx context.Context, n *node.Node, since time.Duration, log *slog.Logger, signals <-chan os.Signal, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-signals:
			if _, err := n.Bundle(ctx, since); err != nil { // which says where it is
				log.Error("no bundle written", "err", err)
			}
		}
	}
}

// nodeError gives a node's end its exit code.
func nodeError(name string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	code := node.ExitCode(err)
	var option *node.OptionError
	if errors.As(err, &option) && flagOf(option.Option) != "" {
		err = &flagError{flag: flagOf(option.Option), option: option}
	}
	return &ExitError{Code: code, Err: fmt.Errorf("node %s: %w", name, err)}
}

// A flagError is an OptionError in the words of the command line.
type flagError struct {
	flag   string
	option *node.OptionError
}

func (e *flagError) Error() string { return "--" + e.flag + ": " + e.option.Reason }
func (e *flagError) Unwrap() error { return e.option }

// flagOf is the flag that sets a field of node.Options, "" if none does.
func flagOf(option string) string {
	switch option {
	case "Name":
		return "node"
	case "Tokens":
		return "token"
	case "Dir", "Listen", "HTTP", "Admin", "Peers", "Durability":
		return strings.ToLower(option)
	case "SegmentBytes":
		return "segment-bytes"
	case "RetainBytes":
		return "retain-bytes"
	case "RetainAge":
		return "retain-age"
	case "ClockOffset":
		return "clock-offset"
	case "UpgradeBefore":
		return "upgrade-before"
	case "ReplaceDisk":
		return "replace-disk"
	}
	return ""
}

// tokens reads --token arguments. A file keeps secrets out of the list of
// processes, which everybody on the machine can read.
func tokens(args []string) ([]node.Token, error) {
	var out []node.Token
	for _, a := range args {
		lines := []string{a}
		if file, ok := strings.CutPrefix(a, "@"); ok {
			b, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("--token: %w", err)
			}
			lines = strings.Fields(string(b))
		}
		for _, l := range lines {
			t, err := node.ParseToken(l)
			if err != nil {
				return nil, fmt.Errorf("--token: %w", err)
			}
			out = append(out, t)
		}
	}
	return out, nil
}

// pairs reads KEY=VALUE arguments.
func pairs(flag string, args []string) (map[string]string, error) {
	m := map[string]string{}
	for _, a := range args {
		k, v, ok := strings.Cut(a, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("%s %q: want NAME=VALUE", flag, a)
		}
		m[k] = v
	}
	return m, nil
}
