package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"hindcast.dev/history"
	"hindcast.dev/recording"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// Opened is a WHAT that was opened: a History, and where it came from. Whoever
// opened it closes it.
type Opened struct {
	*Replayed
	What string
	// Recording is what it was made of; nil for a History that came as such, and for
	// a node's data directory.
	Recording *recording.Recording

	walked []string // variables
	// again opens the same with other variables walked; nil for a History that came
	// as such.
	again func(ctx context.Context, walk []string) (*Opened, error)
}

// Close closes the History.
func (o *Opened) Close() error { return o.Source.Close() }

// Walk opens the same once more, as a History in which these variables are
// walked too: what is in them is among the changes, however much it is. Where
// the code isn't at hand, the error is a *WalkError. o stays open.
func (o *Opened) Walk(ctx context.Context, variables []string) (*Opened, error) {
	if o.again == nil {
		return nil, &WalkError{Variables: variables, Err: fmt.Errorf(
			"%s came as a History, and this takes the recording that it was made of, and the program that ran: --exec ./service RECORDING", o.What)}
	}
	n, err := o.again(ctx, union(o.walked, variables))
	var code *CodeError
	if errors.As(err, &code) {
		return nil, &WalkError{Variables: variables, Err: err}
	}
	return n, err
}

// A WalkError says that what is in bulky variables can't be had.
type WalkError struct {
	Variables []string
	Err       error // why, with the remedy: often a *CodeError
}

func (e *WalkError) Error() string {
	verb, them := "is", "it"
	if len(e.Variables) > 1 {
		verb, them = "are", "them"
	}
	return fmt.Sprintf("%s %s too large to be compared after every event, and what is in %s was left out of this History: %v",
		strings.Join(e.Variables, ", "), verb, them, e.Err)
}

// Unwrap returns why.
func (e *WalkError) Unwrap() error { return e.Err }

// A CodeError says that there is no History yet and no code to make it with.
type CodeError struct {
	What    string
	Service string // that was recorded
	Why     string
	Command string // to use
}

func (e *CodeError) Error() string {
	return fmt.Sprintf("%s: %s; replay it with the program that ran, here called ./%s: %s", e.What, e.Why, programName(e.Service), e.Command)
}

func programName(service string) string {
	if service == "" {
		return "service"
	}
	return service
}

// Open opens what a user names, as a History:
//
//	a recording, also a crash box       its directory, or its recording.json
//	a node's data directory             replayed as it is, nothing is written there
//	a directory of such directories     likewise
//	a History                           a file in text form, or a directory
//	somebody else's log                 a file that Options.Foreign can read
//	HOST:PORT,…                         live nodes' admin APIs; pulled into Options.PullTo
//
// For journals the code is found in this order: Options.Exec; a History in the
// recording that the recorded build made of it; Options.Registry, if the
// recording is of Options.Service. Else the error is a *CodeError with the
// command to use.
func Open(ctx context.Context, what string, o Options) (*Opened, error) {
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Command == "" {
		o.Command = "hindcast debug"
	}
	dir := path.Clean(filepath.ToSlash(what))
	info, err := o.FS.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && addresses.MatchString(what):
		return openLive(ctx, what, o)
	case err != nil:
		return nil, fmt.Errorf("%s: %w: want a recording, a node's data directory, a History, or HOST:PORT,… of nodes that run", what, err)
	case !info.IsDir() && path.Base(dir) != recording.ManifestName:
		return openText(dir, what, o)
	case !info.IsDir():
		dir = path.Dir(dir)
	}
	return openDir(ctx, dir, what, o)
}

// addresses are what live nodes are named by.
var addresses = regexp.MustCompile(`^([^=,/\\]+=)?[^=,/\\]*:[0-9]+(,([^=,/\\]+=)?[^=,/\\]*:[0-9]+)*$`)

func openText(file, what string, o Options) (*Opened, error) {
	m, err := readFile(file, o)
	if err != nil {
		return nil, err
	}
	return &Opened{Replayed: &Replayed{Source: m, Warnings: m.Meta().Warnings}, What: what}, nil
}

// readFile reads a History in text form, or somebody else's log: one that doesn't
// begin with an object of JSON.
func readFile(file string, o Options) (*history.Mem, error) {
	f, err := o.FS.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	in := bufio.NewReader(io.NewSectionReader(f, 0, size))
	if head, _ := in.Peek(headMax); o.Foreign != nil && !bytes.HasPrefix(bytes.TrimSpace(head), []byte("{")) {
		return o.Foreign(file, in)
	}
	return history.ReadText(in, file, history.TextOptions{SkipBad: o.SkipBad})
}

// headMax is how much of a file is looked at to tell what it is.
const headMax = 4096

