package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"hindcast.dev/debug"
)

// demoRecording makes what `hindcast demo` records.
func demoRecording(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "demo")
	out, err := exec.CommandContext(t.Context(), os.Args[0], "demo", "--dir", dir, "--duration", "6s").CombinedOutput()
	if err != nil {
		t.Fatalf("the demo: %v\n%s", err, out)
	}
	return dir
}

// What is true of the page once it shows a recording, and once it answered what was
// asked.
const (
	settled = `!hindcast.store.get().busy`
	ready   = `window.hindcast && hindcast.store.get().ready === 'ready' && hindcast.store.get().cut !== null && ` + settled
	at      = `hindcast.store.act.placeText(hindcast.store.get().cut)`
)

// js is a text as JavaScript has it.
func js(s string) string {
	b, _ := json.Marshal(s) // a string has a form
	return string(b)
}

// A look is a test of one thing that somebody does with the page.
type look struct {
	name string
	do   func(b *tab)
}

// TestThePageInTheBrowser opens the demo's recording and looks around in it, as
// somebody would, with keys and pointer.
func TestThePageInTheBrowser(t *testing.T) {
	findBrowser(t)
	s := servePage(t, demoRecording(t))
	b := openTab(t, s.URL, 1280, 800)
	b.until(ready)
	b.picture("opened")
	for _, l := range []look{
		{"steps and steps back", stepsAndStepsBack},
		{"searches a text", searchesAText},
		{"goes where a condition begins to hold", searchesACondition},
		{"follows a cause", followsACause},
		{"asks in RQL", asksInRQL},
		{"shows a mistake in RQL where it is", showsAMistake},
		{"looks at the state", looksAtTheState},
		{"keeps a notebook", keepsANotebook},
		{"has every command", hasEveryCommand},
		{"drags the cut", dragsTheCut},
		{"changes axes, zooms and pans", changesTheView},
		{"leads back by a permalink", leadsBackByAPermalink},
		{"lists its keys", listsItsKeys},
	} {
		if !t.Run(l.name, func(t *testing.T) {
			b.t = t
			l.do(b)
			b.sound()
		}) {
			return
		}
	}
}

func stepsAndStepsBack(b *tab) {
	b.press("g")
	b.until(`hindcast.store.get().cut.begin`)
	b.press("]]]")
	b.until(`hindcast.store.get().cut.order === 2`)
	b.press("[")
	b.until(`hindcast.store.get().cut.order === 1`)
	b.press("G")
	b.until(`hindcast.store.get().cut.order === hindcast.store.get().about.events - 1`)
	b.press("u")
	b.until(`hindcast.store.get().cut.order === 1`)
}

// search types into the box for it, over what stood there.
func search(b *tab, text string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`hindcast.store.set({hits: []})`)) // of the search before
	b.press("/")
	b.until(`document.querySelector('.p-search input') !== null && document.activeElement === document.querySelector('.p-search input')`)
	b.press(text + kb.Enter)
}

func searchesAText(b *tab) {
	search(b, "Replicate")
	b.until(`hindcast.store.get().hits.length > 2 && !document.querySelector('.p-hits [role=status]').innerText.includes('searching')`)
	b.picture("search")
	b.press(kb.Escape)
	b.until(`!hindcast.store.get().searching`)
	b.until(settled)
	was := eval[string](b, at)
	b.press("n")
	b.until(settled + ` && ` + at + ` !== ` + js(was))
	if !eval[bool](b, `hindcast.store.get().hits.some(h => hindcast.store.act.placeText(h) === `+at+`)`) {
		b.t.Errorf("n leads to %s, which is no hit", eval[string](b, at))
	}
	b.press("p")
	b.until(at + ` === ` + js(was))
}

func searchesACondition(b *tab) {
	b.press("g")
	b.until(`hindcast.store.get().cut.begin`)
	search(b, "where node.up = false")
	b.until(`hindcast.store.get().hits.length > 0 && ` + settled)
	b.press(kb.Escape)
	b.until(`hindcast.store.get().laneStates.some(l => l.state === 'down')`)
}

