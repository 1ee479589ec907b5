package vfs

import (
	"encoding/json"
	"fmt"
	"slices"
)

// A DamageKind is a way in which a disk betrays without saying so.
type DamageKind uint8

// The kinds of Damage.
const (
	// BitRot flips bits of what a sector holds on the medium.
	BitRot DamageKind = iota + 1
	// LostWrite lets the next write of a sector come to nothing; its sync returns nil.
	LostWrite
	// MisdirectedWrite lets the next write of a sector land on another one; its sync
	// returns nil.
	MisdirectedWrite
	// ReadError makes a sector unreadable until it is written.
	ReadError
)

var damageNames = [...]string{BitRot: "bit rot", LostWrite: "lost write", MisdirectedWrite: "misdirected write", ReadError: "read error"}

// String is the kind's name.
func (k DamageKind) String() string {
	if int(k) < len(damageNames) && k > 0 {
		return damageNames[k]
	}
	return fmt.Sprintf("damage(%d)", uint8(k))
}

// MarshalText writes the name.
func (k DamageKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the name.
func (k *DamageKind) UnmarshalText(b []byte) error {
	i := slices.Index(damageNames[:], string(b))
	if i <= 0 {
		return fmt.Errorf("damage %q: want one of %q", b, damageNames[1:])
	}
	*k = DamageKind(i)
	return nil
}

// A Damage is one fault of the medium, as data.
type Damage struct {
	Kind DamageKind `json:"kind"`
	// File and Sector are what suffers. Of a LostWrite and a MisdirectedWrite Sector
	// may be AnySector, the first of the file that a sync writes from now on, and
	// then File may be "": of any file.
	File   string `json:"file"`
	Sector int64  `json:"sector"` // in the file, of SectorSize bytes
	// Bit and Bits are which bits of the sector rot: [Bit, Bit+Bits), of SectorBits.
	Bit  int `json:"bit,omitempty"`
	Bits int `json:"bits,omitempty"`
	// ToFile and ToSector are where a misdirected write lands.
	ToFile   string `json:"toFile,omitempty"`
	ToSector int64  `json:"toSector,omitempty"`
}

// AnySector is the Sector of a write that is still to come.
const AnySector = -1

// SectorBits is how many bits a sector has.
const SectorBits = 8 * SectorSize

// String says in words what the damage is, and where.
func (d Damage) String() string {
	switch d.Kind {
	case BitRot:
		return fmt.Sprintf("bit rot: %s flipped in %s", bits(d.Bit, d.Bits), sectorText(d.File, d.Sector))
	case LostWrite:
		return fmt.Sprintf("lost write: of %s, whose sync returned nil", sectorText(d.File, d.Sector))
	case MisdirectedWrite:
		return fmt.Sprintf("misdirected write: of %s, to %s", sectorText(d.File, d.Sector), sectorText(d.ToFile, d.ToSector))
	case ReadError:
		return fmt.Sprintf("read error: in %s, until it is written", sectorText(d.File, d.Sector))
	}
	return d.Kind.String()
}

func bits(bit, n int) string {
	switch {
	case n == SectorBits:
		return "all bits"
	case n == 1:
		return fmt.Sprintf("bit %d of byte %d", bit%8, bit/8)
	}
	return fmt.Sprintf("bits %d to %d", bit, bit+n-1)
}

func sectorText(file string, sector int64) string {
	switch {
	case file == "":
		return "whatever sector is written next"
	case sector == AnySector:
		return "the sector of " + file + " that is written next"
	}
	return fmt.Sprintf("sector %d of %s (bytes %d to %d)", sector, file, sector*SectorSize, (sector+1)*SectorSize-1)
}

// A Spot is a sector whose content on the medium is not what was written there
// last.
type Spot struct {
	File   string `json:"file"` // by its present name
	Sector int64  `json:"sector"`
	Damage Damage `json:"damage"` // that did it
}

// String names the place and the damage.
func (s Spot) String() string {
	return sectorText(s.File, s.Sector) + ": " + s.Damage.String()
}

// MarshalJSON adds the text.
func (s Spot) MarshalJSON() ([]byte, error) {
	type plain Spot
	return json.Marshal(struct {
		plain
		Text string `json:"text"`
	}{plain(s), s.String()})
}

// An Extent is a file as Files lists it.
type Extent struct {
	Name    string
	Size    int64
	Sectors int64 // those on the medium that were ever written, from 0 on; what follows is zero
	Mapped  bool
}

// A mediumError is a read error.
type mediumError struct{ sector int }

func (e *mediumError) Error() string {
	return fmt.Sprintf("%v: sector %d is unreadable", ErrMedium, e.sector)
}

// Unwrap returns ErrMedium.
func (e *mediumError) Unwrap() error { return ErrMedium }
