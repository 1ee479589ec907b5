// @ts-check
// The panels of the page. Each takes the store.
export { EventPanel } from './event.js'
export { StatePanel } from './state.js'
export { QueryPanel } from './query.js'
export { NotebookPanel } from './notebook.js'
export { ComparePanel } from './compare.js'
export { Palette } from './palette.js'
export { SearchBox } from './search.js'
