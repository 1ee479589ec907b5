package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ProtocolVersion is the version of PROTOCOL.md that this code speaks.
const ProtocolVersion = 1

const (
	helloMagic      = "HCWIRE\r\n"
	helloHeadBytes  = 16
	helloBodyMax    = 1024
	helloBodyFixed  = 16 // of a hello's body: up to the texts
	nameBytesMax    = 128
	refusalTextMax  = helloBodyMax - 2
	greetingHello   = 1
	greetingWelcome = 2
	greetingRefusal = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A RefusalCode says why a connection was refused; PROTOCOL.md lists them.
type RefusalCode uint16

// The codes of a refusal.
const (
	RefusedVersion     RefusalCode = 1
	RefusedService     RefusalCode = 2
	RefusedSameName    RefusalCode = 3
	RefusedOldBoot     RefusalCode = 4
	RefusedWrongNode   RefusalCode = 5
	RefusedNoRoom      RefusalCode = 6
	RefusedUnknownNode RefusalCode = 7
	RefusedClosing     RefusalCode = 8
	RefusedMalformed   RefusalCode = 9
)

// A Refusal is the answer of a side that will not talk to the other.
type Refusal struct {
	Code RefusalCode
	Text string // what is wrong and what to do
}

func (r *Refusal) Error() string { return r.Text }

// A greeting is a hello, a welcome or a refusal.
type greeting struct {
	version uint16
	what    uint8 // greeting*
	role    Role
	boot    uint64
	frame   uint32 // longest frame that this side takes
	service string
	node    string
	to      string
	refusal Refusal
}

// String is the text twin of the bytes.
func (g greeting) String() string {
	switch g.what {
	case greetingRefusal:
		return fmt.Sprintf("refusal version=%d code=%d text=%q", g.version, g.refusal.Code, g.refusal.Text)
	case greetingHello, greetingWelcome:
		name := [...]string{greetingHello: "hello", greetingWelcome: "welcome"}[g.what]
		return fmt.Sprintf("%s version=%d role=%s service=%q node=%q boot=%d to=%q frame=%d",
			name, g.version, g.role, g.service, g.node, g.boot, g.to, g.frame)
	}
	return fmt.Sprintf("greeting(%d) version=%d", g.what, g.version)
}

// errNotHindcast is returned by readGreeting for another magic.
var errNotHindcast = errors.New("not a Hindcast peer: the connection doesn't begin with the protocol's magic")

// A versionError is returned by readGreeting for a version other than ours.
type versionError struct{ version uint16 }

func (e *versionError) Error() string {
	return fmt.Sprintf("the other side speaks protocol version %d, this one %d", e.version, ProtocolVersion)
}

// A malformedError is a greeting of our version that breaks PROTOCOL.md.
type malformedError struct{ what string }

func (e *malformedError) Error() string { return "malformed greeting: " + e.what }

// append encodes the greeting. Its texts are within their limits.
func (g greeting) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, helloMagic...)
	dst = binary.LittleEndian.AppendUint16(dst, g.version)
	dst = append(dst, g.what, 0, 0, 0, 0, 0)
	if g.what == greetingRefusal {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(g.refusal.Code))
		dst = append(dst, clip(g.refusal.Text, refusalTextMax)...)
	} else {
		dst = append(dst, byte(g.role), 0, 0, 0)
		dst = binary.LittleEndian.AppendUint32(dst, g.frame)
		dst = binary.LittleEndian.AppendUint64(dst, g.boot)
		for _, s := range []string{g.service, g.node, g.to} {
			dst = append(append(dst, byte(len(s))), s...)
		}
	}
	body := len(dst) - start - helloHeadBytes
	binary.LittleEndian.PutUint16(dst[start+12:], uint16(body))
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// clip cuts s to at most n bytes, between characters.
func clip(s string, n int) string {
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// readGreeting reads exactly one greeting. A refusal of any version is returned
// as a greeting; anything else of another version is a *versionError, and its
// bytes have been read.
func readGreeting(r io.Reader) (greeting, error) {
	var b [helloHeadBytes + helloBodyMax + 4]byte
	// The magic alone first: who talks something else may never send 16 bytes.
	if _, err := io.ReadFull(r, b[:len(helloMagic)]); err != nil {
		return greeting{}, err
	}
	if string(b[:len(helloMagic)]) != helloMagic {
		return greeting{}, errNotHindcast
	}
	if _, err := io.ReadFull(r, b[len(helloMagic):helloHeadBytes]); err != nil {
		return greeting{}, unexpectedEnd(err)
	}
	n := int(binary.LittleEndian.Uint16(b[12:]))
	if n > helloBodyMax {
		return greeting{}, &malformedError{fmt.Sprintf("a body of %d bytes, the most is %d", n, helloBodyMax)}
	}
	all := b[:helloHeadBytes+n+4]
	if _, err := io.ReadFull(r, all[helloHeadBytes:]); err != nil {
		return greeting{}, unexpectedEnd(err)
	}
	return decodeGreeting(all)
}

func unexpectedEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// decodeGreeting decodes b, which is one whole greeting with its magic checked.
func decodeGreeting(b []byte) (greeting, error) {
	body, sum := b[helloHeadBytes:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if got := crc32.Checksum(b[:len(b)-4], castagnoli); got != sum {
		return greeting{}, &malformedError{fmt.Sprintf("checksum %08x, its bytes have %08x", sum, got)}
	}
	g := greeting{version: binary.LittleEndian.Uint16(b[8:]), what: b[10]}
	if g.what == greetingRefusal {
		return decodeRefusal(g, body)
	}
	if g.version != ProtocolVersion {
		return g, &versionError{g.version}
	}
	if b[11] != 0 || b[14] != 0 || b[15] != 0 {
		return g, &malformedError{"reserved bytes are not 0"}
	}
	if g.what != greetingHello && g.what != greetingWelcome {
		return g, &malformedError{fmt.Sprintf("kind %d", g.what)}
	}
	return decodeHelloBody(g, body)
}

func decodeRefusal(g greeting, body []byte) (greeting, error) {
	if len(body) < 2 {
		return g, &malformedError{"a refusal without a code"}
	}
	g.refusal.Code = RefusalCode(binary.LittleEndian.Uint16(body))
	// The text goes to a log: nothing in it may reach a terminal as control.
	g.refusal.Text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(body[2:]), "?"))
	return g, nil
}

