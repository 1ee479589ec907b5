// Package app is the front door of a service that is written on Hindcast: Main
// turns its machines into a program that serves, replays and debugs.
package app

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"hindcast.dev/machine"
	"hindcast.dev/node"
	"hindcast.dev/rql/syntax"
	"hindcast.dev/sim"
	"hindcast.dev/termtext"
)

// A Service is what runs on every node of a system: its machines and, if it has
// one, its HTTP face.
type Service struct {
	// Name is what all nodes agree on; a recording is replayed by the service of
	// this name.
	Name string
	// Machines are the state machines: name → version → constructor.
	Machines machine.Registry
	// HTTP makes the handler of the service's clients; nil if it has none.
	HTTP func(*node.Client) http.Handler
	// Adapters perform what machines Call, by name.
	Adapters map[string]node.Adapter
	// Settings are defaults of the --set flags.
	Settings map[string]string
	// Sim is the system as the simulator runs it: its nodes, clients and properties;
	// nil if it has none.
	Sim *sim.Subject
}

// Exit codes of every command. serve has more, for supervisors: those of
// package node.
const (
	ExitHolds     = 0 // done; nothing violated, nothing found by a search for violations
	ExitFound     = 1 // a violation was found
	ExitUsage     = 2 // usage or input
	ExitUndecided = 3 // a bound was reached before there was an answer
	ExitInternal  = 4 // anything else
)

// An ExitError carries an exit code other than ExitInternal.
type ExitError struct {
	Code int
	Err  error // nil if all has been said
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.Err }

// Usage marks an error as the caller's: exit code 2.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return &ExitError{Code: ExitUsage, Err: err}
}

// Main runs the program of a service by its command line and exits.
func Main(s Service) {
	root := Command(s)
	root.Use = filepath.Base(os.Args[0])
	os.Exit(Run(root, os.Args[1:], os.Stderr))
}

// Run executes a command line and returns its exit code; what went wrong is
// written to stderr, with the remedy.
func Run(root *cobra.Command, args []string, stderr io.Writer) int {
	root.SetArgs(args)
	nameExamples(root, root.CommandPath())
	fillExitCodes(root)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return Usage(fmt.Errorf("%w\nsee '%s --help'", err, c.CommandPath()))
	})
	if root.Version == "" {
		root.Version = moduleVersion()
		root.SetVersionTemplate("{{.DisplayName}} {{.Version}}\nsee '{{.DisplayName}} version' for the build\n")
	}
	began := watchBegin(root)
	err := root.Execute()
	if err == nil {
		return ExitHolds
	}
	var exit *ExitError
	if !errors.As(err, &exit) && !*began {
		err = Usage(fmt.Errorf("%w\nsee '%s --help'", err, root.CommandPath()))
	}
	if errors.As(err, &exit) {
		if exit.Err != nil {
			fmt.Fprintln(stderr, "error:", termtext.PrintableText(exit.Err.Error()))
		}
		return exit.Code
	}
	fmt.Fprintln(stderr, "error:", termtext.PrintableText(err.Error()))
	return ExitInternal
}

// watchBegin tells whether a command has begun: what goes wrong before is the
// command line.
func watchBegin(c *cobra.Command) *bool {
	began := new(bool)
	var watch func(c *cobra.Command)
	watch = func(c *cobra.Command) {
		if run := c.RunE; run != nil {
			c.RunE = func(c *cobra.Command, args []string) error {
				*began = true
				return run(c, args)
			}
		}
		for _, sub := range c.Commands() {
			watch(sub)
		}
	}
	watch(c)
	return began
}

// nameExamples makes examples say what this program is called: they are written
// for hindcast, whose reading commands a service's program has as well.
func nameExamples(c *cobra.Command, base string) {
	for _, sub := range c.Commands() {
		if sub.Name() == "query" {
			base = c.CommandPath()
		}
	}
	c.Example = strings.ReplaceAll(c.Example, "hindcast ", base+" ")
	for _, sub := range c.Commands() {
		nameExamples(sub, base)
	}
}

// Command returns the command of a service: serve and, over what it recorded,
// replay, query, debug and journal.
func Command(s Service) *cobra.Command {
	root := &cobra.Command{
		Use:   s.Name,
		Short: "Serve " + s.Name + ", and look into what it recorded",
		Args:  Subcommand,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(ServeCommand(s))
	root.AddCommand(ReadCommands([]Service{s})...)
	return root
}

// ReadCommands returns the commands that read recordings: query, debug, check, export, snapshot, restore,
// replay, pull, watch, journal, and version; and sim, which makes some. Recordings of the
// services given can be replayed by this program itself.
func ReadCommands(services []Service) []*cobra.Command {
	commands := []*cobra.Command{queryCommand(services), debugCommand(services), checkCommand(services), exportCommand(services), replayCommand(services),
		pullCommand(), snapshotCommand(services), restoreCommand(services), watchCommand(), journalCommand(), versionCommand(),
		exitCodesTopic()}
	if len(simulated(services)) > 0 {
		commands = append(commands, simCommand(services))
	}
	return commands
}

// Subcommand is the Args of a command that only has others below it: whatever
// follows is a misprint, and the error names what it is most likely one of.
func Subcommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		names = append(names, append([]string{sub.Name()}, sub.Aliases...)...)
	}
	hint := ""
	if near, ok := syntax.Nearest(args[0], names); ok {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return Usage(fmt.Errorf("no command %q%s\nsee '%s --help'", args[0], hint, c.CommandPath()))
}

// usageArgs makes a complaint about arguments a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return Usage(fmt.Errorf("%w\nusage: %s\nsee '%s --help'", err, c.UseLine(), c.CommandPath()))
		}
		return nil
	}
}

// BuildID names the running program by its content, so that a recording can say
// which build made it: the first 12 hexadecimal digits of its SHA-256, or
// "unknown" where the program can't be read.
func BuildID() string {
	path, err := os.Executable()
	if err != nil {
		return "unknown"
	}
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "unknown"
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}
