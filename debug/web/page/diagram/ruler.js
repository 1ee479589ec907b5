// @ts-check
// The ruler over the lanes: ticks, flags of marks, and the handle of the cut.
import { coordinate } from './view.js'
import { numberTicks, timeTicks } from './ticks.js'
import { drawHitFlags } from './hits.js'
import { cutAt, sceneX } from './scene.js'
import { placeText } from '../actions.js'
import { clock } from '../time.js'
import { fontOf, theme } from './theme.js'
import { visible } from '../panels/text.js'

/** @typedef {import('./scene.js').Scene} Scene */

/** How high the ruler is, in pixels. */
export const rulerHeight = 44

/** Where its ticks begin: over them are flags. */
const flagsHeight = 19

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Scene} s
 */
export function drawRuler(ctx, s) {
  const t = theme()
  ctx.clearRect(0, 0, s.width, rulerHeight)
  if (!s.state.about?.spans[s.state.axis]) return // it isn't known yet what there is
  ctx.font = fontOf('mono', 11)
  ctx.textBaseline = 'middle'
  ctx.textAlign = 'center'
  const { ticks, lead } = s.state.axis === 'time'
    ? timeTicks(s.view, s.width, s.state.about?.first || '', 82)
    : { ticks: numberTicks(s.view, s.width, 90), lead: '' }
  const leadWidth = lead ? ctx.measureText(lead).width + 16 : 0
  for (const tick of ticks) {
    const x = Math.round(sceneX(s, tick.at))
    ctx.fillStyle = t['line-strong']
    ctx.fillRect(x, rulerHeight - (tick.strong ? 8 : 5), 1, tick.strong ? 8 : 5)
    const w = ctx.measureText(tick.label).width
    if (x - w / 2 < leadWidth || x + w / 2 > s.width - 2) continue
    ctx.fillStyle = tick.strong ? t.text : t.muted
    ctx.fillText(tick.label, x, flagsHeight + 9)
  }
  if (lead) {
    ctx.textAlign = 'left'
    ctx.fillStyle = t.text
    ctx.fillText(lead, 6, flagsHeight + 9)
  }
  drawFlags(ctx, s)
  drawHandle(ctx, s)
}

/** @param {CanvasRenderingContext2D} ctx @param {Scene} s */
function drawFlags(ctx, s) {
  const t = theme()
  const spot = (/** @type {import('../types').Place|null|undefined} */ p) => {
    const at = p && !p.begin ? coordinate(p, s.state.axis) : p?.begin ? 0 : undefined
    const x = at === undefined ? -99 : sceneX(s, at)
    return x >= -1 && x <= s.width + 1 ? x : undefined
  }
  drawHitFlags(ctx, s, rulerHeight)
  ctx.textAlign = 'left'
  ctx.font = fontOf('font', 10.5, true)
  let end = -Infinity
  const marks = s.state.marks.map((m) => ({ m, x: spot(m.at) })).filter((o) => o.x !== undefined).sort((a, b) => (a.x || 0) - (b.x || 0))
  for (const { m, x = 0 } of marks) {
    ctx.fillStyle = t.mark
    ctx.fillRect(x - 0.75, 2, 1.5, rulerHeight - 2)
    const w = Math.min(110, ctx.measureText(m.name).width + 10)
    if (x < end + 3) continue
    end = x + w
    ctx.beginPath()
    ctx.moveTo(x, 2)
    ctx.lineTo(x + w, 2)
    ctx.lineTo(x + w - 4, 9)
    ctx.lineTo(x + w, 16)
    ctx.lineTo(x, 16)
    ctx.fill()
    ctx.fillStyle = t.panel
    ctx.fillText(m.name, x + 4, 9.5, w - 9)
  }
}

/** What is written on the cut's handle. @param {import('../types').Place} p */
const handleText = (p) => (p.begin ? 'START' : `${visible(placeText(p))}  ${clock(p.time)}`)

/**
 * Where the cut's handle is; null if it isn't in view.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Scene} s
 */
export function handleBox(ctx, s) {
  const p = s.preview || s.state.cut
  let at = p ? cutAt(s.state, p) : undefined
  if (!p || at === undefined) return null
  const x = sceneX(s, at)
  if (x < -1 || x > s.width + 1) return null
  ctx.font = fontOf('mono', 11, true)
  const w = ctx.measureText(handleText(p)).width + 16
  return { x, left: Math.max(0, Math.min(s.width - w, x - w / 2)), w }
}

/** @param {CanvasRenderingContext2D} ctx @param {Scene} s */
function drawHandle(ctx, s) {
  const t = theme()
  const p = s.preview || s.state.cut
  const box = handleBox(ctx, s)
  if (!p || !box) return
  const { x, left, w } = box
  ctx.fillStyle = t.accent
  ctx.fillRect(Math.round(x) - 0.75, 18, 1.5, rulerHeight - 18)
  ctx.beginPath()
  ctx.roundRect(left, 1, w, 18, 5)
  ctx.fill()
  ctx.beginPath()
  ctx.moveTo(x - 5, 18.5)
  ctx.lineTo(x + 5, 18.5)
  ctx.lineTo(x, 24)
  ctx.fill()
  ctx.fillStyle = t['on-accent']
  ctx.textAlign = 'left'
  ctx.textBaseline = 'middle'
  ctx.fillText(handleText(p), left + 8, 10.5)
}
