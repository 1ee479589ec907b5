// Package shiviz reads logs whose events carry vector clocks, in the form that
// GoVector and other libraries write for ShiViz: any text from which a regular
// expression takes host, clock and event.
//
// The clocks give the order and the messages. Source: Beschastnikh, Liu, Xing,
// Wang, Brun, Ernst, "Visualizing distributed system executions" (TOSEM 2020),
// section 3; Fidge (1988) and Mattern (1989) for the clocks.
package shiviz

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A Format says how a log is to be read. Parser is a regular expression over the
// whole text, in multi-line mode, with the named groups host, clock and event;
// of others date (or timestamp) gives real times, and those of State become
// variables. JavaScript's (?<name>…) and Go's (?P<name>…) both do.
type Format struct {
	Name   string
	Parser string
	// Executions is a regular expression for the lines between executions; its group
	// trace, if there is one, names the execution that follows. "" is for a log of
	// one execution.
	Executions string
	State      []string
}

// Formats are the known ones. The first that fits is taken, so that stricter ones
// come first.
var Formats = []Format{
	{Name: "ewd998", State: []string{"active", "color", "counter"}, Executions: `^=== (?<trace>.*) ===$`,
		Parser: `^State [0-9]+: <(?<event>\w*) .*>\n/\\ Host = (?<host>.*)\n/\\ Clock = "(?<clock>.*)"\n` +
			`/\\ active = (?<active>.*)\n/\\ color = (?<color>.*)\n/\\ counter = (?<counter>.*)`},
	{Name: "akka", Parser: `\[\w+\] \[(?<date>[^ ]+ [^ ]+)\] [^ ]+ \[akka://\w+/user/(?<host>\w+)\] (?<clock>.*\}) (?<event>.*)`},
	{Name: "voldemort", Parser: `\[(?<date>\d{4}-\d{2}-\d{2} (?:\d{2}:){2}\d{2},\d{3}) (?<path>\S*)\] ` +
		`(?<priority>INFO|WARN|ERROR|DEBUG) (?<event>.*)\n(?<host>\S*) (?<clock>{.*})`},
	{Name: "facebook", Parser: `(?<ip>(?:\d{1,3}\.){3}\d{1,3}) (?<date>(?:\d{1,2}/){2}\d{4} (?:\d{2}:){2}\d{2} (?:AM|PM)) ` +
		`(?<action>INFO|GET|POST) (?<event>.*)\n(?<host>\w*) (?<clock>{.*})`},
	{Name: "govector", Parser: `(?<host>\S*) (?<clock>{.*})\n(?<event>.*)`},
	{Name: "default", Parser: `(?<event>.*)\n(?<host>\S*) (?<clock>{.*})`},
}

// Named returns the known format of that name.
func Named(name string) (Format, error) {
	var names []string
	for _, f := range Formats {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Format{}, fmt.Errorf("format %q is not known: want one of %s, or a parser expression", name, strings.Join(names, ", "))
}

// A parser is a Format that was checked.
type parser struct {
	Format
	entry     *regexp.Regexp
	delimiter *regexp.Regexp // nil without
}

func (f Format) compile() (*parser, error) {
	p := &parser{Format: f}
	var err error
	if p.entry, err = regexp.Compile("(?m)" + f.Parser); err != nil {
		return nil, fmt.Errorf("parser expression %s: %w%s", f.Parser, err, remedy(f.Parser))
	}
	for _, g := range append([]string{"host", "clock", "event"}, f.State...) {
		if p.entry.SubexpIndex(g) < 0 {
			return nil, fmt.Errorf("parser expression %s: the named group (?<%s>…) is missing", f.Parser, g)
		}
	}
	if f.Executions == "" {
		return p, nil
	}
	if p.delimiter, err = regexp.Compile("(?m)" + f.Executions); err != nil {
		return nil, fmt.Errorf("expression between executions %s: %w%s", f.Executions, err, remedy(f.Executions))
	}
	return p, nil
}

// remedy tells of what JavaScript's expressions have and Go's don't.
func remedy(expression string) string {
	for _, s := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
		if strings.Contains(expression, s) {
			return " (there is no looking ahead or behind: leave " + s + "…) out)"
		}
	}
	return ""
}

// groups are the named groups beside those that every parser has.
func (p *parser) groups() []string {
	var out []string
	for _, g := range p.entry.SubexpNames() {
		if g != "" && !slices.Contains([]string{"host", "clock", "event"}, g) {
			out = append(out, g)
		}
	}
	return out
}

// sampleMax bounds how much of a text is looked at to find its format.
const sampleMax = 1 << 20

// Detect finds the known format of a text: that one by which the most hosts
// appear in their own clocks, and of equal ones the first. ShiViz's own files may
// begin with their parser expression, and it is taken then.
func Detect(text []byte) (Format, bool) {
	if f, ok := embedded(text); ok {
		return f, true
	}
	sample := text[:min(len(text), sampleMax)]
	best, most := Format{}, 0
	for _, f := range Formats {
		p, err := f.compile()
		if err != nil {
			continue
		}
		if n := p.fit(sample); n > most {
			best, most = f, n
		}
	}
	return best, most > 0
}

// fit counts the entries whose host has a component in its own clock.
func (p *parser) fit(sample []byte) int {
	n := 0
	host, clock := p.entry.SubexpIndex("host"), p.entry.SubexpIndex("clock")
	for _, m := range p.entry.FindAllSubmatch(sample, -1) {
		if c, err := parseClock(m[clock]); err == nil && c[trimmed(m[host])] > 0 {
			n++
		}
	}
	return n
}

// embedded takes the expressions from the first two lines of a text, as ShiViz
// writes them into the logs that it offers.
func embedded(text []byte) (Format, bool) {
	first, rest, _ := strings.Cut(string(text[:min(len(text), 4096)]), "\n")
	if !strings.Contains(first, "<host>") || !strings.Contains(first, "<clock>") {
		return Format{}, false
	}
	second, _, _ := strings.Cut(rest, "\n")
	f := Format{Name: "its own", Parser: strings.TrimSpace(first), Executions: strings.TrimSpace(second)}
	_, err := f.compile()
	return f, err == nil
}
