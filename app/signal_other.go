//go:build !unix

package app

import (
	"context"
	"log/slog"
	"time"

	"hindcast.dev/node"
)

// bundleOnSignal does nothing: there is no SIGUSR1 here.
func bundleOnSignal(context.Context, *node.Node, time.Duration, *slog.Logger, <-chan struct{}) {}
