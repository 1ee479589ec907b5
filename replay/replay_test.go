package replay

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine/state"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

func TestReplayGivesBackEventsEffectsAndChanges(t *testing.T) {
	r := newRig(t, "n1", "n2", "n3").open()
	r.ask(Put{"x", "1"}).tick(2 * time.Second).run()
	r.stop()
	m, res := r.replayed(Options{})
	if len(res.Problems) != 0 || res.First != 1 || res.Events != res.Last || res.Events != r.j.LastStamp().Seq {
		t.Fatalf("result %+v", res)
	}
	puts := find(allEvents(t, m), "request", "Put")
	if len(puts) != 1 {
		t.Fatalf("%d Puts", len(puts))
	}
	e := puts[0]
	if e.Machine != "store" || e.ID != "n1.client/1/1/0" || e.Physical == 0 || e.Data.Field("key").AsString()+e.Data.Field("Key").AsString() != "x" {
		t.Errorf("event %+v", e)
	}
	var kinds []string
	for _, f := range e.Effects {
		kinds = append(kinds, fmt.Sprintf("%s>%s:%s", f.Kind, f.Peer, f.Name))
		if f.Kind == "send" && !strings.HasPrefix(f.ID, fmt.Sprintf("n1/1/%d/", e.Seq)) {
			t.Errorf("send has id %s", f.ID)
		}
	}
	if got := strings.Join(kinds, " "); got != "reply>:Done send>n2:Put send>n3:Put call>mail:Done internal>:index.Seen" {
		t.Errorf("effects %s", got)
	}
	if v := at(t, m, "n1", e.Seq, "store.items"); v.Field("x").AsString() != "1" {
		t.Errorf("store.items = %v", v)
	}
	if v := at(t, m, "n1", e.Seq-1, "store.items"); v.Len() != 0 {
		t.Errorf("store.items before = %v", v)
	}
	if v := at(t, m, "n1", e.Seq, "index.keys"); v.Len() != 1 {
		t.Errorf("index.keys = %v", v)
	}
	timers := find(allEvents(t, m), "timer", "sweep")
	if len(timers) == 0 || timers[0].ID == "" || len(timers[0].Effects) != 2 || timers[0].Effects[0].Data.AsString() != "swept 1 items" {
		t.Fatalf("timers %+v", timers)
	}
	if msg, err := m.Message(t.Context(), timers[0].ID); err != nil || !msg.Sent || len(msg.Receives) != 1 {
		t.Errorf("the timer is not linked to the effect that set it: %+v, %v", msg, err)
	}
}

func TestReplayTwiceGivesTheSameHash(t *testing.T) {
	r := newRig(t, "n1", "n2").open().put(300).kill().open().put(100).stop()
	a, res := r.replayed(Options{})
	b, _ := r.replayed(Options{})
	if len(res.Problems) > 0 || hash(t, a) != hash(t, b) {
		t.Errorf("%s and %s, %v", hash(t, a), hash(t, b), res.Problems)
	}
}

func TestReplayOnDiskAndInMemoryIsTheSameHistory(t *testing.T) {
	r := newRig(t, "n1", "n2").open().put(300).stop()
	mem, _ := r.replayed(Options{})
	rec := recordRigs(t, vfs.NewMem(), r)
	o := Options{Service: "store", Registry: r.reg, Build: "b1"}
	disk, err := Recording(t.Context(), rec, o)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Source.Close()
	if disk.Reused || disk.Dir != "rec/history/b1" {
		t.Errorf("%+v", disk)
	}
	if hash(t, mem) != hash(t, disk.Source) {
		t.Error("the hashes differ")
	}
	again, err := Recording(t.Context(), rec, o)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Source.Close()
	if !again.Reused || hash(t, again.Source) != hash(t, mem) {
		t.Errorf("the second time: %+v", again)
	}
	// More was recorded: the History that is there doesn't count any more.
	r.fs = r.fs.Restart()
	r.open().put(5).stop()
	if err := rec.CopyNode(t.Context(), rec.Manifest().Nodes[0], r.fs, "n1", recordingCopyAll); err != nil {
		t.Fatal(err)
	}
	more, err := Recording(t.Context(), rec, o)
	if err != nil {
		t.Fatal(err)
	}
	defer more.Source.Close()
	if more.Reused || more.Source.Meta().Events <= mem.Meta().Events {
		t.Errorf("after more was recorded: reused %v, %d events", more.Reused, more.Source.Meta().Events)
	}
}

