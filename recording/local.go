package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"hindcast.dev/hlc"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/vfs"
)

// CopyOptions say what CopyNode copies. The zero value copies all.
type CopyOptions struct {
	// From leaves out segments that hold nothing at or above this sequence number.
	From uint64
	// Checkpoint chooses checkpoints by name; nil takes all.
	Checkpoint func(name string) bool
	Progress   func(Progress) // may be nil
}

// Since returns the options that copy what replay needs from a time on: the last
// checkpoint before it, those after that, and the journal since. Without a sound
// checkpoint before it that is all. dir is the node's data directory.
func Since(fsys vfs.FS, dir string, t hlc.Timestamp) (CopyOptions, error) {
	dir = path.Join(dir, CheckpointsName)
	seqs, err := checkpoint.List(fsys, dir)
	if err != nil {
		return CopyOptions{}, err
	}
	for _, seq := range slices.Backward(seqs) {
		h, _, err := checkpoint.Read(fsys, path.Join(dir, checkpoint.Name(seq)))
		if err != nil || h.Seq != seq || h.Time > t {
			continue // one that is damaged or was removed serves nobody
		}
		first := checkpoint.Name(seq) // names sort like numbers
		return CopyOptions{From: seq + 1, Checkpoint: func(name string) bool { return name >= first }}, nil
	}
	return CopyOptions{}, nil
}

// CopyNode copies journal and checkpoints of a node from its data directory,
// which may be in use and isn't changed, and adds the node to the manifest. The
// copy holds at least what was stamped before. A file system's own directory of
// the recording is where it goes; src may be another one. The caller saves.
func (r *Recording) CopyNode(ctx context.Context, n Node, src vfs.FS, dir string, o CopyOptions) error {
	if n.Name == "" {
		return errors.New("copy node: it has no name")
	}
	c := &copier{fs: r.fs, to: r.NodeDir(n.Name), node: n.Name, report: o.Progress,
		from: &localNode{fs: src, dir: dir, opts: o}}
	if err := c.run(ctx); err != nil {
		return fmt.Errorf("copy node %s from %s: %w", n.Name, dir, err)
	}
	r.AddNode(n)
	return nil
}

// CopySize returns how many bytes CopyNode with these options would copy now.
func CopySize(ctx context.Context, src vfs.FS, dir string, o CopyOptions) (int64, error) {
	from := &localNode{fs: src, dir: dir, opts: o}
	var bytes int64
	for _, sub := range []string{JournalName, CheckpointsName} {
		files, err := from.list(ctx, sub)
		if err != nil {
			return 0, fmt.Errorf("size of node in %s: %w", dir, err)
		}
		for i := range files {
			bytes += files[i].bytes()
		}
	}
	return bytes, nil
}

// A localNode is a node's data directory as an origin.
type localNode struct {
	fs   vfs.FS
	dir  string
	opts CopyOptions
}

func (l *localNode) list(_ context.Context, sub string) ([]File, error) {
	if sub == CheckpointsName {
		return l.checkpoints()
	}
	dir := path.Join(l.dir, sub)
	files, err := ListJournal(l.fs, dir)
	if err != nil || l.opts.From == 0 {
		return files, err
	}
	return l.since(dir, files)
}

func (l *localNode) checkpoints() ([]File, error) {
	files, err := ListCheckpoints(l.fs, path.Join(l.dir, CheckpointsName))
	if err != nil || l.opts.Checkpoint == nil {
		return files, err
	}
	var out []File
	for _, f := range files {
		if l.opts.Checkpoint(f.Name) {
			out = append(out, f)
		}
	}
	return out, nil
}

// since leaves out what lies wholly before From: whatever stands before the last
// segment that begins at or before it.
func (l *localNode) since(dir string, files []File) ([]File, error) {
	start := uint64(0)
	for _, f := range files {
		if !segmentName.MatchString(f.Name) {
			continue
		}
		s, ok, err := readSegment(l.fs, dir, f.Name)
		if err != nil {
			return nil, err
		}
		if ok && s.first > 0 && s.first <= l.opts.From {
			start = s.number
		}
	}
	var out []File
	for _, f := range files {
		if sideName.MatchString(f.Name) || number(f.Name) >= start {
			out = append(out, f)
		}
	}
	return out, nil
}

func (l *localNode) open(_ context.Context, sub, name string, off int64) (io.ReadCloser, int64, error) {
	f, err := l.fs.Open(path.Join(l.dir, sub, name))
	if err != nil {
		return nil, 0, err
	}
	return &fileReader{SectionReader: io.NewSectionReader(f, off, 1<<62), f: f}, off, nil
}

type fileReader struct {
	*io.SectionReader
	f vfs.File
}

func (f *fileReader) Close() error { return f.f.Close() }
