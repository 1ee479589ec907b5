// Democheck reads the output of hindcast demo --json from the file named and
// fails unless it holds what the demo promises: at least one window, each an
// object with a beginning.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: democheck FILE")
		os.Exit(2)
	}
	n, err := check(os.Args[1])
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	fmt.Printf("%d windows\n", n)
}

func check(name string) (windows int, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var out struct {
		Windows []map[string]any `json:"windows"`
	}
	dec := json.NewDecoder(f)
	if err := dec.Decode(&out); err != nil {
		return 0, fmt.Errorf("not the JSON of a demo: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return 0, errors.New("something stands after the JSON object: --json prints one object and nothing else")
	}
	if len(out.Windows) == 0 {
		return 0, errors.New("windows is empty: the demo found no stale read")
	}
	for i, w := range out.Windows {
		if from, ok := w["from"].(string); !ok || from == "" {
			return 0, fmt.Errorf("windows[%d] has no from: %v", i, w)
		}
	}
	return len(out.Windows), nil
}
