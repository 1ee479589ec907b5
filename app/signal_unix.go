//go:build unix

package app

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"hindcast.dev/node"
)

// bundleOnSignal writes a bundle at every SIGUSR1, from when it returns until the
// function that it returns is called.
func bundleOnSignal(ctx context.Context, n *node.Node, since time.Duration, log *slog.Logger) (stop func()) {
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, syscall.SIGUSR1)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-sig:
				writeBundle(ctx, n, since, log)
			}
		}
	})
	return func() {
		signal.Stop(sig)
		close(done)
		wg.Wait()
	}
}

func writeBundle(ctx context.Context, n *node.Node, since time.Duration, log *slog.Logger) {
	dir, err := n.Bundle(ctx, since)
	if err != nil {
		log.Error("no bundle written", "err", err)
		return
	}
	log.Info("bundle written", "dir", dir, "open with", "hindcast debug "+dir)
}
