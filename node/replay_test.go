package node

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/recording"
	"hindcast.dev/replay"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// replayed makes a recording of stopped nodes, replays it, and checks what has to
// hold of every run: no divergence, no message before it was sent, and none that
// is lost without a note.
func replayed(t *testing.T, nodes map[string]*Node) {
	t.Helper()
	r, err := recording.Create(vfs.OS(), t.TempDir()+"/recording", recording.Manifest{Service: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range nodes {
		if err := r.CopyNode(t.Context(), recording.Node{Name: name}, vfs.OS(), n.o.Dir, recording.CopyOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := replay.Recording(t.Context(), r, replay.Options{Registry: registry(), Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Source.Close()
	if len(out.Warnings) > 0 || out.Divergence() != nil {
		t.Errorf("replay: %v, %v", out.Warnings, out.Divergence())
	}
	c, err := replay.CheckCausality(t.Context(), out.Source)
	if err != nil || len(c.Violations) > 0 || c.Unsent > 0 || c.Messages == 0 {
		t.Errorf("causality: %+v, %v", c, err)
	}
	silent := 0
	sent, dropped := messages(t, out.Source)
	for id := range sent {
		m, err := out.Source.Message(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Receives) == 0 && !dropped[id] {
			silent++
		}
	}
	if silent > 0 || len(sent) == 0 {
		t.Errorf("%d of %d messages were lost without a note", silent, len(sent))
	}
}

// messages returns the ids of the messages to other nodes, and of those that a
// note says were dropped.
func messages(t *testing.T, src history.Source) (sent, dropped map[string]bool) {
	t.Helper()
	sent, dropped = map[string]bool{}, map[string]bool{}
	cur, err := src.Walk(t.Context(), history.Position{}, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	for {
		e, err := cur.Next()
		if errors.Is(err, io.EOF) {
			return sent, dropped
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range e.Effects {
			if f.Kind == event.EffectSend.String() {
				sent[f.ID] = true
			}
		}
		if e.Kind == event.Note.String() && e.Name == event.NoteDrop {
			dropped[e.ID] = true
		}
	}
}

func TestACrashBoxReplaysUpToTheFatalEvent(t *testing.T) {
	n := start(t, options(t, "n1"))
	for range 5 {
		total(t, n, Add{"a", 1})
	}
	if _, err := n.Checkpoint(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	total(t, n, Add{"a", 1})
	var crash *CrashError
	if err := die(t, n); !errors.As(err, &crash) {
		t.Fatal(err)
	}
	out, err := replay.Open(t.Context(), crash.Box, replay.Options{Service: "test", Registry: registry(), Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	seq := out.Recording.Manifest().Crash.Seq
	var panicked *stepper.PanicError
	for _, r := range out.Results {
		for _, p := range r.Problems {
			if errors.As(p.Err, &panicked) && p.Seq == seq {
				return
			}
		}
	}
	t.Fatalf("the replay doesn't end with the panic at event %d: %s", seq, fmt.Sprint(out.Warnings))
}
