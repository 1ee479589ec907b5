package app

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hindcast.dev/sim"
)

// optionsCommand lists what --set can fix.
func (f *simFlags) optionsCommand() *cobra.Command {
	g := &simFlags{services: f.services}
	c := &cobra.Command{
		Use:   "options [TARGET]",
		Short: "List the options that seeds draw, and --set fixes",
		Long: `List the options that the seeds of a target draw, and --set fixes: for each its
name and what it is drawn from. What is drawn from 1 or more can't be set to 0;
otherwise values may lie far beyond what is drawn. Some are drawn only where another
option has a certain value.`,
		Example:           "  hindcast sim options " + simulated(f.services)[0].Name,
		Args:              usageArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: g.completeTargets,
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkOutput(c, g.output, "text", "json"); err != nil {
				return err
			}
			t, err := g.target(args)
			if err != nil {
				return Usage(err)
			}
			return g.listOptions(c, t)
		},
	}
	outputFlag(c, &g.output, "text", "json")
	return c
}

func (f *simFlags) listOptions(c *cobra.Command, t *simTarget) error {
	all, err := sim.OptionsOf(t.subject, t.options)
	if err != nil {
		return Usage(err)
	}
	if f.output == "json" {
		for _, d := range all {
			err := writeLine(c.OutOrStdout(), struct {
				Name  string `json:"name"`
				Range string `json:"range"`
			}{d.Name, d.Range})
			if err != nil {
				return err
			}
		}
		return nil
	}
	tw := tabwriter.NewWriter(safeFor(c.OutOrStdout()), 0, 8, 2, ' ', 0)
	for _, d := range all {
		fmt.Fprintf(tw, "%s\t%s\n", d.Name, d.Range)
	}
	return tw.Flush()
}

// completeSet completes NAME=VALUE of --set: names, and the values of choices.
func (f *simFlags) completeSet(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	t, err := f.target(args)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	options := t.options
	options.Set = nil // what is typed so far may be wrong
	all, err := sim.OptionsOf(t.subject, options)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	name, _, hasValue := strings.Cut(word, "=")
	var words []string
	for _, d := range all {
		switch {
		case hasValue && d.Name == name:
			for _, v := range choicesOf(d.Range) {
				words = append(words, name+"="+v)
			}
		case !hasValue:
			words = append(words, d.Name+"=")
		}
	}
	words = slices.DeleteFunc(words, func(w string) bool { return !strings.HasPrefix(w, word) })
	return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// choicesOf are the values of an option that has few.
func choicesOf(from string) []string {
	switch {
	case strings.HasPrefix(from, "true with"):
		return []string{"true", "false"}
	case strings.HasPrefix(from, "["):
		return strings.Fields(strings.Trim(from, "[]"))
	}
	return nil
}
