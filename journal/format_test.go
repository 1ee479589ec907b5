package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the examples in FORMAT.md and testdata")

// hexDump is what stands in FORMAT.md: 16 bytes a line, repeated lines as *.
func hexDump(b []byte) string {
	var out strings.Builder
	starred := false
	for off := 0; off < len(b); off += 16 {
		line := b[off:min(off+16, len(b))]
		if off > 0 && bytes.Equal(line, b[off-16:off]) {
			if !starred {
				out.WriteString("*\n")
			}
			starred = true
			continue
		}
		starred = false
		fmt.Fprintf(&out, "%08x  % x\n", off, line)
	}
	fmt.Fprintf(&out, "%08x\n", len(b))
	return out.String()
}

// parseHexDump is its inverse.
func parseHexDump(t *testing.T, s string) []byte {
	var b, last []byte
	starred := false
	for line := range strings.Lines(strings.TrimSpace(s)) {
		line = strings.TrimSpace(line)
		if line == "*" {
			starred = true
			continue
		}
		off, rest, _ := strings.Cut(line, "  ")
		at, err := strconv.ParseUint(off, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		for starred && len(b) < int(at) {
			b = append(b, last...)
		}
		starred = false
		if last, err = hex.DecodeString(strings.ReplaceAll(rest, " ", "")); err != nil {
			t.Fatal(err)
		}
		b = append(b, last...)
	}
	return b
}

var exampleFrame = record.Frame{Kind: event.Message, Machine: "inv", From: "web", Name: "Put", Version: 2,
	ID:   event.MessageID{Node: "n2", Boot: 3, Seq: 7, Effect: 1},
	Sent: 0x6720_0000_0000_0000, Baggage: []byte("b"), Payload: []byte("hello")}

var exampleStamp = record.Stamp{Time: 0x6720_0000_0001_0000, Physical: 0x6720_0000_0001_0000, Seq: 1, Boot: 1}

// exampleSegment writes what FORMAT.md describes and returns the file.
func exampleSegment(t *testing.T) []byte {
	fsys := vfs.NewMem()
	o := options(fsys)
	o.SegmentBytes = 8192
	o.Nonce = func() uint32 { return 0x0ddba11 }
	j := mustOpen(t, o)
	f := exampleFrame
	mustAppend(t, j, &f)
	if _, ok, err := j.Next(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := j.Stamp(exampleStamp); err != nil {
		t.Fatal(err)
	}
	c, err := j.Claim(32)
	if err != nil {
		t.Fatal(err)
	}
	c.Abort()
	mustClose(t, j)
	b, err := vfs.ReadFile(fsys, testDir+"/00000001.seg", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const hexStart, hexEnd = "```hex\n", "```\n"

func TestTheHexDumpInFormatMdIsWhatTheCodeWrites(t *testing.T) {
	page, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(page), hexStart)
	dump, after, ok2 := strings.Cut(rest, hexEnd)
	if !ok1 || !ok2 {
		t.Fatal("FORMAT.md has no hex dump")
	}
	want := hexDump(exampleSegment(t))
	if *rewrite {
		if err := os.WriteFile("FORMAT.md", []byte(before+hexStart+want+hexEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		dump = want
	}
	if dump != want {
		t.Fatalf("FORMAT.md shows\n%s\nthe code writes\n%s", dump, want)
	}
	decodeExample(t, parseHexDump(t, dump))
}

// decodeExample reads the page's bytes by the offsets that the page states, not
// by the decoders' own.
func decodeExample(t *testing.T, b []byte) {
	le := binary.LittleEndian
	if len(b) != 8192 || string(b[:8]) != "HCASTSEG" || le.Uint32(b[8:]) != 1 || le.Uint32(b[12:]) != 0x0ddba11 ||
		string(b[56:56+b[48]]) != "n1" || le.Uint64(b[512:]) != 1 {
		t.Error("the head is not as described")
	}
	f := b[4096:]
	n := le.Uint32(f)
	if le.Uint32(f[4:]) != 0x0ddba11 || f[12] != byte(event.Message) || string(f[56:56+11]) != "invwebPutn2" ||
		string(f[67:68]) != "b" || string(f[68:73]) != "hello" || le.Uint64(f[n-48+16:]) != 1 {
		t.Error("the frame is not as described")
	}
	if p := f[n:]; le.Uint32(p) != 112 || p[12] != 255 {
		t.Error("the padding is not as described")
	}
	h, err := segment.DecodeHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	got, size, err := record.Decode(f, 4096, h.Nonce)
	if err != nil || size != int(n) || !reflect.DeepEqual(got, exampleFrame) {
		t.Errorf("%+v, %d, %v", got, size, err)
	}
	if s, ok := record.ReadStamp(f[:n], 4096, h.Nonce); !ok || s != exampleStamp {
		t.Errorf("%+v, %v", s, ok)
	}
}
