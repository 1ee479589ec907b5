package app

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

func (f *simFlags) branch(context.Context, *cobra.Command, *simTarget) error {
	return Usage(errors.New("--reseed isn't there yet"))
}
