package debug

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

// Bounds on the notebook: it is kept on disk.
const (
	markNameMax = 128 // bytes
	noteMax     = 64 << 10
	marksMax    = 1000
)

// A Mark is a place with a name and a note: a page of the notebook.
type Mark struct {
	Name  string `json:"name"`
	Note  string `json:"note,omitempty"`
	Place Place  `json:"place"`
}

func (*Mark) kind() string { return "mark" }

func (m *Mark) writeText(t *textForm) {
	line := fmt.Sprintf("%s %s  %s", termtext.Pad(termtext.Printable(m.Name), 12), m.Place, m.Place.Time)
	if m.Place == (Place{}) {
		line = fmt.Sprintf("%s %s", termtext.Pad(termtext.Printable(m.Name), 12), m.Place)
	}
	if m.Note != "" {
		line += "  " + termtext.Printable(m.Note)
	}
	t.line("%s", line)
}

// Marks are the places that have names, in the order of the walk.
func (s *Session) Marks() []Mark { return slices.Clone(s.marks) }

// SetMarks gives the session the marks of an earlier one. Those of places that
// the History doesn't have are kept, too.
func (s *Session) SetMarks(marks []Mark) { s.marks = slices.Clone(marks) }

// keepMarks has the marks kept if they aren't those from before.
func (s *Session) keepMarks(before []Mark) error {
	if s.KeepMarks == nil || slices.Equal(before, s.marks) {
		return nil
	}
	return s.KeepMarks(s.marks)
}

func (s *Session) changeMarks(marks []Mark) error {
	slices.SortStableFunc(marks, func(a, b Mark) int {
		return s.position(a.Place).Compare(s.position(b.Place))
	})
	before := s.marks
	s.marks = marks
	s.version++
	return s.keepMarks(before)
}

// position is where a place is in the walk, whether or not the History has it.
func (s *Session) position(p Place) history.Position {
	if p == (Place{}) {
		return history.Begin
	}
	n, _ := s.meta.NodeIndex(p.Node)
	return history.Position{Time: p.Time, Node: n, Seq: p.Seq}
}

func runMark(_ context.Context, s *Session, args string) error {
	name, note, _ := strings.Cut(args, " ")
	if name == "" {
		return commandErrorf("mark", "want a name and, if wanted, a note, like: mark stale n3 missed the write")
	}
	if err := s.checkMarkName(name); err != nil {
		return err
	}
	m := Mark{name, unquoteNote(strings.TrimSpace(note)), s.place(s.at)}
	marks := slices.DeleteFunc(s.Marks(), func(o Mark) bool { return o.Name == name })
	if len(marks) >= marksMax {
		return commandErrorf("mark", "there are %d marks, as many as may be: unmark NAME removes one", len(marks))
	}
	if err := checkNote("mark", m.Note); err != nil {
		return err
	}
	if err := s.changeMarks(append(marks, m)); err != nil {
		return commandErrorf("mark", "%s is marked for this session alone: %v", name, err)
	}
	s.say(&m)
	return nil
}

// runNote gives a mark another note, wherever the session is.
func runNote(_ context.Context, s *Session, args string) error {
	name, note, _ := strings.Cut(args, " ")
	marks := s.Marks()
	i := slices.IndexFunc(marks, func(m Mark) bool { return m.Name == name })
	if i < 0 {
		return commandErrorf("note", "no mark %q; marks lists them", name)
	}
	marks[i].Note = unquoteNote(strings.TrimSpace(note))
	if err := checkNote("note", marks[i].Note); err != nil {
		return err
	}
	if err := s.changeMarks(marks); err != nil {
		return commandErrorf("note", "%s has the note for this session alone: %v", name, err)
	}
	s.say(&s.marks[i])
	return nil
}

// unquoteNote takes quotes around a whole note away.
func unquoteNote(note string) string {
	if len(note) >= 2 && (note[0] == '"' || note[0] == '\'') && note[len(note)-1] == note[0] {
		return note[1 : len(note)-1]
	}
	return note
}

func checkNote(command, note string) error {
	if len(note) > noteMax {
		return commandErrorf(command, "the note has %d bytes: want at most %d", len(note), noteMax)
	}
	return nil
}

// checkMarkName refuses what goto would take for something else.
func (s *Session) checkMarkName(name string) error {
	letters := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.", r)
	}
	first := []rune(name)[0]
	if len(name) > markNameMax {
		return commandErrorf("mark", "the name has %d bytes: want at most %d", len(name), markNameMax)
	}
	_, node := s.nodeIndex(name)
	switch {
	case strings.ContainsFunc(name, letters) || !unicode.IsLetter(first):
		return commandErrorf("mark", "%q: a name begins with a letter, and has letters, digits, - _ and . in it", name)
	case node:
		return commandErrorf("mark", "%q is a node: want another name", name)
	case slices.Contains([]string{"START", "BEGIN", "END", "NOW"}, strings.ToUpper(name)):
		return commandErrorf("mark", "%q is a place already: want another name", name)
	}
	return nil
}

func runMarks(_ context.Context, s *Session, _ string) error {
	for i := range s.marks {
		s.say(&s.marks[i])
	}
	if len(s.marks) == 0 {
		s.remark("no marks: mark NAME \"note\" makes one here")
	}
	return nil
}

func runUnmark(_ context.Context, s *Session, args string) error {
	i := slices.IndexFunc(s.marks, func(m Mark) bool { return m.Name == args })
	if i < 0 {
		return commandErrorf("unmark", "no mark %q; marks lists them", args)
	}
	return s.changeMarks(slices.Delete(s.Marks(), i, i+1))
}

// marked is the position of a mark.
func (s *Session) marked(ctx context.Context, name string) (p history.Position, ok bool, err error) {
	i := slices.IndexFunc(s.marks, func(m Mark) bool { return m.Name == name })
	if i < 0 {
		return p, false, nil
	}
	m := s.marks[i].Place
	if m == (Place{}) {
		return history.Begin, true, nil
	}
	n, ok := s.meta.NodeIndex(m.Node)
	if !ok {
		return p, true, fmt.Errorf("mark %s is at %s, a node that this History doesn't have", name, m)
	}
	e, err := s.src.Event(ctx, n, m.Seq)
	if err != nil {
		return p, true, fmt.Errorf("mark %s is at %s: %w", name, m, err)
	}
	return e.Position, true, nil
}
