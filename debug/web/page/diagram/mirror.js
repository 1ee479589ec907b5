// @ts-check
// The diagram as a table, for who can't see or point: the events in view as rows. It
// is unseen until the keyboard comes to it.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact.js'
import { useStore } from '../store.js'
import { clock, grouped, timestampAt } from '../time.js'
import { relation } from './scene.js'
import { visible } from '../panels/text.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').DrawnEvent} DrawnEvent */

/** How many rows there are at once. */
const rowsMax = 40

/** @param {{store: Store, eventful: boolean}} props */
export function Mirror({ store, eventful }) {
  const drawn = useStore(store, (s) => s.drawn)
  const view = useStore(store, (s) => s.view)
  const frame = useStore(store, (s) => s.frame)
  const selected = useStore(store, (s) => s.selected)
  useStore(store, (s) => s.cone)
  const [at, setAt] = useState(0)
  const table = useRef(/** @type {HTMLElement|null} */ (null))
  const moved = useRef(false)
  const events = eventful && drawn ? drawn.events.filter((e) => e.at >= view.from && e.at <= view.to) : []
  const now = Math.max(0, Math.min(at, events.length - 1))
  useEffect(() => {
    if (moved.current) /** @type {HTMLElement|null|undefined} */ (table.current?.querySelector('[tabindex="0"]'))?.focus()
    moved.current = false
  })
  useEffect(() => {
    const i = selected ? events.findIndex((e) => e.node === selected.node && e.seq === selected.seq) : -1
    if (i >= 0) setAt(i)
  }, [selected, drawn])
  /** @param {KeyboardEvent} e */
  const key = (e) => {
    const by = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20, Home: -1e9, End: 1e9 })[e.key]
    if (by !== undefined) {
      e.preventDefault()
      moved.current = true
      setAt(Math.max(0, Math.min(events.length - 1, now + by)))
    }
    if ((e.key === 'Enter' || e.key === ' ') && events[now]) {
      e.preventDefault()
      void choose(store, events[now], e.key === 'Enter' && e.shiftKey)
    }
  }
  const about = store.get().about
  const from = Math.max(0, Math.min(now - rowsMax / 2, events.length - rowsMax))
  const rows = events.slice(from, from + rowsMax)
  return html`<div class="mirror" role="region" aria-label="Events in view">
    <p>${eventful ? `${grouped(events.length)} events in view. Arrows move, Enter selects, Shift+Enter goes there.` : `${grouped(frame?.events || 0)} events around here: too many to list. + zooms in.`}</p>
    ${events.length > 0 && html`<table role="grid" ref=${table} aria-rowcount=${events.length} onKeyDown=${key}>
      <thead><tr><th>event</th><th>what</th><th>when</th><th>relation</th></tr></thead>
      <tbody>${rows.map((e, i) => {
        const here = from + i === now
        const name = visible(about?.nodes[e.node]?.name || '')
        const is = selected?.node === e.node && selected?.seq === e.seq
        return html`<tr key=${e.node + ':' + e.seq} tabindex=${here ? 0 : -1} aria-rowindex=${from + i + 1} aria-selected=${String(is)} onClick=${() => choose(store, e, false)}>
          <td>${name}:${e.seq}</td><td>${e.kind} ${visible(e.name || '')}</td><td>${store.get().axis === 'time' ? clock(timestampAt(e.at, about?.first || '')) : e.at}</td><td>${relation(store.get(), e.node, e.seq)}</td></tr>`
      })}</tbody></table>`}
  </div>`
}

/** How often something was chosen: what was chosen last holds. */
let chosen = 0

/**
 * Selects an event that is drawn.
 * @param {Store} store
 * @param {{node: number, seq: number}} e
 * @param {boolean} go to it, too
 */
export async function choose(store, e, go) {
  const turn = ++chosen
  const name = store.get().about?.nodes[e.node]?.name
  const text = `${name}:${e.seq}`
  if (go) return store.act.goto(text)
  const [p] = await store.act.places([text]).catch(() => [null])
  if (p && turn === chosen) await store.act.select(p)
}
