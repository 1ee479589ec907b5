package debug

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// Marks are kept on the disk of who opened the recording, whoever makes them.
func TestTheNotebookIsBounded(t *testing.T) {
	s := NewSession(counter(t, []int64{1}, 1), io.Discard)
	kept := 0
	s.KeepMarks = func(marks []Mark) error {
		kept = len(marks)
		return nil
	}
	name, note := strings.Repeat("n", markNameMax), strings.Repeat("x", noteMax)
	for _, c := range []struct {
		line string
		ok   bool
	}{{"mark " + name, true}, {"mark n" + name, false}, {"mark a " + note, true}, {"mark a x" + note, false}, {"note a x" + note, false}} {
		if _, err := s.Ask(t.Context(), c.line); (err == nil) != c.ok {
			t.Errorf("%.10s… of %d bytes: %v", c.line, len(c.line), err)
		}
	}
	for i := kept; i < marksMax; i++ {
		if _, err := s.Ask(t.Context(), fmt.Sprint("mark m", i)); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := s.Ask(t.Context(), "mark over"); err == nil || kept != marksMax {
		t.Errorf("%d marks: %v", kept, err)
	}
	if _, err := s.Ask(t.Context(), "mark m5 here instead"); err != nil {
		t.Errorf("a mark that is moved: %v", err)
	}
}
