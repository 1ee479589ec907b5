package state

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"unsafe"

	"github.com/fxamacker/cbor/v2"

	"hindcast.dev/machine"
)

// Codec limits: what arrives in a payload is hostile.
const (
	payloadDepthMax    = 16
	payloadElementsMax = 1 << 17 // of one array or map
)

// The modes below never change. States may be larger than payloads, and deeper.
var (
	encMode     = must(cbor.CoreDetEncOptions().EncMode())
	payloadMode = must(decOptions(payloadDepthMax, payloadElementsMax).DecMode())
	stateMode   = must(decOptions(32, math.MaxInt32).DecMode())
)

func decOptions(depth, elements int) cbor.DecOptions {
	return cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: depth, MaxArrayElements: elements, MaxMapPairs: elements,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		// A Go string may hold any bytes, and comes back as it was.
		UTF8: cbor.UTF8DecodeInvalid,
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Marshal returns v in canonical CBOR (RFC 8949, section 4.2.1).
func Marshal(v any) ([]byte, error) { return encMode.Marshal(v) }

// Unmarshal decodes one item of CBOR into v under the limits for payloads:
// duplicate keys, tags, indefinite lengths and trailing bytes are errors, fields
// that v doesn't have are ignored.
func Unmarshal(b []byte, v any) error { return payloadMode.Unmarshal(b, v) }

// UnmarshalLarge is Unmarshal under the limits for states: what a checkpoint
// holds.
func UnmarshalLarge(b []byte, v any) error { return stateMode.Unmarshal(b, v) }

// EncodeState returns a machine's exported state: its own encoding if it is
// machine.Coded, else canonical CBOR.
func EncodeState(m machine.Machine) ([]byte, error) {
	if c, ok := m.(machine.Coded); ok {
		return c.EncodeState()
	}
	return encMode.Marshal(m)
}

// DecodeState sets the state of m, fresh from its constructor, to what
// EncodeState of the same version returned.
func (p *Plan) DecodeState(m machine.Machine, b []byte) error {
	if c, ok := m.(machine.Coded); ok {
		return c.DecodeState(b)
	}
	v := reflect.ValueOf(m).Elem()
	for _, f := range p.shape.fields {
		reflect.NewAt(f.shape.typ, addressIn(v, f.offset)).Elem().SetZero()
	}
	return stateMode.Unmarshal(b, m)
}

// UpgradeState sets those fields of m, fresh from the constructor of a newer
// version, that the older state holds too; the others keep what the constructor
// gave them.
func (p *Plan) UpgradeState(m machine.Machine, old []byte) error {
	if _, ok := m.(machine.Coded); ok {
		return errors.New("a state with its own encoding can't be taken over field by field: implement machine.Upgrading")
	}
	if err := makeRoom(reflect.ValueOf(m).Elem(), old); err != nil {
		return fmt.Errorf("the old state isn't a map of fields: %w", err)
	}
	return stateMode.Unmarshal(old, m)
}

// makeRoom empties the plain maps in the struct v that b has entries for: the
// decoder would add to them.
func makeRoom(v reflect.Value, b []byte) error {
	var there map[string]cbor.RawMessage
	if err := stateMode.Unmarshal(b, &there); err != nil {
		return err
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("cbor"), ",")
		if name == "" {
			name = f.Name
		}
		raw, ok := there[name]
		switch {
		case !ok || !f.IsExported():
		case f.Type.Kind() == reflect.Map:
			v.Field(i).SetZero()
		case f.Type.Kind() == reflect.Struct:
			// What isn't a map of fields, such as a container, needs no room.
			_ = makeRoom(v.Field(i), raw)
		}
	}
	return nil
}

// A RefusedError says why a payload was not decoded, in words for its sender.
type RefusedError struct {
	Name           string
	Version, Known uint32 // Known is 0 if the name isn't known
	Err            error  // why the bytes were not taken; nil for the others
}

func (e *RefusedError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("payload %q of version %d: %v", e.Name, e.Version, e.Err)
	case e.Known == 0 && e.Name == "":
		return "raw payload: this machine takes only registered types"
	case e.Known == 0:
		return fmt.Sprintf("payload %q is not among the types that this machine takes", e.Name)
	}
	return fmt.Sprintf("payload %q has schema version %d, this node knows up to %d: upgrade it first", e.Name, e.Version, e.Known)
}

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// A Codec turns the registered payloads of a machine into bytes and back. The
// nil Codec is that of a machine that isn't machine.Typed: it takes bytes.
type Codec struct {
	byName map[string]*payload
	byType map[reflect.Type]*payload
	raw    bool // []byte is registered
}

