// @ts-check
// What is shown when what is opened is counted in another way than before: of nodes
// that run one may become known that stands before others, and a server that was
// started again knows another first event.
import { timeAt } from './time.js'

/** @typedef {import('./types').State} State */
/** @typedef {import('./types').About} About */
/** @typedef {import('./types').Place} Place */

/**
 * What changes of the state with another About: all that has a node's number or a
 * coordinate along time.
 * @param {State} s
 * @param {About} about
 * @returns {Partial<State>}
 */
export function carried(s, about) {
  const was = s.about
  if (!was) return {}
  const shift = (was.events && timeAt(was.first, about.first)) || 0
  const numbers = new Map(about.nodes.map((n, i) => [n.name, i]))
  const to = was.nodes.map((n) => numbers.get(n.name) ?? -1)
  const kept = to.every((n, i) => n === i)
  const lanes = [...new Set([...s.lanes.map((n) => to[n] ?? -1).filter((n) => n >= 0), ...about.nodes.keys()])]
  if (kept && !shift) return lanes.length === s.lanes.length ? {} : { lanes }
  const moved = (/** @type {number|undefined} */ at) => (at === undefined ? {} : { timeAt: at + shift })
  const states = new Map(s.laneStates.map((l, n) => [to[n], { ...l, ...moved(l.timeAt) }]))
  /** @param {Place|null|undefined} p */
  const place = (p) => {
    if (!p || p.begin) return p || null
    const node = to[p.node] ?? -1
    return node < 0 ? null : { ...p, node, ...moved(p.timeAt) }
  }
  /** @param {(Place|null)[]} list */
  const there = (list) => /** @type {Place[]} */ (list.filter(Boolean))
  return {
    lanes, lane: to[s.lane] ?? -1, collapsed: new Set([...s.collapsed].map((n) => to[n]).filter((n) => n >= 0)),
    view: s.axis === 'time' ? { from: s.view.from + shift, to: s.view.to + shift } : s.view,
    cut: place(s.cut), selected: place(s.selected), hits: there(s.hits.map(place)),
    laneStates: about.nodes.map((_, n) => states.get(n) || { state: '' }),
    marks: s.marks.map((m) => ({ ...m, at: place(m.at) })),
    rows: s.rows.map((r) => Object.defineProperty({ ...r }, 'at', { value: place(r.at) })),
    tracks: s.tracks.map((t) => ({ ...t, points: t.points.map((p) => ({ ...p, at: p.at + shift })) })),
    hover: null, cone: null, frame: null, drawn: null, // they are asked for again
  }
}
