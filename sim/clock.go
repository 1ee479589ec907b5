package sim

import (
	"time"

	"hindcast.dev/hlc"
)

// A clock is a node's: it may be off, run at another rate, and be set.
//
//	mono = since + (t - at)·(1 + rate)      the node's idea of how long it has been
//	wall = epoch + mono + off
type clock struct {
	at    int64 // virtual time of the last change of rate
	since int64 // mono then
	rate  float64
	off   time.Duration
}

func (c *clock) mono(t int64) int64 {
	d := t - c.at
	return c.since + d + int64(float64(d)*c.rate)
}

// reading is what the node sees at t.
func (c *clock) reading(t int64) hlc.Reading {
	m := time.Duration(c.mono(t))
	return hlc.Reading{Wall: epoch.Add(m + c.off), Mono: m}
}

// setRate lets the clock run faster by a fraction, from t on.
func (c *clock) setRate(t int64, rate float64) {
	c.since, c.at = c.mono(t), t
	c.rate = rate
}

// world is how much virtual time passes in d of the clock's.
func (c *clock) world(d time.Duration) int64 { return int64(float64(d)/(1+c.rate)) + 1 }
