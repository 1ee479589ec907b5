package shiviz

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// An Error says what is wrong at a place of a log.
type Error struct {
	File    string
	Line    int // from 1
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message) }

// An entry is one event of the log as it is written there.
type entry struct {
	line   int
	host   int
	seq    uint64 // the host's own component
	clock  vector
	text   string
	fields []string // of parser.groups
	before []link   // what it received
	after  []link   // what was received of it
	pos    int      // among those of its host
	depth  int      // the longest way to it from a first event
}

// A link is a message between this entry and another: of host, event seq.
type link struct {
	host int
	seq  uint64
}

// A part is an execution as it stands in the text.
type part struct {
	name string
	text []byte
	line int // of its first byte
}

// split cuts the text into executions. What stands before the first delimiter is
// one only if there are entries in it.
func (p *parser) split(text []byte, lines *lines) []part {
	if p.delimiter == nil {
		return []part{{text: text, line: 1}}
	}
	var out []part
	name, begin := "", 0
	add := func(end int) {
		if body := text[begin:end]; p.entry.Match(body) {
			out = append(out, part{name, body, lines.of(begin)})
		}
	}
	trace := p.delimiter.SubexpIndex("trace")
	for _, m := range p.delimiter.FindAllSubmatchIndex(text, -1) {
		if m[1] == m[0] {
			continue
		}
		add(m[0])
		name, begin = "", m[1]
		if trace >= 0 && m[2*trace] >= 0 {
			name = trimmed(text[m[2*trace]:m[2*trace+1]])
		}
	}
	add(len(text))
	return out
}

// lines finds the line of a place.
type lines struct{ ends []int }

func newLines(text []byte) *lines {
	l := &lines{}
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], '\n')
		if i < 0 {
			return l
		}
		at += i + 1
		l.ends = append(l.ends, at)
	}
}

func (l *lines) of(at int) int { return 1 + sort.SearchInts(l.ends, at+1) }

// An execution is being read.
type execution struct {
	p       *parser
	file    string
	line    int // its first
	opts    *Options
	hosts   []string
	index   map[string]int
	entries []entry
	skipped int
	bad     error // the first that was left out
	rest    int   // lines that are part of no entry
	restAt  int   // the first of them
	notes   []string
}

// read takes the entries from the text.
func (x *execution) read(text []byte) error {
	l := newLines(text)
	names := x.p.entry.SubexpNames()
	groups := x.p.groups()
	end := 0
	for _, m := range x.p.entry.FindAllSubmatchIndex(text, -1) {
		x.pass(text[end:m[0]], l.of(end))
		end = m[1]
		e := entry{line: x.line + l.of(m[0]) - 1, fields: make([]string, 0, len(groups))}
		var host, clock string
		for i, name := range names {
			if name == "" {
				continue
			}
			s := ""
			if m[2*i] >= 0 {
				s = trimmed(text[m[2*i]:m[2*i+1]])
			}
			switch s = strings.ToValidUTF8(s, "\uFFFD"); name {
			case "host":
				host = s
			case "clock":
				clock = s
			case "event":
				e.text = s
			default:
				e.fields = append(e.fields, s)
			}
		}
		if err := x.take(&e, host, clock); err != nil {
			if !x.opts.SkipBad {
				return err
			}
			if x.skipped++; x.bad == nil {
				x.bad = err
			}
		}
	}
	x.pass(text[end:], l.of(end))
	return nil
}

// pass counts lines that are part of no entry.
func (x *execution) pass(between []byte, line int) {
	for i, s := range bytes.Split(between, []byte("\n")) {
		if len(bytes.TrimSpace(s)) == 0 {
			continue
		}
		if x.rest == 0 {
			x.restAt = x.line + line + i - 1
		}
		x.rest++
	}
}

func (x *execution) errorAt(line int, format string, args ...any) error {
	return &Error{x.file, line, fmt.Sprintf(format, args...)}
}

func (x *execution) take(e *entry, host, clock string) error {
	if host == "" || !utf8.ValidString(host) {
		return x.errorAt(e.line, "the event has no host")
	}
	c, err := parseClock([]byte(clock))
	if err != nil {
		return x.errorAt(e.line, "%v", err)
	}
	if e.seq = c[host]; e.seq == 0 {
		return x.errorAt(e.line, "the clock of %s has no count of its own: want \"%s\" in %s", host, host, clock)
	}
	if e.host, err = x.host(host, e.line); err != nil {
		return err
	}
	for name, n := range c {
		if n == 0 {
			continue
		}
		h, err := x.host(name, e.line)
		if err != nil {
			return err
		}
		e.clock = append(e.clock, component{h, n})
	}
	sort.Slice(e.clock, func(i, j int) bool { return e.clock[i].host < e.clock[j].host })
	x.entries = append(x.entries, *e)
	return nil
}

func (x *execution) host(name string, line int) (int, error) {
	if h, ok := x.index[name]; ok {
		return h, nil
	}
	if len(x.hosts) == hostsMax {
		return 0, x.errorAt(line, "more than %d hosts", hostsMax)
	}
	x.index[name] = len(x.hosts)
	x.hosts = append(x.hosts, name)
	return len(x.hosts) - 1, nil
}
