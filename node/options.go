package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"hindcast.dev/guard"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/segment"
	"hindcast.dev/machine"
	"hindcast.dev/transport"
	"hindcast.dev/vfs"
)

// Options say what a node runs and where. Name, Service, Dir and Registry are
// required; the rest has a default that works.
type Options struct {
	Name     string // of the node, unique in the service
	Service  string // all nodes agree on it
	Dir      string // journal, checkpoints, crash boxes and bundles go below it; made absolute if FS is nil
	Registry machine.Registry
	Versions map[string]uint32 // run these instead of the latest
	Settings map[string]string // what machines see as Config
	Build    string            // names the build that runs, for recordings; "" is unknown
	Seed     uint64            // of the machines' Rand at the node's first start; 0 draws one

	// Addresses are HOST:PORT; without a host they mean loopback, port 0 is any free
	// one. Empty: that server isn't run.
	Listen string            // other nodes and native clients
	HTTP   string            // Handler
	Admin  string            // the admin API; beyond loopback it wants Tokens
	Peers  map[string]string // the other nodes, name → address

	// Handler makes the service's HTTP face.
	Handler func(*Client) http.Handler
	// Tokens are who may use the admin API. Without any, whoever reaches it may.
	Tokens []Token
	// Page makes a handler of all that lies below PagePath at the admin address, where
	// a debugger's page may be. It sees itself to who may ask, see Admits. When ctx ends
	// the node is about to end: what it answers and what it has started end then. nil:
	// there is none.
	Page func(ctx context.Context, n *Node) http.Handler

	NodeTLS  *tls.Config // between nodes
	HTTPTLS  *tls.Config // of the service
	AdminTLS *tls.Config // of the admin API

	Durability   journal.Durability
	SegmentBytes int           // 0 is the journal's default
	RetainBytes  int64         // of the journal; 0 keeps all
	RetainAge    time.Duration // of the journal; 0 keeps all
	Archive      string        // where segments go before retention removes them
	Checkpoints  int           // kept; 0 is 3. Up to four more stay, to reach 20 s back with
	// CheckpointEvery is the number of events between checkpoints; 0 is the loop's
	// default.
	CheckpointEvery uint64
	// ShadowCheckpoints lets a second copy of the machines, that follows the journal,
	// take the checkpoints: the loop then never pauses for them.
	ShadowCheckpoints bool

	MaxDrift time.Duration // 0 is hlc.DefaultMaxDrift
	// AllowFaults makes the fault switches work, and ClockOffset.
	AllowFaults bool
	// ClockOffset is added to the wall clock.
	ClockOffset time.Duration

	// Adapters perform what machines Call, by name.
	Adapters map[string]Adapter

	// UpgradeBefore is the sequence number of an event that stopped the node: it is
	// skipped where it stands and handled anew, once, after the machines were upgraded
	// to a version that can. 0 is none.
	UpgradeBefore uint64

	// ReplaceDisk starts a node that has run before and has lost its disk: on an empty
	// Dir, with the boot numbers going on from the seconds since 1970, which is above
	// any that it had. Without it the node would begin at boot 1 again, and its peers
	// would take its messages for those of its first boot, which they know. A Dir that
	// holds a journal or a checkpoint is refused. It is for the first start only.
	ReplaceDisk bool

	Log      *slog.Logger // nil is slog.Default
	FS       vfs.FS       // nil is vfs.OS
	HostBoot string       // the machine's present boot; "" is found out on Linux
	Limits   Limits
	Network  transport.Limits // of the transport
	Timing   transport.Timing // of the transport
}

// PagePath is where Options.Page is.
const PagePath = "/debug/"

