package check

import (
	"context"

	"hindcast.dev/history"
)

// FromHistory returns the operations of a History, in order of their calls: the
// events of kinds invoke, ok, fail and info with one id on the lanes client/N,
// whose data is {f, key, value}. Times are Timestamps.
func FromHistory(ctx context.Context, src history.Source) ([]Operation, error) {
	_, _ = ctx, src
	panic("not there yet")
}
