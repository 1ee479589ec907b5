// The address and what is shown. node --test runs it, from pagemodules_test.go.
import assert from 'node:assert/strict'
import test from 'node:test'
import { applyLink, keepLink } from '../page/sync.js'
import { createStore } from '../page/store.js'

/** A page over one node of five events, whose answers come late if they are told to. */
function page() {
  const asked = []
  const late = []
  const store = createStore({
    tab: 't',
    async command(line) {
      asked.push(line)
      if (page.slow) await new Promise((done) => late.push(done))
      const seq = Number(/:(\d)$/.exec(line)?.[1])
      if (seq > 5) throw new Error(`n1 has no event ${seq}`)
      return { answer: { line, parts: [], moved: true, place: {} }, at: { node: 0, name: 'n1', seq, time: '' } }
    },
    places: async (texts) => texts.map((t) => (/^n1:[1-5]$/.test(t) ? { node: 0, name: 'n1', seq: Number(t.slice(3)), time: '' } : null)),
  })
  store.set({ about: { nodes: [{ name: 'n1' }], spans: {}, index: {}, events: 5 }, lanes: [0] })
  return { store, asked, late }
}

const settled = async () => {
  for (let i = 0; i < 20; i++) await new Promise((done) => setImmediate(done))
}

test('a link to what is not here says so', async () => {
  const { store } = page()
  await applyLink(store, { cut: 'n1:9' })
  assert.match(store.get().message?.text || '', /no event 9/)
  await applyLink(store, { cut: 'n1:2', selected: 'gone:3' })
  assert.match(store.get().message?.text || '', /gone:3/)
  assert.equal(store.get().cut?.seq, 2)
  await applyLink(store, { cut: 'n1:3', selected: 'n1:4' })
  assert.equal(store.get().message, null)
  assert.equal(store.get().selected?.seq, 4)
})

test('steps back in a row lead to where the last one does', async () => {
  const listeners = {}
  Object.assign(globalThis, {
    window: { addEventListener: (name, f) => (listeners[name] = f), removeEventListener() {}, setTimeout: () => 1 },
    location: { hash: '' },
  })
  const { store, asked, late } = page()
  keepLink(store)
  page.slow = true
  for (const hash of ['#cut=n1%3A4', '#cut=n1%3A3', '#cut=n1%3A2']) {
    location.hash = hash
    listeners.popstate()
  }
  await settled()
  while (late.length) {
    late.pop()() // whatever is answered first
    await settled()
  }
  page.slow = false
  assert.equal(store.get().cut?.seq, 2)
  assert.deepEqual(asked, ['goto n1:2'])
})
