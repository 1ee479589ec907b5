package motif

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A SyntaxError says what is wrong with a motif, and where.
type SyntaxError struct {
	Text   string
	Offset int // in bytes
	Msg    string
}

func (e *SyntaxError) Error() string {
	col := utf8.RuneCountInString(e.Text[:e.Offset]) + 1
	return fmt.Sprintf("motif, at column %d: %s", col, e.Msg)
}

// reserved are the words that a lane can't be called without quotes.
var reserved = map[string]bool{"no": true, "within": true, "x": true, "request-response": true, "broadcast": true, "gather": true}

// Parse reads a motif.
func Parse(text string) (*Motif, error) {
	p := &parser{text: text, m: &Motif{no: -1}, flights: map[string]int{}}
	if err := p.motif(); err != nil {
		return nil, err
	}
	if p.m.no < 0 {
		p.m.no = len(p.m.steps)
	}
	p.m.address()
	return p.m, nil
}

// address says of what is sent to which lane it goes, where that is said later, and
// not of what mustn't be.
func (m *Motif) address() {
	for i := range m.steps {
		end := m.no
		if i >= m.no {
			end = len(m.steps)
		}
		for j := i + 1; j < end && m.steps[i].act == sends && m.steps[i].to < 0; j++ {
			if r := &m.steps[j]; r.act == receives && r.flight == m.steps[i].flight {
				m.steps[i].to = r.lane
			}
		}
	}
}

type parser struct {
	text    string
	at      int
	m       *Motif
	flights map[string]int // by name
	known   []bool         // by flight: it was received
}

func (p *parser) errorf(format string, args ...any) error {
	return &SyntaxError{p.text, p.at, fmt.Sprintf(format, args...)}
}

func (p *parser) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t' || p.text[p.at] == '\n') {
		p.at++
	}
}

// take takes a token if it comes next.
func (p *parser) take(token string) bool {
	p.space()
	if strings.HasPrefix(p.text[p.at:], token) {
		p.at += len(token)
		return true
	}
	return false
}

// word takes a word that comes next, "" if none does.
func (p *parser) word() string {
	p.space()
	end := p.at
	for end < len(p.text) {
		r, n := utf8.DecodeRuneInString(p.text[end:])
		if !inWord(r) {
			break
		}
		end += n
	}
	w := p.text[p.at:end]
	p.at = end
	return w
}

// keyword takes a word if it is that one.
func (p *parser) keyword(want string) bool {
	at := p.at
	if strings.EqualFold(p.word(), want) {
		return true
	}
	p.at = at
	return false
}

// keywordAfterDash takes a dash and a word.
func (p *parser) keywordAfterDash(want string) bool {
	at := p.at
	if p.take("-") && p.keyword(want) {
		return true
	}
	p.at = at
	return false
}

func inWord(r rune) bool {
	return r == '_' || r == '.' || r == '/' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

func isWord(s string) bool {
	return s != "" && utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !inWord(r) }) < 0
}

// quoted takes a text in quotes, ok is false if none comes next.
func (p *parser) quoted(q byte) (s string, ok bool, err error) {
	p.space()
	if p.at == len(p.text) || p.text[p.at] != q {
		return "", false, nil
	}
	var b strings.Builder
	for i := p.at + 1; i < len(p.text); i++ {
		if p.text[i] != q {
			b.WriteByte(p.text[i])
			continue
		}
		if i+1 < len(p.text) && p.text[i+1] == q {
			b.WriteByte(q)
			i++
			continue
		}
		p.at = i + 1
		return b.String(), true, nil
	}
	return "", false, p.errorf("this quote isn't closed")
}

func (p *parser) motif() error {
	named, err := p.named()
	if err != nil {
		return err
	}
	for more := !named; more; more = p.take(",") {
		if p.m.no >= 0 {
			return p.errorf("what mustn't be comes last")
		}
		if p.keyword("no") {
			p.m.no = len(p.m.steps)
			if p.m.no == 0 {
				return p.errorf("before what mustn't be comes what must, like: a -> b, no b -> a")
			}
		}
		if err := p.chain(); err != nil {
			return err
		}
	}
	if p.keyword("within") {
		p.space()
		rest := strings.Fields(p.text[p.at:])
		if len(rest) == 0 {
			return p.errorf("want a duration, like 200ms")
		}
		if p.m.within, err = time.ParseDuration(rest[0]); err != nil || p.m.within <= 0 {
			return p.errorf("%q: want a duration, like 200ms", rest[0])
		}
		p.at += len(rest[0])
	}
	if p.space(); p.at < len(p.text) {
		return p.errorf("after a step comes an arrow, a comma or within")
	}
	if len(p.m.steps) > stepsMax {
		return p.errorf("more than %d steps", stepsMax)
	}
	return nil
}

// named reads one of the motifs that have names.
func (p *parser) named() (bool, error) {
	switch {
	case p.take("request-response"):
		rest := p.text[p.at:]
		m, err := Parse("a -> b -> a")
		p.m, p.at = m, len(p.text)-len(rest)
		return true, err
	case p.keyword("broadcast"):
		p.m.fan = &fan{}
	case p.keyword("gather"):
		p.m.fan = &fan{in: true}
	default:
		return false, nil
	}
	at := p.at
	if n, err := strconv.Atoi(p.word()); err != nil {
		p.at = at
	} else if p.m.fan.count = n; n < 1 {
		return true, p.errorf("want a number of nodes from 1 on")
	}
	var err error
	p.m.fan.want, err = p.constraint()
	return true, err
}

