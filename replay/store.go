package replay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/recording"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// Names in and beside a History's directory. No build's History has a name with
// a tilde: it would be escaped.
const (
	originName   = "replay.json"
	lockName     = "~lock"
	newName      = "~new"
	unknownName  = "unknown" // build's name where it has none
	walkedSuffix = "~walked" // of a History that has what is in bulky variables
)

// originMax bounds replay.json, in bytes.
const originMax = 16 << 20

// An origin says what a History in a recording was made of, and how: it is made
// again when one of these has changed.
type origin struct {
	Format     int               `json:"format"`
	Build      string            `json:"build"`
	Walk       []string          `json:"walk,omitempty"`
	Nodes      []originNode      `json:"nodes"`
	Operations map[string]uint64 `json:"operations,omitempty"` // file → checksum
	Problems   []originProblem   `json:"problems,omitempty"`   // met while it was made
	Warnings   []string          `json:"warnings,omitempty"`
}

// An originNode is how much of a node there was.
type originNode struct {
	Name        string          `json:"name"`
	First       uint64          `json:"first,omitempty"`
	Last        uint64          `json:"last,omitempty"`
	Time        hlc.Timestamp   `json:"time,omitempty"`     // of the last event
	Chain       uint64          `json:"chain,omitempty"`    // in its stamp
	Segments    uint64          `json:"segments,omitempty"` // recording.Extent's
	Checkpoints []uint64        `json:"checkpoints,omitempty"`
	Missing     string          `json:"missing,omitempty"`
	Gaps        []recording.Gap `json:"gaps,omitempty"`
	Skips       uint64          `json:"skips,omitempty"` // checksum of skip.json
	Cut         *recording.Cut  `json:"cut,omitempty"`   // of a snapshot
}

// An originProblem keeps a Problem for those who reuse the History. Of its type
// only a divergence is kept.
type originProblem struct {
	Node       string                   `json:"node"`
	Seq        uint64                   `json:"seq,omitempty"`
	Divergence *stepper.DivergenceError `json:"divergence,omitempty"`
	Text       string                   `json:"text"`
}

func problemOf(p Problem) originProblem {
	o := originProblem{Node: p.Node, Seq: p.Seq, Text: p.Err.Error()}
	errors.As(p.Err, &o.Divergence)
	return o
}

func (o *originProblem) err() error {
	if o.Divergence != nil {
		return o.Divergence
	}
	return errors.New(o.Text)
}

// originFormat is the version of replay.json, and of what replay makes of an
// event: raised when either changes.
const originFormat = 2

// originOf looks at what a recording holds now.
func originOf(rec *recording.Recording, in *input, o Options) (origin, error) {
	g := origin{Format: originFormat, Build: o.Build, Walk: slices.Sorted(slices.Values(o.Walk))}
	for _, n := range rec.Manifest().Nodes {
		node := originNode{Name: n.Name, Missing: n.Missing, Gaps: n.Gaps, Cut: n.Cut}
		if slices.ContainsFunc(in.journals, func(j Journal) bool { return j.Node == n.Name }) {
			if err := node.look(rec, n.Name); err != nil {
				return g, err
			}
		}
		g.Nodes = append(g.Nodes, node)
	}
	for _, file := range in.operations {
		sum, err := checksum(rec.FS(), file)
		if err != nil {
			return g, err
		}
		if g.Operations == nil {
			g.Operations = map[string]uint64{}
		}
		g.Operations[path.Base(file)] = sum
	}
	return g, nil
}

