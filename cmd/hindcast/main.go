// Command hindcast records, replays and questions distributed systems.
package main

import (
	"os"
	"slices"

	"github.com/spf13/cobra"

	"hindcast.dev/app"
	"hindcast.dev/examples/bank"
	"hindcast.dev/examples/kv"
	"hindcast.dev/examples/lease"
	"hindcast.dev/examples/raftkv"
	"hindcast.dev/examples/twophase"
)

func main() { os.Exit(app.Run(command(), os.Args[1:], os.Stderr)) }

func command() *cobra.Command {
	services := slices.Concat([]app.Service{kv.Service(), raftkv.Service(), bank.Service()}, twophase.Services(), lease.Services())
	root := &cobra.Command{
		Use:   "hindcast",
		Short: "A flight recorder and time-travelling debugger for distributed systems",
		Long: `Hindcast records what the nodes of a distributed system took in, replays it to
the exact state of every node at every moment, and searches through all of them.

Try it:  hindcast demo`,
		Args: app.Subcommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(demoCommand())
	root.AddCommand(app.ReadCommands(services)...)
	store := app.Command(kv.Service())
	store.Short = "The replicated store that demo runs: serve a node of it"
	raft := app.Command(raftkv.Service())
	raft.Short = "A linearizable store on etcd-io/raft: serve a node of it"
	money := app.Command(bank.Service())
	money.Short = "Accounts on several nodes, to take snapshots of: serve a node of it"
	root.AddCommand(store, raft, money)
	return root
}
