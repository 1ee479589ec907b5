package timeline

import (
	"fmt"
	"slices"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// What nodes noted of dropped messages is found by message, however many notes and
// reasons there are.
func TestNotesOnDroppedMessagesAreFoundByMessage(t *testing.T) {
	const events = reasonsMax + 500
	b := history.NewBuilder()
	reason := func(i int) string { return fmt.Sprint("reason ", i) }
	for i := range events {
		e := history.EventSpec{Event: history.Event{Position: history.Position{Time: hlc.Timestamp(i+1) << 16}, Kind: "note", Name: "drop",
			ID: fmt.Sprint("m", i/2), Peer: "n2", Data: event.MapOf(event.NewMap(event.Entry{Key: event.String("reason"), Value: event.String(reason(i))}))}}
		b.Append([]string{"n1", "n2"}[i%2], e)
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	x, err := Build(t.Context(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := x.Losses("m0"); got != nil {
		t.Errorf("known before it is linked: %v", got)
	}
	if x, err = x.Link(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < events; i += 2 {
		want := []Loss{{0, uint64(i/2 + 1), reason(i)}, {1, uint64(i/2 + 1), reason(i + 1)}}
		if i >= reasonsMax {
			want[0].Reason, want[1].Reason = manyReasons, manyReasons
		}
		if got := x.Losses(fmt.Sprint("m", i/2)); !slices.Equal(got, want) {
			t.Fatalf("m%d: %v, want %v", i/2, got, want)
		}
	}
	if got := x.Losses("m"); got != nil {
		t.Errorf("of a message that nobody noted: %v", got)
	}
}
