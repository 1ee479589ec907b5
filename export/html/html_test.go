package html

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// elements and attributes are all that may be in a page.
var (
	elements = strings.Fields(`html head meta title style body header h1 h2 h3 small bdi p time nav a main section div svg defs marker path rect line text g circle
		details summary span mark ul li code br table thead tbody tr th td pre dl dt dd del footer`)
	attributes = strings.Fields(`lang charset http-equiv content name id class href open role aria-label xmlns viewBox width height refX refY markerUnits markerWidth markerHeight
		orient d x y dx dy x1 y1 x2 y2 cx cy r transform marker-end`)
)

// A parsed page is one that is well-formed XML, with nothing in it that isn't known.
type parsed struct {
	text   string // all of it, without markup
	ids    []string
	hrefs  []string
	style  string
	policy string
}

func parse(t *testing.T, page []byte) *parsed {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Strict = true
	p := &parsed{}
	var inside []string
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return p
		}
		if err != nil {
			t.Fatalf("the page isn't well-formed: %v", err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			inside = append(inside, tok.Name.Local)
			if !slices.Contains(elements, tok.Name.Local) {
				t.Errorf("an element %s", tok.Name.Local)
			}
			for _, a := range tok.Attr {
				p.attribute(t, tok.Name.Local, a)
			}
		case xml.EndElement:
			inside = inside[:len(inside)-1]
		case xml.CharData:
			if len(inside) > 0 && inside[len(inside)-1] == "style" {
				p.style += string(tok)
			} else {
				p.text += string(tok)
			}
		case xml.Comment, xml.ProcInst:
			t.Errorf("there is %T in it", tok)
		}
	}
}

func (p *parsed) attribute(t *testing.T, element string, a xml.Attr) {
	t.Helper()
	switch name := a.Name.Local; {
	case !slices.Contains(attributes, name):
		t.Errorf("an attribute %s of %s", name, element)
	case name == "id":
		if slices.Contains(p.ids, a.Value) {
			t.Errorf("two have the id %s", a.Value)
		}
		p.ids = append(p.ids, a.Value)
	case name == "href":
		p.hrefs = append(p.hrefs, a.Value)
	case name == "content" && strings.HasPrefix(a.Value, "default-src"):
		p.policy = a.Value
	}
}

// check holds what a page must be against one.
func (p *parsed) check(t *testing.T) {
	t.Helper()
	sum := sha256.Sum256([]byte(p.style))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
	if p.policy != want {
		t.Errorf("policy %q, of what is in it %q", p.policy, want)
	}
	for _, h := range p.hrefs {
		if !strings.HasPrefix(h, "#") || !slices.Contains(p.ids, h[1:]) {
			t.Errorf("a link to %q, which isn't there", h)
		}
	}
	if strings.Contains(p.style, "url(") || strings.Contains(p.style, "@import") {
		t.Error("the style loads something")
	}
}

// hostile are texts that would like to be something else.
var hostile = []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='x`, `</style><b>`, `{{.Policy}}`, `-->`, `]]>`, "a\x00b\x1b[31mc", "\u202ereversed", "&lt;", "javascript:alert(1)"}

