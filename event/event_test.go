package event_test

import (
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
)

func TestMessageIDReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := event.MessageID{
			Node: rapid.SampledFrom([]string{"n1", "n1.client", "a/b", ""}).Draw(t, "node"),
			Boot: rapid.Uint64().Draw(t, "boot"), Seq: rapid.Uint64Min(1).Draw(t, "seq"), Effect: rapid.Uint32().Draw(t, "effect"),
		}
		if got, err := event.ParseMessageID(id.String()); err != nil || got != id {
			t.Fatalf("%+v is written %q and read %+v (%v)", id, id, got, err)
		}
	})
}

func TestParseMessageIDRefusesWhatIsNone(t *testing.T) {
	for _, s := range []string{"", "n1", "n1/1/2", "n1/x/2/3", "n1/1/-2/3", "n1/1/2/4294967296"} {
		if id, err := event.ParseMessageID(s); err == nil {
			t.Errorf("%q is read as %+v", s, id)
		}
	}
	if s := (event.MessageID{}).String(); s != "" {
		t.Errorf("the zero id is written %q", s)
	}
}

func TestMessageIDsOfABootAreOrderedBySending(t *testing.T) {
	id := func(seq uint64, effect uint32) event.MessageID {
		return event.MessageID{Node: "n1", Boot: 1, Seq: seq, Effect: effect}
	}
	ordered := []event.MessageID{id(1, 0), id(1, 1), id(2, 0), id(10, 0)}
	for i, a := range ordered {
		for j, b := range ordered {
			if a.Less(b) != (i < j) {
				t.Errorf("%v before %v: %v", a, b, a.Less(b))
			}
		}
	}
}

func TestKindsHaveNames(t *testing.T) {
	for k, want := range map[event.Kind]string{event.Start: "start", event.Message: "recv", event.Refused: "refused",
		event.Padding: "padding", 0: "kind(0)", 99: "kind(99)"} {
		if k.String() != want {
			t.Errorf("kind %d is %q, want %q", uint8(k), k, want)
		}
	}
	for k, want := range map[event.EffectKind]string{event.EffectSend: "send", event.EffectLog: "log", 0: "effect(0)", 77: "effect(77)"} {
		if k.String() != want {
			t.Errorf("effect kind %d is %q, want %q", uint8(k), k, want)
		}
	}
}
