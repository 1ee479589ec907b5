package state

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

type (
	word   string
	tiny   uint8
	inside struct {
		Word  word
		Bytes []byte
		ID    event.MessageID
	}
	// formed has a form, and everything that a form may hold.
	formed struct {
		B                        bool
		I                        int
		I8                       int8
		I16                      int16
		I32                      int32
		I64                      int64
		U                        uint
		U8                       tiny
		U16                      uint16
		U32                      uint32
		U64                      uint64
		Text                     string
		At                       hlc.Timestamp
		Raw                      []byte
		In                       inside
		Many                     []inside
		Names                    []string
		Two                      [2]int
		ALongNameThatHasMoreByte bool   `json:"aLongNameThatHasMoreThanTwentyThreeBytes"`
		Renamed                  string `cbor:"x"`
		Maybe                    string `cbor:",omitempty"`
		MaybeN                   int16  `cbor:"mn,omitempty"`
		MaybeMany                []int  `json:"mm,omitempty"`
		Left                     int    `cbor:"-"`
		unseen                   int
	}
	embeds struct {
		inside
		Outer
		N int
	}
	Outer struct {
		Sparse *sparse
		O      int
	}
	// sparse has numbers for names, and leaves out what is empty.
	sparse struct {
		A uint64  `cbor:"1,keyasint,omitempty"`
		B []byte  `cbor:"24,keyasint,omitempty"`
		C bool    `cbor:"3,keyasint,omitempty"`
		D *Outer2 `cbor:"10,keyasint,omitempty"`
		E string  `cbor:"2,omitempty,keyasint"`
		F int8
		G *int
	}
	Outer2 struct{ O int }
	tagged struct {
		Outer2 `cbor:"o"`
	}
	hides struct {
		Outer2
		O int
	}
	oneDirect struct{ P *int }
	negative  struct {
		N int `cbor:"-1,keyasint"`
	}
	asArray struct {
		_ struct{} `cbor:",toarray"`
		N int
	}
	omitsZero struct {
		N int `cbor:",omitzero"`
	}
	twice struct {
		A int `cbor:"a"`
		B int `cbor:"a"`
	}
	own     struct{ N int }
	recurse struct{ Kids []recurse }
)

func (own) MarshalBinary() ([]byte, error)  { return []byte("own"), nil }
func (*own) UnmarshalBinary(b []byte) error { return nil }

// numbers draws more of those at which encodings change.
func numbers[T int | int8 | int16 | int32 | int64 | uint | tiny | uint16 | uint32 | uint64 | hlc.Timestamp]() *rapid.Generator[T] {
	return rapid.Custom(func(t *rapid.T) T {
		n := rapid.SampledFrom([]uint64{0, 23, 24, 127, 128, 255, 256, 1<<15 - 1, 1 << 15, 65535, 65536, 1<<31 - 1, 1 << 31,
			math.MaxUint32, 1 << 32, math.MaxInt64, math.MaxUint64}).Draw(t, "edge")
		return T(n + uint64(rapid.IntRange(-1, 1).Draw(t, "by")))
	})
}

func texts(t *rapid.T, label string) string {
	n := rapid.SampledFrom([]int{0, 1, 3, 23, 24, 255, 256, 300}).Draw(t, label+" length")
	return string(bytes.Repeat([]byte{rapid.Byte().Draw(t, label)}, n))
}

func raws(t *rapid.T, label string) []byte {
	if rapid.IntRange(0, 3).Draw(t, label+" nil") == 0 {
		return nil
	}
	return []byte(texts(t, label))
}

func some[T any](t *rapid.T, label string, draw func() T) []T {
	n := rapid.SampledFrom([]int{-1, 0, 1, 2, 24}).Draw(t, label+" length")
	if n < 0 {
		return nil
	}
	all := make([]T, n)
	for i := range all {
		all[i] = draw()
	}
	return all
}

func drawInside(t *rapid.T) inside {
	return inside{Word: word(texts(t, "word")), Bytes: raws(t, "bytes"), ID: event.MessageID{Node: texts(t, "node"),
		Boot: numbers[uint64]().Draw(t, "boot"), Seq: numbers[uint64]().Draw(t, "seq"), Effect: uint32(numbers[uint32]().Draw(t, "effect"))}}
}

var formeds = rapid.Custom(func(t *rapid.T) formed {
	f := formed{B: rapid.Bool().Draw(t, "b"), I: numbers[int]().Draw(t, "i"), I8: numbers[int8]().Draw(t, "i8"),
		I16: numbers[int16]().Draw(t, "i16"), I32: numbers[int32]().Draw(t, "i32"), I64: numbers[int64]().Draw(t, "i64"),
		U: numbers[uint]().Draw(t, "u"), U8: numbers[tiny]().Draw(t, "u8"), U16: numbers[uint16]().Draw(t, "u16"),
		U32: numbers[uint32]().Draw(t, "u32"), U64: numbers[uint64]().Draw(t, "u64"), Text: texts(t, "text"),
		At: numbers[hlc.Timestamp]().Draw(t, "at"), Raw: raws(t, "raw"), In: drawInside(t), Renamed: texts(t, "renamed"),
		Maybe: texts(t, "maybe"), MaybeN: numbers[int16]().Draw(t, "maybeN")}
	f.Many = some(t, "many", func() inside { return drawInside(t) })
	f.Names = some(t, "names", func() string { return texts(t, "name") })
	f.MaybeMany = some(t, "maybeMany", func() int { return numbers[int]().Draw(t, "n") })
	f.Two = [2]int{numbers[int]().Draw(t, "one"), numbers[int]().Draw(t, "two")}
	return f
})

