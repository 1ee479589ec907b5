package recording

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"hindcast.dev/vfs"
)

// A Progress says how far a copy is. Done and Total are bytes of the node, Total
// as far as is known.
type Progress struct {
	Node        string
	File        string
	Done, Total int64
}

// An origin is where a node is copied from.
type origin interface {
	// list returns the files of JournalName or CheckpointsName.
	list(ctx context.Context, sub string) ([]File, error)
	// open returns a file's bytes from an offset on; at is where they really begin,
	// which is off or 0. The error wraps fs.ErrNotExist if the file has gone.
	open(ctx context.Context, sub, name string, off int64) (r io.ReadCloser, at int64, err error)
}

// A copier copies one node into a directory, in the order of FORMAT.md, "A
// prefix of a journal".
type copier struct {
	fs     vfs.FS
	from   origin
	to     string
	report func(Progress) // may be nil
	node   string

	done, total int64
	last        string          // the segment that was the last of an earlier copy: it may have been live
	fetched     map[string]File // segments and indexes copied now
	checkpoints map[string]bool // copied now or there already
}

func (c *copier) run(ctx context.Context) error {
	c.fetched, c.checkpoints = map[string]File{}, map[string]bool{}
	for _, sub := range []string{JournalName, CheckpointsName} {
		if err := vfs.MkdirSync(c.fs, path.Join(c.to, sub)); err != nil {
			return err
		}
	}
	if err := c.findLast(); err != nil {
		return err
	}
	if err := c.checkSame(ctx); err != nil {
		return err
	}
	if err := c.copyCheckpoints(ctx); err != nil {
		return err
	}
	if err := c.copySegments(ctx); err != nil {
		return err
	}
	if err := c.copyCheckpoints(ctx); err != nil {
		return err
	}
	return c.syncDirs()
}

// copyTries bounds how often a copy begins again because retention was faster.
const copyTries = 5

// copySegments copies the journal until no segment was removed meanwhile.
func (c *copier) copySegments(ctx context.Context) error {
	for range copyTries {
		clear(c.fetched)
		if err := c.copyJournal(ctx); err != nil {
			return err
		}
		dropped, err := c.dropRemoved(ctx)
		if err != nil || dropped == 0 {
			return err
		}
	}
	return errors.New("the node's retention removes segments faster than they are copied: try again, or let it keep more")
}

// findLast finds the last segment of an earlier copy.
func (c *copier) findLast() error {
	names, err := c.fs.ReadDir(path.Join(c.to, JournalName))
	if err != nil {
		return err
	}
	for _, n := range names {
		if segmentName.MatchString(n) && (c.last == "" || number(n) > number(c.last)) {
			c.last = n
		}
	}
	return nil
}

// checkSame makes sure that segments copied before are of the same journal, before
// anything is written.
func (c *copier) checkSame(ctx context.Context) error {
	if c.last == "" {
		return nil
	}
	files, err := c.from.list(ctx, JournalName)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.ID == "" || !segmentName.MatchString(f.Name) {
			continue
		}
		to := path.Join(c.to, JournalName, f.Name)
		id, err := localID(c.fs, to)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if id != f.ID {
			return fmt.Errorf("%s is a copy of another file of that name (%s there, %s here), from before the node's directory was made anew: copy into a new directory", to, f.ID, id)
		}
	}
	return nil
}

