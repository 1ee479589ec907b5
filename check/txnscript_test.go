package check

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"hindcast.dev/event"
)

var rewriteTxn = flag.Bool("rewrite.txn", false, "write what the transaction scripts give into them")

// TestTransactionScripts runs testdata/txn/*.txt. A script is a row of blocks:
// "check", or "check MODEL", a history, "----", the report, an empty line. Lines
// that begin with # between blocks are comments. A history has a line for each
// transaction:
//
//	CLIENT OUTCOME [CALL-RETURN]: append KEY ELEMENT, r KEY [ELEMENT…], r KEY ?
//
// Without a time a transaction is concurrent with all others.
func TestTransactionScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/txn/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runTxnScript(t, f) })
	}
}

func runTxnScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimRight(string(text), "\n"), "\n\n") {
		if i > 0 {
			out.WriteString("\n")
		}
		for strings.HasPrefix(block, "#") {
			comment, rest, _ := strings.Cut(block, "\n")
			out.WriteString(comment + "\n")
			block = rest
		}
		if block == "" {
			continue
		}
		command, rest, _ := strings.Cut(block, "\n")
		input, want, found := strings.Cut(rest+"\n", "----\n")
		model, ok := strings.CutPrefix(command, "check")
		if !found && !*rewriteTxn || !ok {
			t.Fatalf("%s: not a block:\n%s", file, block)
		}
		got := txnReport(Transactions(parseTxns(t, input), Options{Isolation: strings.TrimSpace(model)}))
		if got != want && !*rewriteTxn {
			t.Errorf("%s: %s\n%s\ngot:\n%s\nwant:\n%s", file, command, input, got, want)
		}
		fmt.Fprintf(&out, "%s\n%s----\n%s", command, input, got)
	}
	if *rewriteTxn {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// txnReport is a result as scripts show it.
func txnReport(r Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Check, r.Verdict)
	if r.Bound != "" {
		b.WriteString(r.Bound + "\n")
	}
	if r.Isolation != nil {
		b.WriteString(r.Isolation.String() + "\n")
	}
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "%s\n", v.Text)
	}
	return b.String()
}

// parseTxns reads the notation of the scripts.
func parseTxns(t testing.TB, text string) []Operation {
	t.Helper()
	var ops []Operation
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		head, body, ok := strings.Cut(line, ": ")
		words := strings.Fields(head)
		if !ok || len(words) < 2 {
			t.Fatalf("not a transaction: %q", line)
		}
		op := Operation{F: "txn", Call: 0, Return: 1000, Ref: fmt.Sprintf("line %d", i+1)}
		var err error
		if op.Process, err = strconv.Atoi(words[0]); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		op.Outcome = map[string]Outcome{"ok": Ok, "fail": Fail, "info": Info}[words[1]]
		if len(words) == 3 {
			if _, err := fmt.Sscanf(words[2], "%d-%d", &op.Call, &op.Return); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
		op.Input = parseMicros(t, body)
		if op.Outcome == Ok {
			op.Output = op.Input
		}
		ops = append(ops, op)
	}
	return ops
}

func parseMicros(t testing.TB, body string) event.Value {
	t.Helper()
	var micros []event.Value
	for _, m := range strings.Split(body, ", ") {
		w := strings.SplitN(m, " ", 3)
		if len(w) != 3 {
			t.Fatalf("not a micro-operation: %q", m)
		}
		value := parseAtom(w[2])
		if list, ok := strings.CutPrefix(w[2], "["); ok {
			var vs []event.Value
			for _, e := range strings.Fields(strings.TrimSuffix(list, "]")) {
				vs = append(vs, parseAtom(e))
			}
			value = event.List(vs...)
		}
		if w[2] == "?" {
			value = event.Null()
		}
		micros = append(micros, event.List(event.String(w[0]), parseAtom(w[1]), value))
	}
	return event.List(micros...)
}

func parseAtom(s string) event.Value {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return event.Int(n)
	}
	return event.String(s)
}