func formFor(t testing.TB, typ reflect.Type) *form {
	t.Helper()
	f := formOf(typ, 0)
	if f == nil {
		t.Fatalf("%s has no form", typ)
	}
	return f
}

var sparseValue = sparse{A: 1, B: []byte{2}, C: true, D: &Outer2{3}, E: "four"}

var embedses = rapid.Custom(func(t *rapid.T) embeds {
	e := embeds{inside: drawInside(t), Outer: Outer{O: numbers[int]().Draw(t, "o")}, N: numbers[int]().Draw(t, "n")}
	if rapid.Bool().Draw(t, "sparse") {
		e.Sparse = &sparse{A: numbers[uint64]().Draw(t, "a"), B: raws(t, "b"), C: rapid.Bool().Draw(t, "c"), E: texts(t, "e"), F: numbers[int8]().Draw(t, "f")}
		if e.Sparse.C {
			e.Sparse.D, e.Sparse.G = &Outer2{e.N}, &e.O
		}
	}
	return e
})

func TestAFormWritesWhatTheGeneralEncoderWritesAndReadsItBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		thereAndBack(t, formeds.Draw(t, "value"))
		thereAndBack(t, embedses.Draw(t, "embeds"))
	})
}

func thereAndBack[T any](t *rapid.T, v T) {
	form := formOf(reflect.TypeFor[T](), 0)
	want, err := encMode.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	got := form.encode(unsafe.Pointer(&v))
	if n := form.length(unsafe.Pointer(&v)); !bytes.Equal(got, want) || n != len(got) {
		t.Fatalf("%+v\n got %x\nwant %x, of length %d", v, got, want, n)
	}
	var back, general T
	if !form.decode(got, unsafe.Pointer(&back)) {
		t.Fatalf("the form doesn't take what it wrote: %x", got)
	}
	if err := payloadMode.Unmarshal(got, &general); err != nil || !reflect.DeepEqual(back, general) {
		t.Fatalf("read %+v\nwant %+v (%v)", back, general, err)
	}
}

// Whatever bytes a form takes, the general decoder takes them as the same value;
// and a payload is the same through a Codec with forms and without.
func agree[T any](t interface{ Fatalf(string, ...any) }, form *form, b []byte) (taken bool) {
	var fast, slow T
	err := payloadMode.Unmarshal(b, &slow)
	if taken = form.decode(b, unsafe.Pointer(&fast)); taken && (err != nil || !reflect.DeepEqual(fast, slow)) {
		t.Fatalf("%x is taken as\n%+v\nby its form; generally it is\n%+v (%v)", b, fast, slow, err)
	}
	return taken
}

func TestAFormTakesNothingThatTheGeneralDecoderRefuses(t *testing.T) {
	form := formFor(t, reflect.TypeFor[formed]())
	small := formFor(t, reflect.TypeFor[inside]())
	sparse := formFor(t, reflect.TypeFor[embeds]())
	taken, changed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		v, e := formeds.Draw(t, "value"), embedses.Draw(t, "embeds")
		for _, b := range [][]byte{form.encode(unsafe.Pointer(&v)), small.encode(unsafe.Pointer(&v.In)), sparse.encode(unsafe.Pointer(&e))} {
			for range rapid.IntRange(1, 3).Draw(t, "damage") {
				i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
				switch rapid.IntRange(0, 3).Draw(t, "how") {
				case 0:
					b[i] = rapid.Byte().Draw(t, "byte")
				case 1:
					b[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				case 2:
					b = append(b[:i:i], b[min(len(b)-1, i+1):]...)
				case 3:
					b = append(append(b[:i:i], rapid.Byte().Draw(t, "more")), b[i:]...)
				}
			}
			changed += 3
			for _, took := range []bool{agree[formed](t, form, b), agree[inside](t, small, b), agree[embeds](t, sparse, b)} {
				if took {
					taken++
				}
			}
		}
	})
	if t.Logf("%d of %d damaged payloads are taken", taken, changed); taken == 0 || taken == changed {
		t.Error("the damage exercises too little")
	}
}

