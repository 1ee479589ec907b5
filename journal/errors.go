package journal

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Sentinels of the running journal.
var (
	// ErrBacklog is returned by Append and Claim when it would let more than
	// Options.Backlog bytes wait for their stamp. Try again when some are stamped.
	ErrBacklog = errors.New("journal backlog is full")
	// ErrFull is returned by Append and Claim when the segment is full and the
	// next one isn't prepared: Maintain is late, or the disk is full. Try again
	// after Maintain returned nil.
	ErrFull = errors.New("no journal segment is ready")
	// ErrTooLarge is wrapped by the error of Append and Claim for a frame longer
	// than record.MaxFrame, the backlog or a segment.
	ErrTooLarge = errors.New("frame too large for the journal")
	// ErrClosed is returned by every call after Close.
	ErrClosed = errors.New("journal is closed")
	// ErrSyncFailed is wrapped by the error of every call after a sync failed:
	// nothing is known of what it should have made durable. It is final; the
	// process ends, and starts again from what was durable.
	ErrSyncFailed = errors.New("journal sync failed")
	// ErrHandled is wrapped by the error of Amend and Skip for an event that others
	// were handled after.
	ErrHandled = errors.New("the event was handled")
	// ErrNotNew is wrapped by the error of Open for a journal that has booted, if
	// Options.FirstBoot is given.
	ErrNotNew = errors.New("the journal is not new")
	// ErrInUse is wrapped by the error of Open, Repair and Skip when a process
	// has the journal open for writing.
	ErrInUse = errors.New("journal is in use by another process")
)

// What can be wrong with files; a *FileError wraps one of them.
var (
	// ErrTorn: the journal ends in a frame that wasn't finished. It is normal after
	// a crash, is truncated by the next Open, and only reported.
	ErrTorn = errors.New("torn tail")
	// ErrCorrupt: bytes that were durable have changed.
	ErrCorrupt = errors.New("corruption")
	// ErrVersion: the file is of a format that this build doesn't know.
	ErrVersion = errors.New("unknown format version")
	// ErrUnexpectedEnd: a file is shorter than it says, or missing.
	ErrUnexpectedEnd = errors.New("unexpected end of file")
	// ErrForeign: the file isn't a journal's, or is that of another node.
	ErrForeign = errors.New("foreign file")
	// ErrOtherNode is the ErrForeign of a sound file of another node: the directory
	// or the node's name is the wrong one, and nothing is damaged.
	ErrOtherNode = fmt.Errorf("%w of another node", ErrForeign)
)

// A FileError says what is wrong with a file, where, and what to do.
type FileError struct {
	Problem error  // ErrTorn, ErrCorrupt, ErrVersion, ErrUnexpectedEnd, ErrForeign or ErrOtherNode
	File    string // name as given to the file system
	Offset  int64  // in the file
	Detail  string
	Lost    string // what is lost by it, "" if nothing or unknown
	Remedy  string
}

func (e *FileError) Error() string {
	s := fmt.Sprintf("%s: %v at byte %d: %s", e.File, e.Problem, e.Offset, e.Detail)
	if e.Lost != "" {
		s += "; lost: " + e.Lost
	}
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Unwrap returns the Problem.
func (e *FileError) Unwrap() error { return e.Problem }

// MarshalJSON writes the Problem as its text.
func (e *FileError) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Problem string `json:"problem"`
		File    string `json:"file"`
		Offset  int64  `json:"offset"`
		Detail  string `json:"detail"`
		Lost    string `json:"lost,omitempty"`
		Remedy  string `json:"remedy,omitempty"`
	}{e.Problem.Error(), e.File, e.Offset, e.Detail, e.Lost, e.Remedy})
}

// A RetainedError is returned to a reader that wants what retention has removed.
type RetainedError struct {
	Want  uint64 // the sequence number wanted
	First uint64 // the first one that is kept
}

func (e *RetainedError) Error() string {
	return fmt.Sprintf("journal no longer has sequence number %d: retention kept from %d on; read from there, or look in the archive", e.Want, e.First)
}

const (
	remedyRepair  = "run `hindcast journal repair` to set the damaged part aside and go on without it"
	remedyVersion = "open it with the build that wrote it, or a newer one"
	remedyOther   = "check the directory and the node's name"
	remedyForeign = "check that this is the right directory, and move the file out of it"
)