// constraint reads [ NAME ] [ "TEXT" ]. The word within is no name here.
func (p *parser) constraint() (c constraint, err error) {
	at := p.at
	quoted := false
	if c.name, quoted, err = p.quoted('\''); err != nil {
		return c, err
	}
	if !quoted {
		if c.name = p.word(); strings.EqualFold(c.name, "within") {
			c.name, p.at = "", at
		}
	}
	c.text, _, err = p.quoted('"')
	return c, err
}

// chain reads places with arrows between, or an event of a lane.
func (p *parser) chain() error {
	l, f, err := p.place(false)
	if err != nil {
		return err
	}
	if f < 0 && p.take(":") {
		want, err := p.constraint()
		p.add(step{act: does, lane: l, want: want, to: -1})
		return err
	}
	for first := true; ; first = false {
		a, ok, err := p.arrow()
		if err != nil {
			return err
		}
		if !ok && first {
			return p.errorf(`want an arrow, or a colon and an event: a -> b, or a: timer "text"`)
		}
		if !ok {
			return nil
		}
		a.caused = !first
		next, nextFlight, err := p.place(true)
		if err == nil {
			err = p.message(a, l, f, next, nextFlight)
		}
		if err != nil {
			return err
		}
		if a.lost { // so it doesn't arrive
			maps.DeleteFunc(p.flights, func(_ string, f int) bool { return f == nextFlight })
		}
		if l, f = next, nextFlight; a.lost || f >= 0 {
			return nil // nobody there to send anything
		}
	}
}

// message adds the steps of an arrow from a lane or message to another.
func (p *parser) message(a step, from, fromFlight, to, toFlight int) error {
	switch {
	case fromFlight >= 0 && toFlight >= 0:
		return p.errorf("a message goes from a node to a node")
	case fromFlight >= 0:
		if a.lost || a.want != (constraint{}) {
			return p.errorf("what the message is, is said where it is sent")
		}
		p.receive(fromFlight, to)
		return nil
	}
	a.lane, a.to = from, -1
	if a.flight = toFlight; toFlight < 0 {
		a.flight = p.flight("")
		a.to = to
	}
	p.add(a)
	if toFlight < 0 && !a.lost {
		p.receive(a.flight, to)
	}
	return nil
}

// receive adds that a message arrives.
func (p *parser) receive(flight, to int) {
	p.add(step{act: receives, lane: to, flight: flight, to: -1, again: p.known[flight]})
	p.known[flight] = true
}

func (p *parser) add(s step) { p.m.steps = append(p.m.steps, s) }

// place reads a lane, or a message, which is sent there if new.
func (p *parser) place(sent bool) (l, flight int, err error) {
	if p.take("?") {
		name := p.word()
		f, known := p.flights[name]
		switch {
		case name == "":
			return 0, -1, p.errorf("want the message's name after ?")
		case sent && known:
			return 0, -1, p.errorf("?%s is sent twice", name)
		case !sent && !known:
			return 0, -1, p.errorf("?%s arrives before it is sent", name)
		case !known:
			f = p.flight(name)
		}
		return -1, f, nil
	}
	name, exact, err := p.quoted('\'')
	if err != nil {
		return 0, -1, err
	}
	at := p.at
	if !exact {
		name = p.word()
	}
	if name == "" {
		return 0, -1, p.errorf("want a node: a name, or 'name' in quotes")
	}
	if !exact && reserved[strings.ToLower(name)] {
		p.at = at
		return 0, -1, p.errorf("a node that is called %s is written '%s'", name, name)
	}
	for i := range p.m.lanes {
		if p.m.lanes[i].name == name {
			p.m.lanes[i].exact = p.m.lanes[i].exact || exact
			return i, -1, nil
		}
	}
	p.m.lanes = append(p.m.lanes, lane{name, exact})
	return len(p.m.lanes) - 1, -1, nil
}

// flight numbers a message.
func (p *parser) flight(name string) int {
	n := p.m.flights
	if name != "" {
		p.flights[name] = n
	}
	p.m.flights++
	p.known = append(p.known, false)
	return n
}

// arrow reads ->, -x, -NAME "TEXT"-> or -NAME "TEXT"-x.
func (p *parser) arrow() (s step, ok bool, err error) {
	s.act = sends
	if p.take("->") {
		return s, true, nil
	}
	if !p.take("-") {
		return s, false, nil
	}
	if s.want, err = p.constraint(); err != nil {
		return s, false, err
	}
	switch {
	case p.take("->"):
		return s, true, nil
	case p.keywordAfterDash("x"):
		s.lost = true
		return s, true, nil
	case s.want == constraint{name: "x"}:
		s.want, s.lost = constraint{}, true
		return s, true, nil
	}
	return s, false, p.errorf(`want an arrow: ->, -x, -Name-> or -"text"->`)
}
