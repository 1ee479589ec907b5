package app

import (
	"fmt"
	"io"
	"strings"
	"time"

	"hindcast.dev/check"
	"hindcast.dev/event"
)

// A checkReport is what check says.
type checkReport struct {
	What       string        `json:"what"`
	Format     string        `json:"format"` // "history", "jepsen", "edn", "jsonl"
	Operations int           `json:"operations"`
	Results    []checkResult `json:"results"`
	Strongest  string        `json:"strongest,omitempty"` // one line: what holds and what doesn't
	Pictures   []string      `json:"pictures,omitempty"`
}

type checkResult struct {
	Property   string           `json:"property"`
	Model      string           `json:"model,omitempty"`
	Verdict    string           `json:"verdict"`
	Bound      string           `json:"bound,omitempty"` // why it is undecided
	Operations int              `json:"operations"`
	Keys       int              `json:"keys,omitempty"`
	Steps      int64            `json:"steps"`
	Seconds    float64          `json:"seconds"`
	Violations []checkViolation `json:"violations,omitempty"`
	Isolation  *checkIsolation  `json:"isolation,omitempty"` // of transactions

	verdict    check.Verdict
	violations []check.Violation
}

type checkViolation struct {
	Property   string           `json:"property"`
	Key        string           `json:"key,omitempty"`
	Text       string           `json:"text"`
	Operations []checkOperation `json:"operations"`
}

type checkOperation struct {
	Process int          `json:"process"`
	F       string       `json:"f"`
	Key     string       `json:"key,omitempty"`
	Input   *event.Value `json:"input,omitempty"`
	Output  *event.Value `json:"output,omitempty"`
	Outcome string       `json:"outcome"`
	Call    int64        `json:"call"`
	Return  *int64       `json:"return,omitempty"` // none: it never came
	Ref     string       `json:"ref,omitempty"`
}

// A checkIsolation is what transactions were found to be.
type checkIsolation struct {
	Strongest []string       `json:"strongest"` // models that are left; several where none implies another
	Excluded  []string       `json:"excluded"`  // the weakest that are not: all that imply them aren't either
	Anomalies []checkAnomaly `json:"anomalies"`
}

type checkAnomaly struct {
	Name     string   `json:"name"`
	Gloss    string   `json:"gloss"`
	Count    int      `json:"count"`
	Excludes []string `json:"excludes"`
	Text     string   `json:"text"` // an example, explained
}

func newCheckIsolation(i *check.Isolation) *checkIsolation {
	if i == nil {
		return nil
	}
	out := &checkIsolation{Strongest: orEmpty(i.Strongest), Excluded: orEmpty(i.Excluded), Anomalies: []checkAnomaly{}}
	for _, a := range i.Anomalies {
		out.Anomalies = append(out.Anomalies, checkAnomaly{a.Name, a.Gloss, a.Count, a.Excludes, a.Example.Text})
	}
	return out
}

// orEmpty makes of no names an empty list, for JSON.
func orEmpty(names []string) []string { return append([]string{}, names...) }

func newCheckResult(r *check.Result, took time.Duration) checkResult {
	out := checkResult{Property: r.Check, Model: r.Model, Verdict: r.Verdict.String(), Bound: r.Bound, Operations: r.Operations, Keys: r.Keys,
		Steps: r.Steps, Seconds: took.Seconds(), verdict: r.Verdict, violations: r.Violations,
		Isolation: newCheckIsolation(r.Isolation)}
	for i := range r.Violations {
		v := &r.Violations[i]
		cv := checkViolation{Property: v.Property, Key: v.Key, Text: v.Text}
		for j := range v.Operations {
			cv.Operations = append(cv.Operations, newCheckOperation(&v.Operations[j]))
		}
		out.Violations = append(out.Violations, cv)
	}
	return out
}

func newCheckOperation(op *check.Operation) checkOperation {
	out := checkOperation{Process: op.Process, F: op.F, Key: op.Key, Outcome: op.Outcome.String(), Call: op.Call, Ref: op.Ref}
	if !op.Input.IsAbsent() {
		out.Input = &op.Input
	}
	if !op.Output.IsAbsent() {
		out.Output = &op.Output
	}
	if op.Return != check.Open {
		out.Return = &op.Return
	}
	return out
}

// write writes the report for people.
func (r *checkReport) write(w io.Writer) error {
	var b strings.Builder
	for i := range r.Results {
		var before *checkResult
		if i > 0 {
			before = &r.Results[i-1]
		}
		r.Results[i].write(&b, before)
	}
	if r.Strongest != "" {
		fmt.Fprintf(&b, "%s\n", r.Strongest)
	}
	for _, p := range r.Pictures {
		fmt.Fprintf(&b, "picture: %s\n", p)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// write writes one result; what the one before it had said isn't said again.
func (r *checkResult) write(b *strings.Builder, before *checkResult) {
	name := r.Property
	if r.Model != "" {
		name += " (" + r.Model + ")"
	}
	on := ""
	if r.Keys > 1 {
		on = " on " + plural(r.Keys, "key")
	}
	fmt.Fprintf(b, "%s: %s, %s%s\n", name, r.Verdict, plural(r.Operations, "operation"), on)
	if r.Bound != "" && (before == nil || r.Bound != before.Bound) {
		fmt.Fprintf(b, "  %s\n", r.Bound)
	}
	for i := range r.violations {
		text := r.violations[i].Text
		if first, why, _ := strings.Cut(text, "\n"); before != nil && len(before.violations) == len(r.violations) && i < len(before.violations) {
			if _, same, told := strings.Cut(before.violations[i].Text, "\n"); told && why == same {
				text = first + ",\nfor the same reason"
			}
		}
		fmt.Fprintf(b, "\n  %s\n", strings.ReplaceAll(text, "\n", "\n  "))
	}
	if len(r.violations) > 0 {
		b.WriteString("\n")
	}
}

// exit gives the verdicts their exit code.
func (r *checkReport) exit() error {
	undecided := false
	for i := range r.Results {
		switch r.Results[i].verdict {
		case check.Violated:
			return &ExitError{Code: ExitFound}
		case check.Undecided:
			undecided = true
		}
	}
	if undecided {
		return &ExitError{Code: ExitUndecided}
	}
	return nil
}
