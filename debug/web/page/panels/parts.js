// @ts-check
// What commands say: a renderer for every kind of part, so that no answer is
// unreadable. A kind that isn't known is shown as the value that it is.
import { html } from '../vendor/htm-preact.js'
import { clock } from '../time.js'
import { PlaceLink, placeName } from './place.js'
import { Value, ValueTree } from './tree.js'
import { visible, visibleText } from './text.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').Answer} Answer */
/** @typedef {{store: Store, it: any}} PartProps */

/** @type {Record<string, (props: PartProps) => any>} */
const renderers = {
  remark: Remark, help: Help, node: NodeLine, variable: VariableLine, leftOut: LeftOut, more: More, span: Span, difference: DifferenceLine,
  witness: Witness, diagram: Diagram, event: EventPart, effect: EffectLine, log: LogLine, breakpoint: Breakpoint, stop: Stop, divergence: DivergencePart,
  mark: MarkLine, origin: OriginLine, row: RowLine, track: TrackPart, motif: MotifPart, live: LivePart,
}

/**
 * All that an answer says.
 * @param {{store: Store, answer: Answer|null|undefined}} props
 */
export function Parts({ store, answer }) {
  if (!answer) return null
  return html`<div class="p-parts">${answer.parts.map((part, i) => html`<${Part} key=${i} store=${store} part=${part} />`)}</div>`
}

/** @param {{store: Store, part: {[kind: string]: any}}} props */
export function Part({ store, part }) {
  const kind = Object.keys(part)[0]
  const draw = renderers[kind]
  if (draw) return html`<${draw} store=${store} it=${part[kind]} />`
  return html`<div class="p-part unknown"><span class="p-badge">${visible(kind)}</span><${ValueTree} value=${part[kind]} label=${kind} /></div>`
}

/**
 * The parts of one kind in an answer.
 * @param {Answer|null|undefined} answer
 * @param {string} kind
 * @returns {any[]}
 */
export const partsOf = (answer, kind) => (answer ? answer.parts.filter((p) => p[kind]).map((p) => p[kind]) : [])

/** @param {PartProps} props */
function Remark({ it }) {
  return html`<p class="p-part p-remark">${visibleText(it.text)}</p>`
}

/** @param {PartProps} props */
function Help({ it }) {
  return html`<div class="p-part p-help"><code>${it.name}${it.args ? ' ' + it.args : ''}</code>${(it.aliases || []).map((/** @type {string} */ a) => html` <kbd>${a}</kbd>`)}
    <p>${it.short}</p>${it.long ? html`<p class="p-dim">${it.long}</p>` : null}
    ${(it.examples || []).map((/** @type {string} */ e) => html`<code class="p-example">${e}</code>`)}</div>`
}

/** @param {PartProps} props */
function NodeLine({ store, it }) {
  const state = it.state || 'unknown'
  return html`<div class="p-part p-line"><span class=${'p-run ' + state.replace(' ', '-')}>${state}</span> <b>${visible(it.name)}</b>
    <span class="p-dim">${it.events.toLocaleString('en-US')} events, <${TimeLink} store=${store} time=${it.first} /> … <${TimeLink} store=${store} time=${it.last} /></span>
    ${(it.unknown || []).map((/** @type {string[]} */ u) => html`<span class="p-warn"> unknown ${clock(u[0])} … ${clock(u[1])}</span>`)}
    ${it.reason ? html`<span class="p-warn"> ${visible(it.reason)}</span>` : null}</div>`
}

/** @param {{store: Store, time: string}} props */
export function TimeLink({ store, time }) {
  return html`<button type="button" class="p-place" title=${'go to ' + time} onClick=${() => store.act.goto(time)}>${clock(time)}</button>`
}

/** @param {PartProps} props */
function VariableLine({ it }) {
  return html`<div class="p-part p-line"><span class="p-node">${visible(it.node)}</span> <span class="p-path">${visible(it.path)}</span> = <${Value} value=${it.value} max=${400} /></div>`
}

