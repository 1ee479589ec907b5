package check

import (
	"errors"
	"io"
)

// HTML writes a page that shows the violation as a picture: of linearizability
// how far an order gets, of others the cycle. The page needs nothing else.
func (v *Violation) HTML(w io.Writer) error {
	if v.html == nil {
		return errors.New("there is no picture of this violation")
	}
	return v.html(w)
}
