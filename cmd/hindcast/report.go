package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"hindcast.dev/app"
	"hindcast.dev/examples/kv"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/recording"
	"hindcast.dev/replay"
	"hindcast.dev/rql"
	"hindcast.dev/vfs"
)

// demoQuery asks for the copies that were older than another's, and on which
// node: of every key, while the node was up.
const demoQuery = `SELECT kv.items[k].version FROM kv, node FOR EACH k IN KEYS(kv.items) ` +
	`WHEN (kv.items[k].version < MAX(kv.items[k].version) AND node.up) LINK SAME_NODE`

// windowsShown is how many windows are listed for a person.
const windowsShown = 8

// windowsTried is in how many of them a lost message is looked for.
const windowsTried = 100

// A result is what demo found out, in the form of --json.
type result struct {
	Dir        string            `json:"dir"`
	Seed       uint64            `json:"seed"`
	Recorded   recorded          `json:"recorded"`
	Operations operations        `json:"operations"`
	Faults     []fault           `json:"faults"`
	Causality  causality         `json:"causality"`
	Query      string            `json:"query"`
	Windows    []json.RawMessage `json:"windows"`
	Longest    *story            `json:"longest,omitempty"`
	Next       []string          `json:"next"`
	Serving    []serving         `json:"serving,omitempty"` // with --serve

	rows   []*rql.Row // longest first, as Windows
	teller *teller
	told   int // the row that Longest is of
	end    history.Position
}

type recorded struct {
	Events  uint64         `json:"events"`
	Bytes   int64          `json:"bytes"`
	Seconds float64        `json:"seconds"`
	Nodes   []recordedNode `json:"nodes"`
}

type recordedNode struct {
	Name   string        `json:"name"`
	Events uint64        `json:"events"`
	Skew   time.Duration `json:"skew_ns,omitempty"`
}

type operations struct {
	Clients  int   `json:"clients"`
	OK       int64 `json:"ok"`
	Degraded int64 `json:"degraded"`
	Failed   int64 `json:"failed"`
	Unknown  int64 `json:"unknown"`
}

type causality struct {
	Messages   uint64 `json:"messages"`
	Violations uint64 `json:"violations"`
}

// report replays the recording, asks the question and prints the answer.
func (d *demo) report(ctx context.Context) error {
	d.progress.step("replaying the journals into one History")
	opened, err := replay.Open(ctx, d.dir, replayOptions())
	if err != nil {
		return err
	}
	defer opened.Close()
	src := opened.Source
	r := &result{Dir: d.dir, Seed: d.seed, Faults: d.faults, Query: demoQuery, end: src.Meta().Last,
		Operations: operations{d.clients, d.load.ok.Load(), d.load.degraded.Load(), d.load.failed.Load(), d.load.unsure.Load()}}
	if err := d.measure(r, src.Meta()); err != nil {
		return err
	}
	d.progress.step("checking that no message was received before it was sent")
	c, err := replay.CheckCausality(ctx, src)
	if err != nil {
		return err
	}
	r.Causality = causality{c.Messages, uint64(len(c.Violations))}
	d.progress.step("asking every key")
	if err := r.ask(ctx, src); err != nil {
		return err
	}
	if len(r.rows) > 0 {
		if r.teller, err = newTeller(ctx, src); err != nil {
			return err
		}
		if err := r.tell(ctx, d.width()); err != nil {
			return err
		}
	}
	d.progress.done()
	if d.serve {
		for _, m := range d.cluster.members {
			r.Serving = append(r.Serving, serving{m.name, "http://" + m.http, "http://" + m.admin})
		}
	}
	if err := d.print(r); err != nil {
		return err
	}
	return r.verdict(d)
}

// me is how the user can call this program again: go run keeps it where nobody
// would find it.
func me() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/hindcast"
	}
	return os.Args[0]
}

func replayOptions() replay.Options {
	s := kv.Service()
	return replay.Options{Service: s.Name, Registry: s.Machines, Build: app.BuildID()}
}

// width is that of the terminal, for the diagram.
func (d *demo) width() int {
	if f, ok := d.out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return min(w, 160)
		}
	}
	return 100
}