/** @param {PartProps} props */
function LeftOut({ store, it }) {
  const line = `${it.shows} ${it.variable}`
  return html`<div class="p-part p-line p-dim"><span class="p-node">${visible(it.node)}</span> <span class="p-path">${visible(it.variable)}</span> is too large to be compared after every event:
    <button type="button" class="p-link" onClick=${() => store.act.command(line)}>${visible(line)}</button></div>`
}

/** @param {PartProps} props */
function More({ it }) {
  return html`<p class="p-part p-dim">${it.node ? visible(it.node) + ': ' : ''}… and ${it.count.toLocaleString('en-US')} more</p>`
}

/** @param {PartProps} props */
function Span({ store, it }) {
  return html`<p class="p-part">from <${PlaceLink} store=${store} place=${it.from} /> to <${PlaceLink} store=${store} place=${it.to} />:</p>`
}

/** @param {PartProps} props */
function DifferenceLine({ it }) {
  return html`<div class="p-part p-diff"><div><span class="p-node">${visible(it.node)}</span> <span class="p-path">${visible(it.path)}</span></div>
    <${BeforeAfter} before=${'before' in it ? it.before : undefined} after=${'after' in it ? it.after : undefined} /></div>`
}

/** @param {{before: unknown, after: unknown}} props */
export function BeforeAfter({ before, after }) {
  return html`<div class="p-change"><del aria-label="before"><${Value} value=${before} max=${400} /></del><span aria-hidden="true"> → </span><ins aria-label="after"><${Value} value=${after} max=${400} /></ins></div>`
}

/** @param {PartProps} props */
function Witness({ it }) {
  return html`<p class="p-part p-dim">witness: ${it.chosen.map((/** @type {any} */ c) => html`<span class="p-badge">$${c.placeholder} = ${visible(c.node)}</span> `)}</p>`
}

/** @param {PartProps} props */
function Diagram({ store, it }) {
  return html`<p class="p-part p-dim">the diagram shows ${it.events.length} events here${it.events.length ? html`: <${PlaceLink} store=${store} place=${it.events[0]} /> to <${PlaceLink} store=${store} place=${it.events[it.events.length - 1]} />` : ''}</p>`
}

/**
 * An event on a line.
 * @param {{store: Store, it: any, time?: boolean}} props
 */
export function EventLine({ store, it, time = true }) {
  const note = it.kind === 'note'
  return html`<span class="p-event-line"><${PlaceLink} store=${store} place=${it} time=${time} /> <span class=${'p-kind ' + kindClass(it.kind)}>${visible(it.kind)}</span>
    ${it.name ? html` <b>${visible(it.name)}</b>` : null}${it.peer ? html` <span class="p-dim">${note ? 'peer' : 'from'} ${visible(it.peer)}</span>` : null}</span>`
}

/** @param {string} kind */
export const kindClass = (kind) => (['recv', 'request', 'timer', 'note', 'start', 'result', 'control'].includes(kind) ? kind : 'other')

/** @param {PartProps} props */
function EventPart({ store, it }) {
  if (!it.whole) return html`<div class="p-part"><${EventLine} store=${store} it=${it} /></div>`
  return html`<div class="p-part p-whole"><${EventLine} store=${store} it=${it} />
    ${it.data !== undefined ? html`<${ValueTree} value=${it.data} label="payload" />` : null}
    ${(it.effects || []).map((/** @type {any} */ f) => html`<${EffectLine} store=${store} it=${f} />`)}
    ${(it.changes || []).map((/** @type {any} */ c) => html`<div class="p-line"><span class="p-path">${visible(c.path)}</span> = <${Value} value=${c.value} max=${400} /></div>`)}
    ${(it.leftOut || []).map((/** @type {string} */ v) => html`<${LeftOut} store=${store} it=${{ node: it.node, variable: v, shows: 'diff' }} />`)}</div>`
}

/** @param {PartProps} props */
export function EffectLine({ store, it }) {
  return html`<div class="p-part p-line p-effect"><span class="p-kind effect">${visible(it.kind)}</span>${it.name ? html` <b>${visible(it.name)}</b>` : null}${it.peer ? html` <span class="p-dim">to</span> ${visible(it.peer)}` : null}
    <${Fate} store=${store} fate=${it.fate} />${it.data !== undefined ? html` <${Value} value=${it.data} max=${200} />` : null}</div>`
}

