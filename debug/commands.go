package debug

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"hindcast.dev/rql/syntax"
)

// A Command is one entry of the table that every face of the debugger reads:
// scripts, prompt, page and terminal. Help and documentation are made from it.
type Command struct {
	Name     string   `json:"name"`
	Aliases  []string `json:"aliases,omitempty"`
	Args     string   `json:"args,omitempty"` // as shown after the name
	Short    string   `json:"short"`          // one line
	Long     string   `json:"long,omitempty"` // more, "" if Short says it all
	Examples []string `json:"examples,omitempty"`

	run     func(ctx context.Context, s *Session, args string) error
	travels bool // through what was: undo and redo, which can't be undone
}

// Commands returns the table, in the order in which help shows it.
func Commands() []Command {
	return []Command{
		{Name: "nodes", Short: "list the nodes, what is recorded of each and whether it is up here", run: runNodes},
		{Name: "goto", Aliases: []string{"g"}, Args: "TIME | NODE:SEQ | MARK | START | END | +DURATION | -DURATION", Short: "go to a moment, an event or a mark",
			Long:     "TIME is RFC 3339, with /LOGICAL if need be, a time of day (UTC, of the recording's day) or a decimal timestamp: the cut after the last event stamped at or before it.",
			Examples: []string{"goto n2:17", "goto 2026-11-21T19:46:53.123456Z/0", "goto 19:46:53.1", "goto -200ms"}, run: runGoto},
		{Name: "step", Aliases: []string{"s"}, Args: "[NODE] [N]", Short: "go on by one event of the whole system or of a node, or by N", run: runStep},
		{Name: "back", Aliases: []string{"b"}, Args: "[NODE] [N]", Short: "go back by one event of the whole system or of a node, or by N", run: runBack},
		{Name: "next", Aliases: []string{"n"}, Args: "[NODE]", Short: "go on to the next event of a node, or to the next match of the last motif", run: runNext},
		{Name: "prev", Aliases: []string{"p"}, Args: "[NODE]", Short: "go back to the last event of a node before this one, or to the last match of the motif", run: runPrev},
		{Name: "event", Aliases: []string{"e"}, Short: "show the event here: payload, effects, changes", run: runEvent},
		{Name: "state", Args: "[NODE] [PATH]", Short: "show variables at this cut, of all nodes or one, all or those below a path",
			Examples: []string{"state", "state n2", `state n2 kv.items["x"]`, `state kv.items["x"].version`}, run: runState},
		{Name: "diff", Aliases: []string{"d"}, Args: "[TIME | NODE:SEQ] [PATH]", Short: "show what the event here changed, or what differs between another cut and here, of all variables or one",
			Long:     "A variable that is too large to be compared after every event is compared when it is named here, in state or in a condition: the recording is replayed again for that.",
			Examples: []string{"diff", "diff n2:17", `diff n2:17 kv.items["x"]`}, run: runDiff},
		{Name: "cause", Aliases: []string{"c"}, Args: "[[NODE] PATH]", Short: "go to the event that caused this one, or follow a value back to where it came from",
			Long: "Alone it goes from a receive to its send, from a timer to its setting. With a variable, or a part of one, it goes back to the event that wrote what is there, from there with the message that brought the value, and so on, across nodes, " +
				"to the event that made it or took it from outside. A value is known again by being equal, and one that is found anywhere (a small number, true, an empty text) by its name too.",
			Examples: []string{"cause", `cause n3 kv.items["x"].value`}, run: runCause},
		{Name: "effects", Short: "show what the event here sent, and where and when it arrived or why not", run: runEffects},
		{Name: "where", Args: "CONDITION", Short: "run forward to the next cut at which a condition holds",
			Long:     "The condition is what stands after WHEN in RQL. If it holds here already, the run goes on to where it begins to hold again.",
			Examples: []string{"where (inv.a > 5) LINK SAME_NODE"}, run: runWhere},
		{Name: "rwhere", Args: "CONDITION", Short: "run backward to the last cut at which a condition held",
			Long:     "If it holds here, the run goes back past the beginning of that, to the last cut at which it held before.",
			Examples: []string{"rwhere kv.items[\"x\"].version = 2"}, run: runRWhere},
		{Name: "break", Args: "[where CONDITION | kind KIND | node NODE | message NAME | change [NODE] PATH]",
			Short:    "set a breakpoint, or list them",
			Long:     "It stops where a condition begins to hold, at a kind of event, at a node's events, where a message is sent or arrives, or where a variable changes.",
			Examples: []string{"break where MAX(kv.count) > 5", "break kind timer", "break node n2", "break message Replicate", `break change n2 kv.items["x"].version`}, run: runBreak},
		{Name: "delete", Args: "N | all", Short: "remove a breakpoint, or all", run: runDelete},
		{Name: "continue", Aliases: []string{"cont"}, Short: "run forward to the next breakpoint", run: runContinue},
		{Name: "rewind", Aliases: []string{"rw"}, Short: "run backward to the last breakpoint before here", run: runRewind},
		{Name: "find", Aliases: []string{"/"}, Args: "TEXT", Short: "go on to the next event with a text in its names, payload, effects or changes", Examples: []string{"find Replicate"}, run: runFind},
		{Name: "rfind", Args: "TEXT", Short: "go back to the last event before here with a text in it", run: runRFind},
		{Name: "motif", Args: "PATTERN [over PLACE to PLACE]", Short: "find a pattern of messages and events over several nodes, and go to the first match from here on",
			Long: "The pattern is written in steps, a -> b, b -> a, or is one of request-response, broadcast [N], gather [N]; or it is a drawing, as JSON. docs/debug.md tells it all. " +
				"Of the matches that begin with one event or message the first is told.",
			Examples: []string{"motif a -Put-> b, no b -> a within 200ms", "motif a -> b -> a", "motif a -x n3", "motif broadcast Replicate", "motif gather 2 within 50ms"}, run: runMotif},
		{Name: "query", Args: "STATEMENT", Short: "ask in RQL; shows the first 200 rows", Examples: []string{"query SHOW VARIABLES", "query SELECT kv.count FROM kv WHEN MAX(kv.count) > 5"}, run: runQuery},
		{Name: "print", Args: "EXPRESSION [over PLACE to PLACE]", Short: "show what an expression of RQL was from cut to cut, wherever it changed",
			Examples: []string{"print kv.count", "print MAX(kv.count) - MIN(kv.count) over 10:00:01 to n2:17"}, run: runPrint},
		{Name: "watch", Aliases: []string{"w"}, Args: "[PATH]", Short: "show a variable, or a part of one, wherever the session comes to; alone it shows what is watched", run: runWatch},
		{Name: "unwatch", Args: "PATH | all", Short: "show it no more", run: runUnwatch},
		{Name: "mark", Aliases: []string{"m"}, Args: "NAME [\"NOTE\"]", Short: "give this place a name, for goto, and a note", Examples: []string{`mark stale "n3 missed the write"`}, run: runMark},
		{Name: "note", Args: "MARK [\"NOTE\"]", Short: "give a mark another note, or none", Examples: []string{`note stale "the drop is at n1:838"`}, run: runNote},
		{Name: "marks", Short: "list the marks", run: runMarks},
		{Name: "unmark", Args: "NAME", Short: "remove a mark", run: runUnmark},
		{Name: "compare", Args: "OTHER", Short: "hold another recording or History against this one, and go to where a node first did something else",
			Long:     "The events of each node are compared one by one: kind, names, payload, effects and changes, but not times. Good for the same seed with and without a fix, or a run with and without the fault: hindcast sim --record keeps a run that holds. Of the node that parts first the events around are shown side by side: ≠ is where both did something else, - only here, + only there.",
			Examples: []string{"compare fixed.jsonl", "compare runs/seed-17-mended"}, run: runCompare},
		{Name: "whatif", Args: "--exec BINARY", Short: "replay the recording with another build, and go to where that would first have done something else", run: runWhatIf},
		{Name: "export", Args: "FORMAT FILE [over PLACE to PLACE]", Short: "write the present view as a page, or the History, or a stretch of it, for other tools",
			Long: "The formats are html, a page with the diagram, the event, the state of all nodes, the notebook and the last query, which opens without a server; jsonl, which hindcast opens again; perfetto, for ui.perfetto.dev; and shiviz. " +
				"A page needs no FILE: it is named after the place.",
			Examples: []string{"export html", "export html stale.html over -20ms to +20ms", "export perfetto trace.json", "export jsonl part.jsonl over -100ms to +100ms"}, run: runExport},
		{Name: "live", Short: "tell how far the nodes that are followed have told, and which aren't heard", run: runLive},
		{Name: "follow", Args: "[on | off]", Short: "keep the place at the end of what the nodes tell, until a command goes elsewhere",
			Long: "Of nodes that run. While the place follows the end, continue and where wait there for what comes, until Ctrl-C.", run: runFollow},
		{Name: "undo", Aliases: []string{"u"}, Args: "[N]", Short: "take back the last command that changed the place, breakpoints, marks or what is watched", run: runUndo, travels: true},
		{Name: "redo", Args: "[N]", Short: "do again what undo took back", run: runRedo, travels: true},
		{Name: "diagram", Args: "[N]", Short: "draw the N events around here in space and time (20)", run: runDiagram},
		{Name: "log", Args: "[N]", Short: "show the last N log lines and notes up to here (10)", run: runLog},
		{Name: "help", Aliases: []string{"h", "?"}, Args: "[COMMAND]", Short: "list the commands, or explain one", run: runHelp},
		{Name: "quit", Aliases: []string{"q", "exit"}, Short: "end the session", run: func(context.Context, *Session, string) error { return ErrQuit }},
	}
}

