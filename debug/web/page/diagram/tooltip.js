// @ts-check
// What is said of what lies under the pointer.
import { html, useLayoutEffect, useRef } from '../vendor/htm-preact.js'
import { clock, duration, timestampAt } from '../time.js'
import { lookOf } from './glyphs.js'
import { visible } from '../panels/text.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').DrawnEvent} DrawnEvent */
/** @typedef {import('./messages.js').Arrow} Arrow */

/** @typedef {{x: number, y: number, event?: DrawnEvent|null, arrow?: Arrow|null, cell?: {name: string, count: number, what: string}|null}} Tip */

/** @param {Store} store @param {number} at */
function when(store, at) {
  const { axis, about } = store.get()
  return axis === 'time' ? clock(timestampAt(at, about?.first || '')) : axis === 'order' ? `the ${at + 1}. event` : `depth ${at}`
}

/** @param {Store} store @param {DrawnEvent} e */
function eventTip(store, e) {
  const name = visible(store.get().about?.nodes[e.node]?.name || '')
  return html`<b>${e.kind}${e.name ? ' ' + visible(e.name) : ''}</b><span class="mono">${name}:${e.seq}</span><span class="mono">${when(store, e.at)}</span><span class="muted">${lookOf(e).what}</span>`
}

/** @param {Store} store @param {Arrow} a */
function arrowTip(store, a) {
  const { about, axis } = store.get()
  const nameOf = (/** @type {number|undefined} */ n) => (n === undefined || n < 0 ? 'unknown' : visible(about?.nodes[n]?.name || ''))
  const { m } = a
  const from = m.from ? `${nameOf(m.from.node)}:${m.from.seq}` : 'from outside'
  const to = m.to ? `${nameOf(m.to.node)}:${m.to.seq}` : nameOf(m.toward)
  const took = m.from && m.to && axis === 'time' ? duration((m.to.at - m.from.at) / (about?.second || 1)) : ''
  const fate = m.lost ? `lost: ${visible(m.lost)}` : !m.to ? 'not received in what is recorded' : m.again ? 'received again' : took ? `took ${took}` : ''
  return html`<b>${m.kind === 'send' ? 'message' : m.kind}${m.name ? ' ' + visible(m.name) : ''}</b><span class="mono">${from} → ${to}</span><span class=${m.lost ? 'bad' : 'muted'}>${fate}</span>`
}

/** @param {{store: Store, tip: Tip|null}} props */
export function Tooltip({ store, tip }) {
  const box = useRef(/** @type {HTMLElement|null} */ (null))
  useLayoutEffect(() => {
    const el = box.current
    if (!el || !tip) return
    const { width: w, height: h } = el.getBoundingClientRect()
    const zoom = w / Math.max(1, el.offsetWidth)
    const x = tip.x + 14 + w < window.innerWidth - 4 ? tip.x + 14 : tip.x - w - 10
    const y = tip.y + 16 + h < window.innerHeight - 4 ? tip.y + 16 : tip.y - h - 10
    el.style.transform = `translate(${Math.max(4, x) / zoom}px, ${Math.max(4, y) / zoom}px)`
  })
  if (!tip || !(tip.event || tip.arrow || tip.cell)) return null
  return html`<div class="tip" ref=${box} aria-hidden="true">${tip.event ? eventTip(store, tip.event) : tip.arrow ? arrowTip(store, tip.arrow)
    : html`<b>${visible(tip.cell?.name || '')}</b><span>${tip.cell?.what}</span><span class="muted">zoom in to see each</span>`}</div>`
}
