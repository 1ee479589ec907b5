package history

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/vfs"
)

// exampleText is the History that FORMAT.md shows as bytes.
const exampleText = `{"node":"n1","build":"b1"}
{"node":"n1","ts":"2025-11-21T19:46:53.500000Z/0","pt":"2025-11-21T19:46:53.250000Z/0","seq":1,"kind":"recv","machine":"kv","from":"n2","id":"n2/1/7/0","name":"Put","data":{"key":"x"},"set":{"kv.items[\"x\"]":1}}
`

// exampleDump returns the text between two marks of FORMAT.md.
func exampleDump(t *testing.T, heading string) string {
	t.Helper()
	page, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "### "+heading+"\n")
	if !ok {
		t.Fatalf("FORMAT.md has no %q", heading)
	}
	_, rest, _ = strings.Cut("\n"+rest, "\n\n```\n") // past the JSON, if there is any
	dump, _, _ := strings.Cut(rest, "```")
	return dump
}

// undump reads lines of "offset  bytes in hexadecimal  | remark".
func undump(t *testing.T, dump string) []byte {
	t.Helper()
	var out []byte
	for line := range strings.Lines(dump) {
		line, _, _ = strings.Cut(line, "|")
		offset, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		if offset != fmt.Sprintf("%04x", len(out)) {
			t.Fatalf("line %q: want offset %04x", line, len(out))
		}
		b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		out = append(out, b...)
	}
	return out
}

func TestTheBytesPrintedInTheFormatPageAreAHistory(t *testing.T) {
	fsys := vfs.NewMem()
	run := undump(t, exampleDump(t, "Example"))
	for name, b := range map[string][]byte{"run-000001": run, manifestName: []byte(exampleDump(t, "Example manifest"))} {
		if err := vfs.WriteFile(fsys, name, b); err != nil {
			t.Fatal(err)
		}
	}
	d, err := OpenDisk(fsys, ".")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var b strings.Builder
	if err := WriteText(&b, d); err != nil || b.String() != exampleText {
		t.Fatalf("got (%v)\n%s\nwant\n%s", err, b.String(), exampleText)
	}
	if m, err := d.Message(t.Context(), "n2/1/7/0"); err != nil || len(m.Receives) != 1 {
		t.Fatalf("message: %+v (%v)", m, err)
	}
	if e, err := d.Event(t.Context(), 0, 1); err != nil || !event.Equal(e.Changes[0].Value, event.Int(1)) {
		t.Fatalf("event: %+v (%v)", e, err)
	}
}
