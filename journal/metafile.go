package journal

import (
	"errors"
	"fmt"
	"path"

	"hindcast.dev/faultpoint"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// A metaFile is the open meta file. It belongs to the disk's side.
type metaFile struct {
	f      vfs.File
	m      segment.Meta
	slot   int             // the one that was synced last, never to be written
	faults *faultpoint.Set // nil in production
	buf    [segment.SlotSize]byte
}

// createMeta makes the meta file of a new journal.
func createMeta(fsys vfs.FS, dir string, m segment.Meta) error {
	b := make([]byte, segment.MetaSize)
	m.Generation++
	copy(b, m.Encode())
	m.Generation++
	copy(b[segment.SlotStride:], m.Encode())
	return vfs.WriteFile(fsys, path.Join(dir, metaName), b)
}

// readMeta reads the meta file and returns the valid slot of the highest
// generation, which slot it is, and a warning if the other one is damaged.
func readMeta(fsys vfs.FS, dir string) (m segment.Meta, slot int, warning string, err error) {
	name := path.Join(dir, metaName)
	info, err := fsys.Stat(name)
	if err != nil {
		return m, 0, "", err
	}
	if size := info.Size(); size != segment.MetaSize {
		problem, at := ErrUnexpectedEnd, size
		if size > segment.MetaSize {
			problem, at = ErrForeign, segment.MetaSize
		}
		return m, 0, "", &FileError{Problem: problem, File: name, Offset: at, Remedy: remedyRepair,
			Detail: fmt.Sprintf("it has %d bytes instead of %d", size, segment.MetaSize)}
	}
	slots, errs, err := readSlots(fsys, name)
	switch {
	case err != nil:
		return m, 0, "", err
	case errs[0] != nil && errs[1] != nil:
		return m, 0, "", headError(name, segment.MetaSize, errs[0])
	case errs[0] != nil:
		return slots[1], 1, fmt.Sprintf("%s: slot 0 is damaged, slot 1 is used: %v", name, errs[0]), nil
	case errs[1] != nil:
		return slots[0], 0, fmt.Sprintf("%s: slot 1 is damaged, slot 0 is used: %v", name, errs[1]), nil
	case slots[1].Generation > slots[0].Generation:
		return slots[1], 1, "", nil
	}
	return slots[0], 0, "", nil
}

// readSlots reads both slots and says what is wrong with each: one that the medium
// doesn't give is as good as a damaged one. err is that of both, or of the file.
func readSlots(fsys vfs.FS, name string) (slots [2]segment.Meta, errs [2]error, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return slots, errs, err
	}
	defer f.Close()
	for i := range slots {
		b := make([]byte, segment.SlotSize) // zero, should it have shrunk meanwhile
		_, errs[i] = readFull(f, b, int64(i*segment.SlotStride))
		switch {
		case errs[i] != nil && !errors.Is(errs[i], vfs.ErrMedium):
			return slots, errs, errs[i]
		case errs[i] == nil:
			slots[i], errs[i] = segment.DecodeMeta(b)
		}
		if errors.Is(errs[i], segment.ErrVersion) {
			return slots, errs, headError(name, segment.MetaSize, errs[i])
		}
	}
	if errors.Is(errs[0], vfs.ErrMedium) && errors.Is(errs[1], vfs.ErrMedium) {
		return slots, errs, errs[0]
	}
	return slots, errs, nil
}

// openMeta opens the file for writing; m and slot are what readMeta returned.
func openMeta(fsys vfs.FS, dir string, m segment.Meta, slot int) (*metaFile, error) {
	f, err := fsys.OpenWrite(path.Join(dir, metaName))
	if err != nil {
		return nil, err
	}
	return &metaFile{f: f, m: m, slot: slot}, nil
}

// write writes m to the slot that may be written. Synced, the roles change.
func (f *metaFile) write(sync bool) error {
	f.m.Generation++
	other := 1 - f.slot
	if _, err := f.f.WriteAt(f.m.EncodeTo(f.buf[:]), int64(other*segment.SlotStride)); err != nil {
		return err
	}
	if !sync {
		return nil
	}
	if err := f.faults.Hit(faultpoint.JournalMetaWritten); err != nil {
		return err
	}
	if err := f.f.Sync(); err != nil {
		return err
	}
	f.slot = other
	return nil
}

// writeBoth writes m durably to both slots, so that no single sector that rots
// takes the boot number back.
func (f *metaFile) writeBoth() error {
	if err := f.write(true); err != nil {
		return err
	}
	if err := f.faults.Hit(faultpoint.JournalBootHalf); err != nil {
		return err
	}
	return f.write(true)
}
