package app

import (
	"path/filepath"
	"strings"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/machine"
)

type pointed struct{}

func (*pointed) Step(*machine.Context, event.Event) {}

type valued struct{}

func (valued) Step(*machine.Context, event.Event) {}

type within struct{ pointed }

type deeper struct{ *within }

type valuedWithin struct{ valued }

type hidden struct{ machine.Machine }

func TestTheCodeOfAMachineIsItsStep(t *testing.T) {
	for _, c := range []struct {
		m    machine.Machine
		want string
	}{
		{&pointed{}, "(*pointed).Step"}, {valued{}, "valued.Step"}, {&valued{}, "valued.Step"}, {&within{}, "(*pointed).Step"},
		{&deeper{&within{}}, "(*pointed).Step"}, {valuedWithin{}, "valued.Step"}, {&valuedWithin{}, "valued.Step"}, {&hidden{&pointed{}}, ""},
	} {
		got := stepOf(c.m)
		if !strings.HasSuffix(got.Function, c.want) || (c.want == "") != (got.Function == "") || c.want != "" && (filepath.Base(got.File) != "code_test.go" || got.Line == 0) {
			t.Errorf("%T: %+v, want %s", c.m, got, c.want)
		}
	}
}

func TestTheCodeIsOfTheVersionThatRan(t *testing.T) {
	p := newCodePlaces(machine.Registry{"m": {1: func() machine.Machine { return &pointed{} }, 2: func() machine.Machine { return valued{} }}})
	p.build = func() string { return "b1" }
	for version, want := range map[uint32]string{0: "valued.Step", 1: "(*pointed).Step", 2: "valued.Step"} {
		if c, ok := p.of("b1", "m", version); !ok || !strings.HasSuffix(c.Function, want) || c.Of != "" {
			t.Errorf("version %d: %+v", version, c)
		}
	}
	if c, ok := p.of("b2", "m", 1); !ok || c.Of != "b1" {
		t.Errorf("of another build: %+v", c)
	}
	if c, ok := p.of("b1", "m", 3); ok {
		t.Errorf("of a version that isn't here: %+v", c)
	}
	if c, ok := p.of("b1", "other", 0); ok {
		t.Errorf("of a machine that isn't here: %+v", c)
	}
}
