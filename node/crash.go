package node

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/recording"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// boxTime is how the names of crash boxes and bundles begin.
const boxTime = "20060102T150405.000Z"

// fatalEvent returns the event that an error of the loop is about.
func fatalEvent(err error) (seq uint64, stack []byte, ok bool) {
	var panicked *stepper.PanicError
	var limit *stepper.LimitError
	var diverged *stepper.DivergenceError
	switch {
	case errors.As(err, &panicked):
		return panicked.Seq, panicked.Stack, true
	case errors.As(err, &limit):
		return limit.Seq, nil, true
	case errors.As(err, &diverged):
		return diverged.Seq, nil, true
	}
	return 0, nil, false
}

// crashed does what a panic or divergence asks for and returns the error that
// says so; other errors it returns as they are. The loop is over.
func (n *Node) crashed(err error) error {
	seq, _, ok := fatalEvent(err)
	if !ok {
		return err
	}
	boxed := n.setAside(seq, err)
	var diverged *stepper.DivergenceError
	if errors.As(err, &diverged) {
		return boxed
	}
	before := n.j.Recovery().Panic
	if merr := n.j.MarkPanic(seq, err.Error()); merr != nil {
		n.logs.in(AreaNode).Error("the panic can't be marked in the journal", "err", merr)
	}
	if before == nil || before.Seq != seq {
		return boxed
	}
	poison := &PoisonError{Seq: seq, Dir: n.dirs.journal, Last: err}
	var box *CrashError
	if errors.As(boxed, &box) {
		poison.Box = box.Box
	}
	return poison
}

// setAside makes the crash box of an event, unless there is one, and returns a
// *CrashError that names it; if there can't be one, err and why.
func (n *Node) setAside(seq uint64, err error) error {
	_, stack, _ := fatalEvent(err)
	box, berr := n.crashBox(recording.Crash{Node: n.o.Name, Boot: n.boot, Seq: seq, Reason: err.Error(), Stack: string(stack)})
	if berr != nil {
		return fmt.Errorf("%w (there is no crash box: %w)", err, berr)
	}
	return &CrashError{Box: box, Err: err}
}

// setAsideKilled makes a crash box of the boot before if it ended without a
// word. That it can't be made keeps nobody from starting.
func (n *Node) setAsideKilled(r journal.Recovery) {
	if r.Ending != journal.Killed || r.Last.Seq == 0 {
		return
	}
	log := n.logs.in(AreaNode)
	box, err := n.crashBox(recording.Crash{Node: n.o.Name, Boot: r.Boot, Seq: r.Last.Seq,
		Reason: "the process was killed (SIGKILL, out of memory), or the machine went down"})
	if err != nil {
		log.Warn("the boot before was killed; there is no crash box of it", "err", err)
		return
	}
	log.Warn("the boot before was killed; what led there is set aside", "box", box)
}

// crashBox makes a recording of the checkpoint before an event and the journal
// since, and returns its directory. There is one box for an event.
func (n *Node) crashBox(c recording.Crash) (string, error) {
	suffix := fmt.Sprintf("-%d", c.Seq)
	if dir := n.boxWith(suffix, c.Seq); dir != "" {
		return dir, nil
	}
	o, err := n.copyBefore(c.Seq)
	if err != nil {
		return "", err
	}
	dir := path.Join(n.dirs.crashboxes, time.Now().UTC().Format(boxTime)+suffix)
	m := recording.Manifest{Service: n.o.Service, Origin: "crash", Tool: "hindcast node", Crash: &c}
	return dir, n.copyTo(context.Background(), n.dirs.crashboxes, dir, m, o)
}

// boxWith returns the box of an event that is there already.
func (n *Node) boxWith(suffix string, seq uint64) string {
	names, err := n.o.FS.ReadDir(n.dirs.crashboxes)
	if err != nil {
		return ""
	}
	for _, name := range names {
		dir := path.Join(n.dirs.crashboxes, name)
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		// An event may have been another one before its journal was repaired.
		if r, err := recording.Open(n.o.FS, dir); err == nil && r.Manifest().Crash != nil && r.Manifest().Crash.Seq == seq {
			return dir
		}
	}
	return ""
}

