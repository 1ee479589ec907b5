// @ts-check
// Arithmetic of what is in view: coordinates of an axis and pixels.

/** @typedef {import('../types').Axis} Axis */
/** @typedef {import('../types').View} View */
/** @typedef {import('../types').About} About */
/** @typedef {import('../types').Place} Place */
/** @typedef {import('../types').Coordinates} Coordinates */

/** How little of each axis a view may show. */
const widthMin = { time: 64, order: 4, depth: 4 }

/** How many numbers a view has to tell apart, however far from 0 it is. */
const steps = 64

/** How far numbers are apart there. @param {number} at */
const grain = (at) => 2 ** (Math.floor(Math.log2(Math.max(1, Math.abs(at)))) - 52)

/** How much beside the whole run may be seen, as a part of it. */
const margin = 0.02

/**
 * What there is along an axis; null while it isn't known.
 * @param {About|null} about
 * @param {Axis} axis
 * @returns {View|null}
 */
export const spanOf = (about, axis) => about?.spans[axis] || null

/**
 * A view that is neither narrower than can be drawn nor outside of the run.
 * @param {View} view
 * @param {View|null} span
 * @param {Axis} axis
 * @returns {View}
 */
export function clampView(view, span, axis) {
  let { from, to } = view
  if (!Number.isFinite(from) || !Number.isFinite(to) || to < from) [from, to] = span ? [span.from, span.to] : [0, 1]
  const least = Math.max(widthMin[axis], steps * grain(Math.max(Math.abs(from), Math.abs(to))))
  if (to - from < least) {
    const middle = (from + to) / 2
    from = middle - least / 2
    to = middle + least / 2
  }
  if (!span) return { from, to }
  const slack = Math.max((span.to - span.from) * margin, least / 2)
  const [lo, hi] = [span.from - slack, span.to + slack]
  const width = Math.min(to - from, hi - lo)
  from = Math.min(Math.max(from, lo), hi - width)
  return { from, to: from + width }
}

/**
 * A view of all that there is, and a little beside it.
 * @param {View} span
 * @returns {[number, number]}
 */
export function whole(span) {
  const beside = (span.to - span.from) * 0.012
  return [span.from - beside, span.to + beside]
}

/**
 * Where a place is along an axis; undefined where that isn't known.
 * @param {Place|Coordinates} p
 * @param {Axis} axis
 * @returns {number|undefined}
 */
export const coordinate = (p, axis) => (axis === 'time' ? p.timeAt : p[axis])

/**
 * The pixel of a coordinate.
 * @param {View} view
 * @param {number} width
 * @param {number} at
 */
export const toX = (view, width, at) => ((at - view.from) / (view.to - view.from)) * width

/**
 * The coordinate of a pixel.
 * @param {View} view
 * @param {number} width
 * @param {number} x
 */
export const fromX = (view, width, x) => view.from + (x / width) * (view.to - view.from)

/**
 * A view that a good deal of what lies around is in, too, so that a little panning
 * asks for nothing.
 * @param {View} view
 * @param {number} part
 * @returns {View}
 */
export function widened(view, part) {
  const by = (view.to - view.from) * part
  return { from: Math.max(0, Math.floor(view.from - by)), to: Math.max(1, Math.ceil(view.to + by)) }
}

/** @param {View} outer @param {View} inner reports whether one has all of the other */
export const covers = (outer, inner) => outer.from <= Math.max(0, Math.floor(inner.from)) && outer.to >= Math.floor(inner.to)

/**
 * A round number near a step: 1, 2 or 5 times a power of ten.
 * @param {number} step
 */
export function roundStep(step) {
  const power = 10 ** Math.floor(Math.log10(step))
  const m = step / power
  return (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10) * power
}
