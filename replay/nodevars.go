package replay

import (
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/journal/checkpoint"
)

// The variables of log node.
const (
	varUp      = "node.up"      // whether the process runs
	varBoot    = "node.boot"    // the number of its start
	varVersion = "node.version" // machine → version that runs
	varLink    = "node.link"    // peer → "up" or "down", as this boot knows
	varFault   = "node.fault"   // peer, or "clock" → kind of fault → what
	varClock   = "node.clock"   // "ok", or "refused" while a jump of it is
	varDisk    = "node.disk"    // "ok" or "full"
)

// A nodeState makes the variables of log node from notes and stamps.
type nodeState struct {
	boot    uint64 // of the last stamp, 0 before the first
	up      bool
	running map[string]uint32 // machine → version
	changes []history.Change  // of the event that is being converted
}

func (n *nodeState) set(p *player, name string, v event.Value, path ...event.Value) {
	n.changes = append(n.changes, history.Change{Var: p.varID(name), Path: path, Value: v})
}

// boots takes in the boot that stamped the next event. The first stamp of a boot
// is where it begins; it may come before the boot's note. If the boot before it
// ended without a stop, the pending event was the last thing it did.
func (n *nodeState) boots(p *player, boot uint64) {
	if boot == n.boot {
		return
	}
	if n.boot != 0 && n.up && p.held {
		p.pending.Changes = append(p.pending.Changes, history.Change{Var: p.varID(varUp), Value: event.Bool(false)})
	}
	n.boot, n.up = boot, true
	n.set(p, varUp, event.Bool(true))
	n.set(p, varBoot, event.Uint(boot))
	// Links and switches belong to the process: the new one begins without.
	n.set(p, varLink, event.MapOf(nil))
	n.set(p, varFault, event.MapOf(nil))
}

// note takes in a note.
func (n *nodeState) note(p *player, name string, info *event.NoteInfo) {
	switch name {
	case event.NoteStop:
		if info.Boot != 0 && info.Boot != n.boot {
			return // of the boot before, which died before it could stamp it
		}
		n.up = false
		n.set(p, varUp, event.Bool(false))
	case event.NoteLink:
		if info.Peer != "" {
			n.set(p, varLink, event.String(info.State), event.String(info.Peer))
		}
	case event.NoteFault:
		n.fault(p, info)
	case event.NoteClock:
		n.set(p, varClock, event.String(info.State))
	case event.NoteDisk:
		n.set(p, varDisk, event.String(info.State))
	}
}

// faultHeal is the State of a note that all faults of a peer are gone.
const faultHeal = "heal"

func (n *nodeState) fault(p *player, info *event.NoteInfo) {
	peer := info.Peer
	if peer == "" {
		peer = "clock"
	}
	if info.State == faultHeal {
		n.set(p, varFault, event.Absent, event.String(peer))
		return
	}
	n.set(p, varFault, event.String(info.Reason), event.String(peer), event.String(info.State))
}

// versions takes in the versions that run after a start or an upgrade.
func (n *nodeState) versions(p *player, ev *event.Event) {
	if ev.Kind != event.Start && (ev.Kind != event.Control || ev.Name != event.ControlUpgrade) {
		return
	}
	st := p.f.Stepper()
	if n.running == nil {
		n.running = map[string]uint32{}
	}
	for _, m := range st.Machines() {
		if v := st.Version(m); n.running[m] != v {
			n.running[m] = v
			n.set(p, varVersion, event.Uint(uint64(v)), event.String(m))
		}
	}
}

// base returns the variables of log node at a checkpoint. Its links and faults
// are what is left of them from before; without that they aren't known.
func (n *nodeState) base(p *player, h checkpoint.Header) []history.Change {
	n.boot, n.up, n.running = h.Boot, true, map[string]uint32{}
	n.changes = n.changes[:0]
	versions := (*event.Map)(nil)
	st := p.f.Stepper()
	for _, m := range st.Machines() {
		n.running[m] = st.Version(m)
		versions = versions.With(event.String(m), event.Uint(uint64(st.Version(m))))
	}
	return []history.Change{
		{Var: p.varID(varUp), Value: event.Bool(true)},
		{Var: p.varID(varBoot), Value: event.Uint(h.Boot)},
		{Var: p.varID(varVersion), Value: event.MapOf(versions)},
	}
}
