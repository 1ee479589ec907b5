// @ts-check
// The column with the names of the lanes: of those in view alone, however many there are.
import { html } from '../vendor/htm-preact.js'
import { useStore } from '../store.js'
import { grouped } from '../time.js'
import { visible } from '../panels/text.js'
import { others, visibleRows } from './layout.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').State} State */
/** @typedef {import('./layout.js').Layout} Layout */

const words = { up: 'up', down: 'down', 'not begun': 'not begun yet', '': 'not known whether it is up' }

/** @param {State} s @param {number} node */
function about(s, node) {
  const info = s.about?.nodes[node]
  const state = s.laneStates[node]?.state ?? ''
  const silent = s.live?.nodes.find((n) => n.node === node)?.silent || ''
  const unknown = info && (!info.events || silent)
  return { name: visible(info?.name || ''), state, unknown, silent, why: silent || info?.reason || '', events: info?.events || 0 }
}

/** How wide the column is that has room for each name and the word beside it, and for what tracks are of, in pixels. @param {State} s */
export function namesWidth(s) {
  const silent = new Set(s.live?.nodes.filter((n) => n.silent).map((n) => n.node))
  const width = (s.about?.nodes || []).reduce((w, o, i) => Math.max(w, o.name.length * 7.4 + (!o.events || silent.has(i) ? 96 : 48)), s.tracks.length ? 168 : 112)
  return Math.min(200, width)
}

/** @param {{store: Store, node: number, y: number, pitch: number, chosen: boolean}} props */
function Name({ store, node, y, pitch, chosen }) {
  const s = store.get()
  const { name, state, unknown, why, events, silent } = about(s, node)
  const mark = unknown ? 'unknown' : state === '' ? 'maybe' : state.replace(' ', '-')
  const title = `${name}: ${grouped(events)} events; ${unknown ? 'unknown' + (why ? ': ' + why : '') : words[state]} at the cut`
  const menu = (/** @type {KeyboardEvent} */ e) => {
    if (e.altKey && (e.key === 'ArrowUp' || e.key === 'ArrowDown')) {
      e.preventDefault()
      store.act.moveLane(node, e.key === 'ArrowUp' ? -1 : 1)
    }
  }
  return html`<div class=${'lane-name' + (chosen ? ' chosen' : '')} style=${{ top: `${y}px`, height: `${pitch}px` }}>
    <button class="choose" title=${title} aria-pressed=${String(chosen)} onClick=${() => store.set({ lane: chosen ? -1 : node })} onKeyDown=${menu}>
      <i class=${'lamp ' + mark} aria-hidden="true"></i><span>${name}</span>${state === 'down' && pitch > 26 ? html`<em>down</em>` : unknown && pitch > 26 ? html`<em>${silent ? 'silent' : 'unknown'}</em>` : null}
    </button>
    <button class="fold quiet" tabindex="-1" title=${`merge ${name} with the others (x)`} aria-label=${`merge ${name} with the others`} onClick=${() => store.act.collapse(node, true)}>–</button>
  </div>`
}

/** @param {{store: Store, layout: Layout, scroll: number, room: number}} props */
export function Names({ store, layout, scroll, room }) {
  const lane = useStore(store, (s) => s.lane)
  useStore(store, (s) => s.laneStates)
  useStore(store, (s) => s.live)
  const [from, to] = visibleRows(layout, scroll, room, 4)
  const rows = []
  for (let i = from; i < to; i++) {
    const node = layout.rows[i]
    const y = i * layout.pitch
    rows.push(node === others
      ? html`<div key="others" class="lane-name others" style=${{ top: `${y}px`, height: `${layout.pitch}px` }}>
          <button class="choose" title="show all lanes" onClick=${() => store.set({ collapsed: new Set(), laneFilter: '' })}><span>${grouped(layout.merged.length)} ${layout.merged.length === 1 ? 'other' : 'others'}</span><em>show</em></button></div>`
      : html`<${Name} key=${node} store=${store} node=${node} y=${y} pitch=${layout.pitch} chosen=${node === lane} />`)
  }
  return html`<div class="names" role="group" aria-label="Lanes">${rows}</div>`
}
