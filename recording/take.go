package recording

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/vfs"
)

// SnapshotOptions say how to take a snapshot. The zero value takes a whole one of
// the present.
type SnapshotOptions struct {
	Token string        // goes to nodes that want one
	At    hlc.Timestamp // the cut; 0 is now, by this machine's clock
	// Base is an earlier one in the same parent directory, to store only what came
	// since; nil stores all.
	Base *Recording
	// Renew, with Base, are the checkpoints that nodes begin with there: of one that has a
	// later checkpoint all is stored, so that it takes less to go on from.
	Renew map[string]uint64
	Tool  string // for the manifest
	// Partial takes the snapshot without the nodes that can't be reached or refuse, or
	// that others know and no address is given of: they stand in the manifest as
	// missing. Otherwise each of them is an error.
	Partial bool
	// Silent is how long a node may give no answer at all; 0 is SilentDefault.
	Silent time.Duration
	// Wait is how long a node that answers may take to find its cut; 0 is 10 minutes.
	Wait time.Duration
	// Waiting is told from time to time that the snapshot waits for a node, and how long
	// that has been silent. Many goroutines call it. May be nil.
	Waiting func(node string, silent time.Duration)
	// Progress is told how many bytes of each node came, by one goroutine at a time.
	// May be nil.
	Progress func(Progress)
	Client   *http.Client // nil is http.DefaultClient
}

const (
	snapshotWait = 10 * time.Minute
	partSuffix   = ".part"
	partLock     = "lock"
	partTries    = 50 // to make it, while others clean up
	partWait     = 2 * time.Millisecond
)

