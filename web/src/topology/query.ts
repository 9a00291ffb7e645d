/** What the view shows, as the fragment holds it. */

import { type Range, rangeIn, rangeParameters } from '../parts/range.ts'
import type { Parameters } from '../route.ts'
import { CALL_KINDS, type CallKind } from './graph.ts'
import { DIRECTIONS, type Direction } from './narrow.ts'

export const DEPTHS = [1, 2, 3, 4, 5] as const
const DEPTH = 2
/** Percent of all calls, below which an edge can be hidden. */
export const HIDE_PERCENTS = [
  0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20,
] as const

export interface View {
  tab: 'graph' | 'table'
  /** A node's key, or a service's name; empty for none. */
  focus: string
  depth: number
  direction: Direction
  hidePercent: number | undefined
  kinds: ReadonlySet<CallKind>
  onlyErrors: boolean
  /** The key of a node or an edge; empty for none. */
  selected: string
  range: Range
}

export function viewIn(parameters: Parameters): View {
  const depth = Number(parameters['depth'])
  const hide = parameters['hide'] ? Number(parameters['hide']) : undefined
  const kinds = (parameters['kinds'] ?? '').split(',')
  const known = CALL_KINDS.filter((kind) => kinds.includes(kind))
  return {
    tab: parameters['tab'] === 'table' ? 'table' : 'graph',
    focus: parameters['focus'] ?? '',
    depth: DEPTHS.find((each) => each === depth) ?? DEPTH,
    direction: DIRECTIONS.find((each) => each === parameters['direction']) ?? 'both',
    hidePercent: hide !== undefined && hide >= 0 && hide <= 100 ? hide : undefined,
    kinds: new Set(known.length > 0 ? known : CALL_KINDS),
    onlyErrors: parameters['status'] === 'error',
    selected: parameters['selected'] ?? '',
    range: rangeIn(parameters),
  }
}

export function parametersOf(view: View): Record<string, string | undefined> {
  const hasAllKinds = CALL_KINDS.every((kind) => view.kinds.has(kind))
  return {
    tab: view.tab === 'graph' ? '' : view.tab,
    focus: view.focus,
    depth: view.focus && view.depth !== DEPTH ? String(view.depth) : '',
    direction: view.focus && view.direction !== 'both' ? view.direction : '',
    hide: view.hidePercent === undefined ? '' : String(view.hidePercent),
    kinds: hasAllKinds ? '' : CALL_KINDS.filter((kind) => view.kinds.has(kind)).join(),
    status: view.onlyErrors ? 'error' : '',
    selected: view.selected,
    ...rangeParameters(view.range),
  }
}

/** Where the slider stands for a threshold that may lie between its steps. */
export function hideStep(percent: number): number {
  return Math.max(
    0,
    HIDE_PERCENTS.findLastIndex((each) => each <= percent),
  )
}
