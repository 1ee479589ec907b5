package history

import (
	"encoding/binary"

	"hindcast.dev/event"
)

// A router numbers the paths of a History's changes, and has equal ones share
// their memory.
type router struct {
	known map[string]route // by variable and path
	key   []byte
	seen  int // changes that have a path of texts
}

// A route is a path that has a number.
type route struct {
	number uint32
	path   []event.Value
}

// routesMin is how many paths are numbered in any case: beyond it they are while
// a path comes twice on the average.
const routesMin = 1 << 12

// number gives a change its Route: 0 where the path isn't made of texts.
func (r *router) number(c *Change) {
	c.Route = 0
	if len(c.Path) == 0 {
		return
	}
	r.key = binary.LittleEndian.AppendUint32(r.key[:0], uint32(c.Var))
	for i := range c.Path {
		if c.Path[i].Type() != event.TypeString {
			return
		}
		text := c.Path[i].AsString()
		r.key = binary.AppendUvarint(r.key, uint64(len(text)))
		r.key = append(r.key, text...)
	}
	r.seen++
	known, ok := r.known[string(r.key)]
	if !ok {
		if len(r.known) >= max(routesMin, r.seen/2) {
			return
		}
		known = route{uint32(len(r.known) + 1), c.Path}
		r.known[string(r.key)] = known
	}
	c.Route, c.Path = known.number, known.path
}
