// @ts-check
// What is drawn, and where.
import { coordinate, toX } from './view.js'
import { laneY } from './layout.js'
import { theme } from './theme.js'

/** @typedef {import('../types').State} State */
/** @typedef {import('../types').View} View */
/** @typedef {import('../types').DrawnEvent} DrawnEvent */
/** @typedef {import('../types').Place} Place */

/**
 * @typedef {object} Scene
 * @property {State} state
 * @property {View} view as it is shown now, on its way to the state's
 * @property {import('./layout.js').Layout} layout
 * @property {number} width pixels
 * @property {number} height
 * @property {number} scroll pixels from the top of the lanes
 * @property {import('./cells.js').Picture|null} picture
 * @property {Place|null} preview where the cut would be
 * @property {{x0: number, x1: number}|null} rubber what is dragged over, to zoom to
 * @property {boolean} eventful events are drawn one by one
 */

/** @param {Scene} s @param {number} at */
export const sceneX = (s, at) => toX(s.view, s.width, at)

/** @param {Scene} s @param {number} node */
export const sceneY = (s, node) => laneY(s.layout, node) - s.scroll

/** @param {Scene} s how large an event is: the smaller the more there are */
export function radiusOf(s) {
  const shown = (s.state.drawn?.shown || 0) / Math.max(1, s.layout.rows.length)
  const crowd = s.eventful ? Math.max(0.62, Math.min(1, (s.width / Math.max(1, shown)) * 0.09)) : 1
  return Math.max(3, Math.min(6.5 * theme().scale, s.layout.pitch * 0.16) * crowd)
}

/** The height of what is drawn around a lane's line. @param {Scene} s */
export const bandOf = (s) => Math.round(Math.min(44, s.layout.pitch * 0.62))

/**
 * How opaque events and cells are that have nothing to do with what is selected: they
 * step back, and can still be read.
 */
export const dimmed = 0.5

/** Where an event is drawn: notes under the line. @param {Scene} s @param {DrawnEvent} e @param {import('./glyphs.js').Look} look */
export const eventY = (s, e, look) => sceneY(s, e.node) + (look.below && s.layout.pitch >= 26 ? radiusOf(s) * 1.9 : 0)

/**
 * Where a cut's line is; undefined where that isn't known.
 * @param {State} state
 * @param {Place} cut
 */
export function cutAt(state, cut) {
  const span = state.about?.spans[state.axis]
  if (cut.begin) return span && span.from - (state.axis === 'time' ? Math.max(8, (span.to - span.from) * 0.006) : 0.5)
  const at = coordinate(cut, state.axis)
  return at === undefined ? undefined : state.axis === 'time' ? at : at + 0.5
}

/** What an event is to the one that is selected. @typedef {'past'|'future'|'self'|''} Relation */

/**
 * @param {State} state
 * @param {number} node
 * @param {number} seq
 * @returns {Relation}
 */
export function relation(state, node, seq) {
  const { cone } = state
  if (!cone) return ''
  if (cone.of.node === node && cone.of.seq === seq) return 'self'
  const end = cone.nodes[node]
  if (!end) return ''
  if (end.past !== undefined && seq <= end.past) return 'past'
  if (end.future !== undefined && seq >= end.future) return 'future'
  return ''
}

/**
 * Whether a message leads from or to what is selected.
 * @param {State} state
 * @param {import('../types').DrawnMessage} m
 * @returns {Relation}
 */
export function messageRelation(state, m) {
  const from = m.from ? relation(state, m.from.node, m.from.seq) : ''
  const to = m.to ? relation(state, m.to.node, m.to.seq) : ''
  if (m.to && (to === 'past' || to === 'self')) return 'past'
  if (from === 'future' || from === 'self') return 'future'
  return ''
}
