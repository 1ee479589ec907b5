package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/loop"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// Errors of a Client. All but ErrUncertain mean that the request was not taken
// and never will be.
var (
	// ErrBusy: a bound was reached: requests in flight, or events that wait for the
	// loop. Try again later.
	ErrBusy = errors.New("the node is busy")
	// ErrDiskFull: the journal has no room for the request; Peek still works. It
	// passes when there is space again.
	ErrDiskFull = errors.New("the node's disk is full")
	// ErrStopping: the node stops, or has stopped.
	ErrStopping = errors.New("the node is stopping")
	// ErrTooLarge: the request is larger than Limits.RequestBytes.
	ErrTooLarge = errors.New("the request is too large")
	// ErrUncertain: the node stopped while the request was in flight: it may have
	// been handled, or may be handled after a restart.
	ErrUncertain = errors.New("the node stopped before it answered: the request may or may not have been handled")
	// ErrNoQuery is returned by Peek for a machine that is not machine.Querying.
	ErrNoQuery = errors.New("the machine answers no queries")
)

// A RefusedError says why no machine of the node takes a request.
type RefusedError struct {
	Machine string
	Name    string // the payload's registered name
	Reason  string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("request %s to machine %s refused: %s", e.Name, e.Machine, e.Reason)
}

// A DriftError says that a request carried a Timestamp too far ahead of the
// node's clock.
type DriftError struct {
	Sent, Wall hlc.Timestamp
	MaxDrift   time.Duration
}

func (e *DriftError) Error() string {
	return fmt.Sprintf("the request's %s %s is %s ahead of this node's clock %s (MaxDrift %s)",
		TimeHeader, e.Sent, e.Sent.Sub(e.Wall), e.Wall, e.MaxDrift)
}

// A SyncError says that the disk didn't do what makes the journal durable. It is
// never tried again: what the disk holds is known again after a restart.
type SyncError struct {
	What string // what failed
	Err  error
}

func (e *SyncError) Error() string {
	return fmt.Sprintf("%s failed: %v: the node stops, because nothing is known of what the disk holds; "+
		"effects that waited for it were not performed. Check the disk, then start again", e.What, e.Err)
}

// Unwrap returns the disk's error.
func (e *SyncError) Unwrap() error { return e.Err }

// A PoisonError says that an event stopped the node twice, and how to go on.
type PoisonError struct {
	Seq  uint64 // the event
	Dir  string // the journal
	Box  string // the crash box, "" if there is none
	Last error  // what happened this time
}

func (e *PoisonError) Error() string {
	box := ""
	if e.Box != "" {
		box = fmt.Sprintf("; look at it with: hindcast debug %s", e.Box)
	}
	return fmt.Sprintf("event %d stopped this node more than once (%v): it will not start again by itself. "+
		"Either a new version of the machine handles it: start with --upgrade-before %d; "+
		"or nobody does: hindcast journal skip --reason TEXT %s %d%s", e.Seq, e.Last, e.Seq, e.Dir, e.Seq, box)
}

// Unwrap returns what happened this time.
func (e *PoisonError) Unwrap() error { return e.Last }

// A CrashError is a panic or divergence, and where everything about it is.
type CrashError struct {
	Box string // the crash box: a recording that ends with the fatal event
	Err error
}

func (e *CrashError) Error() string {
	return fmt.Sprintf("%v; set aside in %s: look at it with: hindcast debug %s", e.Err, e.Box, e.Box)
}

// Unwrap returns the cause.
func (e *CrashError) Unwrap() error { return e.Err }

// Exit codes of a process that ran a node; see ExitCode and ExitCodes. A
// supervisor may start again after ExitInternal, ExitSync, ExitPanic and ExitFull.
const (
	ExitOK         = 0
	ExitUsage      = 2
	ExitInternal   = 4
	ExitSync       = 10
	ExitPanic      = 11
	ExitPoison     = 12
	ExitDivergence = 13
	ExitCorrupt    = 14
	ExitFull       = 15
)

// An Exit is one exit code of a process that ran a node.
type Exit struct {
	Code    int
	Name    string // in a word or two
	Meaning string // what happened, and what to do
}

