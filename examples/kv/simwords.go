package kv

import (
	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/sim"
)

// Operations hold what was asked and what came back as Values, so that they are
// to be seen in a History too:
//
//	asked  {consistency, value} or {consistency, prefix, from, limit}
//	told   {node, consistency, value, record} or {node, consistency, records, next}
//	       or {node, failure} or {node, refused}
//	record {key, found, value, version, writer}
//
// The value told is null where there is none: what a register would have answered.
func object(keysAndValues ...any) event.Value {
	var entries []event.Entry
	for i := 0; i < len(keysAndValues); i += 2 {
		var v event.Value
		switch x := keysAndValues[i+1].(type) {
		case event.Value:
			v = x
		case string:
			v = event.String(x)
		case Consistency:
			v = event.String(string(x))
		}
		entries = append(entries, event.Entry{Key: event.String(keysAndValues[i].(string)), Value: v})
	}
	return event.MapOf(event.NewMap(entries...))
}

// inputOf is what a client asks.
func inputOf(body any) event.Value {
	switch m := body.(type) {
	case Put:
		return object("consistency", m.Consistency, "value", m.Value)
	case Delete:
		return object("consistency", m.Consistency)
	case Get:
		return object("consistency", m.Consistency)
	case Scan:
		return object("consistency", m.Consistency, "prefix", m.Prefix, "from", m.From, "limit", event.Int(int64(m.Limit)))
	}
	return event.Value{}
}

// outputOf is what it is told, and by which node.
func outputOf(a sim.Answer) event.Value {
	switch m := a.Body.(type) {
	case Answer:
		value := event.Null()
		if m.Found {
			value = event.String(m.Item.Value)
		}
		return object("node", a.Node, "consistency", m.Consistency, "value", value, "record", recordValue(m))
	case Listing:
		var records []event.Value
		for _, r := range m.Answers {
			records = append(records, recordValue(r))
		}
		return object("node", a.Node, "consistency", m.Consistency, "records", event.List(records...), "next", m.Next)
	case Failure:
		return object("node", a.Node, "failure", string(m.Code))
	}
	return object("node", a.Node, "refused", a.Refused)
}

func recordValue(a Answer) event.Value {
	return object("key", a.Key, "found", event.Bool(a.Found), "value", a.Item.Value, "version", event.Time(a.Item.Version),
		"writer", a.Item.Writer, "deleted", event.Bool(a.Item.Deleted), "consistency", a.Consistency)
}

// A deed is an operation in the store's own words.
type deed struct {
	check.Operation
	asked   Consistency
	value   string // to be written
	scan    Scan
	node    string // that answered
	told    Consistency
	records []Answer // one, but of a scan
	next    string
	failure Code
}

func deedOf(op check.Operation) deed {
	in, out := op.Input, op.Output
	limit, _ := in.Field("limit").AsInt()
	d := deed{Operation: op, asked: Consistency(in.Field("consistency").AsString()), value: in.Field("value").AsString(),
		scan: Scan{Prefix: in.Field("prefix").AsString(), From: in.Field("from").AsString(), Limit: int(limit)},
		node: out.Field("node").AsString(), told: Consistency(out.Field("consistency").AsString()),
		next: out.Field("next").AsString(), failure: Code(out.Field("failure").AsString())}
	for _, r := range out.Field("records").Members() {
		d.records = append(d.records, recordOfValue(r))
	}
	if r := out.Field("record"); !r.IsAbsent() {
		d.records = append(d.records, recordOfValue(r))
	}
	return d
}

func recordOfValue(v event.Value) Answer {
	return Answer{Key: v.Field("key").AsString(), Found: v.Field("found").AsBool(), Consistency: Consistency(v.Field("consistency").AsString()),
		Item: Item{Value: v.Field("value").AsString(), Version: v.Field("version").AsTime(), Writer: v.Field("writer").AsString(), Deleted: v.Field("deleted").AsBool()}}
}

// writes reports whether the operation is to change its record.
func (d *deed) writes() bool { return d.F == "write" || d.F == "delete" }

// answered reports whether a record or a listing came back.
func (d *deed) answered() bool { return d.Outcome == check.Ok }

// settled is the one version in an answer to a write or read.
func (d *deed) settled() Item { return d.records[0].Item }
