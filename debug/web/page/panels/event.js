// @ts-check
// The selected event: what it was given, what it changed and sent, why it happened.
import { html, useEffect, useState } from '../vendor/htm-preact.js'
import { useStore } from '../store.js'
import { clock } from '../time.js'
import { useAnswer } from './ask.js'
import { BeforeAfter, EventLine, Fate, kindClass, LogText, OriginLine, partsOf } from './parts.js'
import { copy, placeName, placeText, Problem, Section } from './place.js'
import { ValueTree } from './tree.js'
import { plural, visible } from './text.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').Place} Place */
/** @typedef {import('./ask.js').Asked} Asked */

/** @param {{store: Store}} props */
export function EventPanel({ store }) {
  const selected = useStore(store, (s) => s.selected)
  const cut = useStore(store, (s) => s.cut)
  const place = selected || cut
  const at = place && !place.begin ? placeText(place) : ''
  const settled = useSettled(at)
  const told = useAnswer(store, 'event', settled)
  const [origin, setOrigin] = useState('')
  useEffect(() => setOrigin(''), [settled])
  const event = partsOf(told.answer, 'event')[0]
  const cause = useAnswer(store, 'cause', event && !told.loading && (event.id || event.kind === 'note') ? settled : '')
  const diff = useAnswer(store, 'diff', settled)
  const effects = useAnswer(store, 'effects', !told.loading && event?.effects?.length ? settled : '')
  const before = event && place && (event.seq !== place.seq || event.node !== place.name) // it is still asked for
  const stale = settled !== at || before || [told, cause, diff, effects].some((t) => t.loading)
  if (!place || place.begin) return html`<${Nowhere} store=${store} />`
  return html`<section class=${'p-panel p-event' + (stale ? ' stale' : '')} aria-label="Event" aria-busy=${String(!!stale)}>
    <${Head} store=${store} place=${place} event=${event} here=${!!cut && placeText(cut) === at} />
    <${Problem} problem=${told.problem} />
    ${event ? html`<${Cause} store=${store} event=${event} at=${settled} told=${cause} stale=${!!stale} />
      <${Payload} event=${event} />
      <${Changes} store=${store} event=${event} at=${settled} told=${diff} origin=${origin} onOrigin=${setOrigin} />
      <${Effects} store=${store} event=${event} told=${effects} />
      <${Lines} event=${event} />
      <${Facts} store=${store} event=${event} />` : null}
  </section>`
}

/**
 * A text once it has been the same for a moment: a key held down asks nothing.
 * @param {string} text
 */
function useSettled(text) {
  const [settled, set] = useState(text)
  useEffect(() => {
    if (text === settled) return
    const timer = setTimeout(() => set(text), 40)
    return () => clearTimeout(timer)
  }, [text])
  return settled
}

/** @param {{store: Store}} props */
function Nowhere({ store }) {
  return html`<section class="p-panel" aria-label="Event"><p class="p-empty">Before the first event: nothing has happened yet.</p>
    <p><button type="button" class="p-button" onClick=${() => store.act.command('step')}>Step to the first event</button></p></section>`
}

/** @param {{store: Store, place: Place, event: any, here: boolean}} props */
function Head({ store, place, event, here }) {
  const name = placeName(place)
  const lane = place.name.length > 14 ? 'this node' : visible(place.name)
  return html`<header class="p-head">
    <div class="p-title">${event ? html`<span class=${'p-kind ' + kindClass(event.kind)}>${visible(event.kind)}</span> ` : null}<h2>${event?.name ? visible(event.name) : event ? '' : '…'}</h2>
      ${event?.peer ? html` <span class="p-dim">${event.kind === 'note' ? 'peer' : 'from'}</span> <b>${visible(event.peer)}</b>` : null}</div>
    <div class="p-sub"><span class="p-node">${name}</span> <time title=${place.time}>${place.time ? clock(place.time) : ''}</time></div>
    <div class="p-buttons" role="toolbar" aria-label="Go on from this event">
      ${here ? html`<span class="p-here">the cut is here</span>` : html`<button type="button" class="p-button" onClick=${() => store.act.goto(placeText(place))}>Go here</button>`}
      <button type="button" class="p-button" title=${`the event before on ${visible(place.name)}`} onClick=${() => store.act.command(`prev ${place.name}`)}>‹ ${lane}</button>
      <button type="button" class="p-button" title=${`the next event on ${visible(place.name)}`} onClick=${() => store.act.command(`next ${place.name}`)}>${lane} ›</button>
      <button type="button" class="p-button" onClick=${() => copy(store, placeText(place), 'the place')}>Copy</button>
    </div>
  </header>`
}

