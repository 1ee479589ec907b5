// @ts-check
// The lanes: what lies behind, events or cells, and what lies over them.
import { coordinate } from './view.js'
import { others, visibleRows } from './layout.js'
import { drawMessageNames, drawMessages } from './messages.js'
import { drawEventNames, drawEvents } from './events.js'
import { drawHits } from './hits.js'
import { bandOf, cutAt, dimmed, radiusOf, sceneX, sceneY } from './scene.js'
import { theme } from './theme.js'

/** @typedef {import('./scene.js').Scene} Scene */

/**
 * Draws the lanes.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Scene} s
 * @returns {import('./messages.js').Arrow[]} the messages that were drawn
 */
export function drawLanes(ctx, s) {
  const t = theme()
  ctx.clearRect(0, 0, s.width, s.height)
  drawSelectedLane(ctx, s)
  drawStretches(ctx, s)
  drawLines(ctx, s)
  drawHits(ctx, s)
  /** @type {import('./messages.js').Arrow[]} */
  let arrows = []
  if (s.eventful) {
    arrows = drawMessages(ctx, s)
    drawEvents(ctx, s)
    drawMessageNames(ctx, s, arrows)
    drawEventNames(ctx, s)
  } else {
    drawCells(ctx, s)
  }
  drawChosen(ctx, s)
  drawCut(ctx, s)
  if (s.rubber) {
    const [a, b] = [Math.min(s.rubber.x0, s.rubber.x1), Math.max(s.rubber.x0, s.rubber.x1)]
    ctx.fillStyle = t.accent
    ctx.globalAlpha = 0.14
    ctx.fillRect(a, 0, b - a, s.height)
    ctx.globalAlpha = 1
    ctx.fillRect(a, 0, 1, s.height)
    ctx.fillRect(b, 0, 1, s.height)
  }
  return arrows
}

/** @param {Scene} s @param {(node: number, y: number, row: number) => void} each */
function eachRow(s, each) {
  const [from, to] = visibleRows(s.layout, s.scroll, s.height)
  for (let i = from; i < to; i++) each(s.layout.rows[i], (i + 0.5) * s.layout.pitch - s.scroll, i)
}

/** @param {CanvasRenderingContext2D} ctx @param {Scene} s */
function drawSelectedLane(ctx, s) {
  const n = s.state.lane
  if (n < 0) return
  const t = theme()
  ctx.globalAlpha = 0.55
  ctx.fillStyle = t['accent-soft']
  ctx.fillRect(0, sceneY(s, n) - s.layout.pitch / 2, s.width, s.layout.pitch)
  ctx.globalAlpha = 1
}

/** Where a node is down, and where nothing is known of it. @param {CanvasRenderingContext2D} ctx @param {Scene} s */
function drawStretches(ctx, s) {
  const t = theme()
  const { frame, about, axis } = s.state
  const h = Math.min(s.layout.pitch - 4, bandOf(s) + 8)
  /** @param {number} y @param {number} x0 @param {number} x1 @param {'down'|'unknown'} what */
  const box = (y, x0, x1, what) => {
    const [a, b] = [Math.max(-2, x0), Math.min(s.width + 2, x1)]
    if (b <= a) return
    ctx.fillStyle = what === 'down' ? t.down : t.unknown
    ctx.fillRect(a, y - h / 2, b - a, h)
    const texture = what === 'down' ? t.hatch : t.question
    if (texture) {
      ctx.fillStyle = texture
      ctx.fillRect(a, y - h / 2, b - a, h)
    }
  }
  const byNode = new Map()
  if (frame && frame.axis === axis) frame.nodes.forEach((n, i) => byNode.set(n, frame.lanes[i]))
  eachRow(s, (node, y) => {
    if (node === others) return
    const lane = byNode.get(node)
    if (lane && frame) {
      const unit = (frame.view.to - frame.view.from + 1) / frame.columns
      for (const [a, b] of lane.down) box(y, sceneX(s, frame.view.from + a * unit), sceneX(s, frame.view.from + (b + 1) * unit), 'down')
    }
    const info = about?.nodes[node]
    if (info && !info.events) box(y, -2, s.width + 2, 'unknown')
    else if (axis === 'time') for (const [a, b] of info?.unknown || []) box(y, sceneX(s, a), sceneX(s, b), 'unknown')
  })
}

