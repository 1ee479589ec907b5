package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"syscall"

	"hindcast.dev/vfs"
)

// listeners are a node's open addresses; nil where it has none. Nothing is
// accepted until the node runs: who connects before waits in the system's queue.
type listeners struct {
	nodes, http, admin net.Listener
}

// listen opens the addresses of o, all or none.
func listen(o *Options) (l listeners, err error) {
	for _, a := range []struct {
		option, addr string
		ln           *net.Listener
	}{{"Listen", o.Listen, &l.nodes}, {"HTTP", o.HTTP, &l.http}, {"Admin", o.Admin, &l.admin}} {
		if a.addr == "" {
			continue
		}
		if *a.ln, err = net.Listen("tcp", a.addr); err != nil {
			*a.ln = nil
			l.close()
			return listeners{}, listenError(a.option, a.addr, err)
		}
	}
	return l, nil
}

// close gives the addresses back; those that a server has closed stay closed.
func (l *listeners) close() {
	for _, ln := range []net.Listener{l.nodes, l.http, l.admin} {
		if ln != nil {
			ln.Close()
		}
	}
}

// listenError says which address can't be listened on, why, and what to do.
func listenError(option, addr string, err error) error {
	remedy := "want HOST:PORT, an address of this machine and a port up to 65535, such as 127.0.0.1:8080"
	if errors.Is(err, syscall.EADDRINUSE) {
		remedy = "another process listens there: stop it, or choose another port"
	}
	why := err
	var op *net.OpError
	if errors.As(err, &op) {
		why = op.Err
	}
	if form := new(net.AddrError); errors.As(err, &form) {
		why = errors.New(form.Err) // without the address, which is said already
	}
	return &OptionError{Option: option, Reason: fmt.Sprintf("%s: %v: %s", addr, why, remedy), Err: err}
}

// checkAddress reports whether an address can be connected to, as far as its
// form tells.
func checkAddress(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if form := new(net.AddrError); errors.As(err, &form) {
		return errors.New(form.Err)
	}
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
		return nil
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 { // a service's name
		return fmt.Errorf("port %q isn't one", port)
	}
	return nil
}

// dirError says what is wrong with the node's directory if it is for a person to
// set right; other errors it returns as they are.
func (n *Node) dirError(err error) error {
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case is(vfs.ErrNoSpace):
		return fmt.Errorf("%s has too little space for a start: %w", n.o.Dir, err)
	case is(vfs.ErrMedium):
		return fmt.Errorf("%w: take what can be read to another disk, or give this node a new one and start it with --replace-disk", err)
	case is(fs.ErrPermission), is(syscall.EROFS), is(syscall.ENOTDIR):
		return n.badDir(err)
	}
	return err
}

func (n *Node) badDir(err error) error {
	return &OptionError{Option: "Dir", Reason: fmt.Sprintf("%s: %v: want a directory that this user may write to", n.o.Dir, err), Err: err}
}
