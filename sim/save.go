package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/recording"
	"hindcast.dev/replay"
	"hindcast.dev/vfs"
)

// Origin is what recordings of simulated runs have as their origin.
const Origin = "simulation"

// replacedName is the directory of the disks that were replaced during a run.
const replacedName = "replaced"

// SaveOptions say what is left beside the recording. The zero value works.
type SaveOptions struct {
	Command string // that runs it again
	Build   string // of the code that ran
	Words   string // what happens in the run, if it was shrunk
	// NoHistory leaves the History out. It can be made from the journals, by who has
	// the machines.
	NoHistory bool
	// Replace lets a simulated run that is in the directory make way.
	Replace bool
}

// Save leaves the run in a directory, as a recording that query, debug and check
// open: the nodes' journals and checkpoints, the clients' operations, the History
// that replay makes of them, and, if the run failed, the report of the failure.
// The directory is made if need be and must not hold a recording, but for
// SaveOptions.Replace.
//
// What the recording lacks stands in it as a gap or in the report's notes.
func (r *Result) Save(ctx context.Context, fsys vfs.FS, dir string, o SaveOptions) error {
	s := &saver{r: r, w: r.world, fs: fsys, dir: dir}
	if o.Replace {
		if err := makeWay(fsys, dir); err != nil {
			return fmt.Errorf("replace the run in %s: %w", dir, err)
		}
	}
	if r.world != nil {
		if err := s.record(ctx, !o.NoHistory); err != nil {
			return fmt.Errorf("save the run of seed %d: %w", r.Seed, err)
		}
	} else {
		s.note("the simulation didn't get to its end: there is no recording of it")
	}
	if r.Failure == nil {
		return nil
	}
	report := Report{Subject: r.Subject, Seed: r.Seed, Options: r.options, Failure: *r.Failure, Hash: fmt.Sprintf("%016x", r.Hash),
		Build: o.Build, Command: o.Command, Words: o.Words, Notes: append(s.notes, r.Warnings...)}
	return report.Write(fsys, dir)
}

