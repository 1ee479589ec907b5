// @ts-check
// The strip with the whole run, and a window on it that is what the diagram shows.
import { html, useEffect, useRef } from '../vendor/htm-preact.js'
import { useStore } from '../store.js'
import { aborted } from '../api.js'
import { coordinate, fromX, toX } from './view.js'
import { cutAt } from './scene.js'
import { sized } from './canvas.js'
import { theme, watchTheme } from './theme.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').Frame} Frame */
/** @typedef {import('../types').View} View */

export const overviewHeight = 46

/** How near to an edge of the window a pointer takes hold of it, in pixels. */
const grip = 7

/** @param {CanvasRenderingContext2D} ctx @param {number} width @param {Frame} frame @param {View} span */
function drawCurve(ctx, width, frame, span) {
  const t = theme()
  const lane = frame.lanes[0]
  let most = 1
  for (const n of lane.counts) most = Math.max(most, n)
  const base = overviewHeight - 5
  const tall = overviewHeight - 14
  const unit = (frame.view.to - frame.view.from + 1) / frame.columns
  const w = Math.max(1, (width * unit) / Math.max(1, span.to - span.from))
  ctx.fillStyle = t.density
  for (let k = 0; k < lane.columns.length; k++) {
    const x = toX(span, width, frame.view.from + lane.columns[k] * unit)
    const h = Math.max(1.5, tall * Math.sqrt(lane.counts[k] / most))
    ctx.fillRect(x, base - h, w + 0.4, h)
  }
  for (let k = 0; k < lane.columns.length; k++) {
    if (lane.classes[k] < 32) continue
    const x = toX(span, width, frame.view.from + lane.columns[k] * unit)
    ctx.fillStyle = lane.classes[k] & 128 ? t.drop : lane.classes[k] & 32 ? t.boot : t.link
    ctx.fillRect(x, base + 1, Math.max(1.5, w), 4)
  }
}

/** @param {CanvasRenderingContext2D} ctx @param {number} width @param {Store} store @param {View} span */
function drawMarks(ctx, width, store, span) {
  const t = theme()
  const s = store.get()
  /** @type {[(import('../types').Place|null|undefined)[], string][]} */
  const kinds = [[s.rows.map((r) => r.at), t.row], [s.hits, t.hit], [s.marks.map((m) => m.at), t.mark]]
  for (const [places, color] of kinds) {
    ctx.fillStyle = color
    const taken = new Set()
    for (const p of places) {
      const at = p && !p.begin ? coordinate(p, s.axis) : undefined
      const x = at === undefined ? -1 : Math.round(toX(span, width, at))
      if (x < 0 || taken.has(x)) continue
      taken.add(x)
      ctx.fillRect(x - 1, 2, 2, 7)
    }
  }
  const at = s.cut ? cutAt(s, s.cut) : undefined
  if (at !== undefined) {
    ctx.fillStyle = t.accent
    ctx.fillRect(Math.round(toX(span, width, at)) - 0.75, 0, 1.5, overviewHeight)
  }
}

/** @param {CanvasRenderingContext2D} ctx @param {number} width @param {View} span @param {View} view */
function drawWindow(ctx, width, span, view) {
  const t = theme()
  const a = Math.max(0, toX(span, width, view.from))
  const b = Math.min(width, Math.max(toX(span, width, view.to), a + 3))
  ctx.globalAlpha = 0.62
  ctx.fillStyle = t.sunken
  ctx.fillRect(0, 0, a, overviewHeight)
  ctx.fillRect(b, 0, width - b, overviewHeight)
  ctx.globalAlpha = 1
  ctx.strokeStyle = t.accent
  ctx.lineWidth = 1.5
  ctx.strokeRect(a + 0.75, 0.75, b - a - 1.5, overviewHeight - 1.5)
  ctx.fillStyle = t.accent
  for (const x of [a, b]) {
    ctx.beginPath()
    ctx.roundRect(x - 2, overviewHeight / 2 - 8, 4, 16, 2)
    ctx.fill()
  }
}

/** @param {Store} store */
const spanNow = (store) => {
  const { about, axis } = store.get()
  const s = about?.spans[axis]
  return s ? { from: s.from, to: Math.max(s.to, s.from + 1) } : null
}

/**
 * @param {HTMLCanvasElement} el
 * @param {Store} store
 */
