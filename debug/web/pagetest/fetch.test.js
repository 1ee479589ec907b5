// What the diagram asks for. node --test runs it, from pagemodules_test.go.
import assert from 'node:assert/strict'
import test from 'node:test'
import { Fetcher } from '../page/diagram/fetch.js'

test('a frame is old when other events are there, though as many', async () => {
  const view = { from: 0, to: 1000 }
  let state = { ready: 'ready', frame: null, drawn: null, lanes: [0], about: { nodes: [{}], events: 7, first: 'a', last: 'b' } }
  let asked = 0
  const store = {
    get: () => state,
    set: (part) => (state = { ...state, ...part }),
    api: {
      frame: async (axis, v, columns) => (asked++, { axis, view: v, columns, nodes: [0], lanes: [{ columns: [], counts: [], classes: [], down: [] }], events: 0 }),
      events: async (axis, v) => ({ axis, view: v, events: [], messages: [], count: 0, shown: 0 }),
    },
  }
  const fetcher = new Fetcher(store)
  const want = () => ({ axis: 'order', view, width: 500, nodes: [0], merged: [], key: 'k' })
  const settled = async () => {
    while (fetcher.asking) await new Promise((done) => setImmediate(done))
  }
  fetcher.want(want())
  await settled()
  fetcher.want(want())
  await settled()
  assert.equal(asked, 1)
  store.set({ about: { ...state.about, last: 'c' } })
  fetcher.want(want())
  await settled()
  assert.equal(asked, 2)
})
