package causal_test

import (
	"fmt"
	"strings"
	"testing"

	"hindcast.dev/causal"
)

// links are told of a walk, a word each: 1>2 a is node 1 sending message a to node
// 2, or to one that it calls by a letter, 2<1 a node 2 receiving it from node 1, ?
// from nobody knows whom, 1!2 a node 1 noting the loss of one whose other end is
// node 2.
type links struct{ *causal.Links[string] }

func (l links) tell(word string) string {
	ends, id, _ := strings.Cut(word, " ")
	at := int(ends[0] - '0')
	other, name := int(ends[2]-'0'), ""
	if ends[2] == '?' {
		other = causal.Nowhere
	} else if other > 9 {
		other, name = causal.Nowhere, ends[2:]
	}
	switch ends[1] {
	case '>':
		f := l.Send(causal.Message{Kind: "recv", ID: id, From: at, To: other, Name: name})
		f.Value = word
	case '<':
		if f := l.Receive(causal.Message{Kind: "recv", ID: id, From: other, To: at}); f != nil {
			return f.Value
		}
		return "-"
	case '!':
		var lost []string
		for _, f := range l.Lose(causal.Loss{Kind: "recv", ID: id, Node: at, Peer: other, Name: name}) {
			lost = append(lost, f.Value)
		}
		return strings.Join(lost, ",")
	}
	return ""
}

func (l links) underWay() (n int) {
	for f := range l.All() {
		if f.UnderWay() {
			n++
		}
	}
	return n
}

func TestAReceiveIsOfOneSend(t *testing.T) {
	for _, c := range []struct {
		what, walk string
		last       string // what the last word is of
		underWay   int
	}{
		{"a message", "1>2 a; 2<1 a", "1>2 a", 0},
		{"without a sender", "1>2 a; 2<? a", "1>2 a", 0},
		{"from one that never sent it, as by a relay that isn't recorded", "1>2 a; 2<3 a", "1>2 a", 0},
		{"that isn't known", "1>2 a; 2<1 b", "-", 1},
		{"for another node", "1>2 a; 3<1 a", "-", 1},
		{"to several", "1>2 a; 1>3 a; 1>4 a; 3<1 a", "1>3 a", 2},
		{"answers to one id", "2>1 a; 3>1 a; 4>1 a; 1<3 a", "3>1 a", 2},
		{"answers from nobody knows whom, the last sent first", "2>1 a; 3>1 a; 1<? a; 1<? a", "2>1 a", 0},
		{"a duplicate", "1>2 a; 2<1 a; 2<1 a", "1>2 a", 0},
		{"a duplicate beside another's", "1>2 a; 3>2 a; 2<3 a; 2<3 a", "3>2 a", 1},
		{"once more under way", "1>2 a; 1>2 a; 2<1 a", "1>2 a", 0},
		{"once more when it was received", "1>2 a; 2<1 a; 1>2 a", "", 0},
		{"lost, by its sender", "1>2 a; 1!2 a", "1>2 a", 0},
		{"lost, by its sender, to one of several", "1>2 a; 1>3 a; 1!3 a", "1>3 a", 1},
		{"lost, to nobody says whom", "1>2 a; 1>3 a; 1!? a", "1>2 a,1>3 a", 0},
		{"lost, by its receiver", "1>2 a; 1>3 a; 2!1 a", "1>2 a", 1},
		{"lost, by one between", "1>2 a; 1>3 a; 4!3 a", "1>3 a", 1},
		{"lost, and once more", "1>2 a; 1!2 a; 1>2 a", "", 1},
		{"lost, and yet received", "1>2 a; 1!2 a; 2<1 a", "1>2 a", 0},
		{"received before it is sent", "2<1 a; 1>2 a", "", 0},
		{"refused before it is sent", "2!1 a; 1>2 a", "", 0},
		{"received before it is sent, from nobody knows whom", "2<? a; 1>2 a", "", 0},
		{"to no node", "1>z a; 3<1 a", "1>z a", 0},
		{"to no node, received by two", "1>z a; 3<1 a; 2<? a", "1>z a", 0},
		{"to two that are no nodes", "1>y a; 1>z a; 1!z a", "1>z a", 1},
		{"to a node and then to all", "1>2 a; 1>? a; 2<1 a", "1>2 a", 1},
		{"to a node and then to all, twice", "1>2 a; 1>? a; 2<1 a; 2<1 a", "1>? a", 0},
		{"to all and then to a node", "1>? a; 1>2 a; 2<1 a", "1>2 a", 1},
		{"to all and then to a node, twice", "1>? a; 1>2 a; 2<1 a; 2<1 a", "1>? a", 0},
		{"a copy, after another had what went to all", "1>2 a; 1>? a; 3<1 a; 2<1 a; 2<1 a", "1>2 a", 0},
		{"the same, sent the other way round", "1>? a; 1>2 a; 3<1 a; 2<1 a; 2<1 a", "1>2 a", 0},
	} {
		l := links{causal.NewLinks[string](5, 0)}
		last := ""
		for word := range strings.SplitSeq(c.walk, "; ") {
			last = l.tell(word)
		}
		if last != c.last || l.underWay() != c.underWay {
			t.Errorf("%s: %s is of %q and leaves %d under way, want %q and %d", c.what, c.walk, last, l.underWay(), c.last, c.underWay)
		}
	}
}

