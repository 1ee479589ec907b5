// @ts-check
// The space-time diagram.
import { html } from '../vendor/htm-preact.js'

/** @typedef {import('../types').Store} Store */

/** @param {{store: Store}} props */
export function Diagram({ store }) {
  return html`<section class="diagram" aria-label="Diagram" data-lanes=${store.get().lanes.length}></section>`
}
