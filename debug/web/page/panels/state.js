// @ts-check
// The state of all nodes at the cut.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact.js'
import { useStore } from '../store.js'
import { get, problemOf, useAnswer } from './ask.js'
import { CutDiff } from './diffs.js'
import { Origin } from './event.js'
import { partsOf } from './parts.js'
import { copy, placeName, placeText, Problem } from './place.js'
import { keyOf, loadMore, openable, stateRows } from './staterows.js'
import { Tree, ValueTree } from './tree.js'
import { visible } from './text.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('./tree.js').TreeRow} TreeRow */
/** @typedef {import('./staterows.js').Listing} Listing */

/** Up to so many nodes are open at first. */
const openAtFirst = 8

/** @param {{store: Store}} props */
export function StatePanel({ store }) {
  const cut = useStore(store, (s) => s.cut)
  const about = useStore(store, (s) => s.about)
  const lanes = useStore(store, (s) => s.laneStates)
  const at = cut ? placeText(cut) : 'START'
  const [open, setOpen] = useState(/** @type {Set<string>|null} */ (null))
  const [active, setActive] = useState('')
  const [other, setOther] = useState('')
  const [text, setText] = useState('')
  useEffect(() => {
    if (about && !open) setOpen(new Set(about.nodes.length <= openAtFirst ? about.nodes.map((_, n) => keyOf(n, '')) : cut && !cut.begin ? [keyOf(cut.node, '')] : []))
  }, [about])
  useEffect(() => {
    // Of many nodes that of the last event is the one to look at.
    if (!open || !about || !cut || cut.begin || about.nodes.length <= openAtFirst) return
    const node = keyOf(cut.node, '')
    if (!open.has(node)) setOpen(new Set([...open, node]))
    if (!active || /,""\]$/.test(active)) setActive(node)
  }, [cut?.node, !!open])
  const { listings, problem, loading, more, at: listed } = useListings(store, at, open)
  if (!about || !open) return html`<section class="p-panel" aria-label="State"><p class="p-dim">…</p></section>`
  const rows = stateRows(about.nodes, listings, open, lanes, cut)
  const chosen = rows.find((r) => r.id === active)
  const toggle = (/** @type {TreeRow} */ row) => {
    if (row.data?.more) void more(row.data)
    if (row.open === null) return
    const next = new Set(open)
    if (next.has(row.id)) next.delete(row.id)
    else next.add(row.id)
    setOpen(next)
  }
  const reveal = (/** @type {number} */ node, /** @type {string} */ path) => {
    setOpen(new Set([...open, keyOf(node, ''), ...openable(path).map((p) => keyOf(node, p))]))
    setActive(keyOf(node, path))
  }
  const key = (/** @type {KeyboardEvent} */ e, /** @type {TreeRow} */ row) => {
    if (e.key === 'P' && row.data?.path) store.act.pin(row.data.path)
  }
  const stale = listed !== at
  return html`<section class=${'p-panel p-state' + (stale ? ' stale' : '')} aria-label="State" aria-busy=${String(stale)}>
    <div class="p-row"><span class="p-sub">State at <b class="p-node">${cut?.begin ? 'START' : placeName(cut)}</b></span>${loading ? html`<span class="p-dim" role="status">…</span>` : null}
      <${Legend} changed=${rows.filter((r) => r.class?.includes('changed') && r.level > 1).length} /></div>
    <${StateSearch} store=${store} at=${at} text=${text} onText=${setText} onFound=${reveal} />
    <details class="p-fold"><summary>Compare with another cut</summary><${CutDiff} store=${store} at=${at} other=${other} onOther=${setOther} /></details>
    <${Problem} problem=${problem} />
    <${Tree} rows=${rows} label="State by node" active=${active || undefined} onActive=${(/** @type {TreeRow} */ r) => setActive(r.id)} onToggle=${toggle} onEnter=${toggle} onKey=${key} />
    ${chosen?.data?.path ? html`<${Chosen} key=${chosen.id + at} store=${store} row=${chosen} at=${at} />` : html`<p class="p-hint">Choose a variable to see it whole, who wrote it, or to pin it.</p>`}
  </section>`
}

/** @param {{changed: number}} props */
function Legend({ changed }) {
  return changed ? html`<span class="p-legend"><span class="p-dot" aria-hidden="true"></span>${changed} changed by the last event</span>` : null
}

/**
 * What is listed of what is open, at a cut. Until the new one is there the old one
 * stays.
 * @param {Store} store
 * @param {string} at
 * @param {Set<string>|null} open
 */
function useListings(store, at, open) {
  const [state, setState] = useState({ at: '', listings: /** @type {Map<string, Listing>} */ (new Map()), problem: /** @type {any} */ (null), loading: false })
  const latest = useRef(state)
  latest.current = state
  useEffect(() => {
    if (!open) return
    const ended = new AbortController()
    const fresh = latest.current.at !== at
    const have = fresh ? new Map() : latest.current.listings
    const missing = [...open].filter((k) => !have.has(k))
    if (!missing.length && !fresh) return setState((was) => (was.loading ? { ...was, loading: false } : was))
    const timer = setTimeout(async () => {
      setState((was) => ({ ...was, loading: true }))
      try {
        const got = await Promise.all(missing.map((k) => ask(store, at, k, 0, ended.signal)))
        const listings = new Map(have)
        missing.forEach((k, i) => listings.set(k, got[i]))
        setState({ at, listings, problem: null, loading: false })
      } catch (err) {
        const problem = problemOf(err)
        if (problem) setState((was) => ({ ...was, problem, loading: false }))
      }
    }, fresh ? 40 : 0)
    return () => (clearTimeout(timer), ended.abort())
  }, [at, open])
  const more = async (/** @type {{key: string, skip: number}} */ { key, skip }) => {
    const next = await ask(store, at, key, skip, new AbortController().signal).catch(() => null)
    if (next) setState((was) => (was.at === at ? { ...was, listings: loadMore(was.listings, key, skip, next) } : was))
  }
  return { ...state, more }
}

