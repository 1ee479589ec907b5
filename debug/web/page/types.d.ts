// What goes back and forth between the page's modules. In JavaScript:
//   /** @typedef {import('./types').Place} Place */

export type Axis = 'time' | 'order' | 'depth'
export type Tab = 'event' | 'state' | 'query' | 'notebook' | 'compare'
export type Theme = 'auto' | 'light' | 'dark'

/**
 * A cut: just after an event. Before the first event begin is true, and node is -1.
 * order, depth and timeAt are its coordinates along the axes, where the index knows
 * them; timeAt is HLC time since the first event, in about.second-ths of a second.
 */
export interface Place {
  node: number
  name: string
  seq: number
  time: string
  begin?: boolean
  order?: number
  depth?: number
  timeAt?: number
}

export interface View { from: number, to: number }

export interface AboutNode {
  name: string
  events: number
  unknown?: [number, number][]
  reason?: string
}

/** The answer of GET /api/v1/about. */
export interface About {
  title: string
  events: number
  first: string
  last: string
  second: number
  nodes: AboutNode[]
  variables: string[]
  warnings?: string[]
  spans: { [axis in Axis]?: View }
  index: { state: 'events' | 'messages' | 'ready', done: number, error?: string }
  live?: boolean
}

/** A place as the answer of a command has it: node is a name. */
export interface AnswerPlace { node?: string, seq?: number, time?: string }

/** The answer of a command: parts are objects of one key, their kind. */
export interface Answer {
  line: string
  place: AnswerPlace
  moved: boolean
  parts: { [kind: string]: any }[]
}

export interface Command {
  name: string
  aliases?: string[]
  args?: string
  short: string
  long?: string
  examples?: string[]
}

/** Where an event's past ends on a node and where its future begins. */
export interface ConeEnd {
  past?: number
  future?: number
  pastAt?: Coordinates
  futureAt?: Coordinates
}

export interface Coordinates { timeAt?: number, order?: number, depth?: number }

export interface Cone { of: Place, nodes: ConeEnd[] }

export interface LaneCells {
  columns: Uint16Array
  classes: Uint16Array
  counts: Uint32Array
  down: [number, number][]
}

/** A decoded frame and what it is of. */
export interface Frame {
  axis: Axis
  view: View
  columns: number
  nodes: number[]
  lanes: LaneCells[]
  events: number
}

export interface DrawnEvent { node: number, seq: number, at: number, kind: string, name?: string }
export interface DrawnEnd { node: number, seq: number, at: number }

export interface DrawnMessage {
  kind: 'send' | 'settimer' | 'call' | string
  name?: string
  from?: DrawnEnd
  to?: DrawnEnd
  again?: boolean
  toward: number
  lost?: string
}

/** The answer of GET /api/v1/events, and what it is of. */
export interface Drawn {
  axis: Axis
  view: View
  nodes: number[]
  count: number
  shown: number
  events: DrawnEvent[]
  messages: DrawnMessage[]
}

/** What a node does at the cut. */
export interface LaneState { state: '' | 'up' | 'down' | 'not begun', seq?: number, timeAt?: number, order?: number, depth?: number }

export interface Mark { name: string, note?: string, place: AnswerPlace, at?: Place | null }

/** A row of a query; at is where it is, once that was asked for. */
export interface Row { [key: string]: any, at?: Place | null }

/** An expression pinned under the lanes. */
export interface Track {
  expr: string
  title: string
  points: TrackPoint[]
  kind: 'step' | 'heat'
  partial?: boolean
  loading?: boolean
  error?: string
}

export interface TrackPoint {
  /** its time, as HLC time since the first event, like Place.timeAt */
  at: number
  /** whose value it is; "" of the whole system */
  node: string
  /** NODE:SEQ, or "" at a tick */
  event: string
  value: any
  order?: number
  depth?: number
}

export interface LiveNode { node: number, silent?: string }
export interface Live { events: number, told: number, reach: string, nodes: LiveNode[], ended: boolean, lost?: string }

export interface Problem { text: string, remedy?: string }
export interface Message { kind: 'info' | 'error', text: string, remedy?: string }

