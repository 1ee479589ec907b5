// @ts-check
// The pointer over the lanes and the ruler.
import { fromX } from './view.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').Place} Place */

/** How far a pointer moves before that is a drag, in pixels. */
const slop = 4

/**
 * What the input needs of the diagram.
 * @typedef {object} Surface
 * @property {Store} store
 * @property {() => number} width
 * @property {(px: number) => void} scrollBy
 * @property {(rubber: {x0: number, x1: number}|null) => void} rubber
 * @property {(x: number, y: number, touch: boolean) => void} hover
 * @property {() => void} leave
 * @property {(x: number, y: number, touch: boolean) => void} click
 * @property {(x: number, y: number) => void} open
 */

/** @param {WheelEvent} e pixels, whatever the wheel counts in */
const wheelBy = (e) => (e.deltaMode === 1 ? 16 : e.deltaMode === 2 ? 400 : 1)

/**
 * @param {HTMLElement} el
 * @param {Surface} on
 * @returns {() => void} ends it
 */
export function listen(el, on) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map()
  /** @type {'none'|'press'|'pan'|'rubber'|'pinch'} */
  let mode = 'none'
  let start = { x: 0, y: 0, id: 0 }
  const { store } = on
  const place = (/** @type {{clientX: number, clientY: number}} */ e) => {
    const box = el.getBoundingClientRect()
    return { x: e.clientX - box.left, y: e.clientY - box.top }
  }
  const coordinateAt = (/** @type {number} */ x) => fromX(store.get().view, on.width(), x)

  /** @param {PointerEvent} e */
  const pointerDown = (e) => {
    if (e.button !== 0) return
    const p = place(e)
    down.set(e.pointerId, p)
    el.setPointerCapture(e.pointerId)
    start = { ...p, id: e.pointerId }
    mode = down.size > 1 ? 'pinch' : e.shiftKey ? 'rubber' : 'press'
    if (mode === 'rubber') on.rubber({ x0: p.x, x1: p.x })
  }
  /** @param {{x: number, y: number}} was @param {{x: number, y: number}} p */
  const pan = (was, p) => {
    const { axis, view } = store.get()
    const by = ((was.x - p.x) / on.width()) * (view.to - view.from)
    store.act.setView(axis, view.from + by, view.to + by)
    on.scrollBy(was.y - p.y)
  }
  /** @param {number} id @param {{x: number, y: number}} p */
  const pinch = (id, p) => {
    const other = [...down].find(([k]) => k !== id)?.[1]
    const was = down.get(id)
    if (!other || !was) return
    const factor = Math.max(20, Math.abs(p.x - other.x)) / Math.max(20, Math.abs(was.x - other.x))
    store.act.zoom(factor, coordinateAt((p.x + other.x) / 2))
  }
  /** @param {PointerEvent} e */
  const pointerMove = (e) => {
    const p = place(e)
    const was = down.get(e.pointerId)
    if (!was) {
      if (e.pointerType !== 'touch') on.hover(p.x, p.y, false)
      return
    }
    if (mode === 'press' && Math.hypot(p.x - start.x, p.y - start.y) > slop) {
      mode = 'pan'
      on.leave()
    }
    if (mode === 'pan') pan(was, p)
    if (mode === 'pinch') pinch(e.pointerId, p)
    if (mode === 'rubber') on.rubber({ x0: start.x, x1: p.x })
    down.set(e.pointerId, p)
  }
  /** @param {PointerEvent} e */
  const pointerUp = (e) => {
    const p = place(e)
    if (!down.delete(e.pointerId)) return
    if (mode === 'press' && e.type === 'pointerup') on.click(p.x, p.y, e.pointerType === 'touch')
    if (mode === 'rubber') {
      on.rubber(null)
      const [a, b] = [Math.min(start.x, p.x), Math.max(start.x, p.x)]
      if (b - a > slop && e.type === 'pointerup') store.act.setView(store.get().axis, coordinateAt(a), coordinateAt(b))
    }
    mode = down.size ? 'pan' : 'none'
  }
  /** @param {WheelEvent} e */
  const wheel = (e) => {
    e.preventDefault()
    const by = wheelBy(e)
    const sideways = e.shiftKey ? e.deltaY + e.deltaX : e.deltaX
    if (sideways && (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY))) store.act.pan((sideways * by) / on.width())
    else if (e.altKey) on.scrollBy(e.deltaY * by)
    else store.act.zoom(Math.exp(-e.deltaY * by * (e.ctrlKey ? 0.01 : 0.0018)), coordinateAt(place(e).x))
  }
  const opened = (/** @type {MouseEvent} */ e) => {
    const p = place(e)
    on.open(p.x, p.y)
  }
  /** @type {[string, any, AddEventListenerOptions?][]} */
  const listeners = [['pointerdown', pointerDown], ['pointermove', pointerMove], ['pointerup', pointerUp], ['pointercancel', pointerUp],
    ['pointerleave', on.leave], ['wheel', wheel, { passive: false }], ['dblclick', opened]]
  for (const [name, f, o] of listeners) el.addEventListener(name, f, o)
  return () => listeners.forEach(([name, f]) => el.removeEventListener(name, f))
}

/**
 * The cut's handle: it follows the pointer to the cuts that there are, and the
 * session goes there when it is let go.
 * @param {HTMLElement} el
 * @param {{store: Store, width: () => number, preview: (p: Place|null) => void}} on
 * @returns {() => void} ends it
 */
export function dragCut(el, on) {
  const { store } = on
  let dragging = false
  let asked = 0
  let asking = false
  /** @type {Place|null} */
  let found = null
  const look = async () => {
    if (asking) return
    asking = true
    const at = asked
    try {
      const { axis, lane, lanes } = store.get()
      found = await store.api.cut(axis, at, axis === 'depth' ? (lane >= 0 ? lane : lanes[0]) : undefined)
      if (dragging) on.preview(found)
    } catch { /* the next move asks again */ }
    asking = false
    if (at !== asked) await look()
  }
  /** @param {PointerEvent} e */
  const at = (e) => Math.max(0, fromX(store.get().view, on.width(), e.clientX - el.getBoundingClientRect().left))
  /** @param {PointerEvent} e */
  const move = (e) => {
    if (!dragging) return
    asked = at(e)
    void look()
  }
  /** @param {PointerEvent} e */
  const down = (e) => {
    if (e.button !== 0) return
    el.setPointerCapture(e.pointerId)
    dragging = true
    move(e)
  }
  /** @param {PointerEvent} e */
  const up = async (e) => {
    if (!dragging) return
    asked = at(e)
    while (asking) await new Promise((done) => setTimeout(done, 10))
    await look()
    dragging = false
    if (found && e.type === 'pointerup') await store.act.goto(store.act.placeText(found))
    on.preview(null)
  }
  /** @type {[string, any][]} */
  const listeners = [['pointerdown', down], ['pointermove', move], ['pointerup', up], ['pointercancel', up]]
  for (const [name, f] of listeners) el.addEventListener(name, f)
  return () => listeners.forEach(([name, f]) => el.removeEventListener(name, f))
}
