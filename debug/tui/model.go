package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"hindcast.dev/debug"
	"hindcast.dev/debug/timeline"
	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

// queueMax bounds the commands that wait for the one that runs.
const queueMax = 200

// tickEvery is how often the screen is drawn anew while something goes on beside it.
const tickEvery = 200 * time.Millisecond

// A model is all that the screen shows. It is changed by Update alone; what takes
// time is done beside it, and its result comes as a message.
type model struct {
	o      Options
	look   look
	work   *workshop
	survey *debug.Survey
	w, h   int

	meta   *history.Meta
	at     history.Position // the session's, as far as it is known here
	lane   int              // the node that is chosen
	marks  []debug.Mark
	nearby nearby
	global global

	live    *debug.LiveStatus // how far what grows is, as told last; nil of what doesn't
	waiting bool              // for more of it
	grown   bool              // there is more of it than the session has seen

	running *job // the command that runs
	queue   []job
	loading [2]bool // nearby, global: one is under way
	ticking bool
	every   time.Duration // between ticks; 0: nothing comes by itself, in tests
	ended   bool          // ctrl-c has ended a command: another quits
	failed  error
	quitNow func() // quits from where no command can be returned; nil in tests

	focus   int // 0 is the main area, 1 the side
	alone   bool
	side    pane
	sides   [panes]list
	help    *list
	console console
	tree    tree
	diagram diagramView
	scope   scope
	line    *lineEditor
	typed   map[rune][]string // the lines typed before

	hits    hits
	watched []string
	message message
}

// A message is what the last line says.
type message struct {
	text string
	bad  bool
}

// A job is a command for the session.
type job struct {
	line   string
	typed  bool // by hand: its whole answer is wanted
	looks  bool // by nobody: what grows is looked at again
	begun  time.Time
	cancel context.CancelFunc
}

// answered is what became of a job.
type answered struct {
	job    job
	answer *debug.Answer
	err    error
	at     history.Position
	marks  []debug.Mark
	src    history.Source
}

// surveyed says that the survey is over.
type surveyed struct{ err error }

// tick draws the screen anew, and grown says that there is more to draw.
type (
	tick  struct{}
	grown struct{}
)

func newModel(ctx context.Context, o Options) *model {
	s := o.Session
	src := s.Source()
	m := &model{o: o, meta: src.Meta(), typed: map[rune][]string{}, message: message{text: o.Greeting}}
	m.look = look{ascii: o.Plain, colour: variable(o.Environ, "NO_COLOR") == ""}
	m.work = &workshop{ctx: ctx, src: src}
	m.work.replaced(s)
	if s.Live != nil {
		m.survey = debug.NewLiveSurvey(s.Live)
		s.Live, m.live = m.survey, &debug.LiveStatus{}
	} else {
		m.survey = debug.NewSurvey(src)
	}
	s.Index = m.survey.Index
	m.at, m.marks = s.Position(), s.Marks()
	m.nearby.at, m.global.at = m.at, m.at
	m.nearby.stale, m.global.stale = true, true
	m.lane = m.at.Node
	m.tree.init()
	m.scope.axis = timeline.Time
	m.every = tickEvery
	return m
}

// Init implements tea.Model.
func (m *model) Init() tea.Cmd {
	survey := m.work.do(func(ctx context.Context) tea.Msg { return surveyed{m.survey.Run(ctx)} })
	return tea.Batch(survey, m.await(), m.load(), m.tick())
}

// Update implements tea.Model. A panic ends the program in order.
func (m *model) Update(msg tea.Msg) (same tea.Model, cmd tea.Cmd) {
	same = m
	defer func() {
		if r := recover(); r != nil {
			m.failed = failure(r)
			cmd = tea.Quit
		}
	}()
	if m.failed != nil {
		return m, nil // what is left is the end
	}
	return m, m.update(msg)
}

