package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// tempSuffix marks a file that WriteFile had not finished.
const tempSuffix = ".tmp"

// ReadFile returns the whole content of a file. A file longer than sizeMax bytes
// is an error: it is not what the caller believes.
func ReadFile(fsys FS, name string, sizeMax int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > sizeMax {
		return nil, fmt.Errorf("read %s: it has %d bytes, at most %d are expected: is it the right file?", name, size, sizeMax)
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) { // cut short since Size
		err = nil
	}
	return b[:n], err
}

// WriteFile makes name hold data, durably and atomically: after a crash or an
// error it holds either data or what it held before. It writes name.tmp first,
// so two writers of one name exclude each other; what a crash left of name.tmp
// the next WriteFile overwrites.
func WriteFile(fsys FS, name string, data []byte) error {
	return WriteFileSteps(fsys, name, data, func(OpKind) error { return nil })
}

// WriteFileSteps is WriteFile for who wants a word between its steps: before is
// called before the file gets its name (OpRename), and before that is made durable
// (OpSyncDir). Its error is returned as if the step had failed.
func WriteFileSteps(fsys FS, name string, data []byte, before func(next OpKind) error) error {
	temp := name + tempSuffix
	if err := writeSynced(fsys, temp, data); err != nil {
		if err2 := fsys.Remove(temp); err2 != nil && !errors.Is(err2, fs.ErrNotExist) {
			err = errors.Join(err, err2)
		}
		return err
	}
	if err := before(OpRename); err != nil {
		return err
	}
	if err := fsys.Rename(temp, name); err != nil {
		return err
	}
	if err := before(OpSyncDir); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(name))
}

// writeSynced writes and syncs a new file.
func writeSynced(fsys FS, name string, data []byte) (err error) {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if err2 := f.Close(); err == nil {
			err = err2
		}
	}()
	if _, err := f.WriteAt(data, 0); err != nil {
		return err
	}
	return f.Sync()
}

// MkdirSync makes a directory and its parents like MkdirAll, durably: the names
// of all of them are synced, also of those that were there, for who made them may
// not have come to it. A parent that may not be opened is skipped: then somebody
// else made it.
func MkdirSync(fsys FS, dir string) error {
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	for at := path.Clean(dir); at != "." && at != "/"; {
		at = path.Dir(at)
		if err := fsys.SyncDir(at); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// RemoveAll removes a file, or a directory with all that is in it. That there is
// none of this name is no error.
func RemoveAll(fsys FS, name string) error {
	info, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		names, err := fsys.ReadDir(name)
		if err != nil {
			return err
		}
		for _, sub := range names {
			if err := RemoveAll(fsys, path.Join(name, sub)); err != nil {
				return err
			}
		}
	}
	return fsys.Remove(name)
}
