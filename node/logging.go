package node

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

// The areas of a node's log; each has a level of its own that can be switched
// while the node runs.
const (
	AreaNode      = "node"      // starting and stopping
	AreaLoop      = "loop"      // stamps, drift, refusals
	AreaDisk      = "disk"      // syncs, segments, checkpoints, full disks
	AreaTransport = "transport" // links and what is dropped
	AreaHTTP      = "http"      // the service's and the admin's requests
	AreaMachine   = "machine"   // what machines log
	AreaAdapter   = "adapter"   // calls to the outside
	AreaShadow    = "shadow"    // the replica
)

var areas = []string{AreaAdapter, AreaDisk, AreaHTTP, AreaLoop, AreaMachine, AreaNode, AreaShadow, AreaTransport}

// areaLogs holds a logger per area over one handler.
type areaLogs struct {
	levels map[string]*slog.LevelVar // the map itself never changes
	logs   map[string]*slog.Logger
}

// newAreaLogs returns loggers that write to the handler of log, at level info,
// or what log's handler has enabled if that is more.
func newAreaLogs(log *slog.Logger, node string) *areaLogs {
	l := &areaLogs{levels: map[string]*slog.LevelVar{}, logs: map[string]*slog.Logger{}}
	first := slog.LevelInfo
	switch ctx := context.Background(); {
	case log.Enabled(ctx, slog.LevelDebug):
		first = slog.LevelDebug
	case !log.Enabled(ctx, slog.LevelError):
		first = slog.LevelError + 1
	case !log.Enabled(ctx, slog.LevelWarn):
		first = slog.LevelError
	case !log.Enabled(ctx, slog.LevelInfo):
		first = slog.LevelWarn
	}
	for _, area := range areas {
		level := new(slog.LevelVar)
		level.Set(first)
		l.levels[area] = level
		l.logs[area] = slog.New(&areaHandler{log.Handler(), level}).With("node", node, "area", area)
	}
	return l
}

// in returns the logger of an area.
func (l *areaLogs) in(area string) *slog.Logger { return l.logs[area] }

// set switches the level of one area, or of all if area is "" or "all".
func (l *areaLogs) set(area, level string) error {
	var to slog.Level
	if err := to.UnmarshalText([]byte(level)); err != nil {
		return fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	if area == "" || area == "all" {
		for _, v := range l.levels {
			v.Set(to)
		}
		return nil
	}
	v, ok := l.levels[area]
	if !ok {
		return fmt.Errorf("log area %q: want all or one of %s", area, strings.Join(areas, ", "))
	}
	v.Set(to)
	return nil
}

// current returns the level of each area, as text.
func (l *areaLogs) current() map[string]string {
	out := map[string]string{}
	for _, area := range slices.Sorted(maps.Keys(l.levels)) {
		out[area] = strings.ToLower(l.levels[area].Level().String())
	}
	return out
}

// An areaHandler decides by its area's level alone: the handler below writes
// what it is given, also below the level that it was made with.
type areaHandler struct {
	slog.Handler
	level *slog.LevelVar
}

func (h *areaHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *areaHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &areaHandler{h.Handler.WithAttrs(attrs), h.level}
}

func (h *areaHandler) WithGroup(name string) slog.Handler {
	return &areaHandler{h.Handler.WithGroup(name), h.level}
}

// levelOf is the level of a machine's log line.
func levelOf(name string) slog.Level {
	switch name {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}
