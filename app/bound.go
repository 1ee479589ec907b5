package app

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	rtdebug "runtime/debug"
	"runtime/metrics"
	"time"
)

// errTimeout is why a context ends whose --timeout is over.
var errTimeout = errors.New("--timeout ended the search: the rows are partial, those found so far")

// errInterrupted is what is said of a search that Ctrl-C or SIGTERM ended.
var errInterrupted = errors.New("interrupted: the rows are partial, those found so far")

// A memoryError is why a context ends whose --max-memory is used up.
type memoryError struct{ used, most, before uint64 }

// Error implements error.
func (e *memoryError) Error() string {
	return fmt.Sprintf("--max-memory %s: the search needs more, %s are in use, %s of them since before it began: the rows are partial, those found so far; raise it, or ask for less: ON TIME, AT NODES, fewer members of FOR EACH",
		bytesText(int64(e.most)), bytesText(int64(e.used)), bytesText(int64(e.before)))
}

// bounded returns a context that ends with the bounds of one search, and why; stop
// lifts them.
func (f *queryFlags) bounded(ctx context.Context) (bounded context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stops := []func(){func() { cancel(context.Canceled) }}
	if f.timeout > 0 {
		var end context.CancelFunc
		ctx, end = context.WithTimeoutCause(ctx, f.timeout, errTimeout)
		stops = append(stops, end)
	}
	if f.maxMemory > 0 {
		stops = append(stops, boundMemory(ctx, cancel, uint64(f.maxMemory)))
	}
	return ctx, func() {
		for _, s := range stops {
			s()
		}
	}
}

// endedBy is why a bounded search ended whose error says no more than that its
// context did.
func endedBy(ctx context.Context, err error) error {
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return errInterrupted
}

// Memory is looked at this often; a second look comes after garbage was collected.
const memoryInterval = 10 * time.Millisecond

// boundMemory cancels with a *memoryError when what the program has in its heap is
// more than most, garbage not counted. The collector is told of the bound, so that
// it leaves little garbage near it.
func boundMemory(ctx context.Context, cancel context.CancelCauseFunc, most uint64) (stop func()) {
	before := heapBytes()
	limit := rtdebug.SetMemoryLimit(int64(most))
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(memoryInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if heapBytes() <= most {
				continue
			}
			runtime.GC()
			if used := heapBytes(); used > most {
				cancel(&memoryError{used, most, min(before, used)})
				return
			}
		}
	}()
	return func() {
		cancel(context.Canceled)
		<-over
		rtdebug.SetMemoryLimit(limit)
	}
}

// heapBytes is how much the heap holds, garbage that isn't collected yet included.
func heapBytes() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
