package bank

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hindcast.dev/app"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/node"
	"hindcast.dev/recording"
	"hindcast.dev/replay"
	"hindcast.dev/rql"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// snapshots is how many the test of conservation takes.
var snapshots = flag.Int("snapshots", 8, "how many snapshots are taken while money is moved")

func TestMain(m *testing.M) {
	if os.Getenv(programVariable) != "" {
		app.Main(Service())
	}
	goleak.VerifyTestMain(m)
}

const (
	patience = 60 * time.Second
	nodes    = 3
	accounts = 5
	total    = nodes * accounts * Opening
)

// A cluster is three nodes on loopback, with journals on disk.
type cluster struct {
	t       *testing.T
	ctx     context.Context
	dir     string
	options map[string]node.Options
	nodes   map[string]*node.Node
}

func newCluster(t *testing.T, dir string) *cluster {
	ctx, cancel := context.WithTimeout(t.Context(), patience+time.Duration(*snapshots)*time.Second)
	c := &cluster{t: t, ctx: ctx, dir: dir, options: map[string]node.Options{}, nodes: map[string]*node.Node{}}
	addrs, admins := map[string]string{}, map[string]string{}
	for i, port := range freePorts(t, 2*nodes) { // all at once, so that none is given twice
		if name := fmt.Sprint("n", 1+i%nodes); i < nodes {
			addrs[name] = port
		} else {
			admins[name] = port
		}
	}
	for name, addr := range addrs {
		c.options[name] = node.Options{Name: name, Service: Name, Dir: filepath.ToSlash(filepath.Join(dir, name)), Registry: Registry(), Seed: 1,
			Listen: addr, Peers: addrs, Admin: admins[name], Settings: map[string]string{AccountsSetting: fmt.Sprint(accounts)},
			Durability: journal.Process, SegmentBytes: 1 << 20, RetainBytes: 256 << 20, CheckpointEvery: 2000, Log: slog.New(slog.DiscardHandler)}
		c.start(name)
	}
	t.Cleanup(func() {
		for name := range c.nodes {
			c.stop(name)
		}
		cancel()
	})
	return c
}

func (c *cluster) start(name string) {
	c.t.Helper()
	n, err := node.Start(context.Background(), c.options[name])
	if err != nil {
		c.t.Fatalf("start %s: %v", name, err)
	}
	c.nodes[name] = n
}

func (c *cluster) stop(name string) {
	if n := c.nodes[name]; n != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := n.Stop(ctx); err != nil {
			c.t.Errorf("stop %s: %v", name, err)
		}
		delete(c.nodes, name)
	}
}

func (c *cluster) addrs() (out []string) {
	for i := range nodes {
		if n := c.nodes[fmt.Sprint("n", i+1)]; n != nil {
			out = append(out, n.AdminAddr())
		}
	}
	return out
}

// busy moves money at full speed until the function it returns is called, which
// tells how often it did.
func (c *cluster) busy() (stop func() int64) {
	ctx, cancel := context.WithCancel(c.ctx)
	var wg sync.WaitGroup
	var done atomic.Int64
	for name, n := range c.nodes {
		for w := range 2 {
			r := rand.New(rand.NewPCG(uint64(w), 7))
			wg.Go(func() {
				for ctx.Err() == nil {
					m := Transfer{From: fmt.Sprintf("%s/%d", name, r.IntN(accounts)),
						To: fmt.Sprintf("n%d/%d", 1+r.IntN(nodes), r.IntN(accounts)), Amount: 1 + r.Int64N(50)}
					if reply, err := n.Client().Do(ctx, Name, m); err == nil {
						if _, ok := reply.Body.(Done); ok {
							done.Add(1)
						}
					}
				}
			})
		}
	}
	return func() int64 { cancel(); wg.Wait(); return done.Load() }
}

// linked waits until all nodes reach each other: what is sent before is lost, and is
// told again a second later.
func (c *cluster) linked() {
	c.t.Helper()
	for _, n := range c.nodes {
		until(c.t, "links", func() bool {
			up := 0
			for _, l := range n.Status().Network.Peers {
				if l.Up {
					up++
				}
			}
			return up == nodes-1
		})
	}
}

// settled waits until nothing is owed.
func (c *cluster) settled() (sum int64) {
	c.t.Helper()
	c.linked()
	for c.ctx.Err() == nil {
		owed := int64(0)
		sum = 0
		for _, n := range c.nodes {
			v, err := n.Client().Peek(c.ctx, Name, Look{})
			if err != nil {
				c.t.Fatal(err)
			}
			sum, owed = sum+v.(Sheet).Sum, owed+v.(Sheet).Owed
		}
		if owed == 0 {
			return sum
		}
	}
	c.t.Fatal("something stays owed")
	return 0
}

