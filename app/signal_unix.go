//go:build unix

package app

import (
	"os"
	"os/signal"
	"syscall"
)

// bundleSignals returns where SIGUSR1 arrives from now on, until stop is called.
func bundleSignals() (signals <-chan os.Signal, stop func()) {
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, syscall.SIGUSR1)
	return sig, func() { signal.Stop(sig) }
}