func TestTwoMachineVersionsInOneJournalReplayWithTheirOwnCode(t *testing.T) {
	r := newRig(t, "n1", "n2").open().ask(Put{"x", "small"})
	first := r.l.Seq()
	r.stop()
	r.fs = r.fs.Restart()
	r.reg = registry(2)
	r.open().ask(Put{"y", "small"}).stop()
	m, res := r.replayed(Options{})
	if len(res.Problems) > 0 {
		t.Fatal(res.Problems)
	}
	last := m.Meta().Nodes[0].Last.Seq
	items := at(t, m, "n1", last, "store.items")
	if items.Field("x").AsString() != "small" || items.Field("y").AsString() != "SMALL" {
		t.Errorf("items %v", items)
	}
	for seq, want := range map[uint64]int64{first: 1, last: 2} {
		if v, _ := at(t, m, "n1", seq, "node.version").Field("store").AsInt(); v != want {
			t.Errorf("node.version at %d is %d, want %d", seq, v, want)
		}
	}
	if ups := find(allEvents(t, m), "control", event.ControlUpgrade); len(ups) != 1 || ups[0].Machine != "store" {
		t.Errorf("upgrades %+v", ups)
	}
	// Without the old code the replay says which is missing.
	reg := registry(2)
	delete(reg["store"], 1)
	b := history.NewBuilder()
	w, err := b.Node("n1", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Node(t.Context(), r.source(), w, Options{Registry: reg})
	var version *stepper.VersionError
	if !errors.As(err, &version) || version.Want != 1 {
		t.Errorf("without version 1: %v", err)
	}
}

func TestNodeIsDownBetweenACrashAndItsNextBoot(t *testing.T) {
	r := newRig(t, "n1", "n2").open().put(3)
	died := r.l.Seq()
	r.note(event.NoteLink, event.NoteInfo{Peer: "n2", State: "up"})
	died++
	r.offer(Put{"late", "1"}) // published, and not stamped before the end
	r.kill().tick(time.Minute).open().put(2)
	stopped := r.l.Seq() + 1
	r.stop()
	m, res := r.replayed(Options{})
	if len(res.Problems) > 0 {
		t.Fatal(res.Problems)
	}
	up := func(seq uint64) bool { return at(t, m, "n1", seq, "node.up").AsBool() }
	boot := func(seq uint64) int64 { n, _ := at(t, m, "n1", seq, "node.boot").AsInt(); return n }
	if !up(1) || !up(died-1) || up(died) || !up(died+1) || !up(stopped-1) || up(stopped) {
		t.Errorf("node.up is %v %v %v %v %v %v", up(1), up(died-1), up(died), up(died+1), up(stopped-1), up(stopped))
	}
	if boot(died) != 1 || boot(died+1) != 2 {
		t.Errorf("node.boot is %d, then %d", boot(died), boot(died+1))
	}
	if v := at(t, m, "n1", died, "node.link"); v.Field("n2").AsString() != "up" {
		t.Errorf("node.link before: %v", v)
	}
	if v := at(t, m, "n1", died+1, "node.link"); v.Len() != 0 {
		t.Errorf("node.link after: %v", v)
	}
	events := allEvents(t, m)
	if e := events[died]; e.Kind != "request" || e.Seq != died+1 {
		t.Errorf("the event that waited comes first in the new boot; %+v does", e)
	}
	if len(find(events, "note", event.NoteCrash)) != 1 || len(find(events, "note", event.NoteBoot)) != 2 {
		t.Error("crash and boots are not noted")
	}
}

func TestAStopThatABootDidNotLiveToStampIsNotTheNextOnes(t *testing.T) {
	r := newRig(t, "n1", "n2").open().put(3)
	payload, err := state.Marshal(event.NoteInfo{Boot: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.l.Offer(&record.Frame{Kind: event.Note, Name: event.NoteStop, Payload: payload}); err != nil {
		t.Fatal(err)
	}
	r.kill().open().put(2)
	m, _ := r.replayed(Options{})
	if seq := r.l.Seq(); !at(t, m, "n1", seq, "node.up").AsBool() {
		t.Errorf("node.up is false at event %d of the boot that runs", seq)
	}
}

func TestWhatNotesSayBecomesVariables(t *testing.T) {
	r := newRig(t, "n1", "n2").open()
	r.note(event.NoteLink, event.NoteInfo{Peer: "n2", State: "up"})
	r.note(event.NoteFault, event.NoteInfo{Peer: "n2", State: "cut", Reason: "both"})
	cut := r.l.Seq()
	r.note(event.NoteFault, event.NoteInfo{Peer: "n2", State: "heal"})
	r.note(event.NoteFault, event.NoteInfo{State: "clock", Reason: "off by 1s"})
	r.note(event.NoteLink, event.NoteInfo{Peer: "n2", State: "down", Reason: "reset"})
	r.note(event.NoteClock, event.NoteInfo{State: "refused"})
	r.note(event.NoteDisk, event.NoteInfo{State: "full"})
	r.note(event.NoteDrop, event.NoteInfo{Peer: "n2", Message: "n1/1/9/0", Name: "Put", Reason: "queue full"})
	r.stop()
	m, _ := r.replayed(Options{})
	last := m.Meta().Nodes[0].Last.Seq
	if v := at(t, m, "n1", cut, "node.fault").Field("n2").Field("cut").AsString(); v != "both" {
		t.Errorf("node.fault: %v", v)
	}
	for variable, want := range map[string]string{
		"node.fault": `{"clock":{"clock":"off by 1s"}}`, "node.link": `{"n2":"down"}`, "node.clock": `"refused"`, "node.disk": `"full"`,
	} {
		if v := at(t, m, "n1", last, variable); string(v.AppendJSON(nil)) != want {
			t.Errorf("%s = %s, want %s", variable, v.AppendJSON(nil), want)
		}
	}
	drops := find(allEvents(t, m), "note", event.NoteDrop)
	if len(drops) != 1 || drops[0].ID != "n1/1/9/0" || drops[0].Peer != "n2" || drops[0].Data.Field("reason").AsString() != "queue full" {
		t.Errorf("drops %+v", drops)
	}
}

func TestMessageRefusedForDriftIsADrop(t *testing.T) {
	r := newRig(t, "n1", "n2").open()
	id := event.MessageID{Node: "n2", Boot: 1, Seq: 5}
	name, version, payload := encode(t, Put{"x", "1"})
	f := frameOf(id, name, version, payload)
	f.Sent = r.clock.Wall.Add(time.Hour)
	if err := r.l.Offer(&f); err != nil {
		t.Fatal(err)
	}
	r.run()
	r.stop()
	m, res := r.replayed(Options{})
	if len(res.Problems) > 0 {
		t.Fatal(res.Problems)
	}
	events := allEvents(t, m)
	drops := find(events, "note", event.NoteDrop)
	if len(drops) != 1 || drops[0].ID != id.String() || drops[0].Peer != "n2" || drops[0].Data.Field("reason").AsString() != "drift" {
		t.Fatalf("drops %+v", drops)
	}
	if len(find(events, "recv", "Put")) != 0 {
		t.Error("it shows as received too")
	}
}

func TestJournalBegunByRetentionStartsFromACheckpoint(t *testing.T) {
	r := newRig(t, "n1", "n2")
	r.every = 100
	r.jopts = func(o *journal.Options) { o.SegmentBytes, o.RetainBytes = 16<<10, 32<<10 }
	r.open().put(500).stop()
	m, res := r.replayed(Options{})
	if len(res.Problems) > 0 || res.Base == 0 || res.First != res.Base+1 {
		t.Fatalf("result %+v", res)
	}
	n := m.Meta().Nodes[0]
	if len(n.Unknown) != 1 || n.Unknown[0].From != 0 || n.Reason == "" {
		t.Errorf("unknown %+v, %s", n.Unknown, n.Reason)
	}
	last := n.Last.Seq
	if v, _ := at(t, m, "n1", last, "store.n").AsInt(); v != 500 {
		t.Errorf("store.n is %d at the end", v)
	}
	if v := at(t, m, "n1", res.First, "store.items"); v.Len() != 7 {
		t.Errorf("the base lacks items: %v", v)
	}
	if v, _ := at(t, m, "n1", res.First, "node.version").Field("store").AsInt(); v != 1 {
		t.Error("the base lacks node.version")
	}
	// Without checkpoints all of it is unknown, and that is said.
	src := r.source()
	src.Checkpoints = ""
	b := history.NewBuilder()
	w, err := b.Node("n1", "")
	if err != nil {
		t.Fatal(err)
	}
	res, err = Node(t.Context(), src, w, Options{Registry: r.reg})
	if err != nil || len(res.Problems) != 1 || !strings.Contains(res.Problems[0].String(), "copy the node's checkpoints too") {
		t.Errorf("without checkpoints: %+v, %v", res, err)
	}
}

func TestJournalWithATornTailIsReplayedUpToIt(t *testing.T) {
	r := newRig(t, "n1", "n2").open().put(50)
	last := r.l.Seq()
	r.offer(Put{"torn", "1"})
	c, err := r.j.Claim(160)
	if err != nil {
		t.Fatal(err)
	}
	copy(c.Bytes(), "half a frame")
	r.kill()
	m, res := r.replayed(Options{})
	if len(res.Problems) > 0 || res.Last != last || m.Meta().Nodes[0].Events != last {
		t.Errorf("result %+v, want %d events", res, last)
	}
	if !at(t, m, "n1", last, "node.up").AsBool() {
		t.Error("nothing says that the node is down: it may be running")
	}
}

func TestDamageInTheMiddleIsUnknownUntilTheNextCheckpoint(t *testing.T) {
	r := newRig(t, "n1", "n2")
	r.every = 200
	r.jopts = func(o *journal.Options) { o.SegmentBytes = 16 << 10 }
	r.open().put(600).stop()
	f, err := r.fs.OpenWrite("n1/journal/00000003.seg")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("damage"), 9000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	m, res := r.replayed(Options{})
	var file *journal.FileError
	if len(res.Problems) != 1 || !errors.As(res.Problems[0].Err, &file) || !errors.Is(file, journal.ErrCorrupt) {
		t.Fatalf("problems %+v", res.Problems)
	}
	n := m.Meta().Nodes[0]
	if len(n.Unknown) != 1 || !strings.Contains(n.Reason, "corruption") || n.Unknown[0].From == 0 || n.Unknown[0].To >= n.Last.Time {
		t.Errorf("unknown %+v, %s", n.Unknown, n.Reason)
	}
	if v, _ := at(t, m, "n1", n.Last.Seq, "store.n").AsInt(); v != 600 {
		t.Errorf("store.n is %d at the end", v)
	}
}

func TestNodeThatPanickedEndsWithTheFatalEvent(t *testing.T) {
	r := newRig(t, "n1", "n2").open().put(5)
	r.offer(Die{})
	var died *stepper.PanicError
	if err := r.poll(); !errors.As(err, &died) {
		t.Fatalf("poll: %v", err)
	}
	r.kill()
	m, res := r.replayed(Options{})
	if len(res.Problems) != 1 || res.Problems[0].Seq != died.Seq || !errors.As(res.Problems[0].Err, &died) || len(died.Stack) == 0 {
		t.Fatalf("problems %+v", res.Problems)
	}
	last := allEvents(t, m)[m.Meta().Events-1]
	if last.Seq != died.Seq || last.Name != "Die" || len(last.Effects) != 1 || last.Effects[0].Kind != EffectPanic {
		t.Errorf("the last event is %+v", last)
	}
	// With the event skipped the journal goes on, and the replay too.
	if err := journal.Skip(r.fs, "n1/journal", died.Seq, "it kills"); err != nil {
		t.Fatal(err)
	}
	r.open().put(3).stop()
	m, res = r.replayed(Options{})
	if len(res.Problems) != 0 {
		t.Fatal(res.Problems)
	}
	drops := find(allEvents(t, m), "note", event.NoteDrop)
	if len(drops) != 1 || drops[0].Seq != died.Seq || drops[0].Data.Field("reason").AsString() != "skipped: it kills" {
		t.Errorf("drops %+v", drops)
	}
}

func TestReplayThatIsCalledOffEnds(t *testing.T) {
	r := newRig(t, "n1", "n2").open().put(3000)
	r.stop()
	ctx, cancel := contextWithCancel(t)
	n := 0
	o := Options{Registry: r.reg, Memory: true, onEvent: func() {
		if n++; n == 10 {
			cancel()
		}
	}}
	if _, err := Recording(ctx, recordRigs(t, vfs.NewMem(), r), o); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("got %v", err)
	}
}

func TestProgressEndsAtTheTotal(t *testing.T) {
	r := newRig(t, "n1", "n2").open().put(30).stop()
	var last Progress
	_, res := r.replayed(Options{Progress: func(p Progress) { last = p }})
	if last.Node != "n1" || last.Done != res.Last || last.Total != res.Last {
		t.Errorf("the last report is %+v, the last event %d", last, res.Last)
	}
}