// A verdict is what a snapshot comes to.
type verdict struct {
	balances, underWay int64
	messages           int // under way
}

// judge opens a snapshot and says what it comes to.
func judge(t *testing.T, rec *recording.Recording) (balances, underWay int64, messages int) {
	t.Helper()
	v, err := verdictOf(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	return v.balances, v.underWay, v.messages
}

func verdictOf(ctx context.Context, rec *recording.Recording) (v verdict, err error) {
	var mu sync.Mutex
	o, err := replay.Open(ctx, rec.Dir(), replay.Options{Service: Name, Registry: Registry(), Memory: true,
		Last: func(_ string, st *stepper.Stepper) {
			mu.Lock()
			defer mu.Unlock()
			for _, a := range st.Machine(Name).(*Bank).Accounts.All() {
				v.balances += a.Balance
			}
		}})
	if err != nil {
		return v, err
	}
	defer o.Close()
	if len(o.Warnings) > 0 {
		return v, fmt.Errorf("%s: %v", rec.Dir(), o.Warnings)
	}
	for _, n := range rec.Manifest().Nodes {
		flights, err := rec.InFlight(n.Name)
		if err != nil {
			return v, err
		}
		for _, f := range flights {
			if f.Name == "Credit" {
				v.messages++
			}
		}
	}
	const sum = `SELECT SUM(bank.accounts[*].balance) AS b, SUM(net.inflight[*][*].data.amount) AS m FROM bank, net`
	q, err := rql.Compile(o.Source.Meta(), sum)
	if err != nil {
		return v, err
	}
	_, err = q.Run(ctx, o.Source, rql.Options{}, func(r *rql.Row) error {
		asked, _ := r.Values[0].Value.AsInt()
		v.underWay, _ = r.Values[1].Value.AsInt()
		if asked != v.balances {
			return fmt.Errorf("the query gives balances of %d, the machines have %d", asked, v.balances)
		}
		return nil
	})
	return v, err
}

// Money is moved at full speed while snapshots are taken, several at once: of the
// present, of the past, and one after the other as differences. In each of them the
// balances and the messages under way come to what was there at first, and so they do
// at every cut of the whole History.
func TestEverySnapshotHasTheRightTotal(t *testing.T) {
	c := newCluster(t, t.TempDir())
	dir := filepath.ToSlash(t.TempDir())
	if got := c.settled(); got != total {
		t.Fatalf("%d at first", got)
	}
	if testing.Short() {
		*snapshots = min(*snapshots, 4)
	}
	begun := hlc.FromTime(time.Now())
	began, taking, moved, messages, differences := time.Now(), time.Duration(0), int64(0), 0, 0
	for taken := 0; taken < *snapshots; {
		// They are taken under load and judged without, in the same time for more.
		before, stop := time.Now(), c.busy()
		recs := c.burst(dir, begun, taken, min(takers*rolled, *snapshots-taken))
		moved += stop()
		taking += time.Since(before)
		taken += len(recs)
		n, d := c.judgeAll(recs)
		messages, differences = messages+n, differences+d
		if err := os.RemoveAll(filepath.FromSlash(dir)); err != nil {
			t.Fatal(err)
		}
		if taken%(10*takers*rolled) == 0 || taken == *snapshots && taken > takers*rolled {
			fmt.Printf("%v, of them %v under load: %d snapshots, %d of them differences, during %d transfers, with %d messages under way; all right: %t\n",
				time.Since(began).Round(time.Second), taking.Round(time.Second), taken, differences, moved, messages, !t.Failed())
		}
	}
	if messages == 0 || differences == 0 || moved < int64(*snapshots) {
		t.Errorf("%d transfers, %d messages under way and %d differences in %d snapshots: the test shows nothing", moved, messages, differences, *snapshots)
	}
	if got := c.settled(); got != total {
		t.Errorf("%d in the end", got)
	}
}

const (
	takers = 4 // that take snapshots at once: most of the time one of them waits for an answer
	rolled = 5 // by each of them, before they are judged: to judge the last is to replay them all
)

// burst takes so many snapshots, none of a time before begun.
func (c *cluster) burst(dir string, begun hlc.Timestamp, first, count int) []*recording.Recording {
	c.t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * takers}}
	defer client.CloseIdleConnections()
	takers := min(takers, (count+rolled-1)/rolled)
	recs, errs := make([]*recording.Recording, count), make([]error, takers)
	var wg sync.WaitGroup
	for k := range takers {
		wg.Go(func() {
			roll, err := recording.NewRoller(vfs.OS(), path.Join(dir, fmt.Sprint("roll", k)), c.addrs(), rolled, recording.SnapshotOptions{Client: client})
			for i := k * count / takers; i < (k+1)*count/takers && err == nil; i++ {
				recs[i], err = c.take(roll, dir, begun, client, first+i)
			}
			errs[k] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		c.t.Fatal(err)
	}
	return recs
}

// judgeAll judges snapshots, two at a time.
func (c *cluster) judgeAll(recs []*recording.Recording) (messages, differences int) {
	c.t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for k := range 2 {
		wg.Go(func() {
			for i := k; i < len(recs); i += 2 {
				v, err := verdictOf(c.ctx, recs[i])
				mu.Lock()
				if sum := v.balances + v.underWay; err != nil || sum != total {
					c.t.Errorf("%s: %d on accounts and %d in %d messages: %d, want %d (%v)", recs[i].Dir(), v.balances, v.underWay, v.messages, sum, total, err)
				}
				messages += v.messages
				if recs[i].Manifest().Snapshot.Base != "" {
					differences++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return messages, differences
}

// take takes a snapshot, of now or now and then of a moment ago.
func (c *cluster) take(roll *recording.Roller, dir string, begun hlc.Timestamp, client *http.Client, i int) (*recording.Recording, error) {
	if every := max(4, *snapshots/40); i%every == every-1 {
		return recording.TakeSnapshot(c.ctx, vfs.OS(), path.Join(dir, fmt.Sprint("past", i)), c.addrs(),
			recording.SnapshotOptions{At: max(begun, hlc.FromTime(time.Now().Add(-50*time.Millisecond))), Client: client})
	}
	rolled, err := roll.Take(c.ctx)
	if err == nil {
		err = rolled.Trouble
	}
	if err != nil {
		return nil, err
	}
	if lacks := rolled.Incomplete(); len(lacks) > 0 {
		return nil, errors.New(strings.Join(lacks, "; "))
	}
	return rolled.Recording, nil
}

func TestTheTotalIsRightAtEveryCut(t *testing.T) {
	c := newCluster(t, t.TempDir())
	for i := range 400 {
		from := fmt.Sprint("n", 1+i%nodes)
		m := Transfer{From: from + "/1", To: fmt.Sprintf("n%d/%d", 1+i/nodes%nodes, i%accounts), Amount: int64(1 + i%7)}
		if _, err := c.nodes[from].Client().Do(c.ctx, Name, m); err != nil {
			t.Fatal(err)
		}
	}
	c.wholeHistory()
}

// wholeHistory asks the same of every cut.
func (c *cluster) wholeHistory() {
	t := c.t
	t.Helper()
	rec, err := recording.Pull(c.ctx, vfs.OS(), filepath.ToSlash(t.TempDir()), c.addrs(), recording.PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o, err := replay.Open(c.ctx, rec.Dir(), replay.Options{Service: Name, Registry: Registry(), Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	q, err := rql.Compile(o.Source.Meta(), "SELECT TIME() FROM bank, net WHEN NOT ("+Conserved(nodes, accounts)+")")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := q.Run(c.ctx, o.Source, rql.Options{}, func(r *rql.Row) error { return errors.New(string(r.AppendJSON(nil))) })
	if err != nil || sum.Cuts == 0 {
		t.Errorf("%d cuts: %v", sum.Cuts, err)
	}
}

// A system that was restored from a snapshot has the right total, with every
// message that was under way delivered once; and again after all was killed before
// anything of it was handled.
func TestARestoredSystemHasTheRightTotal(t *testing.T) {
	c := newCluster(t, t.TempDir())
	dir := filepath.ToSlash(t.TempDir())
	c.linked()
	stop := c.busy()
	for _, n := range c.nodes { // what goes on from one doesn't know what was sent before
		if _, err := n.Checkpoint(c.ctx); err != nil {
			t.Fatal(err)
		}
	}
	var rec *recording.Recording
	for under := 0; under == 0; { // until one has something under way
		var err error
		rec, err = recording.TakeSnapshot(c.ctx, vfs.OS(), path.Join(dir, fmt.Sprint(rand.Uint64())), c.addrs(), recording.SnapshotOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, _, under = judge(t, rec)
	}
	stop()
	into := path.Join(dir, "restored")
	restored, err := rec.Restore(into, 0)
	if err != nil || len(restored) != nodes {
		t.Fatal(restored, err)
	}
	if _, err := rec.Restore(into, 0); err == nil {
		t.Error("a directory was overwritten")
	}
	c2 := newCluster(t, into)
	if got := c2.settled(); got != total {
		t.Errorf("%d after the restore, want %d", got, total)
	}
	stop = c2.busy()
	for under := 0; under == 0; { // until one of what goes on from there has something under way
		again, err := recording.TakeSnapshot(c2.ctx, vfs.OS(), path.Join(dir, fmt.Sprint("again", rand.Uint64())), c2.addrs(), recording.SnapshotOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var b, m int64
		if b, m, under = judge(t, again); b+m != total {
			t.Fatalf("a snapshot of the restored system: %d + %d", b, m)
		}
	}
	if stop() == 0 {
		t.Error("nothing moves after the restore")
	}
	if got := c2.settled(); got != total {
		t.Errorf("%d in the end", got)
	}
}

// A recording is restored as of any time in it.
func TestARecordingIsRestoredAsOfATime(t *testing.T) {
	c := newCluster(t, t.TempDir())
	stop := c.busy()
	for done := 0; done < 3; done++ {
		if _, err := c.nodes["n1"].Checkpoint(c.ctx); err != nil {
			t.Fatal(err)
		}
	}
	at := hlc.FromTime(time.Now())
	if _, err := c.nodes["n2"].Checkpoint(c.ctx); err != nil {
		t.Fatal(err)
	}
	stop()
	c.settled()
	dir := filepath.ToSlash(t.TempDir())
	rec, err := recording.Pull(c.ctx, vfs.OS(), path.Join(dir, "pulled"), c.addrs(), recording.PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rec.Restore(path.Join(dir, "restored"), at); err != nil {
		t.Fatal(err)
	}
	c2 := newCluster(t, path.Join(dir, "restored"))
	if got := c2.settled(); got != total {
		t.Errorf("%d after the restore, want %d", got, total)
	}
}

// Nothing is written if a node can't be reached, unless that is wanted.
func TestASnapshotWithoutANodeIsRefused(t *testing.T) {
	c := newCluster(t, t.TempDir())
	addrs := c.addrs()
	c.stop("n3")
	dir := filepath.ToSlash(filepath.Join(t.TempDir(), "s"))
	_, err := recording.TakeSnapshot(c.ctx, vfs.OS(), dir, addrs, recording.SnapshotOptions{})
	var lacks *recording.IncompleteError
	if !errors.As(err, &lacks) || len(lacks.Lacks) != 1 || lacks.Nodes != nodes {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was written")
	}
}

// A node that others know is asked for, or the snapshot isn't whole.
func TestASnapshotOfSomeNodesIsNoWholeOne(t *testing.T) {
	c := newCluster(t, t.TempDir())
	dir := filepath.ToSlash(filepath.Join(t.TempDir(), "s"))
	_, err := recording.TakeSnapshot(c.ctx, vfs.OS(), dir, c.addrs()[:1], recording.SnapshotOptions{})
	var lacks *recording.IncompleteError
	if !errors.As(err, &lacks) || len(lacks.Lacks) != nodes-1 || lacks.Lacks[0] != "n2, which n1 knows: no address of it is given" {
		t.Errorf("%v", err)
	}
	rec, err := recording.TakeSnapshot(c.ctx, vfs.OS(), dir, c.addrs()[:1], recording.SnapshotOptions{Partial: true})
	if err != nil || len(rec.Incomplete()) != nodes-1 || len(rec.Manifest().Nodes) != nodes {
		t.Errorf("%v, %v", rec, err)
	}
}

// A node that can't be reached is missing from a partial snapshot, and unknown in it.
func TestANodeThatCannotBeReachedIsMissing(t *testing.T) {
	c := newCluster(t, t.TempDir())
	addrs := c.addrs()
	c.stop("n3")
	rec, err := recording.TakeSnapshot(c.ctx, vfs.OS(), filepath.ToSlash(filepath.Join(t.TempDir(), "s")), addrs, recording.SnapshotOptions{Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	if lacks := rec.Incomplete(); len(lacks) != 1 {
		t.Errorf("lacks %q", lacks)
	}
	o, err := replay.Open(c.ctx, rec.Dir(), replay.Options{Service: Name, Registry: Registry(), Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	cur, err := o.Source.Walk(c.ctx, history.Begin, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	for {
		e, err := cur.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !e.Base && (e.Name != replay.NoteSnapshot || e.Kind != event.Note.String()) {
			t.Errorf("event %+v", e)
		}
	}
	unknown := 0
	for _, n := range o.Source.Meta().Nodes {
		if k := len(n.Unknown); k > 0 && n.Unknown[k-1].To == hlc.Max {
			unknown++
		}
	}
	if unknown != 1 {
		t.Errorf("%d nodes are unknown: %+v", unknown, o.Source.Meta().Nodes)
	}
}
