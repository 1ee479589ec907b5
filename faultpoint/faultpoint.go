// Package faultpoint names places in production code where a simulated run may
// interfere: die, fail, or take a path that is rare. The idea is FoundationDB's
// BUGGIFY; the difference is that there is no global switch and no global random
// source. Whoever simulates gives each node a *Set; in production it is nil, whose
// methods do nothing.
//
// A point is a constant of this package with a sentence of its own in Points. A
// test proves that each is used at exactly one place, as the kind it is registered
// as.
package faultpoint

import (
	"errors"
	"fmt"
)

// An Action is what is to happen at a point.
type Action uint8

// The actions.
const (
	Pass Action = iota // nothing: go on
	Fail               // of a Step: the operation that comes next fails with ErrInjected
	Die                // of a Step: the process ends here
	Take               // of a Rare: take the rare path
)

var actionNames = [...]string{Pass: "pass", Fail: "fail", Die: "die", Take: "take"}

// String is the action's name.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("action(%d)", uint8(a))
}

// What an error of Hit wraps.
var (
	// ErrInjected: the operation that comes next is to fail, as a disk's would.
	ErrInjected = errors.New("injected failure")
	// ErrDied: the process ended at this point. What is done between Hit and the
	// driver's seeing this error didn't happen; see Set.
	ErrDied = errors.New("died")
)

// An Error is what Hit returns: where, and ErrInjected or ErrDied.
type Error struct {
	Point string
	Cause error // ErrInjected or ErrDied
}

func (e *Error) Error() string { return fmt.Sprintf("%v at point %s", e.Cause, e.Point) }

// Unwrap returns the Cause.
func (e *Error) Unwrap() error { return e.Cause }

// A Set is the points of one node in one simulated run. The nil *Set is that of
// production: its methods return at once, and cost a comparison.
//
// A death can't be simulated from within to the letter: the code that is told of
// it still returns, and may clean up on its way. So decide, when it answers Die,
// takes the disk as it is at that moment (vfs.Mem.Restart or Crash), and the
// driver, when the error arrives, goes on with that and throws away the rest. From
// the death on every Hit returns it again.
//
// A Set is for whoever drives the node, one goroutine at a time; a nil one is for
// all.
type Set struct {
	decide func(name string) Action
	died   error
}

// New returns a Set whose every point asks decide what is to happen there. decide
// may use anything but the node; an action that isn't of the point's kind is Pass.
func New(decide func(name string) Action) *Set { return &Set{decide: decide} }

// Hit is a Step: nil, or the error with which the operation that comes next is to
// fail. It is inlined: where s is nil only the comparison is left.
func (s *Set) Hit(name string) error {
	if s == nil {
		return nil
	}
	return s.hit(name)
}

func (s *Set) hit(name string) error {
	if s.died != nil {
		return s.died
	}
	switch s.decide(name) {
	case Fail:
		return &Error{Point: name, Cause: ErrInjected}
	case Die:
		s.died = &Error{Point: name, Cause: ErrDied}
		return s.died
	}
	return nil
}

// Buggify is a Rare: whether to take the rare path.
func (s *Set) Buggify(name string) bool {
	if s == nil {
		return false
	}
	return s.died == nil && s.decide(name) == Take
}

// Died is the error of the Hit that ended the process, nil if none did.
func (s *Set) Died() error {
	if s == nil {
		return nil
	}
	return s.died
}
