package history_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// Who walks learns how far that is, and it ends with its context, also of a Source that
// looks at that only when a walk begins.
func TestACountedWalkTellsHowFarItIsAndEndsWithItsContext(t *testing.T) {
	b := history.NewBuilder()
	for i := range 1000 {
		b.Append("n1", history.EventSpec{Event: history.Event{Position: history.Position{Time: hlc.Timestamp(i + 1)}}})
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	for _, walk := range []func(context.Context, *history.Counted) (history.Cursor, error){
		func(ctx context.Context, s *history.Counted) (history.Cursor, error) {
			return s.Walk(ctx, history.Begin, history.End, nil)
		},
		func(ctx context.Context, s *history.Counted) (history.Cursor, error) {
			return history.WalkThrough(ctx, s, history.Begin, history.End, nil, history.Lens{})
		},
	} {
		for _, stopped := range []int{-1, 300} {
			s, n := history.NewCounted(src), 0
			ctx, cancel := context.WithCancel(t.Context())
			c, err := walk(ctx, s)
			for err == nil {
				if n == stopped {
					cancel()
				}
				if _, err = c.Next(); err == nil {
					n++
				}
				if read := int(s.Read()); read > n || read < n-64 {
					t.Fatalf("%d are read of %d", read, n)
				}
			}
			cancel()
			if stopped < 0 && (!errors.Is(err, io.EOF) || n != 1000) || stopped >= 0 && (!errors.Is(err, context.Canceled) || n > stopped+64) {
				t.Errorf("to be stopped at %d it ended after %d: %v", stopped, n, err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
