// @ts-check
// Texts as they are shown: what was recorded is anybody's.

// Controls, marks of direction and what else has no shape of its own would show as
// something else than what they are; halves of pairs, too.
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}]/gu

/**
 * The text with a dot for each character that doesn't show.
 * @param {unknown} text
 */
export const visible = (text) => String(text ?? '').replace(unseen, '·')

/**
 * visible, but for line breaks and tabs.
 * @param {unknown} text
 */
export const visibleText = (text) => String(text ?? '').replace(unseen, (c) => (c === '\n' || c === '\t' ? c : '·'))

/**
 * The text shortened to n characters.
 * @param {string} text
 * @param {number} n
 */
export function clip(text, n) {
  if (text.length <= n) return text
  let end = n - 1
  const code = text.charCodeAt(end - 1)
  if (code >= 0xd800 && code < 0xdc00) end-- // not within a pair
  return text.slice(0, end) + '…'
}

/**
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 */
export const plural = (n, one, many = one + 's') => `${n.toLocaleString('en-US')} ${n === 1 ? one : many}`

/**
 * How many bytes of UTF-8 stand before an index of a text.
 * @param {string} text
 * @param {number} index
 */
export const byteOffset = (text, index) => new TextEncoder().encode(text.slice(0, index)).length

/**
 * The index in a text of a byte of its UTF-8.
 * @param {string} text
 * @param {number} offset
 */
export function indexOfByte(text, offset) {
  let bytes = 0
  let i = 0
  while (i < text.length && bytes < offset) {
    const code = /** @type {number} */ (text.codePointAt(i))
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
    i += code < 0x10000 ? 1 : 2
  }
  return i
}

/**
 * The word that a place in a text is in, or the next character if it is in none: from
 * where to where.
 * @param {string} text
 * @param {number} index
 * @returns {[number, number]}
 */
export function wordAt(text, index) {
  const from = Math.min(Math.max(index, 0), text.length)
  const rest = /^[\p{L}\p{N}_.`]+/u.exec(text.slice(from))
  if (rest) return [from, from + rest[0].length]
  return [from, Math.min(from + 1, text.length)]
}

/**
 * A note as mark and note take it: as it is, in quotes.
 * @param {string} note
 */
export const quoted = (note) => (note ? ` "${note}"` : '')