export interface State {
  about: About | null
  ready: 'events' | 'messages' | 'ready'
  axis: Axis
  view: View
  /** nodes shown, in order */
  lanes: number[]
  /** nodes that are merged into one lane at the bottom */
  collapsed: Set<number>
  /** a text that names of lanes have in them; others are merged, too */
  laneFilter: string
  /** the lane that keys and menus mean; -1 is none */
  lane: number
  /** the session's position */
  cut: Place | null
  laneStates: LaneState[]
  selected: Place | null
  hover: Place | null
  cone: Cone | null
  frame: Frame | null
  drawn: Drawn | null
  marks: Mark[]
  tracks: Track[]
  /** rows of the last query, marked on the timeline */
  rows: Row[]
  /** what was found last */
  hits: Place[]
  tab: Tab
  theme: Theme
  message: Message | null
  palette: boolean
  searching: boolean
  help: boolean
  live: Live | null
  follow: boolean
  /** why the server can't be reached, '' if it can */
  offline: string
  busy: number
  /** the query last run */
  query: string
}

export interface Actions {
  /** Carries out a line of the session. Errors go to message, and to failed; then null. */
  command(line: string, options?: { quiet?: boolean, signal?: AbortSignal, failed?: (problem: Problem) => void }): Promise<Answer | null>
  /** Goes to what goto understands, and selects the event there. */
  goto(place: string): Promise<void>
  /** Selects an event; null none. The cut stays. */
  select(place: Place | null): Promise<void>
  /** The text that goto understands of a place. */
  placeText(place: Place | AnswerPlace | null): string
  /** Places by their texts, with coordinates; null where there is none. */
  places(texts: string[]): Promise<(Place | null)[]>
  setView(axis: Axis, from: number, to: number): void
  setAxis(axis: Axis): void
  fit(): void
  /** Zooms by a factor (> 1 shows less) around a coordinate, or the middle. */
  zoom(factor: number, at?: number): void
  /** Moves the view by a part of its width. */
  pan(fraction: number): void
  /** Brings a place into the view if it is outside. */
  reveal(place: Place): void
  /** Steps forward (1) or back (-1), of the whole system or of a lane. */
  step(by: number, node?: number): Promise<void>
  /** Goes to the next (1) or last (-1) hit, row or mark. */
  nextHit(by: number): Promise<void>
  pin(expr: string): Promise<void>
  unpin(i: number): void
  setTrackKind(i: number, kind: 'step' | 'heat'): void
  unmark(name: string): Promise<void>
  loadMarks(): Promise<void>
  /** Marks places on the timeline as hits. */
  setHits(places: Place[]): void
  openTab(tab: Tab): void
  setTheme(theme: Theme): void
  collapse(node: number, collapsed: boolean): void
  setLaneFilter(text: string): void
  moveLane(node: number, by: number): void
  follow(on: boolean): Promise<void>
  tail(): Promise<void>
  say(text: string, kind?: 'info' | 'error', remedy?: string): void
  reload(): Promise<void>
}

export interface Store {
  get(): State
  set(partial: Partial<State>): void
  subscribe(fn: (state: State, before: State) => void): () => void
  act: Actions
  api: Api
}

export interface Api {
  tab: string
  about(): Promise<About>
  command(line: string, signal?: AbortSignal): Promise<{ answer: Answer, at?: any }>
  commands(): Promise<Command[]>
  complete(line: string, pos: number): Promise<{ head: string, candidates: string[] | null, tail: string }>
  frame(axis: Axis, view: View, columns: number, nodes: number[] | null, signal?: AbortSignal): Promise<Frame>
  /** A frame of one lane: all nodes, those named, or (rest) all but those. */
  merged(axis: Axis, view: View, columns: number, nodes: number[] | null, rest: boolean, signal?: AbortSignal): Promise<Frame>
  events(axis: Axis, view: View, nodes: number[] | null, signal?: AbortSignal): Promise<Drawn>
  cone(at: string, signal?: AbortSignal): Promise<{ nodes: ConeEnd[] }>
  cut(axis: Axis, at: number, node?: number, signal?: AbortSignal): Promise<Place>
  lanes(at: string, signal?: AbortSignal): Promise<LaneState[]>
  places(texts: string[], signal?: AbortSignal): Promise<(Place | null)[]>
}
