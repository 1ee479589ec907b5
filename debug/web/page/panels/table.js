// @ts-check
// A table of many rows.
import { html, useEffect, useState } from '../vendor/htm-preact.js'
import { useWindow } from './window.js'

const rowHeight = 24

/**
 * @template T
 * @typedef {{title: string, cell: (row: T) => any, text?: (row: T) => string, class?: string}} Column
 */

/**
 * Rows that are equally high, walked with the arrows and opened with Enter or a click.
 * @param {{rows: any[], columns: Column<any>[], label: string, active?: number, onPick?: (row: any, i: number) => void, rowClass?: (row: any, i: number) => string}} props
 */
export function Table({ rows, columns, label, active, onPick, rowClass }) {
  const [own, setOwn] = useState(0)
  const { ref, from, to, show } = useWindow(rows.length, rowHeight)
  useEffect(() => {
    if (active === undefined || active < 0) return
    setOwn(active)
    show(active)
  }, [active])
  const move = (/** @type {number} */ i) => {
    const next = Math.min(Math.max(i, 0), rows.length - 1)
    setOwn(next)
    show(next)
  }
  const keydown = (/** @type {KeyboardEvent} */ e) => {
    const by = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -rows.length, End: rows.length })[e.key]
    if (by !== undefined) move(own + by)
    else if (e.key === 'Enter' && rows[own]) onPick?.(rows[own], own)
    else return
    e.preventDefault()
    e.stopPropagation()
  }
  const spacer = (/** @type {number} */ n) => (/** @type {HTMLElement|null} */ el) => el && (el.style.height = `${n * rowHeight}px`)
  return html`<div class="p-table" ref=${ref} tabindex="0" onKeyDown=${keydown} role="region" aria-label=${label}>
    <table aria-rowcount=${rows.length + 1}>
      <thead><tr aria-rowindex="1">${columns.map((c) => html`<th scope="col" class=${c.class || ''}>${c.title}</th>`)}</tr></thead>
      <tbody>
        ${from > 0 ? html`<tr aria-hidden="true" class="p-spacer"><td colspan=${columns.length} ref=${spacer(from)}></td></tr>` : null}
        ${rows.slice(from, to).map((row, i) => html`<tr key=${from + i} aria-rowindex=${from + i + 2} aria-current=${from + i === active ? 'true' : undefined}
            class=${`${from + i === active ? 'active ' : ''}${from + i === own ? 'cursor ' : ''}${rowClass?.(row, from + i) || ''}`} onClick=${() => (setOwn(from + i), onPick?.(row, from + i))}>
          ${columns.map((c) => html`<td class=${c.class || ''} title=${c.text?.(row)}>${c.cell(row)}</td>`)}
        </tr>`)}
        ${to < rows.length ? html`<tr aria-hidden="true" class="p-spacer"><td colspan=${columns.length} ref=${spacer(rows.length - to)}></td></tr>` : null}
      </tbody>
    </table>
  </div>`
}
