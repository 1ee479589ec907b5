package bank

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
)

// A hall is some desks, the letters between them, and a clock.
type hall struct {
	desks   []*desk
	now     hlc.Timestamp
	letters []letter
	r       *rand.Rand
	loss    float64
}

// A desk is one bank without a loop: the host of its machine.
type desk struct {
	h    *hall
	name string
	b    *Bank
	tick hlc.Timestamp // when its timer is due
	body any           // encoded last
}

type letter struct {
	from string
	to   *desk
	body any
}

func (d *desk) Encode(body any) (string, uint32, []byte) { d.body = body; return "", 1, nil }

func (d *desk) Effect(e event.Effect) event.MessageID {
	switch {
	case e.Kind == event.EffectSetTimer:
		d.tick = e.At
	case e.Kind == event.EffectSend && d.h.r.Float64() >= d.h.loss:
		d.h.letters = append(d.h.letters, letter{d.name, d.h.desk(e.Node), d.body})
	}
	return e.ID
}

func (d *desk) step(from string, kind event.Kind, body any) {
	start := event.StartInfo{Node: d.name}
	for _, o := range d.h.desks {
		if o != d {
			start.Peers = append(start.Peers, o.name)
		}
	}
	ctx := &machine.Context{Host: d, Machine: Name, Time: d.h.now, Start: start}
	d.b.Step(ctx, event.Event{Kind: kind, ID: event.MessageID{Node: from}, Body: body})
}

func (h *hall) desk(name string) *desk {
	for _, d := range h.desks {
		if d.name == name {
			return d
		}
	}
	return nil
}

// pass lets some time pass in which every desk makes transfers and letters come in
// any order.
func (h *hall) pass(d time.Duration) {
	for end := h.now.Add(d); h.now < end; h.now = h.now.Add(10 * time.Millisecond) {
		for _, d := range h.desks {
			to := fmt.Sprintf("n%d/%d", 1+h.r.IntN(3), h.r.IntN(DefaultAccounts))
			d.step("client", event.Request, Transfer{From: fmt.Sprintf("%s/%d", d.name, h.r.IntN(DefaultAccounts)), To: to, Amount: 1})
			if d.tick <= h.now {
				d.step("", event.Timer, Tick{})
			}
		}
		for n := len(h.letters); n > 0; n-- {
			i := h.r.IntN(len(h.letters))
			l := h.letters[i]
			h.letters = append(h.letters[:i], h.letters[i+1:]...)
			l.to.step(l.from, event.Message, l.body)
		}
	}
}

// Whatever is lost, and however the rest is reordered: within two seconds after the
// loss has ended nothing is owed that is older than that, though transfers go on.
func TestWhatWasLostIsPaidWhileTransfersGoOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &hall{now: hlc.FromTime(time.Unix(1_800_000_000, 0)), r: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))}
		for i := range 3 {
			h.desks = append(h.desks, &desk{h: h, name: fmt.Sprint("n", i+1), b: New().(*Bank)})
		}
		for _, d := range h.desks {
			d.step("", event.Start, event.StartInfo{})
		}
		for range rapid.IntRange(1, 3).Draw(t, "spells") {
			h.loss = rapid.Float64Range(0.01, 1).Draw(t, "loss")
			h.pass(time.Duration(rapid.IntRange(1, 30).Draw(t, "tenths")) * 100 * time.Millisecond)
			h.loss = 0
			healed := h.now
			h.pass(2*againAfter + 2*againSoon)
			for _, d := range h.desks {
				for k, o := range d.b.Owed.All() {
					if o.At < healed {
						t.Fatalf("%s owes %s since %v, the last loss was at %v", d.name, k, o.At, healed)
					}
				}
				if n := d.b.Early.Len(); n > 0 && len(h.letters) == 0 {
					t.Fatalf("%s has taken %d transfers before an earlier one", d.name, n)
				}
			}
		}
		sum := int64(0)
		for _, d := range h.desks {
			s := d.b.sheet()
			sum += s.Sum
			for _, l := range h.letters {
				if c, ok := l.body.(Credit); ok && l.from == d.name {
					sum += c.Amount
				}
			}
		}
		if want := int64(3 * DefaultAccounts * Opening); sum != want {
			t.Fatalf("%d in all, want %d", sum, want)
		}
	})
}
