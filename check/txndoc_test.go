package check

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestTransactionsPageIsTrue compares docs/transactions.md with the code: the
// table of anomalies row by row, and its example is run.
func TestTransactionsPageIsTrue(t *testing.T) {
	b, err := os.ReadFile("../docs/transactions.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	var rows strings.Builder
	for _, c := range anomalyClasses {
		fmt.Fprintf(&rows, "| %s | %s | %s |\n", c.name, c.gloss, levelNames[c.level])
	}
	if !strings.Contains(page, "|---|---|---|\n"+rows.String()+"\n") {
		t.Errorf("the table of anomalies should be\n%s", &rows)
	}
	_, example, ok := strings.Cut(page, "```\ncheck ")
	example, _, ended := strings.Cut(example, "```\n")
	model, rest, _ := strings.Cut(example, "\n")
	input, want, parts := strings.Cut(rest, "----\n")
	if !ok || !ended || !parts {
		t.Fatal("there is no example")
	}
	if got := txnReport(Transactions(parseTxns(t, input), Options{Isolation: model})); got != want {
		t.Errorf("the example gives\n%s\nthe page says\n%s", got, want)
	}
}