// lookup finds a command by name or alias.
func lookup(name string) (Command, error) {
	var names []string
	for _, c := range Commands() {
		if c.Name == name || slices.Contains(c.Aliases, name) {
			return c, nil
		}
		names = append(names, c.Name)
	}
	hint := "; help lists the commands"
	if near, ok := syntax.Nearest(name, names); ok {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return Command{}, commandErrorf(name, "no such command%s", hint)
}

func runHelp(_ context.Context, s *Session, args string) error {
	if args != "" {
		c, err := lookup(args)
		if err != nil {
			return err
		}
		s.say(&Help{Command: c, Whole: true})
		return nil
	}
	for _, c := range Commands() {
		s.say(&Help{Command: c})
	}
	return nil
}

// WriteDoc writes the command table as Markdown.
func WriteDoc(w io.Writer) error {
	fmt.Fprintln(w, "| command | short | what it does |")
	fmt.Fprintln(w, "|---|---|---|")
	for _, c := range Commands() {
		name := strings.TrimSpace(c.Name + " " + strings.ReplaceAll(c.Args, "|", `\|`))
		if _, err := fmt.Fprintf(w, "| `%s` | %s | %s |\n", name, strings.Join(c.Aliases, ", "), c.Short); err != nil {
			return err
		}
	}
	return nil
}