/** @param {{store: Store, event: any, at: string, told: Asked, stale: boolean}} props */
function Cause({ store, event, at, told, stale }) {
  const cause = partsOf(told.answer, 'event')[0]
  const went = told.answer && `${told.answer.place.node}:${told.answer.place.seq}` !== at
  return html`<div class="p-cause"><span class="p-label">Caused by</span>
    ${stale ? html`<span class="p-dim">…</span>` : cause && went ? html`<span><${EventLine} store=${store} it=${cause} /></span> <button type="button" class="p-button small" title="go to the event that caused this one (command: cause)"
        onClick=${() => store.act.goto(`${cause.node}:${cause.seq}`)}>Follow</button>`
      : html`<span class="p-dim">${told.problem ? visible(reason(told.problem.text)) : outside(event)}</span>`}
  </div>`
}

/** @param {string} text */
const reason = (text) => text.replace(/^cause: (.* was caused by (?=no message))?/, '')

/** @param {any} event */
const outside = (event) => (event.kind === 'request' ? 'a client, outside of the recording' : 'no message or timer of the recording')

/** @param {{event: any}} props */
function Payload({ event }) {
  if (event.data === undefined) return null
  return html`<${Section} title=${event.kind === 'note' ? 'Note' : 'Payload'}><${ValueTree} key=${`${event.node}:${event.seq}`} value=${event.data} label="Payload" /><//>`
}

/** How many changes are shown at once. */
const changesShown = 100

/** @param {{store: Store, event: any, at: string, told: Asked, origin: string, onOrigin: (path: string) => void}} props */
function Changes({ store, event, at, told, origin, onOrigin }) {
  const [all, setAll] = useState(false)
  const differences = partsOf(told.answer, 'difference')
  const more = partsOf(told.answer, 'more')[0]
  const left = partsOf(told.answer, 'leftOut')
  const shown = all ? differences : differences.slice(0, changesShown)
  if (told.answer && !differences.length && !left.length && event.kind === 'note') return null
  const count = told.answer ? differences.length + (more?.count || 0) : event.changes?.length || 0
  return html`<${Section} title="Changed" count=${count}>
    ${!told.answer && told.loading ? html`<p class="p-dim">…</p>` : null}
    ${told.answer && !count && !left.length ? html`<p class="p-dim">nothing: the state is as it was before</p>` : null}
    <ul class="p-list">${shown.map((d) => html`<li class="p-diff" key=${d.path}>
      <div class="p-diff-head"><span class="p-path">${visible(d.path)}</span><span class="p-actions">
        <button type="button" class="p-icon" title="where the value came from (command: cause PATH)" aria-pressed=${String(origin === d.path)} onClick=${() => onOrigin(origin === d.path ? '' : d.path)}>origin</button>
        <button type="button" class="p-icon" title="pin as a track under the lanes" onClick=${() => store.act.pin(d.path)}>pin</button></span></div>
      <${BeforeAfter} before=${'before' in d ? d.before : undefined} after=${'after' in d ? d.after : undefined} />
      ${origin === d.path ? html`<${Origin} store=${store} node=${d.node} path=${d.path} at=${at} />` : null}
    </li>`)}</ul>
    ${differences.length > shown.length ? html`<button type="button" class="p-link" onClick=${() => setAll(true)}>show all ${differences.length}</button>` : null}
    ${more ? html`<p class="p-dim">… and ${plural(more.count, 'change')} more: the state panel has them all</p>` : null}
    ${left.map((l) => html`<p class="p-dim"><span class="p-path">${visible(l.variable)}</span> is too large to be compared after every event <button type="button" class="p-icon" onClick=${() => store.act.command(`diff ${l.variable}`)}>compare</button></p>`)}
  <//>`
}

