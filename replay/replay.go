// Package replay turns journals into a History: every recorded event is stepped
// again through the code that handled it, and what came of it (effects, changes
// of every variable) is written down. The digest chain in the journal is
// compared at every event, so that code which isn't deterministic, or isn't the
// code that ran, is caught at the first event that differs.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// Options say how journals are replayed. Registry is required by all but Open.
type Options struct {
	// Service is the name under which the machines of Registry are known: a
	// recording of another service isn't replayed with them.
	Service  string
	Registry machine.Registry
	// Build names the code in Registry. It is the name of the History made.
	Build string
	// Exec is a program that has the machines: the service's own binary, of the
	// build to replay with. Open then runs "EXEC replay DIR" instead of replaying
	// itself. It comes from the user; none found in a recording is ever run.
	Exec string
	// Command is what the user typed, like "hindcast query", for remedies; "" is
	// "hindcast debug".
	Command string
	// PullTo is a directory for the recording that is pulled when Open is given the
	// addresses of live nodes; Token is for them.
	PullTo, Token string
	// SkipBad leaves out malformed lines of a History in text form; how many, its
	// Meta and the warnings say.
	SkipBad bool
	// Foreign reads a file that is not the text form of a History, whose first line
	// it is given: somebody else's log. It returns nil if it knows none such. May be
	// nil.
	Foreign func(file string, r io.Reader) (*history.Mem, error)
	// FS is where Open looks; nil is the real one.
	FS vfs.FS
	// Walk names variables (log.name) whose plain maps and slices are compared entry
	// by entry after every event, however large. The History made so is kept beside
	// the one without.
	Walk []string
	// Again replays also where a History made by the same build is there already,
	// and puts the new one in its place.
	Again bool
	// Begin is called before replay begins, with the variables that are walked in
	// it; not if a History that is there is reused. May be nil.
	Begin func(walked []string)
	// Memory keeps the History in memory, instead of writing it into the recording.
	Memory bool
	// Lean leaves out of the History what events carried, their ids and their
	// effects: it is enough for conditions over variables, but for those of log net.
	Lean bool
	// Last, if not nil, is given the stepper behind the last event of a node whose
	// journal could be replayed up to its end.
	Last func(node string, st *stepper.Stepper)
	// Workers bounds the nodes replayed at once; 0 is the number of processors.
	Workers int
	// Progress is told from time to time how far each node is, by one goroutine at a
	// time. May be nil.
	Progress func(Progress)

	onEvent func() // for tests: after each event
}

// A Progress says how far the replay of one node is.
type Progress struct {
	Node        string
	Done, Total uint64 // events; Total as far as is known
}

// A Journal is what is replayed of one node.
type Journal struct {
	Node        string
	Build       string // that recorded it, "" if unknown
	FS          vfs.FS
	Dir         string // of the journal
	Checkpoints string // their directory, "" if there are none
	// Gaps are what its recording is known to lack.
	Gaps []Gap

	snapshot *snapshot // nil but in one
}

// A Gap is a span of time for which something is missing, and why. The zero Span
// is what comes after the end of the journal.
type Gap struct {
	Span   history.Span
	Reason string
}

// A Result says how the replay of one node went. Events that could not be
// replayed are unknown in the History.
type Result struct {
	Node   string
	Events uint64 // in the History
	First  uint64 // sequence numbers of the first and last of them, 0 if there is none
	Last   uint64
	// Base is the sequence number of the checkpoint that replay began with, 0 if it
	// began with the first event.
	Base     uint64
	Problems []Problem // in the order in which they were met
}

// A Problem is why something of a node is not, or not rightly, replayed.
type Problem struct {
	Node string
	Seq  uint64 // the event concerned, 0 if it is none
	// Err is a *stepper.DivergenceError (the replay gave something else than the
	// node), a *stepper.PanicError or *stepper.LimitError (the node died of this
	// event), a *journal.FileError (damage), or another error with its remedy.
	Err error
}

func (p Problem) String() string {
	if p.Seq == 0 {
		return fmt.Sprintf("node %s: %v", p.Node, p.Err)
	}
	return fmt.Sprintf("node %s, event %d: %v", p.Node, p.Seq, p.Err)
}

// Divergence returns the first divergence, nil if there is none.
func (r *Result) Divergence() *stepper.DivergenceError {
	for _, p := range r.Problems {
		var d *stepper.DivergenceError
		if errors.As(p.Err, &d) {
			return d
		}
	}
	return nil
}

// Node replays one node's journal into w, and closes it. It begins with the
// first event, or, where retention has removed that, with the earliest
// checkpoint from which the journal goes on. Where it can't go on it says so in
// the Result, and goes on from the next checkpoint behind that place.
//
// Sequence numbers in the History are those of the journal. Between a node's
// last event and its next boot node.up is false: the change stands at that last
// event, whether the node was stopped or died.
//
// With a nil w no History is made: the digests are compared, and that is all.
//
// The error is that of ctx or of w, or says that the machines' code isn't the
// right one: *stepper.VersionError, *stepper.RollbackError or
// *stepper.UpgradeError.
func Node(ctx context.Context, j Journal, w history.NodeWriter, o Options) (Result, error) {
	p := &player{ctx: ctx, o: o, j: j, w: w, vars: map[string]history.VarID{}, res: Result{Node: j.Node}}
	if w == nil {
		p.w, p.blind = discard{}, true
		w = p.w
	}
	err := p.run()
	if err2 := w.Close(); err == nil && err2 != nil {
		err = fmt.Errorf("replay of node %s: %w", j.Node, err2)
	}
	return p.res, err
}

// discard is a NodeWriter for who wants no History.
type discard struct{}

func (discard) Var(string) history.VarID                           { return 0 }
func (discard) Base(uint64, hlc.Timestamp, []history.Change) error { return nil }
func (discard) Append(*history.Event) error                        { return nil }
func (discard) Unknown(history.Span, string) error                 { return nil }
func (discard) Bulky(history.VarID, hlc.Timestamp) error           { return nil }
func (discard) Close() error                                       { return nil }

// stepperOptions are those for one node. A player that writes nothing wants no
// changes.
func (o *Options) stepperOptions(node string, p *player) stepper.Options {
	so := stepper.Options{Node: node, Registry: o.Registry, Stack: debug.Stack}
	if !p.blind {
		so.OnChange = p
	}
	if len(o.Walk) > 0 {
		so.Walk = func(variable string) bool { return slices.Contains(o.Walk, variable) }
	}
	return so
}

func (o *Options) begin() {
	if o.Begin != nil {
		o.Begin(o.Walk)
	}
}

// untilEnd is the span from t on.
func untilEnd(t hlc.Timestamp) history.Span { return history.Span{From: t, To: hlc.Max} }
