package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hindcast.dev/check"
)

// wordsLines bounds the lines of the story of a run.
const wordsLines = 60

// Words tell what happens in a run, for a person: how much of what, then faults
// and operations in the order of time, then the failure.
func (r *Result) Words() string {
	var b strings.Builder
	clients, nodes := map[int]bool{}, 0
	for i := range r.Operations {
		clients[r.Operations[i].Process] = true
	}
	if r.world != nil {
		nodes = len(r.world.nodes)
	}
	fmt.Fprintf(&b, "%s, %s by %s on %s:\n", count(len(r.Faults), "fault"), count(len(r.Operations), "operation"),
		count(len(clients), "client"), count(nodes, "node"))
	for i, m := range r.story() {
		if i == wordsLines {
			fmt.Fprintf(&b, "  … and %d lines more\n", len(r.story())-i)
			break
		}
		fmt.Fprintf(&b, "  %9s  %s\n", seconds(m.at), m.text)
	}
	if f := r.Failure; f != nil {
		fmt.Fprintf(&b, "  %9s  %s fails: %s\n", seconds(f.At), f.Property, firstLine(f.Text))
	}
	if wild := r.wild(); len(wild) > 0 {
		fmt.Fprintf(&b, "it needs %s\n", strings.Join(wild, ", "))
	}
	return b.String()
}

// A storyLine is a line of a story.
type storyLine struct {
	at   time.Duration
	text string
}

// story is what happens, in the order of time.
func (r *Result) story() []storyLine {
	var all []storyLine
	for _, f := range r.Faults {
		if r.Failure == nil || r.Failure.At == 0 || f.At <= r.Failure.At {
			all = append(all, storyLine{f.At, f.Words()})
		}
	}
	if r.Healed > 0 && len(r.Faults) > 0 && (r.Failure == nil || r.Failure.At == 0 || r.Healed <= r.Failure.At) {
		all = append(all, storyLine{r.Healed, "the faults end"})
	}
	for i := range r.Operations {
		o := &r.Operations[i]
		all = append(all, storyLine{time.Duration(o.Call), operationWords(o)})
	}
	slices.SortStableFunc(all, func(a, b storyLine) int { return int(a.at - b.at) })
	return all
}

func operationWords(o *check.Operation) string {
	words := []string{fmt.Sprintf("client %d: %s", o.Process, o.F)}
	if o.Key != "" {
		words = append(words, o.Key)
	}
	if !o.Input.IsAbsent() {
		words = append(words, brief(o.Input))
	}
	text := strings.Join(words, " ") + ": "
	if o.Return == check.Open {
		return text + "no answer"
	}
	text += o.Outcome.String()
	if !o.Output.IsAbsent() {
		text += " " + brief(o.Output)
	}
	return text + " after " + round(time.Duration(o.Return-o.Call)).String()
}

// wild are the options that were set and aren't calm: those that shrinking could
// not calm, or that a person has set.
func (r *Result) wild() []string {
	var out []string
	for _, d := range r.Drawn {
		if ofSchedule(d.Name) || d.Name == "operations" || !strings.HasPrefix(d.Range, "true with") && !strings.HasPrefix(d.Range, "[") {
			continue
		}
		if len(calmValues(d)) > 0 {
			out = append(out, d.Name+" = "+d.Value)
		}
	}
	return out
}

// Words are the fault as a sentence, but for its time.
func (f Fault) Words() string {
	nodes, peers := strings.Join(f.Nodes, ", "), strings.Join(f.Peers, ", ")
	text := ""
	switch f.Kind {
	case FaultPartition:
		text = fmt.Sprintf("%s cut off from %s", isAre(f.Nodes), peers)
	case FaultOneWay:
		text = fmt.Sprintf("what %s sends doesn't reach %s", nodes, peers)
	case FaultBridge:
		text = fmt.Sprintf("%s and %s hear each other only by way of others", nodes, peers)
	case FaultSlowLink:
		text = fmt.Sprintf("messages from %s to %s take %s longer", nodes, peers, round(f.Delay))
	case FaultClog, FaultSwizzle:
		text = fmt.Sprintf("what is sent to %s waits", nodes)
	case FaultLoss:
		text = fmt.Sprintf("messages from %s to %s are lost%s", nodes, peers, share(f.Amount))
	case FaultDouble:
		text = fmt.Sprintf("messages from %s to %s come twice%s", nodes, peers, share(f.Amount))
	case FaultKill:
		text = fmt.Sprintf("%s killed", isAre(f.Nodes))
	case FaultPower:
		text = fmt.Sprintf("%s without power, and what wasn't synced may be gone", isAre(f.Nodes))
	case FaultPause:
		text = fmt.Sprintf("%s paused", isAre(f.Nodes))
	case FaultSkew:
		text = fmt.Sprintf("the wall clock of %s is off by %s", nodes, round(f.Delay))
	case FaultJump:
		text = fmt.Sprintf("the wall clock of %s jumps by %s", nodes, round(f.Delay))
	case FaultDrift:
		text = fmt.Sprintf("the clocks of %s run faster by %.3g %%", nodes, 100*f.Amount)
	case FaultSlowDisk:
		text = fmt.Sprintf("the disk of %s takes %s longer", nodes, round(f.Delay))
	case FaultVersion:
		text = fmt.Sprintf("%s restarted with version %d", isAre(f.Nodes), f.Version)
	default:
		text = fmt.Sprintf("%s on %s", f.Kind, nodes)
		if f.Point != "" {
			text += " at " + f.Point
		}
	}
	if f.For > 0 && f.Kind != FaultJump {
		text += " for " + round(f.For).String()
	}
	return text
}

func isAre(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names, ", ") + " are"
}

// share is a probability in words, "" for certainty.
func share(p float64) string {
	if p >= 1 {
		return ""
	}
	return fmt.Sprintf(" with probability %.2g", p)
}

// seconds is a virtual time with what people compare.
func seconds(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(s, "\n"), "\n")
	return line
}
