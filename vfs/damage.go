package vfs

import (
	"fmt"
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

// A Damage is one fault of the medium, as data.
type Damage struct {
	Kind DamageKind `json:"kind"`
	// File and Sector are what suffers. Of a LostWrite and a MisdirectedWrite Sector
	// may be AnySector, the first of the file that a sync writes from now on, and
	// then File may be "": of any file.
	File   string `json:"file"`
	Sector int64  `json:"sector"` // in the file, of SectorSize bytes
	// Bit and Bits are which bits of the sector rot: [Bit, Bit+Bits), of 8*SectorSize.
	Bit  int `json:"bit,omitempty"`
	Bits int `json:"bits,omitempty"`
	// ToFile and ToSector are where a misdirected write lands.
	ToFile   string `json:"toFile,omitempty"`
	ToSector int64  `json:"toSector,omitempty"`
}

// AnySector is the Sector of a write that is still to come.
const AnySector = -1

// An Extent is a file as Files lists it.
type Extent struct {
	Name    string
	Size    int64
	Sectors int64 // those on the medium that were ever written, from 0 on; what follows is zero
	Mapped  bool
}
