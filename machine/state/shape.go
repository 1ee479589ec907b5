package state

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
)

// A shape is what a type looks like in memory and what it stands for.
type shape struct {
	typ    reflect.Type
	kind   kind
	fields []field // of a struct; of a MessageID too
	elem   *shape  // of a pointer, array, slice, plain map or container
	key    *shape  // of a plain map or container

	bulk    bool // a plain map or slice is in it
	ordered bool // a container is in it, or it is one
}

type kind uint8

const (
	boolKind kind = iota
	intKind
	uintKind
	floatKind
	stringKind
	timestampKind
	idKind     // event.MessageID
	bytesKind  // a slice of bytes
	binaryKind // an array of bytes
	structKind
	pointerKind
	arrayKind
	sliceKind
	mapKind
	containerKind
)

// A field is an exported field of a struct; those of embedded structs stand
// among the others.
type field struct {
	goName string
	name   string // as a variable or key
	offset uintptr
	shape  *shape
	hidden bool // digested and stored, not shown
	redact bool // shown as Redacted
	omit   bool // `cbor:"-"`: not stored
}

// Redacted is shown in place of what a tag redacts.
const Redacted = "[redacted]"

var (
	timestampType = reflect.TypeFor[hlc.Timestamp]()
	idType        = reflect.TypeFor[event.MessageID]()
	timeType      = reflect.TypeFor[time.Time]()
	containerType = reflect.TypeFor[machine.Container]()
)

// A compiler turns types into shapes, each once.
type compiler struct {
	done map[reflect.Type]*shape
	open map[reflect.Type]bool // being compiled: meeting one again is recursion
	root reflect.Type          // the machine's own type, which may have no exported field
}

func newCompiler(root reflect.Type) *compiler {
	return &compiler{root: root, done: map[reflect.Type]*shape{}, open: map[reflect.Type]bool{}}
}

// compile returns the shape of t. where names the place for errors.
func (c *compiler) compile(t reflect.Type, where string) (*shape, error) {
	if s := c.done[t]; s != nil {
		return s, nil
	}
	if c.open[t] {
		return nil, fmt.Errorf("%s: type %s contains itself: keep such links as keys into a machine.Map", where, t)
	}
	c.open[t] = true
	defer delete(c.open, t)
	s := &shape{typ: t}
	if err := c.fill(s, where); err != nil {
		return nil, err
	}
	c.done[t] = s
	return s, nil
}

func (c *compiler) fill(s *shape, where string) error {
	t := s.typ
	switch {
	case t == timestampType:
		s.kind = timestampKind
		return nil
	case t == timeType:
		return fmt.Errorf("%s: time.Time isn't deterministic across encodings: use hlc.Timestamp", where)
	case reflect.PointerTo(t).Implements(containerType):
		return c.fillContainer(s, where)
	}
	switch t.Kind() {
	case reflect.Bool:
		s.kind = boolKind
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.kind = intKind
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.kind = uintKind
	case reflect.Float32, reflect.Float64:
		s.kind = floatKind
	case reflect.String:
		s.kind = stringKind
	case reflect.Struct:
		return c.fillStruct(s, where)
	case reflect.Pointer, reflect.Array, reflect.Slice, reflect.Map:
		return c.fillComposite(s, where)
	default:
		return fmt.Errorf("%s: a %s can't be recorded: make the field unexported if it is a cache, or use a concrete data type", where, t)
	}
	return nil
}

func (c *compiler) fillComposite(s *shape, where string) (err error) {
	t := s.typ
	if t.Kind() == reflect.Map {
		s.kind, s.bulk = mapKind, true
		if s.key, err = c.compile(t.Key(), where+" (key)"); err != nil {
			return err
		}
	}
	if s.elem, err = c.compile(t.Elem(), where+" (element)"); err != nil {
		return err
	}
	bytes := t.Elem().Kind() == reflect.Uint8
	switch t.Kind() {
	case reflect.Pointer:
		s.kind, s.bulk = pointerKind, s.elem.bulk
	case reflect.Array:
		s.kind, s.bulk = arrayKind, s.elem.bulk
		if bytes {
			s.kind = binaryKind
		}
	case reflect.Slice:
		s.kind, s.bulk = sliceKind, true
		if bytes {
			s.kind = bytesKind
		}
	}
	if s.elem.ordered || s.key != nil && s.key.ordered {
		return fmt.Errorf("%s: an ordered container inside a %s isn't seen when it changes: hold it in a struct by value, or in a machine.Map", where, t.Kind())
	}
	return nil
}

