// @ts-check
// A field for RQL: completion at the caret, and mistakes shown where they are.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../vendor/htm-preact.js'
import { get } from './ask.js'
import { byteOffset, indexOfByte, wordAt } from './text.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {{text: string, remedy?: string, offset?: number}} Mistake */
/** @typedef {{start: number, caret: number, list: string[], at: number}} Offer */

/** How many candidates are listed. */
const listed = 12

/**
 * @param {{store: Store, text: string, onText: (text: string) => void, onRun: () => void, mistake: Mistake|null, label: string}} props
 */
export function Editor({ store, text, onText, onRun, mistake, label }) {
  const area = useRef(/** @type {HTMLTextAreaElement|null} */ (null))
  const [offer, setOffer] = useState(/** @type {Offer|null} */ (null))
  const caret = useRef(-1)
  useEffect(() => {
    const el = area.current
    if (!el || caret.current < 0) return
    el.setSelectionRange(caret.current, caret.current)
    caret.current = -1
  })
  const complete = useCompletion(store, area, setOffer)
  const take = (/** @type {Offer} */ o) => {
    const word = o.list[o.at]
    caret.current = o.start + word.length
    setOffer(null)
    onText(text.slice(0, o.start) + word + text.slice(o.caret))
    area.current?.focus()
  }
  const keydown = (/** @type {KeyboardEvent} */ e) => {
    if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) {
      setOffer(null)
      onRun()
    } else if (e.key === ' ' && e.ctrlKey) complete()
    else if (offer && e.key === 'Tab' && !e.shiftKey) take({ ...offer, at: Math.max(0, offer.at) })
    else if (offer && e.key === 'Enter' && offer.at >= 0) take(offer)
    else if (offer && e.key === 'Escape') setOffer(null)
    else if (offer && (e.key === 'ArrowDown' || e.key === 'ArrowUp')) setOffer(moved(offer, e.key === 'ArrowDown' ? 1 : -1))
    else return e.stopPropagation()
    e.preventDefault()
    e.stopPropagation()
  }
  const input = (/** @type {any} */ e) => {
    onText(e.target.value)
    complete(120)
  }
  const marker = useRef(/** @type {HTMLElement|null} */ (null))
  const list = useRef(/** @type {HTMLElement|null} */ (null))
  useLayoutEffect(() => fitHeight(area.current), [text])
  useLayoutEffect(() => putBelow(list.current, marker.current), [offer])
  return html`<div class="p-editor">
    <${Backdrop} text=${text} mistake=${mistake} offer=${offer} marker=${marker} />
    <textarea ref=${area} value=${text} rows="3" spellcheck=${false} autocomplete="off" autocapitalize="off" aria-label=${label} aria-invalid=${mistake ? 'true' : 'false'}
      aria-autocomplete="list" aria-controls="p-offer" aria-activedescendant=${offer && offer.at >= 0 ? `p-offer-${offer.at}` : undefined}
      placeholder="SELECT … FROM … WHEN …" onKeyDown=${keydown} onInput=${input} onBlur=${() => setTimeout(() => setOffer(null), 150)} />
    ${offer ? html`<${Offers} offer=${offer} list=${list} onTake=${(/** @type {number} */ at) => take({ ...offer, at })} />` : null}
  </div>`
}

/** @param {Offer} o @param {number} by @returns {Offer} */
const moved = (o, by) => ({ ...o, at: (o.at + by + o.list.length) % o.list.length })

/**
 * Asks what the word at the caret may become.
 * @param {Store} store
 * @param {{current: HTMLTextAreaElement|null}} area
 * @param {(o: Offer|null) => void} set
 */
function useCompletion(store, area, set) {
  const asked = useRef({ timer: 0, ended: new AbortController() })
  return (delay = 0) => {
    clearTimeout(asked.current.timer)
    asked.current.ended.abort()
    const ended = (asked.current.ended = new AbortController())
    asked.current.timer = window.setTimeout(async () => {
      const el = area.current
      if (!el || el.selectionStart !== el.selectionEnd) return set(null)
      const caret = el.selectionStart
      const text = el.value
      if (delay && !/[\w.`"'(]$/.test(text.slice(0, caret))) return set(null)
      const a = await get(store, 'query/complete', { statement: text, pos: byteOffset(text, caret) }, ended.signal).catch(() => null)
      if (!a || ended.signal.aborted) return
      const start = indexOfByte(text, a.start)
      const word = text.slice(start, caret)
      const list = a.candidates.filter((/** @type {string} */ c) => c !== word).slice(0, listed)
      set(list.length && (!delay || word) ? { start, caret, list, at: -1 } : null)
    }, delay)
  }
}

/** As high as its text, up to a bound. @param {HTMLTextAreaElement|null} el */
function fitHeight(el) {
  if (!el) return
  el.style.height = 'auto'
  el.style.height = `${Math.min(el.scrollHeight + 2, window.innerHeight * 0.4)}px`
}

/**
 * Puts a list below the word that it completes.
 * @param {HTMLElement|null} list
 * @param {HTMLElement|null} word
 */
function putBelow(list, word) {
  const box = list?.parentElement
  if (!list || !word || !box) return
  list.style.top = `${word.offsetTop + word.offsetHeight + 2}px`
  list.style.left = `${Math.max(0, Math.min(word.offsetLeft, box.clientWidth - list.offsetWidth))}px`
}

/**
 * The text behind the field, with what is wrong underlined.
 * @param {{text: string, mistake: Mistake|null, offer: Offer|null, marker: {current: HTMLElement|null}}} props
 */
function Backdrop({ text, mistake, offer, marker }) {
  if (offer) return html`<pre class="p-backdrop" aria-hidden="true">${text.slice(0, offer.start)}<span ref=${marker}>${text.slice(offer.start, offer.caret)}</span>${text.slice(offer.caret)}</pre>`
  if (!mistake || mistake.offset === undefined || mistake.offset < 0) return html`<pre class="p-backdrop" aria-hidden="true">${text}</pre>`
  const [from, to] = wordAt(text, indexOfByte(text, mistake.offset))
  return html`<pre class="p-backdrop" aria-hidden="true">${text.slice(0, from)}<mark>${text.slice(from, to) || ' '}</mark>${text.slice(to)}</pre>`
}

/** @param {{offer: Offer, list: {current: HTMLElement|null}, onTake: (at: number) => void}} props */
function Offers({ offer, list, onTake }) {
  return html`<ul class="p-offer" id="p-offer" role="listbox" aria-label="Completions" ref=${list}>
    ${offer.list.map((c, i) => html`<li id=${`p-offer-${i}`} role="option" aria-selected=${String(i === offer.at)} class=${i === offer.at ? 'active' : ''}
      onMouseDown=${(/** @type {Event} */ e) => (e.preventDefault(), onTake(i))}>${c}</li>`)}
  </ul>`
}
