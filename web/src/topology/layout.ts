/** Where nodes and edges lie, in units of the picture: what is asked of a layout, and what it answers. */

import type { Shown } from './narrow.ts'

export const NODE_WIDTH = 168
export const NODE_HEIGHT = 44
/** Between nodes of one column, and between columns. */
export const NODE_GAP = 18
export const COLUMN_GAP = 104

/** Nodes by number. An edge is a caller and a callee; several may have the same two. */
export interface Outline {
  nodeCount: number
  callers: Int32Array
  callees: Int32Array
}

/** Centres of nodes, and for each edge the points between its ends: x and y in turn. */
export interface Layout {
  x: Float64Array
  y: Float64Array
  via: Float64Array[]
}

export interface Drafted {
  outline: Outline
  /** Which keys the numbers stand for. The same for the same nodes and edges, whatever their figures. */
  nodeKeys: readonly string[]
  edgeKeys: readonly string[]
  /** Equal if a layout of the one is one of the other. */
  key: string
}

/** What is asked of a layout. Nodes that nobody calls come first: circles are opened before them. */
export function draft({ nodes, edges }: Pick<Shown, 'nodes' | 'edges'>): Drafted {
  const callerCounts = new Map<string, number>()
  for (const { callee } of edges) {
    callerCounts.set(callee.key, (callerCounts.get(callee.key) ?? 0) + 1)
  }
  const nodeKeys = nodes
    .map(({ key }) => key)
    .sort(
      (one, other) =>
        (callerCounts.get(one) ?? 0) - (callerCounts.get(other) ?? 0) || (one < other ? -1 : 1),
    )
  const numbers = new Map(nodeKeys.map((key, at) => [key, at]))
  const sorted = [...edges].sort((one, other) => (one.key < other.key ? -1 : 1))
  return {
    outline: {
      nodeCount: nodeKeys.length,
      callers: Int32Array.from(sorted, ({ caller }) => numbers.get(caller.key) ?? 0),
      callees: Int32Array.from(sorted, ({ callee }) => numbers.get(callee.key) ?? 0),
    },
    nodeKeys,
    edgeKeys: sorted.map(({ key }) => key),
    key: JSON.stringify([nodeKeys, sorted.map(({ key }) => key)]),
  }
}

/** What the worker is asked, and what it tells. */
export interface Ask {
  id: number
  outline: Outline
}
export interface Told {
  id: number
  layout: Layout
  milliseconds: number
}
