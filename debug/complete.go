package debug

import (
	"slices"
	"strings"

	"hindcast.dev/rql/complete"
	"hindcast.dev/termtext"
)

// candidatesMax bounds what Complete offers.
const candidatesMax = 200

// Complete returns what the word that ends at byte pos of line may become: the
// line before it, the candidates in order, and the line behind.
func (s *Session) Complete(line string, pos int) (head string, candidates []string, tail string) {
	pos = min(max(pos, 0), len(line))
	if name, text, ok := strings.Cut(line[:pos], " "); ok {
		if finish := completerOf(name); finish != nil {
			from := len(name) + 1
			start, candidates := finish(s.known(), text, len(text))
			return line[:from+start], candidates, line[pos:]
		}
	}
	start := strings.LastIndexAny(line[:pos], " \t(") + 1
	head, tail = line[:start], line[pos:]
	word := line[start:pos]
	for _, c := range s.words(head) {
		if strings.HasPrefix(c, word) && len(candidates) < candidatesMax {
			candidates = append(candidates, c)
		}
	}
	return head, candidates, tail
}

// words are those that may follow head.
func (s *Session) words(head string) []string {
	fields := strings.Fields(head)
	if len(fields) == 0 {
		return commandNames()
	}
	c, err := lookup(fields[0])
	if err != nil {
		return nil
	}
	first := len(fields) == 1
	switch c.Name {
	case "help":
		if first {
			return commandNames()
		}
	case "next", "prev":
		if first {
			return s.nodeNames()
		}
	case "goto":
		if first {
			return append(suffixed(s.nodeNames(), ":"), "START", "END")
		}
	case "diff":
		if first {
			return slices.Concat(suffixed(s.nodeNames(), ":"), []string{"START", "END"}, s.varNames())
		}
		return s.varNames()
	case "state":
		if first {
			return append(s.nodeNames(), s.varNames()...)
		}
		return s.varNames()
	}
	return nil
}

// completerOf is what completes a command's arguments if they are in RQL, nil if
// they aren't.
func completerOf(name string) func(k *complete.Known, text string, pos int) (int, []string) {
	c, err := lookup(name)
	switch {
	case err != nil:
	case c.Name == "where" || c.Name == "rwhere" || c.Name == "print":
		return complete.Condition
	case c.Name == "query":
		return complete.Statement
	}
	return nil
}

// known is what a condition may speak of.
func (s *Session) known() *complete.Known {
	return &complete.Known{Vars: s.varNames(), Nodes: s.nodeNames()}
}

func commandNames() []string {
	var names []string
	for _, c := range Commands() {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

func (s *Session) varNames() []string {
	var names []string
	for i := range s.meta.Vars {
		names = append(names, termtext.Printable(s.meta.Vars[i].Name))
	}
	slices.Sort(names)
	return names
}

func suffixed(words []string, suffix string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w + suffix
	}
	return out
}
