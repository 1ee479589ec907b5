package shiviz

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// hostsMax bounds the hosts of a log, and so the components of a clock.
const hostsMax = 100_000

// parseClock reads a vector clock: a JSON object of host and count, in which
// quotes may be written \" because it stood in a string.
func parseClock(b []byte) (map[string]uint64, error) {
	text := strings.TrimSpace(string(b))
	if strings.HasPrefix(text, `{\"`) {
		text = strings.ReplaceAll(text, `\"`, `"`)
	}
	var c map[string]uint64
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return nil, fmt.Errorf("want a clock like {\"host\": 3, …}: %w", err)
	}
	if c == nil {
		return nil, errors.New("want a clock like {\"host\": 3, …}")
	}
	return c, nil
}

func trimmed(b []byte) string { return strings.TrimSpace(string(b)) }

// A component is what a clock says of one host.
type component struct {
	host int
	n    uint64
}

// A vector is a clock without its zeros, by host.
type vector []component

func (v vector) at(host int) uint64 {
	i, ok := slices.BinarySearchFunc(v, host, func(c component, h int) int { return c.host - h })
	if !ok {
		return 0
	}
	return v[i].n
}