// followsACause goes from a received message to where it was sent.
func followsACause(b *tab) {
	b.do(chromedp.Evaluate[chromedp.Void](`void hindcast.store.act.command('goto n2:40')`))
	b.until(settled + ` && hindcast.store.get().cut.seq === 40`)
	kind := `document.querySelector('.p-event .p-title .p-kind')?.innerText`
	for range 200 { // to a message that n2 received
		b.until(`document.querySelector('.p-event') && document.querySelector('.p-event').ariaBusy === 'false' && document.querySelector('.p-event').innerText.includes(` + at + `) && ` + kind)
		if eval[string](b, kind) == "recv" {
			break
		}
		was := eval[string](b, at)
		b.press("}")
		b.until(settled + ` && ` + at + ` !== ` + js(was))
	}
	if eval[string](b, kind) != "recv" {
		b.t.Fatal("n2 received no message in 200 events")
	}
	b.until(`hindcast.store.get().cone !== null`)
	b.picture("event")
	was := eval[string](b, at)
	b.press("c")
	b.until(settled + ` && ` + at + ` !== ` + js(was))
	if node := eval[string](b, `hindcast.store.get().cut.name`); node == "n2" {
		b.t.Errorf("the cause of n2's receive %s is its own %s", was, eval[string](b, at))
	}
}

func asksInRQL(b *tab) {
	b.press("3")
	b.until(`document.querySelector('.p-query textarea')`)
	b.over(`.p-query textarea`)
	b.press(demoQuery)
	b.do(chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(chromedp.ModifierCtrl))) // Ctrl
	b.until(`hindcast.store.get().rows.length > 0 && document.querySelector('.p-outcome [role=row], .p-outcome tr')`)
	b.picture("query")
	b.leave()
	b.press("gn")
	b.until(settled + ` && hindcast.store.get().rows.some(r => r.at && hindcast.store.act.placeText(r.at) === ` + at + `)`)
}

