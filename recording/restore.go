package recording

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/vfs"
)

// A Restored is a node's data directory that Restore made.
type Restored struct {
	Node     string        `json:"node"`
	Dir      string        `json:"dir"`
	Seq      uint64        `json:"seq"`                // the event that it goes on after
	Time     hlc.Timestamp `json:"time"`               // of that event
	InFlight int           `json:"inflight,omitempty"` // messages that it will take in first
	Missing  string        `json:"missing,omitempty"`  // why there is no directory; then there is nothing else
}

// Restore makes data directories, one for each node below dir, from which a
// system goes on at one consistent cut: that of a snapshot (at is 0 then), or the
// one at a time that a recording's journals reach. dir is made, or is empty. It
// appears when all is in it.
//
// A node begins with the checkpoint and the journal up to the cut. What was under
// way to it is at the end of its journal, published and not stamped: it is handled
// once, by the first start, however often that is cut short. Its next boot has
// another number than the last one in the cut, so all nodes must start from here.
// Of a recording that isn't a snapshot, what was under way is what came later;
// what never came is lost.
func (r *Recording) Restore(dir string, at hlc.Timestamp) ([]Restored, error) {
	fsys := r.fs
	names, err := fsys.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("restore: %w", err)
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("restore: %s isn't empty, it holds %s: give a directory that is, nothing is overwritten", dir, names[0])
	}
	there := err == nil
	part := path.Join(path.Dir(dir), hiddenPrefix+path.Base(dir)+partSuffix)
	if err := errors.Join(vfs.RemoveAll(fsys, part), vfs.MkdirSync(fsys, part)); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	out, err := r.restoreAll(part, dir, at)
	if err == nil && there {
		err = fsys.Remove(dir)
	}
	if err == nil {
		err = errors.Join(fsys.SyncDir(part), fsys.Rename(part, dir), fsys.SyncDir(path.Dir(dir)))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("restore: %w", err), vfs.RemoveAll(fsys, part))
	}
	return out, nil
}

func (r *Recording) restoreAll(part, dir string, at hlc.Timestamp) (out []Restored, err error) {
	flights, err := r.flightsByReceiver()
	if err != nil {
		return nil, err
	}
	some, begun := false, false
	for _, n := range r.manifest.Nodes {
		d := Restored{Node: n.Name, Dir: path.Join(dir, Escape(n.Name)), Missing: n.Missing}
		if d.Missing == "" {
			if err := r.restoreNode(path.Join(part, Escape(n.Name)), &n, at, flights[n.Name], &d); err != nil {
				return nil, fmt.Errorf("node %s: %w", n.Name, err)
			}
			some, begun = true, begun || d.Seq > 0
		}
		out = append(out, d)
	}
	switch {
	case !some:
		return nil, errors.New("there is nothing of any node")
	case !begun:
		return nil, r.notBegun(at)
	}
	return out, nil
}

// notBegun is the error of a cut at which no node had begun.
func (r *Recording) notBegun(at hlc.Timestamp) error {
	if s := r.manifest.Snapshot; s != nil {
		return fmt.Errorf("nothing had happened on any node at the snapshot's time %v: take one of a later time", s.Time)
	}
	var begins []string
	for _, n := range r.manifest.Nodes {
		if t, err := r.begins(n.Name); n.Missing == "" && err == nil && t != 0 {
			begins = append(begins, fmt.Sprintf("%s at %v", n.Name, t))
		}
	}
	return fmt.Errorf("nothing had happened by %v: the recording begins later, %s; choose a later time", at, strings.Join(begins, ", "))
}

// begins is the earliest time of which a node can be restored, 0 if there is none.
func (r *Recording) begins(node string) (hlc.Timestamp, error) {
	rd, err := journal.OpenReader(r.fs, r.JournalDir(node), 1)
	if err == nil {
		e, err := rd.Next()
		return e.Stamp.Time, errors.Join(err, rd.Close())
	}
	seqs, err := checkpoint.List(r.fs, r.CheckpointsDir(node))
	if err != nil {
		return 0, err
	}
	for _, seq := range seqs {
		h, _, err := checkpoint.Read(r.fs, path.Join(r.CheckpointsDir(node), checkpoint.Name(seq)))
		if err == nil {
			return h.Time, nil
		}
	}
	return 0, nil
}

// flightsByReceiver are the messages under way in a snapshot, in the order of
// sending.
func (r *Recording) flightsByReceiver() (map[string][]Flight, error) {
	out := map[string][]Flight{}
	for _, n := range r.manifest.Nodes {
		flights, err := r.InFlight(n.Name)
		if err != nil {
			return nil, err
		}
		for _, f := range flights {
			out[f.To] = append(out[f.To], f)
		}
	}
	for _, flights := range out {
		slices.SortStableFunc(flights, func(a, b Flight) int { return compare(a.Sent, b.Sent) })
	}
	return out, nil
}

func (r *Recording) restoreNode(dir string, n *Node, at hlc.Timestamp, flights []Flight, d *Restored) error {
	durability, err := journal.ParseDurability(n.Durability)
	if err != nil {
		durability = journal.Group
	}
	w := &restorer{fs: r.fs, dir: dir, d: d, o: journal.SeedOptions{FS: r.fs, Dir: path.Join(dir, JournalName), Node: n.Name, Durability: durability}}
	if n.Cut != nil {
		return r.restoreCut(w, n, flights)
	}
	return r.restoreAt(w, n.Name, at)
}

// A restorer writes one data directory.
type restorer struct {
	fs  vfs.FS
	dir string
	d   *Restored
	o   journal.SeedOptions
	s   *journal.Seeder
}

