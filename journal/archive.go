package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/klauspost/compress/zstd"

	"hindcast.dev/vfs"
)

// packSegment writes size bytes of src to name as one zstd frame, durably.
func packSegment(fsys vfs.FS, name string, src io.ReaderAt, size int64) (err error) {
	temp := name + tempExt
	f, err := fsys.Create(temp)
	if err != nil {
		return err
	}
	w := &fileWriter{f: f}
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	if err == nil {
		_, err = io.Copy(z, io.NewSectionReader(src, 0, size))
		err = errors.Join(err, z.Close())
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, removeIfThere(fsys, temp))
	}
	if err := fsys.Rename(temp, name); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(name))
}

// fileWriter appends to a file.
type fileWriter struct {
	f   vfs.File
	off int64
}

func (w *fileWriter) Write(b []byte) (int, error) {
	n, err := w.f.WriteAt(b, w.off)
	w.off += int64(n)
	return n, err
}

// openArchived unpacks an archived segment into memory: at most
// SegmentBytesMax bytes.
func openArchived(fsys vfs.FS, name string, number uint64) (readerAt, head, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, head{}, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, head{}, errors.Join(err, f.Close())
	}
	b, err := unpack(io.NewSectionReader(f, 0, size))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, head{}, &FileError{Problem: ErrCorrupt, File: name, Detail: err.Error(),
			Remedy: "take another copy of the archive"}
	}
	src := memReader{bytes.NewReader(b)}
	h, err := readHead(src, name, number, int64(len(b)))
	if err != nil {
		return nil, head{}, err
	}
	return src, h, nil
}

func unpack(r io.Reader) ([]byte, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(SegmentBytesMax))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	b, err := io.ReadAll(io.LimitReader(z, SegmentBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	if len(b) > SegmentBytesMax {
		return nil, fmt.Errorf("it unpacks to more than %d bytes", SegmentBytesMax)
	}
	return b, nil
}

type memReader struct{ *bytes.Reader }

// Close implements io.Closer.
func (memReader) Close() error { return nil }
