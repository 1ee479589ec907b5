package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hindcast.dev/history"
	"hindcast.dev/prompt"
	"hindcast.dev/rql"
	completion "hindcast.dev/rql/complete"
	"hindcast.dev/rql/syntax"
	"hindcast.dev/termtext"
)

// The words of the console's prompt: at the beginning of a statement, and within.
const (
	promptFirst = "rql> "
	promptMore  = "...> "
)

// A console asks a History what is typed at the terminal, statement by statement.
type console struct {
	c     *cobra.Command
	o     *opened
	flags *queryFlags // changed by \set
	in    *prompt.Prompt
	typed string   // of a statement that no ; has ended yet
	kinds []string // names of events, for completion; nil: not looked for yet
}

// A consoleCommand is what can be typed besides statements.
type consoleCommand struct {
	name, args, short string
	run               func(k *console, args []string) error
}

// errLeave ends the console.
var errLeave = errors.New("leave")

// consoleCommands is the table of commands, in the order of \help.
func consoleCommands() []consoleCommand {
	return []consoleCommand{
		{"help", "[COMMAND]", "list the commands", (*console).help},
		{"set", "[NAME VALUE]", "show the settings, or change one", (*console).set},
		{"read", "FILE", "ask the statements of a file", (*console).readFile},
		{"quit", "", "leave; so does Ctrl-D", func(*console, []string) error { return errLeave }},
	}
}

// settings are the flags that \set may change.
var settings = []string{"output", "wide", "quiet", "timeout", "max-memory", "max-combinations"}

// runConsole reads statements and asks them until the end of input.
func runConsole(c *cobra.Command, f *queryFlags, o *opened, what string) error {
	k := &console{c: c, o: o, flags: f}
	greetConsole(c.OutOrStdout(), o, what)
	k.in = prompt.New(promptHistory("query-history"), k.complete)
	defer k.in.Close()
	for {
		before := promptFirst
		if k.typed != "" {
			before = promptMore
		}
		line, err := k.in.Line(before)
		switch {
		case errors.Is(err, prompt.ErrAborted):
			k.typed = ""
			continue
		case errors.Is(err, io.EOF):
			fmt.Fprintln(c.OutOrStdout())
			return nil
		case err != nil:
			return fmt.Errorf("prompt: %w", err)
		}
		if err := k.line(line); errors.Is(err, errLeave) {
			return nil
		} else if err != nil {
			k.complain(err)
		}
	}
}

func greetConsole(w io.Writer, o *opened, what string) {
	meta := o.Source.Meta()
	fmt.Fprintf(w, "%s: %s of %s, %s to %s\n", what, plural(meta.Events, "event"), plural(len(meta.Nodes), "node"), meta.First.Time, meta.Last.Time)
	fmt.Fprintln(w, `A statement ends with a semicolon; try SHOW VARIABLES; or \help`)
}

// complain says what is wrong, and goes on.
func (k *console) complain(err error) {
	fmt.Fprintf(k.c.ErrOrStderr(), "error: %s\n", termtext.PrintableText(err.Error()))
}

// line takes a line that was typed: a command, or a part of statements.
func (k *console) line(line string) error {
	trimmed := strings.TrimSpace(line)
	if k.typed == "" {
		if trimmed == "" {
			return nil
		}
		if name, ok := commandLine(trimmed); ok {
			k.in.Remember(trimmed)
			return k.command(name)
		}
	}
	text := line
	if k.typed != "" {
		text = k.typed + "\n" + line
	}
	statements, rest := syntax.Split(text)
	k.typed = rest
	for _, s := range statements {
		k.remember(s)
		if err := k.ask(s); err != nil {
			return err
		}
	}
	return nil
}

