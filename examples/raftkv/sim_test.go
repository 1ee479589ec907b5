package raftkv

import (
	"os"
	"strconv"
	"testing"

	"hindcast.dev/check"
	"hindcast.dev/sim"
)

func TestSeeds(t *testing.T) {
	from, n := 0, 5
	if s := os.Getenv("SEEDS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	if s := os.Getenv("FROM"); s != "" {
		from, _ = strconv.Atoi(s)
	}
	for seed := range n {
		seed += from
		r, err := sim.Run(Subject(), sim.Options{Seed: uint64(seed)})
		if err != nil {
			t.Fatal(err)
		}
		if testing.Verbose() {
			out := map[string]int{}
			for _, op := range r.Operations {
				out[op.F+" "+op.Outcome.String()]++
			}
			t.Logf("seed %d: %d events %d steps %s %v", seed, r.Events, r.Steps, r.Simulated, out)
		}
		if r.Failure != nil {
			t.Errorf("seed %d: %v", seed, r.Failure)
		}
	}
}

func TestOne(t *testing.T) {
	seed, _ := strconv.Atoi(os.Getenv("FROM"))
	var lines []sim.Line
	r, err := sim.Run(Subject(), sim.Options{Seed: uint64(seed), Quick: os.Getenv("QUICK") != "", Trace: func(l sim.Line) { lines = append(lines, l) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range r.Drawn {
		t.Log(d.Name, d.Value)
	}
	for _, f := range r.Faults {
		t.Log(f.String())
	}
	t.Log(r.Failure)
	for _, op := range r.Operations {
		if op.Return == check.Open && op.Call > int64(r.Simulated)-int64(100e9) {
			t.Log(op)
		}
	}
	for _, l := range lines[max(0, len(lines)-60):] {
		t.Log(l.At, l.Node, l.Text)
	}
}