/**
 * The way of a value back to where it came from.
 * @param {{store: Store, node: string, path: string, at: string}} props
 */
export function Origin({ store, node, path, at }) {
  const told = useAnswer(store, `cause ${node} ${path}`, at)
  const links = partsOf(told.answer, 'origin')
  return html`<div class="p-chain"><div class="p-label">Where ${visible(path)} on ${visible(node)} came from</div>
    <${Problem} problem=${told.problem} />
    ${told.loading ? html`<p class="p-dim">…</p>` : null}
    <ol>${links.map((l, i) => html`<li key=${i}><${OriginLine} store=${store} it=${l} /></li>`)}</ol>
    ${partsOf(told.answer, 'remark').map((r) => html`<p class="p-dim">${visible(r.text)}</p>`)}
  </div>`
}

/** @param {{store: Store, event: any, told: Asked}} props */
function Effects({ store, event, told }) {
  const effects = (told.answer ? partsOf(told.answer, 'effect') : event.effects || []).filter((/** @type {any} */ f) => f.kind !== 'log')
  if (!effects.length && event.kind === 'note') return null
  if (!effects.length) return html`<${Section} title="Effects" count=${0}><p class="p-dim">none: it sent nothing and set no timer</p><//>`
  return html`<${Section} title="Effects" count=${effects.length}><ul class="p-list">
    ${effects.map((/** @type {any} */ f, /** @type {number} */ i) => html`<${Effect} key=${i} store=${store} it=${f} />`)}
  </ul><//>`
}

/** @param {{store: Store, it: any}} props */
function Effect({ store, it }) {
  const arrived = it.fate?.received?.[0]
  return html`<li class=${'p-effect ' + (arrived ? 'arrived' : it.fate?.notes ? 'lost' : '')}>
    <div class="p-diff-head"><span><span class="p-kind effect">${visible(it.kind)}</span> ${it.name ? html`<b>${visible(it.name)}</b>` : null}${it.peer ? html` <span class="p-dim">to</span> <b>${visible(it.peer)}</b>` : null}</span>
      ${arrived ? html`<button type="button" class="p-button small" title="go to where it arrived" onClick=${() => store.act.goto(placeText(arrived))}>Follow</button>` : null}</div>
    <div><${Fate} store=${store} fate=${it.fate} /></div>
    ${it.data !== undefined ? html`<${ValueTree} value=${it.data} label=${`payload of ${it.name || it.kind}`} />` : null}
  </li>`
}

/** @param {{event: any}} props what it logged */
function Lines({ event }) {
  const logs = (event.log || []).filter((/** @type {any} */ l) => l.level) // what a note says is its payload
  if (!logs.length) return null
  return html`<${Section} title="Logged" count=${logs.length}>${logs.map((/** @type {any} */ l) => html`<${LogText} it=${l} />`)}<//>`
}

/** @param {{store: Store, event: any}} props */
function Facts({ store, event }) {
  /** @type {[string, any][]} */
  const facts = []
  if (event.machine) facts.push(['Machine', visible(event.machine) + (event.code?.version > 1 ? `, version ${event.code.version}` : '')])
  if (event.code) facts.push(['Code', html`<${CodePlace} store=${store} code=${event.code} />`])
  facts.push(['Timestamp', html`<code>${event.time}</code>`])
  if (event.clock) facts.push(['Node’s clock', html`<code>${event.clock}</code>`])
  if (event.id) facts.push(['Message', html`<code>${visible(event.id)}</code>`])
  return html`<${Section} title="Details"><dl class="p-facts">${facts.map(([k, v]) => html`<dt>${k}</dt><dd>${v}</dd>`)}</dl><//>`
}

/** @param {{store: Store, code: any}} props where the Step stands that handled it */
function CodePlace({ store, code }) {
  const at = `${code.file}:${code.line}`
  return html`<code>${visible(code.function)}</code><br /><code>${visible(at)}</code> <button type="button" class="p-icon" onClick=${() => copy(store, at, 'the place in the code')}>copy</button>
    ${code.of ? html`<p class="p-warn">as it is in build ${visible(code.of)}, which isn’t the one that ran</p>` : null}`
}
