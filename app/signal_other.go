//go:build !unix

package app

import "os"

// bundleSignals returns nothing that ever arrives: there is no SIGUSR1 here.
func bundleSignals() (signals <-chan os.Signal, stop func()) { return nil, func() {} }
