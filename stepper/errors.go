package stepper

import "fmt"

// A PanicError says that a machine panicked, or broke a bound that is its
// programmer's to keep.
type PanicError struct {
	Machine string
	Seq     uint64
	Value   any    // what the machine panicked with
	Stack   []byte // if Options.Stack was set
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("machine %s panicked at event %d: %v", e.Machine, e.Seq, e.Value)
}

// A LimitError says that one event passed a bound.
type LimitError struct {
	What string // the bound, as a noun
	Max  int
	Seq  uint64
	Hint string // the remedy
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("event %d passed the bound of %d %s: %s", e.Seq, e.Max, e.What, e.Hint)
}

// A VersionError says that this build lacks the code of a machine's version, or
// the machine altogether.
type VersionError struct {
	Machine string
	Want    uint32   // the version that is needed
	Have    []uint32 // the versions this build has, ascending
}

func (e *VersionError) Error() string {
	if len(e.Have) == 0 {
		return fmt.Sprintf("this build has no machine %q, which the journal or checkpoint needs at version %d: use the build that wrote it", e.Machine, e.Want)
	}
	return fmt.Sprintf("this build has no version %d of machine %q (it has %v): use a build that has both, or the one that wrote it", e.Want, e.Machine, e.Have)
}

// A RollbackError says that a machine's state is of a higher version than would
// run here.
type RollbackError struct {
	Machine string
	Has     uint32 // the version of the state
	Want    uint32 // the version that would run
}

func (e *RollbackError) Error() string {
	return fmt.Sprintf("machine %s has state of version %d and would be rolled back to version %d: run version %d or later, or start from an older checkpoint", e.Machine, e.Has, e.Want, e.Has)
}

// An UpgradeError says that a machine couldn't take over its older state.
type UpgradeError struct {
	Machine  string
	From, To uint32
	Err      error
}

func (e *UpgradeError) Error() string {
	return fmt.Sprintf("upgrade of machine %s from version %d to %d: %v", e.Machine, e.From, e.To, e.Err)
}

// Unwrap returns the cause.
func (e *UpgradeError) Unwrap() error { return e.Err }

// A CorruptError says that a checkpoint's body is not what Checkpoint wrote.
type CorruptError struct {
	What string
	Err  error // may be nil
}

func (e *CorruptError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("checkpoint: %s: %v: use the checkpoint before it", e.What, e.Err)
	}
	return fmt.Sprintf("checkpoint: %s: use the checkpoint before it", e.What)
}

// Unwrap returns the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// A FormatError says that a checkpoint's body is of a format that this build
// doesn't read.
type FormatError struct {
	Has, Known uint32
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("checkpoint body of format %d, this build reads format %d: use the build that wrote it, or an older checkpoint", e.Has, e.Known)
}