func showsAMistake(b *tab) {
	b.over(`.p-query textarea`)
	b.press("SELECT kv.items FROM kv WHEN COUNT(kv.itms) > 1")
	b.do(chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	b.until(`document.querySelector('.p-backdrop mark')?.innerText.includes('itms')`)
	b.until(`document.querySelector('.p-problem').innerText.includes('items')`) // what it may have meant
	b.picture("mistake")
	b.leave()
}

func looksAtTheState(b *tab) {
	b.press("2")
	b.until(`document.querySelector('.p-state [role=treeitem]')`)
	b.over(`.p-state-search input`)
	b.press("items")
	b.until(`document.querySelector('.p-found .p-hit')`)
	b.do(chromedp.Click(chromedp.CSS(`.p-found .p-hit`)))
	b.until(`document.querySelector('.p-chosen')`)
	b.picture("state")
}

func keepsANotebook(b *tab) {
	b.leave()
	b.press("4")
	b.until(`document.querySelector('.p-add input')`)
	b.over(`.p-add input`)
	b.press("suspect" + kb.Enter)
	b.until(`hindcast.store.get().marks.some(m => m.name === 'suspect')`)
	b.until(`document.querySelector('.p-marks').innerText.includes('suspect')`)
	b.do(chromedp.Evaluate[chromedp.Void](`void hindcast.store.act.command('note suspect "n3 missed it"')`))
	b.until(`document.querySelector('.p-marks').innerText.includes('n3 missed it')`)
	b.picture("notebook")
	b.leave()
}

// hasEveryCommand types a command that no button has.
func hasEveryCommand(b *tab) {
	b.press(":")
	b.until(`document.querySelector('.p-drawer input, .p-drawer textarea') === document.activeElement`)
	b.picture("palette")
	b.until(fmt.Sprintf(`document.querySelectorAll('.p-command').length === %d`, len(debug.Commands())))
	b.press("nodes" + kb.Enter)
	b.until(`document.querySelector('.p-drawer').innerText.includes('n3')`)
	b.press(kb.Escape)
	b.until(`!hindcast.store.get().palette`)
}

// dragsTheCut drags over the ruler, and the cut snaps to where a consistent one is.
func dragsTheCut(b *tab) {
	b.press("1f")
	b.until(`hindcast.store.get().frame && ` + settled)
	was := eval[string](b, at)
	box := eval[struct{ X, Y, Width, Height float64 }](b, `(({x, y, width, height}) => ({X: x, Y: y, Width: width, Height: height}))(document.querySelector('[role=slider]').getBoundingClientRect())`)
	y := box.Y + 10
	b.do(chromedp.DragAndDropXY(box.X+box.Width*0.4, y, box.X+box.Width*0.7, y))
	b.until(settled + ` && ` + at + ` !== ` + js(was))
	b.picture("cut")
	order := eval[float64](b, `hindcast.store.get().cut.order`)
	if whole := eval[float64](b, `hindcast.store.get().about.events`); order < whole/10 || order >= whole {
		b.t.Errorf("the cut is at event %v of %v", order, whole)
	}
}

func changesTheView(b *tab) {
	width := `(hindcast.store.get().view.to - hindcast.store.get().view.from)`
	b.press("f")
	whole := eval[float64](b, width)
	b.press("+++")
	b.until(width + ` < ` + `0.5 * ` + number(whole))
	from := eval[float64](b, `hindcast.store.get().view.from`)
	b.press("h")
	b.until(`hindcast.store.get().view.from < ` + number(from))
	for _, axis := range []string{"order", "depth", "time"} {
		b.press("a")
		b.until(`hindcast.store.get().axis === ` + js(axis) + ` && hindcast.store.get().frame?.axis === ` + js(axis))
		b.picture("axis-" + axis)
	}
	b.press("z")
	b.until(`hindcast.store.get().drawn?.events.length > 0`)
	b.picture("near")
	b.press("t")
	b.until(`document.documentElement.dataset.theme`)
	b.picture("other-theme")
	b.press("t")
}

// number is a number as JavaScript has it.
func number(f float64) string {
	b, _ := json.Marshal(f) // finite
	return string(b)
}

// leadsBackByAPermalink opens the address of a view in another tab.
func leadsBackByAPermalink(b *tab) {
	b.press("2")
	b.until(`location.hash.includes('tab=state')`)
	state := `JSON.stringify([` + at + `, hindcast.store.get().tab, hindcast.store.get().axis, Math.round(hindcast.store.get().view.from / 1000), Math.round(hindcast.store.get().view.to / 1000)])`
	want := eval[string](b, state)
	b.until(`location.hash.length > 1 && decodeURIComponent(location.hash).includes(` + at + `)`)
	link := eval[string](b, `location.href`)
	if strings.Contains(link, "token") {
		b.t.Errorf("the token stands in the permalink %s", link)
	}
	session := eval[string](b, `hindcast.store.api.tab`)
	nowhere := link[:strings.IndexByte(link, '#')] + "#cut=n77%3A1"
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(nowhere))
	b.until(ready + ` && hindcast.store.get().cut.begin && hindcast.store.get().message?.text.includes('n77')`)
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(link))
	b.until(ready)
	b.until(state + ` === ` + js(want))
	b.until(`hindcast.store.api.tab === ` + js(session))
	// What has the same to begin with, as a tab that is duplicated, has another session.
	b.do(chromedp.Evaluate[chromedp.Void](`void import('/api.js').then((m) => m.tabName()).then((name) => (window.another = name))`))
	b.until(`window.another && window.another !== ` + js(session))
}

func listsItsKeys(b *tab) {
	b.press("?")
	b.until(`document.querySelector('dialog.help')?.open`)
	b.picture("keys")
	b.press("?")
	b.until(`!document.querySelector('dialog.help')`)
}

