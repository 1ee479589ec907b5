// @ts-check
// What differs between two cuts.
import { html, useState } from '../vendor/htm-preact.js'
import { useAnswer } from './ask.js'
import { BeforeAfter, partsOf } from './parts.js'
import { PlaceLink, Problem } from './place.js'
import { plural, visible } from './text.js'

/** @typedef {import('../types').Store} Store */

/**
 * @param {{store: Store, at: string, other: string, onOther: (place: string) => void}} props
 */
export function CutDiff({ store, at, other, onOther }) {
  const [typed, setTyped] = useState(other)
  const told = useAnswer(store, other ? `diff ${other}` : '', at)
  const span = partsOf(told.answer, 'span')[0]
  const differences = partsOf(told.answer, 'difference')
  const more = partsOf(told.answer, 'more')[0]
  const submit = (/** @type {Event} */ e) => (e.preventDefault(), onOther(typed.trim()))
  return html`<form class="p-row" onSubmit=${submit}>
      <label>against <input class="p-input" value=${typed} placeholder="n1:17, a mark, START, -200ms" aria-label="the other cut" onInput=${(/** @type {any} */ e) => setTyped(e.target.value)} /></label>
      <button type="submit" class="p-button">Compare</button>
      <button type="button" class="p-button" title="remember this cut, then go elsewhere" onClick=${() => (setTyped(at), onOther(at))}>From here</button>
      ${other ? html`<button type="button" class="p-button" onClick=${() => (setTyped(''), onOther(''))}>Close</button>` : null}
    </form>
    <${Problem} problem=${told.problem} />
    ${other && span ? html`<p>from <${PlaceLink} store=${store} place=${span.from} time=${true} /> to <${PlaceLink} store=${store} place=${span.to} time=${true} />: ${plural(differences.length + (more?.count || 0), 'difference')}</p>` : null}
    ${other && !told.loading && told.answer && !differences.length ? html`<p class="p-dim">nothing differs</p>` : null}
    ${other ? html`<ul class="p-list p-diffs">${differences.map((d) => html`<li class="p-diff" key=${d.node + ' ' + d.path}>
      <div class="p-diff-head"><span><span class="p-node">${visible(d.node)}</span> <span class="p-path">${visible(d.path)}</span></span><button type="button" class="p-icon" onClick=${() => store.act.pin(d.path)}>pin</button></div>
      <${BeforeAfter} before=${'before' in d ? d.before : undefined} after=${'after' in d ? d.after : undefined} /></li>`)}</ul>` : null}
    ${more ? html`<p class="p-dim">… and ${plural(more.count, 'more')}: name a path, like diff ${visible(other)} PATH, in the palette (:)</p>` : null}`
}
