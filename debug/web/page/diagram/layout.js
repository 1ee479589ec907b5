// @ts-check
// Where lanes are: one below the other, those that aren't shown merged into the last.

/** @typedef {import('../types').State} State */

/** The row of the lanes that are merged. */
export const others = -1

/** How high a lane is at least and at most, in pixels. */
const laneMin = 20
const laneMax = 220

/**
 * @typedef {object} Layout
 * @property {number[]} rows nodes from top to bottom; others comes last, if there are any
 * @property {number[]} merged nodes that are in the last
 * @property {number} pitch pixels from lane to lane
 * @property {number} height of all lanes together
 * @property {Int32Array} rowOf by node: its row
 */

/**
 * The nodes that have a lane of their own, and those that don't.
 * @param {State} s
 */
export function splitLanes(s) {
  const wanted = s.laneFilter.trim().toLowerCase()
  const nodes = s.about?.nodes || []
  const own = []
  const merged = []
  for (const n of s.lanes) {
    const match = !wanted || (nodes[n]?.name || '').toLowerCase().includes(wanted)
    if (match && !s.collapsed.has(n)) own.push(n)
    else merged.push(n)
  }
  return { own, merged }
}

/**
 * @param {{own: number[], merged: number[]}} split
 * @param {number} count nodes in all
 * @param {number} room pixels that there are
 * @returns {Layout}
 */
export function layoutLanes({ own, merged }, count, room) {
  const rows = merged.length ? [...own, others] : own
  const pitch = Math.max(laneMin, Math.min(laneMax, Math.floor(room / Math.max(1, rows.length))))
  const rowOf = new Int32Array(count).fill(rows.length - 1)
  own.forEach((n, i) => {
    rowOf[n] = i
  })
  return { rows, merged, pitch, height: pitch * rows.length, rowOf }
}

/** @param {Layout} l @param {number} node the middle of its lane, from the top of all */
export const laneY = (l, node) => (l.rowOf[node] + 0.5) * l.pitch

/**
 * The rows that can be seen.
 * @param {Layout} l
 * @param {number} scroll
 * @param {number} room
 * @param {number} [beside] as many more above and below
 * @returns {[number, number]} from, to
 */
export function visibleRows(l, scroll, room, beside = 0) {
  const from = Math.max(0, Math.floor(scroll / l.pitch) - beside)
  const to = Math.min(l.rows.length, Math.ceil((scroll + room) / l.pitch) + beside)
  return [from, to]
}
