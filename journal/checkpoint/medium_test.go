package checkpoint

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"path"
	"testing"

	"hindcast.dev/faultpoint"
	"hindcast.dev/vfs"
)

func bodyOf(seq uint64) []byte { return bytes.Repeat([]byte{byte(seq)}, 3000) }

// TestADamagedCheckpointGivesWayToTheOneBefore damages a sector of one of three
// checkpoints, or of its writing: whatever is then given out is what was written.
func TestADamagedCheckpointGivesWayToTheOneBefore(t *testing.T) {
	for _, kind := range []vfs.DamageKind{vfs.BitRot, vfs.LostWrite, vfs.MisdirectedWrite, vfs.ReadError} {
		counts := map[string]int{}
		for seed := range uint64(100) {
			r := rand.New(rand.NewPCG(seed, uint64(kind)))
			m := vfs.NewMem()
			for seq := uint64(1); seq <= 3; seq++ {
				if err := Write(m, dir, header(seq), bodyOf(seq)); err != nil {
					t.Fatal(err)
				}
				if seq == 2 && (kind == vfs.LostWrite || kind == vfs.MisdirectedWrite) {
					d := vfs.Damage{Kind: kind, Sector: vfs.AnySector, ToFile: path.Join(dir, Name(2)), ToSector: r.Int64N(6)}
					if err := m.Damage(d); err != nil {
						t.Fatal(err)
					}
				}
			}
			damaged := uint64(1 + r.IntN(3))
			if kind == vfs.BitRot || kind == vfs.ReadError {
				d := vfs.Damage{Kind: kind, File: path.Join(dir, Name(damaged)), Sector: r.Int64N(6), Bit: r.IntN(4000), Bits: 1}
				if err := m.Damage(d); err != nil {
					t.Fatal(err)
				}
			}
			h, body, skipped, err := Latest(m.Crash(r.IntN), dir, math.MaxUint64)
			what := fmt.Sprintf("%v, seed %d: %v", kind, seed, m.Damages())
			if err != nil || !bytes.Equal(body, bodyOf(h.Seq)) || int(h.Seq)+len(skipped) != 3 {
				t.Fatalf("%s: event %d, %v, %v", what, h.Seq, skipped, err)
			}
			for _, e := range skipped {
				if e.File == "" || e.Detail == "" {
					t.Errorf("%s: %v", what, e)
				}
			}
			counts[fmt.Sprintf("%d passed over", len(skipped))]++
		}
		if counts["0 passed over"] == 100 {
			t.Errorf("%v: nothing was ever damaged", kind)
		}
		t.Logf("%v: %v", kind, counts)
	}
}

// Whoever dies while he writes a checkpoint leaves the one before, or this one.
func TestDeathWhileACheckpointIsWritten(t *testing.T) {
	for _, point := range []string{faultpoint.CheckpointWritten, faultpoint.CheckpointNamed} {
		for seed := range uint64(10) {
			m := vfs.NewMem()
			mustWrite(t, m, header(1), string(bodyOf(1)))
			var left *vfs.Mem
			faults := faultpoint.New(func(name string) faultpoint.Action {
				if name != point {
					return faultpoint.Pass
				}
				left = m.Crash(rand.New(rand.NewPCG(seed, 3)).IntN)
				return faultpoint.Die
			})
			if err := WriteWith(m, dir, header(2), bodyOf(2), faults); err == nil || left == nil {
				t.Fatalf("%s: %v", point, err)
			}
			h, body, skipped, err := Latest(left, dir, math.MaxUint64)
			if err != nil || len(skipped) > 0 || !bytes.Equal(body, bodyOf(h.Seq)) {
				t.Errorf("%s, seed %d: event %d, %v, %v", point, seed, h.Seq, skipped, err)
			}
		}
	}
}