// copyBefore says what to copy for an event: the newest sound checkpoint before it
// and everything since.
func (n *Node) copyBefore(seq uint64) (recording.CopyOptions, error) {
	if seq == 0 {
		return recording.CopyOptions{}, nil // before all that was followed
	}
	h, _, _, err := checkpoint.Latest(n.o.FS, n.dirs.checkpoints, seq-1)
	if errors.Is(err, checkpoint.ErrNone) {
		return recording.CopyOptions{}, nil
	}
	if err != nil {
		return recording.CopyOptions{}, err
	}
	first := checkpoint.Name(h.Seq) // names sort like numbers
	return recording.CopyOptions{From: h.Seq + 1, Checkpoint: func(name string) bool { return name >= first }}, nil
}

// copyTo makes the recording dir, in parent, of the journal as o
// says, and removes parent's oldest ones beyond the
// limit. What can't be finished is removed.
func (n *Node) copyTo(ctx context.Context, parent, dir string, m recording.Manifest, o recording.CopyOptions) (err error) {
	n.disk.pin()
	defer n.disk.unpin()
	fsys := n.o.FS
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, vfs.RemoveAll(fsys, dir))
		}
	}()
	if err := n.checkSize(ctx, o); err != nil {
		return err
	}
	r, err := recording.Create(fsys, dir, m)
	if err != nil {
		return err
	}
	self := recording.Node{Name: n.o.Name, Build: n.o.Build, Versions: n.versions(), Boot: n.boot, Durability: n.o.Durability.String()}
	if err := r.CopyNode(ctx, self, fsys, n.o.Dir, o); err != nil {
		return err
	}
	for _, peer := range n.o.peerNames() {
		r.AddNode(recording.Node{Name: peer, Missing: "set aside by " + n.o.Name + " alone"})
	}
	if err := r.Save(); err != nil {
		return err
	}
	return n.prune(parent)
}

// checkSize refuses to copy more than Limits.CrashBoxBytes.
func (n *Node) checkSize(ctx context.Context, o recording.CopyOptions) error {
	bytes, err := recording.CopySize(ctx, n.o.FS, n.o.Dir, o)
	if err == nil && bytes > n.o.Limits.CrashBoxBytes {
		err = fmt.Errorf("checkpoint and journal since have %d bytes, more than the limit of %d: pull the node instead", bytes, n.o.Limits.CrashBoxBytes)
	}
	return err
}

// prune removes the oldest recordings in parent; their names begin with their
// time.
func (n *Node) prune(parent string) error {
	names, err := n.o.FS.ReadDir(parent)
	if err != nil {
		return err
	}
	for len(names) > n.o.Limits.CrashBoxes {
		if err := vfs.RemoveAll(n.o.FS, path.Join(parent, names[0])); err != nil {
			return err
		}
		names = names[1:]
	}
	return nil
}

// versions is what each machine runs at, or will.
func (n *Node) versions() map[string]uint32 {
	out := map[string]uint32{}
	for name, v := range n.o.Registry {
		out[name] = v.Latest()
		if n.o.Versions[name] != 0 {
			out[name] = n.o.Versions[name]
		}
	}
	return out
}

// BundleSince is how far a bundle reaches back if nobody says otherwise.
const BundleSince = 5 * time.Minute

// Bundle sets the last time aside as a recording below the node's directory, and
// returns where: the checkpoint before it and the journal since. One is made at a
// time; another one is ErrBusy.
func (n *Node) Bundle(ctx context.Context, since time.Duration) (string, error) {
	if !n.bundling.TryLock() {
		return "", fmt.Errorf("%w: a bundle is being made", ErrBusy)
	}
	defer n.bundling.Unlock()
	o, err := recording.Since(n.o.FS, n.o.Dir, n.reading().Wall.Add(-since))
	if err != nil {
		return "", err
	}
	dir := path.Join(n.dirs.bundles, time.Now().UTC().Format(boxTime))
	m := recording.Manifest{Service: n.o.Service, Origin: "bundle", Tool: "hindcast node"}
	if err := n.copyTo(ctx, n.dirs.bundles, dir, m, o); err != nil {
		return "", fmt.Errorf("bundle: %w", err)
	}
	n.logs.in(AreaNode).Info("bundle written", "dir", dir, "open with", "hindcast debug "+dir)
	return dir, nil
}
