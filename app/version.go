package app

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionCommand says which build this is.
func versionCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "version",
		Short: "Say which build this is",
		Long: `Say which build this is. The build id names the program by its content; a
recording says which build made it, and a History which build replayed it.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(c, output, "text", "json"); err != nil {
				return err
			}
			v := version{Build: BuildID(), Module: moduleVersion(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
			if output == "json" {
				return writeJSON(c.OutOrStdout(), v)
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "build %s\nmodule %s\n%s %s\n", v.Build, v.Module, v.Go, v.System)
			return err
		},
	}
	outputFlag(c, &output, "text", "json")
	return c
}

type version struct {
	Build  string `json:"build"`
	Module string `json:"module"`
	Go     string `json:"go"`
	System string `json:"system"`
}

// moduleVersion is the version of the main module, with the commit it was built
// from if that is known.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Path + " " + info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " (" + s.Value[:min(len(s.Value), 12)] + ")"
		}
	}
	return v
}
