// @ts-check
// A pattern that is drawn: lanes, and arrows from one to another.
import { html, useRef, useState } from '../vendor/htm-preact.js'
import { drawingOf, geometry, stepAt } from './sketches.js'

/** @typedef {import('./sketches.js').Sketch} Sketch */
/** @typedef {import('./sketches.js').Step} Step */

const laneNames = ['a', 'b', 'c', 'd', 'e']

/**
 * @param {{nodes: string[], onFind: (drawing: string) => void}} props
 */
export function SketchPad({ nodes, onFind }) {
  const [sketch, setSketch] = useState(/** @type {Sketch} */ ({ lanes: ['', ''], steps: [], within: '' }))
  const put = (/** @type {Partial<Sketch>} */ part) => setSketch({ ...sketch, ...part })
  const change = (/** @type {number} */ i, /** @type {Partial<Step>} */ part) => put({ steps: sketch.steps.map((s, k) => (k === i ? { ...s, ...part } : s)) })
  const lane = (/** @type {number} */ i, /** @type {string} */ node) => put({ lanes: sketch.lanes.map((l, k) => (k === i ? node : l)) })
  return html`<div class="p-sketch" aria-label="Draw a pattern" role="group">
    <${Canvas} sketch=${sketch} onStep=${(/** @type {Step} */ s) => put({ steps: [...sketch.steps, s] })} />
    <div class="p-steps">
      <div class="p-row">lanes: ${sketch.lanes.map((node, i) => html`<label>${laneNames[i]} <select value=${node} aria-label=${`lane ${laneNames[i]} is`} onChange=${(/** @type {any} */ e) => lane(i, e.target.value)}><option value="">some node</option>${nodes.slice(0, 200).map((n) => html`<option value=${n}>${n}</option>`)}</select></label>`)}
        ${sketch.lanes.length < laneNames.length ? html`<button type="button" class="p-icon" onClick=${() => put({ lanes: [...sketch.lanes, ''] })}>add a lane</button>` : null}
        <label>within <input class="p-input" size="6" placeholder="200ms" value=${sketch.within} onInput=${(/** @type {any} */ e) => put({ within: e.target.value })} /></label></div>
      ${sketch.steps.map((s, i) => html`<${StepRow} step=${s} lanes=${sketch.lanes.length} onChange=${(/** @type {Partial<Step>} */ part) => change(i, part)} onRemove=${() => put({ steps: sketch.steps.filter((_, k) => k !== i) })} />`)}
      <div class="p-row"><button type="button" class="p-icon" onClick=${() => put({ steps: [...sketch.steps, { from: 0, to: 1, name: '' }] })}>add a message</button>
        <button type="button" class="p-icon" onClick=${() => put({ steps: [...sketch.steps, { from: 0, to: 0, name: '' }] })}>add an event</button>
        <button type="button" class="p-button strong" disabled=${!sketch.steps.length} onClick=${() => onFind(JSON.stringify(drawingOf(sketch)))}>Find what is drawn</button></div>
    </div>
  </div>`
}

/** @param {{step: Step, lanes: number, onChange: (part: Partial<Step>) => void, onRemove: () => void}} props */
function StepRow({ step, lanes, onChange, onRemove }) {
  const choose = (/** @type {'from'|'to'} */ end) => html`<select aria-label=${end} value=${step[end]} onChange=${(/** @type {any} */ e) => onChange({ [end]: Number(e.target.value) })}>${laneNames.slice(0, lanes).map((n, i) => html`<option value=${i}>${n}</option>`)}</select>`
  const event = step.from === step.to
  return html`<div class="p-row">${choose('from')} ${event ? 'does' : step.lost ? '╳' : '→'} ${choose('to')}
    <input class="p-input" value=${step.name} placeholder=${event ? 'any event' : 'any message'} aria-label=${event ? 'name of the event' : 'name of the message'} onInput=${(/** @type {any} */ e) => onChange({ name: e.target.value })} />
    ${event ? null : html`<label><input type="checkbox" checked=${!!step.lost} onChange=${(/** @type {any} */ e) => onChange({ lost: e.target.checked })} /> lost</label>`}
    <button type="button" class="p-icon" aria-label="remove this step" onClick=${onRemove}>remove</button></div>`
}

/** @param {{sketch: Sketch, onStep: (s: Step) => void}} props */
function Canvas({ sketch, onStep }) {
  const svg = useRef(/** @type {SVGSVGElement|null} */ (null))
  const [begun, setBegun] = useState(/** @type {{lane: number, x: number, y: number}|null} */ (null))
  const g = geometry(sketch)
  const at = (/** @type {PointerEvent} */ e) => {
    const box = /** @type {SVGSVGElement} */ (svg.current).getBoundingClientRect()
    return { x: ((e.clientX - box.left) / box.width) * g.width, y: ((e.clientY - box.top) / box.height) * g.height }
  }
  const down = (/** @type {PointerEvent} */ e) => {
    svg.current?.setPointerCapture(e.pointerId)
    const p = at(e)
    setBegun({ lane: stepAt(g, p.y), ...p })
  }
  const move = (/** @type {PointerEvent} */ e) => begun && setBegun({ ...begun, ...at(e) })
  const up = (/** @type {PointerEvent} */ e) => {
    if (begun) onStep({ from: begun.lane, to: stepAt(g, at(e).y), name: '' })
    setBegun(null)
  }
  return html`<svg ref=${svg} viewBox=${`0 0 ${g.width} ${g.height}`} role="img" aria-label="Press on a lane and drag to another to draw a message; click for an event" onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${() => setBegun(null)}>
    ${g.lanes.map((y, i) => html`<line class="lane" x1="24" x2=${g.width - 8} y1=${y} y2=${y} /><text x="6" y=${y + 4}>${laneNames[i]}</text>`)}
    ${g.steps.map((s) => html`<${Arrow} s=${s} />`)}
    ${begun ? html`<line class="arrow" x1=${begun.x} x2=${begun.x} y1=${g.lanes[begun.lane]} y2=${begun.y} />` : null}
    ${sketch.steps.length ? null : html`<text x="34" y=${g.height / 2 + 4}>press on a lane and drag to another: a message; click: an event</text>`}
  </svg>`
}

/** @param {{s: import('./sketches.js').DrawnStep}} props */
function Arrow({ s }) {
  if (s.y1 === s.y2) return html`<circle class="dot" cx=${s.x1} cy=${s.y1} r="5" /><text x=${s.x1 + 8} y=${s.y1 - 6}>${s.name}</text>`
  const down = s.y2 > s.y1 ? 1 : -1
  return html`<circle class="dot" cx=${s.x1} cy=${s.y1} r="3.5" /><line class=${'arrow' + (s.lost ? ' lost' : '')} x1=${s.x1} y1=${s.y1} x2=${s.x2} y2=${s.y2} />
    ${s.lost ? html`<path class="drop" d=${`M${s.x2 - 5} ${s.y2 - 5}l10 10m0 -10l-10 10`} />` : html`<path class="head" d=${`M${s.x2} ${s.y2}l-7 ${-6 * down}l4 ${-3 * down}z`} />`}
    <text x=${(s.x1 + s.x2) / 2 + 6} y=${(s.y1 + s.y2) / 2}>${s.name}</text>`
}
