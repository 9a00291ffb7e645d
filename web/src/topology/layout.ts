/** Places of nodes and curves of edges; layered from left to right. */

export interface Box {
  name: string
  width: number
  height: number
}

export interface Placed extends Box {
  /** Centre. */
  x: number
  y: number
}

export interface Curve {
  from: string
  to: string
  points: { x: number; y: number }[]
}

export interface Layout {
  nodes: Placed[]
  curves: Curve[]
  width: number
  height: number
}

export interface LayoutAsk {
  id: number
  nodes: Box[]
  edges: { from: string; to: string }[]
}

export interface LayoutTold {
  id: number
  layout: Layout
}

const LAYER_GAP = 90
const NODE_GAP = 18

const SWEEPS = 6

/**
 * Without a library: each node one layer behind the last that calls it, circles cut where they close; within a layer,
 * each node near those that it is connected with. It takes milliseconds where the library takes seconds.
 */
export function simpleLayout(
  nodes: readonly Box[],
  edges: readonly { from: string; to: string }[],
): Layout {
  const layer = layers(nodes, edges)
  const columns: Box[][] = []
  for (const node of nodes) {
    const at = layer.get(node.name) ?? 0
    while (columns.length <= at) columns.push([])
    columns[at]?.push(node)
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) reorder(columns, edges)
  const placed = new Map<string, Placed>()
  let left = 0
  for (const column of columns) {
    const width = Math.max(...column.map((node) => node.width), 0)
    const height = column.reduce((sum, node) => sum + node.height + NODE_GAP, -NODE_GAP)
    let top = -height / 2
    for (const node of column) {
      placed.set(node.name, { ...node, x: left + width / 2, y: top + node.height / 2 })
      top += node.height + NODE_GAP
    }
    left += width + LAYER_GAP
  }
  const low = Math.min(...[...placed.values()].map((node) => node.y - node.height / 2), 0)
  for (const node of placed.values()) node.y -= low
  const height = Math.max(...[...placed.values()].map((node) => node.y + node.height / 2), 0)
  return {
    nodes: [...placed.values()],
    curves: edges.flatMap(({ from, to }) => {
      const [a, b] = [placed.get(from), placed.get(to)]
      return a && b ? [{ from, to, points: [edgeOf(a, b), edgeOf(b, a)] }] : []
    }),
    width: Math.max(0, left - LAYER_GAP),
    height,
  }
}

/** Each column by the mean place of its nodes' neighbours in the others. */
function reorder(columns: Box[][], edges: readonly { from: string; to: string }[]): void {
  const place = new Map<string, number>()
  for (const column of columns) {
    column.forEach(({ name }, at) => {
      place.set(name, (at + 0.5) / column.length)
    })
  }
  const sums = new Map<string, { sum: number; count: number }>()
  const add = (name: string, other: string) => {
    const found = sums.get(name) ?? { sum: 0, count: 0 }
    sums.set(name, { sum: found.sum + (place.get(other) ?? 0.5), count: found.count + 1 })
  }
  for (const { from, to } of edges) {
    add(from, to)
    add(to, from)
  }
  const mean = ({ name }: Box) => {
    const found = sums.get(name)
    return found ? found.sum / found.count : (place.get(name) ?? 0)
  }
  for (const column of columns) column.sort((a, b) => mean(a) - mean(b))
}

/** Where a straight line from the centre of a node leaves it. */
function edgeOf(node: Placed, towards: Placed): { x: number; y: number } {
  return { x: node.x + Math.sign(towards.x - node.x) * (node.width / 2), y: node.y }
}

function layers(
  nodes: readonly Box[],
  edges: readonly { from: string; to: string }[],
): Map<string, number> {
  const next = new Map<string, string[]>()
  for (const { from, to } of edges) next.set(from, [...(next.get(from) ?? []), to])
  const order: string[] = []
  const state = new Map<string, 'open' | 'done'>()
  const forward = new Map<string, string[]>()
  for (const { name } of nodes) {
    const stack: [string, number][] = [[name, 0]]
    while (stack.length) {
      const top = stack[stack.length - 1] as [string, number]
      const [at, child] = top
      if (child === 0) {
        if (state.has(at)) {
          stack.pop()
          continue
        }
        state.set(at, 'open')
      }
      const callee = next.get(at)?.[child]
      if (callee === undefined) {
        state.set(at, 'done')
        order.push(at)
        stack.pop()
        continue
      }
      top[1]++
      if (state.get(callee) !== 'open') {
        forward.set(at, [...(forward.get(at) ?? []), callee])
        if (!state.has(callee)) stack.push([callee, 0])
      }
    }
  }
  const layer = new Map<string, number>()
  for (const at of order.reverse()) {
    for (const callee of forward.get(at) ?? []) {
      layer.set(callee, Math.max(layer.get(callee) ?? 0, (layer.get(at) ?? 0) + 1))
    }
  }
  return layer
}

/** Whether a point is in a node. */
export function isIn(node: Placed, x: number, y: number): boolean {
  return Math.abs(x - node.x) <= node.width / 2 && Math.abs(y - node.y) <= node.height / 2
}

/** From a point to a curve, along its corners. */
export function distance({ points }: Curve, x: number, y: number): number {
  let least = Number.POSITIVE_INFINITY
  for (let at = 1; at < points.length; at++) {
    const [a, b] = [points[at - 1], points[at]]
    if (a && b) least = Math.min(least, toSegment(a, b, x, y))
  }
  return least
}

function toSegment(
  a: { x: number; y: number },
  b: { x: number; y: number },
  x: number,
  y: number,
): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y]
  const length = dx * dx + dy * dy
  const along = length ? Math.max(0, Math.min(1, ((x - a.x) * dx + (y - a.y) * dy) / length)) : 0
  return Math.hypot(x - a.x - along * dx, y - a.y - along * dy)
}
