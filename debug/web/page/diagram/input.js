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

/** Where something is on an element. @param {HTMLElement} el @param {{clientX: number, clientY: number}} e */
function placeOn(el, e) {
  const box = el.getBoundingClientRect()
  return { x: e.clientX - box.left, y: e.clientY - box.top }
}

/** What fingers and mouse do, from down to up. */
class Gesture {
  /** @param {HTMLElement} el @param {Surface} on */
  constructor(el, on) {
    this.el = el
    this.on = on
    /** @type {Map<number, {x: number, y: number}>} */
    this.pressed = new Map()
    /** @type {'none'|'press'|'pan'|'rubber'|'pinch'} */
    this.mode = 'none'
    this.start = { x: 0, y: 0 }
    this.last = { x: 0, y: 0 } // where it ended: a double click tells it in whole pixels alone
  }

  /** @param {number} x */
  at(x) {
    return fromX(this.on.store.get().view, this.on.width(), x)
  }

  /** @param {PointerEvent} e */
  down(e) {
    if (e.button !== 0) return
    const p = placeOn(this.el, e)
    this.pressed.set(e.pointerId, p)
    this.el.setPointerCapture(e.pointerId)
    this.start = p
    this.mode = this.pressed.size > 1 ? 'pinch' : e.shiftKey ? 'rubber' : 'press'
    if (this.mode === 'rubber') this.on.rubber({ x0: p.x, x1: p.x })
  }

  /** @param {PointerEvent} e */
  move(e) {
    const p = placeOn(this.el, e)
    const was = this.pressed.get(e.pointerId)
    if (!was) {
      if (e.pointerType !== 'touch') this.on.hover(p.x, p.y, false)
      return
    }
    if (this.mode === 'press' && Math.hypot(p.x - this.start.x, p.y - this.start.y) > slop) {
      this.mode = 'pan'
      this.on.leave()
    }
    if (this.mode === 'pan') this.pan(was, p)
    if (this.mode === 'pinch') this.pinch(e.pointerId, was, p)
    if (this.mode === 'rubber') this.on.rubber({ x0: this.start.x, x1: p.x })
    if (this.mode !== 'press') this.pressed.set(e.pointerId, p)
  }

  /** @param {{x: number, y: number}} was @param {{x: number, y: number}} p */
  pan(was, p) {
    const { store, width, scrollBy } = this.on
    const { axis, view } = store.get()
    const by = ((was.x - p.x) / width()) * (view.to - view.from)
    store.act.setView(axis, view.from + by, view.to + by)
    scrollBy(was.y - p.y)
  }

  /** @param {number} id @param {{x: number, y: number}} was @param {{x: number, y: number}} p */
  pinch(id, was, p) {
    const other = [...this.pressed].find(([k]) => k !== id)?.[1]
    if (!other) return
    const factor = Math.max(20, Math.abs(p.x - other.x)) / Math.max(20, Math.abs(was.x - other.x))
    this.on.store.act.zoom(factor, this.at((p.x + other.x) / 2))
  }

  /** @param {PointerEvent} e */
  up(e) {
    if (!this.pressed.delete(e.pointerId)) return
    const p = (this.last = placeOn(this.el, e))
    if (this.mode === 'press' && e.type === 'pointerup') this.on.click(p.x, p.y, e.pointerType === 'touch')
    if (this.mode === 'rubber') {
      this.on.rubber(null)
      const [a, b] = [Math.min(this.start.x, p.x), Math.max(this.start.x, p.x)]
      const { act, get } = this.on.store
      if (b - a > slop && e.type === 'pointerup') act.setView(get().axis, this.at(a), this.at(b))
    }
    this.mode = this.pressed.size ? 'pan' : 'none'
  }

  /** @param {WheelEvent} e */
  wheel(e) {
    e.preventDefault()
    const { store, width, scrollBy } = this.on
    const by = wheelBy(e)
    const sideways = e.shiftKey ? e.deltaY + e.deltaX : e.deltaX
    if (sideways && (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY))) store.act.pan((sideways * by) / width())
    else if (e.altKey) scrollBy(e.deltaY * by)
    else store.act.zoom(Math.exp(-e.deltaY * by * (e.ctrlKey ? 0.01 : 0.0018)), this.at(placeOn(this.el, e).x))
  }
}

/**
 * @param {HTMLElement} el
 * @param {Surface} on
 * @returns {() => void} ends it
 */
export function listen(el, on) {
  const g = new Gesture(el, on)
  const up = (/** @type {any} */ e) => g.up(e)
  const opened = () => on.open(g.last.x, g.last.y)
  /** @type {[string, (e: any) => void, AddEventListenerOptions?][]} */
  const listeners = [['pointerdown', (e) => g.down(e)], ['pointermove', (e) => g.move(e)], ['pointerup', up], ['pointercancel', up],
    ['pointerleave', on.leave], ['wheel', (e) => g.wheel(e), { passive: false }], ['dblclick', opened]]
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
    } catch {
      found = null // the next move asks again
    }
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