/**
 * What became of a message.
 * @param {{store: Store, fate: any}} props
 */
export function Fate({ store, fate }) {
  if (!fate) return null
  if (fate.received?.length) {
    return html`<span class="p-fate received"> → received at ${fate.received.map((/** @type {any} */ p, /** @type {number} */ i) => html`${i ? ', ' : ''}<${PlaceLink} store=${store} place=${p} time=${true} />`)}${fate.received.length > 1 ? html` <span class="p-warn">${fate.received.length} times</span>` : null}</span>`
  }
  if (!fate.notes?.length) return html`<span class="p-fate open"> … never received</span>`
  return html`<span class="p-fate dropped"> ╳ dropped: ${visible(fate.dropped)} ${fate.notes.map((/** @type {any} */ n) => html`<${PlaceLink} store=${store} place=${n} /> `)}</span>`
}

/** @param {PartProps} props */
function LogLine({ store, it }) {
  return html`<div class="p-part p-line p-log"><${PlaceLink} store=${store} place=${it.event} time=${true} /> ${it.level ? html`<${LogText} it=${it} />`
    : html`<span class="p-kind note">${visible(it.event?.name || it.event?.kind)}</span> <${Value} value=${it.data} max=${400} />`}</div>`
}

/** The classes of levels that have a colour. @type {Record<string, string>} */
const levels = { error: 'bad', warn: 'warn', warning: 'warn' }

/** @param {{it: any}} props what was logged */
export function LogText({ it }) {
  return html`<div class="p-line"><span class=${'p-level ' + (levels[String(it.level).toLowerCase()] || '')}>${visible(it.level)}</span> ${typeof it.data === 'string' ? visibleText(it.data) : html`<${Value} value=${it.data} max=${400} />`}</div>`
}

/** @param {PartProps} props */
function Breakpoint({ store, it }) {
  return html`<div class="p-part p-line"><span class="p-badge">${it.number}</span> break ${visible(it.on)} <code>${visible(it.text)}</code>
    <button type="button" class="p-link" onClick=${() => store.act.command(`delete ${it.number}`)}>delete</button></div>`
}

/** @param {PartProps} props */
function Stop({ it }) {
  return html`<p class="p-part">stopped by breakpoint ${it.number}: ${visible(it.on)} <code>${visible(it.text)}</code></p>`
}

/** @param {PartProps} props */
function DivergencePart({ store, it }) {
  if (!it.what) return html`<div class="p-part p-line"><span class="p-same">=</span> <b>${visible(it.node)}</b> <span class="p-dim">the same, ${it.same.toLocaleString('en-US')} events</span></div>`
  return html`<div class="p-part p-divergence"><div><span class="p-differs">≠</span> <b>${visible(it.node)}</b> differs after ${it.same.toLocaleString('en-US')} events: <b>${visible(it.what)}</b></div>
    <div class="p-line">here ${it.here ? html`<${EventLine} store=${store} it=${it.here} />` : 'it ends'}</div>
    <div class="p-line">there ${it.there ? html`<span>${placeName(it.there)} ${clock(it.there.time)} ${visible(it.there.kind)} ${visible(it.there.name)}</span>` : 'it ends'}</div>
    ${(it.details || []).map((/** @type {string} */ d) => html`<code class="p-detail">${visible(d)}</code>`)}</div>`
}

/** @param {PartProps} props */
function MarkLine({ store, it }) {
  return html`<div class="p-part p-line"><span class="p-badge">${visible(it.name)}</span> <${PlaceLink} store=${store} place=${it.place} time=${true} /> ${it.note ? visible(it.note) : null}</div>`
}

/** @param {PartProps} props */
export function OriginLine({ store, it }) {
  const how = it.from === 'message' ? html`from the message: <code>${visible(it.field)}</code>`
    : it.from === 'outside' ? html`from outside: <code>${visible(it.field)}</code>`
      : 'made here: it isn’t in what the event was given'
  return html`<div class=${'p-part p-origin' + (it.from === 'message' ? ' on' : '')}><${EventLine} store=${store} it=${it.event} />
    <div class="p-line">${it.path ? html`<span class="p-path">${visible(it.path)}</span> = ` : 'passes on '}<${Value} value=${it.value} max=${200} /> <span class="p-dim">${how}</span></div></div>`
}

