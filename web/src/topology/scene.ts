/** A laid out graph: boxes of nodes, curves of edges, and what lies under a point. */

import type { Bounds, Point } from './camera.ts'
import type { Edge, Node } from './graph.ts'
import { type Drafted, type Layout, NODE_HEIGHT, NODE_WIDTH } from './layout.ts'
import type { Shown } from './narrow.ts'

export interface PlacedNode {
  node: Node
  /** The centre. */
  x: number
  y: number
}

export interface PlacedEdge {
  edge: Edge
  /** Where it leaves its caller, what it passes, where it reaches its callee: x and y in turn. */
  points: Float64Array
  /** The same as a line of short pieces. */
  line: Float64Array
  bounds: Bounds
  middle: Point
}

export interface Scene {
  nodes: readonly PlacedNode[]
  edges: readonly PlacedEdge[]
  bounds: Bounds
  nodeOf: ReadonlyMap<string, PlacedNode>
  edgeOf: ReadonlyMap<string, PlacedEdge>
}

const PIECES = 10
/** Edges end on the middle part of a node's side. */
const PORTS_SHARE = 0.6

/** The figures are those of `shown`; the places those of a layout of the same nodes and edges. */
export function sceneOf(
  shown: Pick<Shown, 'nodes' | 'edges'>,
  drafted: Drafted,
  layout: Layout,
): Scene {
  const numbers = new Map(drafted.nodeKeys.map((key, at) => [key, at]))
  const nodes = shown.nodes.map((node) => {
    const number = numbers.get(node.key) ?? 0
    return { node, x: layout.x[number] ?? 0, y: layout.y[number] ?? 0 }
  })
  const nodeOf = new Map(nodes.map((placed) => [placed.node.key, placed]))
  const edgeNumbers = new Map(drafted.edgeKeys.map((key, at) => [key, at]))
  const routes = shown.edges.flatMap((edge) => {
    const caller = nodeOf.get(edge.caller.key)
    const callee = nodeOf.get(edge.callee.key)
    const via = layout.via[edgeNumbers.get(edge.key) ?? -1] ?? new Float64Array()
    return caller && callee ? [{ edge, caller, callee, via, from: 0, to: 0 }] : []
  })
  spreadPorts(routes)
  const edges = routes.map(placedEdge)
  return {
    nodes,
    edges,
    bounds: boundsOf(nodes, edges),
    nodeOf,
    edgeOf: new Map(edges.map((placed) => [placed.edge.key, placed])),
  }
}

interface EdgeRoute {
  edge: Edge
  caller: PlacedNode
  callee: PlacedNode
  via: Float64Array
  /** How far from the middle of the side it leaves, and arrives. */
  from: number
  to: number
}

/** Edges on one side of a node are side by side, in the order of where they come from. */
function spreadPorts(routes: EdgeRoute[]): void {
  const sides = new Map<string, { wanted: number; set: (offset: number) => void }[]>()
  const add = (key: string, wanted: number, set: (offset: number) => void) => {
    const side = sides.get(key) ?? []
    side.push({ wanted, set })
    sides.set(key, side)
  }
  for (const route of routes) {
    const { caller, callee, via } = route
    const isForward = caller.x < callee.x
    add(`${caller.node.key} ${isForward}`, via[1] ?? callee.y, (offset) => {
      route.from = offset
    })
    add(`${callee.node.key} ${!isForward}`, via.at(-1) ?? caller.y, (offset) => {
      route.to = offset
    })
  }
  for (const side of sides.values()) {
    side.sort((one, other) => one.wanted - other.wanted)
    side.forEach(({ set }, at) => {
      set(((at + 1) / (side.length + 1) - 0.5) * NODE_HEIGHT * PORTS_SHARE)
    })
  }
}

function placedEdge({ edge, caller, callee, via, from, to }: EdgeRoute): PlacedEdge {
  const half = (Math.sign(callee.x - caller.x) * NODE_WIDTH) / 2
  const points = Float64Array.of(
    caller.x + half,
    caller.y + from,
    ...via,
    callee.x - half,
    callee.y + to,
  )
  const line = lineOf(points)
  const middle = Math.floor(line.length / 4) * 2
  return {
    edge,
    points,
    line,
    bounds: boundsOfLine(line),
    middle: { x: line[middle] ?? 0, y: line[middle + 1] ?? 0 },
  }
}

