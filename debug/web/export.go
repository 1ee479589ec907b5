package web

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
)

// exportEndings are the names of files in a format that others open by their names.
var exportEndings = map[string]string{"perfetto": "json", "shiviz": "log"}

// exportsMax bounds how many downloads there are at once: none waits for a turn, for
// each takes as long as who saves it.
const exportsMax = 8

// export streams the History, or a stretch of it, to a browser, which saves it: no
// file is made on this machine.
func (s *Server) export(w http.ResponseWriter, r *http.Request) error {
	defer s.exports.Add(-1)
	if s.exports.Add(1) > exportsMax {
		return problemf(http.StatusServiceUnavailable, "wait until one is done", "%d are exported already, as many as may", exportsMax)
	}
	q := r.URL.Query()
	format, span := q.Get("format"), ""
	switch from, to := q.Get("from"), q.Get("to"); {
	case from != "" && to != "":
		span = from + " to " + to
	case from != "" || to != "":
		return problemf(http.StatusBadRequest, "give both, or none for all of it", "from and to belong together")
	}
	t, err := s.tabs.enter(r.Context(), r)
	if err != nil {
		return err
	}
	var write func(context.Context, io.Writer) error
	t.within(func() { write, err = t.session.Exporter(r.Context(), format, span) })
	if err != nil {
		return err
	}
	ending := exportEndings[format]
	if ending == "" {
		ending = format
	}
	d := &download{w: w, name: fileName(s.opts.Title) + "." + ending}
	b := bufio.NewWriterSize(d, 64<<10)
	if err = write(r.Context(), b); err == nil {
		err = b.Flush()
	}
	if err != nil && d.begun {
		panic(http.ErrAbortHandler) // so that who saves it sees that it isn't whole
	}
	if err == nil {
		d.begin()
	}
	return err
}

// A download is an answer that is to be saved, whose header is written as late as can
// be: what fails before is an error as any other.
type download struct {
	w     http.ResponseWriter
	name  string
	begun bool
}

func (d *download) begin() {
	if d.begun {
		return
	}
	d.begun = true
	h := d.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="`+d.name+`"`)
	h.Set("Cache-Control", "no-store")
	d.w.WriteHeader(http.StatusOK)
}

// Write implements io.Writer. Who saves it may take a while for each part.
func (d *download) Write(b []byte) (int, error) {
	d.begin()
	hurried(d.w)
	return d.w.Write(b)
}

// fileNameMax bounds the name of a file, in bytes.
const fileNameMax = 80

// fileName is a title as the name of a file, anywhere.
func fileName(title string) string {
	title = title[strings.LastIndexAny(title, `/\`)+1:]
	title = strings.TrimSuffix(title, ".jsonl")
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '_'
	}, title)
	name = strings.TrimLeft(name[:min(len(name), fileNameMax)], ".")
	if name == "" {
		return "hindcast"
	}
	return name
}
