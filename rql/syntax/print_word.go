package syntax

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// nameText is a name that may stand alone in an expression.
func nameText(s string) string {
	if literalWords[upperASCII(s)] {
		return backquote(s)
	}
	return logText(s)
}

// logText is a name that is followed by a dot or stands where no expression can.
func logText(s string) string {
	if reserved[upperASCII(s)] {
		return backquote(s)
	}
	return fieldText(s)
}

// fieldText is a name after a dot.
func fieldText(s string) string {
	if isWord(s) {
		return s
	}
	return backquote(s)
}

func backquote(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

// eventText is the name of an event, whose dots belong to it.
func eventText(s string) string {
	first, rest, dotted := strings.Cut(s, ".")
	if logText(first) != first {
		return backquote(s)
	}
	for dotted {
		var part string
		if part, rest, dotted = strings.Cut(rest, "."); !isWord(part) {
			return backquote(s)
		}
	}
	return s
}

func nodeText(s string) string {
	if logText(s) == s {
		return s
	}
	return stringText(s)
}

func stringText(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range s {
		switch i := strings.IndexRune("\\'\n\t\r", r); {
		case i >= 0:
			b.WriteByte('\\')
			b.WriteByte(`\'ntr`[i])
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

func floatText(v float64) string {
	s := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") && !math.IsInf(v, 0) {
		s += ".0"
	}
	return s
}

func timeText(t *Time) string {
	s := [...]string{BaseAt: "", BaseNow: "NOW", BaseStart: "START", BaseEnd: "END"}[t.Base]
	if t.Base == BaseAt {
		s = t.At.String()
	}
	switch {
	case t.Offset > 0:
		s += " + " + durationText(t.Offset)
	case t.Offset < 0:
		s += " - " + durationText(-t.Offset)
	}
	return s
}

// durationText is d, which is not negative, in the largest unit of which it is a
// whole number.
func durationText(d time.Duration) string {
	for _, u := range [...]struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "us"}} {
		if d >= u.size && d%u.size == 0 {
			return strconv.FormatInt(int64(d/u.size), 10) + u.name
		}
	}
	if d == 0 {
		return "0s"
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}
