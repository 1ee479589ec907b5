package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// moves zooms into the diagram and out again, and along it, one step a frame, and
// tells how long drawing took and how long it was from one frame to the next, in ms.
const moves = `(async () => {
  const { store } = hindcast, draws = [], gaps = []
  store.act.fit()
  await new Promise(requestAnimationFrame)
  let last = performance.now(), seen = hindcast.lastFrame
  for (let i = 0; i < %d; i++) {
    if (i %% 60 < 25) store.act.zoom(1.3)
    else if (i %% 60 < 40) store.act.pan(0.05)
    else store.act.zoom(1 / 1.4)
    await new Promise(requestAnimationFrame)
    const now = performance.now()
    gaps.push(now - last)
    last = now
    if (hindcast.lastFrame !== seen) draws.push((seen = hindcast.lastFrame).ms)
  }
  const of = (list, part) => list.sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * part))]
  return { Frames: draws.length, Draw: of(draws, 0.5), DrawLate: of(draws, 0.95), DrawMost: of(draws, 1), Gap: of(gaps, 0.5), GapLate: of(gaps, 0.95) }
})()`

// BenchmarkDebuggerPage opens the page over the large History in a browser without a
// window, 1920 by 1080, and moves about in it.
func BenchmarkDebuggerPage(b *testing.B) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		b.Skipf("there is no browser: %v", err)
	}
	dir := debugHistory(b)
	binary := filepath.Join(b.TempDir(), "hindcast")
	if out, err := exec.Command("go", "build", "-o", binary, "hindcast.dev/cmd/hindcast").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	s := startDebugServer(b, binary, dir)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // as root there is none
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1920, 1080), chromedp.Navigate(s.page())); err != nil {
		b.Fatal(err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void](`window.hindcast && hindcast.store.get().ready === 'ready' && hindcast.lastFrame && hindcast.store.get().frame`)); err != nil {
		b.Fatal(err)
	}
	type told struct{ Frames, Draw, DrawLate, DrawMost, Gap, GapLate float64 }
	var t told
	for b.Loop() {
		if t, err = chromedp.Run(ctx, chromedp.Evaluate[told](fmt.Sprintf(moves, 300), chromedp.EvalAwaitPromise)); err != nil {
			b.Fatal(err)
		}
		if t.Frames < 100 {
			b.Fatalf("only %v frames of 300 were drawn", t.Frames)
		}
	}
	b.ReportMetric(t.Draw, "ms-draw-p50")
	b.ReportMetric(t.DrawLate, "ms-draw-p95")
	b.ReportMetric(t.DrawMost, "ms-draw-most")
	b.ReportMetric(t.Gap, "ms-frame-p50")
	b.ReportMetric(t.GapLate, "ms-frame-p95")
}

// page is the address of the page.
func (s *debugServer) page() string {
	return s.base[:len(s.base)-len("api/v1/")] + "?token=" + s.token
}
