package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
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

// ready is true once the page shows a recording, with its messages.
const ready = `window.hindcast && hindcast.store.get().ready === 'ready' && hindcast.store.get().cut && !hindcast.store.get().busy`

// TestThePageInTheBrowser opens the demo's recording and looks around in it, as
// somebody would.
func TestThePageInTheBrowser(t *testing.T) {
	findBrowser(t)
	s := servePage(t, demoRecording(t))
	b := openTab(t, s.URL, 1280, 800)
	b.until(ready)
	b.picture("opened")

	b.press("]]]")
	b.until(`hindcast.store.get().cut.order === 2`)
	b.press("[")
	b.until(`hindcast.store.get().cut.order === 1`)
	b.picture("stepped")
	b.sound()
}
