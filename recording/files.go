package recording

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"

	"hindcast.dev/hlc"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// A State says whether a File may still change.
type State string

// The states.
const (
	Sealed State = "sealed" // never changes
	Live   State = "live"   // is written to, or replaced
)

// A File is one file of a node that may be copied.
type File struct {
	Name  string `json:"name"` // in its directory
	Size  int64  `json:"size"` // in bytes
	State State  `json:"state"`
	ID    string `json:"id,omitempty"`   // differs between files that have had the same name; "" if none have
	Used  int64  `json:"used,omitempty"` // so many bytes matter so far; 0 is all
}

// A FileList is the body of an answer that lists files.
type FileList struct {
	Files []File `json:"files"`
}

// An Info is what a node says of itself to those who copy it.
type Info struct {
	Service    string            `json:"service"`
	Node       string            `json:"node"`
	Boot       uint64            `json:"boot"`
	Build      string            `json:"build,omitempty"`
	Versions   map[string]uint32 `json:"versions,omitempty"` // machine → version
	Durability string            `json:"durability,omitempty"`
}

func (i *Info) node() Node {
	return Node{Name: i.Node, Build: i.Build, Versions: i.Versions, Boot: i.Boot, Durability: i.Durability}
}

// The names that files of a journal and of its checkpoints can have. What
// another machine names is looked at with these before it becomes a path.
var (
	segmentName    = regexp.MustCompile(`^[0-9a-f]{8,16}\.seg$`)
	indexName      = regexp.MustCompile(`^[0-9a-f]{8,16}\.idx$`)
	sideName       = regexp.MustCompile(`^(meta|skip\.json|panic\.json)$`)
	checkpointName = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z_-]{0,127}\.[0-9A-Za-z]{1,16}$`)
)

// JournalFile reports whether name is that of a file of a journal that may be
// copied.
func JournalFile(name string) bool {
	return segmentName.MatchString(name) || indexName.MatchString(name) || sideName.MatchString(name)
}

// CheckpointFile reports whether name can be that of a checkpoint.
func CheckpointFile(name string) bool {
	return checkpointName.MatchString(name) && path.Ext(name) != ".tmp"
}

// ListJournal returns the files of a journal, which may be in use, that a copy
// is made of, in the order of FORMAT.md: side files, then segments ascending,
// each after its index.
func ListJournal(fsys vfs.FS, dir string) ([]File, error) {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	var side []File
	var segs []segmentInfo
	indexes := map[uint64]File{}
	for _, name := range names {
		switch {
		case sideName.MatchString(name):
			if f, ok, err := stat(fsys, dir, name); err != nil {
				return nil, err
			} else if ok {
				side = append(side, f)
			}
		case indexName.MatchString(name):
			if f, ok, err := stat(fsys, dir, name); err != nil {
				return nil, err
			} else if ok {
				f.State = Sealed
				indexes[number(name)] = f
			}
		case segmentName.MatchString(name):
			s, ok, err := readSegment(fsys, dir, name)
			if err != nil {
				return nil, err
			}
			if ok {
				segs = append(segs, s)
			}
		}
	}
	segs = entered(segs)
	if err := markUsed(fsys, dir, segs); err != nil {
		return nil, err
	}
	return append(side, arrange(segs, indexes)...), nil
}

// markUsed says of the last segment how many of its bytes matter.
func markUsed(fsys vfs.FS, dir string, segs []segmentInfo) error {
	if len(segs) == 0 {
		return nil
	}
	last := &segs[len(segs)-1]
	n, _, err := reach(fsys, dir, last.Name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("journal: %w", err)
	}
	last.Used = n
	return nil
}

// number is that of the segment, or index, with this name.
func number(name string) uint64 {
	n, _ := strconv.ParseUint(name[:len(name)-4], 16, 64) // the pattern leaves no error
	return n
}

// stat returns a file as Live; ok is false if it has gone.
func stat(fsys vfs.FS, dir, name string) (f File, ok bool, err error) {
	info, err := fsys.Stat(path.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return f, false, nil
	}
	if err != nil {
		return f, false, fmt.Errorf("journal: %w", err)
	}
	return File{Name: name, Size: info.Size(), State: Live}, true, nil
}

// A segmentInfo is a segment that the consumer has entered, or that can't be
// told from one because it is damaged.
type segmentInfo struct {
	File
	number uint64
	opened bool
	first  uint64        // sequence number, 0 if unknown
	before hlc.Timestamp // time of the last stamp before it
}

// readSegment reads a segment's head; ok is false if the file has gone.
func readSegment(fsys vfs.FS, dir, name string) (s segmentInfo, ok bool, err error) {
	s.number = number(name)
	file, err := fsys.Open(path.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("journal: %w", err)
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return s, false, fmt.Errorf("journal: %w", err)
	}
	s.File = File{Name: name, Size: size, State: Live}
	head := make([]byte, segment.OpeningOffset+segment.OpeningSize)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return s, false, fmt.Errorf("journal: %w", err)
	}
	h, err := segment.DecodeHeader(head[:n])
	if err != nil {
		// A damaged segment is copied as it is: replay says what is wrong with it.
		s.opened = true
		return s, true, nil
	}
	s.ID = fmt.Sprintf("%08x", h.Nonce)
	o, opened := segment.DecodeOpening(head[segment.OpeningOffset:], &h)
	s.opened = opened || s.number == 1
	if opened {
		s.first, s.before = o.Seq, o.Time
	}
	return s, true, nil
}

// entered sorts segments and leaves out those that the consumer hasn't entered.
func entered(segs []segmentInfo) []segmentInfo {
	slices.SortFunc(segs, func(a, b segmentInfo) int { return cmp.Compare(a.number, b.number) })
	for len(segs) > 0 && !segs[len(segs)-1].opened {
		segs = segs[:len(segs)-1]
	}
	return segs
}

// arrange says which segments are sealed, all but the last, and puts the indexes
// of these before them.
func arrange(segs []segmentInfo, indexes map[uint64]File) []File {
	var out []File
	for i, s := range segs {
		if i < len(segs)-1 {
			s.State = Sealed
			if x, ok := indexes[s.number]; ok {
				x.ID = s.ID
				out = append(out, x)
			}
		}
		out = append(out, s.File)
	}
	return out
}

// ListCheckpoints returns the checkpoints of a node; none if there is no
// directory.
func ListCheckpoints(fsys vfs.FS, dir string) ([]File, error) {
	names, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	var out []File
	for _, name := range names {
		if !CheckpointFile(name) {
			continue
		}
		f, ok, err := stat(fsys, dir, name)
		if err != nil {
			return nil, err
		}
		if ok {
			f.State = Sealed
			out = append(out, f)
		}
	}
	return out, nil
}
