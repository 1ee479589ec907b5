package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"hindcast.dev/hlc"
)

// FormatVersion is the version of the format that this build writes, and the
// only one it reads.
const FormatVersion = 1

// manifestMax bounds recording.json, in bytes.
const manifestMax = 16 << 20

// A Manifest is what recording.json says.
type Manifest struct {
	Format  int       `json:"format"`
	Service string    `json:"service"`
	Created time.Time `json:"created"`
	Tool    string    `json:"tool,omitempty"`   // that made the recording, with its version
	Origin  string    `json:"origin,omitempty"` // what made it: demo, pull, crash, bundle, simulation…
	Nodes   []Node    `json:"nodes"`            // sorted by name, each once
	Crash   *Crash    `json:"crash,omitempty"`
	// Snapshot is there in a snapshot.
	Snapshot *Snapshot `json:"snapshot,omitempty"`
}

// A Node is what a manifest says of one node.
type Node struct {
	Name       string            `json:"name"`
	Address    string            `json:"address,omitempty"`    // that it was pulled from
	Build      string            `json:"build,omitempty"`      // as of its last start, like the next three
	Versions   map[string]uint32 `json:"versions,omitempty"`   // machine → version
	Boot       uint64            `json:"boot,omitempty"`       // its number
	Durability string            `json:"durability,omitempty"` // the policy's name
	Missing    string            `json:"missing,omitempty"`    // why nothing of it is here, "" if something is
	Gaps       []Gap             `json:"gaps,omitempty"`
	Cut        *Cut              `json:"cut,omitempty"` // in a snapshot: what of it is in
}

// A Gap is a span of time [From, To) for which a recording lacks something. With
// neither it is what comes after the end of what is here.
type Gap struct {
	From   hlc.Timestamp `json:"from,omitempty"`
	To     hlc.Timestamp `json:"to,omitempty"` // 0 is open
	Reason string        `json:"reason"`
}

// A Crash says which event was the last of a node before it crashed.
type Crash struct {
	Node   string `json:"node"`
	Boot   uint64 `json:"boot"`
	Seq    uint64 `json:"seq"`
	Reason string `json:"reason"`
	Stack  string `json:"stack,omitempty"`
}

// Node returns what is said of the node with this name.
func (m Manifest) Node(name string) (Node, bool) {
	for _, n := range m.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return Node{}, false
}

// Builds returns the builds of all nodes, sorted, each once.
func (m Manifest) Builds() []string {
	var out []string
	for _, n := range m.Nodes {
		if n.Build != "" {
			out = append(out, n.Build)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (m Manifest) clone() Manifest {
	m.Format = FormatVersion
	nodes := make([]Node, len(m.Nodes))
	for i, n := range m.Nodes {
		nodes[i] = n.clone()
	}
	m.Nodes = nodes
	sortNodes(m.Nodes)
	if m.Crash != nil {
		c := *m.Crash
		m.Crash = &c
	}
	if m.Snapshot != nil {
		s := *m.Snapshot
		m.Snapshot = &s
	}
	return m
}

func (n Node) clone() Node {
	n.Versions, n.Gaps = maps.Clone(n.Versions), slices.Clone(n.Gaps)
	if n.Cut != nil {
		c := *n.Cut
		n.Cut = &c
	}
	return n
}

func sortNodes(nodes []Node) {
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
}

// mergeGaps returns the gaps of both, sorted, each once.
func mergeGaps(a, b []Gap) []Gap {
	out := append(slices.Clone(a), b...)
	slices.SortStableFunc(out, func(a, b Gap) int {
		return 2*compare(a.From, b.From) + compare(a.To, b.To)
	})
	return slices.Compact(out)
}

func compare(a, b hlc.Timestamp) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// A ManifestError says what is wrong with a recording.json.
type ManifestError struct {
	File   string
	Offset int64 // in bytes; -1 if the place isn't known
	Detail string
	Remedy string
}

func (e *ManifestError) Error() string {
	at := e.File
	if e.Offset >= 0 {
		at = fmt.Sprintf("%s: byte %d", e.File, e.Offset)
	}
	return fmt.Sprintf("%s: %s; %s", at, e.Detail, e.Remedy)
}

const (
	remedyManifest = "mend the file by hand (recording/FORMAT.md describes it), or pull the nodes into a new directory"
	remedyNewer    = "open the recording with a newer hindcast"
)

func decodeManifest(file string, b []byte) (Manifest, error) {
	var head struct {
		Format *int `json:"format"`
	}
	bad := func(offset int64, format string, args ...any) (Manifest, error) {
		return Manifest{}, &ManifestError{File: file, Offset: offset, Detail: fmt.Sprintf(format, args...), Remedy: remedyManifest}
	}
	// The version is looked at before the rest, which another one may have changed.
	if err := json.Unmarshal(b, &head); err != nil {
		return bad(jsonOffset(err), "not a manifest: %v", err)
	}
	switch {
	case head.Format == nil:
		return bad(-1, `no "format" in it: not a recording's manifest`)
	case *head.Format > FormatVersion:
		return Manifest{}, &ManifestError{File: file, Offset: -1, Remedy: remedyNewer,
			Detail: fmt.Sprintf("format version %d, this build knows %d", *head.Format, FormatVersion)}
	case *head.Format != FormatVersion:
		return bad(-1, "format version %d, want %d", *head.Format, FormatVersion)
	}
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return bad(jsonOffset(err), "%v", err)
	}
	if detail := m.problem(); detail != "" {
		return bad(-1, "%s", detail)
	}
	sortNodes(m.Nodes)
	return m, nil
}

// jsonOffset returns the place that an error of package json names, -1 if none.
func jsonOffset(err error) int64 {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return syntax.Offset
	case errors.As(err, &typ):
		return typ.Offset
	}
	return -1
}

// problem returns what can't be in a manifest, "" if nothing.
func (m *Manifest) problem() string {
	seen := map[string]bool{}
	for i, n := range m.Nodes {
		switch {
		case n.Name == "" || !utf8.ValidString(n.Name):
			return fmt.Sprintf("node number %d has the name %q: want one that is not empty and valid UTF-8", i+1, n.Name)
		case seen[n.Name]:
			return fmt.Sprintf("node %q stands there twice", n.Name)
		}
		seen[n.Name] = true
		for _, g := range n.Gaps {
			if g.To != 0 && g.To <= g.From {
				return fmt.Sprintf("node %q has a gap from %v to %v, which ends before it begins", n.Name, g.From, g.To)
			}
		}
	}
	return ""
}

// encode returns the text of recording.json.
func (m *Manifest) encode(file string) ([]byte, error) {
	if detail := m.problem(); detail != "" {
		return nil, &ManifestError{File: file, Offset: -1, Detail: detail, Remedy: "nothing was written"}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return b.Bytes(), nil
}
