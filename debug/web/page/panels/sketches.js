// @ts-check
// What is drawn of a pattern, and what the command motif makes of it.

/** A message from a lane to another, or an event if both are one. @typedef {{from: number, to: number, name: string, lost?: boolean}} Step */
/** Lanes by the nodes that they are, '' some node; steps in the order of time. @typedef {{lanes: string[], steps: Step[], within: string}} Sketch */
/** @typedef {{x1: number, y1: number, x2: number, y2: number, name: string, lost: boolean}} DrawnStep */
/** @typedef {{width: number, height: number, lanes: number[], steps: DrawnStep[]}} Geometry */

const stepWidth = 74
const laneHeight = 34

/**
 * Where lanes and steps are drawn: time goes to the right, an arrow a little, too.
 * @param {Sketch} sketch
 * @returns {Geometry}
 */
export function geometry(sketch) {
  const lanes = sketch.lanes.map((_, i) => 22 + i * laneHeight)
  const steps = sketch.steps.map((s, i) => {
    const x = 44 + i * stepWidth
    const half = s.lost ? 0.6 : 1
    return { x1: x, y1: lanes[s.from], x2: s.from === s.to ? x : x + (stepWidth - 30) * half, y2: lanes[s.from] + (lanes[s.to] - lanes[s.from]) * half, name: s.name, lost: !!s.lost && s.from !== s.to }
  })
  return { width: Math.max(460, 60 + (steps.length + 1) * stepWidth), height: 44 + (lanes.length - 1) * laneHeight, lanes, steps }
}

/**
 * The lane at a height.
 * @param {Geometry} g
 * @param {number} y
 */
export function stepAt(g, y) {
  let best = 0
  g.lanes.forEach((l, i) => {
    if (Math.abs(l - y) < Math.abs(g.lanes[best] - y)) best = i
  })
  return best
}

/**
 * The drawing as the command motif takes it. A receive and the send after it on the
 * same lane are one event there: the one came of the other.
 * @param {Sketch} sketch
 */
export function drawingOf(sketch) {
  /** @type {{lane: number, name?: string}[]} */
  const events = []
  /** @type {any[]} */
  const messages = []
  /** The event at which a lane received last. @type {Map<number, number>} */
  const received = new Map()
  const add = (/** @type {number} */ lane, /** @type {string} */ name = '') => events.push({ lane, ...(name ? { name } : {}) }) - 1
  for (const s of sketch.steps) {
    if (s.from === s.to) {
      add(s.from, s.name)
      received.delete(s.from)
      continue
    }
    const from = received.get(s.from) ?? add(s.from)
    const name = s.name ? { name: s.name } : {}
    if (s.lost) {
      messages.push({ from, to: -1, ...name, lost: true, lane: s.to })
      continue
    }
    const to = add(s.to)
    received.set(s.to, to)
    messages.push({ from, to, ...name })
  }
  // A lane on which nothing is drawn says nothing.
  const used = sketch.lanes.map((_, i) => i).filter((i) => sketch.steps.some((s) => s.from === i || s.to === i))
  const lanes = used.map((i) => ({ name: 'abcde'[i], ...(sketch.lanes[i] ? { node: sketch.lanes[i] } : {}) }))
  for (const e of events) e.lane = used.indexOf(e.lane)
  for (const m of messages) if (m.lane !== undefined) m.lane = used.indexOf(m.lane)
  return { lanes, events, messages, ...(sketch.within.trim() ? { within: sketch.within.trim() } : {}) }
}