/** The lines of the lanes; of the past and the future of what is selected in their colours. @param {CanvasRenderingContext2D} ctx @param {Scene} s */
function drawLines(ctx, s) {
  const t = theme()
  const { cone, axis, about } = s.state
  const span = about?.spans[axis]
  const x0 = span ? Math.max(0, sceneX(s, span.from)) : 0
  const x1 = span ? Math.min(s.width, sceneX(s, span.to)) : s.width
  eachRow(s, (node, y) => {
    ctx.fillStyle = t.lane
    ctx.globalAlpha = 1
    ctx.fillRect(x0, Math.round(y) - 0.5, Math.max(0, x1 - x0), 1)
    ctx.globalAlpha = 1
    const end = cone && node !== others ? cone.nodes[node] : null
    if (!end) return
    const past = end.pastAt && coordinate(end.pastAt, axis)
    const future = end.futureAt && coordinate(end.futureAt, axis)
    if (past !== undefined) line(ctx, t.past, x0, sceneX(s, past), y)
    if (future !== undefined) line(ctx, t.future, sceneX(s, future), x1, y)
  })
}

/** @param {CanvasRenderingContext2D} ctx @param {string} color @param {number} x0 @param {number} x1 @param {number} y */
function line(ctx, color, x0, x1, y) {
  if (x1 <= x0) return
  ctx.fillStyle = color
  ctx.fillRect(x0, Math.round(y) - 1, x1 - x0, 2)
}

/** @param {CanvasRenderingContext2D} ctx @param {Scene} s */
function drawCells(ctx, s) {
  const { picture } = s
  if (!picture || picture.frame.axis !== s.state.axis) return
  const { frame, image } = picture
  const band = bandOf(s)
  const x0 = sceneX(s, frame.view.from)
  const x1 = sceneX(s, frame.view.to + 1)
  const { cone, axis } = s.state
  ctx.imageSmoothingEnabled = false
  for (const [node, slot] of picture.slots) {
    const y = node === others ? (s.layout.rows.length - 0.5) * s.layout.pitch - s.scroll : sceneY(s, node)
    if (y < -band || y > s.height + band) continue
    const put = () => ctx.drawImage(image, 0, slot * picture.band, image.width, picture.band, x0, Math.round(y - band / 2), x1 - x0, band)
    ctx.globalAlpha = cone ? dimmed : 1
    put()
    const end = cone && node !== others ? cone.nodes[node] : null
    if (!end) continue
    const past = end.pastAt && coordinate(end.pastAt, axis)
    const future = end.futureAt && coordinate(end.futureAt, axis)
    ctx.save()
    ctx.beginPath()
    if (past !== undefined) ctx.rect(-2, y - band, sceneX(s, past) + 3, band * 2)
    if (future !== undefined) ctx.rect(sceneX(s, future), y - band, s.width, band * 2)
    ctx.clip()
    ctx.globalAlpha = 1
    put()
    ctx.restore()
  }
  ctx.globalAlpha = 1
}

/** Rings around what is selected and what is under the pointer. @param {CanvasRenderingContext2D} ctx @param {Scene} s */
function drawChosen(ctx, s) {
  const t = theme()
  const r = radiusOf(s)
  const { selected, hover, axis } = s.state
  for (const [p, width, grow] of /** @type {const} */ ([[hover, 1.5, 3], [selected, 2.2, 4]])) {
    const at = p && !p.begin ? coordinate(p, axis) : undefined
    if (!p || at === undefined) continue
    ctx.strokeStyle = t.panel
    ctx.lineWidth = width + 2.5
    ctx.beginPath()
    ctx.arc(sceneX(s, at), sceneY(s, p.node), r + grow, 0, 7)
    ctx.stroke()
    ctx.strokeStyle = t.accent
    ctx.lineWidth = width
    ctx.stroke()
  }
}

/** @param {CanvasRenderingContext2D} ctx @param {Scene} s */
function drawCut(ctx, s) {
  const t = theme()
  const { cut, axis, laneStates } = s.state
  const shown = s.preview || cut
  if (!shown) return
  ctx.strokeStyle = t.accent
  ctx.lineWidth = 1.5
  ctx.beginPath()
  if (axis === 'depth' && !shown.begin) {
    // In depth a cut isn't straight: it is behind the last event of each lane.
    let before = false
    eachRow(s, (node, y) => {
      const depth = node === others ? undefined : (laneStates[node]?.depth ?? s.state.about?.spans.depth?.from ?? 0) + 0.5
      if (depth === undefined) return
      const x = sceneX(s, depth)
      const h = s.layout.pitch / 2
      ctx[before ? 'lineTo' : 'moveTo'](x, y - h)
      ctx.lineTo(x, y + h)
      before = true
    })
    ctx.stroke()
    return
  }
  const at = cutAt(s.state, shown)
  if (at === undefined) return
  const x = Math.round(sceneX(s, at))
  ctx.globalAlpha = 0.035 // what is behind the cut hasn't happened
  ctx.fillStyle = t.text
  ctx.fillRect(x, 0, Math.max(0, s.width - x), s.height)
  ctx.globalAlpha = 1
  ctx.moveTo(x, 0)
  ctx.lineTo(x, s.height)
  if (s.preview) ctx.setLineDash([5, 3])
  ctx.stroke()
  ctx.setLineDash([])
}
