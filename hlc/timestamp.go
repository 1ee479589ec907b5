// Package hlc is the hybrid logical clock: timestamps that respect
// happened-before and stay close to physical time.
//
// Source: Kulkarni, Demirbas, Madappa, Avva, Leone, "Logical Physical Clocks"
// (OPODIS 2014), section 4, in the compact one-word form of its section 6.
package hlc

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// LogicalBits is the width of a Timestamp's logical part.
const LogicalBits = 16

// TicksPerSecond is the resolution of physical time: a tick is 2⁻¹⁶ s.
const TicksPerSecond = 1 << 16

const (
	logicalMask  = 1<<LogicalBits - 1
	fractionMask = TicksPerSecond - 1
	nanosPerSec  = 1_000_000_000
)

// Max is the last Timestamp that can be written. Nothing is stamped with it: it
// serves as the open end of a range.
const Max Timestamp = 1<<64 - 1

// A Timestamp is a reading of a hybrid logical clock. The top 48 bits are
// physical time in ticks of 2⁻¹⁶ s since the Unix epoch (32 bits of seconds, 16
// of fraction: the upper part of NTP's 64-bit format, good until 2106), the low
// 16 bits are logical. Timestamps compare as integers. The zero Timestamp is
// before every reading.
type Timestamp uint64

// FromTime returns the first Timestamp of t's tick: t is cut down to the tick,
// the logical part is 0. Times outside [1970, 2106) are clamped to that range.
func FromTime(t time.Time) Timestamp {
	sec := t.Unix()
	if sec < 0 {
		return 0
	}
	if sec >= 1<<32 {
		return Max &^ logicalMask
	}
	frac := uint64(t.Nanosecond()) * TicksPerSecond / nanosPerSec
	return Timestamp(uint64(sec)<<32 | frac<<LogicalBits)
}

// Physical returns t without its logical part.
func (t Timestamp) Physical() Timestamp { return t &^ logicalMask }

// Logical returns the logical part, in [0, 65536).
func (t Timestamp) Logical() uint16 { return uint16(t & logicalMask) }

// Ticks returns the physical part in ticks since the epoch, in [0, 2⁴⁸).
func (t Timestamp) Ticks() uint64 { return uint64(t) >> LogicalBits }

// Time returns the physical part as a time in UTC, its fraction rounded up to
// the nanosecond: FromTime gives back exactly t without its logical part.
func (t Timestamp) Time() time.Time {
	return time.Unix(int64(t>>32), int64(fractionNanos(t.Ticks()))).UTC()
}

// Add returns t moved by d, which is cut down to whole ticks; the logical part
// is kept. The result is clamped to the range of Timestamp. For any u with u's
// physical part at or after t's, t.Add(u.Sub(t)) has exactly that physical part.
func (t Timestamp) Add(d time.Duration) Timestamp {
	ticks := DurationTicks(d.Abs())
	if d < 0 {
		if ticks > t.Ticks() {
			return 0
		}
		return t - Timestamp(ticks)<<LogicalBits
	}
	if ticks > Max.Ticks()-t.Ticks() {
		return Max
	}
	return t + Timestamp(ticks)<<LogicalBits
}

// Sub returns the physical time from u to t as TicksDuration does, negative if t
// is before u. Logical parts don't count.
func (t Timestamp) Sub(u Timestamp) time.Duration {
	if t < u {
		return -u.Sub(t)
	}
	return TicksDuration(t.Ticks() - u.Ticks())
}

// DurationTicks cuts a duration down to whole ticks. A negative one has none.
func DurationTicks(d time.Duration) uint64 {
	if d < 0 {
		return 0
	}
	sec, rest := uint64(d/time.Second), uint64(d%time.Second)
	return sec<<LogicalBits | rest*TicksPerSecond/nanosPerSec
}

// TicksDuration is the duration of n ticks, rounded up to the nanosecond, so
// that DurationTicks gives back exactly n; it saturates at the longest duration
// (292 years), which no two Timestamps are apart.
func TicksDuration(n uint64) time.Duration {
	sec := n >> LogicalBits
	if sec > uint64(1<<63-1)/nanosPerSec-1 {
		return 1<<63 - 1
	}
	return time.Duration(sec*nanosPerSec + fractionNanos(n))
}

// fractionNanos is the fraction of a second in n ticks, rounded up.
func fractionNanos(n uint64) uint64 {
	return ((n&fractionMask)*nanosPerSec + TicksPerSecond - 1) / TicksPerSecond
}

// String is the text form: RFC 3339 in UTC with microseconds, rounded up, then
// "/" and the logical part: 2026-11-21T19:46:53.123456Z/0. Parse gives back
// exactly t, because a tick is longer than a microsecond.
func (t Timestamp) String() string { return string(t.Append(nil)) }

// Append appends the text form of t to b.
func (t Timestamp) Append(b []byte) []byte {
	frac := uint64(t) >> LogicalBits & fractionMask
	micros := (frac*1_000_000 + TicksPerSecond - 1) / TicksPerSecond
	b = time.Unix(int64(t>>32), int64(micros*1000)).UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, '/')
	return strconv.AppendUint(b, uint64(t.Logical()), 10)
}

// MarshalText makes Timestamps show as their text form in JSON.
func (t Timestamp) MarshalText() ([]byte, error) { return t.Append(nil), nil }

// UnmarshalText is Parse.
func (t *Timestamp) UnmarshalText(b []byte) error {
	p, err := Parse(string(b))
	if err == nil {
		*t = p
	}
	return err
}

// Parse reads a Timestamp: RFC 3339 with any zone and fraction, cut down to the
// tick, with an optional "/logical" part; or a decimal uint64.
func Parse(s string) (Timestamp, error) {
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return Timestamp(n), nil
	}
	text, logical, hasLogical := strings.Cut(s, "/")
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, fmt.Errorf("timestamp %q: want RFC 3339 like 2026-11-21T19:46:53.123456Z/0 or a decimal uint64", s)
	}
	if sec := t.Unix(); sec < 0 || sec >= 1<<32 {
		return 0, fmt.Errorf("timestamp %q: outside 1970-01-01 to 2106-02-07", s)
	}
	ts := FromTime(t)
	if !hasLogical {
		return ts, nil
	}
	n, err := strconv.ParseUint(logical, 10, LogicalBits)
	if err != nil {
		return 0, fmt.Errorf("timestamp %q: the part after / is the logical count, 0 to 65535", s)
	}
	return ts | Timestamp(n), nil
}
