// What is shown when nodes or times are counted in another way than before. node
// --test runs it, from pagemodules_test.go.
import assert from 'node:assert/strict'
import test from 'node:test'
import { carried } from '../page/carry.js'
import { createStore } from '../page/store.js'

const second = 2 ** 32
const about = (names, first = '2026-01-01T00:00:10Z/0') => ({ nodes: names.map((name) => ({ name, events: 1 })), first, spans: {}, index: { state: 'ready' }, events: 3 })
const place = (node, name, timeAt) => ({ node, name, seq: 2, time: '', timeAt, order: 5 })

/** The state of a page that looked around. */
function looked() {
  const store = createStore({ about: async () => about(['n0', 'n1', 'n2']), tab: 't' })
  store.set({
    about: about(['n1', 'n2', 'gone']), lanes: [1, 0, 2], collapsed: new Set([1, 2]), lane: 1, view: { from: 0, to: second }, live: { events: 2 },
    cut: place(1, 'n2', second), selected: place(1, 'n2', second), cone: { of: place(1, 'n2', second), nodes: [] }, drawn: {}, frame: {},
    laneStates: [{ state: 'up', timeAt: 1 }, { state: 'down' }, { state: 'up' }], marks: [{ name: 'm', place: {}, at: place(0, 'n1', second) }], hits: [place(0, 'n1', 0), place(2, 'gone', 0)], tracks: [{ expr: 'x', points: [{ at: second, node: 'n1', event: 'n1:2', value: 1 }] }],
  })
  return store
}

test('a node that is new before others moves what is shown of them', () => {
  const s = { ...looked().get() }
  Object.assign(s, carried(s, about(['n0', 'n1', 'n2'])))
  assert.deepEqual(s.lanes, [2, 1, 0])
  assert.deepEqual([...s.collapsed], [2])
  assert.equal(s.lane, 2)
  assert.deepEqual([s.cut.node, s.cut.name, s.cut.timeAt, s.selected.node], [2, 'n2', second, 2])
  assert.deepEqual([s.cone, s.drawn, s.frame, s.hover], [null, null, null, null])
  assert.equal(s.marks[0].at.node, 1)
  assert.deepEqual(s.laneStates, [{ state: '' }, { state: 'up', timeAt: 1 }, { state: 'down' }])
  assert.deepEqual(s.hits.map((h) => h.name), ['n1'])
  assert.deepEqual(s.view, { from: 0, to: second })
})

test('a History that begins at another time moves what is shown along time', () => {
  const s = { ...looked().get() }
  Object.assign(s, carried(s, about(['n1', 'n2', 'gone'], '2026-01-01T00:00:04Z/0')))
  assert.deepEqual(s.view, { from: 6 * second, to: 7 * second })
  assert.deepEqual([s.cut.timeAt, s.marks[0].at.timeAt, s.tracks[0].points[0].at], [7 * second, 7 * second, 7 * second])
  assert.equal(s.drawn, null)
  assert.deepEqual(s.lanes, [1, 0, 2])
  assert.equal(looked().get().tracks[0].points[0].at, second)
})

test('what only grows stays as it is, with the new lanes behind', () => {
  const s = looked().get()
  assert.deepEqual(carried(s, about(['n1', 'n2', 'gone'])), {})
  assert.deepEqual(carried(s, about(['n1', 'n2', 'gone', 'n4'])), { lanes: [1, 0, 2, 3] })
})

test('where nothing was there is no time to move from', () => {
  const s = looked().get()
  assert.deepEqual(carried({ ...s, about: { ...about(['n1', 'n2', 'gone'], '1970-01-01T00:00:00Z/0'), events: 0 } }, about(['n1', 'n2', 'gone'])), {})
})

test('a reload carries what is shown over', async () => {
  const store = looked()
  await store.act.reload()
  assert.deepEqual(store.get().lanes, [2, 1, 0])
  assert.equal(store.get().cut.node, 2)
})
