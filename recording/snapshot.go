package recording

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/vfs"
)

// SnapshotOrigin is the Origin of a snapshot's manifest.
const SnapshotOrigin = "snapshot"

// inflightName is the file of a node's messages under way.
const inflightName = "inflight.jsonl"

// inflightMax bounds that file, in bytes.
const inflightMax = 1 << 30

// A Snapshot is what a manifest says of a snapshot as a whole.
type Snapshot struct {
	Time hlc.Timestamp `json:"time"`           // of the cut
	Base string        `json:"base,omitempty"` // the name of the snapshot that this is a difference to
}

// A Cut is where a snapshot cuts through the events of one node.
type Cut struct {
	Seq      uint64        `json:"seq"`                  // the last event in it, 0 if there is none
	Time     hlc.Timestamp `json:"time"`                 // of that event, like the next two
	Physical hlc.Timestamp `json:"physical"`             // the node's own clock
	Chain    uint64        `json:"chain,string"`         // the digest chain after it
	Boot     uint64        `json:"boot"`                 // that stamped it
	After    uint64        `json:"after,omitempty"`      // of a difference: the base's Seq
	From     uint64        `json:"checkpoint,omitempty"` // the checkpoint that the journal goes on from, 0 for none
	InFlight int           `json:"inflight,omitempty"`   // messages sent by the node that are under way
	CRC      string        `json:"crc,omitempty"`        // of their file, in hexadecimal
}

// A Flight is a message under way: sent in a cut, and neither received in it nor
// known to be lost.
type Flight struct {
	To      string        `json:"to"`      // the node
	Machine string        `json:"machine"` // there
	From    string        `json:"from,omitempty"`
	Name    string        `json:"name,omitempty"`
	Version uint32        `json:"version,omitempty"`
	ID      string        `json:"id"`
	Sent    hlc.Timestamp `json:"sent"`
	Payload []byte        `json:"payload,omitempty"`
	Baggage []byte        `json:"baggage,omitempty"`
}

// FlightOf is the message to a node that a frame carries.
func FlightOf(to string, f *record.Frame) Flight {
	return Flight{To: to, Machine: f.Machine, From: f.From, Name: f.Name, Version: f.Version, ID: f.ID.String(), Sent: f.Sent,
		Payload: f.Payload, Baggage: f.Baggage}
}

// Frame is the message as it comes to its receiver. The error says what is wrong
// with a field.
func (f *Flight) Frame() (record.Frame, error) {
	id, err := event.ParseMessageID(f.ID)
	r := record.Frame{Kind: event.Message, Machine: f.Machine, From: f.From, Name: f.Name, Version: f.Version, ID: id, Sent: f.Sent,
		Baggage: f.Baggage, Payload: f.Payload}
	if err == nil {
		err = r.Check()
	}
	if err == nil && (f.To == "" || id.Node == "" || id.Node == f.To) {
		err = fmt.Errorf("from node %q to node %q", id.Node, f.To)
	}
	if err != nil {
		return r, fmt.Errorf("message %s under way: %w", f.ID, err)
	}
	return r, nil
}

// Arrivals say which messages a node has taken in by a cut, so that their senders
// know which are under way.
type Arrivals struct {
	// Ordered are its machines that take each sender's messages in order.
	Ordered []string `json:"ordered,omitempty"`
	// Last is the last message that an ordered machine has taken in from a node.
	Last []Arrival `json:"last,omitempty"`
	// Others are messages that came to another machine or weren't handled.
	Others []string `json:"others,omitempty"`
}

// An Arrival is a message of a node to a machine here.
type Arrival struct {
	Machine string `json:"machine"`
	ID      string `json:"id"`
}

// encodeFlights returns the content of the file, and its CRC.
func encodeFlights(flights []Flight) (b []byte, crc string, err error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	for i := range flights {
		if err := enc.Encode(&flights[i]); err != nil {
			return nil, "", err
		}
	}
	return buf.Bytes(), fmt.Sprintf("%08x", record.CRC(0, buf.Bytes())), nil
}

