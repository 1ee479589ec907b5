package state

import (
	"fmt"
	"reflect"
	"sort"
	"unsafe"

	"hindcast.dev/event"
	"hindcast.dev/machine"
)

// A Plan knows how to read the state of one type of machine. It is made once
// per type and is safe for concurrent use.
type Plan struct {
	shape  *shape // of the struct that the machine points to
	leaves []leaf
}

// A leaf is a piece of state that is looked at by itself: a field, or one of a
// struct in which a container, a plain map or a slice lies.
type leaf struct {
	variable string        // the field's name
	path     []event.Value // where in the variable
	offset   uintptr       // in the machine
	shape    *shape
	hidden   bool
	redact   bool
}

// Compile makes the plan for a machine's type, a pointer to a struct. It fails,
// naming the field and the remedy, if an exported field can't be recorded.
func Compile(t reflect.Type) (*Plan, error) {
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("machine type %s: a machine is a pointer to a struct, whose exported fields are its state", t)
	}
	where := t.Elem().String()
	s, err := newCompiler(t.Elem()).compile(t.Elem(), where)
	if err != nil {
		return nil, err
	}
	if s.kind != structKind {
		return nil, fmt.Errorf("machine type %s: a machine is a struct of its own, whose fields may be containers", t)
	}
	if err := s.storable(where); err != nil {
		return nil, err
	}
	p := &Plan{shape: s}
	for _, f := range s.fields {
		p.addLeaves(leaf{variable: f.name, offset: f.offset, shape: f.shape, hidden: f.hidden, redact: f.redact})
	}
	return p, nil
}

// addLeaves adds l, or what l is made of where its parts are watched in
// different ways.
func (p *Plan) addLeaves(l leaf) {
	if l.shape.kind != structKind || !l.shape.bulk && !l.shape.ordered {
		p.leaves = append(p.leaves, l)
		return
	}
	if l.redact && !l.hidden { // shown as one, watched in parts
		sign := l
		sign.shape, l.hidden = &shape{kind: structKind}, true
		p.leaves = append(p.leaves, sign)
	}
	for _, f := range l.shape.fields {
		part := leaf{variable: l.variable, offset: l.offset + f.offset, shape: f.shape}
		part.hidden, part.redact = l.hidden || f.hidden, f.redact
		part.path = append(l.path[:len(l.path):len(l.path)], event.String(f.name))
		p.addLeaves(part)
	}
}

// base returns where m's struct lies.
func (p *Plan) base(m machine.Machine) unsafe.Pointer {
	v := reflect.ValueOf(m)
	if v.Type().Elem() != p.shape.typ {
		panic(fmt.Sprintf("state: plan of %s used for %s", p.shape.typ, v.Type()))
	}
	return v.UnsafePointer()
}

// FullDigest is a digest of all exported state, whatever its size.
func (p *Plan) FullDigest(m machine.Machine) Hash {
	return p.shape.hash(0, p.base(m), true)
}

// Names returns the names of all variables, sorted.
func (p *Plan) Names() []string {
	var names []string
	for _, f := range p.shape.fields {
		if !f.hidden {
			names = append(names, f.name)
		}
	}
	sort.Strings(names)
	return names
}

func (f *field) value(base unsafe.Pointer) event.Value {
	if f.redact {
		return event.String(Redacted)
	}
	return f.shape.value(unsafe.Add(base, f.offset))
}

// Materialize returns one variable's value, whatever its size; Absent if there
// is none of this name.
func (p *Plan) Materialize(m machine.Machine, name string) event.Value {
	for _, f := range p.shape.fields {
		if f.name == name && !f.hidden {
			return f.value(p.base(m))
		}
	}
	return event.Absent
}