func (c *copier) syncDirs() error {
	for _, dir := range []string{path.Join(c.to, JournalName), path.Join(c.to, CheckpointsName), c.to, path.Dir(c.to)} {
		if err := c.fs.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// copyCheckpoints copies those that weren't copied yet.
func (c *copier) copyCheckpoints(ctx context.Context) error {
	files, err := c.from.list(ctx, CheckpointsName)
	if err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(f File) bool { return c.checkpoints[f.Name] || !CheckpointFile(f.Name) })
	c.expect(files)
	for _, f := range files {
		c.checkpoints[f.Name] = true
		if err := c.fetch(ctx, CheckpointsName, f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// copyJournal copies side files, then segments in order. What segments there are
// and how far they reach is asked only when meta is here: they reach at least as
// far as that says. A file that has gone is passed over: dropRemoved and replay
// deal with what that leaves.
func (c *copier) copyJournal(ctx context.Context) error {
	for _, side := range []bool{true, false} {
		files, err := c.from.list(ctx, JournalName)
		if err != nil {
			return err
		}
		files = slices.DeleteFunc(files, func(f File) bool {
			return !JournalFile(f.Name) || sideName.MatchString(f.Name) != side
		})
		c.expect(files)
		for _, f := range files {
			if err := c.fetch(ctx, JournalName, f); errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return err
			}
			if !side {
				c.fetched[f.Name] = f
			}
		}
	}
	return nil
}

// dropRemoved removes the copies of files that are no longer there: they may
// have been used again while they were copied. It returns how many segments that
// were.
func (c *copier) dropRemoved(ctx context.Context) (segments int, err error) {
	files, err := c.from.list(ctx, JournalName)
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if f.ID == c.fetched[f.Name].ID {
			delete(c.fetched, f.Name)
		}
	}
	for name := range c.fetched {
		if segmentName.MatchString(name) {
			segments++
		}
		if err := c.fs.Remove(path.Join(c.to, JournalName, name)); err != nil {
			return segments, err
		}
	}
	return segments, nil
}

func (c *copier) expect(files []File) {
	for _, f := range files {
		c.total += f.bytes()
	}
}

// bytes is how many bytes of the file are copied.
func (f *File) bytes() int64 {
	if f.Used > 0 && f.Used < f.Size {
		return f.Used
	}
	return f.Size
}

func (c *copier) progress(file string, n int64) {
	c.done += n
	if c.report != nil {
		c.report(Progress{Node: c.node, File: file, Done: c.done, Total: c.total})
	}
}

// fetch copies one file, going on where an earlier attempt ended.
func (c *copier) fetch(ctx context.Context, sub string, f File) error {
	if f.Size < 0 || f.Used < 0 {
		return fmt.Errorf("%s: size %d, used %d: want numbers that are not negative", f.Name, f.Size, f.Used)
	}
	to := path.Join(c.to, sub, f.Name)
	if there, err := c.complete(to, f); err != nil || there {
		if err == nil {
			c.progress(f.Name, f.bytes())
		}
		return err
	}
	temp := to + ".part-" + Escape(f.ID)
	if err := c.fill(ctx, sub, f, temp); err != nil {
		return err
	}
	return c.fs.Rename(temp, to)
}

// complete reports whether a file was copied whole before.
func (c *copier) complete(to string, f File) (bool, error) {
	info, err := c.fs.Stat(to)
	if errors.Is(err, fs.ErrNotExist) || err == nil && f.State != Sealed {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return info.Size() == f.Size && f.Name != c.last, nil
}

// localID returns the ID of a copied segment.
func localID(fsys vfs.FS, name string) (string, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, 4)
	if _, err := f.ReadAt(b, 12); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return fmt.Sprintf("%08x", binary.LittleEndian.Uint32(b)), nil
}

// fill makes temp hold the file's bytes, durably.
func (c *copier) fill(ctx context.Context, sub string, f File, temp string) (err error) {
	out, off, err := c.openPart(f, temp)
	if err != nil {
		return err
	}
	defer func() {
		if err2 := out.Close(); err == nil {
			err = err2
		}
	}()
	if want := f.bytes(); off < want {
		in, at, err := c.from.open(ctx, sub, f.Name, off)
		if err != nil {
			return err
		}
		defer in.Close()
		if at != off && at != 0 {
			return fmt.Errorf("%s: asked for the bytes from %d on, got those from %d on", f.Name, off, at)
		}
		if err := c.stream(ctx, out, in, f, at); err != nil {
			return err
		}
	}
	if err := out.Truncate(f.Size); err != nil {
		return err
	}
	return out.Sync()
}

// openPart opens what an earlier attempt left of a sealed file, else a new one.
func (c *copier) openPart(f File, temp string) (vfs.File, int64, error) {
	if f.State == Sealed {
		out, err := c.fs.OpenWrite(temp)
		if err == nil {
			size, err := out.Size()
			if err == nil && size <= f.Size {
				c.progress(f.Name, size)
				return out, size, nil
			}
			if err := errors.Join(err, out.Close()); err != nil {
				return nil, 0, err
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, err
		}
	}
	out, err := c.fs.Create(temp)
	return out, 0, err
}

// copyBuffer is how many bytes are moved at once.
const copyBuffer = 256 << 10

// stream writes what in holds, from offset at on. Of a live file it takes what
// the list said, however much there is by now.
func (c *copier) stream(ctx context.Context, out vfs.File, in io.Reader, f File, at int64) error {
	want := f.bytes()
	buf := make([]byte, copyBuffer)
	for at < want {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := in.Read(buf[:min(int64(len(buf)), want-at)])
		if _, werr := out.WriteAt(buf[:n], at); werr != nil {
			return werr
		}
		at += int64(n)
		c.progress(f.Name, int64(n))
		if errors.Is(err, io.EOF) && at < want {
			return fmt.Errorf("%s: ends after %d bytes of %d: %w", f.Name, at, want, io.ErrUnexpectedEOF)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: after %d bytes: %w", f.Name, at, err)
		}
	}
	return nil
}