// TakeSnapshot writes the state of all nodes at one consistent cut into the
// recording dir, which must not be there: no node is stopped for it. An address is
// HOST:PORT, a URL, or NAME=either. dir appears when all is in it and durable; what
// a crash left half-done is removed by the next snapshot beside it.
//
// Nothing is written if a node can't be reached or refuses, or is a peer of another one
// and not among addrs, an *IncompleteError; with o.Partial if all do.
func TakeSnapshot(ctx context.Context, fsys vfs.FS, dir string, addrs []string, o SnapshotOptions) (*Recording, error) {
	if len(addrs) == 0 {
		return nil, errors.New("snapshot: no address of a node's admin API is given: want HOST:PORT,…")
	}
	if _, err := fsys.Stat(dir); err == nil {
		return nil, fmt.Errorf("snapshot: %s is there already: choose a directory that isn't", dir)
	}
	if o.At == 0 {
		o.At = hlc.FromTime(time.Now())
	}
	o.Wait, o.Silent = cmp.Or(o.Wait, snapshotWait), cmp.Or(o.Silent, SilentDefault)
	parent := path.Dir(dir)
	if err := vfs.MkdirSync(fsys, parent); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	if err := removeParts(fsys, parent); err != nil {
		return nil, fmt.Errorf("snapshot: cleaning up after an earlier one: %w", err)
	}
	part := path.Join(parent, hiddenPrefix+path.Base(dir)+partSuffix)
	lock, err := makePart(ctx, fsys, part)
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("snapshot: another process writes %s: %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	defer lock.Close()
	t := &taker{fs: fsys, o: o, dir: part, done: map[string]int64{}}
	if err := t.take(ctx, addrs); err != nil {
		return nil, errors.Join(fmt.Errorf("snapshot: %w", err), vfs.RemoveAll(fsys, part))
	}
	err = errors.Join(removeIfThere(fsys, path.Join(part, partLock)), fsys.SyncDir(part))
	if err == nil {
		err = fsys.Rename(part, dir)
	}
	if err := errors.Join(err, fsys.SyncDir(parent)); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	return Open(fsys, dir)
}

func removeIfThere(fsys vfs.FS, name string) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// makePart makes the directory that a snapshot is written in, and locks it. Between the
// two another one beside it may take it for a crash's and remove it.
func makePart(ctx context.Context, fsys vfs.FS, part string) (lock io.Closer, err error) {
	name := path.Join(part, partLock)
	for range partTries {
		if err := vfs.MkdirSync(fsys, part); err != nil {
			return nil, err
		}
		lock, err = fsys.Lock(name)
		if errors.Is(err, errors.ErrUnsupported) {
			return io.NopCloser(nil), nil
		}
		if err == nil {
			if _, err = fsys.Stat(name); err == nil {
				return lock, nil
			}
			err = errors.Join(err, lock.Close()) // it was removed before it was locked
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, vfs.ErrLocked) {
			return nil, err
		}
		select {
		case <-time.After(partWait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, err
}

// removeParts removes what snapshots that didn't end have left. One whose lock is
// held is being written. Without locks nobody knows, and nothing is removed.
func removeParts(fsys vfs.FS, parent string) error {
	names, err := fsys.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, n := range names {
		if !strings.HasPrefix(n, hiddenPrefix) || !strings.HasSuffix(n, partSuffix) {
			continue
		}
		dir := path.Join(parent, n)
		lock, err := fsys.Lock(path.Join(dir, partLock))
		if errors.Is(err, vfs.ErrLocked) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = errors.Join(vfs.RemoveAll(fsys, dir), lock.Close())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A taker takes one snapshot.
type taker struct {
	fs  vfs.FS
	o   SnapshotOptions
	dir string
	rec *Recording

	mu   sync.Mutex // guards done
	done map[string]int64
}

func (t *taker) take(ctx context.Context, addrs []string) error {
	parts := t.cuts(ctx, addrs)
	release := sync.OnceFunc(func() { t.release(parts) })
	defer release()
	if err := ctx.Err(); err != nil {
		return err
	}
	parts = append(parts, unasked(parts)...)
	service, err := t.service(parts)
	if err == nil {
		err = cmp.Or(t.incomplete(parts), t.before(parts))
	}
	if err != nil {
		return err
	}
	m := Manifest{Service: service, Tool: t.o.Tool, Origin: SnapshotOrigin, Snapshot: &Snapshot{Time: t.o.At}}
	if t.o.Base != nil {
		m.Snapshot.Base = strings.TrimPrefix(path.Base(t.o.Base.dir), hiddenPrefix)
	}
	if t.rec, err = Create(t.fs, t.dir, m); err != nil {
		return err
	}
	arrivals := map[string]Arrivals{}
	for _, p := range parts {
		if p.err == nil {
			arrivals[p.ans.Node] = p.ans.Arrivals
		}
	}
	each(parts, func(p *part) {
		if p.err == nil {
			p.err = p.watch.during(ctx, func(ctx context.Context) error { return t.fetch(ctx, p, arrivals) })
		}
	})
	if err := cmp.Or(ctx.Err(), t.incomplete(parts)); err != nil {
		return err
	}
	var released sync.WaitGroup
	released.Go(release) // while the disk syncs
	defer released.Wait()
	return t.finish(parts)
}

// each calls f for every part, some at once.
func each(parts []*part, f func(*part)) {
	slots := make(chan struct{}, pullsMax)
	var wg sync.WaitGroup
	for _, p := range parts {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			f(p)
		})
	}
	wg.Wait()
}

// fetch gets a node's part: at once its events and what it had under way.
func (t *taker) fetch(ctx context.Context, p *part, arrivals map[string]Arrivals) error {
	others := map[string]Arrivals{}
	for name, a := range arrivals {
		if name != p.ans.Node {
			others[name] = a
		}
	}
	if err := vfs.MkdirSync(t.fs, t.rec.NodeDir(p.ans.Node)); err != nil {
		return err
	}
	var under Cut
	flights := make(chan error, 1)
	go func() { flights <- t.flights(ctx, p, others, &under) }()
	cut := p.ans.Cut
	err := t.past(ctx, p, &cut)
	if err := cmp.Or(<-flights, err); err != nil {
		return err
	}
	cut.InFlight, cut.CRC = under.InFlight, under.CRC
	p.node.Cut = &cut
	return nil
}

// past gets a node's events up to a cut, behind the base's if there is one.
func (t *taker) past(ctx context.Context, p *part, cut *Cut) error {
	base := t.base(p)
	if base != nil {
		whole := cut.From
		cut.After, cut.From = base.Seq, 0
		err := t.events(ctx, p, cut, base.stamp())
		if err == nil || !errors.Is(err, errNotFollowing) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		cut.After, cut.From = 0, whole
		if err := vfs.RemoveAll(t.fs, t.rec.JournalDir(p.ans.Node)); err != nil {
			return err
		}
	}
	before := record.Stamp{}
	if cut.From > 0 {
		h, err := t.checkpoint(ctx, p, cut.From)
		if err != nil {
			return err
		}
		before = record.Stamp{Seq: h.Seq, Time: h.Time, Physical: h.Physical, Chain: h.Chain, Boot: h.Boot}
	}
	return t.events(ctx, p, cut, before)
}

// base is the node's cut in the base, if this one may follow it.
func (t *taker) base(p *part) *Cut {
	if t.o.Base == nil {
		return nil
	}
	n, _ := t.o.Base.manifest.Node(p.ans.Node)
	if from, ok := t.o.Renew[p.ans.Node]; ok && p.ans.Cut.From > from {
		return nil
	}
	if n.Cut == nil || n.Missing != "" || n.Cut.Seq == 0 || n.Cut.Seq > p.ans.Cut.Seq || n.Cut.Time > p.ans.Cut.Time {
		return nil
	}
	return n.Cut
}

// stamp is that of the cut's last event.
func (c *Cut) stamp() record.Stamp {
	return record.Stamp{Seq: c.Seq, Time: c.Time, Physical: c.Physical, Chain: c.Chain, Boot: c.Boot}
}

func (t *taker) flights(ctx context.Context, p *part, others map[string]Arrivals, cut *Cut) error {
	ctx, cancel := context.WithTimeout(ctx, t.o.Wait)
	defer cancel()
	var ans FlightsAnswer
	if err := p.api.post(ctx, "snapshot/"+p.ans.ID+"/inflight", FlightsRequest{others}, &ans); err != nil {
		return err
	}
	if len(ans.Messages) == 0 {
		return nil
	}
	b, crc, err := encodeFlights(ans.Messages)
	if err == nil {
		_, err = decodeFlights(b)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.api.base, err)
	}
	cut.InFlight, cut.CRC = len(ans.Messages), crc
	return vfs.WriteFile(t.fs, path.Join(t.rec.NodeDir(p.ans.Node), inflightName), b)
}

// checkpoint copies a checkpoint and checks it, without having all of it in memory.
func (t *taker) checkpoint(ctx context.Context, p *part, seq uint64) (h checkpoint.Header, err error) {
	in, _, err := p.api.open(ctx, CheckpointsName, checkpoint.Name(seq), 0)
	if err != nil {
		return h, err
	}
	defer in.Close()
	dir := t.rec.CheckpointsDir(p.ans.Node)
	if err := vfs.MkdirSync(t.fs, dir); err != nil {
		return h, err
	}
	f, err := t.fs.Create(path.Join(dir, checkpoint.Name(seq)))
	if err != nil {
		return h, err
	}
	h, err = checkpoint.Copy(io.NewOffsetWriter(f, 0), &counted{in, func(n int) { p.watch.hear(); t.progress(p.ans.Node, n) }})
	if err == nil && (h.Seq != seq || h.Node != p.ans.Node) {
		err = fmt.Errorf("it is of event %d of node %s", h.Seq, h.Node)
	}
	if err != nil {
		return h, errors.Join(fmt.Errorf("%scheckpoints/%s: %w", p.api.base, checkpoint.Name(seq), err), f.Close())
	}
	return h, errors.Join(f.Sync(), f.Close(), t.fs.SyncDir(dir))
}

type counted struct {
	r     io.Reader
	count func(n int)
}

// Read implements io.Reader.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.count(n)
	return n, err
}

func (t *taker) progress(node string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done[node] += int64(n)
	if t.o.Progress != nil {
		t.o.Progress(Progress{Node: node, Done: t.done[node]})
	}
}

// errNotFollowing says that a node's events aren't those that follow the base.
var errNotFollowing = errors.New("its events don't go on from what is here")

// events writes the journal of a node's part, which follows before.
func (t *taker) events(ctx context.Context, p *part, cut *Cut, before record.Stamp) error {
	durability, err := journal.ParseDurability(p.ans.Durability)
	if err != nil {
		return fmt.Errorf("%s: %w", p.api.base, err)
	}
	s, err := journal.NewSeeder(journal.SeedOptions{FS: t.fs, Dir: t.rec.JournalDir(p.ans.Node), Node: p.ans.Node,
		Boot: cut.Boot, Before: before, Durability: durability})
	if err != nil {
		return err
	}
	if cut.Seq > before.Seq {
		if err := t.stream(ctx, p, s, before); err != nil {
			return fmt.Errorf("%ssnapshot/%s: %w", p.api.base, p.ans.ID, err)
		}
	}
	if last := s.Last(); last.Seq != cut.Seq || last.Time != cut.Time {
		return fmt.Errorf("%ssnapshot/%s: the events end with %d (%v), the cut is at %d (%v)", p.api.base, p.ans.ID, last.Seq, last.Time, cut.Seq, cut.Time)
	}
	return s.Close()
}

func (t *taker) stream(ctx context.Context, p *part, s *journal.Seeder, before record.Stamp) error {
	resp, err := p.api.request(ctx, fmt.Sprintf("snapshot/%s?after=%d", p.ans.ID, before.Seq), 0)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var d record.Decoder
	var buf []byte
	chunk := make([]byte, copyBuffer)
	for first := true; ; {
		n, rerr := resp.Body.Read(chunk)
		p.watch.hear()
		t.progress(p.ans.Node, n)
		buf = append(buf, chunk[:n]...)
		at := 0
		for at < len(buf) {
			f, st, n, err := ReadEvent(&d, buf[at:])
			if errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			if err == nil && first && (st.Chain != before.Chain || st.Seq != before.Seq+1) {
				err = errNotFollowing
			}
			if err == nil {
				err = s.Stamped(&f, st)
			}
			if err != nil {
				return err
			}
			at, first = at+n, false
		}
		buf = append(buf[:0], buf[at:]...)
		switch {
		case errors.Is(rerr, io.EOF) && len(buf) == 0:
			return nil
		case errors.Is(rerr, io.EOF):
			return io.ErrUnexpectedEOF
		case rerr != nil:
			return rerr
		}
	}
}

// finish writes the manifest, and takes back what came of nodes that are missing.
func (t *taker) finish(parts []*part) error {
	differs := false
	for _, p := range parts {
		differs = differs || p.err == nil && p.node.Cut.After > 0
		if p.err != nil {
			p.node.Missing, p.node.Cut = p.err.Error(), nil
			if err := vfs.RemoveAll(t.fs, t.rec.NodeDir(p.node.Name)); err != nil {
				return err
			}
		}
		t.rec.AddNode(p.node)
	}
	if !differs {
		t.rec.manifest.Snapshot.Base = "" // it needs none
	}
	for _, dir := range []string{path.Join(t.dir, nodesName), t.dir} {
		if err := t.fs.SyncDir(dir); err != nil {
			return err
		}
	}
	return t.rec.Save()
}

// Incomplete returns what a snapshot lacks, in sentences.
func (r *Recording) Incomplete() (lacks []string) {
	for _, n := range r.manifest.Nodes {
		if n.Missing != "" {
			lacks = append(lacks, fmt.Sprintf("node %s is missing: %s", n.Name, n.Missing))
		}
	}
	slices.Sort(lacks)
	return lacks
}

// post sends a request in JSON and reads the answer.
func (a *adminAPI) post(ctx context.Context, what string, in, out any) error {
	return a.do(ctx, http.MethodPost, what, in, out)
}

func (a *adminAPI) do(ctx context.Context, method, what string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+what, body)
	if err != nil {
		return err
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return a.refusal(what, resp)
	}
	if out == nil {
		return nil
	}
	return a.decode(what, resp.Body, inflightMax, out)
}
