package stepper

import (
	"errors"
	"strings"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/machine"
)

// A vault keeps an object that it can't export.
type vault struct {
	Held  int // as the object was opened with
	Since int // what came since
	inner *int
}

func (*vault) Payloads() []any { return []any{tick{}, bought{}} }

func (v *vault) Step(ctx *machine.Context, ev event.Event) {
	switch b := ev.Body.(type) {
	case event.StartInfo:
		v.Reopen()
	case tick:
		*v.inner += b.N
		v.Since += b.N
		ctx.Reply(ev.ID, bought{*v.inner})
	}
	if ev.Kind == event.Control && ev.Name == event.ControlReopen {
		v.Held, v.Since = v.Held+v.Since, 0
		ctx.Log("info", "%d", *v.inner)
	}
}

func (v *vault) Reopen() {
	n := -v.Held
	v.inner = &n
}

// vaultTwo takes over from vault field by field, and calls its object otherwise.
type vaultTwo struct{ vault }

// fibber changes what is exported when it is reopened.
type fibber struct{ vault }

func (f *fibber) Reopen() {
	f.vault.Reopen()
	f.Held++
}

func vaultOptions(news ...func() machine.Machine) Options {
	v := machine.Versions{}
	for i, n := range news {
		v[uint32(i+1)] = n
	}
	return Options{Registry: machine.Registry{"vault": v}, Versions: map[string]uint32{"vault": 1}}
}

func newVault() machine.Machine    { return &vault{} }
func newVaultTwo() machine.Machine { return &vaultTwo{} }

func deposit(n int) event.Event {
	ev := payload(event.Request, "tick", tick{n})
	ev.Machine = "vault"
	return ev
}

var reopenEvent = event.Event{Kind: event.Control, Name: event.ControlReopen}

func TestAReopeningMachineHasCheckpointsBehindReopenEventsOnly(t *testing.T) {
	d := started(t, vaultOptions(newVault))
	d.do(deposit(3))
	var reopen *ReopenError
	if _, err := d.s.Checkpoint(); !errors.As(err, &reopen) || reopen.Machine != "vault" || reopen.Seq != d.seq {
		t.Fatalf("a checkpoint of what it doesn't hold: %v", err)
	}
	out := d.do(reopenEvent)
	mustEqual(t, "effects at the reopen event", kinds(out.Effects), "log ")
	if string(out.Effects[0].Payload) != "3" {
		t.Errorf("its Step had the object of afterwards: %s", out.Effects[0].Payload)
	}
	b, err := d.s.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	d.do(deposit(1))
	if _, err := d.s.Checkpoint(); err == nil {
		t.Error("a checkpoint behind another event")
	}

	o := vaultOptions(newVault)
	o.Node = "n1"
	s, err := Restore(o, b)
	if err != nil || !s.Reopened() || !s.Reopens() {
		t.Fatal(err)
	}
	again := &driver{t: t, s: s, seq: s.Seq(), now: s.Time()}
	again.do(deposit(1))
	mustEqual(t, "chain", again.s.Chain(), d.s.Chain())
	mustEqual(t, "object", *again.s.Machine("vault").(*vault).inner, *d.s.Machine("vault").(*vault).inner)
}

func TestAnUpgradeReopensTheMachineThatTakesOver(t *testing.T) {
	d := started(t, Options{Registry: machine.Registry{"vault": {1: newVault, 2: newVaultTwo}}, Versions: map[string]uint32{"vault": 2}})
	if d.s.Version("vault") != 2 {
		t.Fatal("not at version 2")
	}
	d = &driver{t: t, now: startTime}
	var err error
	if d.s, err = New(Options{Node: "n1", Registry: machine.Registry{"vault": {1: newVault, 2: newVaultTwo}}}); err != nil {
		t.Fatal(err)
	}
	d.do(startEvent("vault", 1))
	d.do(deposit(5))
	d.do(upgradeEvent("vault", 1, 2))
	v := d.s.Machine("vault").(*vaultTwo)
	if v.Held != 5 || v.Since != 0 || v.inner == nil || *v.inner != -5 {
		t.Errorf("taken over: %+v", v)
	}
	if d.s.Reopened() {
		t.Error("an upgrade counts as a reopen event")
	}
}

func TestAReopenThatChangesExportedStateIsFound(t *testing.T) {
	o := vaultOptions(func() machine.Machine { return &fibber{} })
	o.Node = "n1"
	d := started(t, o)
	d.do(reopenEvent)
	b, err := d.s.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	var corrupt *CorruptError
	if _, err := Restore(o, b); !errors.As(err, &corrupt) || !strings.Contains(err.Error(), "Reopen") {
		t.Errorf("restored: %v", err)
	}
}

func TestOtherMachinesDontSeeAReopenEvent(t *testing.T) {
	d := started(t, Options{})
	before := d.shop().cache
	d.do(reopenEvent)
	mustEqual(t, "steps", d.shop().cache, before)
	if d.s.Reopens() {
		t.Error("shop reopens")
	}
	if _, err := d.s.Checkpoint(); err != nil {
		t.Error(err)
	}
}
