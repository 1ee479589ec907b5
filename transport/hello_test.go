package transport

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// printed returns the bytes that PROTOCOL.md shows under the label.
func printed(t *testing.T, label string) []byte {
	t.Helper()
	page, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```"+label+"\n")
	text, _, ok2 := strings.Cut(rest, "```")
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if !ok || !ok2 || err != nil {
		t.Fatalf("PROTOCOL.md: no bytes under %q: %v", label, err)
	}
	return b
}

func TestTheBytesOnTheProtocolPageAreThese(t *testing.T) {
	for label, want := range map[string]string{
		"hello":   `hello version=1 role=node service="kv" node="n1" boot=3 to="n2" frame=16777216`,
		"refusal": `refusal version=1 code=2 text="node q1 belongs to service queue, not to kv: check the address"`,
	} {
		b := printed(t, label)
		g, err := readGreeting(bytes.NewReader(b))
		if err != nil || g.String() != want {
			t.Errorf("%s: %v, %v\nwant %s", label, g, err, want)
		}
		if again := g.append(nil); !bytes.Equal(again, b) {
			t.Errorf("%s encodes to\n% x, the page has\n% x", label, again, b)
		}
	}
}

func TestAGreetingComesBackAsItWas(t *testing.T) {
	name := rapid.StringMatching(`[a-zäß0-9.]{1,40}`)
	rapid.Check(t, func(t *rapid.T) {
		g := greeting{version: ProtocolVersion, what: rapid.SampledFrom([]uint8{greetingHello, greetingWelcome}).Draw(t, "what"),
			role: RoleNode, boot: rapid.Uint64Min(1).Draw(t, "boot"), frame: rapid.Uint32().Draw(t, "frame"),
			service: name.Draw(t, "service"), node: name.Draw(t, "node"), to: name.Draw(t, "to")}
		b := g.append(nil)
		after := bytes.NewReader(append(b, "frames"...))
		got, err := readGreeting(after)
		if err != nil || got != g {
			t.Fatalf("got %v, %v\nwant %v", got, err, g)
		}
		if after.Len() != len("frames") {
			t.Fatalf("%d bytes are left, a greeting must not read beyond its end", after.Len())
		}
		for n := range b {
			if _, err := readGreeting(bytes.NewReader(b[:n])); err != io.ErrUnexpectedEOF && err != io.EOF {
				t.Fatalf("cut after %d bytes: %v", n, err)
			}
		}
		bit := rapid.IntRange(0, len(b)*8-1).Draw(t, "bit")
		b[bit/8] ^= 1 << (bit % 8)
		if got, err := readGreeting(bytes.NewReader(b)); err == nil {
			t.Fatalf("bit %d flipped goes unnoticed: %v", bit, got)
		}
	})
}

// sealed puts the checksum of a greeting right.
func sealed(b []byte) []byte {
	n := len(b) - 4
	binary.LittleEndian.PutUint32(b[n:], crc32.Checksum(b[:n], castagnoli))
	return b
}

func TestAnotherVersionIsNamedAndNotCalledGarbage(t *testing.T) {
	b := printed(t, "hello")
	b[8] = 2
	b[17] = 99 // whatever version 2 may put into the body
	_, err := readGreeting(bytes.NewReader(sealed(b)))
	var v *versionError
	if !errors.As(err, &v) || v.version != 2 {
		t.Errorf("%v, want a versionError of 2", err)
	}
	b = printed(t, "refusal")
	b[8] = 2
	if g, err := readGreeting(bytes.NewReader(sealed(b))); err != nil || g.refusal.Code != RefusedService {
		t.Errorf("a refusal by version 2: %v, %v", g, err)
	}
}

func TestABrokenGreetingSaysWhatIsWrong(t *testing.T) {
	hello := printed(t, "hello")
	at := func(i int, v byte) []byte {
		b := bytes.Clone(hello)
		b[i] = v
		return sealed(b)
	}
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"foreign":       {[]byte("GET / HTTP/1.1\r\n\r\n"), "doesn't begin with the protocol's magic"},
		"long body":     {at(13, 0xff), "a body of 65305 bytes, the most is 1024"},
		"kind":          {at(10, 9), "kind 9"},
		"reserved":      {at(11, 1), "reserved bytes are not 0"},
		"body reserved": {at(17, 1), "reserved bytes are not 0"},
		"role":          {at(16, 7), "role(7)"},
		"boot":          {at(24, 0), "boot number 0"},
		"text length":   {at(32, 200), "a text is longer than the body"},
		"rest":          {at(38, 0), "2 bytes after its end"},
		"control":       {at(36, 0x1b), `node name "\x1b1" is not plain UTF-8 text`},
		"no service":    {sealed([]byte("HCWIRE\r\n\x01\x00\x02\x00\x13\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00sum?")), "service name has 0 bytes, want 1 to 128"},
		"checksum":      {append(bytes.Clone(hello[:len(hello)-1]), 0), "checksum 00603405, its bytes have d6603405"},
	} {
		_, err := readGreeting(bytes.NewReader(c.b))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestARefusalsTextIsCutToItsLimitAndHarmless(t *testing.T) {
	g := greeting{version: 1, what: greetingRefusal, refusal: Refusal{RefusedNoRoom, "\x1b[2Jé" + strings.Repeat("é", helloBodyMax)}}
	got, err := readGreeting(bytes.NewReader(g.append(nil)))
	if err != nil {
		t.Fatal(err)
	}
	if text := got.refusal.Text; len(text) != refusalTextMax || !strings.HasPrefix(text, " [2Jéé") || !strings.HasSuffix(text, "éé") {
		t.Errorf("%d bytes: %q…", len(text), text[:20])
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add(greeting{version: 1, what: greetingHello, role: RoleNode, boot: 3, frame: 9, service: "kv", node: "n1", to: "n2"}.append(nil))
	f.Add(greeting{version: 1, what: greetingRefusal, refusal: Refusal{1, "no"}}.append(nil))
	f.Add([]byte(helloMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		// The checksum is put right, so that what lies behind it is reached.
		if len(b) >= helloHeadBytes+4 {
			if n := helloHeadBytes + int(binary.LittleEndian.Uint16(b[12:])) + 4; n <= len(b) {
				sealed(b[:n])
			}
		}
		r := bytes.NewReader(b)
		g, err := readGreeting(r)
		if err != nil || g.what == greetingRefusal {
			return
		}
		if again := g.append(nil); !bytes.Equal(again, b[:len(b)-r.Len()]) {
			t.Fatalf("encodes to\n% x, was\n% x", again, b[:len(b)-r.Len()])
		}
	})
}
