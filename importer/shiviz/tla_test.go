package shiviz

import "testing"

func TestTLAValues(t *testing.T) {
	tests := []struct{ text, want string }{
		{`(n1 :> FALSE @@ n2 :> TRUE)`, `{"n1":false,"n2":true}`},
		{`[tok |-> <<1, -2>>, "who" |-> {}]`, `{"tok":[1,-2],"who":{"$set":[]}}`},
		{`{"a", "a \"quoted\" b"}`, `{"$set":["a","a \"quoted\" b"]}`},
		{`<<>>`, `[]`},
		{`white`, `"white"`},
		{`two words`, `"two words"`},
		{`(n1 :> `, `"(n1 :> "`},
		{`12x`, `"12x"`},
		{``, `""`},
	}
	for _, tt := range tests {
		if got := string(valueOf(tt.text).AppendJSON(nil)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.text, got, tt.want)
		}
	}
}