func (m *model) update(msg tea.Msg) (cmd tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
	case tea.KeyPressMsg:
		cmd = m.press(msg)
	case tea.PasteMsg:
		if m.line != nil {
			m.line.insert(msg.Content)
		}
	case answered:
		cmd = m.answered(msg)
	case nearLoaded:
		m.loading[0] = false
		m.nearLoaded(nearby(msg))
	case globalLoaded:
		m.loading[1] = false
		m.globalLoaded(global(msg))
	case surveyed:
		if msg.err != nil && m.work.ctx.Err() == nil {
			m.message = message{"the overview can't be drawn: " + msg.err.Error(), true}
		}
		m.nearby.stale = true // now it is known why messages were lost
	case tick:
		m.ticking = false
	case grown:
		m.waiting, m.grown = false, true
	case failed:
		m.failed = msg.err
		return tea.Quit
	}
	m.settle()
	return tea.Batch(cmd, m.await(), m.lookAgain(), m.load(), m.tick())
}

// settle brings what is derived from the rest up to date.
func (m *model) settle() {
	m.settleDiagram()
	m.settleScope()
	m.settleSides()
}

// tick has the screen drawn anew before long if something goes on.
func (m *model) tick() tea.Cmd {
	if m.ticking || m.every == 0 || m.running == nil && m.survey.Progress().Step == debug.SurveyReady {
		return nil
	}
	if p := m.survey.Progress(); m.running == nil && p.Err != nil {
		return nil
	}
	m.ticking = true
	return m.work.do(func(ctx context.Context) tea.Msg {
		t := time.NewTimer(m.every)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		return tick{}
	})
}

// press carries out a key.
func (m *model) press(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	if m.line != nil {
		return m.edit(k)
	}
	if m.message = (message{}); m.running == nil {
		m.ended = false
	}
	for _, entry := range keyTable() {
		for _, n := range entry.keys {
			if n == name {
				return entry.do(m)
			}
		}
	}
	return nil
}

// ask has the session carry out a line that a key stands for.
func (m *model) ask(line string) tea.Cmd { return m.enqueue(job{line: line}) }

// command has the session carry out a line that was typed.
func (m *model) command(line string) tea.Cmd { return m.enqueue(job{line: line, typed: true}) }

func (m *model) enqueue(j job) tea.Cmd {
	if m.running != nil {
		if len(m.queue) < queueMax {
			m.queue = append(m.queue, j)
		}
		return nil
	}
	ctx, cancel := context.WithCancel(m.work.ctx)
	j.cancel, j.begun = cancel, time.Now()
	m.running = &j
	s := m.o.Session
	return m.work.do(func(context.Context) tea.Msg {
		defer cancel()
		a, err := s.Ask(ctx, j.line)
		return answered{j, a, err, s.Position(), s.Marks(), s.Source()}
	})
}

// answered shows what a command said, and begins the next one.
func (m *model) answered(a answered) tea.Cmd {
	m.running = nil
	if errors.Is(a.err, debug.ErrQuit) {
		return tea.Quit
	}
	m.takeIn(a)
	m.marks = a.marks
	m.tell(a)
	m.grown = m.grown || m.live != nil && !a.job.looks // it may have begun to follow, or ceased to
	if len(m.queue) == 0 {
		return nil
	}
	next := m.queue[0]
	m.queue = m.queue[1:]
	return m.enqueue(next)
}

// takeIn goes to where the session is.
func (m *model) takeIn(a answered) {
	m.work.goOn(a.src)
	meta := a.src.Meta()
	moved := a.at != m.at
	if moved || meta != m.meta {
		m.meta = meta
		ahead := len(m.nearby.rows) > 0 && m.nearby.rows[len(m.nearby.rows)-1].Position.Compare(m.nearby.at) > 0
		m.nearby.stale = moved || m.live == nil || !ahead || !m.nearby.full
		m.global.stale = moved || m.live == nil
	}
	if !moved {
		return
	}
	if m.at = a.at; m.at != history.Begin {
		m.lane = m.at.Node
	}
	if a.answer.Moved && !a.job.looks {
		m.watched = watchedIn(a.answer, m.textColumns(), m.o.Plain)
	}
}

// textColumns is how wide texts of commands are made.
func (m *model) textColumns() int { return max(m.sideColumns(), 20) }

