// @ts-check
// What the page has to say: the line at the bottom, what a screen reader is told, and
// the banner over a server that is gone.
import { html, useEffect, useState } from './vendor/htm-preact.js'
import { useStore } from './store.js'
import { placeText } from './actions.js'
import { clock, grouped } from './time.js'

/** @typedef {import('./types').Store} Store */
/** @typedef {import('./types').State} State */

/** How long until a server that is gone is asked again, in milliseconds. */
const retry = 3000

/** @param {{store: Store}} props */
function Offline({ store }) {
  const offline = useStore(store, (s) => s.offline)
  const [left, setLeft] = useState(retry / 1000)
  const ask = () => store.act.reload().catch(() => setLeft(retry / 1000))
  useEffect(() => {
    if (!offline) return undefined
    setLeft(retry / 1000)
    const t = setInterval(() => setLeft((n) => {
      if (n > 1) return n - 1
      void ask()
      return retry / 1000
    }), 1000)
    return () => clearInterval(t)
  }, [offline])
  if (!offline) return null
  return html`<div class="offline" role="alert"><b>${offline}</b> What is shown stays; start it again at the same address to go on.
    <span class="muted">Trying again in ${left} s.</span><button onClick=${ask}>Now</button></div>`
}

/** @param {State} s what a screen reader is told */
function spoken(s) {
  const at = (/** @type {State['cut']} */ p) => (!p || p.begin ? 'the beginning' : `${placeText(p)}, ${clock(p.time)}`)
  if (s.selected && s.cut && placeText(s.selected) !== placeText(s.cut)) return `selected ${at(s.selected)}; the cut is at ${at(s.cut)}`
  return `at ${at(s.cut)}`
}

/** @param {{store: Store}} props */
export function Status({ store }) {
  const message = useStore(store, (s) => s.message)
  const busy = useStore(store, (s) => s.busy > 0)
  const about = useStore(store, (s) => s.about)
  const ready = useStore(store, (s) => s.ready)
  const say = useStore(store, spoken)
  const count = useStore(store, (s) => s.frame?.events ?? 0)
  const index = about?.index
  return html`<footer class="status">
    <${Offline} store=${store} />
    <div class=${'message ' + (message?.kind || '')} role=${message?.kind === 'error' ? 'alert' : 'status'}>
      ${message && html`<pre>${message.text}</pre>${message.remedy && html`<span class="muted">${message.remedy}</span>`}
        <button class="quiet" aria-label="Close" onClick=${() => store.set({ message: null })}>✕</button>`}
    </div>
    <div class="facts">
      ${index?.error ? html`<span class="bad">the index failed: ${index.error}</span>`
        : ready !== 'ready' && html`<span>indexing ${ready === 'events' ? 'events' : 'messages'} <progress value=${index?.done || 0}></progress></span>`}
      ${busy && html`<span class="busy" aria-hidden="true"></span>`}
      <span>${grouped(count)} of ${grouped(about?.events || 0)} events in view</span>
      <span>${about?.nodes.length} nodes</span>
      ${(about?.warnings || []).length > 0 && html`<span class="warn" title=${(about?.warnings || []).join('\n')}>⚠ ${about?.warnings?.length} warnings</span>`}
      <span class="hint"><kbd>?</kbd> keys</span>
    </div>
    <div class="unseen" aria-live="polite">${say}</div>
  </footer>`
}
