package plan_test

import (
	"testing"

	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

func TestTheHintAboutBracketsKnowsEveryFunction(t *testing.T) {
	for _, f := range plan.Functions() {
		if !syntax.IsFunctionWord(f) {
			t.Errorf("syntax's functionWords lacks %s", f)
		}
	}
}
