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
		return nil, fmt.Errorf("machine type %s: a machine is a struct of its own", t)
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
	for _, f := range l.shape.fields {
		part := leaf{variable: l.variable, offset: l.offset + f.offset, shape: f.shape}
		part.hidden, part.redact = l.hidden || f.hidden, l.redact || f.redact
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

// Variables calls emit with the name and value of every variable, in order of
// name, whatever its size.
func (p *Plan) Variables(m machine.Machine, emit func(name string, v event.Value)) {
	base := p.base(m)
	fields := make([]field, 0, len(p.shape.fields))
	for _, f := range p.shape.fields {
		if !f.hidden {
			fields = append(fields, f)
		}
	}
	sort.Slice(fields, func(i, j int) bool { return fields[i].name < fields[j].name })
	for _, f := range fields {
		emit(f.name, f.value(base))
	}
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

// Bulky returns the names of the variables in which a plain map or slice lies,
// sorted: those that Tracker may leave to Materialize.
func (p *Plan) Bulky() []string {
	var names []string
	for _, f := range p.shape.fields {
		if f.shape.bulk && !f.hidden {
			names = append(names, f.name)
		}
	}
	sort.Strings(names)
	return names
}
