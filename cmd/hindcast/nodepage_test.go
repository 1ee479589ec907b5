package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestARunningNodesPageInTheBrowser opens the page at a node's admin address, sees
// what the nodes do as they do it, and what becomes of one that is killed, and then of
// the one that has the page.
func TestARunningNodesPageInTheBrowser(t *testing.T) {
	findBrowser(t)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "live"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := newCluster(dir, 3, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range c.members {
		if err := c.start(m); err != nil {
			t.Fatal(err)
		}
		defer c.kill(m)
	}
	for _, m := range c.members {
		if err := c.ready(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	put := func(m *member, key string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+m.http+"/kv/"+key, strings.NewReader("v"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode >= 300 {
			t.Fatalf("PUT %s: %s", key, res.Status)
		}
	}
	put(c.members[0], "before")
	b := openTab(t, "http://"+c.members[0].admin+"/debug", 1280, 800)
	b.until(`window.hindcast && hindcast.store.get().live && hindcast.store.get().live.events > 0 && hindcast.store.get().about.nodes.length === 3`)
	events := eval[int](b, `hindcast.store.get().live.events`)
	b.until(`hindcast.store.get().follow`)
	put(c.members[1], "while-looking")
	b.until(fmt.Sprintf(`hindcast.store.get().live.events > %d && !hindcast.store.get().offline`, events))
	// The place follows the end, until somebody goes elsewhere.
	seen := eval[int](b, `hindcast.store.get().cut.order`)
	b.until(fmt.Sprintf(`hindcast.store.get().cut.order > %d && hindcast.store.get().follow && !location.hash.includes('cut=')`, seen))
	b.picture("node-live")
	b.press("[[[")
	b.until(`!hindcast.store.get().follow && location.hash.includes('cut=')`)
	b.press("F")
	stood := eval[int](b, `hindcast.store.get().cut.order`)
	b.until(fmt.Sprintf(`hindcast.store.get().follow && hindcast.store.get().cut.order > %d`, stood))
	b.sound()

	c.kill(c.members[2])
	b.until(`hindcast.store.get().live.nodes.some((n) => n.node === 2 && n.silent)`)
	b.picture("node-silent")
	c.kill(c.members[0])
	b.until(`/connection lost/i.test(document.body.innerText)`)
	b.picture("node-gone")
}
