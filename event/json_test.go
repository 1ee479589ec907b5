package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
)

func TestJSONOfEveryValueReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := genValue(3).Draw(t, "value")
		text := v.AppendJSON(nil)
		got, err := event.ParseValue(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !event.Equal(got, v) || got.Type() != v.Type() {
			t.Fatalf("%s reads back as %v", text, got)
		}
		if !json.Valid(text) {
			t.Fatalf("%s is not JSON", text)
		}
		var viaJSON event.Value
		if raw, err := json.Marshal(v); err != nil || json.Unmarshal(raw, &viaJSON) != nil || !event.Equal(viaJSON, v) {
			t.Fatalf("encoding/json gives %s (%v) and back %v", raw, err, viaJSON)
		}
	})
}

func TestJSONForms(t *testing.T) {
	for _, c := range []struct {
		v    event.Value
		want string
	}{
		{event.Null(), `null`},
		{event.Int(-5), `-5`},
		{event.Uint(math.MaxUint64), `18446744073709551615`},
		{event.Float(1), `1.0`},
		{event.Float(1e21), `1e+21`},
		{event.Float(math.Copysign(0, -1)), `-0.0`},
		{event.Float(math.Inf(-1)), `{"$f":"-Inf"}`},
		{event.Set(event.Int(2), event.Int(1), event.Int(2)), `{"$set":[1,2]}`},
		{event.Time(7493989779944505344), `{"$ts":"2025-04-16T19:07:44.000000Z/0"}`},
		{event.String("a\x80"), `{"$b":"YYA="}`},
		{event.String("\"\\\n\x01<é"), `"\"\\\n\u0001<é"`},
		{event.MapOf(event.NewMap(event.Entry{Key: event.String("$x"), Value: event.Null()})), `{"$x":null}`},
		{event.MapOf(event.NewMap(event.Entry{Key: event.String("$set"), Value: event.Int(1)})), `{"$map":[["$set",1]]}`},
		{event.MapOf(event.NewMap(event.Entry{Key: event.Int(3), Value: event.List()})), `{"$map":[[3,[]]]}`},
		{event.MapOf(nil), `{}`},
	} {
		if got := c.v.String(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	if got := event.Absent.String(); got != "absent" {
		t.Errorf("Absent is shown as %q", got)
	}
}

func TestParseValueAcceptsWhatOthersWrite(t *testing.T) {
	for in, want := range map[string]string{
		" [ 1 , 2.50 , 1E3 , -0 ] ":       `[1,2.5,1000.0,0]`,
		`"\u00e9\ud83d\ude00\/\b\f\r\t"`:  `"é😀/\u0008\u000c\u000d\t"`,
		`"\ud800x"`:                       `"�x"`,
		`"\ud800\u0041"`:                  `"�A"`,
		`{"$set":[1],"b":2}`:              `{"$set":[1],"b":2}`,
		`{"b":{"$ts":"65536"},"a":true}`:  `{"a":true,"b":{"$ts":"1970-01-01T00:00:00.000016Z/0"}}`,
		`{"$map":[["k",1]]}`:              `{"k":1}`,
		"\t{\r\n}":                        `{}`,
		`{"$ref":"#/x"}`:                  `{"$ref":"#/x"}`,
		`{"$set":[3,{"$set":[2,1]},3.0]}`: `{"$set":[3,3.0,{"$set":[1,2]}]}`,
	} {
		v, err := event.ParseValue([]byte(in))
		if err != nil || v.String() != want {
			t.Errorf("%s: got %v (%v), want %s", in, v, err, want)
		}
	}
}

func TestParseValueSaysWhereAndWhat(t *testing.T) {
	deep := strings.Repeat("[", event.MaxDepth)
	for _, c := range []struct {
		in     string
		offset int
		text   string
	}{
		{``, 0, "want a value, found the end"},
		{`nul`, 0, `want a value, found 'n'`},
		{`nullx`, 0, `want a value`},
		{`[1,]`, 3, `want a value, found ']'`},
		{`[1 2]`, 3, `want "," or "]", found '2'`},
		{`{"a" 1}`, 5, `want ":", found '1'`},
		{`{a:1}`, 1, `want a key in double quotes`},
		{`{"a":1,}`, 7, `want a key in double quotes`},
		{`{"a":1,"b":2,"a":3}`, 13, `key "a" stands in this object twice`},
		{`01`, 1, `want the end of the text, found '1'`},
		{`-`, 1, `want a digit`},
		{`1.`, 2, `want a digit after the decimal point`},
		{`1e+`, 3, `want a digit of the exponent`},
		{`[18446744073709551616]`, 1, `an int is from`},
		{`-9223372036854775809`, 0, `an int is from`},
		{`1e999`, 0, `beyond what a float64 holds`},
		{`"abc`, 0, `this string has no end`},
		{`"a\n` + `bc`, 0, `this string has no end`},
		{"\"a\nb\"", 2, `control character U+000A`},
		{"[\"a\xffb\"]", 3, `byte 0xff isn't here`},
		{"[\"\\n\xffb\"]", 4, `byte 0xff isn't here`},
		{`"\x"`, 2, `want one of "\/bfnrtu after a backslash, found 'x'`},
		{`"\u12g4"`, 2, `want four hex digits`},
		{`{"$set":1}`, 8, `want an array of the set's members`},
		{`{"$f":"nan"}`, 6, `want "NaN", "Inf" or "-Inf"`},
		{`{"$ts":5}`, 7, `want a time like`},
		{`{"$b":"=="}`, 6, `want base64`},
		{`{"$map":{}}`, 8, `want an array of [key, value]`},
		{`{"$map":[[1,2],[1]]}`, 15, `want [key, value] inside "$map"`},
		{`{"$map":[[1,2], [1,3]]}`, 16, `key 1 stands in this map twice`},
		{deep + "[", event.MaxDepth + 1, "nested deeper than 500 levels"},
		{strings.Repeat(`{"a":`, event.MaxDepth+1), 5*event.MaxDepth + 1, "nested deeper than 500 levels"},
	} {
		_, err := event.ParseValue([]byte(c.in))
		var syntax *event.SyntaxError
		if !errors.As(err, &syntax) || syntax.Offset != c.offset || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%.40q: got %v, want byte %d: %s", c.in, err, c.offset, c.text)
		}
	}
	if _, err := event.ParseValue([]byte(deep + strings.Repeat("]", event.MaxDepth))); err != nil {
		t.Errorf("at the limit of depth: %v", err)
	}
}

func TestLargeObjectsFindDuplicateKeys(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{`)
	for i := range 100 {
		fmt.Fprintf(&b, `"k%d":1,`, i)
	}
	if v, err := event.ParseValue([]byte(b.String() + `"z":1}`)); err != nil || v.Len() != 101 {
		t.Fatalf("got %d entries (%v), want 101", v.Len(), err)
	}
	_, err := event.ParseValue([]byte(b.String() + `"k7":1}`))
	var syntax *event.SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset != b.Len() {
		t.Fatalf("got %v, want an error at byte %d", err, b.Len())
	}
}

func FuzzParseValue(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x\u00e9",null,true]}`, `{"$set":[1,{"$f":"NaN"}]}`, `{"$map":[[1,{"$b":"/w=="}]]}`, `{"$ts":"1/2"}`, `-0.0e-7`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := event.ParseValue(in)
		var syntax *event.SyntaxError
		if err != nil {
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(in) {
				t.Fatalf("%q: error %v has no place in the text", in, err)
			}
			return
		}
		text := v.AppendJSON(nil)
		again, err := event.ParseValue(text)
		if err != nil || !event.Equal(v, again) {
			t.Fatalf("%q reads as %s, which reads as %v (%v)", in, text, again, err)
		}
	})
}