func FuzzForm(f *testing.F) {
	v := formed{Text: "text", Raw: []byte{1}, Many: []inside{{Word: "w"}}, Names: []string{""}, I: -300, Two: [2]int{1, 1 << 40}}
	full, small := formFor(f, reflect.TypeFor[formed]()), formFor(f, reflect.TypeFor[inside]())
	sparse := formFor(f, reflect.TypeFor[embeds]())
	e := embeds{Outer: Outer{Sparse: &sparseValue}}
	f.Add(sparse.encode(unsafe.Pointer(&e)))
	f.Add(full.encode(unsafe.Pointer(&v)))
	f.Add(small.encode(unsafe.Pointer(&v.Many[0])))
	f.Add([]byte("\xa3\x62ID\xf6\x64Word\x78\x01x\x65Bytes\x40"))
	f.Add([]byte("\xa1\x65Bytes\x9a\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		agree[formed](t, full, b)
		agree[inside](t, small, b)
		agree[embeds](t, sparse, b)
	})
}

func TestWhatIsOutOfTheOrdinaryHasNoForm(t *testing.T) {
	for _, v := range []any{tagged{}, hides{}, negative{}, asArray{}, omitsZero{}, twice{}, own{}, struct{ Own own }{}, recurse{}, map[string]int{},
		struct{ P **int }{}, struct{ F float64 }{}, struct{ B [4]byte }{}, struct{ M map[int]int }{}, struct {
			In inside `cbor:",omitempty"`
		}{}, struct{ V any }{}} {
		if formOf(reflect.TypeOf(v), 0) != nil {
			t.Errorf("%T has a form", v)
		}
	}
}

// An interface holds such a value itself, and not a pointer to it.
func TestAPayloadThatIsAPointerInsideComesBack(t *testing.T) {
	c, err := NewCodec([]any{oneDirect{}})
	if err != nil {
		t.Fatal(err)
	}
	n := 7
	name, version, b, err := c.Encode(oneDirect{&n})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Decode(name, version, b); err != nil || *got.(oneDirect).P != 7 {
		t.Errorf("%+v (%v)", got, err)
	}
}

// So does one with its pointer in a field that isn't exported, or is left out.
func TestAPayloadThatIsAHiddenPointerComesBack(t *testing.T) {
	type (
		hidden struct {
			Z struct{}
			p *int
		}
		dashed struct {
			Z [0]int
			P *int `cbor:"-"`
		}
	)
	n := 7
	for _, v := range []any{hidden{p: &n}, dashed{P: &n}} {
		c, err := NewCodec([]any{v})
		if err != nil {
			t.Fatal(err)
		}
		name, version, b, err := c.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Decode(name, version, b); err != nil || !reflect.DeepEqual(got, reflect.Zero(reflect.TypeOf(v)).Interface()) {
			t.Errorf("%T comes back as %+v (%v)", v, got, err)
		}
	}
}

// What a Codec gives is of the registered type, whichever way it was read, and a
// payload that a form doesn't take is judged by the general decoder alone.
func TestACodecReadsWhatAFormDoesNotTake(t *testing.T) {
	c, err := NewCodec([]any{formed{}, &inside{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []string{"\xa0", "\xa2\x64Word\x61x\x65other\x01", "\xa2\x65Bytes\x41\x01\x64Word\x61x", "\xa1\x64Word\xf6"} {
		var want inside
		if err := payloadMode.Unmarshal([]byte(b), &want); err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode("inside", 1, []byte(b))
		if err != nil || !reflect.DeepEqual(got, &want) {
			t.Errorf("%x: %+v (%v), want %+v", b, got, err, &want)
		}
	}
	for _, b := range []string{"", "\xa1\x64Word\x01", "\xa2\x64Word\x61x\x64Word\x61x", "\xa0\x00", "\xbf\xff", "\xa1\x64Word\x7f\x61x\xff"} {
		if got, err := c.Decode("inside", 1, []byte(b)); err == nil {
			t.Errorf("%x is taken as %+v", b, got)
		}
	}
	name, version, b, err := c.Encode(formed{Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Decode(name, version, b); err != nil || !reflect.DeepEqual(got, mustDecode[formed](t, b)) {
		t.Errorf("%T %+v (%v)", got, got, err)
	}
	if _, _, b, err := c.Encode((*inside)(nil)); err != nil || string(b) != "\xf6" {
		t.Errorf("a nil pointer is %x (%v)", b, err)
	}
}

func mustDecode[T any](t *testing.T, b []byte) (v T) {
	t.Helper()
	if err := payloadMode.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func BenchmarkCodec(b *testing.B) {
	v := inside{Word: "a word", Bytes: []byte("some bytes"), ID: event.MessageID{Node: "n1.client", Boot: 3, Seq: 1000000, Effect: 2}}
	for _, way := range []string{"form", "general"} {
		c, err := NewCodec([]any{inside{}})
		if err != nil {
			b.Fatal(err)
		}
		if way == "general" {
			c.byName["inside"].form = nil
		}
		b.Run(fmt.Sprint(way, "/encode"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Encode(v)
			}
		})
		_, _, payload, _ := c.Encode(v)
		b.Run(fmt.Sprint(way, "/decode"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Decode("inside", 1, payload)
			}
		})
	}
}