// decodeFlights reads what encodeFlights wrote; each has a sound Frame.
func decodeFlights(b []byte) ([]Flight, error) {
	var out []Flight
	sc := bufio.NewScanner(bytes.NewReader(b))
	sc.Buffer(nil, 4*record.MaxFrame)
	for line := 1; sc.Scan(); line++ {
		var f Flight
		if err := json.Unmarshal(sc.Bytes(), &f); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if _, err := f.Frame(); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		out = append(out, f)
	}
	return out, sc.Err()
}

// InFlight reads the messages that a node of a snapshot had under way.
func (r *Recording) InFlight(node string) ([]Flight, error) {
	n, _ := r.manifest.Node(node)
	if n.Cut == nil || n.Cut.InFlight == 0 {
		return nil, nil
	}
	file := path.Join(r.NodeDir(node), inflightName)
	b, err := vfs.ReadFile(r.fs, file, inflightMax)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	if got := fmt.Sprintf("%08x", record.CRC(0, b)); got != n.Cut.CRC {
		return nil, fmt.Errorf("%s: its CRC is %s and should be %s: it is damaged, take another snapshot", file, got, n.Cut.CRC)
	}
	out, err := decodeFlights(b)
	if err == nil && len(out) != n.Cut.InFlight {
		err = fmt.Errorf("it has %d messages and should have %d", len(out), n.Cut.InFlight)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return out, nil
}

// ChainMax bounds how many differences lie between a snapshot and the whole one
// that it is based on.
const ChainMax = 10_000

// Chain returns the snapshots that r's state is made of: the whole one first, r
// last. Only r, if it is whole.
func (r *Recording) Chain() ([]*Recording, error) {
	chain := []*Recording{r}
	for {
		first := chain[0]
		s := first.manifest.Snapshot
		if s == nil || s.Base == "" {
			return chain, nil
		}
		base, err := openBase(first.fs, path.Dir(first.dir), s.Base)
		if err != nil {
			return nil, fmt.Errorf("%s is stored as a difference: %w", first.dir, err)
		}
		if b := base.manifest.Snapshot; b == nil || b.Time >= s.Time || len(chain) >= ChainMax {
			return nil, fmt.Errorf("%s is stored as a difference to %s, which isn't an earlier snapshot", first.dir, base.dir)
		}
		chain = append([]*Recording{base}, chain...)
	}
}

// hiddenPrefix begins the name of a snapshot that is kept for others only.
const hiddenPrefix = "~"

func openBase(fsys vfs.FS, dir, name string) (*Recording, error) {
	if name != path.Base(name) || strings.HasPrefix(name, ".") {
		return nil, fmt.Errorf("the name %q of what it is based on isn't that of a directory beside it", name)
	}
	base, err := Open(fsys, path.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		hidden, err2 := Open(fsys, path.Join(dir, hiddenPrefix+name))
		if err2 == nil || !errors.Is(err2, fs.ErrNotExist) {
			return hidden, err2
		}
	}
	return base, err
}

// A Past is what the state of a node at a cut is made of.
type Past struct {
	Node Node
	// Checkpoint is the file to begin with, "" to begin with nothing.
	Checkpoint string
	// Journals are directories, of which each goes on where the one before ends, up to
	// the cut.
	Journals []string
	fs       vfs.FS
}

// Past says what the state of a node of a snapshot is made of; the node isn't
// missing.
func (r *Recording) Past(node string) (*Past, error) {
	n, ok := r.manifest.Node(node)
	if !ok || n.Cut == nil {
		return nil, fmt.Errorf("%s is no snapshot of node %s", r.dir, node)
	}
	chain, err := r.Chain()
	if err != nil {
		return nil, err
	}
	p := &Past{Node: n, fs: r.fs}
	next := n.Cut
	for i := len(chain) - 1; i >= 0; i-- {
		at, _ := chain[i].manifest.Node(node)
		if at.Cut == nil || i < len(chain)-1 && at.Cut.Seq != next.After {
			return nil, fmt.Errorf("%s: of node %s it doesn't end where %s goes on", chain[i].dir, node, r.dir)
		}
		next = at.Cut
		p.Journals = append([]string{chain[i].JournalDir(node)}, p.Journals...)
		if next.After != 0 {
			continue
		}
		if next.From != 0 {
			p.Checkpoint = path.Join(chain[i].CheckpointsDir(node), checkpoint.Name(next.From))
		}
		return p, nil
	}
	return nil, fmt.Errorf("%s: of node %s there is no beginning", chain[0].dir, node)
}

// Begin reads the checkpoint; h.Seq is 0 if there is none.
func (p *Past) Begin() (h checkpoint.Header, body []byte, err error) {
	if p.Checkpoint == "" {
		return h, nil, nil
	}
	h, body, err = checkpoint.Read(p.fs, p.Checkpoint)
	if err == nil && h.Node != p.Node.Name {
		err = fmt.Errorf("%s is of node %s, not %s", p.Checkpoint, h.Node, p.Node.Name)
	}
	return h, body, err
}

// Each calls take with every event from the checkpoint's on up to the cut.
func (p *Past) Each(after uint64, take func(*journal.Entry) error) error {
	last := after
	for _, dir := range p.Journals {
		if err := eachIn(p.fs, dir, &last, take); err != nil {
			return err
		}
	}
	if last != p.Node.Cut.Seq {
		return fmt.Errorf("node %s: the snapshot's events end with %d, and its cut is at %d: it is damaged, take another one", p.Node.Name, last, p.Node.Cut.Seq)
	}
	return nil
}

func eachIn(fsys vfs.FS, dir string, last *uint64, take func(*journal.Entry) error) error {
	rd, err := journal.OpenReader(fsys, dir, 0)
	if err != nil {
		return err
	}
	defer rd.Close()
	for {
		e, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && e.Stamp.Seq != *last+1 {
			err = fmt.Errorf("%s: event %d follows event %d", dir, e.Stamp.Seq, *last)
		}
		if err == nil {
			*last = e.Stamp.Seq
			err = take(&e)
		}
		if err != nil {
			return err
		}
	}
}

// FlightWindow is how long before a cut a message may have been sent that is
// looked for among those under way. Its sender gives up one that doesn't arrive
// long before.
const FlightWindow = 10 * time.Second

// A CutRequest is the body of POST /v1/snapshot.
type CutRequest struct {
	Time hlc.Timestamp `json:"time"` // 0 is the node's present
}

// A CutAnswer is what a node says of its part of a snapshot.
type CutAnswer struct {
	Info
	ID  string `json:"id"` // names it to the other requests, for a minute after the last one
	Cut Cut    `json:"cut"`
	// Peers are the other nodes that it knows.
	Peers []string `json:"peers,omitempty"`
	// Begins is when the node's first event was, if the cut is before it.
	Begins hlc.Timestamp `json:"begins,omitempty"`
	// Since is from when on what the node sent is known, 0 if from the beginning.
	Since    hlc.Timestamp `json:"since,omitempty"`
	Arrivals Arrivals      `json:"arrivals"`
}

// A FlightsRequest is the body of POST /v1/snapshot/ID/inflight: what other nodes
// have received by the same cut.
type FlightsRequest struct {
	Arrivals map[string]Arrivals `json:"arrivals"`
}

// A FlightsAnswer is the answer to it.
type FlightsAnswer struct {
	Messages []Flight `json:"messages"`
}

// AppendEvent appends a stamped frame as a cut's events are sent.
func AppendEvent(b []byte, f *record.Frame, s record.Stamp) []byte {
	at := len(b)
	b = record.AppendWire(b, f)
	s.Write(b[at:], 0, 0)
	return b
}

// ReadEvent takes the first event off what AppendEvent wrote; io.ErrUnexpectedEOF
// if it isn't all there.
func ReadEvent(d *record.Decoder, b []byte) (f record.Frame, s record.Stamp, n int, err error) {
	// The checksum doesn't cover the stamp, so the frame reads as one of the wire.
	f, n, err = d.DecodeWire(b)
	if errors.Is(err, record.ErrShort) {
		return f, s, 0, io.ErrUnexpectedEOF
	}
	if err != nil {
		return f, s, 0, err
	}
	s, ok := record.ReadStamp(b[:n], 0, 0)
	if !ok {
		return f, s, 0, fmt.Errorf("%w: its stamp is not valid", record.ErrCorrupt)
	}
	return f, s, n, nil
}