// ExitCodes lists all of them, for help texts.
func ExitCodes() []Exit {
	return []Exit{
		{ExitOK, "stopped", "drained and stopped, because it was asked to"},
		{ExitUsage, "usage", "an option, address, directory, clock or version that a person must set right"},
		{ExitInternal, "internal", "anything else; starting again may help"},
		{ExitSync, "sync failed", "the disk didn't do what makes the journal durable; check it, then start again"},
		{ExitPanic, "panic", "a machine panicked or passed a bound; there is a crash box; starting again may help"},
		{ExitPoison, "poison", "the same event stopped the node twice: --upgrade-before or journal skip, not a restart"},
		{ExitDivergence, "divergence", "the machine code isn't that which wrote the journal, or isn't deterministic"},
		{ExitCorrupt, "damaged", "the journal is damaged, truncated or foreign: journal verify, journal repair"},
		{ExitFull, "disk full", "no space for what a start needs: free some, or choose a smaller --segment-bytes"},
	}
}

// ExitCode returns the exit code for what Start or Wait returned.
func ExitCode(err error) int {
	is := func(target error) bool { return errors.Is(err, target) }
	var (
		sync     *SyncError
		poison   *PoisonError
		option   *OptionError
		panicked *stepper.PanicError
		limit    *stepper.LimitError
		diverged *stepper.DivergenceError
		clock    *loop.ClockError
		rollback *stepper.RollbackError
		version  *stepper.VersionError
	)
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &sync):
		return ExitSync
	case errors.As(err, &poison):
		return ExitPoison
	case errors.As(err, &panicked), errors.As(err, &limit):
		return ExitPanic
	case errors.As(err, &diverged):
		return ExitDivergence
	case errors.As(err, &option), errors.As(err, &clock), errors.As(err, &rollback), errors.As(err, &version),
		is(vfs.ErrLocked), is(journal.ErrVersion), is(journal.ErrOtherNode):
		return ExitUsage
	case is(vfs.ErrMedium), is(journal.ErrCorrupt), is(journal.ErrUnexpectedEnd), is(journal.ErrForeign):
		return ExitCorrupt
	case is(vfs.ErrNoSpace):
		return ExitFull
	}
	return ExitInternal
}

// offerError turns what Loop.Offer returned into a Client's error.
func offerError(err error) error {
	switch {
	case errors.Is(err, journal.ErrBacklog):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case errors.Is(err, journal.ErrFull):
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	case errors.Is(err, journal.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, journal.ErrClosed):
		return ErrStopping
	}
	return err
}

// A problem is an error as HTTP tells it.
type problem struct {
	status int
	remedy string
	retry  bool
}

// problemOf maps an error of a Client to HTTP.
func problemOf(err error) problem {
	is := func(target error) bool { return errors.Is(err, target) }
	var (
		refused *RefusedError
		drift   *DriftError
		long    *http.MaxBytesError
	)
	switch {
	case is(ErrBusy):
		return problem{http.StatusTooManyRequests, "try again after the time in Retry-After", true}
	case is(ErrDiskFull):
		return problem{http.StatusInsufficientStorage, "free space on the node's disk; reading works meanwhile", true}
	case is(ErrStopping):
		return problem{http.StatusServiceUnavailable, "ask another node, or try again when this one is back", true}
	case is(ErrUncertain):
		return problem{http.StatusServiceUnavailable, "read before you repeat the request: it may have been handled", true}
	case is(context.DeadlineExceeded), is(context.Canceled):
		return problem{http.StatusGatewayTimeout, "read before you repeat the request: it may have been handled", false}
	case is(ErrTooLarge), errors.As(err, &long):
		return problem{http.StatusRequestEntityTooLarge, "send less at once", false}
	case errors.As(err, &drift):
		return problem{http.StatusBadRequest, "check the time synchronisation of the sender", false}
	case errors.As(err, &refused):
		return problem{http.StatusUnprocessableEntity, "check that the node runs the version of the service that you speak to", false}
	}
	return problem{http.StatusInternalServerError, "look into the node's log", false}
}
