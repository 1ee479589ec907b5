package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
)

// lanePrefix is how the nodes are called that stand for clients.
const lanePrefix = "client/"

// FromHistory returns the operations of a History, in order of their calls: the
// events of kinds invoke, ok, fail and info with one id on the lanes client/N,
// whose data is {f, key, value} and more, which becomes Extra.
//
// Call and Return are the clients' own clocks (Event.Physical) where all have
// them, for that is when things really happened, and Timestamps otherwise: these
// run ahead with the fastest node, and so could put into an order what overlapped.
// Clients on several machines must have clocks that agree, or operations that are
// ordered more coarsely than the clocks differ.
//
// A History without such lanes gives no operations.
func FromHistory(ctx context.Context, src history.Source) ([]Operation, error) {
	var lanes []int
	meta := src.Meta()
	for i := range meta.Nodes {
		if strings.HasPrefix(meta.Nodes[i].Name, lanePrefix) {
			lanes = append(lanes, i)
		}
	}
	if len(lanes) == 0 {
		return nil, nil
	}
	l := &laneReader{open: map[string]int{}, physical: true}
	cur, err := src.Walk(ctx, history.Begin, history.End, lanes)
	if err != nil {
		return nil, err
	}
	for {
		e, err := cur.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = l.take(e, meta.Nodes[e.Node].Name)
		}
		if err != nil {
			return nil, errors.Join(err, cur.Close())
		}
	}
	if err := cur.Close(); err != nil {
		return nil, err
	}
	return l.operations(), nil
}

// A laneReader makes operations of the events on clients' lanes.
type laneReader struct {
	ops      []Operation
	times    [][2]int64     // by operation: call and return by the physical clock
	open     map[string]int // id → operation
	physical bool           // every event has a physical time
}

// take takes an event in; those that are of no operation are passed over.
func (l *laneReader) take(e *history.Event, lane string) error {
	if e.Base || e.Kind != "invoke" && e.Kind != "ok" && e.Kind != "fail" && e.Kind != "info" {
		return nil
	}
	ref := fmt.Sprintf("%s:%d", lane, e.Seq)
	process, err := strconv.Atoi(strings.TrimPrefix(lane, lanePrefix))
	if err != nil {
		return fmt.Errorf("%s: the lane of a client is called client/N, N being a number", lane)
	}
	if e.ID == "" {
		return fmt.Errorf("%s: %s without an id: an operation's invoke and completion have one in common", ref, e.Kind)
	}
	if int64(e.Time) < 0 {
		return fmt.Errorf("%s: the Timestamp %s is beyond what can be compared here (2038)", ref, e.Time)
	}
	l.physical = l.physical && e.Physical != 0
	f := e.Data.Field("f").AsString()
	if f == "" {
		f = e.Name
	}
	line := logLine{process: process, kind: e.Kind, f: f, value: e.Data.Field("value"), time: int64(e.Time), ref: ref, extra: laneExtra(e.Data)}
	at, pending := l.open[e.ID]
	if e.Kind == "invoke" {
		if pending {
			return fmt.Errorf("%s: a second invoke with id %q: ids are for one operation each", ref, e.ID)
		}
		l.open[e.ID] = len(l.ops)
		l.ops = append(l.ops, Operation{Process: process, F: f, Key: keyText(e.Data.Field("key")), Input: inputOf(f, line.value),
			Call: line.time, Return: Open, Ref: ref, Extra: line.extra})
		l.times = append(l.times, [2]int64{int64(e.Physical), Open})
		return nil
	}
	if !pending {
		return fmt.Errorf("%s: %s of %q, which was never invoked: the recording of this client begins too late, or is damaged", ref, e.Kind, e.ID)
	}
	if l.ops[at].Return != Open || l.ops[at].Process != process {
		return fmt.Errorf("%s: a second completion of %q", ref, e.ID)
	}
	l.times[at][1] = int64(e.Physical)
	return complete(&l.ops[at], line)
}

// laneExtra is what else an event's data holds.
func laneExtra(data event.Value) event.Value {
	m := data.AsMap()
	for _, name := range []string{"f", "key", "value"} {
		m = m.Without(event.String(name))
	}
	if m.Len() == 0 {
		return event.Absent
	}
	return event.MapOf(m)
}

func keyText(k event.Value) string {
	switch k.Type() {
	case event.TypeString:
		return k.AsString()
	case event.TypeAbsent, event.TypeNull:
		return ""
	}
	return k.String()
}

// operations returns what was read, on the better clock.
func (l *laneReader) operations() []Operation {
	if l.physical {
		for i := range l.ops {
			l.ops[i].Call = l.times[i][0]
			if l.ops[i].Return != Open {
				l.ops[i].Return = max(l.times[i][1], l.times[i][0])
			}
		}
	}
	sortByCall(l.ops)
	return l.ops
}