// watchedIn are the lines about what is watched, in the answer of a command that
// went somewhere.
func watchedIn(a *debug.Answer, width int, plain bool) (lines []string) {
	for _, p := range a.Parts {
		if _, ok := p.(*debug.Variable); ok {
			lines = append(lines, strings.TrimRight(debug.PartText(p, width, plain), "\n"))
		}
	}
	return lines
}

// tell puts an answer where it belongs: a place into the last line, all else into
// the pane of answers.
func (m *model) tell(a answered) {
	if a.job.looks {
		m.tellLive(a)
		return
	}
	var short []string
	long := false
	for _, p := range a.answer.Parts {
		switch p := p.(type) {
		case *debug.Remark:
			short = append(short, p.Text)
			long = long || strings.Contains(p.Text, "\n")
		case *debug.Event:
			long = long || p.Whole
			short = append(short, firstLine(debug.PartText(p, m.textColumns(), m.o.Plain)))
		case *debug.Mark:
			short = append(short, fmt.Sprintf("%s is marked %s", p.Place, p.Name))
			long = long || a.job.line == "marks"
		case *debug.Variable:
			long = long || !a.answer.Moved
		default:
			long = true
		}
	}
	if !a.job.typed {
		long = false
		for _, p := range a.answer.Parts {
			_, stop := p.(*debug.Stop)
			if stop {
				short = append(short, firstLine(debug.PartText(p, m.textColumns(), m.o.Plain)))
			}
		}
	}
	m.message = message{text: strings.Join(short, "  ")}
	switch {
	case errors.Is(a.err, context.Canceled):
		m.message = message{text: "interrupted: the place is unchanged", bad: true}
	case a.err != nil:
		m.message = message{text: firstLine(a.err.Error()), bad: true}
		long = long || strings.Contains(a.err.Error(), "\n")
	}
	m.hits.after(a)
	if !long {
		return
	}
	m.console.add(a, m.textColumns(), m.o.Plain)
	m.side = paneQuery
	m.sides[paneQuery].toLast = true
	if m.console.leads() {
		m.focus = 1 // Enter goes to what was found
	}
	if a.err == nil {
		m.message = message{}
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// stepOn and stepBack go over one event of the whole system.
func (m *model) stepOn() tea.Cmd   { return m.ask("step") }
func (m *model) stepBack() tea.Cmd { return m.ask("back") }

// stepLane goes to the next or last event of the chosen lane.
func (m *model) stepLane(command string) tea.Cmd {
	if len(m.meta.Nodes) == 0 {
		return nil
	}
	return m.ask(command + " " + m.nodeName(m.lane))
}

func (m *model) nodeName(n int) string { return termtext.Name(m.meta.Nodes[n].Name) }

// placeText is a position as goto reads it.
func (m *model) placeText(p history.Position) string {
	if p == history.Begin {
		return "START"
	}
	return fmt.Sprintf("%s:%d", m.nodeName(p.Node), p.Seq)
}

// escape closes what is on top: help, a search, a command that runs.
func (m *model) escape() tea.Cmd {
	switch {
	case m.help != nil:
		m.help = nil
	case m.running != nil && !m.running.looks:
		m.stop()
	case m.tree.filter != "":
		m.tree.filter = ""
		m.tree.stale = true
	case m.alone:
		m.alone = false
	default:
		m.message = message{}
		m.hits = hits{}
	}
	return nil
}

// stop ends the command that runs, and forgets those that wait.
func (m *model) stop() {
	m.queue = nil
	m.running.cancel()
}

// interrupt ends the command that runs; if none runs, or it was ended just now, it
// quits.
func (m *model) interrupt() tea.Cmd {
	if m.running == nil || m.running.looks || m.ended {
		return m.quit()
	}
	m.ended = true
	m.stop()
	return nil
}

func (m *model) quit() tea.Cmd {
	if m.help != nil {
		m.help = nil
		return nil
	}
	m.queue = nil
	if m.running != nil {
		m.running.cancel()
	}
	return tea.Quit
}