// twoRuns are of a store of two nodes; in the second one n2 has a value that n1 never
// wrote. What is recorded in them is nobody's friend.
const (
	aRun = `{"node":"n1","ts":"2026-11-21T12:00:01Z","kind":"request","name":"Put","id":"n1.client/1/1/0","data":{"value":"<img src=x onerror=document.title='taken'>"},"set":{"kv.x":1},"effects":[{"kind":"send","id":"n1/1/1/0","to":"n2","name":"<script>document.title='taken'</script>"}]}
{"node":"n2","ts":"2026-11-21T12:00:02Z","kind":"recv","from":"n1","id":"n1/1/1/0","name":"<script>document.title='taken'</script>","set":{"kv.x":1}}
{"node":"n1","ts":"2026-11-21T12:00:03Z","kind":"request","name":"Put","id":"n1.client/1/2/0","set":{"kv.x":2}}
{"node":"n2","ts":"2026-11-21T12:00:04Z","kind":"timer","name":"tick","set":{"kv.y":1}}
`
	anotherRun = `{"node":"n1","ts":"2026-11-21T12:00:01Z","kind":"request","name":"Put","id":"n1.client/1/1/0","data":{"value":"<img src=x onerror=document.title='taken'>"},"set":{"kv.x":1},"effects":[{"kind":"send","id":"n1/1/1/0","to":"n2","name":"<script>document.title='taken'</script>"}]}
{"node":"n2","ts":"2026-11-21T12:00:02Z","kind":"recv","from":"n1","id":"n1/1/1/0","name":"<script>document.title='taken'</script>","set":{"kv.x":7}}
{"node":"n1","ts":"2026-11-21T12:00:03Z","kind":"request","name":"Put","id":"n1.client/1/2/0","set":{"kv.x":2}}
{"node":"n2","ts":"2026-11-21T12:00:04Z","kind":"timer","name":"tick","set":{"kv.y":1}}
`
)

// writeRuns writes both, and returns where the first is; the other is beside it.
func writeRuns(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"a.jsonl": aRun, "b.jsonl": anotherRun} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "a.jsonl")
}

func TestTwoRunsAreComparedInTheBrowser(t *testing.T) {
	findBrowser(t)
	file := writeRuns(t)
	b := openTab(t, servePage(t, file).URL, 1280, 800)
	b.until(ready)
	b.press("5")
	b.until(`document.querySelector('.p-ask input')`)
	b.over(`.p-ask input`)
	b.press(filepath.Join(filepath.Dir(file), "b.jsonl") + kb.Enter)
	b.until(`document.querySelector('.p-divergence')?.innerText.includes('n2')`)
	b.until(`document.querySelector('.p-divergence').innerText.includes('7')`)
	b.until(`document.querySelector('.p-around')?.innerText.includes('tick')`)
	b.picture("compare")
	if n := eval[int](b, `document.querySelectorAll('.p-divergence').length`); n != 1 {
		b.t.Errorf("%d nodes differ, want n2 alone", n)
	}
	b.sound()
}

// What a recording has in it is shown as it is, and does nothing.
func TestRecordedMarkupIsTextInTheBrowser(t *testing.T) {
	findBrowser(t)
	b := openTab(t, servePage(t, writeRuns(t)).URL, 1280, 800)
	b.until(ready)
	b.press("gz]")
	b.until(`document.querySelector('.p-event')?.innerText.includes('<img src=x')`)
	b.press("]")
	b.until(`document.querySelector('.p-event h2')?.innerText.includes('<script>')`)
	b.press("2")
	b.until(`document.querySelector('.p-state [role=treeitem]')`)
	b.press(":")
	b.until(`document.querySelector('.p-drawer input, .p-drawer textarea') === document.activeElement`)
	b.press("event" + kb.Enter)
	b.until(`document.querySelectorAll('.p-drawer .p-block').length > 0`)
	b.picture("markup")
	b.until(`document.querySelector('.p-drawer').innerText.includes('<script>')`)
	if eval[bool](b, `document.title === 'taken' || document.querySelectorAll('#app script, #app img[onerror]').length > 0`) {
		t.Error("what was recorded became part of the page")
	}
	b.sound()
}

