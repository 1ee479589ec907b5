// @ts-check
// A tree of which the rows that can be seen are a flat list: it opens as it is
// walked, and a long one is drawn in part.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact.js'
import { useWindow } from './window.js'
import { entries, isOpenable, kindOf, pathInto, preview, sizeOf, toText } from './value.js'
import { visible } from './text.js'

/**
 * A row of a tree that is open so far.
 * @typedef {object} TreeRow
 * @property {string} id
 * @property {number} level from 1
 * @property {boolean|null} open null: there is nothing inside
 * @property {any} content
 * @property {string} [label] what is read of it
 * @property {string} [class]
 * @property {any} [data] for whoever made it
 */

const rowHeight = 22

/**
 * @param {{rows: TreeRow[], label: string, active?: string, onActive?: (row: TreeRow) => void, onToggle: (row: TreeRow) => void,
 *   onEnter?: (row: TreeRow) => void, onKey?: (e: KeyboardEvent, row: TreeRow) => void, fit?: boolean}} props
 *   fit: as high as its rows, up to a bound
 */
export function Tree({ rows, label, active, onActive, onToggle, onEnter, onKey, fit }) {
  const [own, setOwn] = useState('')
  const { ref, from, to, show, height } = useWindow(rows.length, rowHeight)
  const prefix = useRef('t' + Math.random().toString(36).slice(2, 8)).current
  const at = Math.max(0, rows.findIndex((r) => r.id === (active ?? own)))
  const focus = (/** @type {number} */ i) => {
    const row = rows[Math.min(Math.max(i, 0), rows.length - 1)]
    if (!row) return
    setOwn(row.id)
    onActive?.(row)
    show(rows.indexOf(row))
  }
  useEffect(() => {
    if (active) show(rows.findIndex((r) => r.id === active))
  }, [active, height])
  const keydown = (/** @type {KeyboardEvent} */ e) => {
    const row = rows[at]
    if (!row || e.ctrlKey || e.metaKey || e.altKey) return
    const moves = keyMoves(rows, at, e.key)
    if (moves === 'toggle') onToggle(row)
    else if (moves !== null) focus(moves)
    else if (e.key === 'Enter') onEnter ? onEnter(row) : row.open !== null && onToggle(row)
    else return onKey?.(e, row)
    e.preventDefault()
    e.stopPropagation()
  }
  const sized = (/** @type {HTMLElement|null} */ el) => el && (el.style.height = `${rows.length * rowHeight}px`)
  return html`<div class=${'p-tree' + (fit ? ' fit' : '')} role="tree" aria-label=${label} tabindex="0" ref=${ref} onKeyDown=${keydown}
      aria-activedescendant=${rows.length ? `${prefix}-${at}` : undefined}>
    <div class="p-tree-all" role="presentation" ref=${sized}>
      ${rows.slice(from, to).map((row, i) => html`<${TreeLine} key=${row.id} row=${row} top=${(from + i) * rowHeight} id=${`${prefix}-${from + i}`}
        active=${from + i === at} onPick=${() => focus(from + i)} onToggle=${() => (focus(from + i), onToggle(row))} />`)}
    </div>
  </div>`
}

/**
 * Where a key leads from a row, 'toggle' to open or fold it, null if nowhere.
 * @param {TreeRow[]} rows
 * @param {number} at
 * @param {string} key
 * @returns {number|'toggle'|null}
 */
export function keyMoves(rows, at, key) {
  const row = rows[at]
  switch (key) {
    case 'ArrowDown':
      return at + 1
    case 'ArrowUp':
      return at - 1
    case 'PageDown':
      return at + 15
    case 'PageUp':
      return at - 15
    case 'Home':
      return 0
    case 'End':
      return rows.length - 1
    case 'ArrowRight':
      if (row.open === false) return 'toggle'
      return row.open ? at + 1 : null
    case 'ArrowLeft': {
      if (row.open) return 'toggle'
      for (let i = at - 1; i >= 0; i--) if (rows[i].level < row.level) return i
      return null
    }
    case ' ':
      return row.open === null ? null : 'toggle'
  }
  return null
}