func openDir(ctx context.Context, dir, what string, o Options) (*Opened, error) {
	if recording.Is(o.FS, dir) {
		rec, err := recording.Open(o.FS, dir)
		if err != nil {
			return nil, err
		}
		return openRecording(ctx, rec, what, o)
	}
	if exists(o.FS, path.Join(dir, "manifest.json")) {
		src, err := history.OpenDisk(o.FS, dir)
		if err != nil {
			return nil, err
		}
		return &Opened{Replayed: &Replayed{Source: src, Dir: dir, Warnings: src.Meta().Warnings}, What: what}, nil
	}
	in, err := dataDirs(o.FS, dir)
	if err != nil {
		return nil, err
	}
	return openData(ctx, in, what, o)
}

func exists(fsys vfs.FS, name string) bool {
	_, err := fsys.Stat(name)
	return err == nil
}

func openRecording(ctx context.Context, rec *recording.Recording, what string, o Options) (*Opened, error) {
	in := inputOf(rec)
	out := &Opened{What: what, Recording: rec, walked: o.Walk}
	out.again = func(ctx context.Context, walk []string) (*Opened, error) {
		o := o
		o.Walk = walk
		return openRecording(ctx, rec, what, o)
	}
	var err error
	if o.Exec != "" {
		out.Replayed, err = execute(ctx, rec, o)
		return opened(out, err)
	}
	service := rec.Manifest().Service
	linked := len(o.Registry) > 0 && (service == o.Service || service == "")
	if r, stale := findHistory(rec, in, o.Walk); r != nil && !o.Again {
		out.Replayed = r
		return out, nil
	} else if !linked && len(in.journals) > 0 {
		return nil, codeError(what, service, why(service, o, stale), o)
	}
	out.Replayed, err = Recording(ctx, rec, o)
	if err != nil && readOnly(err) {
		o.Memory = true
		out.Replayed, err = Recording(ctx, rec, o)
	}
	return opened(out, err)
}

func opened(out *Opened, err error) (*Opened, error) {
	if err != nil {
		return nil, err
	}
	return out, nil
}

// readOnly reports whether a recording can be read but not written to: its
// History is then kept in memory.
func readOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "read-only file system")
}

func why(service string, o Options, stale []string) string {
	s := fmt.Sprintf("this program has no machines of service %q", service)
	if o.Service != "" {
		s = fmt.Sprintf("it is a recording of service %q, this program has the machines of %q", service, o.Service)
	}
	if len(stale) > 0 {
		s += fmt.Sprintf(" (there is a History made by %s, but not by the recorded build of what is recorded now)", strings.Join(stale, ", "))
	}
	return s
}

func codeError(what, service, why string, o Options) error {
	return &CodeError{What: what, Service: service, Why: why,
		Command: fmt.Sprintf("%s --exec ./%s %s", o.Command, programName(service), what)}
}

// dataError advises to ask the service's own program, which has the commands: a
// data directory is not a recording that it could replay for this one.
func dataError(what, machine, why string, o Options) error {
	return &CodeError{What: what, Service: machine, Why: why,
		Command: fmt.Sprintf("./%s %s %s", programName(machine), o.subcommand(), what)}
}

// subcommand is the last word of Command.
func (o *Options) subcommand() string {
	return o.Command[strings.LastIndexByte(o.Command, ' ')+1:]
}

// openData replays nodes' data directories. They may be in use, so their History
// is in memory.
func openData(ctx context.Context, in *input, what string, o Options) (*Opened, error) {
	if o.Exec != "" {
		return nil, fmt.Errorf("%s holds nodes' data directories, and --exec is for recordings: the program itself has the command: %s %s %s",
			what, o.Exec, o.subcommand(), what)
	}
	if len(o.Registry) == 0 {
		return nil, dataError(what, "", "this program has no machines", o)
	}
	r, err := in.inMemory(ctx, o)
	var other *stepper.VersionError
	if errors.As(err, &other) && len(other.Have) == 0 {
		return nil, dataError(what, other.Machine, fmt.Sprintf("this program has no machine %q", other.Machine), o)
	}
	again := func(ctx context.Context, walk []string) (*Opened, error) {
		o := o
		o.Walk = walk
		return openData(ctx, in, what, o)
	}
	return opened(&Opened{Replayed: r, What: what, walked: o.Walk, again: again}, err)
}

func openLive(ctx context.Context, what string, o Options) (*Opened, error) {
	if o.PullTo == "" {
		return nil, fmt.Errorf("%s: first copy what the nodes have recorded: hindcast pull %s DIR", what, what)
	}
	rec, err := recording.Pull(ctx, o.FS, o.PullTo, strings.Split(what, ","), recording.PullOptions{Token: o.Token})
	if err != nil {
		return nil, err
	}
	return openRecording(ctx, rec, what, o)
}
