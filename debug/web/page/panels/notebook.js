// @ts-check
// Marks with notes, which the recording keeps.
import { html, useEffect, useState } from '../vendor/htm-preact.js'
import { useStore } from '../store.js'
import { clock } from '../time.js'
import { markdown, nextName, permalink } from './notes.js'
import { copy, download, PlaceLink, placeName } from './place.js'
import { plural, quoted, visible, visibleText } from './text.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').Mark} Mark */

/** @param {{store: Store}} props */
export function NotebookPanel({ store }) {
  const marks = useStore(store, (s) => s.marks)
  const cut = useStore(store, (s) => s.cut)
  const about = useStore(store, (s) => s.about)
  const save = () => download('notebook.md', 'text/markdown', markdown(about?.title || '', marks, location.href))
  return html`<section class="p-panel p-notebook" aria-label="Notebook">
    <${AddMark} key=${marks.length} store=${store} marks=${marks} />
    <div class="p-row"><span class="p-dim">${marks.length ? plural(marks.length, 'mark') : 'No marks yet: a mark gives a moment a name and a note. The recording keeps them.'}</span>
      ${marks.length ? html`<button type="button" class="p-icon" onClick=${save}>Markdown</button>` : null}</div>
    <ol class="p-list p-marks">${marks.map((m) => html`<${MarkItem} key=${m.name} store=${store} mark=${m} here=${!!cut && placeName(m.place) === placeName(cut)} />`)}</ol>
  </section>`
}

/** @param {{store: Store, marks: Mark[]}} props */
function AddMark({ store, marks }) {
  const cut = useStore(store, (s) => s.cut)
  const [name, setName] = useState(nextName(marks))
  const [note, setNote] = useState('')
  const add = async (/** @type {Event} */ e) => {
    e.preventDefault()
    await store.act.command(`mark ${name.trim()}${quoted(note.trim())}`)
  }
  return html`<form class="p-add" onSubmit=${add}>
    <div class="p-row"><label>Mark <b class="p-node">${cut?.begin ? 'START' : placeName(cut)}</b> as <input class="p-input name" value=${name} required pattern="[\\p{L}][\\p{L}\\p{N}_.\\-]*" title="a letter, then letters, digits, - _ and ." onInput=${(/** @type {any} */ e) => setName(e.target.value)} /></label></div>
    <textarea class="p-input wide" rows="2" value=${note} placeholder="What is there to see?" aria-label="Note" onInput=${(/** @type {any} */ e) => setNote(e.target.value)} onKeyDown=${(/** @type {KeyboardEvent} */ e) => (e.key === 'Enter' && (e.ctrlKey || e.metaKey) ? add(e) : e.stopPropagation())} />
    <button type="submit" class="p-button strong">Add</button>
  </form>`
}

/** @param {{store: Store, mark: Mark, here: boolean}} props */
function MarkItem({ store, mark, here }) {
  const [editing, setEditing] = useState(false)
  const [note, setNote] = useState(mark.note || '')
  useEffect(() => setNote(mark.note || ''), [mark.note])
  const save = async (/** @type {Event} */ e) => {
    e.preventDefault()
    if (note !== (mark.note || '')) await store.act.command(`note ${mark.name}${quoted(note.trim())}`)
    setEditing(false)
  }
  return html`<li class=${'p-mark' + (here ? ' here' : '')} aria-current=${here ? 'location' : undefined}>
    <div class="p-diff-head"><span><b>${visible(mark.name)}</b> <${PlaceLink} store=${store} place=${mark.place} /> <span class="p-time">${mark.place.time ? clock(mark.place.time) : ''}</span></span>
      <span class="p-actions"><button type="button" class="p-icon" aria-expanded=${String(editing)} onClick=${() => setEditing(!editing)}>edit</button>
        <button type="button" class="p-icon" onClick=${() => copy(store, permalink(location.href, mark), 'the link')}>link</button>
        <button type="button" class="p-icon" aria-label=${`remove mark ${visible(mark.name)}`} title="remove; undo (u) brings it back" onClick=${() => store.act.unmark(mark.name)}>remove</button></span></div>
    ${editing ? html`<form onSubmit=${save}><textarea class="p-input wide" rows="3" value=${note} aria-label=${`Note of ${visible(mark.name)}`} onInput=${(/** @type {any} */ e) => setNote(e.target.value)} onKeyDown=${(/** @type {KeyboardEvent} */ e) => (e.key === 'Enter' && (e.ctrlKey || e.metaKey) ? save(e) : e.stopPropagation())} />
        <div class="p-buttons"><button type="submit" class="p-button strong">Save</button><button type="button" class="p-button" onClick=${() => (setNote(mark.note || ''), setEditing(false))}>Cancel</button></div></form>`
    : mark.note ? html`<p class="p-note">${visibleText(mark.note)}</p>` : null}
  </li>`
}