/** The curve through the points is level at each of them: a cubic with both handles halfway. */
function lineOf(points: Float64Array): Float64Array {
  const found: number[] = [points[0] ?? 0, points[1] ?? 0]
  for (let at = 0; at + 3 < points.length; at += 2) {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = points.subarray(at, at + 4)
    for (let piece = 1; piece <= PIECES; piece++) {
      const t = piece / PIECES
      const middle = 3 * (1 - t) * t
      const x = (x1 + x2) / 2
      found.push((1 - t) ** 3 * x1 + middle * x + t ** 3 * x2, y1 + (y2 - y1) * t * t * (3 - 2 * t))
    }
  }
  return Float64Array.from(found)
}

function boundsOfLine(line: Float64Array): Bounds {
  const found = nowhere()
  for (let at = 0; at < line.length; at += 2) extend(found, line[at] ?? 0, line[at + 1] ?? 0)
  return found
}

function boundsOf(nodes: readonly PlacedNode[], edges: readonly PlacedEdge[]): Bounds {
  const found = nowhere()
  for (const placed of nodes) {
    const { left, top, right, bottom } = boxOf(placed)
    extend(found, left, top)
    extend(found, right, bottom)
  }
  for (const { bounds } of edges) {
    extend(found, bounds.left, bounds.top)
    extend(found, bounds.right, bounds.bottom)
  }
  return found
}

function nowhere(): Bounds {
  return { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity }
}

function extend(bounds: Bounds, x: number, y: number): void {
  bounds.left = Math.min(bounds.left, x)
  bounds.top = Math.min(bounds.top, y)
  bounds.right = Math.max(bounds.right, x)
  bounds.bottom = Math.max(bounds.bottom, y)
}

export function boxOf({ x, y }: PlacedNode): Bounds {
  return {
    left: x - NODE_WIDTH / 2,
    top: y - NODE_HEIGHT / 2,
    right: x + NODE_WIDTH / 2,
    bottom: y + NODE_HEIGHT / 2,
  }
}

export function overlap(one: Bounds, other: Bounds): boolean {
  return (
    one.left < other.right &&
    other.left < one.right &&
    one.top < other.bottom &&
    other.top < one.bottom
  )
}

export type Hit = { node: Node } | { edge: Edge }

/** What lies at a point: a node, else the nearest edge within `reach`. */
export function hitAt({ nodes, edges }: Scene, point: Point, reach: number): Hit | undefined {
  const found = nodes.findLast((placed) => contains(boxOf(placed), point, 0))
  if (found) return { node: found.node }
  let nearest: Edge | undefined
  let least = reach
  for (const { edge, bounds, line } of edges) {
    if (!contains(bounds, point, least)) continue
    const distance = distanceToLine(line, point)
    if (distance <= least) {
      least = distance
      nearest = edge
    }
  }
  return nearest && { edge: nearest }
}

function contains(bounds: Bounds, { x, y }: Point, reach: number): boolean {
  return (
    x >= bounds.left - reach &&
    x <= bounds.right + reach &&
    y >= bounds.top - reach &&
    y <= bounds.bottom + reach
  )
}

export function distanceToLine(line: Float64Array, { x, y }: Point): number {
  let least = Infinity
  for (let at = 0; at + 3 < line.length; at += 2) {
    const x1 = line[at] ?? 0
    const y1 = line[at + 1] ?? 0
    const dx = (line[at + 2] ?? 0) - x1
    const dy = (line[at + 3] ?? 0) - y1
    const along = ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy || 1)
    const t = Math.min(1, Math.max(0, along))
    least = Math.min(least, Math.hypot(x - x1 - t * dx, y - y1 - t * dy))
  }
  return least
}

export type Step = 'callee' | 'caller' | 'above' | 'below'

/** Where an arrow key leads from a node: along its busiest call, or to the nearest of its column. */
export function neighbour(
  { nodes, edges, nodeOf }: Scene,
  from: Node,
  step: Step,
): Node | undefined {
  // Edges come with the busiest first.
  if (step === 'callee') return edges.find(({ edge }) => edge.caller.key === from.key)?.edge.callee
  if (step === 'caller') return edges.find(({ edge }) => edge.callee.key === from.key)?.edge.caller
  const here = nodeOf.get(from.key)
  if (!here) return undefined
  const away = ({ x, y }: PlacedNode) => {
    const down = step === 'below' ? y - here.y : here.y - y
    return down > 0 && Math.abs(x - here.x) < NODE_WIDTH ? down : Infinity
  }
  const found = nodes.reduce<PlacedNode | undefined>(
    (best, each) => (away(each) < (best ? away(best) : Infinity) ? each : best),
    undefined,
  )
  return found?.node
}
