// The colours of the page are far enough from what they stand on (WCAG 2, AA).
import test from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

const css = readFileSync(new URL('../page/style.css', import.meta.url), 'utf8')

/** The tokens of the block that a selector begins. */
function tokens(selector) {
  const at = css.indexOf(selector + ' {')
  assert.ok(at >= 0, selector)
  const block = css.slice(at, css.indexOf('}', at))
  return Object.fromEntries([...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map((m) => [m[1], m[2]]))
}

function luminance(hex) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

function contrast(a, b) {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p)
  return (x + 0.05) / (y + 0.05)
}

const grounds = ['panel', 'ground', 'raised', 'sunken']
const texts = [
  ...['text', 'muted'].flatMap((t) => [...grounds, 'accent-soft'].map((g) => [t, g])),
  ...['accent', 'good', 'warn', 'bad'].flatMap((t) => ['panel', 'raised'].map((g) => [t, g])),
  ['accent', 'accent-soft'], ['on-accent', 'accent'], ['good', 'good-soft'], ['warn', 'warn-soft'], ['bad', 'bad-soft'],
  ['text', 'good-soft'], ['text', 'bad-soft'], ['text', 'warn-soft'],
]
const marks = ['recv', 'request', 'timer', 'other', 'note', 'boot', 'link', 'drop', 'hit', 'mark', 'row', 'past', 'future', 'message', 'density',
  'series-1', 'series-2', 'series-3', 'series-4', 'series-5', 'series-6', 'series-7', 'series-8'].map((t) => [t, 'panel'])

for (const [name, selector] of [['light', ':root'], ['dark', ':root[data-theme="dark"]']]) {
  test(`${name}: texts and marks can be told from their ground`, () => {
    const t = tokens(selector)
    const bad = [...texts.map((p) => [...p, 4.5]), ...marks.map((p) => [...p, 3])]
      .map(([a, b, least]) => ({ a, b, least, is: contrast(t[a], t[b]) })).filter((p) => !(p.is >= p.least))
    assert.deepEqual(bad.map((p) => `${p.a} on ${p.b}: ${p.is.toFixed(2)}, want ${p.least}`), [])
  })
}

test('the dark tokens are the same by the system and by the toggle', () => {
  assert.deepEqual(tokens(':root:not([data-theme="light"])'), tokens(':root[data-theme="dark"]'))
})
