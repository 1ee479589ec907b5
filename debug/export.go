package debug

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"hindcast.dev/export/html"
	"hindcast.dev/export/perfetto"
	"hindcast.dev/export/shiviz"
	"hindcast.dev/history"
)

// An ExportFormat is a form in which others read a History.
type ExportFormat struct {
	Name  string
	Short string
	// Write writes the events at positions in [from, to).
	Write func(ctx context.Context, w io.Writer, src history.Source, from, to history.Position) error
}

// htmlFormat is the form of what a session shows, and not of a History.
const htmlFormat = "html"

// ExportFormats are the forms that there are.
func ExportFormats() []ExportFormat {
	return []ExportFormat{
		{htmlFormat, "a page with diagram, event and state of one moment, which needs no server", html.WriteSpan},
		{"jsonl", "the text form of a History, a line for each event, which hindcast opens again", history.WriteTextBetween},
		{"perfetto", "a trace for ui.perfetto.dev and chrome://tracing", perfetto.Write},
		{"shiviz", "a log with vector clocks, for ShiViz", shiviz.Write},
	}
}

// Export is the form with a name.
func Export(name string) (ExportFormat, bool) {
	formats := ExportFormats()
	i := slices.IndexFunc(formats, func(f ExportFormat) bool { return f.Name == name })
	if i < 0 {
		return ExportFormat{}, false
	}
	return formats[i], true
}

func exportNames() string {
	var names []string
	for _, f := range ExportFormats() {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

// Exporter returns what writes the History in a format, or only what lies between two
// places: "A to B", as the command export understands it.
func (s *Session) Exporter(ctx context.Context, format, span string) (write func(context.Context, io.Writer) error, err error) {
	f, ok := Export(format)
	if !ok {
		return nil, commandErrorf("export", "%q: the formats are %s, like: export perfetto trace.json", format, exportNames())
	}
	from, to, err := s.between(ctx, "export", span)
	if err != nil {
		return nil, err
	}
	if format == htmlFormat {
		v, err := s.page(ctx, span)
		if err != nil {
			return nil, err
		}
		return func(_ context.Context, w io.Writer) error { return v.Write(w) }, nil
	}
	src := s.src
	return func(ctx context.Context, w io.Writer) error { return f.Write(ctx, w, src, from, to) }, nil
}

func runExport(ctx context.Context, s *Session, args string) error {
	head, span := args, ""
	if i := lastWord(args, "over"); i >= 0 {
		head, span = strings.TrimSpace(args[:i]), strings.TrimSpace(args[i+len("over"):])
	}
	name, file, _ := strings.Cut(head, " ")
	file = strings.TrimSpace(file)
	if file == "" && name == htmlFormat {
		file = s.viewFile()
	}
	write, err := s.Exporter(ctx, name, span)
	switch {
	case err != nil:
		return err
	case file == "":
		return commandErrorf("export", "want a file, like: export %s trace.out", name)
	case s.Create == nil:
		return commandErrorf("export", "this session writes no files")
	}
	out, err := s.Create(file)
	if err != nil {
		return commandErrorf("export", "%v", err)
	}
	if err := errors.Join(write(ctx, out), out.Close()); err != nil {
		return commandErrorf("export", "%s isn't whole: %v", file, err)
	}
	s.remark("written to %s", file)
	return nil
}
