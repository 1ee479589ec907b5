package sim

import (
	"time"

	"hindcast.dev/hlc"
	"hindcast.dev/journal"
)

// A run goes through phases:
//
//	start ─ faults ─────────────────── heal ──────────── quiet ───────── over
//	        clients work, until so     the core has no   clients stop,   all is
//	        many operations have       faults and must   everything is   judged
//	        begun                      make progress     mended, and
//	                                                     must converge
type phase uint8

const (
	phaseFaults phase = iota
	phaseHeal
	phaseQuiet
)

// Bounds of the phases, in virtual time.
const (
	warmUp        = 300 * time.Millisecond // the nodes start
	faultsMax     = 10 * time.Minute       // the faults end even if too few operations were done
	progressMax   = 60 * time.Second       // after the heal, until every client has had an answer
	convergeMax   = 60 * time.Second       // after all is mended
	convergeLook  = 100 * time.Millisecond // between two looks
	convergeLooks = 3                      // so many in a row must find all equal
)

// phases are how far a run is, and what holds in all of it.
type phases struct {
	over         bool
	fingerprints []uint64
	steps        uint64
	equal        int // looks in a row that found all converged
	healed       time.Duration
	core         []*Node
	mended       hlc.Timestamp // no Timestamp before all was mended is above; 0 before

	segmentBytes    int
	durability      journal.Durability
	checkpointEvery uint64
	shadows         bool // shadow replicas take the checkpoints
	settings        map[string]string
	diskBase        time.Duration
	diskJitter      time.Duration
	stack           func() []byte
}

// Setting is a setting that all machines see as Config; it is set in Setup.
func (w *World) Setting(key, value string) { w.phases.settings[key] = value }

// Run runs one seed of a subject on the calling goroutine, and judges it. The
// error is a mistake in the subject or the options; what the run found is in the
// Result.
func Run(s *Subject, o Options) (*Result, error) {
	o.pulse = o.Watch.begin(s, &o)
	defer o.Watch.end(o.pulse)
	w, err := prepare(s, o)
	if err != nil {
		return nil, err
	}
	w.begin()
	if w.misused != nil {
		return nil, w.misused
	}
	stopped := w.run()
	o.Watch.end(o.pulse) // judges may take their time, and have bounds of their own
	if w.misused != nil {
		return nil, w.misused
	}
	r := w.result(stopped)
	if !stopped {
		w.judge(r)
	}
	return r, w.misused
}

// prepare makes the world of a run, up to the moment when it begins.
func prepare(s *Subject, o Options) (*World, error) {
	w := newWorld(s, o)
	codecs, err := newCodecs(s.Machines)
	if err != nil {
		return nil, err
	}
	w.codecs = codecs
	w.draw()
	s.Setup(w)
	for _, p := range o.Properties {
		w.Demand(p)
	}
	w.checkGiven()
	return w, w.misused
}

func newWorld(s *Subject, o Options) *World {
	w := &World{options: o, subject: s, seed: o.Seed, byName: map[string]*Node{}}
	w.phases.settings = map[string]string{}
	w.hash = 0x9e3779b97f4a7c15
	return w
}

// draw draws what every run has.
func (w *World) draw() {
	p := &w.phases
	w.drawNetwork()
	p.segmentBytes = 64 << 10
	p.durability, _ = journal.ParseDurability(w.Pick("durability", "group", "group", "each"))
	p.checkpointEvery = uint64(w.Int("checkpointEvery", 50, 5000))
	p.shadows = w.Chance("shadows", 0.3)
	p.diskBase = w.Duration("disk.base", 10*time.Microsecond, 5*time.Millisecond)
	p.diskJitter = w.Duration("disk.jitter", time.Microsecond, 10*time.Millisecond)
}

// begin has everything start.
func (w *World) begin() {
	r := w.Rand("start")
	for _, n := range w.nodes {
		n.startIn(time.Duration(r.IntN(50)) * time.Millisecond)
	}
	w.nemesis.schedule(w)
	w.After(faultsMax, w.heal)
	if p := w.options.Plan; p != nil {
		w.After(p.Heal, w.heal)
	}
}

// heal ends the faults of a core of the nodes, and demands progress of it.
func (w *World) heal() {
	if w.phase != phaseFaults {
		return
	}
	w.phase, w.phases.healed = phaseHeal, w.Now()
	w.phases.core = w.nemesis.healCore(w)
	w.net.calm()
	if w.load != nil {
		w.load.asked = w.phases.core
		for _, c := range w.load.clients {
			c.ok = false
		}
	}
	w.After(progressMax, func() {
		if w.phase == phaseHeal {
			w.fail(&Failure{Kind: Liveness, Property: "the core makes progress", Text: w.stuck()})
		}
	})
	w.progressed()
}

// progressed looks whether the core has made the progress that is demanded.
func (w *World) progressed() {
	if w.phase != phaseHeal {
		return
	}
	if w.load != nil {
		for _, c := range w.load.clients {
			if !c.satisfied() {
				return
			}
		}
	}
	w.quiet()
}

// quiet stops the clients and mends everything.
func (w *World) quiet() {
	w.phase = phaseQuiet
	if w.load != nil {
		w.load.stopped = true
	}
	w.nemesis.healAll(w)
	w.phases.mended = w.latest()
	w.After(convergeMax, func() {
		if !w.phases.over {
			w.fail(&Failure{Kind: Liveness, Property: "everything comes to rest and converges", Text: w.judges.apart(w)})
		}
	})
	w.lookConverged()
}

// lookConverged ends the run when all is equal for a few looks in a row.
func (w *World) lookConverged() {
	if w.phases.equal++; w.judges.apart(w) != "" {
		w.phases.equal = 0
	}
	for _, n := range w.nodes {
		n.looked = n.Seq()
	}
	if w.phases.equal >= convergeLooks {
		w.phases.over = true
		return
	}
	w.After(convergeLook, w.lookConverged)
}

// steps is told that a node's loop has taken events in.
func (w *World) steps(n *Node, count uint64) {
	w.phases.steps += count
	n.moments = append(n.moments, moment{n.l.Seq(), w.events, w.now})
	w.cover.state(w, n)
	w.judges.look(w, n)
}

func (w *World) result(stopped bool) *Result {
	r := &Result{Subject: w.subject.Name, Seed: w.options.Seed, Hash: w.hash, Drawn: w.drawn, Faults: w.faults, Failure: w.failure,
		Stopped: stopped, Events: w.events, Steps: w.phases.steps, Simulated: w.Now(), Healed: w.phases.healed, Operations: w.operations(),
		Happened: w.nemesis.happened, Fingerprints: w.phases.fingerprints, Sometimes: map[string]bool{}, Vacuous: map[string]string{}, world: w}
	r.options, r.mended = w.options, w.phases.mended
	r.Coverage = w.cover.report(w)
	r.Unused = w.unused()
	return r
}
