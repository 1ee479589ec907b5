package debug

import (
	"hindcast.dev/history"
	"hindcast.dev/live"
)

// A Live is a History that grows while it is looked at. A *live.Cluster is one.
type Live interface {
	// Now is what there is now, as a History that doesn't change.
	Now() history.Source
	// Changed returns a channel that is closed when there is more.
	Changed() <-chan struct{}
	// Status is how far it is, and who isn't heard.
	Status() live.Status
}
