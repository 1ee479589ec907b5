package replay

import (
	"errors"
	"fmt"
	"io"
	"path"

	"hindcast.dev/journal"
	"hindcast.dev/journal/segment"
	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

// dataDirs finds the nodes whose data dir holds: dir itself, a journal's
// directory, or the directories in dir.
func dataDirs(fsys vfs.FS, dir string) (*input, error) {
	in := &input{fs: fsys, what: dir}
	if isJournal(fsys, dir) {
		return in, in.add(dir, path.Join(path.Dir(dir), recording.CheckpointsName))
	}
	parents := []string{dir}
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		parents = append(parents, path.Join(dir, n))
	}
	for _, p := range parents {
		if j := path.Join(p, recording.JournalName); isJournal(fsys, j) {
			if err := in.add(j, path.Join(p, recording.CheckpointsName)); err != nil {
				return nil, err
			}
		}
	}
	if len(in.journals) == 0 {
		return nil, fmt.Errorf("%s: there is neither %s (a recording), manifest.json (a History) nor %s (a node's data directory) in it",
			dir, recording.ManifestName, recording.JournalName)
	}
	return in, nil
}

func isJournal(fsys vfs.FS, dir string) bool {
	return exists(fsys, path.Join(dir, "meta")) || exists(fsys, path.Join(dir, "00000001.seg"))
}

// add adds the node whose journal is in dir; its name is in the files.
func (in *input) add(dir, checkpoints string) error {
	name, err := nodeOf(in.fs, dir)
	if err != nil {
		return err
	}
	in.journals = append(in.journals, Journal{Node: name, FS: in.fs, Dir: dir, Checkpoints: checkpoints})
	return nil
}

// nodeOf returns the name of the node that wrote a journal.
func nodeOf(fsys vfs.FS, dir string) (string, error) {
	files, err := recording.ListJournal(fsys, dir)
	if err != nil {
		return "", err
	}
	for _, f := range files {
		if path.Ext(f.Name) != ".seg" {
			continue
		}
		h, err := readHeader(fsys, path.Join(dir, f.Name))
		if err == nil {
			return h.Node, nil
		}
	}
	// None that was entered can be read: meta, or one that wasn't entered, may say it.
	if info, err := journal.Info(fsys, dir); err == nil && info.Node != "" {
		return info.Node, nil
	}
	return "", fmt.Errorf("%s: no segment says which node this journal is of: run `hindcast journal verify` on it", dir)
}

func readHeader(fsys vfs.FS, name string) (segment.Header, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return segment.Header{}, err
	}
	defer f.Close()
	b := make([]byte, segment.HeaderSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return segment.Header{}, err
	}
	return segment.DecodeHeader(b[:n])
}
