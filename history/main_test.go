package history_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Histories start no goroutine, and the decompressors in them leave none.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
