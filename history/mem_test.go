package history_test

import (
	"testing"

	"hindcast.dev/history"
	"hindcast.dev/history/historytest"
)

func openMem(feed func(history.Writer) error) (history.Source, error) {
	b := history.NewBuilder()
	b.KeepStates(3) // so that short Histories, too, have some
	if err := feed(b); err != nil {
		return nil, err
	}
	return b.Build()
}

func TestMemConforms(t *testing.T) { historytest.Conformance(t, openMem) }
