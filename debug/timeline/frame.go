package timeline

import (
	"errors"
	"fmt"
	"math/bits"

	"hindcast.dev/history"
)

// Bounds on a frame. A process that serves frames beside other work has room for this
// many cells, of 8 bytes each, and for as many bytes in the answer.
const (
	ColumnsMax = 1 << 14
	CellsMax   = 1 << 22
)

// A View is what of a History a frame shows.
type View struct {
	Axis     Axis
	From, To uint64 // coordinates, both included; To is not before From
	Columns  int    // at least 1, at most ColumnsMax
	Lanes    []int  // nodes; nil are all
	Merged   bool   // all of them as one, without what is down
}

// A Frame is a View drawn: for each lane, or for all of them merged, as many cells
// as there are columns.
type Frame struct {
	View
	Cells  [][]Cell    // by place in Lanes
	Down   [][]Stretch // by place in Lanes: where the node doesn't run
	Events int         // in the view
}

// A Cell is the events of a lane that are in a column.
type Cell struct {
	Count uint32
	Class Class
}

// A Stretch is columns, both included.
type Stretch struct{ From, To int }

// check says what is wrong with a view, and fills in all lanes.
func (x *Index) check(v *View) error {
	switch {
	case v.Axis > Depth:
		return errors.New("no such axis")
	case v.Axis == Depth && !x.linked:
		return ErrNotLinked
	case v.To < v.From:
		return fmt.Errorf("the view ends at %d, before it begins at %d", v.To, v.From)
	case v.Columns < 1 || v.Columns > ColumnsMax:
		return fmt.Errorf("%d columns: want 1 to %d", v.Columns, ColumnsMax)
	}
	if v.Lanes == nil {
		for n := range x.lanes {
			v.Lanes = append(v.Lanes, n)
		}
	}
	if !v.Merged && len(v.Lanes)*v.Columns > CellsMax {
		return fmt.Errorf("%d lanes of %d columns are more than %d cells", len(v.Lanes), v.Columns, CellsMax)
	}
	for _, n := range v.Lanes {
		if n < 0 || n >= len(x.lanes) {
			return fmt.Errorf("there is no node %d: there are %d", n, len(x.lanes))
		}
	}
	return nil
}

// edge is the first coordinate of a column; ok is false if that is behind the view,
// where columns are narrower than coordinates.
func (v *View) edge(column int) (at uint64, ok bool) {
	// (To − From + 1) · column / Columns, without losing the upper half.
	width := v.To - v.From
	hi, lo := bits.Mul64(width, uint64(column))
	lo, carry := bits.Add64(lo, uint64(column), 0)
	hi += carry
	if hi >= uint64(v.Columns) {
		return 0, false
	}
	q, r := bits.Div64(hi, lo, uint64(v.Columns))
	if r > 0 {
		q++ // what lies on the edge belongs to the column behind it
	}
	return v.From + q, q <= width
}

// Column is the column that a coordinate in the view falls in.
func (v *View) Column(at uint64) int {
	hi, lo := bits.Mul64(at-v.From, uint64(v.Columns))
	width := v.To - v.From + 1
	if width == 0 { // 2⁶⁴
		return int(hi)
	}
	q, _ := bits.Div64(hi, lo, width)
	return int(q)
}

// Frame draws a view. It takes time for each cell that isn't empty, however many
// events are in it.
func (x *Index) Frame(v View) (*Frame, error) {
	if err := x.check(&v); err != nil {
		return nil, err
	}
	if v.Merged {
		return x.merged(v), nil
	}
	f := &Frame{View: v, Cells: make([][]Cell, len(v.Lanes)), Down: make([][]Stretch, len(v.Lanes))}
	cells := make([]Cell, len(v.Lanes)*v.Columns)
	for i, n := range v.Lanes {
		f.Cells[i] = cells[i*v.Columns : (i+1)*v.Columns]
		f.Events += x.lanes[n].draw(&v, f.Cells[i])
		f.Down[i] = x.lanes[n].down(&v)
	}
	return f, nil
}

// merged is the frame of a view whose lanes are drawn as one.
func (x *Index) merged(v View) *Frame {
	f := &Frame{View: v, Down: make([][]Stretch, 1)}
	sum, cells := make([]Cell, v.Columns), make([]Cell, v.Columns)
	for _, n := range v.Lanes {
		f.Events += x.lanes[n].draw(&v, cells)
		for i := range cells {
			sum[i].Count += cells[i].Count
			sum[i].Class |= cells[i].Class
		}
		clear(cells)
	}
	f.Cells = [][]Cell{sum}
	return f
}

// draw fills a lane's cells and returns how many events are in them.
func (l *lane) draw(v *View, cells []Cell) int {
	i, end := l.search(v.Axis, v.From), len(l.times)
	begin := i
	for i < end && l.at(v.Axis, i) <= v.To {
		column := v.Column(l.at(v.Axis, i))
		next := end
		if edge, ok := v.edge(column + 1); ok && column+1 < v.Columns {
			next = l.from(v.Axis, i, edge)
		} else if v.To+1 != 0 {
			next = l.from(v.Axis, i, v.To+1)
		}
		cells[column] = Cell{uint32(next - i), l.classIn(i, next)}
		i = next
	}
	return i - begin
}

// from is search among the events from i on, which looks near first.
func (l *lane) from(a Axis, i int, at uint64) int {
	step := 1
	for i+step < len(l.times) && l.at(a, i+step) < at {
		i += step
		step *= 2
	}
	lo, hi := i+1, min(i+step, len(l.times))
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if l.at(a, mid) < at {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// classIn is the classes of the events in [i, end) together.
func (l *lane) classIn(i, end int) (c Class) {
	for i < end && i%blockEvents != 0 {
		c |= l.class[i]
		i++
	}
	for ; i+blockEvents <= end; i += blockEvents {
		c |= l.classes[i/blockEvents]
	}
	for ; i < end; i++ {
		c |= l.class[i]
	}
	return c
}

// down is where in a view the node doesn't run: from the column of the event with
// which it stopped to that of the one with which it runs again. Those that share
// columns are one.
func (l *lane) down(v *View) (down []Stretch) {
	for k, u := range l.ups {
		if u.up || int(u.at) >= len(l.times) {
			continue
		}
		from, to := l.at(v.Axis, int(u.at)), v.To
		if k+1 < len(l.ups) && int(l.ups[k+1].at) < len(l.times) {
			to = l.at(v.Axis, int(l.ups[k+1].at))
		}
		if to < v.From || from > v.To {
			continue
		}
		s := Stretch{v.Column(max(from, v.From)), v.Column(min(to, v.To))}
		if n := len(down); n > 0 && s.From <= down[n-1].To {
			down[n-1].To = s.To
			continue
		}
		down = append(down, s)
	}
	return down
}

// Events returns the positions of the events in a view, in walk order, if there are
// no more than most; else how many there are alone.
func (x *Index) Events(v View, most int) (at []history.Position, n int, err error) {
	if err := x.check(&v); err != nil {
		return nil, 0, err
	}
	type stretch struct{ node, from, to int }
	var in []stretch
	for _, node := range v.Lanes {
		l := &x.lanes[node]
		s := stretch{node, l.search(v.Axis, v.From), len(l.times)}
		if v.To+1 != 0 {
			s.to = l.search(v.Axis, v.To+1)
		}
		n += s.to - s.from
		in = append(in, s)
	}
	if n > most {
		return nil, n, nil
	}
	for _, s := range in {
		for i := s.from; i < s.to; i++ {
			at = append(at, x.position(s.node, i))
		}
	}
	sortPositions(at)
	return at, n, nil
}
