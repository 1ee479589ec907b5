package history

import (
	"errors"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// The wire form of what a live node tells of itself, one frame's payload each:
// what a recorded node's runs hold on disk, in rows and without compression,
// because it is sent event by event. Numbers are varints, texts and lists begin
// with their length, values are as on disk (FORMAT.md). Variables are numbered by
// the order in which their names were sent.

// AppendEntry appends an event or a base in wire form.
func AppendEntry(b []byte, e *Event) []byte {
	flag := uint64(0)
	if e.Base {
		flag = 1
	}
	b = appendUint(b, flag)
	b = appendUint(appendUint(appendUint(b, uint64(e.Time)), e.Seq), uint64(e.Physical))
	for _, s := range [...]string{e.Kind, e.Name, e.Machine, e.ID, e.Peer} {
		b = appendText(b, s)
	}
	b = appendValue(b, e.Data)
	b = appendCount(b, len(e.Effects))
	for i := range e.Effects {
		f := &e.Effects[i]
		b = appendText(appendText(appendText(appendText(b, f.Kind), f.ID), f.Peer), f.Name)
		b = appendValue(b, f.Data)
	}
	return AppendChanges(b, e.Changes)
}

// AppendChanges appends changes in wire form.
func AppendChanges(b []byte, cs []Change) []byte {
	b = appendCount(b, len(cs))
	for i := range cs {
		c := &cs[i]
		b = appendCount(appendUint(b, uint64(c.Var)), len(c.Path))
		for _, k := range c.Path {
			b = appendValue(b, k)
		}
		b = appendValue(b, c.Value)
	}
	return b
}

// A WireReader reads wire forms from bytes that may be hostile. After the first
// error, which Err returns, it reads zeros. No length makes it take memory that
// what is left doesn't warrant. The zero value reads nothing; see Reset.
type WireReader struct {
	d     decoder
	words map[string]string // kinds and names, of which there are few
}

// wireWordsMax bounds the words that a WireReader keeps.
const wireWordsMax = 4096

// Reset begins with other bytes, which aren't kept.
func (r *WireReader) Reset(b []byte) { r.d = decoder{b: b} }

// Err is what was wrong first, also bytes that are left over.
func (r *WireReader) Err() error { return r.d.end() }

// More reports whether there is more to read.
func (r *WireReader) More() bool { return r.d.err == nil && r.d.left() > 0 }

// Uint reads a number, Text a text, Byte a byte.
func (r *WireReader) Uint() uint64 { return r.d.uint() }

// Text reads a text.
func (r *WireReader) Text() string { return r.d.text() }

// Byte reads a byte.
func (r *WireReader) Byte() byte { return r.d.byte() }

// Count reads how many things follow, of size bytes each at least.
func (r *WireReader) Count(size int) int { return r.d.count(size) }

// Fail makes err what was wrong, if nothing was before.
func (r *WireReader) Fail(err error) { r.d.fail(err) }

// word reads a text that comes often.
func (r *WireReader) word() string {
	n := r.d.count(1)
	b := r.d.b[r.d.pos : r.d.pos+n]
	r.d.pos += n
	if s, ok := r.words[string(b)]; ok || n == 0 {
		return s
	}
	s := string(b)
	if len(r.words) < wireWordsMax && n <= 64 {
		if r.words == nil {
			r.words = map[string]string{}
		}
		r.words[s] = s
	}
	return s
}

// Entry reads an event or a base whose changes are of variables below vars. Its
// Position.Node is 0.
func (r *WireReader) Entry(vars int) Event {
	flag := r.d.uint()
	if flag > 1 {
		r.d.fail(errNumber)
	}
	e := Event{Base: flag == 1}
	e.Time, e.Seq, e.Physical = hlc.Timestamp(r.d.uint()), r.d.uint(), hlc.Timestamp(r.d.uint())
	e.Kind, e.Name, e.Machine, e.ID, e.Peer = r.word(), r.word(), r.word(), r.d.text(), r.word()
	e.Data = r.d.value(0)
	if n := r.d.count(5); n > 0 {
		e.Effects = make([]Effect, 0, min(n, 1024))
		for range n {
			f := Effect{Kind: r.word(), ID: r.d.text(), Peer: r.word(), Name: r.word()}
			f.Data = r.d.value(0)
			e.Effects = append(e.Effects, f)
		}
	}
	e.Changes = r.Changes(vars)
	return e
}

// errVar: a change is of a variable without a name.
var errVar = errors.New("a change is of a variable whose name didn't come")

// Changes reads changes of variables below vars.
func (r *WireReader) Changes(vars int) []Change {
	n := r.d.count(3)
	if n == 0 {
		return nil
	}
	cs := make([]Change, 0, min(n, 1024))
	for range n {
		id := r.d.uint()
		if id >= uint64(vars) {
			r.d.fail(errVar)
			return nil
		}
		c := Change{Var: VarID(id)}
		if k := r.d.count(1); k > 0 {
			c.Path = make([]event.Value, 0, min(k, 64))
			for range k {
				c.Path = append(c.Path, r.d.value(0))
			}
		}
		c.Value = r.d.value(0)
		cs = append(cs, c)
	}
	return cs
}