/**
 * @param {Store} store
 * @param {string} at
 * @param {string} key
 * @param {number} skip
 * @param {AbortSignal} signal
 * @returns {Promise<Listing>}
 */
async function ask(store, at, key, skip, signal) {
  const [node, path] = JSON.parse(key)
  const q = new URLSearchParams({ at, node: store.get().about?.nodes[node]?.name || '', path, skip: String(skip) })
  const a = await get(store, 'state?' + q, undefined, signal)
  return { known: false, children: [], ...a.nodes.find((/** @type {any} */ n) => n.node === node) }
}

/** @param {{store: Store, row: TreeRow, at: string}} props */
function Chosen({ store, row, at }) {
  const { node, path, bulky, gone } = row.data
  const name = store.get().about?.nodes[node]?.name || ''
  const [asked, setAsked] = useState(/** @type {''|'origin'} */ (''))
  const [whole, setWhole] = useState(false)
  const told = useAnswer(store, whole || !bulky ? `state ${name} ${path}` : '', gone ? '' : at)
  const values = partsOf(told.answer, 'variable')
  return html`<div class="p-chosen" role="region" aria-label="The chosen variable">
    <div class="p-diff-head"><span><span class="p-node">${visible(name)}</span> <span class="p-path">${visible(path)}</span></span></div>
    <div class="p-buttons">
      <button type="button" class="p-button" title="as a track under the lanes (P)" onClick=${() => store.act.pin(path)}>Pin</button>
      <button type="button" class="p-button" aria-pressed=${String(asked === 'origin')} onClick=${() => setAsked(asked ? '' : 'origin')}>Who wrote this?</button>
      <button type="button" class="p-button" onClick=${() => lastChange(store, name, path, at)}>Last change</button>
      <button type="button" class="p-button" title="show it wherever the session comes to (command: watch)" onClick=${() => store.act.command(`watch ${path}`)}>Watch</button>
      <button type="button" class="p-button" onClick=${() => copy(store, path, 'the path')}>Copy path</button>
    </div>
    ${bulky && !whole ? html`<p class="p-dim">too large to be compared after every event <button type="button" class="p-icon" onClick=${() => setWhole(true)}>show it: the recording is replayed for that</button></p>` : null}
    <${Problem} problem=${told.problem} />
    ${values.length === 1 && values[0].path === path ? html`<${ValueTree} value=${values[0].value} label="value" path=${path} />` : null}
    ${asked === 'origin' ? html`<${Origin} store=${store} node=${name} path=${path} at=${at} />` : null}
  </div>`
}

/**
 * Goes to the event that last changed a variable.
 * @param {Store} store
 * @param {string} node
 * @param {string} path
 * @param {string} at
 */
async function lastChange(store, node, path, at) {
  try {
    const { answer } = await get(store, 'command', { line: `cause ${node} ${path}`, at })
    const first = partsOf(answer, 'origin')[0]
    if (first) await store.act.goto(`${first.event.node}:${first.event.seq}`)
    else store.act.say(partsOf(answer, 'remark')[0]?.text || 'nothing recorded changed it')
  } catch (err) {
    const problem = problemOf(err)
    if (problem) store.act.say(problem.text, 'error', problem.remedy)
  }
}

/** @param {{store: Store, at: string, text: string, onText: (text: string) => void, onFound: (node: number, path: string) => void}} props */
function StateSearch({ store, at, text, onText, onFound }) {
  const [result, setResult] = useState(/** @type {{of: string, found: any[], partial?: boolean}|null} */ (null))
  const [problem, setProblem] = useState(/** @type {any} */ (null))
  const asked = new URLSearchParams({ at, text }).toString()
  useEffect(() => {
    setProblem(null)
    if (!text) return setResult(null)
    const ended = new AbortController()
    const timer = setTimeout(() => {
      get(store, 'state/search?' + asked, undefined, ended.signal).then(
        (r) => setResult({ ...r, of: asked }), (err) => !ended.signal.aborted && (setResult(null), setProblem(problemOf(err))))
    }, 150)
    return () => (clearTimeout(timer), ended.abort())
  }, [asked])
  return html`<div class="p-state-search"><input class="p-input wide" type="search" value=${text} placeholder="Search paths and values" aria-label="Search in the state"
      onInput=${(/** @type {any} */ e) => onText(e.target.value)} />
    <${Problem} problem=${problem} />
    ${text && result ? html`<div class=${'p-found' + (result.of === asked ? '' : ' stale')}>
      <p class="p-dim" role="status">${result.of !== asked ? 'searching…' : result.found.length ? `${result.found.length}${result.partial ? ' and more' : ''} found` : 'nothing has that text at this cut'}</p>
      <ul class="p-list" aria-label="Found in the state">${result.found.slice(0, 100).map((f) => html`<li><button type="button" class="p-hit" onClick=${() => onFound(f.node, f.path)}>
        <span class="p-node">${visible(store.get().about?.nodes[f.node]?.name)}</span> <span class="p-path">${visible(f.path)}</span> <span class="p-value">${visible(f.text)}</span></button></li>`)}</ul>
    </div>` : null}</div>`
}
