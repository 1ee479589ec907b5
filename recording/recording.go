// Package recording is the directory in which what several nodes did is kept:
// their journals and checkpoints, what clients did, and what was made of them.
// FORMAT.md describes it. Copying a node, from its directory or over its admin
// API, is here too; replay turns a recording into a History.
package recording

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"hindcast.dev/vfs"
)

// Names in a recording's directory.
const (
	ManifestName  = "recording.json"
	nodesName     = "nodes"
	operationName = "operations"
	historyName   = "history"
	// JournalName and CheckpointsName are the names under a node's directory, in a
	// recording and in the data directory of a node that runs.
	JournalName     = "journal"
	CheckpointsName = "checkpoints"
)

// A Recording is an open recording. It is not safe for concurrent use, but for
// the methods that return paths.
type Recording struct {
	fs       vfs.FS
	dir      string
	manifest Manifest
}

// Create makes a recording in dir, which is made if need be and must not hold
// one already. m is its first manifest; a zero Created is left to Save.
func Create(fsys vfs.FS, dir string, m Manifest) (*Recording, error) {
	if Is(fsys, dir) {
		return nil, fmt.Errorf("%s: there is a recording already: choose a directory that doesn't exist, or remove it", dir)
	}
	if err := vfs.MkdirSync(fsys, path.Join(dir, nodesName)); err != nil {
		return nil, fmt.Errorf("create recording: %w", err)
	}
	r := &Recording{fs: fsys, dir: dir, manifest: m.clone()}
	return r, r.Save()
}

// Open reads the manifest of the recording in dir. If that is there and can't be
// used, the error is a *ManifestError; if it isn't there it wraps
// fs.ErrNotExist.
func Open(fsys vfs.FS, dir string) (*Recording, error) {
	file := path.Join(dir, ManifestName)
	b, err := vfs.ReadFile(fsys, file, manifestMax)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is no recording: it has no %s: %w", dir, ManifestName, err)
		}
		return nil, fmt.Errorf("open recording: %w", err)
	}
	m, err := decodeManifest(file, b)
	if err != nil {
		return nil, err
	}
	return &Recording{fs: fsys, dir: dir, manifest: m}, nil
}

// Is reports whether dir holds a recording, readable or not.
func Is(fsys vfs.FS, dir string) bool {
	_, err := fsys.Stat(path.Join(dir, ManifestName))
	return err == nil
}

// Manifest returns what the recording says of itself; the caller may change it.
func (r *Recording) Manifest() Manifest { return r.manifest.clone() }

// Dir is the recording's directory, as it was opened.
func (r *Recording) Dir() string { return r.dir }

// FS is the file system that the recording is in.
func (r *Recording) FS() vfs.FS { return r.fs }

// NodeDir is the directory of a node's journal and checkpoints.
func (r *Recording) NodeDir(node string) string {
	return path.Join(r.dir, nodesName, Escape(node))
}

// JournalDir is the directory of a node's journal.
func (r *Recording) JournalDir(node string) string { return path.Join(r.NodeDir(node), JournalName) }

// CheckpointsDir is the directory of a node's checkpoints.
func (r *Recording) CheckpointsDir(node string) string {
	return path.Join(r.NodeDir(node), CheckpointsName)
}

// OperationsDir is the directory of the clients' lanes.
func (r *Recording) OperationsDir() string { return path.Join(r.dir, operationName) }

// HistoriesDir is the directory of the Histories made of the recording.
func (r *Recording) HistoriesDir() string { return path.Join(r.dir, historyName) }

// HistoryDir is the directory of the History that a build made.
func (r *Recording) HistoryDir(build string) string {
	return path.Join(r.HistoriesDir(), Escape(build))
}

// OperationFiles returns the files of clients' lanes, sorted by name.
func (r *Recording) OperationFiles() ([]string, error) {
	names, err := r.fs.ReadDir(r.OperationsDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	var files []string
	for _, n := range names {
		if strings.HasSuffix(n, ".jsonl") {
			files = append(files, path.Join(r.OperationsDir(), n))
		}
	}
	return files, nil
}

// AddNode adds what is known of a node, or replaces it; its gaps are kept. A node
// that is missing under the same address, because its name wasn't known then,
// makes way.
func (r *Recording) AddNode(n Node) {
	n = n.clone()
	nodes := slices.DeleteFunc(r.manifest.Nodes, func(o Node) bool {
		if o.Name == n.Name {
			n.Gaps = mergeGaps(o.Gaps, n.Gaps)
			return true
		}
		return o.Missing != "" && o.Address != "" && o.Address == n.Address
	})
	r.manifest.Nodes = append(nodes, n)
	sortNodes(r.manifest.Nodes)
}

// AddGap says that something of a node's recording is lacking; a node that isn't
// known is added.
func (r *Recording) AddGap(node string, g Gap) {
	i := slices.IndexFunc(r.manifest.Nodes, func(n Node) bool { return n.Name == node })
	if i < 0 {
		r.AddNode(Node{Name: node, Gaps: []Gap{g}})
		return
	}
	n := &r.manifest.Nodes[i]
	n.Gaps = mergeGaps(n.Gaps, []Gap{g})
}

// SetCrash says that this is a crash box.
func (r *Recording) SetCrash(c Crash) { r.manifest.Crash = &c }

// Save writes the manifest, durably and atomically.
func (r *Recording) Save() error {
	if r.manifest.Created.IsZero() {
		r.manifest.Created = time.Now().UTC()
	}
	b, err := r.manifest.encode(path.Join(r.dir, ManifestName))
	if err != nil {
		return err
	}
	if err := vfs.WriteFile(r.fs, path.Join(r.dir, ManifestName), b); err != nil {
		return fmt.Errorf("save recording: %w", err)
	}
	return nil
}

const hexDigits = "0123456789ABCDEF"

// Escape returns a name as the name of one directory; Unescape gives it back.
func Escape(name string) string {
	b := make([]byte, 0, len(name))
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b = append(b, c)
		default:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}

// Unescape reads what Escape wrote; false if it can't be that.
func Unescape(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b = append(b, byte(hi<<4|lo))
		i += 2
	}
	return string(b), Escape(string(b)) == s
}