/** @param {PartProps} props */
function RowLine({ store, it }) {
  const at = it.event?.node ? it.event : null
  return html`<div class="p-part p-line">${at ? html`<${PlaceLink} store=${store} place=${at} /> ` : null}${Object.entries(it).filter(([k]) => k !== 'event').map(([k, v]) => html`<span class="p-field"><span class="p-key">${visible(k)}</span> <${Value} value=${v} max=${300} /></span> `)}</div>`
}

/** How many matches are listed. */
const matchesShown = 100

/** @param {PartProps} props */
function MotifPart({ store, it }) {
  return html`<div class="p-part"><div>${it.found ? `${it.found.toLocaleString('en-US')} ${it.found === 1 ? 'match' : 'matches'} of` : 'nothing is like'} <code>${visible(it.pattern)}</code></div>
    ${it.matches.slice(0, matchesShown).map((/** @type {any} */ m) => html`<${Match} store=${store} match=${m} />`)}
    ${it.found > matchesShown ? html`<p class="p-dim">… and ${(it.found - matchesShown).toLocaleString('en-US')} more</p>` : null}
    ${it.until ? html`<p class="p-warn">the search ended at <${PlaceLink} store=${store} place=${it.until} />: over ${placeName(it.until)} to END it goes on</p>` : null}
    ${it.givenUp ? html`<p class="p-warn">of ${it.givenUp.toLocaleString('en-US')} events it isn’t known whether a match begins there: name more messages or nodes, or say within what time</p>` : null}</div>`
}

/** @param {{store: Store, match: any}} props the events of a match, and who is who */
function Match({ store, match }) {
  const who = match.lanes.filter((/** @type {any} */ l) => l.lane !== l.node)
  const signs = /** @type {Record<string, string>} */ ({ sends: '↗', receives: '↘', does: '•' })
  return html`<div class="p-line">${match.parts.map((/** @type {any} */ p) => html`<span title=${p.does}>${signs[p.does] || ''}<${PlaceLink} store=${store} place=${p} /></span> `)}
    <span class="p-dim">${who.map((/** @type {any} */ l) => `${visible(l.lane)} = ${visible(l.node)}`).join(', ')}</span></div>`
}

/** @param {PartProps} props how far a History that grows is */
function LivePart({ store, it }) {
  return html`<div class="p-part"><div>${it.events.toLocaleString('en-US')} events, complete up to <${TimeLink} store=${store} time=${it.reach} />${it.following ? '; the place follows the end' : ''}</div>
    ${it.forgotten ? html`<p class="p-dim">${it.forgotten.toLocaleString('en-US')} before them are forgotten</p>` : null}
    ${it.ended ? html`<p class="p-warn">nothing comes any more: ${visible(it.ended)}</p>` : null}
    ${(it.nodes || []).map((/** @type {any} */ n) => html`<div class="p-line"><span class="p-node">${visible(n.node)}</span> ${n.silent ? html`<span class="p-warn">isn’t heard: ${visible(n.silent)}</span>` : 'is heard'}</div>`)}</div>`
}

/** @param {PartProps} props */
function TrackPart({ store, it }) {
  const shown = it.points.slice(0, 200)
  return html`<div class="p-part"><div>${it.points.length.toLocaleString('en-US')} changes of <code>${visible(it.expression)}</code>
      <button type="button" class="p-link" onClick=${() => store.act.pin(it.expression)}>pin as a track</button></div>
    ${shown.map((/** @type {any} */ p) => html`<div class="p-line"><span class="p-time">${clock(p.at)}</span> ${p.node ? html`<span class="p-node">${visible(p.node)}</span> ` : null}<${Value} value=${p.value} max=${200} />
      ${p.event ? html` <button type="button" class="p-place" onClick=${() => store.act.goto(p.event)}>${visible(p.event)}</button>` : null}</div>`)}
    ${it.points.length > shown.length || it.partial ? html`<p class="p-dim">… and more</p>` : null}</div>`
}
