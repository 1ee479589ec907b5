package app_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"hindcast.dev/app"
	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/node"
	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

// What the depot service takes and gives.
type (
	Stock struct{ Items int }  // so many item-N, 1 of each
	Sell  struct{ Key string } // one
	Ping  struct{}
)

// Depot keeps its stock in a plain map, and what was sold in a slice.
type Depot struct {
	Stock map[string]int64
	Sold  []string
	Pings int
}

// Payloads implements machine.Typed.
func (*Depot) Payloads() []any { return []any{Stock{}, Sell{}, Ping{}} }

// Step implements machine.Machine.
func (d *Depot) Step(ctx *machine.Context, ev event.Event) {
	switch m := ev.Body.(type) {
	case Stock:
		d.Stock = make(map[string]int64, m.Items)
		for i := range m.Items {
			key := fmt.Sprintf("item-%d", i)
			d.Stock[key] = 1
			d.Sold = append(d.Sold, "opening "+key)
		}
	case Sell:
		d.Stock[m.Key]--
		d.Sold = append(d.Sold, m.Key)
	case Ping:
		d.Pings++
	}
	if ev.Kind == event.Request {
		ctx.Reply(ev.ID, Ping{})
	}
}

func depotService() app.Service {
	return app.Service{Name: "depot", Machines: machine.Registry{"depot": {1: func() machine.Machine { return &Depot{} }}}}
}

func mkdepot(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mkdepot DIR ITEMS")
	}
	items, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(recordDepot(ts.MkAbs(args[0]), items))
}

// recordDepot runs a depot of so many items, which sells item-7 twice, and copies
// what it recorded into dir.
func recordDepot(dir string, items int) (err error) {
	ctx, data := context.Background(), dir+".n1"
	n, err := node.Start(ctx, node.Options{Name: "n1", Service: "depot", Dir: data, Registry: depotService().Machines, Build: app.BuildID(),
		SegmentBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	for _, body := range []any{Stock{items}, Ping{}, Sell{"item-7"}, Ping{}, Sell{"item-7"}, Ping{}} {
		if _, err := n.Client().Do(ctx, "depot", body); err != nil {
			return errors.Join(err, n.Stop(ctx))
		}
	}
	if err := n.Stop(ctx); err != nil {
		return err
	}
	rec, err := recording.Create(vfs.OS(), dir, recording.Manifest{Service: "depot"})
	if err != nil {
		return err
	}
	if err := rec.CopyNode(ctx, recording.Node{Name: "n1", Build: app.BuildID()}, vfs.OS(), data, recording.CopyOptions{}); err != nil {
		return err
	}
	return rec.Save()
}
