/** Parts of a graph that nothing connects: each is laid out by itself, and they share the room. */

import {
  COLUMN_GAP,
  type Layout,
  NODE_GAP,
  NODE_HEIGHT,
  NODE_WIDTH,
  type Outline,
} from './layout.ts'

/** Width by height of the whole, about that of a window. */
const ASPECT = 1.7
const ROOM_BELOW = 2 * NODE_GAP
const ROOM_BESIDE = COLUMN_GAP

interface Component {
  /** Numbers of the whole. */
  nodes: number[]
  edges: number[]
}

/** `layOut` is asked for each connected part; the largest are first, in rows from left to right. */
export function layoutOfParts(whole: Outline, layOut: (part: Outline) => Layout): Layout {
  const parts = componentsOf(whole).map((component) => {
    const layout = layOut(outlineOf(whole, component))
    const left = Math.min(...layout.x) - NODE_WIDTH / 2
    const top = Math.min(...layout.y) - NODE_HEIGHT / 2
    const width = Math.max(...layout.x) + NODE_WIDTH / 2 - left
    const height = Math.max(...layout.y) + NODE_HEIGHT / 2 - top
    return { component, layout, left, top, width, height }
  })
  parts.sort((one, other) => other.height - one.height)
  const room = parts.reduce(
    (sum, { width, height }) => sum + (width + ROOM_BESIDE) * (height + ROOM_BELOW),
    0,
  )
  const rowWidth = Math.max(Math.sqrt(room * ASPECT), ...parts.map(({ width }) => width))
  const found: Layout = {
    x: new Float64Array(whole.nodeCount),
    y: new Float64Array(whole.nodeCount),
    via: Array.from(whole.callers, () => new Float64Array()),
  }
  const row = { x: 0, y: 0, height: 0 }
  for (const part of parts) {
    if (row.x > 0 && row.x + part.width > rowWidth) {
      row.y += row.height + ROOM_BELOW
      row.x = 0
      row.height = 0
    }
    move(part.layout, part.component, row.x - part.left, row.y - part.top, found)
    row.x += part.width + ROOM_BESIDE
    row.height = Math.max(row.height, part.height)
  }
  return found
}

function move(from: Layout, component: Component, dx: number, dy: number, to: Layout): void {
  component.nodes.forEach((node, at) => {
    to.x[node] = (from.x[at] ?? 0) + dx
    to.y[node] = (from.y[at] ?? 0) + dy
  })
  component.edges.forEach((edge, at) => {
    to.via[edge] = (from.via[at] ?? new Float64Array()).map(
      (value, axis) => value + (axis % 2 ? dy : dx),
    )
  })
}

/** In the order of their first nodes; within each, nodes and edges in theirs. */
export function componentsOf({ nodeCount, callers, callees }: Outline): Component[] {
  const roots = Int32Array.from({ length: nodeCount }, (_, node) => node)
  const rootOf = (node: number): number => {
    let root = node
    while (roots[root] !== root) {
      // Halves the way for the next who asks.
      roots[root] = roots[roots[root] ?? 0] ?? 0
      root = roots[root] ?? 0
    }
    return root
  }
  callers.forEach((caller, edge) => {
    roots[rootOf(caller)] = rootOf(callees[edge] ?? 0)
  })
  const found = new Map<number, Component>()
  for (let node = 0; node < nodeCount; node++) {
    const root = rootOf(node)
    const component = found.get(root) ?? { nodes: [], edges: [] }
    component.nodes.push(node)
    found.set(root, component)
  }
  callers.forEach((caller, edge) => {
    found.get(rootOf(caller))?.edges.push(edge)
  })
  return [...found.values()]
}

function outlineOf({ callers, callees }: Outline, { nodes, edges }: Component): Outline {
  const numbers = new Map(nodes.map((node, at) => [node, at]))
  const ends = (of: Int32Array) => Int32Array.from(edges, (edge) => numbers.get(of[edge] ?? 0) ?? 0)
  return { nodeCount: nodes.length, callers: ends(callers), callees: ends(callees) }
}