// Limits bound what a node holds. Zero fields take the default.
type Limits struct {
	InFlight     int // requests without their last reply; 1024
	Parts        int // partial replies that wait for a client; 1024
	Peeks        int // queries that wait for the loop; 256
	BacklogBytes int // events that wait for the loop; 8 MiB
	RequestBytes int // body of a request, over HTTP too; 1 MiB
	HTTPConns    int // connections to the service; 1024
	AdminConns   int // connections to the admin API; 64
	Followers    int // of the node's history; 16
	// WindowBytes bounds the log of messages sent of late that snapshots need; 64 MiB.
	// Below 0 there is none: a second copy of the machines then steps the journal for
	// every snapshot.
	WindowBytes   int
	AdapterCalls  int           // calls that wait for or are with one adapter; 1024
	AdapterTasks  int           // of them, those that are with it at once; 16
	CrashBoxBytes int64         // of one crash box or bundle's journal; 256 MiB
	CrashBoxes    int           // kept, and bundles likewise; 8
	Checkpoints   int           // checkpoints that wait to be written; 2
	DeliverWait   time.Duration // a peer's message may wait so long for the backlog; 200 ms
	HTTPRead      time.Duration // a client has so long to send a request; 30 s
	HTTPWrite     time.Duration // and a handler to answer it; 60 s
	Drain         time.Duration // Stop by the end of Start's context waits so long; 10 s
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.InFlight, 1024)
	orDefault(&l.Parts, 1024)
	orDefault(&l.Peeks, 256)
	orDefault(&l.BacklogBytes, 8<<20)
	orDefault(&l.RequestBytes, 1<<20)
	orDefault(&l.HTTPConns, 1024)
	orDefault(&l.AdminConns, 64)
	orDefault(&l.Followers, 16)
	orDefault(&l.WindowBytes, 64<<20)
	orDefault(&l.AdapterCalls, 1024)
	orDefault(&l.AdapterTasks, 16)
	orDefault(&l.CrashBoxBytes, 256<<20)
	orDefault(&l.CrashBoxes, 8)
	orDefault(&l.Checkpoints, 2)
	orDefault(&l.DeliverWait, 200*time.Millisecond)
	orDefault(&l.HTTPRead, 30*time.Second)
	orDefault(&l.HTTPWrite, 60*time.Second)
	orDefault(&l.Drain, 10*time.Second)
	return l
}

func orDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// checkpointsKept is the default of Options.Checkpoints.
const checkpointsKept = 3

// withDefaults fills in what is zero; maps are copied.
func (o Options) withDefaults() Options {
	o.Limits = o.Limits.withDefaults()
	o.Peers = maps.Clone(o.Peers)
	delete(o.Peers, o.Name)
	o.Listen, o.HTTP, o.Admin = loopbackUnlessTold(o.Listen), loopbackUnlessTold(o.HTTP), loopbackUnlessTold(o.Admin)
	orDefault(&o.Checkpoints, checkpointsKept)
	orDefault(&o.MaxDrift, hlc.DefaultMaxDrift)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.FS == nil {
		o.FS = vfs.OS()
		if abs, err := filepath.Abs(o.Dir); err == nil && o.Dir != "" { // what we say of it is read elsewhere
			o.Dir = abs
		}
	}
	return o
}

// loopbackUnlessTold puts loopback where an address names no host, which to the
// system means all of them.
func loopbackUnlessTold(addr string) string {
	if strings.HasPrefix(addr, ":") {
		return "127.0.0.1" + addr
	}
	return addr
}

// An OptionError says which option can't be.
type OptionError struct {
	Option string // the field of Options
	Reason string // what is wrong, and the remedy
	Err    error  // the cause, if there is an error behind it
}

func (e *OptionError) Error() string { return fmt.Sprintf("option %s: %s", e.Option, e.Reason) }

// Unwrap returns the cause.
func (e *OptionError) Unwrap() error { return e.Err }