/** @param {{row: TreeRow, top: number, id: string, active: boolean, onPick: () => void, onToggle: () => void}} props */
function TreeLine({ row, top, id, active, onPick, onToggle }) {
  const placed = (/** @type {HTMLElement|null} */ el) => {
    if (!el) return
    el.style.transform = `translateY(${top}px)`
    el.style.paddingLeft = `${(row.level - 1) * 14 + 2}px`
  }
  return html`<div class=${`p-tree-row ${row.class || ''}${active ? ' active' : ''}`} role="treeitem" id=${id} ref=${placed} aria-level=${row.level}
      aria-expanded=${row.open === null ? undefined : String(row.open)} aria-selected=${String(active)} aria-label=${row.label} onClick=${onPick} onDblClick=${onToggle}>
    <span class="p-twist" onClick=${(/** @type {Event} */ e) => (e.stopPropagation(), row.open !== null && onToggle())} aria-hidden="true">${row.open === null ? '' : row.open ? '▾' : '▸'}</span>
    ${row.content}
  </div>`
}

/** How many members of a value are listed before 'more'. */
const page = 200

/**
 * The rows of a value that is here as a whole.
 * @param {unknown} value
 * @param {Map<string, number>} open the ids that are open, and how many of their members are listed
 * @param {string} [path]
 * @returns {TreeRow[]}
 */
export function valueRows(value, open, path = '') {
  /** @type {TreeRow[]} */
  const rows = []
  /** @param {unknown} v @param {string} id @param {string} at @param {number} level */
  const inside = (v, id, at, level) => {
    const shown = open.get(id) || page
    entries(v, 0, shown).forEach((e, i) => {
      const child = `${id}/${i}`
      const has = isOpenable(e.value)
      const isOpen = has && open.has(child)
      const to = pathInto(at, e, level === 1)
      rows.push({ id: child, level, open: has ? isOpen : null, content: valueLine(e.key, e.value, isOpen), label: `${e.key}: ${preview(e.value, 60)}`, data: { path: to, value: e.value } })
      if (isOpen) inside(e.value, child, to, level + 1)
    })
    const left = sizeOf(v) - shown
    if (left > 0) rows.push({ id: `${id}/more`, level, open: null, class: 'more', content: html`<span class="p-more">… ${left.toLocaleString('en-US')} more</span>`, data: { more: id, to: shown + page } })
  }
  inside(value, '', path, 1)
  return rows
}

/** @param {string} key @param {unknown} value @param {boolean} open */
function valueLine(key, value, open) {
  return html`<span class="p-key">${visible(key)}</span>${open ? html`<span class="p-count">${sizeOf(value).toLocaleString('en-US')}</span>` : html`<${Value} value=${value} />`}`
}

/**
 * A value on a line, coloured by its kind.
 * @param {{value: unknown, max?: number}} props
 */
export function Value({ value, max = 160 }) {
  const kind = kindOf(value)
  return html`<span class=${'p-value ' + kind}>${preview(value, max)}</span>`
}

/**
 * A value that opens step by step.
 * @param {{value: unknown, label: string, path?: string}} props
 */
export function ValueTree({ value, label, path }) {
  const [open, setOpen] = useState(() => firstOpen(value))
  const [active, setActive] = useState('')
  if (!isOpenable(value)) return html`<div class="p-scalar"><${Value} value=${value} max=${100000} /></div>`
  const rows = valueRows(value, open, path)
  const chosen = rows.find((r) => r.id === active)
  const toggle = (/** @type {TreeRow} */ row) => {
    const next = new Map(open)
    if (row.data?.more !== undefined) next.set(row.data.more, row.data.to)
    else if (next.has(row.id)) next.delete(row.id)
    else if (row.open !== null) next.set(row.id, page)
    setOpen(next)
  }
  return html`<${Tree} rows=${rows} label=${label} active=${active || undefined} onActive=${(/** @type {TreeRow} */ r) => setActive(r.id)} onToggle=${toggle} onEnter=${toggle} fit=${true} />
    ${chosen?.data?.value !== undefined && !sizeOf(chosen.data.value) && toText(chosen.data.value).length > 30 ? html`<div class="p-scalar"><${Value} value=${chosen.data.value} max=${100000} /></div>` : null}`
}

/** What is small is open at once. @param {unknown} value */
function firstOpen(value) {
  /** @type {Map<string, number>} */
  const open = new Map()
  if (sizeOf(value) <= 12) {
    entries(value).forEach((e, i) => {
      if (sizeOf(e.value) <= 6) open.set(`/${i}`, page)
    })
  }
  return open
}
