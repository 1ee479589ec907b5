package timeline

import (
	"sort"

	"hindcast.dev/history"
)

// A Crossing is the messages of which one end is in a view and the other isn't.
type Crossing struct {
	In  map[history.Position][]history.Position // by receive: the sends, as the event tells them
	Out map[history.Position][]history.Position // by send: the receives, in the order of the walk
}

// Crossing finds the messages that lead into a view or out of it. It looks at all
// those that are received behind the view's beginning.
func (x *Index) Crossing(v View) (*Crossing, error) {
	if err := x.check(&v); err != nil {
		return nil, err
	}
	if !x.linked {
		return nil, ErrNotLinked
	}
	inside, first := x.inside(&v)
	c := &Crossing{map[history.Position][]history.Position{}, map[history.Position][]history.Position{}}
	i := sort.Search(len(x.links), func(i int) bool {
		l := &x.links[i]
		return x.lanes[l.to].order[l.receive] >= first
	})
	for ; i < len(x.links); i++ {
		l := &x.links[i]
		sent, received := inside[l.from].has(l.send), inside[l.to].has(l.receive)
		if sent == received {
			continue
		}
		send, receive := x.position(int(l.from), int(l.send)), x.position(int(l.to), int(l.receive))
		if received {
			c.In[receive] = append(c.In[receive], send)
		} else {
			c.Out[send] = append(c.Out[send], receive)
		}
	}
	return c, nil
}

// places are some of a lane's events, [from, to).
type places struct{ from, to uint32 }

func (p places) has(i uint32) bool { return i >= p.from && i < p.to }

// inside is which events of each lane are in a view, and the order of the first.
func (x *Index) inside(v *View) (inside []places, first uint32) {
	inside, first = make([]places, len(x.lanes)), x.events
	for _, n := range v.Lanes {
		l := &x.lanes[n]
		from, to := l.search(v.Axis, v.From), len(l.times)
		if v.To+1 != 0 {
			to = l.search(v.Axis, v.To+1)
		}
		inside[n] = places{uint32(from), uint32(to)}
		if from < to {
			first = min(first, l.order[from])
		}
	}
	return inside, first
}