func (c *compiler) fillContainer(s *shape, where string) (err error) {
	for i := range s.typ.NumField() {
		if f := s.typ.Field(i); f.Anonymous && reflect.PointerTo(f.Type).Implements(containerType) {
			return fmt.Errorf("%s.%s: an embedded container would be taken for the whole struct: give the field a name", where, f.Name)
		}
	}
	s.kind, s.ordered = containerKind, true
	key, val := reflect.New(s.typ).Interface().(machine.Container).Inspect().Elem()
	if s.key, err = c.compile(reflect.TypeOf(key).Elem(), where+" (key)"); err != nil {
		return err
	}
	s.elem, err = c.compile(reflect.TypeOf(val).Elem(), where+" (value)")
	return err
}

func (c *compiler) fillStruct(s *shape, where string) error {
	s.kind = structKind
	if s.typ == idType {
		s.kind = idKind
	}
	if err := c.addFields(s, s.typ, 0, where); err != nil {
		return err
	}
	if len(s.fields) == 0 && s.typ.NumField() > 0 && s.typ != c.root {
		return fmt.Errorf("%s: %s has only unexported fields, so nothing of it would be recorded: export them, or make the field unexported", where, s.typ)
	}
	seen := map[string]string{}
	for _, f := range s.fields {
		if other := seen[f.name]; other != "" && !f.hidden {
			return fmt.Errorf("%s: fields %s and %s both are the variable %q: give one a tag hindcast:\"name\"", where, other, f.goName, f.name)
		}
		if !f.hidden {
			seen[f.name] = f.goName
		}
		s.bulk = s.bulk || f.shape.bulk
		s.ordered = s.ordered || f.shape.ordered
	}
	return nil
}

func (c *compiler) addFields(s *shape, t reflect.Type, offset uintptr, where string) error {
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, opts, _ := strings.Cut(sf.Tag.Get("hindcast"), ",")
		at := where + "." + sf.Name
		if sf.Anonymous && sf.Type.Kind() == reflect.Struct && tag == "" && sf.Tag.Get("cbor") == "" {
			if err := c.addFields(s, sf.Type, offset+sf.Offset, at); err != nil {
				return err
			}
			continue
		}
		if !sf.IsExported() {
			continue
		}
		if opts != "" && opts != "redact" {
			return fmt.Errorf("%s: tag option %q: only redact is known", at, opts)
		}
		fs, err := c.compile(sf.Type, at)
		if err != nil {
			return err
		}
		f := field{goName: sf.Name, name: tag, offset: offset + sf.Offset, shape: fs}
		f.hidden, f.redact, f.omit = tag == "-", opts == "redact", sf.Tag.Get("cbor") == "-"
		if tag == "" {
			f.name = VariableName(sf.Name)
		}
		s.fields = append(s.fields, f)
	}
	return nil
}

// storable returns an error if a part of s would be missing in a checkpoint.
func (s *shape) storable(where string) error {
	var errs []error
	for _, f := range s.fields {
		at := where + "." + f.goName
		if f.omit {
			errs = append(errs, fmt.Errorf("%s: exported, but its cbor tag keeps it out of checkpoints: make it unexported", at))
		}
		errs = append(errs, f.shape.storable(at))
	}
	for _, part := range []*shape{s.key, s.elem} {
		if part != nil {
			errs = append(errs, part.storable(where))
		}
	}
	return errors.Join(errs...)
}

// VariableName is the name of the variable that a Go field is: its leading
// capitals lowered, but for the last of several before a small letter, which
// begins the next word. ID is id, LastIndex lastIndex, HTTPPort httpPort, IDs
// ids, X1 x1.
func VariableName(field string) string {
	n := 0
	for n < len(field) && 'A' <= field[n] && field[n] <= 'Z' {
		n++
	}
	small := n < len(field) && 'a' <= field[n] && field[n] <= 'z'
	plural := field[n:] == "s"
	if n > 1 && small && !plural {
		n--
	}
	return strings.ToLower(field[:n]) + field[n:]
}
