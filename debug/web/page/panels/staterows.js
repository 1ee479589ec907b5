// @ts-check
// The rows of the state's tree.
import { html } from '../vendor/htm-preact.js'
import { visible } from './text.js'

/** @typedef {import('./tree.js').TreeRow} TreeRow */
/** @typedef {import('../types').LaneState} LaneState */
/** @typedef {import('../types').Place} Place */

/**
 * A variable, or what is one step inside a value, as the server lists it.
 * @typedef {{key: string, path: string, type: string, size?: number, text: string, changed?: boolean, bulky?: boolean}} Child
 */

/** What is listed at a path of a node. @typedef {{known: boolean, children: Child[], more?: number}} Listing */

/**
 * The id of a row: of a node with the path ''.
 * @param {number} node
 * @param {string} path
 */
export const keyOf = (node, path) => JSON.stringify([node, path])

/**
 * The paths that have to be open for one to be seen: its variable, and what leads
 * from there to it.
 * @param {string} path
 * @returns {string[]}
 */
export function openable(path) {
  const out = []
  let quoted = ''
  let stepped = false
  for (let i = 0; i < path.length; i++) {
    const c = path[i]
    if (quoted) {
      if (c === '\\' && quoted === '"') i++
      else if (c === quoted) quoted = ''
    } else if (c === '"' || (c === '`' && i === 0)) quoted = c
    else if (c === '[' || (c === '.' && stepped)) {
      out.push(path.slice(0, i))
      stepped = true
    }
  }
  return out
}

/**
 * @param {Map<string, Listing>} listings
 * @param {string} key
 * @param {number} skip how many were there when it was asked for: who asked twice gets it once
 * @param {Listing} next what comes after them
 */
export function loadMore(listings, key, skip, next) {
  const had = listings.get(key)
  if ((had?.children.length || 0) !== skip) return listings
  return new Map(listings).set(key, { ...next, children: [...(had?.children || []), ...next.children] })
}

/**
 * @param {{name: string}[]} nodes
 * @param {Map<string, Listing>} listings
 * @param {Set<string>} open
 * @param {LaneState[]} lanes
 * @param {Place|null} cut
 * @returns {TreeRow[]}
 */
export function stateRows(nodes, listings, open, lanes, cut) {
  /** @type {TreeRow[]} */
  const rows = []
  nodes.forEach((node, n) => {
    const id = keyOf(n, '')
    const listing = listings.get(id)
    const state = listing && !listing.known ? '' : lanes[n]?.state || ''
    const here = !!cut && cut.node === n
    const empty = listing && !listing.children.length ? (listing.known ? 'nothing is set' : 'nothing recorded up to here') : ''
    rows.push({ id, level: 1, open: empty ? null : open.has(id), class: 'node' + (here ? ' here' : ''), label: `${node.name} ${state}`, data: { node: n },
      content: html`<b class="p-node">${visible(node.name)}</b>${state ? html`<span class=${'p-run ' + state.replace(' ', '-')}>${state}</span>` : null}${here ? html`<span class="p-here">last event</span>` : null}${empty ? html`<span class="p-run">${empty}</span>` : null}` })
    if (open.has(id) && !empty) inside(rows, listings, open, n, '', 2)
  })
  return rows
}

/**
 * @param {TreeRow[]} rows
 * @param {Map<string, Listing>} listings
 * @param {Set<string>} open
 * @param {number} node
 * @param {string} path
 * @param {number} level
 */
function inside(rows, listings, open, node, path, level) {
  const listing = listings.get(keyOf(node, path))
  if (!listing) {
    rows.push({ id: keyOf(node, path) + '…', level, open: null, content: html`<span class="p-dim">…</span>` })
    return
  }
  for (const c of listing.children) {
    const id = keyOf(node, c.path)
    const gone = c.type === 'absent' && !c.bulky
    const opens = !!c.size && c.type !== 'set'
    rows.push({ id, level, open: opens ? open.has(id) : null, class: (c.changed ? 'changed' : '') + (gone ? ' gone' : ''),
      label: `${c.key}: ${c.text}${c.changed ? ', changed' : ''}`, content: childLine(c, gone, opens && open.has(id)), data: { node, path: c.path, bulky: c.bulky, gone } })
    if (opens && open.has(id)) inside(rows, listings, open, node, c.path, level + 1)
  }
  if (listing.more) {
    rows.push({ id: keyOf(node, path) + '+', level, open: null, class: 'more', content: html`<span class="p-more">… ${listing.more.toLocaleString('en-US')} more: Enter, or a double click, lists them</span>`,
      data: { more: true, key: keyOf(node, path), skip: listing.children.length } })
  }
}

/** @param {Child} c @param {boolean} gone @param {boolean} open */
function childLine(c, gone, open) {
  const size = c.size ? html`<span class="p-count">${c.size.toLocaleString('en-US')}</span>` : null
  const value = gone ? 'deleted' : c.bulky && c.type === 'absent' ? 'too large to be compared after every event' : c.text
  return html`${c.changed ? html`<span class="p-dot" title="changed by the event at the cut"></span>` : null}<span class="p-key">${visible(c.key)}</span>${size}${open ? null : html`<span class=${'p-value ' + c.type}>${visible(value)}</span>`}`
}
