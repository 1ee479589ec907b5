// Types of htm-preact.js: what of htm 3.1.1 and the preact inside of it is used.

export interface VNode<P = any> {
  type: any
  props: P & { children?: any }
  key: any
}

export type ComponentChild = VNode<any> | object | string | number | bigint | boolean | null | undefined
export type ComponentChildren = ComponentChild[] | ComponentChild

/** Makes a tag for html; most call html instead. */
export function h(type: any, props: any, ...children: ComponentChildren[]): VNode

/** html`<div class=${c}>${children}<//>` */
export function html(strings: TemplateStringsArray, ...values: any[]): VNode

export function render(tree: ComponentChild, parent: Element | Document | ShadowRoot | DocumentFragment): void

export class Component<P = {}, S = {}> {
  constructor(props?: P, context?: any)
  props: P & { children?: ComponentChildren }
  state: S
  base?: Element
  setState(change: Partial<S> | ((state: S, props: P) => Partial<S>), done?: () => void): void
  forceUpdate(done?: () => void): void
  render(props?: P, state?: S): ComponentChild
}

export interface Context<T> {
  Provider: (props: { value: T, children?: ComponentChildren }) => VNode
  Consumer: (props: { children: (value: T) => ComponentChildren }) => VNode
}

export function createContext<T>(value: T): Context<T>

export function useState<S>(initial: S | (() => S)): [S, (next: S | ((was: S) => S)) => void]
export function useReducer<S, A>(reducer: (state: S, action: A) => S, initial: S): [S, (action: A) => void]
export function useEffect(effect: () => void | (() => void), inputs?: readonly any[]): void
export function useLayoutEffect(effect: () => void | (() => void), inputs?: readonly any[]): void
export function useRef<T>(initial: T): { current: T }
export function useImperativeHandle<T>(ref: { current: T | null }, make: () => T, inputs?: readonly any[]): void
export function useMemo<T>(make: () => T, inputs: readonly any[]): T
export function useCallback<F extends (...args: any[]) => any>(f: F, inputs: readonly any[]): F
export function useContext<T>(context: Context<T>): T
export function useDebugValue<T>(value: T, format?: (value: T) => any): void
export function useErrorBoundary(caught?: (error: any) => void): [any, () => void]
