package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"strings"

	"hindcast.dev/vfs"
)

const (
	manifestFormat = "hindcast history"
	manifestMax    = 64 << 20 // bytes
)

// A manifest names the runs of a History.
type manifest struct {
	Format     string        `json:"format"`
	Version    int           `json:"version"`
	Runs       []manifestRun `json:"runs"`
	Violations uint64        `json:"violations"`
	Warnings   []string      `json:"warnings"`
}

type manifestRun struct {
	File      string `json:"file"`
	Node      string `json:"node"`
	Bytes     int64  `json:"bytes"`
	Directory uint32 `json:"directory"`
}

func (m *manifest) encode() []byte {
	line, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("history: a manifest of strings and numbers can't be encoded: %v", err))
	}
	line = append(line, '\n')
	return fmt.Appendf(line, "crc32c %08x\n", crc32.Checksum(line, castagnoli))
}

// readManifest reads and checks the manifest of a directory.
func readManifest(fsys vfs.FS, dir string) (manifest, error) {
	name := path.Join(dir, manifestName)
	b, err := vfs.ReadFile(fsys, name, manifestMax)
	if errors.Is(err, fs.ErrNotExist) {
		return manifest{}, fmt.Errorf("no History in %s: its writer didn't finish, or it is another directory: %w", dir, err)
	}
	if err != nil {
		return manifest{}, err
	}
	return decodeManifest(name, b)
}

func decodeManifest(name string, b []byte) (manifest, error) {
	fail := func(at int, err error, detail string) (manifest, error) {
		return manifest{}, &FileError{File: name, Offset: int64(at), Err: err, Detail: detail}
	}
	const begin = `{"format":"` + manifestFormat + `","version":`
	if n := min(len(b), len(begin)); string(b[:n]) != begin[:n] {
		return fail(0, ErrForeign, "want a manifest, which begins with "+begin)
	}
	end := bytes.IndexByte(b, '\n') + 1
	if end == 0 {
		return fail(len(b), ErrTruncated, "want the end of the manifest's line")
	}
	version, _, _ := bytes.Cut(b[len(begin):end], []byte(","))
	if v := string(version); v != fmt.Sprint(runVersion) && strings.Trim(v, "0123456789") == "" {
		return fail(len(begin), ErrVersion, fmt.Sprintf("version %s, known is %d", v, runVersion))
	}
	sum := fmt.Sprintf("crc32c %08x\n", crc32.Checksum(b[:end], castagnoli))
	if rest := string(b[end:]); rest != sum {
		if strings.HasPrefix(sum, rest) {
			return fail(len(b), ErrTruncated, "want the manifest's checksum")
		}
		return fail(end, ErrCorrupt, "the manifest's checksum differs")
	}
	var m manifest
	if err := json.Unmarshal(b[:end], &m); err != nil {
		return fail(0, ErrCorrupt, err.Error())
	}
	for _, r := range m.Runs {
		if !strings.HasPrefix(r.File, runPrefix) || path.Base(r.File) != r.File || strings.ContainsAny(r.File, `\:`) {
			return fail(0, ErrCorrupt, fmt.Sprintf("%q is not the name of a run's file", r.File))
		}
	}
	return m, nil
}
