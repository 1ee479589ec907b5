// @ts-check
// Rows of a query, hits and marks: rings on the lanes and flags on the ruler where there
// is room for them, thin ticks where there isn't.
import { coordinate } from './view.js'
import { bandOf, radiusOf, sceneX, sceneY } from './scene.js'
import { theme } from './theme.js'

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('../types').Place} Place */
/** @typedef {{x: number, y: number}} Spot */

/**
 * Parts spots in those that stand alone in their row and those with another one close
 * by. Of those in one pixel one is left.
 * @param {Spot[]} spots
 * @param {number} least how far from its neighbours one stands that is alone, in pixels
 * @returns {{alone: Spot[], close: Spot[]}} from left to right in each row
 */
export function partSpots(spots, least) {
  const list = spots.map(({ x, y }) => ({ x: Math.round(x), y })).sort((a, b) => a.y - b.y || a.x - b.x)
    .filter((s, i, all) => !i || s.x !== all[i - 1].x || s.y !== all[i - 1].y)
  /** @type {{alone: Spot[], close: Spot[]}} */
  const parts = { alone: [], close: [] }
  const near = (/** @type {Spot} */ a, /** @type {Spot|undefined} */ b) => b !== undefined && b.y === a.y && Math.abs(b.x - a.x) < least
  list.forEach((s, i) => parts[near(s, list[i - 1]) || near(s, list[i + 1]) ? 'close' : 'alone'].push(s))
  return parts
}

/** What is found and what is marked, the last over the others. @param {Scene} s @returns {[(Place|null|undefined)[], string][]} */
function kindsOf({ state }) {
  const t = theme()
  return [[state.rows.map((r) => r.at), t.row], [state.hits, t.hit], [state.marks.map((m) => m.at), t.mark]]
}

/** Where places are, of those in view as time goes. @param {Scene} s @param {(Place|null|undefined)[]} places */
function spotsOf(s, places) {
  /** @type {Spot[]} */
  const spots = []
  for (const p of places) {
    const at = p && !p.begin ? coordinate(p, s.state.axis) : undefined
    if (!p || at === undefined) continue
    const x = sceneX(s, at)
    if (x > -20 && x < s.width + 20) spots.push({ x, y: sceneY(s, p.node) })
  }
  return spots
}

/**
 * Draws them on the lanes, behind the events. Over bands, which are of many events, there
 * are no rings.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Scene} s
 */
export function drawHits(ctx, s) {
  const r = radiusOf(s) + 4
  const { pitch } = s.layout
  const high = Math.max(2, Math.min(6, pitch * 0.1))
  kindsOf(s).forEach(([places, color], kind) => {
    const seen = spotsOf(s, places).filter(({ y }) => y > -20 && y < s.height + 20)
    const { alone, close } = partSpots(seen, s.eventful ? 2 * r + 2 : Infinity)
    ctx.fillStyle = color
    for (const { x, y } of alone) {
      ctx.globalAlpha = 0.22
      ctx.fillRect(x - 1, y - pitch / 2, 2, pitch)
      if (!s.eventful) continue
      ctx.globalAlpha = 0.38
      ctx.beginPath()
      ctx.arc(x, y, r, 0, 7)
      ctx.fill()
    }
    ctx.globalAlpha = 1
    // Below the events; those of several kinds one below the other.
    const below = Math.min(bandOf(s) / 2 + 3 + kind * (high + 1), pitch / 2 - high)
    for (const { x, y } of s.eventful ? close : [...alone, ...close]) ctx.fillRect(x - 0.75, y + below, 1.5, high)
  })
  ctx.globalAlpha = 1
}

/**
 * Draws flags of rows and hits on the ruler.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Scene} s
 * @param {number} base where their points are
 */
export function drawHitFlags(ctx, s, base) {
  for (const [places, color] of kindsOf(s).slice(0, 2)) {
    const spots = spotsOf(s, places).map(({ x }) => ({ x, y: 0 }))
    const { alone, close } = partSpots(spots, 9)
    ctx.fillStyle = color
    for (const { x } of alone) {
      ctx.beginPath()
      ctx.moveTo(x, base)
      ctx.lineTo(x - 4, base - 7)
      ctx.lineTo(x + 4, base - 7)
      ctx.fill()
    }
    for (const { x } of close) ctx.fillRect(x - 0.5, base - 6, 1, 6)
  }
}