// measure counts what was recorded.
func (d *demo) measure(r *result, meta *history.Meta) error {
	var first, last = meta.Last.Time, meta.First.Time
	for _, m := range d.cluster.members {
		i, ok := meta.NodeIndex(m.name)
		if !ok {
			return fmt.Errorf("node %s isn't in the recording", m.name)
		}
		n := meta.Nodes[i]
		bytes, err := journalBytes(filepath.Join(d.dir, "nodes", recording.Escape(n.Name), "journal"))
		if err != nil {
			return err
		}
		r.Recorded.Bytes += bytes
		r.Recorded.Events += n.Events
		r.Recorded.Nodes = append(r.Recorded.Nodes, recordedNode{n.Name, n.Events, m.skew})
		first, last = min(first, n.First.Time), max(last, n.Last.Time)
	}
	r.Recorded.Seconds = last.Sub(first).Seconds()
	return nil
}

// journalBytes adds up the frames of a node's journal, stamps included; the
// segments' files are longer, because they are laid out ahead.
func journalBytes(dir string) (sum int64, err error) {
	rd, err := journal.OpenReader(vfs.OS(), dir, 0)
	if err != nil {
		return 0, err
	}
	defer rd.Close()
	for {
		e, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return sum, nil
		}
		if err != nil {
			return sum, err
		}
		sum += int64(e.Length)
	}
}

