package kv

import (
	"encoding/binary"
	"slices"
	"time"

	"hindcast.dev/machine"
)

// What was lost on the way, while a link was cut or a node was down, is found by
// comparing versions, and only what differs is copied:
//
//	A ── Root ──────▶ B    one sum over everything; if it's equal, that was all
//	A ◀─ Sums ─────── B    a sum for each bucket of keys
//	A ── Versions ──▶ B    for each bucket that differs: its keys and versions
//	A ◀─ Replicate ── B    what B has newer
//
// What A has newer goes the other way when B begins. A round is bounded; what it
// leaves is found by the next one.
const (
	buckets      = 1024
	bucketsRound = 32   // compared in one round
	keysRound    = 4096 // in these buckets, but for those of the last of them

	tickEvery = time.Second
	tickSoon  = 200 * time.Millisecond // when a round has left something
)

// An index groups keys by bucket. It is a cache: like all unexported fields it
// isn't in checkpoints, so what it holds follows from Items alone.
type index struct {
	buckets [buckets]struct {
		sum  uint64   // of the digests, by exclusive or
		keys []string // in order
	}
	root   uint64
	rooted bool // root is that of the sums as they are
}

func (x *index) change(key string, old, now Item) {
	x.rooted = false
	b := &x.buckets[bucket(key)]
	if i, found := slices.BinarySearch(b.keys, key); !found {
		b.keys = slices.Insert(b.keys, i, key)
	} else {
		b.sum ^= digest(key, old)
	}
	b.sum ^= digest(key, now)
}

func (s *KV) indexed() *index {
	if s.index == nil {
		s.index = &index{}
		for key, item := range s.Items.All() {
			s.index.change(key, Item{}, item)
		}
	}
	return s.index
}

// merge takes those entries that are newer than what is here.
func (s *KV) merge(entries ...Entry) {
	for _, e := range entries {
		if old, _ := s.Items.Get(e.Key); e.Item.newer(old) || canaryLastComerWins {
			s.indexed().change(e.Key, old, e.Item)
			s.Items.Put(e.Key, e.Item)
		}
	}
}

// newer returns what is newer here than in have, a batch at most.
func (s *KV) newer(have []Entry) []Entry {
	var out []Entry
	for _, e := range have {
		if item, _ := s.Items.Get(e.Key); item.newer(e.Item) && len(out) < MaxBatch {
			out = append(out, Entry{e.Key, item})
		}
	}
	return out
}

// versions returns the entries under keys without their values.
func (s *KV) versions(keys []string) []Entry {
	var out []Entry
	for _, key := range keys {
		item, _ := s.Items.Get(key)
		item.Value = ""
		out = append(out, Entry{key, item})
	}
	return out
}

// tick asks every peer whether it has the same. It is a sign of life too.
func (s *KV) tick(ctx *machine.Context) {
	root := s.root()
	for _, n := range ctx.Peers() {
		ctx.Send(n, Name, Root{root})
	}
	jitter := time.Duration(ctx.Rand().IntN(int(tickEvery / 4)))
	ctx.SetTimer("tick", tickEvery+jitter, Tick{})
}

// root is a sum over all sums.
func (s *KV) root() uint64 {
	x := s.indexed()
	if !x.rooted {
		x.root, x.rooted = rootOf(x), true
	}
	return x.root
}

func rootOf(x *index) uint64 {
	h := uint64(0)
	for i := range x.buckets {
		h = mixed((h ^ x.buckets[i].sum) * 1099511628211)
	}
	return h
}

func (s *KV) sums() []uint64 {
	out := make([]uint64, buckets)
	for i := range out {
		out[i] = s.indexed().buckets[i].sum
	}
	return out
}

// compareSums begins at a random bucket, so that each has its turn although some
// differ all the time, as they do under load.
func (s *KV) compareSums(ctx *machine.Context, from string, m Sums) {
	if len(m.Sums) != buckets {
		return
	}
	first, left, keys := ctx.Rand().IntN(buckets), bucketsRound, 0
	for i := range buckets {
		b := (first + i) % buckets
		if s.indexed().buckets[b].sum == m.Sums[b] {
			continue
		}
		if left == 0 || keys >= keysRound {
			ctx.SetTimer("tick", tickSoon, Tick{})
			return
		}
		left--
		keys += len(s.indexed().buckets[b].keys)
		ctx.Send(from, Name, Versions{b, s.versions(s.indexed().buckets[b].keys)})
	}
}

func (s *KV) compareVersions(ctx *machine.Context, from string, m Versions) {
	if m.Bucket < 0 || m.Bucket >= buckets {
		return
	}
	theirs := map[string]Item{} // never ranged over
	for _, e := range m.Entries {
		theirs[e.Key] = e.Item
	}
	have := make([]Entry, 0, len(m.Entries))
	for _, key := range s.indexed().buckets[m.Bucket].keys {
		have = append(have, Entry{key, theirs[key]})
	}
	s.send(ctx, from, s.newer(have))
}

func (s *KV) send(ctx *machine.Context, to string, entries []Entry) {
	if len(entries) > 0 {
		ctx.Send(to, Name, Replicate{entries})
	}
}

// digest leaves the value out: writer and version name it.
func digest(key string, i Item) uint64 {
	var version [8]byte
	binary.BigEndian.PutUint64(version[:], uint64(i.Version))
	return hash(key, i.Writer, string(version[:]))
}

func bucket(key string) int { return int(hash(key) % buckets) }

// hash is the same on every node and for ever: FNV-1a, and then a mixing of its
// bits, for it is compared as a number.
func hash(parts ...string) uint64 {
	h := uint64(14695981039346656037)
	for _, part := range parts {
		for i := range len(part) {
			h = (h ^ uint64(part[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211 // a byte that no text has
	}
	return mixed(h)
}

// mixed has every bit of h depend on every other: the end of MurmurHash3.
func mixed(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
