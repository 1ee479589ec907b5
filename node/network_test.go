package node

import (
	"strings"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
	"hindcast.dev/transport"
)

// A machine may send to a name longer than any frame can hold. Encoded all the
// same, the frame would end the link with the peer at every attempt.
func TestAMessageThatNoFrameHoldsIsNotedAsDropped(t *testing.T) {
	o, fsys := inMemory(options(t, "n1"))
	o.Peers = map[string]string{"n2": "127.0.0.1:1"}
	n := start(t, o)
	f := record.Frame{Kind: event.Message, Machine: strings.Repeat("x", record.NameMax+1), Name: "Add",
		ID: event.MessageID{Node: "n1", Boot: n.Boot(), Seq: 1}}
	n.send("n2", &f)
	stop(t, n)
	notes := noteLog(t, fsys, dirsOf(o.Dir).journal)
	if !hasNote(notes, "drop n2 Add "+transport.DropTooLarge+": ") {
		t.Errorf("notes %q", notes)
	}
}
