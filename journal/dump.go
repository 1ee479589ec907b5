package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/vfs"
)

// DumpOptions say what Dump prints, and how.
type DumpOptions struct {
	JSON     bool   // one object a line
	From, To uint64 // sequence numbers [From, To); 0 is open
	Full     bool   // text: payloads are not cut
}

// dumpPayloadMax is where a payload is cut in text, in bytes.
const dumpPayloadMax = 120

// Dump writes the stamped events of a journal or archive, one a line: the text
// twin of the format. After the last line of text it says where history ends. An
// error of Reader.Next is returned after what comes before it was written.
func Dump(w io.Writer, fsys vfs.FS, dir string, o DumpOptions) error {
	r, err := OpenReader(fsys, dir, o.From)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	err = dump(b, r, o)
	return errors.Join(err, b.Flush(), r.Close())
}

func dump(w *bufio.Writer, r *Reader, o DumpOptions) error {
	for {
		e, err := r.Next()
		switch {
		case err == io.EOF:
			if !o.JSON {
				fmt.Fprintf(w, "# history ends in segment %d at byte %d\n", r.sc.Number, r.sc.off)
			}
			return nil
		case err != nil:
			return err
		case o.To != 0 && e.Stamp.Seq >= o.To:
			return nil
		case o.JSON:
			err = dumpJSON(w, &e)
		default:
			_, err = w.Write(dumpText(nil, &e, o.Full))
		}
		if err != nil {
			return err
		}
	}
}

// dumpText appends a line such as
//
//	7 2026-11-21T19:46:53.123456Z/0 boot=1 recv inv Put v2 id=n2/3/7/1 from=web payload="hello"
//
// in which machine and name are - if empty, and what is zero is left out.
func dumpText(b []byte, e *Entry, full bool) []byte {
	b = strconv.AppendUint(b, e.Stamp.Seq, 10)
	b = e.Stamp.Time.Append(append(b, ' '))
	b = fmt.Appendf(b, " boot=%d %v %s %s v%d", e.Stamp.Boot, e.Kind, orDash(e.Machine), orDash(e.Name), e.Version)
	if !e.ID.IsZero() {
		b = append(append(b, " id="...), e.ID.String()...)
	}
	if e.From != "" {
		b = append(append(b, " from="...), e.From...)
	}
	if e.Sent != 0 {
		b = e.Sent.Append(append(b, " sent="...))
	}
	if e.Flags != 0 {
		b = fmt.Appendf(b, " flags=%#x", e.Flags)
	}
	if e.Stamp.Physical != 0 {
		b = e.Stamp.Physical.Append(append(b, " physical="...))
	}
	if e.Stamp.Chain != 0 {
		b = fmt.Appendf(b, " chain=%016x", e.Stamp.Chain)
	}
	if e.Stamp.Disposition != record.Handled {
		b = fmt.Appendf(b, " %v", e.Stamp.Disposition)
	}
	b = dumpBytes(b, " baggage=", e.Baggage, full)
	b = dumpBytes(b, " payload=", e.Payload, full)
	return append(b, '\n')
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// dumpBytes shows text as a quoted string and anything else as x'hex'.
func dumpBytes(b []byte, label string, data []byte, full bool) []byte {
	if len(data) == 0 {
		return b
	}
	b = append(b, label...)
	shown := data
	if !full && len(data) > dumpPayloadMax {
		shown = data[:dumpPayloadMax]
	}
	if text(shown) {
		b = strconv.AppendQuote(b, string(shown))
	} else {
		b = fmt.Appendf(b, "x'%x'", shown)
	}
	if len(shown) < len(data) {
		b = fmt.Appendf(b, "…(%d bytes)", len(data))
	}
	return b
}

func text(b []byte) bool {
	for _, r := range string(b) {
		if r == utf8.RuneError || !strconv.IsPrint(r) && r != '\n' && r != '\t' {
			return false
		}
	}
	return true
}

// A dumpLine is an event as JSON; Payload and Baggage are base64.
type dumpLine struct {
	Seq         uint64        `json:"seq"`
	Time        hlc.Timestamp `json:"time"`
	Physical    hlc.Timestamp `json:"physical"`
	Chain       string        `json:"chain"`
	Boot        uint64        `json:"boot"`
	Disposition string        `json:"disposition"`
	Kind        string        `json:"kind"`
	Machine     string        `json:"machine,omitempty"`
	Name        string        `json:"name,omitempty"`
	Version     uint32        `json:"version,omitempty"`
	ID          string        `json:"id,omitempty"`
	From        string        `json:"from,omitempty"`
	Sent        hlc.Timestamp `json:"sent,omitempty"`
	Flags       uint8         `json:"flags,omitempty"`
	Baggage     []byte        `json:"baggage,omitempty"`
	Payload     []byte        `json:"payload,omitempty"`
	Segment     uint64        `json:"segment"`
	Offset      int64         `json:"offset"`
	Length      int           `json:"length"`
}

func dumpJSON(w io.Writer, e *Entry) error {
	ev := record.EventOf(&e.Frame, e.Stamp)
	return json.NewEncoder(w).Encode(dumpLine{
		Seq: ev.Seq, Time: ev.Time, Physical: e.Stamp.Physical, Chain: fmt.Sprintf("%016x", e.Stamp.Chain), Boot: e.Stamp.Boot,
		Disposition: e.Stamp.Disposition.String(), Kind: ev.Kind.String(), Machine: ev.Machine, Name: ev.Name,
		Version: ev.Version, ID: ev.ID.String(), From: ev.From, Sent: ev.Sent, Flags: e.Flags,
		Baggage: ev.Baggage, Payload: ev.Payload, Segment: e.Segment, Offset: e.Offset, Length: e.Length,
	})
}
