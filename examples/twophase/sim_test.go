package twophase

import (
	"testing"

	"hindcast.dev/sim"
)

func TestNobodyIsOfTwoMinds(t *testing.T) {
	for seed := range uint64(2) {
		r, err := sim.Run(Sim(), sim.Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		if r.Failure != nil {
			t.Errorf("seed %d: %v", seed, r.Failure)
		}
		if len(r.Operations) < 2000 || len(r.Happened) < 3 || r.Steps > 50_000 {
			t.Errorf("seed %d doesn't count: %d operations, faults %v, %d events", seed, len(r.Operations), r.Happened, r.Steps)
		}
	}
}

func TestTheMistakeIsFound(t *testing.T) {
	for seed := range uint64(10) {
		r, err := sim.Run(SimImpatient(), sim.Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		if r.Failure != nil {
			if r.Failure.Kind != sim.Safety {
				t.Errorf("seed %d: %v", seed, r.Failure)
			}
			return
		}
	}
	t.Error("ten seeds find nothing wrong with SimImpatient")
}
