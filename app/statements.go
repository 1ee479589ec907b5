package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"hindcast.dev/history"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
	"hindcast.dev/termtext"
)

const (
	// statementsMax bounds the statements of one text.
	statementsMax = 1000
	// mistakesMax bounds the statements whose mistakes are shown at once.
	mistakesMax = 10
	// headingColumns is how wide the heading of a statement may be.
	headingColumns = 100
)

// A statement is one of a text.
type statement struct {
	file string // that it was read from, "" if none
	text string
	at   syntax.Pos // where it begins in what was read; nothing is the beginning
}

// statementsOf cuts a text into statements and parses them: what is wrong in the
// last one is better said before the first one is asked.
func statementsOf(file, text string) ([]statement, error) {
	var all []statement
	for _, s := range syntax.Statements(text) {
		all = append(all, statement{file, s.Text, s.At})
	}
	switch n := len(all); {
	case n == 0:
		all = []statement{{file: file, text: text}} // the parser says what is missing
	case n > statementsMax:
		return nil, Usage(fmt.Errorf("there are %d statements; want at most %d at once", n, statementsMax))
	}
	return all, mistakesIn(all, func(s statement) error { _, err := syntax.ParseAt(s.text, s.at); return err })
}

// mistakesIn looks for mistakes in every statement, and returns all that it finds.
func mistakesIn(all []statement, look func(statement) error) error {
	var said []string
	for _, s := range all {
		err := look(s)
		var mistake *syntax.Error
		if err != nil && !errors.As(err, &mistake) {
			return err
		}
		if err == nil {
			continue
		}
		if len(said) == mistakesMax {
			said = append(said, "and there are more")
			break
		}
		said = append(said, queryError(err, s).Error())
	}
	if len(said) == 0 {
		return nil
	}
	return Usage(errors.New(strings.Join(said, "\nerror: ")))
}

// askAll asks statements in turn, each under a heading of its own if there are
// several. One that stays undecided isn't the end.
func (f *queryFlags) askAll(ctx context.Context, c *cobra.Command, o *opened, all []statement) error {
	if len(all) == 1 {
		return f.ask(ctx, c, o, all[0])
	}
	meta := o.Source.Meta()
	if err := mistakesIn(all, func(s statement) error { return compiles(meta, s) }); err != nil {
		return err
	}
	defer func() { f.lead = "" }()
	undecided := 0
	for i, s := range all {
		if err := f.heading(c.OutOrStdout(), i+1, s); err != nil {
			return fmt.Errorf("write the rows: %w", err)
		}
		err := f.ask(ctx, c, o, s)
		var exit *ExitError
		if errors.As(err, &exit) && exit.Code == ExitUndecided && ctx.Err() == nil {
			undecided++
			fmt.Fprintln(c.ErrOrStderr(), "error:", termtext.PrintableText(err.Error()))
			continue
		}
		if err != nil {
			return err
		}
	}
	if undecided > 0 {
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("%d of %d statements stayed undecided", undecided, len(all))}
	}
	return nil
}

func compiles(meta *history.Meta, s statement) error {
	_, err := rql.CompileAt(meta, s.text, s.at)
	return err
}

// heading says which of several statements is answered below. As JSON it is an
// object of its own (jsonl), or the beginning of the answer's (json).
func (f *queryFlags) heading(w io.Writer, number int, s statement) error {
	between := ""
	if number > 1 {
		between = "\n"
	}
	var err error
	switch f.output {
	case "jsonl":
		_, err = fmt.Fprintf(w, "{%s}\n", headingJSON(number, s))
	case "json":
		f.lead = headingJSON(number, s) + ","
	case "csv": // whose tables have heads
		_, err = io.WriteString(w, between)
	default:
		_, err = fmt.Fprintf(safeFor(w), "%s-- %s\n", between, termtext.Clip(termtext.Printable(headline(s.text)), headingColumns))
	}
	return err
}

// headingJSON is the heading as members of an object.
func headingJSON(number int, s statement) string {
	var text strings.Builder
	if err := writeJSON(&text, strings.TrimSpace(s.text)); err != nil {
		panic(err) // a string can be written, and a Builder takes it
	}
	return fmt.Sprintf(`"statement":%d,"query":%s`, number, escapeJSON([]byte(strings.TrimSpace(text.String()))))
}

// headline is a statement without its line breaks and the comments that fill a
// line.
func headline(text string) string {
	var words []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "--") {
			words = append(words, strings.Fields(line)...)
		}
	}
	return strings.TrimSuffix(strings.Join(words, " "), ";")
}
