// @ts-check
// What the nodes do at the cut, whenever that moves.
import { placeText } from '../actions.js'

/** @typedef {import('../types').Store} Store */

/**
 * @param {Store} store
 * @returns {() => void} ends it
 */
export function followCut(store) {
  let asking = false
  let wanted = ''
  let known = ''
  const ask = async () => {
    if (asking) return
    asking = true
    while (wanted !== known) {
      const at = wanted
      try {
        store.set({ laneStates: await store.api.lanes(at) })
      } catch { // what they do there isn't known: the next move asks again
        store.set({ laneStates: [] })
      }
      known = at
    }
    asking = false
  }
  const look = () => {
    const { cut, ready } = store.get()
    if (!cut || ready === 'events') return
    wanted = placeText(cut)
    if (wanted !== known) void ask()
  }
  const end = store.subscribe((s, was) => {
    if (s.cut !== was.cut || s.ready !== was.ready) {
      if (s.ready !== was.ready) known = '' // depths are known now
      look()
    }
  })
  look()
  return end
}
