package history_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/vfs"
)

// bulkyText has a variable that outgrew its node n1 at 30, and one that was never
// set on n2.
const bulkyText = `{"node":"n1","bulky":{"shop.stock":"30"}}
{"node":"n2","bulky":{"shop.stock":"1","shop.log":"1"}}
{"node":"n1","ts":10,"set":{"shop.stock":{"x":1}}}
{"node":"n1","ts":30,"del":["shop.stock"]}
{"node":"n2","ts":20,"set":{"shop.n":1}}
`

func TestABulkyVariableIsKnownInEveryForm(t *testing.T) {
	m, err := history.ReadText(strings.NewReader(bulkyText), "test", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fsys := vfs.NewMem()
	disk := copyToDisk(t, fsys, "h", m)
	var text strings.Builder
	if err := history.WriteText(&text, disk); err != nil {
		t.Fatal(err)
	}
	again, err := history.ReadText(strings.NewReader(text.String()), "written", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]history.Source{"text": m, "disk": disk, "written": again} {
		var got []string
		for _, v := range src.Meta().Vars {
			got = append(got, fmt.Sprintf("%s%d%d", v.Name, v.Nodes, v.Bulky))
		}
		want := "[shop.log[][{1 1}] shop.n[1][] shop.stock[0][{0 30} {1 1}]]"
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
	stock := &m.Meta().Vars[2]
	for _, c := range []struct {
		node int
		at   hlc.Timestamp
		want bool
	}{{0, 29, false}, {0, 30, true}, {1, 1, true}, {2, 99, false}} {
		if got := stock.BulkyAt(c.node, c.at); got != c.want {
			t.Errorf("bulky on node %d at %d: %v", c.node, c.at, got)
		}
	}
}

func TestALineThatNamesBulkyVariablesIsAboutNothingElse(t *testing.T) {
	for line, want := range map[string]string{
		`{"node":"n1","bulky":{"a.b":"1"},"ts":2}`:  `"ts" doesn't go with`,
		`{"node":"n1","bulky":{"a.b[\"x\"]":"1"}}`:  `"bulky" names whole variables`,
		`{"node":"n1","bulky":{"a.b":"yesterday"}}`: "yesterday",
		`{"node":"n1","bulky":["a.b"]}`:             "1:",
	} {
		_, err := history.ReadText(strings.NewReader(line), "test", history.TextOptions{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}

// A History that is appended to keeps the first moment from which a variable was
// bulky.
func TestBulkyIsFromTheFirstRunThatSaysSo(t *testing.T) {
	fsys := vfs.NewMem()
	first := history.NewBuilder()
	first.Append("n1", history.EventSpec{Event: history.Event{Position: history.Position{Time: 10}}, Set: []history.Assign{{Path: "a.b", Value: event.Int(1)}}})
	first.Bulky("n1", "a.c", 10)
	m, err := first.Build()
	if err != nil {
		t.Fatal(err)
	}
	copyToDisk(t, fsys, "h", m)
	w, err := history.ExtendDisk(fsys, "h", history.DiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	nw, err := w.Node("n1", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []hlc.Timestamp{20, 30} {
		if err := nw.Bulky(nw.Var("a.c"), from); err != nil {
			t.Fatal(err)
		}
	}
	if err := nw.Bulky(nw.Var("a.d"), 20); err != nil {
		t.Fatal(err)
	}
	if err := nw.Append(&history.Event{Position: history.Position{Time: 20, Seq: 2}}); err != nil {
		t.Fatal(err)
	}
	if err := nw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	d, err := history.OpenDisk(fsys, "h")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var got []string
	for _, v := range d.Meta().Vars {
		got = append(got, fmt.Sprintf("%s%d", v.Name, v.Bulky))
	}
	if want := "[a.b[] a.c[{0 10}] a.d[{0 20}]]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func copyToDisk(t *testing.T, fsys vfs.FS, dir string, src history.Source) *history.Disk {
	t.Helper()
	err := writeDisk(fsys, dir, history.DiskOptions{}, func(w history.Writer) error {
		return history.Copy(context.Background(), w, src)
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := history.OpenDisk(fsys, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}
