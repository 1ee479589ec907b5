// @ts-check
// The notebook as text.
import { visibleText } from './text.js'

/** @typedef {import('../types').Mark} Mark */

/**
 * A name for the next mark.
 * @param {Mark[]} marks
 */
export function nextName(marks) {
  const taken = new Set(marks.map((m) => m.name))
  let n = marks.length + 1
  while (taken.has('m' + n)) n++
  return 'm' + n
}

/** What has a meaning in Markdown stands for itself. @param {string} text */
export const plain = (text) => visibleText(text).replace(/[\\`*_{}[\]<>#|~!&]/g, '\\$&')

/**
 * The address that opens the page at a mark.
 * @param {string} href
 * @param {Mark} mark
 */
export function permalink(href, mark) {
  const url = new URL(href)
  const hash = new URLSearchParams(url.hash.slice(1))
  hash.set('cut', mark.place.seq ? `${mark.place.node}:${mark.place.seq}` : 'START')
  for (const key of ['event', 'view']) hash.delete(key) // of where the page is now
  url.hash = hash.toString()
  return url.href
}

/**
 * @param {string} title
 * @param {Mark[]} marks
 * @param {string} href
 */
export function markdown(title, marks, href) {
  const lines = [`# Notebook of ${plain(title)}`, '']
  for (const m of marks) {
    const place = m.place.seq ? `${m.place.node}:${m.place.seq}` : 'START'
    lines.push(`## ${plain(m.name)}`, '', `[${plain(place)}](${permalink(href, m)})${m.place.time ? ', ' + m.place.time : ''}`, '')
    if (m.note) lines.push(...m.note.split('\n').map(plain), '')
  }
  return lines.join('\n')
}
