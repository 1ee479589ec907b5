package loop_test

import (
	"errors"
	"io"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/journal"
	"hindcast.dev/machine/state"
	"hindcast.dev/vfs"
)

// Notes that find no room are not silently missing: the journal says how many.
func TestNotesThatWaitAreBoundedAndWhatIsLostIsSaid(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.mustOpen()
	taken, lost := 0, 0
	for lost < 3 {
		if err := r.l.Note(event.NoteLink, event.NoteInfo{Peer: "n2", State: "up"}); err != nil {
			lost++
		} else {
			taken++
		}
	}
	if taken != 1024 || r.l.Stats().LostNotes != 3 {
		t.Fatalf("%d notes wait, %d are counted as lost; want 1024 and 3", taken, r.l.Stats().LostNotes)
	}
	settle(t, r)
	if err := r.l.Note(event.NoteLink, event.NoteInfo{Peer: "n2", State: "down"}); err != nil {
		t.Fatalf("there is room again: %v", err)
	}
	settle(t, r)
	var links int
	var told []uint64
	rd, err := journal.OpenReader(r.fs, "n1/journal", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	for {
		e, err := rd.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var info event.NoteInfo
		if e.Kind != event.Note || state.Unmarshal(e.Payload, &info) != nil {
			continue
		}
		switch e.Name {
		case event.NoteLink:
			links++
		case event.NoteLost:
			told = append(told, info.Count)
		}
	}
	if links != taken+1 || len(told) != 1 || told[0] != 3 {
		t.Errorf("%d link notes and lost ones %v in the journal; want %d, and once 3", links, told, taken+1)
	}
}

// settle polls until nothing waits, with a new segment where one is needed.
func settle(t *testing.T, r *rig) {
	t.Helper()
	for before := ^uint64(0); before != r.l.Seq(); {
		before = r.l.Seq()
		r.run()
		if err := r.j.Maintain(); err != nil {
			t.Fatal(err)
		}
	}
}