func TestLinksForgetWhatWasReceivedLongAgo(t *testing.T) {
	const late = 3
	l := links{causal.NewLinks[string](5, late)}
	l.tell("1>z open")
	l.tell("2<1 open")
	for i := range 2 * late {
		l.tell(fmt.Sprint("1>2 m", i))
		l.tell(fmt.Sprint("2<1 m", i))
	}
	l.tell("1>2 kept")
	if n := l.Sent(); n != late+2 {
		t.Errorf("%d are remembered, want %d that were received, one under way, one for all", n, late)
	}
	if got := l.tell(fmt.Sprint("2<1 m", late)); got == "-" {
		t.Errorf("one of the last %d received is forgotten", late)
	}
	if got := l.tell("2<1 m0"); got != "-" {
		t.Errorf("the first received is remembered as %s", got)
	}
	l.tell("1>2 m1")
	if got := l.tell("3<1 open"); got != "1>z open" {
		t.Errorf("what went to all is %q", got)
	}
}

func TestAMessageSentAgainIsNotForgottenBeforeItIsReceived(t *testing.T) {
	l := links{causal.NewLinks[string](5, 1)}
	for _, word := range []string{"1>2 a", "2<1 a", "1>2 a", "1>2 b", "2<1 b", "1>2 c", "2<1 c"} {
		l.tell(word)
	}
	if got := l.tell("2<1 a"); got != "1>2 a" {
		t.Errorf("the second a is of %q", got)
	}
}

func TestAForgottenMessageIsNotKnown(t *testing.T) {
	l := links{causal.NewLinks[string](5, 0)}
	for _, word := range []string{"1>2 a", "3>2 a", "4>2 a"} {
		l.tell(word)
	}
	var from3 *causal.Flight[string]
	for f := range l.All() {
		if f.From == 3 {
			from3 = f
		}
	}
	l.Forget(from3)
	l.Forget(from3)
	if got := l.tell("2<3 a"); got != "4>2 a" || l.Sent() != 2 {
		t.Errorf("it is of %q, and %d are remembered", got, l.Sent())
	}
}

func TestLinksGoOnWithMoreNodes(t *testing.T) {
	l := links{causal.NewLinks[string](2, 0)}
	l.tell("0>1 a")
	l.tell("1>z b")
	l.Renumber(3, []int{0, 2}, func(name string) int {
		if name == "z" {
			return 1
		}
		return causal.Nowhere
	})
	if a, b := l.tell("2<0 a"), l.tell("1<2 b"); a != "0>1 a" || b != "1>z b" {
		t.Errorf("they are of %q and %q", a, b)
	}
}

// What a node says to itself takes no place of a message's.
func TestTimersPushNoMessageOut(t *testing.T) {
	l := causal.NewLinks[int](2, 2)
	m := causal.Message{Kind: "recv", ID: "m", From: 0, To: 1}
	l.Send(m)
	l.Receive(m)
	for i := range 9 {
		l.Receive(causal.Message{Kind: "timer", ID: fmt.Sprint("t", i), From: 0, To: 0})
	}
	if l.Send(m).UnderWay() {
		t.Error("a message that was received is under way again, after some timers")
	}
}
