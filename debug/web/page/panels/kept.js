// @ts-check
// What this browser remembers of earlier sessions: texts that were typed.

/** How many are remembered of a kind. */
const keptMax = 50

/** How long a text may be that is remembered. */
const lengthMax = 4000

/**
 * The texts of a kind, the last one first.
 * @param {string} kind
 * @returns {string[]}
 */
export function kept(kind) {
  try {
    const texts = JSON.parse(localStorage.getItem('hindcast-' + kind) || '[]')
    return Array.isArray(texts) ? texts.filter((t) => typeof t === 'string').slice(0, keptMax) : []
  } catch {
    return []
  }
}

/**
 * Remembers a text, and returns those of its kind.
 * @param {string} kind
 * @param {string} text
 */
export function keep(kind, text) {
  const texts = withFirst(kept(kind), text)
  try {
    localStorage.setItem('hindcast-' + kind, JSON.stringify(texts))
  } catch {
    // The browser keeps nothing: then it lasts as long as the page.
  }
  return texts
}

/**
 * @param {string[]} texts
 * @param {string} text
 */
export const withFirst = (texts, text) => (text.length > lengthMax ? texts : [text, ...texts.filter((t) => t !== text)].slice(0, keptMax))