// ask runs the query and sorts the windows, the longest first.
func (r *result) ask(ctx context.Context, src history.Source) error {
	q, err := rql.Compile(src.Meta(), demoQuery)
	if err != nil {
		return err
	}
	_, err = q.Run(ctx, src, rql.Options{}, func(row *rql.Row) error {
		r.rows = append(r.rows, row)
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(r.rows, func(a, b *rql.Row) int { return cmp.Compare(r.length(b), r.length(a)) })
	for _, row := range r.rows {
		r.Windows = append(r.Windows, row.AppendJSON(nil))
	}
	r.Next = []string{
		fmt.Sprintf("%s query %s 'SHOW VARIABLES'", me(), r.Dir),
		fmt.Sprintf("%s query %s '%s'", me(), r.Dir, demoQuery),
		fmt.Sprintf("%s debug %s", me(), r.Dir),
		fmt.Sprintf("%s debug --web --open %s", me(), r.Dir),
	}
	return nil
}

// tell finds the longest window in which a message was lost.
func (r *result) tell(ctx context.Context, width int) (err error) {
	for i, row := range r.rows[:min(len(r.rows), windowsTried)] {
		if r.Longest, err = r.teller.tell(ctx, row, width); err != nil {
			return err
		}
		if s := r.Longest; s != nil {
			r.told = i
			r.Next = append(r.Next, fmt.Sprintf(`printf 'goto %s:%d\neffects\ndiagram\n' | %s debug --script - %s`, s.Missed.Node, s.Missed.Seq, me(), r.Dir))
			return nil
		}
	}
	return nil
}

// serving is where a node that was left running can be reached.
type serving struct {
	Node  string `json:"node"`
	HTTP  string `json:"http"`
	Admin string `json:"admin"`
}

// length is how long a window lasted; one that is open lasts to the end.
func (r *result) length(row *rql.Row) time.Duration {
	if row.Open {
		return r.end.Time.Sub(row.From)
	}
	return row.To.Sub(row.From)
}

// verdict is nil if all that demo promises has happened.
func (r *result) verdict(d *demo) error {
	switch {
	case r.Causality.Violations > 0:
		return &app.ExitError{Code: app.ExitFound, Err: fmt.Errorf("%d messages were received before they were sent", r.Causality.Violations)}
	case r.Causality.Messages == 0 || d.load.ok.Load() == 0:
		return fmt.Errorf("nothing was driven: %d messages, %d operations", r.Causality.Messages, d.load.ok.Load())
	case len(r.rows) == 0:
		return fmt.Errorf("no window was found, although %s was cut off: try a longer --duration", d.cut.name)
	case r.Longest == nil:
		return fmt.Errorf("in none of the %d longest windows was a message lost, although %s was cut off: try a longer --duration", windowsTried, d.cut.name)
	}
	return nil
}

func (d *demo) print(r *result) error {
	if d.json {
		e := json.NewEncoder(d.out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	w := &strings.Builder{}
	r.printRecorded(w)
	r.printWindows(w)
	if r.Longest != nil {
		r.printLongest(w)
	}
	fmt.Fprintf(w, "\nGo on with\n")
	for _, n := range r.Next {
		fmt.Fprintf(w, "  %s\n", n)
	}
	_, err := io.WriteString(d.out, w.String())
	return err
}

func (r *result) printRecorded(w io.Writer) {
	fmt.Fprintf(w, "Recorded   %s events on %d nodes in %.1f s, %s of journal, in %s\n",
		thousands(r.Recorded.Events), len(r.Recorded.Nodes), r.Recorded.Seconds, bytesText(r.Recorded.Bytes), r.Dir)
	o := r.Operations
	fmt.Fprintf(w, "Clients    %d did %s operations: %s ok (%s of them degraded), %d failed, %d unknown\n",
		o.Clients, thousands(uint64(o.OK+o.Failed+o.Unknown)), thousands(uint64(o.OK)), thousands(uint64(o.Degraded)), o.Failed, o.Unknown)
	for i, f := range r.Faults {
		head := "           "
		if i == 0 {
			head = "Broken     "
		}
		fmt.Fprintf(w, "%s%s  %s %s\n", head, f.At.Format("15:04:05.000"), f.Node, f.What)
	}
	if len(r.Faults) > 0 {
		fmt.Fprintf(w, "           by this machine's clock; all times below are the nodes' hybrid logical clocks\n")
	}
	fmt.Fprintf(w, "Causality  %s messages, %d of them received before they were sent", thousands(r.Causality.Messages), r.Causality.Violations)
	for _, n := range r.Recorded.Nodes {
		if n.Skew != 0 {
			fmt.Fprintf(w, "; %s's clock is off by %s", n.Name, n.Skew)
		}
	}
	fmt.Fprintf(w, "\n\nAsked      When and where could a reader see a value older than another replica's?\n           %s\n", r.Query)
}

func (r *result) printWindows(w io.Writer) {
	fmt.Fprintf(w, "\nFound      %s windows, the longest first:\n\n", thousands(uint64(len(r.rows))))
	fmt.Fprintf(w, "  %-10s %-16s %-12s %-6s %s\n", "lasted", "from (UTC)", "key", "on", "cuts")
	for i, row := range r.rows {
		if i == windowsShown {
			fmt.Fprintf(w, "  … and %s more (--json, or the query below)\n", thousands(uint64(len(r.rows)-i)))
			break
		}
		on := cmp.Or(r.teller.on(row), row.Witness[0].Node)
		fmt.Fprintf(w, "  %-10s %-16s %-12s %-6s %d\n", r.length(row).Round(time.Microsecond*100), timeOfDay(row.From),
			row.Each.Value.AsString(), on, row.Cuts)
	}
}

func (r *result) printLongest(w io.Writer) {
	s := r.Longest
	which := "first"
	if r.told > 0 {
		which = fmt.Sprintf("first in which a message was lost (number %d)", r.told+1)
	}
	fmt.Fprintf(w, "\nThe %s of them: %s on %s\n\n", which, s.Key, s.Stale)
	for _, l := range s.Diagram {
		fmt.Fprintf(w, "  %s\n", l)
	}
	fmt.Fprintf(w, "\n  The write that %s missed: %s at %s:%d, %s\n", s.Stale, briefly(s.Missed.Value), s.Missed.Node, s.Missed.Seq, s.Missed.At)
	fmt.Fprintf(w, "  The message that was dropped: %s %s from %s to %s\n", s.Dropped.Name, s.Dropped.ID, s.Dropped.From, s.Dropped.To)
	for _, n := range s.Dropped.Notes {
		fmt.Fprintf(w, "    %s noted at %s: %s\n", n.Node, n.At, n.Reason)
	}
	lasted := time.Duration(s.Lasted * float64(time.Second)).Round(100 * time.Microsecond)
	if e := s.Ended; e != nil {
		fmt.Fprintf(w, "  %s was behind for %s, until %s at %s:%d, %s\n", s.Stale, lasted, e.Event, e.Node, e.Seq, e.At)
	} else {
		fmt.Fprintf(w, "  %s was behind for %s, to the end of the recording\n", s.Stale, lasted)
	}
}

// timeOfDay is the time of a Timestamp's text form, which rounds up: so that the
// debugger's goto finds the event by it.
func timeOfDay(t hlc.Timestamp) string {
	_, clock, _ := strings.Cut(t.String(), "T")
	clock, _, _ = strings.Cut(clock, "Z")
	return clock
}

func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func bytesText(n int64) string {
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