func (o *Options) validate() error {
	bad := func(option, format string, args ...any) error {
		return &OptionError{Option: option, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case o.Name == "" || strings.ContainsAny(o.Name, "/\\"):
		return bad("Name", "%q: want a name without slashes", o.Name)
	case len(o.Name) > segment.NodeMax:
		return bad("Name", "it has %d bytes, the most is %d", len(o.Name), segment.NodeMax)
	case o.Service == "":
		return bad("Service", "it is missing: all nodes of a service have the same")
	case o.Dir == "":
		return bad("Dir", "it is missing: name the directory of the node's journal")
	case len(o.Registry) == 0:
		return bad("Registry", "it is empty: a node runs one machine at least")
	case o.ClockOffset != 0 && !o.AllowFaults:
		return bad("ClockOffset", "a wrong clock is a fault: allow faults, or set the machine's clock right")
	case o.HTTP != "" && o.Handler == nil:
		return bad("HTTP", "%s is to be listened on, but there is no Handler", o.HTTP)
	case o.Limits.negative() || o.Checkpoints < 0:
		return bad("Limits", "a limit is below 0: %+v", o.Limits)
	}
	if err := o.validateJournal(); err != nil {
		return err
	}
	for _, name := range o.peerNames() {
		if err := checkAddress(o.Peers[name]); err != nil {
			return &OptionError{Option: "Peers", Reason: fmt.Sprintf("%s=%s: %v: want %s=HOST:PORT", name, o.Peers[name], err, name), Err: err}
		}
	}
	for name, v := range o.Versions {
		if o.Registry[name][v] == nil {
			return bad("Versions", "machine %s has no version %d here", name, v)
		}
	}
	for _, t := range o.Tokens {
		if err := t.validate(); err != nil {
			return bad("Tokens", "%v", err)
		}
	}
	if o.Admin != "" && len(o.Tokens) == 0 && !isLoopback(o.Admin) {
		return bad("Admin", "%s can be reached from other machines: set a token, or listen on 127.0.0.1", o.Admin)
	}
	return nil
}

// validateJournal checks what the journal would refuse, before there is one.
func (o *Options) validateJournal() error {
	reason := ""
	option := "SegmentBytes"
	switch n := o.SegmentBytes; {
	case n != 0 && (n < journal.SegmentBytesMin || n > journal.SegmentBytesMax || n%segment.DataOffset != 0):
		reason = fmt.Sprintf("%d: want a multiple of %d in [%d, %d]", n, segment.DataOffset, journal.SegmentBytesMin, journal.SegmentBytesMax)
	case o.RetainBytes < 0:
		option, reason = "RetainBytes", fmt.Sprintf("%d is below 0: 0 keeps all", o.RetainBytes)
	case o.RetainAge < 0:
		option, reason = "RetainAge", fmt.Sprintf("%s is below 0: 0 keeps all", o.RetainAge)
	case o.Durability > journal.Each:
		option, reason = "Durability", fmt.Sprintf("%s: want process, group or each", o.Durability)
	default:
		return nil
	}
	return &OptionError{Option: option, Reason: reason}
}

func (l *Limits) negative() bool {
	return slices.Min([]int64{int64(l.InFlight), int64(l.Parts), int64(l.Peeks), int64(l.BacklogBytes),
		int64(l.RequestBytes), int64(l.HTTPConns), int64(l.AdminConns), int64(l.AdapterCalls), int64(l.AdapterTasks),
		l.CrashBoxBytes, int64(l.CrashBoxes), int64(l.Checkpoints), int64(l.DeliverWait), int64(l.HTTPRead),
		int64(l.HTTPWrite), int64(l.Drain)}) < 0
}

// isLoopback reports whether only this machine can reach an address. A name
// other than localhost may be anything.
func isLoopback(addr string) bool {
	_, _, err := net.SplitHostPort(addr)
	return err == nil && guard.Loopback(addr)
}

// A Token lets its bearer use the admin API.
type Token struct {
	Secret string
	Scopes []Scope // empty is all of them
}

// A Scope is a part of the admin API.
type Scope string

// The scopes.
const (
	ScopeStatus  Scope = "status"       // health, readiness, status
	ScopeJournal Scope = "journal:read" // journal, checkpoints, recording: inputs in clear
	ScopeControl Scope = "control"      // everything that changes something
)

// tokenBytesMin keeps people from setting a token that can be guessed.
const tokenBytesMin = 16

func (t Token) validate() error {
	if len(t.Secret) < tokenBytesMin {
		return fmt.Errorf("a token has %d bytes, want at least %d", len(t.Secret), tokenBytesMin)
	}
	for _, s := range t.Scopes {
		if s != ScopeStatus && s != ScopeJournal && s != ScopeControl {
			return fmt.Errorf("scope %q: want %s, %s or %s", s, ScopeStatus, ScopeJournal, ScopeControl)
		}
	}
	return nil
}

// ParseToken reads SECRET or SECRET=SCOPE,SCOPE.
func ParseToken(s string) (Token, error) {
	secret, scopes, ok := strings.Cut(s, "=")
	t := Token{Secret: secret}
	if ok {
		for _, name := range strings.Split(scopes, ",") {
			t.Scopes = append(t.Scopes, Scope(strings.TrimSpace(name)))
		}
	}
	if err := t.validate(); err != nil {
		return Token{}, err
	}
	return t, nil
}

func (o *Options) peerNames() []string { return slices.Sorted(maps.Keys(o.Peers)) }

// arch is what machines see as Arch.
const arch = runtime.GOARCH
