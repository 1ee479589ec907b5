package debug

import (
	"context"
	"fmt"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

// A Code is where the code of a machine stands: its Step, which handled an event.
type Code struct {
	Function string `json:"function"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Version  uint32 `json:"version"` // of the machine
	// Of is the build that this is told of, where the node ran another one.
	Of string `json:"of,omitempty"`
}

func (c *Code) text() string {
	text := termtext.Printable(fmt.Sprintf("%s  %s:%d", c.Function, c.File, c.Line))
	if c.Of != "" {
		text += "  (as it is in build " + termtext.Printable(c.Of) + ", which isn't the one that ran)"
	}
	return text
}

// A Logged is a line that an event logged, or what a note says.
type Logged struct {
	Level string      `json:"level,omitempty"` // "" of a note
	Data  event.Value `json:"data,omitzero"`
}

// logged are the lines of an event.
func logged(e *history.Event) []Logged {
	var lines []Logged
	if e.Kind == event.Note.String() {
		lines = append(lines, Logged{Data: e.Data})
	}
	for i := range e.Effects {
		if f := &e.Effects[i]; f.Kind == event.EffectLog.String() {
			lines = append(lines, Logged{f.Name, f.Data})
		}
	}
	return lines
}

// versionVariable tells which versions of its machines a node runs.
const versionVariable = "node.version"

// codeOf is the code that handled an event, nil if it isn't known.
func (s *Session) codeOf(ctx context.Context, e *history.Event) (*Code, error) {
	if s.Code == nil || e.Machine == "" {
		return nil, nil
	}
	version, err := s.versionOf(ctx, e)
	if err != nil {
		return nil, err
	}
	c, ok := s.Code(s.meta.Nodes[e.Node].Build, e.Machine, version)
	if !ok {
		return nil, nil
	}
	return &c, nil
}

// versionOf is the version of its machine that handled an event, 0 if it isn't known.
func (s *Session) versionOf(ctx context.Context, e *history.Event) (uint32, error) {
	id, ok := s.meta.VarID(versionVariable)
	if !ok {
		return 0, nil
	}
	c, err := history.WalkThrough(ctx, s.src, e.Position, e.Position, []int{e.Node}, history.Lens{Vars: []history.VarID{id}})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	st := c.States()[e.Node]
	if st == nil {
		return 0, nil
	}
	n, _ := st.Get(id).Index(event.String(e.Machine)).AsUint() // 0 if it isn't there
	return uint32(n), nil
}
