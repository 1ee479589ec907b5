package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"hindcast.dev/debug"
	"hindcast.dev/history"
)

// A desk is what sessions over one WHAT share: the History, the notebook, and what
// they may do to this machine. It is safe for concurrent use; a session isn't.
type desk struct {
	c        *cobra.Command
	services []Service
	flags    openFlags
	what     string
	// looks: sessions come from elsewhere and only look. They write no files but the
	// notebook's and run no programs.
	looks bool
	// remote: they may come from other machines. Then they don't open this one's files
	// either, unless they may do more than look.
	remote bool
	// many: there are several sessions, so that none may close what others look at.
	many bool

	walks sync.Mutex // one replays at a time

	mu    sync.Mutex
	o     *opened
	old   []io.Closer // Histories that were replaced
	code  *codePlaces
	book  notebook
	kept  bool // the notebook's marks could be read, so they can be written
	marks []debug.Mark
}

// newDesk reads the notebook of what was opened.
func newDesk(c *cobra.Command, services []Service, flags openFlags, o *opened, what string) *desk {
	d := &desk{c: c, services: services, flags: flags, what: what, o: o, book: notebookOf(o, what), kept: true, code: newCodePlaces(o.service.Machines)}
	var err error
	if d.marks, err = d.book.read(); err != nil {
		warn(c, []string{err.Error()})
		d.kept = false // what can't be read isn't written over
	}
	return d
}

// Close closes the History, and those that it replaced.
func (d *desk) Close() error {
	err := d.o.Close()
	for _, c := range d.old {
		err = errors.Join(err, c.Close())
	}
	return err
}

// session is a new session, with what it needs of this machine.
func (d *desk) session(out io.Writer) *debug.Session {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := debug.NewSession(d.o.Source, out)
	s.Walk = d.walk
	s.Open = d.open
	s.Create = d.create
	s.Title = d.what
	if d.o.Recording != nil {
		s.Replay = d.replay
	}
	if r := d.o.Recording; r == nil || r.Manifest().Service == d.o.service.Name {
		s.Code = d.code.of
	}
	d.o.attach(s)
	s.SetMarks(d.marks)
	if d.kept {
		s.KeepMarks = d.keeper(d.marks)
	}
	return s
}

// walk gives the History with variables walked in it, to all sessions that begin
// from now on.
func (d *desk) walk(ctx context.Context, variables []string) (history.Source, error) {
	d.walks.Lock()
	defer d.walks.Unlock()
	old := d.o.Opened // nobody else replaces it
	n, err := old.Walk(ctx, variables)
	if err != nil {
		return nil, openError(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.o.Opened = n
	if d.many {
		d.old = append(d.old, old)
		return n.Source, nil
	}
	return n.Source, old.Close()
}

// errLooks is why a session that only looks doesn't do what a command asks for.
var errLooks = errors.New("this page looks, and does nothing else to the machine that it runs on: start it with --allow-control")

// open opens another History. A session that only looks opens what is on disk, and
// asks nobody else; one from another machine doesn't even do that, for errors tell of
// files what is none of its business.
func (d *desk) open(ctx context.Context, other string) (history.Source, error) {
	if d.looks && d.remote {
		return nil, errLooks
	}
	if _, err := os.Stat(other); d.looks && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; live nodes are pulled only then (%w)", err, errLooks)
	}
	return openSource(ctx, d.c, d.services, d.flags, other)
}

// replay replays the recording with another build.
func (d *desk) replay(ctx context.Context, binary string) (history.Source, error) {
	if d.looks {
		return nil, errLooks
	}
	with := d.flags
	with.exec = binary
	return openSource(ctx, d.c, d.services, with, d.what)
}

// create makes a file that is exported to.
func (d *desk) create(name string) (io.WriteCloser, error) {
	if d.looks {
		return nil, errLooks
	}
	return createNew(name)
}

// keeper keeps the marks of a session that begins with some: what it adds and takes
// away is done to the notebook, so that sessions side by side lose none of each
// other's.
func (d *desk) keeper(had []debug.Mark) func([]debug.Mark) error {
	return func(has []debug.Mark) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		all := slices.DeleteFunc(slices.Clone(d.marks), func(m debug.Mark) bool {
			return slices.Contains(had, m) && !slices.Contains(has, m)
		})
		for _, m := range has {
			if slices.Contains(had, m) {
				continue
			}
			all = slices.DeleteFunc(all, func(o debug.Mark) bool { return o.Name == m.Name })
			all = append(all, m)
		}
		had, d.marks = slices.Clone(has), all
		return d.book.write(all)
	}
}
