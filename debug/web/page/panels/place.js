// @ts-check
// Places as links, and the small pieces that all panels use.
import { html } from '../vendor/htm-preact.js'
import { clock } from '../time.js'
import { visible, visibleText } from './text.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').Place} Place */
/** @typedef {import('../types').AnswerPlace} AnswerPlace */

/**
 * A place as goto understands it. In answers of commands node is a name, and name
 * that of the event; elsewhere node is a number and name its name.
 * @param {Place|AnswerPlace|null|undefined} p
 */
export function placeText(p) {
  if (!p || !p.seq) return 'START'
  return `${typeof p.node === 'string' ? p.node : /** @type {Place} */ (p).name}:${p.seq}`
}

/**
 * The name of a place as it is shown: n1:17.
 * @param {Place|AnswerPlace|null|undefined} p
 */
export const placeName = (p) => visible(placeText(p))

/**
 * Goes to a place.
 * @param {Store} store
 * @param {Place|AnswerPlace|string} place
 */
export const go = (store, place) => store.act.goto(typeof place === 'string' ? place : placeText(place))

/**
 * A place that leads there.
 * @param {{store: Store, place: Place|AnswerPlace|null|undefined, time?: boolean, label?: string}} props
 */
export function PlaceLink({ store, place, time, label }) {
  const name = label || placeName(place)
  const at = place?.time ? clock(place.time) : ''
  return html`<button type="button" class="p-place" title=${`go to ${name}${place?.time ? ', ' + place.time : ''}`}
    onClick=${(/** @type {Event} */ e) => (e.stopPropagation(), go(store, place || {}))}>${name}${time && at ? html` <span class="p-time">${at}</span>` : null}</button>`
}

/**
 * What went wrong and what to do.
 * @param {{problem: {text: string, remedy?: string}|null}} props
 */
export function Problem({ problem }) {
  if (!problem) return null
  return html`<div class="p-problem" role="alert"><pre>${visibleText(problem.text)}</pre>${problem.remedy ? html`<p>${visibleText(problem.remedy)}</p>` : null}</div>`
}

/**
 * A part of a panel with a heading, that folds.
 * @param {{title: string, count?: number|string, open?: boolean, children?: any, actions?: any}} props
 */
export function Section({ title, count, open = true, children, actions }) {
  return html`<details class="p-section" open=${open}>
    <summary><h3>${title}</h3>${count !== undefined ? html`<span class="p-count">${count}</span>` : null}${actions}</summary>
    <div class="p-body">${children}</div>
  </details>`
}

/**
 * Copies a text and says so.
 * @param {Store} store
 * @param {string} text
 * @param {string} what
 */
export async function copy(store, text, what) {
  try {
    await navigator.clipboard.writeText(text)
    store.act.say(`${what} copied`)
  } catch {
    store.act.say(`${what}: ${text}`)
  }
}

/**
 * Gives the browser a file to save.
 * @param {string} name
 * @param {string} type
 * @param {string} text
 */
export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }))
  const a = document.createElement('a')
  a.href = url
  a.download = name
  a.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