func (n *originNode) look(rec *recording.Recording, name string) error {
	dir := rec.JournalDir(name)
	e, err := recording.JournalExtent(rec.FS(), dir)
	if err != nil {
		return err
	}
	n.First, n.Last, n.Time, n.Chain, n.Segments = e.First, e.Last.Seq, e.Last.Time, e.Last.Chain, e.Segments
	if n.Checkpoints, err = checkpoint.List(rec.FS(), rec.CheckpointsDir(name)); err != nil {
		return err
	}
	n.Skips, err = checksum(rec.FS(), path.Join(dir, "skip.json"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// checksum is an FNV-1a hash of a file's content.
func checksum(fsys vfs.FS, file string) (uint64, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	h := uint64(14695981039346656037)
	r := io.NewSectionReader(f, 0, 1<<62)
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		for _, c := range buf[:n] {
			h = (h ^ uint64(c)) * 1099511628211
		}
		if err == io.EOF {
			return h, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// sameAs reports whether a History of origin g is what would be made of want.
func (g origin) sameAs(want origin) bool {
	g.Problems, g.Warnings, want.Problems, want.Warnings = nil, nil, nil, nil
	a, err1 := json.Marshal(g)
	b, err2 := json.Marshal(want)
	return err1 == nil && err2 == nil && reflect.DeepEqual(a, b)
}

// walked reports whether what is asked to be walked was.
func (g origin) walked(variables []string) bool {
	return !slices.ContainsFunc(variables, func(v string) bool { return !slices.Contains(g.Walk, v) })
}

func readOrigin(fsys vfs.FS, dir string) (origin, error) {
	var g origin
	b, err := vfs.ReadFile(fsys, path.Join(dir, originName), originMax)
	if err != nil {
		return g, err
	}
	if err := json.Unmarshal(b, &g); err != nil {
		return g, fmt.Errorf("%s: %w", path.Join(dir, originName), err)
	}
	return g, nil
}

// results gives back what is known of each node's replay when the History was
// made; counts of events are not.
func (g *origin) results() []Result {
	byNode := map[string]*Result{}
	out := make([]Result, 0, len(g.Nodes))
	for _, n := range g.Nodes {
		if n.Missing == "" {
			out = append(out, Result{Node: n.Name, First: n.First, Last: n.Last})
		}
	}
	for i := range out {
		byNode[out[i].Node] = &out[i]
	}
	for _, p := range g.Problems {
		if r := byNode[p.Node]; r != nil {
			r.Problems = append(r.Problems, Problem{Node: p.Node, Seq: p.Seq, Err: p.err()})
		}
	}
	return out
}

// onDisk reuses or makes the History of this build in the recording.
func (in *input) onDisk(ctx context.Context, rec *recording.Recording, o Options) (*Replayed, error) {
	dir := rec.HistoryDir(cmp.Or(o.Build, unknownName))
	if len(o.Walk) > 0 {
		dir += walkedSuffix
		o.Walk = union(o.Walk, walkedIn(in.fs, dir))
	}
	want, err := originOf(rec, in, o)
	if err == nil && o.Build != "" && !o.Again {
		if r, ok := reuse(in.fs, dir, func(have origin) bool { return have.sameAs(want) }); ok {
			return r, nil
		}
	}
	lock, err2 := lockHistories(in.fs, rec)
	if err2 != nil {
		return nil, err2
	}
	defer lock.Close()
	out, err2 := in.make(ctx, rec, dir, want, err == nil, o)
	if err2 != nil {
		return nil, err2
	}
	src, err := history.OpenDisk(in.fs, dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	out.Source, out.Dir = src, dir
	return out, nil
}

// walkedIn returns what is walked in the History in dir: it stays so when that
// is made anew.
func walkedIn(fsys vfs.FS, dir string) []string {
	have, err := readOrigin(fsys, dir)
	if err != nil {
		return nil // there is none
	}
	return have.Walk
}

// union returns the names in a or b, sorted.
func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// reuse opens the History in dir if accept takes its origin.
func reuse(fsys vfs.FS, dir string, accept func(origin) bool) (*Replayed, bool) {
	have, err := readOrigin(fsys, dir)
	if err != nil || have.Format != originFormat || !accept(have) {
		return nil, false
	}
	src, err := history.OpenDisk(fsys, dir)
	if err != nil {
		return nil, false // it is made anew
	}
	return &Replayed{Source: src, Dir: dir, Reused: true, Results: have.results(), Warnings: have.Warnings}, true
}

func lockHistories(fsys vfs.FS, rec *recording.Recording) (io.Closer, error) {
	if err := vfs.MkdirSync(fsys, rec.HistoriesDir()); err != nil {
		return nil, fmt.Errorf("replay into %s: %w", rec.Dir(), err)
	}
	lock, err := fsys.Lock(path.Join(rec.HistoriesDir(), lockName))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("%s is being replayed by another process: wait until that is done, then try again: %w", rec.Dir(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("replay into %s: %w", rec.Dir(), err)
	}
	return lock, nil
}

// make writes the History beside its place and moves it there when it is whole.
// The caller has the lock.
func (in *input) make(ctx context.Context, rec *recording.Recording, dir string, g origin, known bool, o Options) (*Replayed, error) {
	o.begin()
	temp := path.Join(rec.HistoriesDir(), newName)
	if err := removeTree(in.fs, temp); err != nil {
		return nil, err
	}
	w, err := history.CreateDisk(in.fs, temp, history.DiskOptions{})
	if err != nil {
		return nil, err
	}
	out, err := in.write(ctx, w, o)
	if err != nil {
		return nil, errors.Join(err, w.Discard())
	}
	if err := w.Finish(); err != nil {
		return nil, err
	}
	if known {
		g.note(out)
		b, err := json.MarshalIndent(g, "", "  ")
		if err != nil {
			return nil, err
		}
		if err := vfs.WriteFile(in.fs, path.Join(temp, originName), append(b, '\n')); err != nil {
			return nil, err
		}
	}
	if err := removeTree(in.fs, dir); err != nil {
		return nil, err
	}
	if err := in.fs.Rename(temp, dir); err != nil {
		return nil, err
	}
	return out, in.fs.SyncDir(rec.HistoriesDir())
}

// note keeps what was met.
func (g *origin) note(r *Replayed) {
	g.Warnings = r.Warnings
	for _, res := range r.Results {
		for _, p := range res.Problems {
			g.Problems = append(g.Problems, problemOf(p))
		}
	}
}

// removeTree removes a directory of files, if it is there.
func removeTree(fsys vfs.FS, dir string) error {
	// This removes a link itself: listing it would show, and then remove, what a
	// stranger's recording points to outside of it.
	if err := fsys.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		// A History has no directories in it; what else there is isn't ours.
		if err := fsys.Remove(path.Join(dir, n)); err != nil {
			return fmt.Errorf("%s is in the way of a History: %w", dir, err)
		}
	}
	return fsys.Remove(dir)
}

// findHistory looks for a History in the recording that the recorded build made
// of what is there now, with these variables walked. stale says of which builds there are some that don't qualify
// for another reason than that.
func findHistory(rec *recording.Recording, in *input, walk []string) (r *Replayed, stale []string) {
	builds := rec.Manifest().Builds()
	names, err := rec.FS().ReadDir(rec.HistoriesDir())
	if err != nil {
		return nil, nil
	}
	for _, n := range names {
		build, ok := recording.Unescape(strings.TrimSuffix(n, walkedSuffix))
		if !ok || strings.HasPrefix(n, "~") {
			continue
		}
		dir := path.Join(rec.HistoriesDir(), n)
		sound := false
		r, ok := reuse(rec.FS(), dir, func(have origin) bool {
			want, err := originOf(rec, in, Options{Build: have.Build, Walk: have.Walk})
			sound = err == nil && have.sameAs(want) && len(builds) == 1 && builds[0] == have.Build
			return sound && have.walked(walk)
		})
		if ok {
			return r, nil
		}
		if !sound {
			stale = union(stale, []string{build})
		}
	}
	return nil, stale
}