func decodeHelloBody(g greeting, body []byte) (greeting, error) {
	if len(body) < helloBodyFixed || body[1] != 0 || body[2] != 0 || body[3] != 0 {
		return g, &malformedError{"the body is short or its reserved bytes are not 0"}
	}
	g.role = Role(body[0])
	g.frame = binary.LittleEndian.Uint32(body[4:])
	g.boot = binary.LittleEndian.Uint64(body[8:])
	rest := body[helloBodyFixed:]
	for _, s := range []*string{&g.service, &g.node, &g.to} {
		if len(rest) < 1 || len(rest) < 1+int(rest[0]) {
			return g, &malformedError{"a text is longer than the body"}
		}
		*s = string(rest[1 : 1+int(rest[0])])
		rest = rest[1+len(*s):]
	}
	if len(rest) != 0 {
		return g, &malformedError{fmt.Sprintf("%d bytes after its end", len(rest))}
	}
	return g, g.check()
}

// check holds what PROTOCOL.md says of the fields of a hello or welcome.
func (g greeting) check() error {
	nodeMin := 1
	switch {
	case g.role == RoleClient && g.what == greetingHello:
		nodeMin = 0
	case g.role != RoleNode:
		return &malformedError{g.role.String()}
	case g.boot == 0:
		return &malformedError{"boot number 0"}
	}
	for _, n := range []struct {
		what, name string
		min        int
	}{{"service", g.service, 1}, {"node", g.node, nodeMin}, {"meant node", g.to, 0}} {
		if err := checkName(n.what, n.name, n.min); err != nil {
			return &malformedError{err.Error()}
		}
	}
	return nil
}

// checkName holds what PROTOCOL.md says of names.
func checkName(what, name string, bytesMin int) error {
	if len(name) < bytesMin || len(name) > nameBytesMax {
		return fmt.Errorf("%s name has %d bytes, want %d to %d", what, len(name), bytesMin, nameBytesMax)
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("%s name %q is not plain UTF-8 text", what, name)
	}
	return nil
}
