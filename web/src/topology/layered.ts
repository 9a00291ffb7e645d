/**
 * A layered layout of our own: columns by the longest way from a source, ordered and placed by their neighbours.
 *
 * Plainer than dagre's, whose long edges keep clear of nodes, but in milliseconds whatever the graph.
 */

import {
  COLUMN_GAP,
  type Layout,
  NODE_GAP,
  NODE_HEIGHT,
  NODE_WIDTH,
  type Outline,
} from './layout.ts'

const SWEEPS = 8
const SPACING = NODE_HEIGHT + NODE_GAP

export function layered(outline: Outline): Layout {
  const ranks = ranksOf(outline)
  const neighbours = neighboursOf(outline)
  const columns: number[][] = []
  ranks.forEach((rank, node) => {
    columns[rank] ??= []
    columns[rank].push(node)
  })
  const y = new Float64Array(outline.nodeCount)
  for (const column of columns) pack(column, y)
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const order = sweep % 2 ? columns.toReversed() : columns
    for (const column of order) {
      const wanted = new Map(column.map((node) => [node, meanOf(node, neighbours, y)]))
      column.sort((one, other) => (wanted.get(one) ?? 0) - (wanted.get(other) ?? 0))
      place(column, wanted, y)
    }
  }
  return {
    x: Float64Array.from(ranks, (rank) => rank * (NODE_WIDTH + COLUMN_GAP)),
    y,
    via: Array.from(outline.callers, () => new Float64Array()),
  }
}

/** The column of each node: with circles opened, a callee is right of all its callers. */
export function ranksOf({ nodeCount, callers, callees }: Outline): Int32Array {
  const outgoing = Array.from({ length: nodeCount }, (): number[] => [])
  for (const [edge, caller] of callers.entries()) outgoing[caller]?.push(callees[edge] ?? 0)
  const order = finished(outgoing)
  const places = new Int32Array(nodeCount)
  order.forEach((node, at) => {
    places[node] = at
  })
  const ranks = new Int32Array(nodeCount)
  for (const node of order) {
    for (const callee of outgoing[node] ?? []) {
      const isForward = (places[callee] ?? 0) > (places[node] ?? 0)
      if (isForward) ranks[callee] = Math.max(ranks[callee] ?? 0, (ranks[node] ?? 0) + 1)
    }
  }
  return ranks
}

/** Nodes so that edges lead forward, but for those that close a circle. Iterative: chains may be long. */
function finished(outgoing: readonly number[][]): number[] {
  const order: number[] = []
  const next = new Int32Array(outgoing.length).fill(-1)
  for (let root = 0; root < outgoing.length; root++) {
    if (next[root] !== -1) continue
    const stack = [root]
    next[root] = 0
    while (stack.length > 0) {
      const node = stack.at(-1) as number
      const callee = outgoing[node]?.[next[node] ?? 0]
      if (callee === undefined) order.push(stack.pop() as number)
      else {
        next[node] = (next[node] ?? 0) + 1
        if (next[callee] === -1) {
          next[callee] = 0
          stack.push(callee)
        }
      }
    }
  }
  return order.reverse()
}

function neighboursOf({ nodeCount, callers, callees }: Outline): number[][] {
  const found = Array.from({ length: nodeCount }, (): number[] => [])
  callers.forEach((caller, edge) => {
    const callee = callees[edge] ?? 0
    found[caller]?.push(callee)
    found[callee]?.push(caller)
  })
  return found
}

function meanOf(node: number, neighbours: readonly number[][], y: Float64Array): number {
  const around = neighbours[node] ?? []
  if (around.length === 0) return y[node] ?? 0
  return around.reduce((sum, each) => sum + (y[each] ?? 0), 0) / around.length
}

function pack(column: readonly number[], y: Float64Array): void {
  column.forEach((node, at) => {
    y[node] = (at - (column.length - 1) / 2) * SPACING
  })
}

/**
 * As near to where each wants to be as the order and the spacing allow (least squares).
 *
 * Without the spacing that is an isotonic regression: neighbours that would overlap become a block at their mean.
 */
function place(
  column: readonly number[],
  wanted: ReadonlyMap<number, number>,
  y: Float64Array,
): void {
  const blocks: { sum: number; count: number }[] = []
  column.forEach((node, at) => {
    let block = { sum: (wanted.get(node) ?? 0) - at * SPACING, count: 1 }
    for (let last = blocks.at(-1); last; last = blocks.at(-1)) {
      if (last.sum / last.count < block.sum / block.count) break
      block = { sum: last.sum + block.sum, count: last.count + block.count }
      blocks.pop()
    }
    blocks.push(block)
  })
  let at = 0
  for (const { sum, count } of blocks) {
    for (const end = at + count; at < end; at++) y[column[at] ?? 0] = sum / count + at * SPACING
  }
}
