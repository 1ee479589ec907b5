package app

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hindcast.dev/debug"
)

// notebookFile holds a recording's marks, in its directory: they go where the
// recording goes.
const notebookFile = "marks.json"

// A notebook is the file that keeps marks from session to session.
type notebook struct {
	path string // "" if there is no place for it
}

// notebookContent is what is in the file.
type notebookContent struct {
	Marks []debug.Mark `json:"marks"`
}

// notebookOf is the notebook of what was opened: in a recording, and of whatever
// else among the user's own files, by its name.
func notebookOf(o *opened, what string) notebook {
	if o.Recording != nil && o.temp == "" {
		return notebook{filepath.Join(filepath.FromSlash(o.Recording.Dir()), notebookFile)}
	}
	full, err := filepath.Abs(what)
	dir := promptHistory("marks")
	if err != nil || dir == "" {
		return notebook{}
	}
	sum := sha256.Sum256([]byte(full))
	return notebook{filepath.Join(dir, hex.EncodeToString(sum[:8])+".json")}
}

// read returns the marks, none if there is no file.
func (n notebook) read() ([]debug.Mark, error) {
	if n.path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(n.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var c notebookContent
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		return nil, fmt.Errorf("the marks in %s can't be read, and new ones won't be kept: %w; mend or remove it", n.path, err)
	}
	return c.Marks, nil
}

// write replaces the file, at once.
func (n notebook) write(marks []debug.Mark) error {
	if n.path == "" {
		return errors.New("there is no directory for the user's files")
	}
	b, err := json.MarshalIndent(notebookContent{marks}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(n.path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(n.path), ".marks-")
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), n.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