function dragWindow(el, store) {
  /** @type {{mode: 'from'|'to'|'move'|'new', at: number, view: View}|null} */
  let held = null
  const at = (/** @type {PointerEvent} */ e) => {
    const span = spanNow(store) || { from: 0, to: 1 }
    const box = el.getBoundingClientRect()
    return { at: fromX(span, box.width, e.clientX - box.left), perPixel: (span.to - span.from) / box.width }
  }
  /** @param {PointerEvent} e @returns {'from'|'to'|'move'|'new'} */
  const modeAt = (e) => {
    const { view } = store.get()
    const p = at(e)
    const near = grip * p.perPixel
    if (Math.abs(p.at - view.from) < near) return 'from'
    if (Math.abs(p.at - view.to) < near) return 'to'
    return p.at > view.from && p.at < view.to ? 'move' : 'new'
  }
  /** @param {PointerEvent} e */
  const down = (e) => {
    el.setPointerCapture(e.pointerId)
    held = { mode: modeAt(e), at: at(e).at, view: store.get().view }
  }
  /** @param {PointerEvent} e */
  const move = (e) => {
    if (!held) {
      el.style.cursor = { from: 'ew-resize', to: 'ew-resize', move: 'grab', new: 'crosshair' }[modeAt(e)]
      return
    }
    const { axis } = store.get()
    const now = at(e).at
    const { from, to } = held.view
    if (held.mode === 'move') store.act.setView(axis, from + now - held.at, to + now - held.at)
    if (held.mode === 'from') store.act.setView(axis, Math.min(now, to), to)
    if (held.mode === 'to') store.act.setView(axis, from, Math.max(now, from))
    if (held.mode === 'new' && Math.abs(now - held.at) > 4 * at(e).perPixel) store.act.setView(axis, Math.min(now, held.at), Math.max(now, held.at))
  }
  /** @param {PointerEvent} e */
  const up = (e) => {
    const { axis, view } = store.get()
    const now = at(e)
    if (held?.mode === 'new' && Math.abs(now.at - held.at) <= 4 * now.perPixel) {
      const half = (view.to - view.from) / 2
      store.act.setView(axis, now.at - half, now.at + half)
    }
    held = null
  }
  el.onpointerdown = down
  el.onpointermove = move
  el.onpointerup = up
  el.onpointercancel = () => (held = null)
  el.ondblclick = () => store.act.fit()
}

/** @param {{store: Store, width: number}} props */
export function Overview({ store, width }) {
  const canvas = useRef(/** @type {HTMLCanvasElement|null} */ (null))
  const frame = useRef(/** @type {Frame|null} */ (null))
  const axis = useStore(store, (s) => s.axis)
  const about = useStore(store, (s) => s.about)
  const draw = () => {
    const span = spanNow(store)
    if (!canvas.current || !span || width < 10) return
    const ctx = sized(canvas.current, width, overviewHeight)
    if (!ctx) return
    ctx.clearRect(0, 0, width, overviewHeight)
    if (frame.current?.axis === store.get().axis) drawCurve(ctx, width, frame.current, span)
    drawWindow(ctx, width, span, store.get().view)
    drawMarks(ctx, width, store, span)
  }
  useEffect(() => {
    const span = spanNow(store)
    if (!span || width < 10) return undefined
    const stop = new AbortController()
    store.api.merged(axis, span, Math.min(width, 2000), null, false, stop.signal).then((f) => {
      frame.current = f
      draw()
    }).catch((err) => aborted(err) || draw())
    return () => stop.abort()
  }, [axis, width, about?.events, Boolean(about?.spans[axis])])
  useEffect(() => {
    let asked = 0
    const soon = () => (asked ||= requestAnimationFrame(() => {
      asked = 0
      draw()
    }))
    const end = store.subscribe((s, was) => {
      if (s.view !== was.view || s.cut !== was.cut || s.marks !== was.marks || s.rows !== was.rows || s.hits !== was.hits || s.axis !== was.axis) soon()
    })
    const ended = watchTheme(soon)
    draw()
    return () => {
      end()
      ended()
      cancelAnimationFrame(asked)
    }
  }, [width])
  useEffect(() => canvas.current ? dragWindow(canvas.current, store) : undefined, [])
  return html`<canvas class="overview" ref=${canvas} aria-hidden="true" title="the whole run: drag the window, its edges, or a new one; double click shows all"></canvas>`
}
