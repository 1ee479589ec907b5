// @ts-check
// What the shapes and lines mean.
import { html } from '../vendor/htm-preact.js'

/** @type {[string, string, any][]} */
const entries = [
  ['recv', 'message arrives', html`<circle cx="8" cy="8" r="5" />`],
  ['request', 'request', html`<path d="M8 1.5 14.5 8 8 14.5 1.5 8Z" />`],
  ['timer', 'timer fires', html`<circle cx="8" cy="8" r="4.5" class="hollow" />`],
  ['other', 'anything else', html`<rect x="3.5" y="3.5" width="9" height="9" />`],
  ['note', 'note', html`<rect x="7" y="1.5" width="2" height="13" />`],
  ['boot', 'node starts', html`<path d="M8 1.5 14.5 13h-13Z" />`],
  ['bad', 'node stops', html`<path d="m3 3 10 10M13 3 3 13" class="stroke" />`],
  ['link', 'link changes', html`<path d="M3 2v12M13 2v12M3 8h10" class="stroke" />`],
  ['drop', 'message dropped', html`<path d="m4 4 8 8m0-8-8 8" class="stroke thin" />`],
]

/** @type {[string, any][]} */
const lines = [
  ['message', html`<path d="M2 3 22 13" class="line" /><path d="m24 14-6-.5 2-4Z" />`],
  ['lost', html`<path d="M2 3 20 12" class="line lost" /><path d="m17 9 6 6m0-6-6 6" class="lost" />`],
  ['arrived again', html`<path d="M2 2 22 11M2 6l20 9" class="line again" />`],
  ['on its way', html`<path d="M2 3 22 13" class="line away" />`],
  ['node is down', html`<path d="M2 14 12 2M9 14 19 2M16 14 24 4" class="line down" />`],
]

export function Legend() {
  return html`<details class="legend">
    <summary title="what the shapes mean">Legend</summary>
    <div class="legend-box">
      ${entries.map(([color, what, shape]) => html`<span key=${what}><svg viewBox="0 0 16 16" width="16" height="16" class=${'glyph ' + color} aria-hidden="true">${shape}</svg>${what}</span>`)}
      ${lines.map(([what, shape]) => html`<span key=${what}><svg viewBox="0 0 26 16" width="26" height="16" class="arrow" aria-hidden="true">${shape}</svg>${what}</span>`)}
      <span><i class="swatch past"></i>causal past</span><span><i class="swatch future"></i>causal future</span><span><i class="swatch unknown">?</i>not known</span>
    </div>
  </details>`
}
