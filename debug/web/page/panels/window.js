// @ts-check
// Long lists: only the rows that are seen are in the document.
import { useLayoutEffect, useRef, useState } from '../vendor/htm-preact.js'

/** How many rows more than seen are there, on either side. */
const beyond = 8

/**
 * The rows to draw of a list whose rows are equally high.
 * @param {number} top what is scrolled away
 * @param {number} height what is seen
 * @param {number} rowHeight
 * @param {number} count
 * @returns {[number, number]} from, to
 */
export function windowOf(top, height, rowHeight, count) {
  const from = Math.max(0, Math.min(count, Math.floor(top / rowHeight) - beyond))
  return [from, Math.max(from, Math.min(count, Math.ceil((top + height) / rowHeight) + beyond))]
}

/**
 * Where to scroll so that a row is seen.
 * @param {number} top
 * @param {number} height
 * @param {number} rowHeight
 * @param {number} row
 */
export function scrollFor(top, height, rowHeight, row) {
  if (row * rowHeight < top) return row * rowHeight
  return Math.max(top, (row + 1) * rowHeight - height)
}

/**
 * Which rows of a scrolling element are to be drawn.
 * @param {number} count
 * @param {number} rowHeight
 */
export function useWindow(count, rowHeight) {
  const ref = useRef(/** @type {HTMLElement|null} */ (null))
  const [at, setAt] = useState({ top: 0, height: 600 })
  useLayoutEffect(() => {
    const el = ref.current
    if (!el) return
    const look = () => setAt((was) => (was.top === el.scrollTop && was.height === el.clientHeight ? was : { top: el.scrollTop, height: el.clientHeight }))
    look()
    el.addEventListener('scroll', look, { passive: true })
    const watch = new ResizeObserver(look)
    watch.observe(el)
    return () => (el.removeEventListener('scroll', look), watch.disconnect())
  }, [])
  const [from, to] = windowOf(Math.min(at.top, Math.max(0, count * rowHeight - at.height)), at.height, rowHeight, count)
  /** @param {number} row */
  const show = (row) => {
    const el = ref.current
    if (el && row >= 0) el.scrollTop = scrollFor(el.scrollTop, el.clientHeight, rowHeight, row)
  }
  return { ref, from, to, show, height: at.height }
}
