package history

import (
	"context"
	"io"

	"hindcast.dev/hlc"
)

// A narrowCursor merges the narrow streams of several nodes.
type narrowCursor struct {
	ctx     context.Context
	to      Position
	states  []*State
	streams []*narrowStream // those of the race, by node
	race    race
	count   int
	scratch []byte // stored bytes of a block on their way
	started bool
}

// begin begins the race of the streams that have an entry.
func (c *narrowCursor) begin(streams []*narrowStream) error {
	var times []hlc.Timestamp
	for _, s := range streams {
		t, ok, err := s.peek(c.to)
		if err != nil {
			return err
		}
		if ok {
			c.streams, times = append(c.streams, s), append(times, t)
		}
	}
	c.race = newRace(len(c.streams), func(i int) (hlc.Timestamp, bool) { return times[i], true })
	return nil
}

// States implements Cursor.
func (c *narrowCursor) States() []*State {
	out := c.states
	c.states = nil
	return out
}

// Next implements Cursor.
func (c *narrowCursor) Next() (*Event, error) {
	if c.count++; c.count%contextEvery == 0 {
		if err := c.ctx.Err(); err != nil {
			return nil, err
		}
	}
	if c.race.left == 0 {
		return nil, io.EOF
	}
	if c.started { // the last call handed out what the winner had
		t, ok, err := c.streams[c.race.first()].peek(c.to)
		switch {
		case err != nil:
			return nil, err
		case ok:
			c.race.advance(t)
		default:
			if c.race.end(); c.race.left == 0 {
				return nil, io.EOF
			}
		}
	}
	c.started = true
	return c.streams[c.race.first()].take()
}

// Close implements Cursor.
func (c *narrowCursor) Close() error { return nil }

// PlaceBefore returns the position of the last event (no base) of the given nodes
// (nil: all) before p, as Source.Before would; false if there is none.
func PlaceBefore(ctx context.Context, src Source, p Position, nodes []int) (Position, bool, error) {
	if d, ok := Unwrap(src).(*Disk); ok {
		return d.placeBefore(ctx, p, nodes)
	}
	last, err := src.Before(ctx, p, 1, nodes)
	if err != nil || len(last) == 0 {
		return Position{}, false, err
	}
	return last[0].Position, true, nil
}

// placeBefore reads of one block of each node when its entries were.
func (d *Disk) placeBefore(ctx context.Context, p Position, nodes []int) (last Position, ok bool, err error) {
	chosen, err := d.meta.chosen(nodes)
	if err != nil {
		return last, false, err
	}
	l := &look{want: make([]bool, len(d.meta.Vars))}
	var reader *blockReader
	var scratch []byte
	for _, n := range chosen {
		found := false
		for i := d.before(n, p); i >= 0 && !found; i-- {
			if err := ctx.Err(); err != nil {
				return last, false, err
			}
			part := d.nodes[n][i]
			if at := part.ref().last; ok && comparePlace(at, last, n) < 0 {
				break // what another node has is later
			}
			if reader, err = part.run.reader(part.block, l, reader, &scratch); err != nil {
				return last, false, err
			}
			at, some, err := reader.lastEvent(p)
			if err != nil {
				return last, false, err
			}
			if found = some; some && (!ok || at.Compare(last) > 0) {
				last, ok = at, true
			}
		}
	}
	return last, ok, nil
}

// lastEvent returns the position of the block's last event before p.
func (b *blockReader) lastEvent(p Position) (last Position, ok bool, err error) {
	var e Event
	for b.left > 0 {
		if err := b.next(&e, nil, nil); err != nil {
			return last, false, err
		}
		if e.Position.Compare(p) >= 0 {
			break
		}
		if !e.Base {
			last, ok = e.Position, true
		}
	}
	return last, ok, nil
}

// Events implements Blocked: of blocks that lie inside nothing is read.
func (d *Disk) Events(ctx context.Context, from, to Position, nodes []int) (n uint64, first hlc.Timestamp, err error) {
	chosen, err := d.meta.chosen(nodes)
	if err != nil {
		return 0, 0, err
	}
	c := eventCounter{from: from, to: to, first: hlc.Max, look: look{want: make([]bool, len(d.meta.Vars))}}
	for _, node := range chosen {
		parts := d.nodes[node]
		for i := d.at(node, from); i < len(parts) && comparePlace(parts[i].ref().first, to, node) < 0; i++ {
			if err := ctx.Err(); err != nil {
				return 0, 0, err
			}
			if err := c.add(parts[i], node); err != nil {
				return 0, 0, err
			}
		}
	}
	return c.n, c.first, nil
}

type eventCounter struct {
	from, to Position
	look     look
	reader   *blockReader
	scratch  []byte
	n        uint64
	first    hlc.Timestamp
}

func (c *eventCounter) add(p diskPart, node int) (err error) {
	ref := p.ref()
	if ref.bases == 0 && comparePlace(ref.first, c.from, node) >= 0 && comparePlace(ref.last, c.to, node) < 0 {
		c.n += uint64(ref.entries)
		c.first = min(c.first, ref.first.Time)
		return nil
	}
	if c.reader, err = p.run.reader(p.block, &c.look, c.reader, &c.scratch); err != nil {
		return err
	}
	var e Event
	for c.reader.left > 0 {
		if err := c.reader.next(&e, nil, nil); err != nil {
			return err
		}
		if !e.Base && e.Position.Compare(c.from) >= 0 && e.Position.Compare(c.to) < 0 {
			c.n++
			c.first = min(c.first, e.Time)
		}
	}
	return nil
}
