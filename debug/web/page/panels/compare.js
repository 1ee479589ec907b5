// @ts-check
// Two Histories held against each other: where each node first did something else.
import { html, useState } from '../vendor/htm-preact.js'
import { clock } from '../time.js'
import { align } from './align.js'
import { kept, keep } from './kept.js'
import { EventLine, kindClass, partsOf } from './parts.js'
import { PlaceLink, placeName, Problem } from './place.js'
import { Value } from './tree.js'
import { plural, visible } from './text.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').Answer} Answer */
/** @typedef {{line: string, answer: Answer|null, problem: any, running: boolean}} Compared */

/** The last comparison, which a change of tabs keeps. @type {WeakMap<Store, Compared>} */
const lastCompared = new WeakMap()

/** @param {{store: Store}} props */
export function ComparePanel({ store }) {
  const [state, setState] = useState(lastCompared.get(store) || /** @type {Compared} */ ({ line: '', answer: null, problem: null, running: false }))
  const put = (/** @type {Compared} */ c) => (lastCompared.set(store, c), setState(c))
  const ask = async (/** @type {string} */ line) => {
    put({ line, answer: null, problem: null, running: true })
    /** @type {any} */
    let problem = null
    const answer = await store.act.command(line, { failed: (p) => (problem = p) })
    put({ line, answer, problem, running: false })
  }
  return html`<section class="p-panel p-compare" aria-label="Compare">
    <${Ask} label="With another recording or History" verb="compare " kind="others" placeholder="fixed.jsonl, a directory" hint="its path, where the server can read it" onAsk=${ask} busy=${state.running} />
    <${Ask} label="With what another build would do" verb="whatif --exec " kind="builds" placeholder="./myservice-fixed" hint="a program: the recording is replayed with it" onAsk=${ask} busy=${state.running} />
    ${state.running ? html`<p class="p-dim" role="status">comparing event by event…</p>` : null}
    <${Problem} problem=${state.problem} />
    ${state.answer ? html`<${Outcome} store=${store} answer=${state.answer} />` : null}
  </section>`
}

/** @param {{label: string, verb: string, kind: string, placeholder: string, hint: string, onAsk: (line: string) => void, busy: boolean}} props */
function Ask({ label, verb, kind, placeholder, hint, onAsk, busy }) {
  const [what, setWhat] = useState('')
  const [known, setKnown] = useState(kept(kind))
  const list = 'p-known-' + kind
  const submit = (/** @type {Event} */ e) => {
    e.preventDefault()
    if (!what.trim()) return
    setKnown(keep(kind, what.trim()))
    onAsk(verb + what.trim())
  }
  return html`<form class="p-ask" onSubmit=${submit}><label>${label}<span class="p-dim"> ${hint}</span>
      <span class="p-row"><input class="p-input wide" value=${what} list=${list} placeholder=${placeholder} onInput=${(/** @type {any} */ e) => setWhat(e.target.value)} />
      <button type="submit" class="p-button" disabled=${busy}>Compare</button></span></label>
    <datalist id=${list}>${known.map((k) => html`<option value=${k}></option>`)}</datalist></form>`
}

/** @param {{store: Store, answer: Answer}} props */
function Outcome({ store, answer }) {
  const nodes = partsOf(answer, 'divergence')
  const parted = nodes.filter((d) => d.what)
  const same = nodes.filter((d) => !d.what)
  return html`<div class="p-outcome">
    <p role="status"><b>${parted.length ? `${plural(parted.length, 'node')} of ${nodes.length} ${parted.length === 1 ? 'parts' : 'part'}` : 'The same events, effects and changes on every node'}</b></p>
    ${partsOf(answer, 'remark').map((r) => html`<p class="p-dim">${visible(r.text)}</p>`)}
    ${parted.map((d, i) => html`<${Divergence} key=${d.node} store=${store} it=${d} first=${i === 0} />`)}
    ${same.length && parted.length ? html`<p class="p-dim">the same: ${same.map((d) => html`<span class="p-badge">${visible(d.node)} ${d.same.toLocaleString('en-US')}</span> `)}</p>` : null}
  </div>`
}

/** @param {{store: Store, it: any, first: boolean}} props */
function Divergence({ store, it, first }) {
  const [all, setAll] = useState(false)
  const aligned = align(it.here, it.there)
  const rows = all ? aligned : aligned.filter((r) => r.differs)
  return html`<details class="p-divergence" open=${first}>
    <summary><span class="p-differs" aria-hidden="true">≠</span> <b>${visible(it.node)}</b> <span>${first ? 'parts first, ' : ''}after ${plural(it.same, 'event')}: <b>${visible(it.what)}</b></span>
      ${it.here ? html`<${PlaceLink} store=${store} place=${it.here} time=${true} />` : null}</summary>
    <table class="p-aligned"><thead><tr><th scope="col">here</th><th scope="col">there</th></tr></thead>
      <tbody>
        <tr><td>${it.here ? html`<${EventLine} store=${store} it=${it.here} />` : 'it ends'}</td><td>${it.there ? html`${placeName(it.there)} <span class="p-time">${clock(it.there.time)}</span>` : 'it ends'}</td></tr>
        ${rows.map((r) => html`<tr><th scope="rowgroup" colspan="2">${visible(r.what)}</th></tr>
          <tr class=${r.differs ? 'differs' : ''}><td>${side(r.here)}</td><td>${side(r.there)}</td></tr>`)}
      </tbody></table>
    ${aligned.length > rows.length || all ? html`<button type="button" class="p-icon" onClick=${() => setAll(!all)}>${all ? 'only what differs' : `show also the ${aligned.length - rows.length} that are the same`}</button>` : null}
    ${(it.details || []).length && !rows.length ? html`<div class="p-details">${it.details.map((/** @type {string} */ d) => html`<code class=${'p-detail ' + (d.startsWith('- ') ? 'gone' : d.startsWith('+ ') ? 'new' : '')}>${visible(d)}</code>`)}</div>` : null}
    <${Around} store=${store} aligned=${it.aligned || []} />
  </details>`
}

/** The events around there, side by side. @param {{store: Store, aligned: {here?: any, there?: any, differs?: string}[]}} props */
function Around({ store, aligned }) {
  if (aligned.length < 2) return null
  const there = (/** @type {any} */ e) => html`<span class="p-place">${placeName(e)}</span> <span class=${'p-kind ' + kindClass(e.kind)}>${visible(e.kind)}</span> <b>${visible(e.name)}</b>${e.peer ? html` <span class="p-dim">${visible(e.peer)}</span>` : null}`
  return html`<details class="p-around" open><summary>The events around, side by side</summary>
    <table class="p-aligned"><thead><tr><th scope="col">here</th><th scope="col">there</th></tr></thead>
      <tbody>${aligned.map((a) => html`<tr class=${a.here && a.there && !a.differs ? '' : 'differs'} title=${a.differs ? `they differ in ${a.differs}` : a.here && a.there ? 'the same' : 'on one side alone'}>
        <td>${a.here ? html`<${EventLine} store=${store} it=${a.here} />` : html`<span class="p-dim">—</span>`}</td>
        <td>${a.there ? there(a.there) : html`<span class="p-dim">—</span>`}</td></tr>`)}</tbody></table>
  </details>`
}

/** @param {unknown} v */
const side = (v) => (v === undefined ? html`<span class="p-dim" title="not there">—</span>` : html`<${Value} value=${v} max=${600} />`)
