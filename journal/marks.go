package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"hindcast.dev/vfs"
)

// A PanicMark is what MarkPanic recorded.
type PanicMark struct {
	Boot  uint64 `json:"boot"`
	Seq   uint64 `json:"seq"`   // of the event whose handling panicked
	Count int    `json:"count"` // panics at this Seq so far, this one included
	Text  string `json:"text"`
}

// A SkipMark is an event that is not to be handled.
type SkipMark struct {
	Seq    uint64 `json:"seq"`
	Reason string `json:"reason"`
}

// marksSizeMax bounds the JSON files, in bytes.
const marksSizeMax = 1 << 20

// panicTextMax bounds a panic's text, in bytes.
const panicTextMax = 64 << 10

// MarkPanic records durably that handling the event seq panicked, and counts how
// often it has. The next Open's Recovery has it. It may be called by any
// goroutine, also after the journal failed.
func (j *Journal) MarkPanic(seq uint64, text string) error {
	mark := PanicMark{Boot: j.boot, Seq: seq, Count: 1, Text: text[:min(len(text), panicTextMax)]}
	if p := j.recovery.Panic; p != nil && p.Seq == seq {
		mark.Count = p.Count + 1
	}
	return writeMarks(j.o.FS, path.Join(j.o.Dir, panicName), mark)
}

// Skip reports whether the event seq is not to be handled, and why.
func (j *Journal) Skip(seq uint64) (reason string, skip bool) {
	reason, skip = j.skips[seq]
	return reason, skip
}

// Skip makes the next boot skip the event seq: the way past an event whose
// handling panics. The journal must not be open. A seq that isn't stamped yet is
// that of the frame which will be stamped with it.
func Skip(fsys vfs.FS, dir string, seq uint64, reason string) error {
	if seq == 0 || reason == "" {
		return fmt.Errorf("skip: want a sequence number from 1, and a reason")
	}
	lock, err := takeLock(fsys, dir)
	if err != nil {
		return err
	}
	marks, err := readSkips(fsys, dir)
	if err == nil {
		marks = slices.DeleteFunc(marks, func(m SkipMark) bool { return m.Seq == seq })
		marks = append(marks, SkipMark{Seq: seq, Reason: reason})
		slices.SortFunc(marks, func(a, b SkipMark) int { return int(a.Seq) - int(b.Seq) })
		err = writeMarks(fsys, path.Join(dir, skipName), marks)
	}
	return errors.Join(err, lock.Close())
}

// Skips returns all events that are not to be handled, by sequence number.
func Skips(fsys vfs.FS, dir string) ([]SkipMark, error) { return readSkips(fsys, dir) }

func readSkips(fsys vfs.FS, dir string) ([]SkipMark, error) {
	var marks []SkipMark
	err := readMarks(fsys, path.Join(dir, skipName), &marks)
	return marks, err
}

func writeMarks(fsys vfs.FS, name string, v any) error {
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	return vfs.WriteFile(fsys, name, append(b, '\n'))
}

// readMarks leaves v alone if the file is missing.
func readMarks(fsys vfs.FS, name string, v any) error {
	b, err := vfs.ReadFile(fsys, name, marksSizeMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return &FileError{Problem: ErrCorrupt, File: name, Detail: err.Error(), Remedy: "correct it, or remove it"}
	}
	return nil
}

// loadMarks reads panic.json and skip.json and says how the last boot ended.
func (j *Journal) loadMarks(rc *recovering) error {
	var mark *PanicMark
	if err := readMarks(j.o.FS, path.Join(j.o.Dir, panicName), &mark); err != nil {
		return err
	}
	skips, err := readSkips(j.o.FS, j.o.Dir)
	if err != nil {
		return err
	}
	j.skips = map[uint64]string{}
	for _, m := range skips {
		j.skips[m.Seq] = m.Reason
	}
	r, m := &rc.r, &rc.meta
	r.Boot, r.Panic, r.DurableSeq, r.Durability = m.Boot, mark, m.DurableSeq, Durability(m.Durability)
	switch {
	case m.Boot == 0:
		r.Ending = NoBoot
	case mark != nil && mark.Boot == m.Boot:
		r.Ending = Panicked
	case m.Clean:
		r.Ending = Stopped
	default:
		r.Ending = Killed
	}
	return nil
}