// commandLine reports whether a line is a command, and returns it without its
// backslash, which quit and help can do without.
func commandLine(line string) (command string, ok bool) {
	if rest, ok := strings.CutPrefix(line, `\`); ok {
		return rest, true
	}
	switch word := strings.TrimSuffix(line, ";"); word {
	case "quit", "exit", "help":
		return word, true
	}
	return "", false
}

func (k *console) command(line string) error {
	words := strings.Fields(line)
	if len(words) == 0 {
		words = []string{"help"}
	}
	command, err := consoleCommandOf(words[0])
	if err != nil {
		return err
	}
	return command.run(k, words[1:])
}

// consoleCommandOf finds a command by its name or the beginning of it.
func consoleCommandOf(name string) (consoleCommand, error) {
	var names []string
	for _, c := range consoleCommands() {
		if strings.HasPrefix(c.name, name) || name == "exit" && c.name == "quit" || name == "?" && c.name == "help" {
			return c, nil
		}
		names = append(names, c.name)
	}
	hint := `; \help lists the commands`
	if near, ok := syntax.Nearest(name, names); ok {
		hint = fmt.Sprintf(`; did you mean \%s?`, near)
	}
	return consoleCommand{}, fmt.Errorf(`no command \%s%s`, name, hint)
}

// remember keeps a statement for arrow-up, on one line; with a comment in it that
// can't be, and its lines are kept.
func (k *console) remember(statement string) {
	lines := strings.Split(statement, "\n")
	if !strings.Contains(statement, "--") {
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		lines = []string{strings.Join(lines, " ")}
	}
	for _, l := range lines {
		k.in.Remember(l)
	}
}

// ask asks one statement. Ctrl-C ends the search.
func (k *console) ask(text string) error {
	if strings.Trim(text, "; \t\n") == "" {
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return k.flags.ask(ctx, k.c, k.o, statement{text: text})
}

func (k *console) help(args []string) error {
	w := k.c.OutOrStdout()
	if len(args) > 0 {
		c, err := consoleCommandOf(strings.TrimPrefix(args[0], `\`))
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %-20s %s\n", strings.TrimSpace(`\`+c.name+" "+c.args), c.short)
		return nil
	}
	for _, c := range consoleCommands() {
		fmt.Fprintf(w, "  %-20s %s\n", strings.TrimSpace(`\`+c.name+" "+c.args), c.short)
	}
	fmt.Fprint(w, `A statement may go over several lines and ends with a semicolon:
  SHOW VARIABLES;
  SELECT kv.n FROM kv
  WHEN kv.n < MAX(kv.n);
TAB completes keywords, functions and what the recording has. Ctrl-C ends a search,
whose rows so far are shown, or drops what is typed; arrow-up finds it again.
`)
	return nil
}

func (k *console) set(args []string) error {
	flags := k.c.Flags()
	if len(args) == 0 {
		for _, name := range settings {
			value := flags.Lookup(name).Value.String()
			if value == "" || value == "0s" {
				value = "none"
			}
			fmt.Fprintf(k.c.OutOrStdout(), "  %-18s %s\n", name, value)
		}
		return nil
	}
	name := strings.TrimLeft(args[0], "-")
	if !slices.Contains(settings, name) {
		hint := ""
		if near, ok := syntax.Nearest(name, settings); ok {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		return fmt.Errorf(`no setting %s%s: there are %s`, name, hint, strings.Join(settings, ", "))
	}
	if len(args) != 2 {
		return fmt.Errorf(`want \set %s VALUE`, name)
	}
	return k.change(name, args[1])
}

// change changes a setting, or leaves all as it was.
func (k *console) change(name, value string) error {
	if value == "none" {
		value = "0"
	}
	old := *k.flags
	err := k.c.Flags().Set(name, value)
	if err == nil && !slices.Contains(outputs, k.flags.output) {
		err = fmt.Errorf("want %s", strings.Join(outputs, ", "))
	}
	if err == nil {
		err = k.flags.check()
	}
	if err != nil {
		*k.flags = old
		return fmt.Errorf(`\set %s %s: %w`, name, value, err)
	}
	return nil
}

func (k *console) readFile(args []string) error {
	if len(args) != 1 {
		return errors.New(`want \read FILE`)
	}
	b, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	if len(b) > syntax.MaxText {
		return fmt.Errorf("%s has %s; what is read has at most %s", args[0], bytesText(int64(len(b))), bytesText(syntax.MaxText))
	}
	if strings.TrimSpace(string(b)) == "" {
		return fmt.Errorf("%s is empty: there is nothing to ask", args[0])
	}
	all, err := statementsOf(args[0], string(b))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return k.flags.askAll(ctx, k.c, k.o, all)
}

// complete is the prompt's Completer.
func (k *console) complete(line string, pos int) (head string, candidates []string, tail string) {
	pos = min(max(pos, 0), len(line))
	if k.typed == "" && strings.HasPrefix(line, `\`) {
		return completeCommand(line, pos)
	}
	before := ""
	if k.typed != "" {
		before = k.typed + "\n"
	}
	start, candidates := completion.Statement(k.known(), before+line, len(before)+pos)
	for i := range candidates {
		candidates[i] = termtext.Printable(candidates[i])
	}
	return line[:max(start-len(before), 0)], candidates, line[pos:]
}

// completeCommand completes a command, or the setting of \set.
func completeCommand(line string, pos int) (head string, candidates []string, tail string) {
	start := strings.LastIndexByte(line[:pos], ' ') + 1
	var words []string
	switch fields := strings.Fields(line[:start]); {
	case len(fields) == 0:
		for _, c := range consoleCommands() {
			words = append(words, `\`+c.name)
		}
	case len(fields) == 1 && fields[0] == `\set`:
		words = settings
	case len(fields) == 2 && fields[0] == `\set` && fields[1] == "output":
		words = outputs
	}
	for _, w := range words {
		if strings.HasPrefix(w, line[start:pos]) {
			candidates = append(candidates, w)
		}
	}
	return line[:start], candidates, line[pos:]
}

// known is what the opened History has.
func (k *console) known() *completion.Known {
	meta := k.o.Source.Meta()
	known := &completion.Known{Times: []string{meta.First.Time.String(), meta.Last.Time.String()}, Event: k.events}
	for i := range meta.Vars {
		known.Vars = append(known.Vars, meta.Vars[i].Name)
	}
	for i := range meta.Nodes {
		known.Nodes = append(known.Nodes, meta.Nodes[i].Name)
	}
	return known
}

// eventsWait is how long TAB may look for the names of events.
const eventsWait = 500 * time.Millisecond

// events are the names of events, looked for once, as far as that goes fast.
func (k *console) events() []string {
	if k.kinds != nil {
		return k.kinds
	}
	k.kinds = []string{}
	ctx, stop := context.WithTimeout(context.Background(), eventsWait)
	defer stop()
	q, err := rql.Compile(k.o.Source.Meta(), "SHOW EVENTS")
	if err != nil {
		return nil
	}
	src := history.NewCounted(k.o.Source) // it ends with ctx
	_, err = q.Run(ctx, src, rql.Options{}, func(r *rql.Row) error {
		for _, f := range r.Fields() {
			if name := plainText(f.Value); (f.Name == "event" || f.Name == "kind" || f.Name == "name") && name != "null" && !strings.Contains(name, "*") {
				k.kinds = append(k.kinds, name)
			}
		}
		return nil
	})
	if err != nil {
		return nil // it takes too long
	}
	slices.Sort(k.kinds)
	k.kinds = slices.Compact(k.kinds)
	return k.kinds
}