func TestAServerThatIsGoneIsToldInTheBrowser(t *testing.T) {
	findBrowser(t)
	s := servePage(t, writeRuns(t))
	b := openTab(t, s.URL, 1280, 800)
	b.until(ready)
	b.press("]")
	b.until(settled + ` && document.querySelector('.p-event[aria-busy=false] h2')?.innerText === 'Put'`)
	s.kill()
	b.press("]")
	b.until(`document.querySelector('[role=alert]')?.innerText.includes('What is shown stays')`)
	b.picture("gone")
	if shown := eval[string](b, `document.querySelector('.p-event h2').innerText`); shown != "Put" {
		t.Errorf("the event shown is %q now", shown)
	}
}

// A phone and a large screen show the page without a bar to scroll it sideways.
func TestThePageOnOtherScreensInTheBrowser(t *testing.T) {
	findBrowser(t)
	s := servePage(t, writeRuns(t))
	for _, screen := range []struct {
		name          string
		width, height int64
	}{{"phone", 390, 844}, {"small", 1280, 720}, {"large", 3840, 2160}} {
		b := openTab(t, s.URL, screen.width, screen.height)
		b.until(ready)
		b.press("]")
		b.until(settled + ` && document.querySelector('.p-event h2')?.innerText === 'Put'`)
		b.picture("screen-" + screen.name)
		if eval[bool](b, `document.documentElement.scrollWidth > innerWidth`) {
			t.Errorf("%s: the page is wider than the screen, %d: %q", screen.name, eval[int](b, `document.documentElement.scrollWidth`), eval[[]string](b, `[...document.querySelectorAll('body *')].filter(e => !e.closest('.mirror') && e.getBoundingClientRect().right > innerWidth).map(e => e.tagName + '.' + e.className + e.getBoundingClientRect().right).slice(0, 9)`))
		}
		if eval[bool](b, `[...document.querySelectorAll('.diagram, .sidebar')].some(e => e.getBoundingClientRect().width < 300 || e.getBoundingClientRect().height < 150)`) {
			t.Errorf("%s: diagram or panels have no room", screen.name)
		}
		b.sound()
	}
}

// A window that is made larger or smaller has the diagram where there is room for it.
func TestAWindowThatChangesInTheBrowser(t *testing.T) {
	findBrowser(t)
	b := openTab(t, servePage(t, writeRuns(t)).URL, 3840, 2160)
	b.until(ready)
	for _, size := range [][2]int64{{1280, 720}, {700, 900}, {1280, 720}, {3840, 2160}} {
		b.do(chromedp.EmulateViewport(size[0], size[1]))
		b.until(fmt.Sprintf(`innerWidth === %d && ((strip, lanes, side) => Math.abs(strip.right - lanes.right) < 2 && Math.abs(strip.left - lanes.left) < 2 &&
			(innerWidth < 760 ? Math.abs(strip.right - innerWidth) < 2 : strip.right <= side.left && side.left - strip.right < 12))(
			...['.overview', 'canvas.lanes', '.sidebar'].map(s => document.querySelector(s).getBoundingClientRect()))`, size[0]))
	}
	b.sound()
}

// A log with vector clocks alone has no times: its events are laid out in their order.
func TestALogWithoutTimesIsLaidOutInOrderInTheBrowser(t *testing.T) {
	findBrowser(t)
	file := filepath.Join(t.TempDir(), "clocks.log")
	if err := os.WriteFile(file, []byte("a {\"a\":1}\nsends\nb {\"a\":1, \"b\":1}\nreceives\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := openTab(t, servePage(t, file).URL, 1280, 800)
	b.until(ready)
	b.until(`hindcast.store.get().axis === 'order' && hindcast.store.get().frame?.axis === 'order'`)
	b.press("]]")
	b.until(settled + ` && hindcast.store.get().cut.name === 'b' && hindcast.store.get().drawn?.messages.length === 1`)
	b.picture("order")
	b.sound()
}
