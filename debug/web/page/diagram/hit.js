// @ts-check
// What lies under the pointer.
import { eventY, radiusOf, sceneX } from './scene.js'
import { lookOf } from './glyphs.js'
import { others } from './layout.js'

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./messages.js').Arrow} Arrow */
/** @typedef {import('../types').DrawnEvent} DrawnEvent */

/**
 * The event nearest to a point, if it is near enough.
 * @param {Scene} s
 * @param {number} x
 * @param {number} y
 * @param {number} reach pixels beyond its edge
 * @returns {DrawnEvent|null}
 */
export function eventAt(s, x, y, reach) {
  if (!s.eventful) return null
  const near = radiusOf(s) + reach
  let best = near * near
  let found = null
  for (const e of s.state.drawn?.events || []) {
    const dy = eventY(s, e, lookOf(e)) - y
    if (dy > near || dy < -near) continue
    const dx = sceneX(s, e.at) - x
    const d = dx * dx + dy * dy
    if (d < best) {
      best = d
      found = e
    }
  }
  return found
}

/**
 * The arrow under a point.
 * @param {Arrow[]} arrows
 * @param {number} x
 * @param {number} y
 * @param {number} reach
 * @returns {Arrow|null}
 */
export function arrowAt(arrows, x, y, reach) {
  let best = reach
  let found = null
  for (const a of arrows) {
    if (a.kind === 'arc' || x < Math.min(a.x0, a.x1) - reach || x > Math.max(a.x0, a.x1) + reach || y < Math.min(a.y0, a.y1) - reach || y > Math.max(a.y0, a.y1) + reach) continue
    const [dx, dy] = [a.x1 - a.x0, a.y1 - a.y0]
    const n = dx * dx + dy * dy || 1
    const k = Math.max(0, Math.min(1, ((x - a.x0) * dx + (y - a.y0) * dy) / n))
    const d = Math.hypot(a.x0 + k * dx - x, a.y0 + k * dy - y)
    if (d < best) {
      best = d
      found = a
    }
  }
  return found
}

/**
 * The node whose lane is at a height; -1 where there is none, or several are merged.
 * @param {Scene} s
 * @param {number} y
 */
export function nodeAt(s, y) {
  const node = s.layout.rows[Math.floor((y + s.scroll) / s.layout.pitch)]
  return node === undefined || node === others ? -1 : node
}