// begin writes the checkpoint, if there is one, and begins the journal.
func (w *restorer) begin(h checkpoint.Header, body []byte) error {
	checkpoints := path.Join(w.dir, CheckpointsName)
	if err := vfs.MkdirSync(w.fs, checkpoints); err != nil {
		return err
	}
	if body != nil {
		if err := checkpoint.Write(w.fs, checkpoints, h, body); err != nil {
			return err
		}
		w.o.Before = record.Stamp{Seq: h.Seq, Time: h.Time, Physical: h.Physical, Chain: h.Chain, Boot: h.Boot}
	}
	return nil
}

// end writes the journal; boot is that of its last event.
func (w *restorer) end(boot uint64, fill func(*journal.Seeder) error) (err error) {
	w.o.Boot = boot
	if w.s, err = journal.NewSeeder(w.o); err != nil {
		return err
	}
	if err := fill(w.s); err != nil {
		return err
	}
	last := w.s.Last()
	w.d.Seq, w.d.Time = last.Seq, last.Time
	return errors.Join(w.s.Close(), w.fs.SyncDir(w.dir))
}

func (w *restorer) flight(f *record.Frame) error {
	w.d.InFlight++
	return w.s.Published(f)
}

func (r *Recording) restoreCut(w *restorer, n *Node, flights []Flight) error {
	past, err := r.Past(n.Name)
	if err != nil {
		return err
	}
	h, body, err := past.Begin()
	if err == nil {
		err = w.begin(h, body)
	}
	if err != nil {
		return err
	}
	return w.end(n.Cut.Boot, func(s *journal.Seeder) error {
		if n.Cut.Seq > h.Seq {
			if err := past.Each(h.Seq, func(e *journal.Entry) error { return s.Stamped(&e.Frame, e.Stamp) }); err != nil {
				return err
			}
		}
		for i := range flights {
			f, err := flights[i].Frame()
			if err == nil {
				err = w.flight(&f)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// restoreAt restores a node from its journal at a time.
func (r *Recording) restoreAt(w *restorer, node string, at hlc.Timestamp) error {
	if at == 0 {
		return errors.New("the recording isn't a snapshot: say at which time")
	}
	h, body, err := r.checkpointAt(node, at)
	if err == nil {
		err = w.begin(h, body)
	}
	if err != nil {
		return err
	}
	skips, err := journal.Amendments(r.fs, r.JournalDir(node))
	if err != nil {
		return err
	}
	rd, err := journal.OpenReader(r.fs, r.JournalDir(node), h.Seq+1)
	if err != nil {
		return r.reachError(node, at, err)
	}
	defer rd.Close()
	boot, err := r.bootAt(node, h, at)
	if err != nil {
		return err
	}
	return w.end(boot, func(s *journal.Seeder) error {
		for {
			e, err := rd.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if slices.ContainsFunc(skips, func(a journal.Amendment) bool { return a.Seq == e.Stamp.Seq }) {
				e.Stamp.Disposition = record.Skipped
			}
			switch {
			case e.Stamp.Time <= at:
				err = s.Stamped(&e.Frame, e.Stamp)
			case e.Kind == event.Message && e.Sent != 0 && e.Sent <= at && e.Stamp.Disposition == record.Handled:
				err = w.flight(&e.Frame)
			case e.Stamp.Time > at.Add(FlightWindow):
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
}

// reachError says how far back a node reaches, if err is that it doesn't.
func (r *Recording) reachError(node string, at hlc.Timestamp, err error) error {
	var gone *journal.RetainedError
	if !errors.As(err, &gone) {
		return err
	}
	first, err := r.begins(node)
	switch {
	case err != nil:
		return err
	case first == 0:
		return fmt.Errorf("its journal begins with event %d and there is no checkpoint to go on from", gone.First)
	}
	return fmt.Errorf("its journal and checkpoints don't reach back to %v, but to %v: choose that time or a later one", at, first)
}

// checkpointAt is the latest sound checkpoint up to a time, zero if there is none.
func (r *Recording) checkpointAt(node string, at hlc.Timestamp) (checkpoint.Header, []byte, error) {
	dir := r.CheckpointsDir(node)
	seqs, err := checkpoint.List(r.fs, dir)
	if err != nil {
		return checkpoint.Header{}, nil, err
	}
	for _, seq := range slices.Backward(seqs) {
		h, body, err := checkpoint.Read(r.fs, path.Join(dir, checkpoint.Name(seq)))
		if err == nil && h.Time <= at && h.Seq == seq {
			return h, body, nil
		}
	}
	return checkpoint.Header{}, nil, nil
}

// bootAt is the boot that stamped the last event up to a time.
func (r *Recording) bootAt(node string, h checkpoint.Header, at hlc.Timestamp) (uint64, error) {
	rd, err := journal.OpenReader(r.fs, r.JournalDir(node), h.Seq+1)
	if err != nil {
		return 0, err
	}
	defer rd.Close()
	boot := h.Boot
	for {
		e, err := rd.Next()
		if errors.Is(err, io.EOF) || err == nil && e.Stamp.Time > at {
			return boot, nil
		}
		if err != nil {
			return 0, err
		}
		boot = e.Stamp.Boot
	}
}

// StartCommands are the commands that start the nodes of restored directories; the
// addresses and settings that they had come on top. serve is the service's command,
// such as "./bank serve"; what a shell would take apart is quoted.
func StartCommands(serve string, nodes []Restored) (out []string) {
	for _, n := range nodes {
		if n.Missing == "" {
			out = append(out, fmt.Sprintf("%s --node %s --dir %s", serve, quoted(n.Node), quoted(n.Dir)))
		}
	}
	return out
}

// quoted is a word as a shell takes it.
func quoted(word string) string {
	plain := strings.IndexFunc(word, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-./:=@%+,", c))
	}) < 0
	if plain && word != "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
