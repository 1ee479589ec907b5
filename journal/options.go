package journal

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"time"

	"hindcast.dev/faultpoint"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// Durability says what a node waits for before it performs effects. The journal
// itself only records it: its driver calls Sync accordingly.
type Durability uint8

// The policies. The numbers are part of the format.
const (
	// Process survives the end of the process, not of the machine: no effect waits.
	Process Durability = 0
	// Group lets effects wait for a sync that covers them; stepping goes on meanwhile.
	Group Durability = 1
	// Each syncs after every event.
	Each Durability = 2
)

var durabilityNames = [...]string{Process: "process", Group: "group", Each: "each"}

func (d Durability) String() string {
	if int(d) < len(durabilityNames) {
		return durabilityNames[d]
	}
	return fmt.Sprintf("durability(%d)", uint8(d))
}

// ParseDurability reads what String writes.
func ParseDurability(s string) (Durability, error) {
	for d, name := range durabilityNames {
		if s == name {
			return Durability(d), nil
		}
	}
	return 0, fmt.Errorf("durability %q: want process, group or each", s)
}

// Limits and defaults, in bytes.
const (
	SegmentBytesDefault = 64 << 20
	SegmentBytesMin     = 8 << 10
	SegmentBytesMax     = 1 << 30
)

// Options say how a journal is opened. FS, Dir and Node are required.
type Options struct {
	FS   vfs.FS
	Dir  string
	Node string // at most segment.NodeMax bytes

	// SegmentBytes is the size of new segments, a multiple of 4096; 0 means
	// SegmentBytesDefault. The longest frame is a segment less 4096 bytes.
	SegmentBytes int
	// Backlog is the most bytes that wait for their stamp; 0 means SegmentBytes.
	// So many segments are prepared ahead that a backlog fits.
	Backlog    int
	Durability Durability

	// RetainBytes and RetainAge remove the oldest segments when those kept have more
	// bytes, or their last event is older than the journal's last by more than that.
	// 0 keeps for ever. Nothing at or above SetRetainFrom is removed.
	RetainBytes int64
	RetainAge   time.Duration
	// Archive, if not empty, is a directory where segments go, compressed, before
	// retention removes them.
	Archive string

	// HostBoot names the machine's present boot (on Linux, the kernel's boot_id):
	// if it is the one of the time before, the machine stayed up and nothing stamped
	// can be lost. "" is unknown. At most segment.HostBootMax bytes.
	HostBoot string

	// Notify, if not nil, is called after every publish, by the producer's
	// goroutine: the consumer has work. WantMaintain is called when the journal
	// went on to a prepared segment: Maintain has work. Neither may block.
	Notify       func()
	WantMaintain func()

	// FirstBoot, if not 0, is the boot number with which a new journal begins; one
	// that has booted refuses it, see ErrNotNew. It is for a node that has lost its
	// disk: its peers know the messages of its earlier boots, so it must begin above
	// them. Seconds since 1970 are: no node boots every second.
	FirstBoot uint64

	// Nonce draws segments' nonces; nil means at random. A simulator gives its own.
	Nonce func() uint32
	Log   *slog.Logger // nil discards
	// Faults are the points of a simulated run; nil in production.
	Faults *faultpoint.Set
}

func (o *Options) validate() error {
	switch {
	case o.FS == nil:
		return fmt.Errorf("journal options: FS is missing")
	case o.Dir == "":
		return fmt.Errorf("journal options: Dir is missing")
	case o.Node == "" || len(o.Node) > segment.NodeMax:
		return fmt.Errorf("journal options: Node %q must have 1 to %d bytes", o.Node, segment.NodeMax)
	case len(o.HostBoot) > segment.HostBootMax:
		return fmt.Errorf("journal options: HostBoot has %d bytes, the most is %d", len(o.HostBoot), segment.HostBootMax)
	case o.Backlog < 0 || o.RetainBytes < 0 || o.RetainAge < 0:
		return fmt.Errorf("journal options: Backlog, RetainBytes and RetainAge must not be negative")
	case o.Durability > Each:
		return fmt.Errorf("journal options: %v is no durability", o.Durability)
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = SegmentBytesDefault
	}
	if n := o.SegmentBytes; n < SegmentBytesMin || n > SegmentBytesMax || n%segment.DataOffset != 0 {
		return fmt.Errorf("journal options: SegmentBytes %d must be a multiple of %d in [%d, %d]", n, segment.DataOffset, SegmentBytesMin, SegmentBytesMax)
	}
	if o.Backlog == 0 {
		o.Backlog = o.SegmentBytes
	}
	if o.Nonce == nil {
		o.Nonce = randomNonce
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// nonce draws until it isn't 0, which is the wire's.
func (o *Options) nonce() uint32 {
	for {
		if n := o.Nonce(); n != 0 {
			return n
		}
	}
}

func randomNonce() uint32 {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint32(b[:])
}