// makeWay removes a simulated run from a directory: what Save has made there, and
// nothing else.
func makeWay(fsys vfs.FS, dir string) error {
	if rec, err := recording.Open(fsys, dir); err != nil || rec.Manifest().Origin != Origin {
		return nil // Save says what is wrong with what is there
	}
	for _, name := range []string{"history", "nodes", "operations", replacedName, ReportFile, recording.ManifestName} {
		if err := vfs.RemoveAll(fsys, path.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// A saver saves one run.
type saver struct {
	r     *Result
	w     *World
	fs    vfs.FS
	dir   string
	rec   *recording.Recording
	notes []string
}

func (s *saver) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

func (s *saver) record(ctx context.Context, withHistory bool) (err error) {
	if s.rec, err = recording.Create(s.fs, s.dir, recording.Manifest{Service: s.w.subject.Name, Tool: "hindcast sim", Origin: Origin}); err != nil {
		return err
	}
	for _, n := range s.w.nodes {
		if err := s.node(ctx, n); err != nil {
			return err
		}
	}
	if err := s.operations(); err != nil {
		return err
	}
	if err := s.rec.Save(); err != nil || !withHistory {
		return err
	}
	o := replay.Options{Service: s.w.subject.Name, Registry: s.w.subject.Machines, Build: simulatedBuild, Workers: 1}
	replayed, err := replay.Recording(ctx, s.rec, o)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		s.note("no History could be made of the journals: %v", err)
		return nil
	}
	return replayed.Source.Close()
}

// node copies what is on a node's disk.
func (s *saver) node(ctx context.Context, n *Node) error {
	m := recording.Node{Name: n.name, Build: simulatedBuild, Boot: n.boot, Durability: s.w.phases.durability.String()}
	switch {
	case n.up:
		m.Versions = map[string]uint32{}
		st := n.l.Stepper()
		for _, name := range st.Machines() {
			m.Versions[name] = st.Version(name)
		}
	case n.stays != "":
		m.Gaps = append(m.Gaps, recording.Gap{Reason: "the node stays down: " + n.stays})
		s.note("%s stays down: %s", n.name, n.stays)
	default:
		s.note("%s is down", n.name)
	}
	if n.Harmed() && len(n.archived) == 0 {
		s.note("the disk of %s was damaged by a fault", n.name)
	}
	for i, disk := range n.replacedDisks() {
		if err := s.replaced(n, i, disk, &m); err != nil {
			return err
		}
	}
	if _, err := n.disk.mem.Stat(journalDir); errors.Is(err, fs.ErrNotExist) {
		m.Missing = "it never started"
		s.rec.AddNode(m)
		return nil
	}
	err := s.rec.CopyNode(ctx, m, n.disk.mem, ".", recording.CopyOptions{})
	if err != nil && n.Harmed() && ctx.Err() == nil {
		m.Missing = fmt.Sprintf("its damaged disk couldn't be copied: %v", err)
		s.note("%s: %s", n.name, m.Missing)
		s.rec.AddNode(m)
		return nil
	}
	return err
}

// replaced keeps a disk that was replaced, beside the nodes: what was on it is a
// gap of the node.
func (s *saver) replaced(n *Node, i int, disk *vfs.Mem, m *recording.Node) error {
	to := path.Join(s.dir, replacedName, recording.Escape(archivedName(n, i)))
	for _, sub := range []string{journalDir, checkpointsDir} {
		if err := copyFiles(s.fs, path.Join(to, sub), disk, sub); err != nil {
			s.note("disk %d of %s couldn't be copied whole: %v", i+1, n.name, err)
		}
	}
	s.note("disk %d of %s was lost and replaced: what was on it is in %s", i+1, n.name, path.Join(replacedName, path.Base(to)))
	gap := recording.Gap{To: s.firstOn(n), Reason: "the disk was lost and replaced; what was on it is in " + path.Join(replacedName, path.Base(to))}
	if i == 0 {
		m.Gaps = append(m.Gaps, gap)
	}
	return nil
}

// copyFiles copies the files of a directory; one that isn't there has none.
func copyFiles(to vfs.FS, toDir string, from vfs.FS, dir string) error {
	names, err := from.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := vfs.MkdirSync(to, toDir); err != nil {
		return err
	}
	for _, name := range names {
		if !recording.JournalFile(name) && !recording.CheckpointFile(name) {
			continue
		}
		b, err := vfs.ReadFile(from, path.Join(dir, name), diskFileMax)
		if err == nil {
			err = vfs.WriteFile(to, path.Join(toDir, name), b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// diskFileMax bounds the files of a simulated disk, in bytes.
const diskFileMax = 1 << 30

// operations writes the clients' lanes.
func (s *saver) operations() error {
	if s.w.load == nil {
		return nil
	}
	b := history.NewBuilder()
	if err := s.w.load.write(b, false); err != nil {
		return err
	}
	mem, err := b.Build()
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := history.WriteText(&text, mem); err != nil {
		return err
	}
	if err := vfs.MkdirSync(s.fs, s.rec.OperationsDir()); err != nil {
		return err
	}
	return vfs.WriteFile(s.fs, path.Join(s.rec.OperationsDir(), "clients.jsonl"), text.Bytes())
}

// firstOn is when the node began on the disk that it has: the Timestamp of the
// first event there, or, if there is none, after all that happened.
func (s *saver) firstOn(n *Node) hlc.Timestamp {
	rd, err := journal.OpenReader(n.disk.mem, journalDir, 0)
	if err != nil {
		return s.w.latest() + 1
	}
	defer rd.Close()
	e, err := rd.Next()
	if err != nil {
		return s.w.latest() + 1
	}
	return e.Stamp.Time
}
