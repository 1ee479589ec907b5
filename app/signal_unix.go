//go:build unix

package app

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"hindcast.dev/node"
)

// bundleOnSignal writes a bundle at every SIGUSR1 until done is closed.
func bundleOnSignal(ctx context.Context, n *node.Node, since time.Duration, log *slog.Logger, done <-chan struct{}) {
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, syscall.SIGUSR1)
	defer signal.Stop(sig)
	for {
		select {
		case <-done:
			return
		case <-sig:
			dir, err := n.Bundle(ctx, since)
			if err != nil {
				log.Error("no bundle written", "err", err)
				continue
			}
			log.Info("bundle written", "dir", dir, "open with", "hindcast debug "+dir)
		}
	}
}
