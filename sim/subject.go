package sim

import (
	"time"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
)

// A Subject is a system that is simulated and judged: its machines, and a Setup
// that puts them into a world with clients and properties.
type Subject struct {
	Name     string
	Doc      string // one sentence
	Machines machine.Registry
	// Setup is called once for each run, at virtual time 0. It draws the run's own
	// options (World.Int and its kin), makes nodes and clients and states
	// properties. It must depend on the world alone.
	Setup func(w *World)
}

// Options say how a Subject is run. The zero value draws everything from seed 0.
// As JSON they are all that decides a run of a build.
type Options struct {
	Seed uint64 `json:"seed"`
	// Set fixes draws by name, instead of drawing them from the seed: what a person
	// said with --set, or what shrinking found.
	Set map[string]string `json:"set,omitempty"`
	// Properties are demanded besides those of the subject.
	Properties []Property `json:"properties,omitempty"`
	// Faults, if not nil, is the schedule of faults, instead of the one drawn.
	Faults []Fault `json:"faults"`
	// Plan, if not nil, says what clients do and when the faults end.
	Plan *Plan `json:"plan,omitempty"`
	// Reseed draws everything that is decided from a moment on from another seed.
	Reseed *Reseed `json:"reseed,omitempty"`
	// EventsMax is how many events the world may have: a run that has more fails. 0 is
	// DefaultEventsMax.
	EventsMax uint64 `json:"eventsMax,omitempty"`
	// Trace is told every event of the world before it happens, in words. nil costs
	// nothing; it doesn't change the run.
	Trace func(Line) `json:"-"`
	// Fingerprints keeps the hash after every event in Result.Fingerprints.
	Fingerprints bool `json:"-"`
	// Stop ends the run early when it returns true; it is asked now and then. What
	// the Result then says is undecided. May be nil.
	Stop func() bool `json:"-"`
	// Quick leaves out what is judged after the run: replay, RQL properties and
	// operation checkers. Invariants in Go are still looked at.
	Quick bool `json:"-"`
	// Floors makes a run that exercised too little to count (Result.Counted) fail.
	Floors bool `json:"-"`
	// Watch, if not nil, looks whether the run gets on.
	Watch *Watch `json:"-"`

	pulse *pulse // what Watch looks at
}

// A Reseed is a branch in a run: up to event At all is as it was, then another
// seed decides.
type Reseed struct {
	At   uint64 `json:"at"` // number of the world's event
	Seed uint64 `json:"seed"`
	// KeepFaults leaves the schedule as it is; else the faults that are still to come
	// are drawn anew.
	KeepFaults bool `json:"keepFaults,omitempty"`
}

// A Line is one event of the world in words.
type Line struct {
	N    uint64        // its number, from 1
	At   time.Duration // virtual time
	Node string        // "" for none
	Text string
	Hash uint64 // of the run, after the event before it
}

// A FailureKind is what a run failed at; each has an exit code of its own.
type FailureKind string

// The kinds of Failure.
const (
	Safety         FailureKind = "safety"          // a property doesn't hold
	Liveness       FailureKind = "liveness"        // no progress after the core healed, or no convergence
	Crash          FailureKind = "crash"           // a machine panicked, or a node couldn't recover
	Divergence     FailureKind = "divergence"      // replay gave something else
	Nondeterminism FailureKind = "non-determinism" // the same seed gave another run
	Coverage       FailureKind = "coverage"        // the run exercised too little to count
)

// A Failure is what was wrong with a run: the first thing.
type Failure struct {
	Kind     FailureKind   `json:"kind"`
	Property string        `json:"property"` // its name; what shrinking keeps
	Text     string        `json:"text"`     // explained, perhaps in several lines
	Event    uint64        `json:"event"`    // of the world, after which it was seen
	At       time.Duration `json:"at"`       // virtual time
	// Node and Seq are the node's event at which it shows, "" and 0 if there is no
	// single one: where the debugger opens.
	Node string `json:"node,omitempty"`
	Seq  uint64 `json:"seq,omitempty"`
}

func (f *Failure) Error() string { return string(f.Kind) + ": " + f.Property + ": " + f.Text }

// A Result is what came of a run.
type Result struct {
	Subject string
	Seed    uint64
	Hash    uint64 // over all events of the run, in order
	Drawn   []Drawn
	Unused  []string // of Options.Set: what this run doesn't draw
	Faults  []Fault  // the schedule
	Failure *Failure
	Stopped bool // by Options.Stop: nothing was decided
	// Undecided says which judge ran into its bound, "" if all have decided. A run
	// without a Failure that is undecided is no pass.
	Undecided string
	// Warnings say in sentences what the judges couldn't look at.
	Warnings []string

	Events     uint64        // of the world
	Steps      uint64        // events that machines handled, and notes, on all nodes
	Simulated  time.Duration // virtual time
	Healed     time.Duration // when the faults ended; 0 if the run ended before
	Operations []check.Operation
	Happened   map[FaultKind]int // faults that took effect, by kind
	Coverage   CoverageReport
	// Sometimes tells of every `sometimes` property whether it held in this run.
	Sometimes map[string]bool
	// Vacuous are properties that said nothing of this run, and why: what they speak
	// of wasn't there. One that says nothing of any run can't fail.
	Vacuous      map[string]string
	Checks       []check.Result
	Fingerprints []uint64

	world   *World
	options Options
	full    *history.Mem // made when it is first asked for
	mended  hlc.Timestamp
}

// World is the world as the run left it: for tests that look at nodes afterwards.
func (r *Result) World() *World { return r.world }

// A Drawn is an option of a run.
type Drawn struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Range string `json:"range"` // what it was drawn from
	Set   bool   `json:"set,omitempty"`
}

// An Op is something that a client asks a node.
type Op struct {
	F   string // what it is to the checkers: "read", "write", "cas"…
	Key string // the object; "" where there is but one
	// Input is what is asked, for the checkers. In the recording an object with a
	// field "value" is that value, with its other fields beside it; so is an Output.
	Input event.Value
	// Node is asked; "" is one at random among those that Client.Nodes names.
	Node    string
	Machine string        // on that node
	Body    any           // a payload that the machine registered
	Timeout time.Duration // when the client gives up; 0 is the workload's
}

// An Answer is what a client got.
type Answer struct {
	Body any // decoded; nil if there is none
	// Refused is why the node didn't take the request, "" if it did.
	Refused string
	// Lost: nothing came in time, or the node went down; the operation may have
	// happened, or may yet happen.
	Lost bool
	Node string
}

// A Finding is what a workload makes of an Answer.
type Finding struct {
	Outcome check.Outcome
	Output  event.Value // for the checkers; Absent if there is none
	// Again asks once more, as the same operation: after a while, and of Node if that
	// isn't "". Outcome and Output are ignored.
	Again bool
	After time.Duration
	Node  string
}

// A Workload is what clients do: each does one operation at a time.
type Workload struct {
	Clients int
	// Think is the mean time between two operations of a client.
	Think   time.Duration
	Timeout time.Duration // 0 is 1 s
	// Takes is about how long an operation takes among faults. Faults are spread over
	// the time that all operations take by that. 0 is a few messages and syncs.
	Takes time.Duration
	// Next draws the next operation from c.Rand.
	Next func(c *Client) Op
	// Found judges an answer; it isn't asked for a Lost one, which is Info.
	Found func(c *Client, op *Op, a Answer) Finding
}
