package history

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"

	"hindcast.dev/event"
)

// Hash returns a SHA-256 over all that happened, in hexadecimal: every node's
// name and where it is unknown, and every entry of the walk with its effects and
// changes. It doesn't depend on where the History lies nor on who made it:
// VarIDs, builds and warnings don't enter. The same events replayed twice give
// the same hash.
func Hash(ctx context.Context, src Source) (string, error) {
	h := sha256.New()
	meta := src.Meta()
	b := append([]byte(nil), "hindcast history 1\n"...)
	b = appendCount(b, len(meta.Nodes))
	for i := range meta.Nodes {
		n := &meta.Nodes[i]
		b = appendText(b, n.Name)
		b = appendCount(b, len(n.Unknown))
		for _, s := range n.Unknown {
			b = appendUint(appendUint(b, uint64(s.From)), uint64(s.To))
		}
	}
	c, err := src.Walk(ctx, Begin, End, nil)
	if err != nil {
		return "", err
	}
	defer c.Close()
	for {
		h.Write(b)
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
		b = appendHashed(b[:0], meta, e)
	}
}

// appendHashed appends the form of an entry that enters the hash; no two
// different entries have the same.
func appendHashed(b []byte, meta *Meta, e *Event) []byte {
	b = appendCount(b, e.Node)
	b = appendUint(appendUint(appendUint(b, uint64(e.Time)), e.Seq), uint64(e.Physical))
	if e.Base {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	for _, s := range [...]string{e.Kind, e.Name, e.Machine, e.ID, e.Peer} {
		b = appendText(b, s)
	}
	b = appendValue(b, e.Data)
	b = appendCount(b, len(e.Effects))
	for i := range e.Effects {
		f := &e.Effects[i]
		for _, s := range [...]string{f.Kind, f.ID, f.Peer, f.Name} {
			b = appendText(b, s)
		}
		b = appendValue(b, f.Data)
	}
	b = appendCount(b, len(e.Changes))
	changes := e.Changes
	if e.Base { // in what order a base's variables come is up to the Source
		changes = slices.Clone(changes)
		slices.SortFunc(changes, func(x, y Change) int { return cmp.Compare(meta.Vars[x.Var].Name, meta.Vars[y.Var].Name) })
	}
	for i := range changes {
		c := &changes[i]
		b = appendText(b, meta.Vars[c.Var].Name)
		b = appendValue(b, event.List(c.Path...))
		b = appendValue(b, c.Value)
	}
	return b
}
