package raftkv

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options are what the node's settings say, by the names in Settings.
type Options struct {
	Tick          time.Duration // the leader's clock
	ElectionTick  int           // ticks without a leader before an election, at least
	HeartbeatTick int           // ticks between heartbeats
	CheckQuorum   bool          // a leader that doesn't hear of a majority steps down
	PreVote       bool          // who wouldn't win doesn't begin an election
	Forward       bool          // writes are passed on to the leader; else they are refused and it is named
	MaxInflight   int           // messages with entries on their way to one node
	MaxMessage    int           // bytes of entries in one message
	SnapshotEvery int           // entries that are applied before the log is cut
	Keep          int           // entries that stay when it is cut
	MaxBytes      int           // of keys and values in the store: a snapshot is one message
	Timeout       time.Duration // how long an operation may wait
	Retry         time.Duration // how long a question for the read index may
	Voters        string        // names with commas between them; "" is all nodes
}

// Settings are the names of the settings and their defaults.
func Settings() map[string]string {
	return map[string]string{"tick": "100ms", "electionTick": "10", "heartbeatTick": "1", "checkQuorum": "true", "preVote": "true",
		"forward": "true", "maxInflight": "256", "maxMessage": "65536", "snapshotEvery": "10000", "keep": "5000",
		"maxBytes": "4194304", "timeout": "5s", "retry": "500ms", "voters": ""}
}

// options reads settings. After an error they are the defaults.
func options(set map[string]string) (Options, error) {
	o, err := parse(func(name string) string {
		if v, ok := set[name]; ok {
			return v
		}
		return Settings()[name]
	})
	if err != nil {
		o, _ = parse(func(name string) string { return Settings()[name] })
	}
	return o, err
}

func parse(get func(name string) string) (o Options, err error) {
	var errs []error
	number := func(name string, least int) int {
		n, err := strconv.Atoi(get(name))
		if err != nil || n < least {
			errs = append(errs, fmt.Errorf("%s=%q: want a number of at least %d", name, get(name), least))
		}
		return n
	}
	truth := func(name string) bool {
		b, err := strconv.ParseBool(get(name))
		if err != nil {
			errs = append(errs, fmt.Errorf("%s=%q: want true or false", name, get(name)))
		}
		return b
	}
	span := func(name string) time.Duration {
		d, err := time.ParseDuration(get(name))
		if err != nil || d < time.Millisecond {
			errs = append(errs, fmt.Errorf("%s=%q: want a duration of at least 1ms", name, get(name)))
		}
		return d
	}
	o = Options{Tick: span("tick"), HeartbeatTick: number("heartbeatTick", 1), CheckQuorum: truth("checkQuorum"), PreVote: truth("preVote"),
		Forward: truth("forward"), MaxInflight: number("maxInflight", 1), MaxMessage: number("maxMessage", 1),
		SnapshotEvery: number("snapshotEvery", 1), Keep: number("keep", 0), MaxBytes: number("maxBytes", 1),
		Timeout: span("timeout"), Retry: span("retry"), Voters: get("voters")}
	o.ElectionTick = number("electionTick", o.HeartbeatTick+1)
	return o, errors.Join(errs...)
}

// voters are the nodes that vote in the beginning, sorted.
func (o *Options) voters(all []string) []string {
	if o.Voters != "" {
		all = strings.Split(o.Voters, ",")
	}
	return slices.Sorted(slices.Values(all))
}
