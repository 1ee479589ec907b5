package journal

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// An Amendment says that an event isn't handled: the way past one whose handling
// panics. Recovery and replay both obey it.
type Amendment struct {
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

// Skip reports whether the event seq is not to be handled, and why. Any
// goroutine, but not beside Amend.
func (j *Journal) Skip(seq uint64) (reason string, skip bool) {
	for _, a := range j.amendments {
		if a.Seq == seq {
			return a.Reason, true
		}
	}
	return "", false
}

// Amendments returns all amendments, ascending by Seq.
func (j *Journal) Amendments() []Amendment { return j.amendments }

// Amend adds an amendment durably, before recovery handles events; one of the
// same Seq is replaced.
func (j *Journal) Amend(a Amendment) error {
	var err error
	j.amendments, err = amend(j.o.FS, j.o.Dir, j.amendments, a)
	return err
}

// Amend adds an amendment durably to a journal that isn't open; one of the same
// Seq is replaced. A Seq that isn't stamped yet is that of the frame which will be
// stamped with it.
func Amend(fsys vfs.FS, dir string, a Amendment) error {
	lock, err := takeLock(fsys, dir)
	if err != nil {
		return err
	}
	err = amendable(fsys, dir, a.Seq)
	var have []Amendment
	if err == nil {
		have, err = Amendments(fsys, dir)
	}
	if err == nil {
		_, err = amend(fsys, dir, have, a)
	}
	return errors.Join(err, lock.Close())
}

// amendable returns an error if an event after seq was handled.
func amendable(fsys vfs.FS, dir string, seq uint64) error {
	r, err := OpenReader(fsys, dir, seq+1)
	var gone *RetainedError
	if errors.As(err, &gone) {
		return handledSince(seq)
	}
	if err != nil {
		return err
	}
	_, err = r.Next()
	switch err = errors.Join(ignoreEOF(err), r.Close()); {
	case err != nil:
		return err
	case r.last > seq:
		return handledSince(seq)
	}
	return nil
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func handledSince(seq uint64) error {
	return fmt.Errorf("%w: event %d was, and others after it, whose digests would no longer agree: only the last event can be skipped, the one whose handling panicked", ErrHandled, seq)
}

// Skip makes the next boot skip the event seq: it is Amend.
func Skip(fsys vfs.FS, dir string, seq uint64, reason string) error {
	return Amend(fsys, dir, Amendment{Seq: seq, Reason: reason})
}

// Amendments reads the amendments of a journal, ascending by Seq.
func Amendments(fsys vfs.FS, dir string) ([]Amendment, error) {
	var have []Amendment
	err := readMarks(fsys, path.Join(dir, skipName), &have)
	return have, err
}

func amend(fsys vfs.FS, dir string, have []Amendment, a Amendment) ([]Amendment, error) {
	if a.Seq == 0 || a.Reason == "" {
		return have, fmt.Errorf("amend journal: want a sequence number from 1, and a reason")
	}
	all := []Amendment{a}
	for _, b := range have {
		if b.Seq != a.Seq {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b Amendment) int { return cmp.Compare(a.Seq, b.Seq) })
	if err := writeMarks(fsys, path.Join(dir, skipName), all); err != nil {
		return have, err
	}
	return all, nil
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
	var err error
	if j.amendments, err = Amendments(j.o.FS, j.o.Dir); err != nil {
		return err
	}
	r, m := &rc.r, &rc.meta
	r.Repaired = m.Repaired || m.Anew
	r.Boot, r.Panic, r.DurableSeq, r.Durability = m.Boot, mark, m.DurableSeq, Durability(m.Durability)
	switch {
	case m.Boot == 0, rc.isNew():
		r.Boot, r.Ending = 0, NoBoot
	case mark != nil && mark.Boot == m.Boot:
		r.Ending = Panicked
	case m.Clean:
		r.Ending = Stopped
	case m.Anew:
		r.Ending = Repaired
	default:
		r.Ending = Killed
	}
	return nil
}
