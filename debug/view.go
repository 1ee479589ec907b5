package debug

import (
	"context"
	"slices"

	"hindcast.dev/history"
)

// undoMax bounds the steps that can be undone.
const undoMax = 1000

// A view is what a session is about to show: what undo brings back. Its slices are
// replaced, never changed in place, so that a copy of a view stays as it is.
type view struct {
	at      history.Position
	breaks  []*Breakpoint
	marks   []Mark
	watched []string
	version int // goes up when something other than at changes
}

func (v *view) same(o *view) bool { return v.at == o.at && v.version == o.version }

// A past is the views that undo and redo lead to, the next one last.
type past struct {
	undo, redo []view
}

// remember keeps the view from before a command, if the command changed it.
func (s *Session) remember(before view) {
	if s.view.same(&before) {
		return
	}
	s.past.undo = append(s.past.undo, before)
	if n := len(s.past.undo) - undoMax; n > 0 {
		s.past.undo = slices.Delete(s.past.undo, 0, n)
	}
	s.past.redo = nil
}

func runUndo(ctx context.Context, s *Session, args string) error {
	return s.travel(ctx, "undo", args, &s.past.undo, &s.past.redo)
}

func runRedo(ctx context.Context, s *Session, args string) error {
	return s.travel(ctx, "redo", args, &s.past.redo, &s.past.undo)
}

// travel takes steps from one stack and leaves what was there on the other.
func (s *Session) travel(ctx context.Context, command, args string, from, to *[]view) error {
	n, err := count(command, args, 1, undoMax)
	if err != nil {
		return err
	}
	if len(*from) == 0 {
		return commandErrorf(command, "there is nothing to %s", command)
	}
	marks := s.marks
	for range min(n, len(*from)) {
		last := len(*from) - 1
		*to = append(*to, s.view)
		s.view = (*from)[last]
		*from = (*from)[:last]
	}
	if err := s.keepMarks(marks); err != nil {
		return err
	}
	return s.showPlace(ctx)
}
