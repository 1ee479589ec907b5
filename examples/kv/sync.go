package kv

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
	bucketsRound = 32 // compared in one round

	tickEvery = time.Second
	tickSoon  = 200 * time.Millisecond // when a round has left something
)

// An index groups keys by bucket. It is a cache: like all unexported fields it
// isn't in checkpoints, so what it holds follows from Items alone.
type index [buckets]struct {
	sum  uint64   // of the digests, by exclusive or
	keys []string // in order
}

func (x *index) change(key string, old, now Item) {
	b := &x[bucket(key)]
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
		if old, _ := s.Items.Get(e.Key); e.Item.newer(old) {
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

func (s *KV) root() uint64 { return hash(fmt.Sprint(s.sums())) }

func (s *KV) sums() []uint64 {
	out := make([]uint64, buckets)
	for i := range out {
		out[i] = s.indexed()[i].sum
	}
	return out
}

// compareSums begins at a random bucket, so that each has its turn although some
// differ all the time, as they do under load.
func (s *KV) compareSums(ctx *machine.Context, from string, m Sums) {
	if len(m.Sums) != buckets {
		return
	}
	first, left := ctx.Rand().IntN(buckets), bucketsRound
	for i := range buckets {
		b := (first + i) % buckets
		if s.indexed()[b].sum == m.Sums[b] {
			continue
		}
		if left == 0 {
			ctx.SetTimer("tick", tickSoon, Tick{})
			return
		}
		left--
		ctx.Send(from, Name, Versions{b, s.versions(s.indexed()[b].keys)})
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
	for _, key := range s.indexed()[m.Bucket].keys {
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
	return hash(key, i.Writer, strconv.FormatUint(uint64(i.Version), 10))
}

func bucket(key string) int { return int(hash(key) % buckets) }

// hash is the same on every node and for ever.
func hash(parts ...string) uint64 {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\xff"))) // a byte that no text has
	return binary.BigEndian.Uint64(sum[:])
}