// hostileWorld has each of the texts everywhere.
func hostileWorld(t *testing.T) history.Source {
	t.Helper()
	b := history.NewBuilder()
	at := hlc.FromTime(time.Unix(1_700_000_000, 0))
	for i, h := range hostile {
		v := event.MapOf(event.NewMap(event.Entry{Key: event.String(h), Value: event.String(h)}))
		next := hostile[(i+1)%len(hostile)]
		b.Append(h, history.EventSpec{
			Event: history.Event{Position: history.Position{Time: at.Add(time.Duration(i) * time.Second)}, Kind: h, Name: h, Machine: h, ID: h, Peer: next, Data: v,
				Effects: []history.Effect{{Kind: "send", ID: "m" + h, Peer: next, Name: h, Data: v}, {Kind: "log", Name: h, Data: event.String(h)}}},
			Set: []history.Assign{{Path: "log.x", Value: v}, {Path: event.PathString("log."+fmt.Sprint("v", i), nil), Value: event.String(h)}},
		})
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestWhateverWasRecordedIsTextAndNothingElse(t *testing.T) {
	src := hostileWorld(t)
	es, err := src.Before(context.Background(), history.End, 100, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		v := &View{Title: hostile[0] + hostile[1] + "\xff\xfe", Meta: src.Meta(), At: e.Position, Events: es, Lost: map[string]string{}, Cause: es[0].Position, Caused: true}
		for _, h := range hostile {
			v.Lost["m"+h] = h
			v.Fates = append(v.Fates, Fate{h, len(h)%2 == 0})
			v.Marks = append(v.Marks, Mark{h, h, e.Position})
			v.Queries = append(v.Queries, Table{Title: h, Columns: hostile, Rows: [][]string{hostile}})
		}
		if err := v.Fill(context.Background(), src); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := v.Write(&b); err != nil {
			t.Fatal(err)
		}
		p := parse(t, b.Bytes())
		p.check(t)
		for _, h := range []string{hostile[0], hostile[1], hostile[2], hostile[3], hostile[4], hostile[6], hostile[9]} {
			if !strings.Contains(p.text, h) {
				t.Errorf("%q isn't shown as it is", h)
			}
		}
		if strings.ContainsAny(p.text, "\x00\x1b\u202e") {
			t.Error("a control character is in it")
		}
	}
}

// story is three nodes of which one goes down; a message is lost, one is under way
// for long.
const story = `{"node":"n1","ts":"2026-01-01T00:00:01Z","kind":"note","name":"boot","set":{"node.up":true}}
{"node":"n2","ts":"2026-01-01T00:00:01.1Z","kind":"note","name":"boot","set":{"node.up":true}}
{"node":"n1","ts":"2026-01-01T00:00:02Z","kind":"request","machine":"kv","name":"Put","data":{"key":"x"},"effects":[{"kind":"send","id":"a","to":"n2","name":"Copy"},{"kind":"send","id":"b","to":"n3","name":"Copy"},{"kind":"send","id":"c","to":"n2","name":"Slow"}],"set":{"kv.items[\"x\"]":{"value":"new","version":2},"kv.count":2}}
{"node":"n2","ts":"2026-01-01T00:00:03Z","kind":"recv","id":"a","from":"n1","name":"Copy","set":{"kv.items[\"x\"]":{"value":"new","version":2}}}
{"node":"n1","ts":"2026-01-01T00:00:04Z","kind":"request","machine":"kv","name":"Put","set":{"kv.items[\"x\"].version":3,"kv.count":3},"del":["kv.gone"]}
{"node":"n2","ts":"2026-01-01T00:00:05Z","kind":"recv","id":"c","from":"n1","name":"Slow","set":{"node.up":false}}
{"node":"n3","ts":"2026-01-01T00:00:06Z","kind":"timer","name":"Late"}
`

func readStory(t *testing.T) history.Source {
	t.Helper()
	src, err := history.ReadText(strings.NewReader(story), "story", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func write(t *testing.T, v *View, src history.Source) (string, *parsed) {
	t.Helper()
	if err := v.Fill(context.Background(), src); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := v.Write(&b); err != nil {
		t.Fatal(err)
	}
	p := parse(t, b.Bytes())
	p.check(t)
	return b.String(), p
}

func TestAPageTellsWhatTheMomentWas(t *testing.T) {
	src := readStory(t)
	es, err := src.Before(context.Background(), history.End, 100, nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &View{Title: "a store", Meta: src.Meta(), At: es[4].Position, Events: es, Lost: map[string]string{"b": "link cut"},
		Marks: []Mark{{"here", "this is where", es[4].Position}}}
	text, p := write(t, v, src)
	for _, want := range []string{
		"n1:3", "a store", "3 nodes, 7 events", "7 events drawn", "this is where",
		"2 → 3",                                // the count, before and after
		"2 changed",                            // of n1's variables
		"Copy to n3: never received, link cut", // the arrow's title
		"Slow from n1 to n2, under way at the cut",
		"not begun", // n3
	} {
		if !strings.Contains(p.text, want) {
			t.Errorf("%q isn't in the page", want)
		}
	}
	for _, want := range []string{`class="arrow lost"`, `class="arrow flight"`, `class="lane down"`, `class="event timer later"`, `class="event request at"`, `class="cut"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s isn't drawn", want)
		}
	}
}

func TestAPageOfTheBeginningAndOfNothing(t *testing.T) {
	src := readStory(t)
	es, _ := src.Before(context.Background(), history.End, 100, nil)
	_, p := write(t, &View{Meta: src.Meta(), Events: es[:2], After: 5}, src)
	if !strings.Contains(p.text, "the beginning") || !strings.Contains(p.text, "left out are 0 events before and 5 after") {
		t.Errorf("of the beginning:\n%s", p.text)
	}
	empty, err := history.NewBuilder().Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, p = write(t, &View{Meta: empty.Meta()}, empty); !strings.Contains(p.text, "0 nodes, 0 events") {
		t.Errorf("of nothing:\n%s", p.text)
	}
}

func TestAStretchEndsInItsLastEvent(t *testing.T) {
	src := readStory(t)
	var b bytes.Buffer
	to := history.Position{Time: hlc.FromTime(time.Date(2026, 1, 1, 0, 0, 3, 0, time.UTC)) + 1}
	if err := WriteSpan(context.Background(), &b, src, history.Begin, to); err != nil {
		t.Fatal(err)
	}
	if p := parse(t, b.Bytes()); !strings.Contains(p.text, "n2:2") || strings.Contains(p.text, "Late") {
		t.Errorf("a stretch:\n%s", p.text)
	}
	if err := WriteSpan(context.Background(), &b, src, history.End, history.End); err == nil {
		t.Error("a page of no event")
	}
}

func TestLargeMapsAreCutDownButTheirChangesShown(t *testing.T) {
	b := history.NewBuilder()
	var all []event.Entry
	for i := range 3 * entryMax {
		all = append(all, event.Entry{Key: event.Int(int64(i)), Value: event.Int(0)})
	}
	last := fmt.Sprintf("kv.items[%d]", 3*entryMax-1)
	at := hlc.FromTime(time.Unix(1_700_000_000, 0))
	b.Append("n1", history.EventSpec{Event: history.Event{Position: history.Position{Time: at}}, Set: []history.Assign{{Path: "kv.items", Value: event.MapOf(event.NewMap(all...))}}},
		history.EventSpec{Event: history.Event{Position: history.Position{Time: at.Add(time.Second)}}, Set: []history.Assign{{Path: last, Value: event.Int(7)}}})
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	es, _ := src.Before(context.Background(), history.End, 100, nil)
	_, p := write(t, &View{Meta: src.Meta(), At: es[1].Position, Events: es}, src)
	for _, want := range []string{"0 → 7", "1 changed", fmt.Sprintf("… and %d more", 2*entryMax)} {
		if !strings.Contains(p.text, want) {
			t.Errorf("%q isn't in the page", want)
		}
	}
}

// A page of very many variables tells how many it leaves out, and leaves out none that
// changed.
func TestVeryManyVariablesAreCutDownButWhatChangedIsShown(t *testing.T) {
	const nodes, variables = 40, 1000
	v := &View{Meta: &history.Meta{}, At: history.Position{Time: 1, Node: nodes - 1, Seq: 1}}
	for id := range variables {
		v.Meta.Vars = append(v.Meta.Vars, history.Var{Name: fmt.Sprintf("kv.v%04d", id)})
	}
	for n := range nodes {
		v.Meta.Nodes = append(v.Meta.Nodes, history.Node{Name: fmt.Sprintf("n%d", n)})
		s := history.NewState()
		for id := range variables {
			s.Set(history.VarID(id), event.Uint(7))
		}
		v.Was, v.Now = append(v.Was, s.Clone()), append(v.Now, s)
	}
	v.Now[nodes-1].Set(variables-1, event.Uint(8))
	shown, left := 0, 0
	trees := v.trees()
	for _, n := range trees {
		shown, left = shown+len(n.Variables), left+n.More
	}
	if shown+left != nodes*variables || shown > leavesMax+10 {
		t.Errorf("%d of %d variables are shown, %d told to be left out", shown, nodes*variables, left)
	}
	if last := trees[nodes-1]; last.Changed != 1 || len(last.Variables) != variables {
		t.Errorf("of the node of the event %d variables are there, %d changed", len(last.Variables), last.Changed)
	}
	v.At, v.Was[0], v.Was[nodes-1] = history.Position{Time: 1, Node: 0, Seq: 1}, v.Now[0], v.Now[nodes-1].Clone()
	v.Now[nodes-1].Set(3, event.Uint(9))
	if last := v.trees()[nodes-1]; last.Changed != 1 || len(last.Variables) != 1 || last.Variables[0].Text != "9" {
		t.Errorf("behind many others there is %+v", last)
	}
}
