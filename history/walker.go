package history

import "context"

// contextEvery is how many events are walked between two looks at the context.
const contextEvery = 1024

// A walker is the part of a Cursor that goes on: the merged entries of the nodes
// asked for, until ctx ends.
type walker struct {
	ctx   context.Context
	merge *merger
	count int
}

// Next implements Cursor.
func (w *walker) Next() (*Event, error) {
	if w.count++; w.count%contextEvery == 0 {
		if err := w.ctx.Err(); err != nil {
			return nil, err
		}
	}
	return w.merge.next()
}

// Close implements Cursor.
func (w *walker) Close() error { return nil }