type payload struct {
	name    string
	version uint32
	shape   *shape // of the type, without the pointer
	pointer bool   // Body is given as a pointer, as it was registered
	form    *form  // nil if the type has none
	typ     unsafe.Pointer
}

// NewCodec returns the codec for the zero values that a machine names in
// Payloads.
func NewCodec(zeros []any) (*Codec, error) {
	c := &Codec{byName: map[string]*payload{}, byType: map[reflect.Type]*payload{}}
	for _, zero := range zeros {
		if _, ok := zero.([]byte); ok {
			c.raw = true
			continue
		}
		p, err := newPayload(zero)
		if err != nil {
			return nil, err
		}
		if other := c.byName[p.name]; other != nil {
			return nil, fmt.Errorf("payloads %s and %s have the same name %q: give one a PayloadName", other.shape.typ, p.shape.typ, p.name)
		}
		c.byName[p.name], c.byType[p.shape.typ] = p, p
	}
	return c, nil
}

func newPayload(zero any) (*payload, error) {
	t := reflect.TypeOf(zero)
	if t == nil {
		return nil, errors.New("a payload is registered as nil: give a zero value of its type")
	}
	p := &payload{version: 1}
	if t.Kind() == reflect.Pointer {
		p.pointer, t = true, t.Elem()
	}
	p.name = t.Name()
	fresh := reflect.New(t).Interface() // has the methods of value and pointer
	if n, ok := fresh.(machine.Named); ok {
		p.name = n.PayloadName()
	} else if p.name == "" || strings.Contains(p.name, "[") {
		return nil, fmt.Errorf("payload type %s has no plain name: give it a PayloadName", t)
	}
	if v, ok := fresh.(machine.Versioned); ok {
		p.version = v.SchemaVersion()
	}
	var err error
	if p.shape, err = newCompiler(nil).compile(t, t.String()); err != nil {
		return nil, fmt.Errorf("payload %w", err)
	}
	if p.form = formOf(t, 0); p.form != nil && p.form.pointerShaped() {
		p.form = nil
	}
	p.typ = typeWord(t)
	if p.name == "" || p.version == 0 {
		return nil, fmt.Errorf("payload type %s: its name must not be empty, its version not 0", t)
	}
	return p, nil
}

// Encode returns the canonical form of a body: nil, bytes, or a value of a
// registered type or a pointer to one. Another type is a programmer's error.
func (c *Codec) Encode(body any) (name string, version uint32, b []byte, err error) {
	switch body := body.(type) {
	case nil:
		return "", 0, nil, nil
	case []byte:
		return "", 0, bytes.Clone(body), nil
	}
	t := reflect.TypeOf(body)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var p *payload
	if c != nil {
		p = c.byType[t]
	}
	if p == nil {
		return "", 0, nil, fmt.Errorf("payload type %s isn't registered: name it in the machine's Payloads", t)
	}
	if at := dataOf(body); p.form != nil && at != nil {
		b = p.form.encode(at)
	} else {
		b, err = encMode.Marshal(body)
	}
	if err == nil && len(b) > payloadElementsMax {
		err = payloadMode.Wellformed(b) // or no receiver would take it
	}
	if err != nil {
		err = fmt.Errorf("payload %q: %w", p.name, err)
	}
	return p.name, p.version, b, err
}

// Decode returns the body of a payload in the form it was registered in, nil for
// bytes. Errors are *RefusedError.
func (c *Codec) Decode(name string, version uint32, b []byte) (any, error) {
	if c == nil || name == "" && (c.raw || len(b) == 0) {
		return nil, nil
	}
	p := c.byName[name]
	if p == nil {
		return nil, &RefusedError{Name: name, Version: version}
	}
	if version > p.version {
		return nil, &RefusedError{Name: name, Version: version, Known: p.version}
	}
	v := reflect.New(p.shape.typ)
	if p.form != nil && p.form.decode(b, v.UnsafePointer()) {
		if p.pointer {
			return v.Interface(), nil
		}
		return boxed(p.typ, v.UnsafePointer()), nil
	}
	v.Elem().SetZero()
	if err := payloadMode.Unmarshal(b, v.Interface()); err != nil {
		return nil, &RefusedError{Name: name, Version: version, Known: p.version, Err: err}
	}
	if p.pointer {
		return v.Interface(), nil
	}
	return v.Elem().Interface(), nil
}
