// @ts-check
// The state of the page, of which everything shown is made.
import { useEffect, useReducer } from './vendor/htm-preact.js'
import { createActions } from './actions.js'

/** @typedef {import('./types').State} State */
/** @typedef {import('./types').Store} Store */
/** @typedef {import('./types').Api} Api */

/** @returns {State} */
function initial() {
  return {
    about: null, ready: 'events', axis: 'time', view: { from: 0, to: 1 },
    lanes: [], collapsed: new Set(), laneFilter: '', lane: -1,
    cut: null, laneStates: [], selected: null, hover: null, cone: null,
    frame: null, drawn: null, marks: [], tracks: [], rows: [], hits: [],
    tab: 'event', theme: 'auto', message: null, palette: false, searching: false, help: false,
    live: null, follow: false, offline: '', busy: 0, query: '',
  }
}

/**
 * @param {Api} api
 * @returns {Store}
 */
export function createStore(api) {
  let state = initial()
  /** @type {Set<(state: State, before: State) => void>} */
  const readers = new Set()
  /** @type {any} */
  const store = {
    api,
    get: () => state,
    /** @param {Partial<State>} partial */
    set(partial) {
      const before = state
      state = { ...state, ...partial }
      for (const tell of [...readers]) tell(state, before)
    },
    /** @param {(state: State, before: State) => void} fn */
    subscribe(fn) {
      readers.add(fn)
      return () => void readers.delete(fn)
    },
  }
  store.act = createActions(store)
  return store
}

/**
 * What a selector finds in the state; the component is drawn anew when that changes.
 * A selector that makes a new object each time draws each time: select twice instead.
 * @template T
 * @param {Store} store
 * @param {(state: State) => T} selector
 * @returns {T}
 */
export function useStore(store, selector) {
  const [, again] = useReducer((/** @type {number} */ n) => n + 1, 0)
  const value = selector(store.get())
  useEffect(() => {
    let seen = value
    const look = (/** @type {State} */ s) => {
      const now = selector(s)
      if (!Object.is(now, seen)) {
        seen = now
        again(undefined)
      }
    }
    look(store.get())
    return store.subscribe(look)
  }, [store])
  return value
}
