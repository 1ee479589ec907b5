package check

import (
	"bytes"
	"fmt"
	"html"
	"io"
)

// HTML writes a page that shows the violation as a picture: of linearizability
// porcupine's, how far an order gets; of others the cycle. The page needs nothing
// else.
func (v *Violation) HTML(w io.Writer) error {
	if v.html != nil {
		return v.html(w)
	}
	var b bytes.Buffer
	title := html.EscapeString(v.Property + " is violated")
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>%s</title></head>\n<body>\n<h1>%s</h1>\n", title, title)
	if v.Cycle != nil {
		b.Write(v.Cycle.SVG())
	}
	fmt.Fprintf(&b, "<pre>%s</pre>\n</body>\n</html>\n", html.EscapeString(v.Text))
	_, err := w.Write(b.Bytes())
	return err
}
