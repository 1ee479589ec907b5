//go:build !unix

package prompt

import "errors"

// Terminal makes the terminal that the program was started on its standard input,
// where something else is that was read already. It fails if there is none.
func Terminal() error { return errors.New("this system has no way to ask for it") }
